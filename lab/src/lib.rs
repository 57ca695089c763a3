//! The whole chain on one desk
pub mod goods;
pub mod wires;
pub mod world;
