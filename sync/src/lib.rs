//! The replication engine, which knows no trade

pub mod hlc;

pub mod origin;

pub mod version;

pub mod device_keys;

pub mod canonical;

pub mod seal;

pub mod packing;

pub mod frame;

pub mod wire;

pub mod allow_list;

pub mod admission;

pub mod topics;
