//! What an operator does when something is broken

mod desk;
mod generations;
mod rot;
