//! The whole chain on one desk

pub mod sources;
pub mod rows;
pub mod goods;
pub mod recompute;
pub mod trade_file;
pub mod wires;
pub mod world;
