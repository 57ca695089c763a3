//! A small table of labels, as a register, of an owner, bare

use selvedge_sync::open::Migration;

/// Labels that several may change.
pub const REGISTER: Migration = Migration {
    name: "9000_bench_label",
    sql: "CREATE TABLE label (no INTEGER PRIMARY KEY, name TEXT NOT NULL, place INTEGER NOT NULL,
              sv BLOB NOT NULL DEFAULT x'') STRICT;
          INSERT INTO replicated (table_id, name, rule, stream) VALUES (901, 'label', 'register', 'chain')",
};

/// The same labels, changed by their owner alone.
pub const OWNED: Migration = Migration {
    name: "9000_bench_label",
    sql: "CREATE TABLE label (no INTEGER PRIMARY KEY, name TEXT NOT NULL, place INTEGER NOT NULL) STRICT;
          INSERT INTO replicated (table_id, name, rule, stream) VALUES (901, 'label', 'owner', 'chain')",
};

/// The same labels where nothing replicates.
pub const BARE: &str = "CREATE TABLE label (no INTEGER PRIMARY KEY, name TEXT NOT NULL, place INTEGER NOT NULL) STRICT";
