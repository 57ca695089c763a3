//! HQ hears every store and feeds reporting

pub mod config;

pub mod authority;

pub mod import;
