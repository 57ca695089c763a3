//! What HQ keeps for itself beside the tables of the trade

use selvedge_domain::migrations;
use selvedge_sync::open::Migration;

/// HQ's own tables, oldest first. They stand after those of the trade, whose rows they follow.
const OWN: &[(&str, &str)] = &[
    ("hq_0001_reading", include_str!("../migrations/hq_0001_reading.sql")),
    ("hq_0002_derived", include_str!("../migrations/hq_0002_derived.sql")),
];

/// Every change of the schema of HQ's database, oldest first.
pub fn all() -> Vec<Migration> {
    let every = migrations::ALL.iter().chain(OWN);
    every.map(|(name, sql)| Migration { name, sql }).collect()
}
