//! Tables for views, local to each replica

/// Views as they are here, and the newer version that is being fetched.
pub const SCHEMA: &str = "
CREATE TABLE sync_view (
    view  TEXT    NOT NULL PRIMARY KEY,
    head  BLOB    NOT NULL,
    floor INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_view_row (
    view    TEXT    NOT NULL,
    key     BLOB    NOT NULL,
    row     BLOB,
    version INTEGER NOT NULL,
    PRIMARY KEY (view, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_view_pull (
    view  TEXT    NOT NULL PRIMARY KEY,
    head  BLOB    NOT NULL,
    base  INTEGER NOT NULL,
    after BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_view_new (
    view TEXT NOT NULL,
    key  BLOB NOT NULL,
    row  BLOB,
    PRIMARY KEY (view, key)
) STRICT, WITHOUT ROWID;
";
