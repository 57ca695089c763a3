//! How many exceptions nobody has looked at yet

use std::collections::HashMap;

use rusqlite::Connection;

/// How many are open in each store that has any.
pub fn by_store(db: &Connection) -> rusqlite::Result<HashMap<i64, i64>> {
    db.prepare_cached("SELECT store, count(*) FROM exception_open GROUP BY store")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
