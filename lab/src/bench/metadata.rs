//! What the engine keeps beside rows, and 90 days offline
//!
//! A pos writes a million rows; its log is trimmed as a hub trims it, and the pages of the engine's own tables stand beside
//! those of the trade. Registers carry their marks in the row: the same rows are kept once as a register and once without.
//! Then 90 days of 600 receipts: with a log that nobody takes, and with one that HQ has taken each evening.

use crate::bench_desk::{BEGIN_MS, Fault, Ground, SKUS, pair, pair_of, store_stream};
use crate::bench_label::{BARE, REGISTER};
use crate::figure::{Figure, short};
use crate::plain_sale;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rusqlite::Connection;
use selvedge_sync::hlc::Millis;
use selvedge_sync::open;
use selvedge_sync::origin::Origin;
use selvedge_sync::register::{Mark, Marks};
use selvedge_sync::replica::Replica;
use selvedge_sync::talk::HubSettings;

/// Six rows each: a million rows.
const SALES: i64 = 166_667;
const LABELS: i64 = 200_000;
const LABELS_PER_WRITE: i64 = 1_000;
const DAYS: i64 = 90;
const RECEIPTS_PER_DAY: i64 = 600;
const DAY_MS: i64 = 86_400_000;
/// Pos of a large store.
const POS: f64 = 8.0;

/// The figures of the metadata.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let mut figures = facts()?;
    figures.extend(registers()?);
    figures.extend(ninety_days()?);
    Ok(figures)
}

fn facts() -> Result<Vec<Figure>, Fault> {
    let folder = tempfile::tempdir()?;
    let (_hq, mut pos) = pair(&Ground { folder: folder.path().to_owned(), vfs: None })?;
    plain_sale::without_waiting_for_the_disk(pos.db())?;
    let mut dice = ChaCha8Rng::seed_from_u64(1);
    for no in 1..=SALES {
        sell(&mut pos, no, BEGIN_MS + no * 1_000, &mut dice)?;
    }
    let whole = share(pos.db())?;
    trim(&mut pos)?;
    Ok(vec![
        Figure::at_most(
            "metadata beside 1 M rows of facts, log trimmed",
            share(pos.db())?,
            2.0,
            " %",
        ),
        Figure::beside("  with the whole log", format!("{} %", short(whole))),
    ])
}

/// The engine's pages as per cent of all others.
fn share(db: &Connection) -> Result<f64, Fault> {
    Ok(pages(db, true)? as f64 / pages(db, false)? as f64 * 100.0)
}

/// Bytes of the pages that the engine's own tables and their indexes take, or all others.
fn pages(db: &Connection, own: bool) -> rusqlite::Result<i64> {
    db.query_row(
        "SELECT coalesce(sum(d.pgsize), 0) FROM dbstat d
         LEFT JOIN sqlite_schema s ON s.name = d.name
         WHERE (coalesce(s.tbl_name, d.name) GLOB 'sync_*') = ?1",
        [own],
        |row| row.get(0),
    )
}

/// What its marks add to a row: as it was added, and once a column of it was changed.
fn registers() -> Result<Vec<Figure>, Fault> {
    let folder = tempfile::tempdir()?;
    let ground = Ground { folder: folder.path().to_owned(), vfs: None };
    let (mut hq, _pos) = pair_of(&ground, &[REGISTER])?;
    plain_sale::without_waiting_for_the_disk(hq.db())?;
    let mut on_all = |sql: &str| {
        for first in (1..=LABELS).step_by(LABELS_PER_WRITE as usize) {
            hq.write(Millis(BEGIN_MS), |tx| tx.execute(sql, (first, LABELS_PER_WRITE)))?;
        }
        marks_of(hq.db())
    };
    let added = on_all(
        "WITH RECURSIVE n (no) AS (SELECT ?1 UNION ALL SELECT no + 1 FROM n WHERE no < ?1 + ?2 - 1)
         INSERT INTO label (no, name, place) SELECT no, 'a label of some length', no % 97 FROM n",
    )?;
    let place = "UPDATE label SET place = 98 - place WHERE no BETWEEN ?1 AND ?1 + ?2 - 1";
    let changed = on_all(place)?;
    on_all("UPDATE label SET name = name || '.' WHERE no BETWEEN ?1 AND ?1 + ?2 - 1")?;
    // The first column bears another mark than the second now.
    let both = on_all(place)?;
    Ok(vec![
        Figure::at_most("metadata of a register row, as it was added", added, 12.0, " B"),
        Figure::at_most("  one column changed since, by its own writer", changed, 12.0, " B"),
        Figure::at_most("  two columns changed since, each by itself", both, 12.0, " B"),
        Figure::beside("  two columns, by three writers of HQ's third generation", by_three()?),
    ])
}

/// The most that two columns cost in a chain whose numbers are high: one origin has added the row, two others have each
/// changed a column.
fn by_three() -> Result<String, Fault> {
    let mark = |version, number| Some(Mark { version, origin: Origin::new(number)? });
    let marks = (|| {
        let mut marks = Marks::of_row(mark(1, 131_073)?);
        marks.write(1, mark(2, 131_074)?);
        marks.write(2, mark(2, 131_075)?);
        Some(marks)
    })();
    // A row spends a byte more on how long they are.
    let bytes = marks.ok_or("an origin is 1 or more")?.to_bytes().len() + 1;
    Ok(format!("{bytes} B"))
}

/// Bytes that the marks of a register add to each row, against the same rows in a table without them. Of cells and not
/// of pages: how full pages are is for the order of writing to say.
fn marks_of(db: &Connection) -> Result<f64, Fault> {
    let folder = tempfile::tempdir()?;
    let bare = open::local(&folder.path().join("bare.db"), None, &[])?;
    bare.execute_batch(BARE)?;
    let tx = bare.unchecked_transaction()?;
    let mut select = db.prepare("SELECT no, name, place FROM label")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let row: (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        tx.prepare_cached("INSERT INTO label VALUES (?1, ?2, ?3)")?.execute(row)?;
    }
    tx.commit()?;
    let payload = |db: &Connection| {
        let sql = "SELECT CAST(sum(payload) AS REAL) FROM dbstat WHERE name = 'label'";
        db.query_row(sql, [], |row| row.get::<_, f64>(0))
    };
    Ok((payload(db)? - payload(&bare)?) / LABELS as f64)
}

/// A pos that nobody hears, and one whose entries HQ has taken and keeps twice by each evening.
fn ninety_days() -> Result<Vec<Figure>, Fault> {
    let (mut alone, mut heard) = (Vec::new(), Vec::new());
    for (online, curve) in [(false, &mut alone), (true, &mut heard)] {
        let folder = tempfile::tempdir()?;
        let (_hq, mut pos) = pair(&Ground { folder: folder.path().to_owned(), vfs: None })?;
        plain_sale::without_waiting_for_the_disk(pos.db())?;
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        for day in 0..DAYS {
            for sale in 1..=RECEIPTS_PER_DAY {
                let no = day * RECEIPTS_PER_DAY + sale;
                sell(&mut pos, no, BEGIN_MS + day * DAY_MS + sale * 60_000, &mut dice)?;
            }
            if online {
                trim(&mut pos)?;
            }
            pos.db().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            let bytes = std::fs::metadata(folder.path().join("pos.db"))?.len();
            curve.push(bytes as f64 / 1e6);
        }
    }
    let of = |curve: &[f64]| {
        let days = [1, 15, 30, 45, 60, 75, 90].map(|day| short(curve[day - 1]));
        format!("{} MB", days.join(" "))
    };
    let a_day = |curve: &[f64]| (curve[89] - curve[29]) / 60.0;
    let steady = (alone[89] - alone[59]) / (alone[59] - alone[29]);
    let rates = format!("{} / {} KB", short(a_day(&alone) * 1e3), short(a_day(&heard) * 1e3));
    Ok(vec![
        Figure::at_most(
            "90 days offline, 600 receipts a day, store of 8 pos",
            alone[89] * POS / 1e3,
            1.0,
            " GB",
        ),
        Figure::beside("  the database of one pos after 1, 15 ... 90 days", of(&alone)),
        Figure::beside("  the same with its log trimmed each evening", of(&heard)),
        Figure::beside("  a day more, offline / trimmed", rates),
        Figure::at_most("  days 61 to 90 against days 31 to 60", steady, 1.1, "x"),
    ])
}

fn sell(pos: &mut Replica, no: i64, at_ms: i64, dice: &mut ChaCha8Rng) -> Result<(), Fault> {
    pos.write(Millis(at_ms), |tx| plain_sale::write(tx, no, at_ms, SKUS, dice))?;
    Ok(())
}

/// All but the newest entries, as a hub does once HQ keeps them twice.
fn trim(pos: &mut Replica) -> Result<(), Fault> {
    let (stream, origin) = (store_stream()?, pos.identity().origin);
    let kept = HubSettings::default().keep_entries;
    let to = pos.head(stream, origin).seq.saturating_sub(kept);
    pos.trim_log(stream, origin, to, u64::MAX)?;
    Ok(())
}
