//! The screens of a pos, without scripts and in a browser

mod badge;
mod browser;
mod counter;
mod device;
mod discounts;
mod find;
mod full_disk;
mod goods;
mod headquarters;
mod kiosk;
mod kiosk_browser;
mod languages;
mod office;
mod office_browser;
mod sale;
mod stock;
mod window;
