//! HQ hears every store and feeds reporting

pub mod authority;
pub mod config;
pub mod contacts;
pub mod database;

pub mod import;

pub mod control_totals;
pub mod enrolment;
pub mod fleet;

pub mod door;
pub mod figures;
pub mod hq;

pub mod client;
pub mod commands;

pub mod bodies;
pub mod page;
pub mod screens;

pub mod api;
pub mod run;
