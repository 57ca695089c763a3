//! A column for a million rows, and what registers keep

use crate::bench_desk::{BEGIN_MS, Fault, Ground, pair_of};
use crate::cpu;
use crate::figure::{Figure, short};
use rusqlite::Connection;
use selvedge_sync::hlc::Millis;
use selvedge_sync::open::Migration;
use selvedge_sync::replica::Replica;
use std::time::Instant;

const ROWS: i64 = 1_000_000;
/// Rows of one write.
const ROWS_PER_WRITE: i64 = 2_000;

const WIDE: Migration = Migration {
    name: "9000_bench_wide",
    sql: "CREATE TABLE wide (no INTEGER PRIMARY KEY, name TEXT NOT NULL, amount INTEGER NOT NULL) STRICT;
          INSERT INTO replicated (table_id, name, rule, writers) VALUES (900, 'wide', 'owner', 'hq');
          CREATE TABLE label (no INTEGER PRIMARY KEY, name TEXT NOT NULL, place INTEGER NOT NULL,
              sv BLOB NOT NULL DEFAULT x'') STRICT;
          INSERT INTO replicated (table_id, name, rule, stream) VALUES (901, 'label', 'register', 'chain')",
};

const NEWER: Migration = Migration {
    name: "9001_bench_newer",
    sql: "INSERT INTO replicated_epoch VALUES (9000);
          ALTER TABLE wide ADD COLUMN unit TEXT;
          ALTER TABLE label ADD COLUMN shade INTEGER NOT NULL DEFAULT 7",
};

/// The figures of a new column, and of the marks of registers.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let folder = tempfile::tempdir()?;
    let ground = Ground { folder: folder.path().to_owned(), vfs: None };
    let (mut hq, _) = pair_of(&ground, &[WIDE])?;
    hq.db().execute_batch("PRAGMA synchronous=NORMAL")?;
    for first in (1..=ROWS).step_by(ROWS_PER_WRITE as usize) {
        fill(&mut hq, "wide (no, name, amount)", first)?;
        fill(&mut hq, "label (no, name, place)", first)?;
    }
    let marks_bytes = marks(hq.db())? / ROWS as f64;
    // Every other row is written once more: one of its columns bears a mark of its own.
    for first in (1..=ROWS).step_by(ROWS_PER_WRITE as usize) {
        hq.write(Millis(BEGIN_MS), |tx| {
            let sql =
                "UPDATE label SET place = place + 1 WHERE no % 2 AND no BETWEEN ?1 AND ?1 + ?2 - 1";
            tx.execute(sql, (first, ROWS_PER_WRITE))
        })?;
    }
    let half_bytes = marks(hq.db())? / ROWS as f64;
    let entries = count(hq.db())?;
    hq.db().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    drop(hq);
    let plain_ms = opened(&ground, &[WIDE])?.0;
    let (both_ms, both_cpu_us, hq) = {
        let begun = Instant::now();
        let (pair, us) = cpu::of(|| pair_of(&ground, &[WIDE, NEWER]))?;
        (begun.elapsed().as_secs_f64() * 1_000.0, us, pair.0)
    };
    let written = count(hq.db())? - entries;
    let sound: i64 =
        hq.db().query_row("SELECT count(*) FROM label WHERE shade = 7", [], |row| row.get(0))?;
    if sound != ROWS {
        return Err("a row has not taken the default".into());
    }
    Ok(vec![
        Figure::at_most(
            "two columns to a million rows each: milliseconds",
            both_ms - plain_ms,
            100.0,
            " ms",
        ),
        Figure::at_most("  for one of them", (both_ms - plain_ms) / 2.0, 50.0, " ms"),
        Figure::beside(
            "  start of the program with it / without, wall",
            format!("{} / {} ms", short(both_ms), short(plain_ms)),
        ),
        Figure::beside(
            "  start of the program with it, CPU",
            format!("{} ms", short(both_cpu_us / 1_000.0)),
        ),
        Figure::at_most("  entries that it writes", written as f64, 0.0, ""),
        Figure::at_most("marks of a register row as added: bytes", marks_bytes + 1.0, 12.0, " B"),
        Figure::at_most("  with every other row written again", half_bytes + 1.0, 12.0, " B"),
    ])
}

fn fill(hq: &mut Replica, into: &str, first: i64) -> Result<(), Fault> {
    hq.write(Millis(BEGIN_MS), |tx| {
        let sql = format!(
            "WITH RECURSIVE n (no) AS (SELECT ?1 UNION ALL SELECT no + 1 FROM n WHERE no < ?1 + ?2 - 1)
             INSERT INTO {into} SELECT no, 'thing ' || no, no % 97 FROM n"
        );
        tx.execute(&sql, (first, ROWS_PER_WRITE))
    })?;
    Ok(())
}

/// Bytes that all marks take; each has one more in the header of its row.
fn marks(db: &Connection) -> Result<f64, Fault> {
    let bytes: i64 = db.query_row("SELECT sum(length(sv)) FROM label", [], |row| row.get(0))?;
    Ok(bytes as f64)
}

fn count(db: &Connection) -> Result<i64, Fault> {
    Ok(db.query_row("SELECT count(*) FROM sync_log", [], |row| row.get(0))?)
}

/// Opens both again; how long that takes.
fn opened(ground: &Ground, newer: &[Migration]) -> Result<(f64, Replica), Fault> {
    let begun = Instant::now();
    let (hq, _) = pair_of(ground, newer)?;
    Ok((begun.elapsed().as_secs_f64() * 1_000.0, hq))
}
