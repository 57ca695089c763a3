//! The trade's words, things and deeds

pub mod gtin;
pub mod moment;
pub mod money;

pub mod catalogue;
pub mod customers;
pub mod listing;
pub mod master_data;
pub mod nutrition;
pub mod receipts;
pub mod shelf;
pub mod staff;

pub mod exceptions;
pub mod stock;
pub mod store_discounts;

pub mod day;
pub mod goods_in;
pub mod once;

pub mod spread;
pub mod basket;
pub mod grand_totals;
pub mod tenders;

pub mod sales;

pub mod in_doubt;
pub mod returns;

pub mod migrations;
