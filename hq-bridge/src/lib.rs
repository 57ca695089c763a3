//! HQ hears every store and feeds reporting

pub mod authority;
pub mod config;
pub mod contacts;
pub mod migrations;
pub mod sums;
pub mod times;

pub mod derived;

pub mod database;

pub mod second_copy;
pub mod succession;

pub mod import;

pub mod control_totals;
pub mod enrolment;
pub mod freshness;
pub mod open_exceptions;
pub mod tokens;

pub mod forks;

pub mod condition;
pub mod decisions;
pub mod trouble;

pub mod door;

pub mod fleet;
pub mod hq;

pub mod figures;

pub mod client;
pub mod commands;

pub mod bodies;
pub mod overview;
pub mod page;

pub mod live;
pub mod screens;

pub mod rest;

pub mod api;
pub mod routes;
pub mod run;
