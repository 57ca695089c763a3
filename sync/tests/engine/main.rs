//! The engine as its callers see it: real SQLite, virtual time, no network

mod desk;

mod conversation;
mod parking;
mod write;
