//! What must hold where devices run different schemas (I18)

use crate::shadow::row_sum;
use crate::tags::version;
use crate::upgrades::TONES;
use crate::verdict::Finding;
use rusqlite::Connection;
use selvedge_sync::entry::Op;
use selvedge_sync::entry_reader::Reader;
use selvedge_sync::origin::Origin;
use selvedge_sync::tables::Tables;
use selvedge_sync::value::Borrowed;

/// The tone of a sale by a device that knows none.
const TONELESS: i64 = 7;

/// What everybody of a store agrees on beyond the first version. All columns count, the marks of registers too; the
/// store is the only parameter.
const ALL: [(&str, &str); 5] = [
    ("price", "SELECT * FROM price WHERE ?1 > 0"),
    ("sale", "SELECT * FROM sale WHERE store = ?1"),
    ("movement", "SELECT * FROM movement WHERE store = ?1"),
    ("tag", "SELECT * FROM tag WHERE store = ?1"),
    ("parcel", "SELECT * FROM parcel WHERE store = ?1"),
];

/// I18: devices of one version agree on every column, whoever was brought up first.
pub fn check_i18(device: &Connection, hq: &Connection, store: u32) -> Finding {
    let failed = |cause: rusqlite::Error| format!("the database does not answer: {cause}");
    if version(device).map_err(failed)? != version(hq).map_err(failed)? {
        return Ok(());
    }
    for (table, sql) in ALL {
        if table == "parcel" && version(hq).map_err(failed)? < 2 {
            continue;
        }
        if sum(device, sql, store).map_err(failed)? != sum(hq, sql, store).map_err(failed)? {
            return Err(format!("all have one schema, the columns of {table} are not equal"));
        }
    }
    let lost = "SELECT key, col, version, origin, value FROM sync_lost
                WHERE stream = ?1 AND col NOT IN
                (SELECT column_id FROM sync_column c WHERE c.table_id = sync_lost.table_id AND gone)";
    if sum(device, lost, store).map_err(failed)? != sum(hq, lost, store).map_err(failed)? {
        return Err("all have one schema and do not keep the same losers".to_owned());
    }
    let stuck = "SELECT count(*) FROM sync_parked WHERE reason IN ('Epoch', 'UnknownTable', 'Early', 'Constraint')";
    let stuck: i64 = device.query_row(stuck, [], |row| row.get(0)).map_err(failed)?;
    if stuck > 0 {
        return Err(format!("{stuck} entries are parked though all have one schema"));
    }
    Ok(())
}

fn sum(db: &Connection, sql: &str, store: u32) -> rusqlite::Result<u128> {
    let mut select = db.prepare_cached(sql)?;
    let columns = select.column_count();
    let (mut rows, mut sum) = (select.query([store])?, 0_u128);
    while let Some(row) = rows.next()? {
        let values =
            (0..columns).map(|at| row.get_ref(at)).collect::<rusqlite::Result<Vec<_>>>()?;
        sum = sum.wrapping_add(row_sum(values));
    }
    Ok(sum)
}

/// I18, the other half: a column holds what its writer wrote, or its default where the writer did not have it.
pub fn check_i18_tones(db: &Connection) -> Finding {
    let failed = |cause: rusqlite::Error| format!("the database does not answer: {cause}");
    if version(db).map_err(failed)? < 2 {
        return Ok(());
    }
    let tables = Tables::load(db).map_err(|cause| cause.to_string())?;
    let Some(sale) = tables.numbered(1) else { return Ok(()) };
    let all = "SELECT e.origin, e.entry FROM sync_entry e LEFT JOIN sync_parked p USING (origin, stream, seq)
               WHERE p.seq IS NULL";
    let mut select = db.prepare_cached(all).map_err(failed)?;
    let mut rows = select.query([]).map_err(failed)?;
    let mut tone = db.prepare_cached("SELECT tone, no FROM sale WHERE id = ?1").map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let origin = row.get(0).map_err(failed)?;
        let entry: Vec<u8> = row.get(1).map_err(failed)?;
        let Some(Ok(mut reader)) = Origin::new(origin).map(|origin| Reader::open(&entry, origin))
        else {
            continue;
        };
        let epoch = reader.header().epoch;
        let mut values = Vec::new();
        while let Ok(Some(run)) = reader.next_run() {
            if run.table != 1 || run.op != Op::Insert {
                continue;
            }
            while let Ok(Some(_)) = reader.next_row(&sale.layout, &mut values) {
                let Some(Borrowed::Int(id)) = values.first() else { continue };
                let found = tone.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)));
                let (found, no): (i64, i64) = found.map_err(failed)?;
                let wrote = if epoch < 2 { TONELESS } else { no % TONES };
                if found != wrote {
                    return Err(format!("sale {id} has tone {found}, its writer gave it {wrote}"));
                }
            }
        }
    }
    Ok(())
}
