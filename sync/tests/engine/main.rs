//! The engine as its callers see it, on virtual time

mod desk;

mod compaction;
mod conversation;
mod forks;
mod generations;
mod parents;
mod parking;
mod persons;
mod rights;
mod rot;
mod views;
mod snapshots;
mod write;
