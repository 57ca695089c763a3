//! Virtual replicas on virtual time, one seed a run

pub mod dice;

pub mod clocks;

pub mod platter;

pub mod drive;

pub mod disk;

pub mod network;

pub mod power;
