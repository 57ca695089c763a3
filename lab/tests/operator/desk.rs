//! A chain of real processes, and who looks after it

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use lab::chain::{Chain, Wanted};
use lab::hands::Hands;
use lab::import_files;
use lab::layout::Seat;
use lab::process::{Programs, wait_for};
use lab::world::World;
use lab::{replicas, standing, verdict};
use rusqlite::Connection;
use selvedge_sync::open;
use selvedge_sync::origin::Origin;
use selvedge_sync::page_sum::PAGE_BYTES;
use serde_json::Value;
use tokio::runtime::Runtime;

/// How long anything may take; a busy machine is slow, not wrong.
const DEADLINE: Duration = Duration::from_secs(60);

/// A chain on a desk.
pub struct Desk {
    pub chain: Chain,
    world: World,
    _runtime: Runtime,
    _folder: tempfile::TempDir,
}

impl Desk {
    /// Everybody of so many stores with one back office and so many pos each, at work.
    pub fn with(stores: u32, pos: u32) -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let world = World::from_seed(7, stores);
        let desk = folder.path().to_owned();
        let wanted = Wanted { desk, stores, pos, beat_s: 1, card_terminal: false };
        let files = import_files::write_world(&world, &wanted.desk).unwrap();
        let programs = Programs::beside(env!("CARGO_BIN_EXE_lab").as_ref()).unwrap();
        let mut chain = Chain::lay_out(wanted, programs, runtime.handle()).unwrap();
        chain.make(&files, &|_| {}).unwrap();
        chain.start_all(&|_| {}).unwrap();
        Desk { chain, world, _runtime: runtime, _folder: folder }
    }

    /// Waits until it is so, and starts again whoever of these has ended, as a service manager does.
    pub fn until(&mut self, what: &str, kept: &[Seat], is_so: impl Fn(&Desk) -> bool) {
        let done = wait_for(DEADLINE, || {
            for seat in kept {
                if !self.chain.runs(*seat) {
                    self.chain.start_unwatched(*seat).unwrap();
                }
            }
            is_so(self)
        });
        assert!(done, "never so: {what}. {}", self.words());
    }

    /// What everybody has said, for a failed test.
    fn words(&self) -> String {
        let seats = self.chain.seats().into_iter();
        let words = seats.map(|seat| {
            let log = std::fs::read_to_string(self.chain.place(seat).log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(12)..].join("\n");
            format!("\n{}: {:?}\n{last}", seat.device(), self.status(seat))
        });
        words.collect()
    }

    /// What a device says of itself; null while it does not answer.
    pub fn status(&self, seat: Seat) -> Value {
        standing::status(self.chain.page(seat)).unwrap_or_default()
    }

    /// One text of its status, by its place there; empty when there is none.
    pub fn said(&self, seat: Seat, place: &str) -> String {
        let status = self.status(seat);
        status.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A page of a device.
    pub fn page(&self, seat: Seat, path: &str) -> String {
        let answer = ureq::get(format!("http://{}{path}", self.chain.page(seat))).call();
        answer.unwrap().body_mut().read_to_string().unwrap()
    }

    /// Sells so often at a pos, and keeps it and its back office running meanwhile.
    pub fn sell(&mut self, seat: Seat, sales: usize) {
        let code = self.world.variants[3].gtin;
        let person = self.world.staff_of(seat.store()).next().unwrap();
        let (badge, pin) = (person.badge.clone(), person.pin.clone());
        let page = self.chain.page(seat);
        let mut hands = Hands::at(page, &badge, &pin);
        self.until("somebody signs on", &[seat], |_| hands.sign_on().is_ok());
        // A program that was stopped may not know whether anybody has seen its last receipt.
        hands.finish().unwrap_or_else(|why| panic!("{why} {}", self.words()));
        for _ in 0..sales {
            hands.sell(&[code]).unwrap_or_else(|why| panic!("{why} {}", self.words()));
        }
    }

    /// Waits until HQ and all of a store have the same.
    pub fn until_all_agree(&mut self, kept: &[Seat]) {
        self.until("all agree", kept, |desk| {
            replicas::all_stated(&desk.chain).unwrap_or(false)
                && (1..=desk.chain.wanted.stores).all(|store| desk.agrees(store))
        });
    }

    fn agrees(&self, store: u32) -> bool {
        let seats = self.chain.seats().into_iter();
        let of_store = seats.filter(|seat| *seat == Seat::Hq || seat.store() == store);
        let digests = of_store.map(|seat| {
            let nobody = Origin::new(1).unwrap();
            let db = open::reader(&self.database(seat), None, nobody).ok()?;
            Some((seat.device(), verdict::digests(&db, store).ok()?))
        });
        let all: Option<Vec<_>> = digests.collect();
        all.is_some_and(|all| verdict::replicas_agree(store, &all).holds)
    }

    /// The newest database of a seat: a device that goes on under another number has another one.
    fn database(&self, seat: Seat) -> PathBuf {
        let first = replicas::database(self.chain.place(seat));
        let newest =
            first.with_file_name(format!("selvedge-{}.sqlite", self.status(seat)["origin"]));
        if newest.exists() { newest } else { first }
    }

    /// How many receipts of a store HQ has, and what they come to.
    pub fn receipts_at(&self, seat: Seat) -> (i64, i64) {
        let db = replicas::reader(self.chain.place(seat)).unwrap();
        let sql = "SELECT count(*), coalesce(sum(total_minor), 0) FROM receipt";
        db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    /// Flips a bit on the root page of a table in the closed database of a seat; of no table, on the first page.
    pub fn flip_a_bit(&self, seat: Seat, table: Option<&str>) {
        let path = replicas::database(self.chain.place(seat));
        let db = open::by_hand(&path).unwrap();
        // What the log still holds would be read instead of the page.
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let page = table.map_or(1, |table| root_page(&db, table));
        drop(db);
        let file = File::options().read(true).write(true).open(path).unwrap();
        let at = (page - 1) * PAGE_BYTES as u64 + 1_501;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 8], at).unwrap();
    }

    /// Whether the rotten file lies beside the new one.
    pub fn has_moved_aside(&self, seat: Seat) -> bool {
        let path = replicas::database(self.chain.place(seat));
        path.with_file_name(format!("{}.aside", path.file_name().unwrap().to_str().unwrap()))
            .exists()
    }
}

fn root_page(db: &Connection, table: &str) -> u64 {
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let page: i64 = db.query_row(sql, [table], |row| row.get(0)).unwrap();
    page.unsigned_abs()
}
