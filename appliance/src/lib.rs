//! The program on every back office and pos

pub mod amounts;
pub mod assets;
pub mod clock;
pub mod texts;
pub mod card_terminal;
pub mod simulated_terminal;
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

pub mod payment_intents;
pub mod baskets;
pub mod unseen;
pub mod basket_rows;
pub mod card_line;
pub mod database;
pub mod outage;

pub mod search_words;
pub mod search_index;
pub mod search;

pub mod ringing;
pub mod paid_basket;
pub mod payment;
pub mod in_doubt;
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
