//! The replication engine, which knows no trade

pub mod device_keys;
pub mod hlc;
pub mod origin;
