//! Carries peer messages between replicas over MQTT

pub mod address;

pub mod payload;

pub mod probe;

pub mod front;

pub mod broker;

pub mod broker_child;

pub mod connection;

pub mod line;

pub mod engine_thread;

pub mod engine;
