//! The program on every back office and pos

pub mod amounts;
pub mod assets;
pub mod clock;
pub mod texts;
pub mod settings;
pub mod config;
pub mod doors;
pub mod fonts;
pub mod keys;
pub mod local_time;

pub mod freshness;
pub mod standing;
pub mod status;

pub mod readers;
pub mod kiosk;

pub mod baskets;
pub mod basket_rows;
pub mod database;
pub mod outage;

pub mod search_words;
pub mod search_index;
pub mod search;

pub mod ringing;
pub mod payment;
pub mod signon;

pub mod basket_view;
pub mod page;
pub mod follower;
pub mod find_view;

pub mod office;

pub mod today_devices;
pub mod today_exceptions;
pub mod today_sales;

pub mod screens;

pub mod health;
pub mod kiosk_door;
pub mod live;
pub mod server;
