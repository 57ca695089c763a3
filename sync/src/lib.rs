//! The replication engine, which knows no trade
