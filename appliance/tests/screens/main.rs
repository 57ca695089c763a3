//! The screens of a pos, without scripts and in a browser

mod badge;
mod browser;
mod counter;
mod discounts;
mod device;
mod find;
mod full_disk;
mod headquarters;
mod office;
mod office_browser;
mod sale;
mod stock;
mod window;
