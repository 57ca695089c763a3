//! The program on every back office and pos

pub mod amounts;
pub mod clock;
pub mod config;
pub mod keys;
