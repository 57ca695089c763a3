//! The screens of a pos, without scripts and in a browser

mod badge;
mod browser;
mod card;
mod counter;
mod device;
mod discounts;
mod find;
mod full_disk;
mod goods;
mod headquarters;
mod in_doubt;
mod kiosk;
mod kiosk_browser;
mod languages;
mod office;
mod office_browser;
mod power_cut;
mod sale;
mod stock;
mod stopped;
mod window;
