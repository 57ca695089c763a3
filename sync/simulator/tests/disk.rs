//! SQLite on the simulated disk keeps what it promised

use rusqlite::{Connection, OpenFlags};
use selvedge_simulator::dice::Dice;
use selvedge_simulator::disk;
use selvedge_simulator::drive::Drive;
use selvedge_simulator::platter::{Failure, Loss, Refusal};

const ROWS: i64 = 12;

fn connect(disk: &Drive, synchronous: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let db = Connection::open_with_flags_and_vfs(disk.path("rows.db"), flags, disk::VFS)?;
    db.execute_batch(&format!("PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 4;"))?;
    Ok(db)
}

/// Adds rows 1, 2, 3 ... until the power goes, and says how many were acknowledged.
fn fill(disk: &Drive, synchronous: &str) -> i64 {
    let Ok(db) = connect(disk, synchronous) else { return 0 };
    (1..=ROWS)
        .take_while(|no| db.execute("INSERT INTO paid VALUES (?1, zeroblob(900))", [no]).is_ok())
        .count() as i64
}

fn prepared() -> Drive {
    disk::seed(Dice::new(1));
    let disk = Drive::mount("till");
    let db = connect(&disk, "FULL").expect("the disk has power");
    db.execute_batch("CREATE TABLE paid (no INTEGER PRIMARY KEY, slip BLOB)")
        .expect("the disk has power");
    disk
}

/// Cuts at every operation under every policy: (cuts, acknowledged rows that were lost).
fn cut_everywhere(synchronous: &str) -> (u64, i64) {
    let (start, mut dice) = (prepared().copy(), Dice::new(2));
    let (mut cuts, mut lost) = (0, 0);
    for operation in 0.. {
        let mut finished = false;
        for loss in [Loss::Nothing, Loss::Everything, Loss::Torn, Loss::Torn] {
            let mut disk = Drive::mount_copy("till", start.clone());
            disk.cut_after(operation);
            let acknowledged = fill(&disk, synchronous);
            finished = !disk.is_dark();
            disk.cut(loss, &mut dice);
            let db = connect(&disk, synchronous).expect("the disk has power");
            let check: String = db
                .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                .expect("the disk has power");
            assert_eq!(check, "ok", "cut at {operation}, {loss:?}");
            let (kept, last): (i64, i64) = db
                .query_row("SELECT count(*), ifnull(max(no), 0) FROM paid", [], |row| {
                    row.try_into()
                })
                .expect("the disk has power");
            assert_eq!(kept, last, "rows are kept in order");
            assert!(kept <= acknowledged + 1, "at most one row is in doubt");
            lost += (acknowledged - kept).max(0);
            cuts += 1;
        }
        if finished {
            break;
        }
    }
    (cuts, lost)
}

#[test]
fn a_cut_at_any_operation_loses_no_acknowledged_row_under_full() {
    let (cuts, lost) = cut_everywhere("FULL");
    assert!(cuts > 200, "{cuts} cuts");
    assert_eq!(lost, 0, "acknowledged rows lost in {cuts} cuts");
}

#[test]
fn the_same_cuts_lose_acknowledged_rows_under_normal() {
    let (cuts, lost) = cut_everywhere("NORMAL");
    assert!(lost > 0, "the disk forgets too little: nothing lost in {cuts} cuts");
}

#[test]
fn a_full_disk_refuses_a_row_and_keeps_the_others() {
    let disk = prepared();
    disk.limit(Some(disk.used_bytes() + 20_000));
    let acknowledged = fill(&disk, "FULL");
    assert!((1..ROWS).contains(&acknowledged), "{acknowledged} rows fitted");
    disk.limit(None);
    let kept: i64 = connect(&disk, "FULL")
        .unwrap()
        .query_row("SELECT count(*) FROM paid", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, acknowledged);
}

#[test]
fn an_error_at_any_operation_loses_no_acknowledged_row() {
    let (start, mut dice) = (prepared().copy(), Dice::new(3));
    for operation in 1..200 {
        let mut disk = Drive::mount_copy("till", start.clone());
        let at = disk.counts().operations + operation;
        disk.plan(Some(Failure { at, refusal: Refusal::Io, lasting: false }));
        let acknowledged = fill(&disk, "FULL");
        disk.cut(Loss::Torn, &mut dice);
        let kept: i64 = connect(&disk, "FULL")
            .unwrap()
            .query_row("SELECT count(*) FROM paid", [], |row| row.get(0))
            .unwrap();
        assert!(kept >= acknowledged, "error at {operation}: {kept} of {acknowledged}");
    }
}

#[test]
fn two_connections_share_one_file() {
    let disk = prepared();
    let (writer, reader) = (connect(&disk, "FULL").unwrap(), connect(&disk, "FULL").unwrap());
    let count = |db: &Connection| {
        db.query_row("SELECT count(*) FROM paid", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&reader), 0);
    writer.execute("INSERT INTO paid VALUES (1, NULL)", []).unwrap();
    assert_eq!((count(&reader), count(&writer)), (0, 1), "a reader keeps its view");
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&reader), 1);
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(
        reader.execute("INSERT INTO paid VALUES (2, NULL)", []).is_err(),
        "one writer at a time"
    );
    drop(reader);
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&writer), 1, "a connection that leaves takes nothing with it");
}

#[test]
fn a_connection_to_a_dead_disk_only_fails() {
    let mut disk = prepared();
    let db = connect(&disk, "FULL").unwrap();
    disk.cut(Loss::Everything, &mut Dice::new(4));
    assert!(db.execute("INSERT INTO paid VALUES (1, NULL)", []).is_err());
    drop(db);
    assert_eq!(fill(&disk, "FULL"), ROWS);
}
