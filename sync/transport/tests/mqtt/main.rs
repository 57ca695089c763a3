//! Real brokers, real processes, real lines

mod broker;
mod common;
mod lines;
