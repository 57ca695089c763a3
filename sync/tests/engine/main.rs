//! The engine as its callers see it, on virtual time

mod desk;

mod compaction;
mod conversation;
mod epochs;
mod forks;
mod generations;
mod lacking;
mod parents;
mod parking;
mod persons;
mod registers;
mod rights;
mod rot;
mod set_back;
mod views;
mod snapshots;
mod snapshots_beside;
mod write;
