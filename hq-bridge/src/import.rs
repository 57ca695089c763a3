//! Master data from files: catalogue, prices, taxes, people

pub mod lines;

pub mod fields;
