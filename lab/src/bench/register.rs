//! What it costs to apply changes of register columns
//!
//! Against plain upserts of the same rows and values, prepared once, in transactions of the same size. HQ verifies, keeps
//! and merges; a plain upsert does none of it. Beside it stands what merging alone costs: the same changes by the same
//! way, to a table of an owner, where nothing is weighed.

use crate::bench_desk::{BEGIN_MS, Fault, Ground, frames_of, pair_of};
use crate::bench_label::{BARE, OWNED, REGISTER};
use crate::cpu;
use crate::figure::{Figure, median, short};
use crate::plain_sale::without_waiting_for_the_disk;
use rusqlite::Connection;
use selvedge_sync::hlc::Millis;
use selvedge_sync::incoming::{Incoming, Slice};
use selvedge_sync::open;
use selvedge_sync::open::Migration;
use selvedge_sync::origin::Stream;
use selvedge_sync::replica::Replica;
use std::collections::VecDeque;

const PAIRS: u64 = 7;
const ROWS: i64 = 20_000;
/// Changes of one write, and rows of one transaction at the receiver.
const ROWS_PER_WRITE: i64 = 250;
const ROWS_PER_COMMIT: i64 = 5_000;

/// The figures of registers.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let (mut against_plain, mut against_owner, mut again, mut changes) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..PAIRS {
        let plain = plain()?;
        let (merged, merged_again) = applied(REGISTER)?;
        let (owned, _) = applied(OWNED)?;
        if round == 0 {
            continue;
        }
        against_plain.push(plain / merged);
        again.push(plain / merged_again);
        against_owner.push(owned / merged);
        changes.push(ROWS as f64 / merged * 1_000_000.0);
    }
    Ok(vec![
        Figure::at_least(
            "register, one column of each row: CPU against plain upsert",
            median(&against_plain),
            0.80,
            "x",
        ),
        Figure::beside("  the same column once more", format!("{}x", short(median(&again)))),
        Figure::beside(
            "  merging alone: against an owner's rows by the same way",
            format!("{}x", short(median(&against_owner))),
        ),
        Figure::beside("  changes applied in a second of CPU", short(median(&changes))),
    ])
}

fn plain() -> Result<f64, Fault> {
    let folder = tempfile::tempdir()?;
    let mut db = open::local(&folder.path().join("plain.db"), None, &[])?;
    db.execute_batch("PRAGMA cache_size=-16384")?;
    db.execute_batch(BARE)?;
    without_waiting_for_the_disk(&db)?;
    let upsert = "INSERT INTO label (no, name, place) VALUES (?1, ?2, ?3)
                  ON CONFLICT (no) DO UPDATE SET place = excluded.place";
    let run = |db: &mut Connection, turn: i64| {
        for first in (1..=ROWS).step_by(ROWS_PER_COMMIT as usize) {
            let tx = db.transaction()?;
            for no in first..first + ROWS_PER_COMMIT {
                tx.prepare_cached(upsert)?.execute((
                    no,
                    "a label of some length",
                    no % 97 + turn,
                ))?;
            }
            tx.commit()?;
        }
        Ok::<(), rusqlite::Error>(())
    };
    run(&mut db, 0)?;
    Ok(cpu::of(|| run(&mut db, 1))?.1)
}

/// CPU of two rounds of changes at HQ, each of one column of every row.
fn applied(schema: Migration) -> Result<(f64, f64), Fault> {
    let folder = tempfile::tempdir()?;
    let ground = Ground { folder: folder.path().to_owned(), vfs: None };
    let (mut writer, mut reader) = pair_of(&ground, &[schema])?;
    without_waiting_for_the_disk(writer.db())?;
    without_waiting_for_the_disk(reader.db())?;
    let mut first = 1;
    let mut turn = |writer: &mut Replica, reader: &mut Replica, sql: &str| {
        for no in (1..=ROWS).step_by(ROWS_PER_WRITE as usize) {
            writer.write(Millis(BEGIN_MS), |tx| tx.execute(sql, (no, ROWS_PER_WRITE)))?;
        }
        let frames = frames_of(writer, Stream::CHAIN, first)?;
        first = writer.head(Stream::CHAIN, writer.identity().origin).seq + 1;
        let mut queue: VecDeque<Incoming<()>> =
            frames.into_iter().map(|frame| Incoming::new((), frame)).collect();
        let (_, us) = cpu::of(|| {
            while !queue.is_empty() {
                reader.receive(
                    Millis(BEGIN_MS),
                    &mut queue,
                    Slice { rows: ROWS_PER_COMMIT as usize },
                )?;
            }
            Ok::<(), rusqlite::Error>(())
        })?;
        Ok::<f64, Fault>(us)
    };
    turn(
        &mut writer,
        &mut reader,
        "WITH RECURSIVE n (no) AS (SELECT ?1 UNION ALL SELECT no + 1 FROM n WHERE no < ?1 + ?2 - 1)
         INSERT INTO label (no, name, place) SELECT no, 'a label of some length', no % 97 FROM n",
    )?;
    let change = "UPDATE label SET place = place + 1 WHERE no BETWEEN ?1 AND ?1 + ?2 - 1";
    let once = turn(&mut writer, &mut reader, change)?;
    let again = turn(&mut writer, &mut reader, change)?;
    let sum = |replica: &Replica| {
        replica.db().query_row("SELECT sum(place) FROM label", [], |row| row.get::<_, i64>(0))
    };
    if sum(&writer)? != sum(&reader)? {
        return Err("head office has other labels than were written".into());
    }
    Ok((once, again))
}
