//! What a full HQ spends on the small frames of many devices
//!
//! HQ holds ten million receipts of a thousand devices. Then each sends frames of one to five checkouts, as they come
//! while the line is up, and HQ takes them with FULL and many frames a commit. The frames are real ones: encoded, chained
//! and sealed as a device does it, by its own key.

use crate::bench_desk::{BEGIN_MS, Fault, LINES, price_minor, zipf};
use crate::cpu;
use crate::figure::{Figure, short};
use hq_bridge::migrations;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use selvedge_sync::allow_list::Row;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::entry::{self, Header, Op, RowChange};
use selvedge_sync::ext::Ext;
use selvedge_sync::frame::Frame;
use selvedge_sync::hlc::{Millis, Stamp};
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::incoming::{Incoming, Slice};
use selvedge_sync::origin::{DeviceId, Origin, Role, Stream};
use selvedge_sync::replica::Replica;
use selvedge_sync::row_id;
use selvedge_sync::seal;
use selvedge_sync::tables::{Table, Tables};
use selvedge_sync::value::Value;
use selvedge_sync::version::Head;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

const DEVICES: u32 = 1_000;
const POS_PER_STORE: u32 = 4;
/// Receipts at HQ before the clock starts; SELVEDGE_RECEIPTS says another number, for a trial on a small disk.
const HELD: u64 = 10_000_000;
const SKUS: i64 = 20_000;
/// Checkouts that are measured, in small frames and in full ones.
const SMALL: u64 = 60_000;
const FULL: u64 = 200_000;
const FULL_FRAME: u64 = 1_000;
/// Row changes of one commit, as HQ's hub takes them.
const SLICE: Slice = Slice { rows: 2_000 };
const CACHE_KIB: u32 = 64 * 1024;

/// The figures of ingest.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let held = match std::env::var("SELVEDGE_RECEIPTS") {
        Ok(number) => number.parse()?,
        Err(_) => HELD,
    };
    let folder = tempfile::tempdir()?;
    let (mut hq, mut devices) = chain(folder.path())?;
    let mut fed = 0;
    while fed < held {
        let mut frames = Vec::new();
        for device in &mut devices {
            let count = FULL_FRAME.min(held - fed);
            if count > 0 {
                frames.push(device.frame(hq.tables(), count)?);
                fed += count;
            }
        }
        take(&mut hq, frames, Slice { rows: 100_000 })?;
        eprintln!("{fed} of {held} receipts are at HQ");
    }
    let small = timed(&mut hq, &mut devices, SMALL, |dice| dice.random_range(1..=5))?;
    let full = timed(&mut hq, &mut devices, FULL, |_| FULL_FRAME)?;
    let kept: i64 = hq.db().query_row("SELECT count(*) FROM receipt", [], |row| row.get(0))?;
    if kept.cast_unsigned() != held + small.checkouts + full.checkouts {
        return Err(format!("HQ has {kept} receipts, not all that were sent").into());
    }
    let file = std::fs::metadata(folder.path().join("hq.db"))?.len();
    let held_in = format!("{held} receipts of {DEVICES} devices, {} MB", short(file as f64 / 1e6));
    Ok(vec![
        Figure::at_least(
            "HQ takes frames of 1 to 5 checkouts, in a second of CPU",
            small.per_second(),
            10_000.0,
            "",
        ),
        Figure::beside("  frames, commits and wall time", small.text()),
        Figure::at_least(
            "HQ takes frames of 1,000 checkouts, in a second of CPU",
            full.per_second(),
            40_000.0,
            "",
        ),
        Figure::beside("  frames, commits and wall time", full.text()),
        Figure::beside("  into a replica that held", held_in),
    ])
}

/// What a measured stretch came to.
struct Taken {
    checkouts: u64,
    frames: usize,
    commits: u64,
    cpu_us: f64,
    wall_s: f64,
}

impl Taken {
    fn per_second(&self) -> f64 {
        self.checkouts as f64 / self.cpu_us * 1e6
    }

    fn text(&self) -> String {
        format!("{}, {}, {} s", self.frames, self.commits, short(self.wall_s))
    }
}

fn timed(
    hq: &mut Replica,
    devices: &mut [Device],
    checkouts: u64,
    mut size: impl FnMut(&mut ChaCha8Rng) -> u64,
) -> Result<Taken, Fault> {
    let mut dice = ChaCha8Rng::seed_from_u64(checkouts);
    let (mut made, mut frames) = (0, Vec::new());
    while made < checkouts {
        let device = &mut devices[dice.random_range(0..DEVICES as usize)];
        let count = size(&mut dice).min(checkouts - made);
        frames.push(device.frame(hq.tables(), count)?.encode());
        made += count;
    }
    let (count, begun) = (frames.len(), std::time::Instant::now());
    let (commits, cpu_us) = cpu::of(|| {
        let decoded: Result<Vec<Frame>, _> =
            frames.iter().map(|bytes| Frame::decode(bytes)).collect();
        take(hq, decoded?, SLICE)
    })?;
    let wall_s = begun.elapsed().as_secs_f64();
    Ok(Taken { checkouts, frames: count, commits, cpu_us, wall_s })
}

fn take(hq: &mut Replica, frames: Vec<Frame>, slice: Slice) -> Result<u64, Fault> {
    let mut queue: VecDeque<Incoming<()>> =
        frames.into_iter().map(|frame| Incoming::new((), frame)).collect();
    let mut commits = 0;
    while !queue.is_empty() {
        hq.receive(Millis(BEGIN_MS), &mut queue, slice)?;
        commits += 1;
    }
    Ok(commits)
}

/// HQ, and a thousand devices that it knows.
fn chain(folder: &Path) -> Result<(Replica, Vec<Device>), Fault> {
    let authority = SoftwareKeys::from_seed([1; 32]);
    let keys = SoftwareKeys::from_seed([2; 32]);
    let name = DeviceId::new("hq")?;
    let origin = Origin::new(1).ok_or("an origin is 1 or more")?;
    let own = Row::sign(origin, &name, 0, Role::Hq, "HQ", keys.public(), &authority);
    let identity =
        Identity { device: name, origin, role: Role::Hq, store: 0, authority: authority.public() };
    let mut hq = Replica::open(Settings {
        path: folder.join("hq.db"),
        vfs: None,
        identity,
        keys: Arc::new(keys),
        migrations: migrations::all(),
        cache_kib: CACHE_KIB,
    })?;
    let devices: Vec<Device> = (0..DEVICES).map(Device::numbered).collect::<Result<_, _>>()?;
    let mut rows = vec![own];
    for device in &devices {
        rows.push(device.row(&authority)?);
    }
    hq.admit(&rows)?;
    Ok((hq, devices))
}

/// A pos, as far as HQ hears it.
struct Device {
    origin: Origin,
    store: u32,
    no: u32,
    keys: SoftwareKeys,
    head: Head,
    stream: Stream,
    next_counter: u64,
    dice: ChaCha8Rng,
}

impl Device {
    fn numbered(number: u32) -> Result<Device, Fault> {
        let origin = Origin::new(number + 2).ok_or("an origin is 1 or more")?;
        let store = number / POS_PER_STORE + 1;
        let stream = Stream::store(store).ok_or("a store has a stream")?;
        let mut seed = [3; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        Ok(Device {
            origin,
            store,
            no: number % POS_PER_STORE + 1,
            keys: SoftwareKeys::from_seed(seed),
            head: Head { seq: 0, chain: seal::genesis(origin, stream) },
            stream,
            next_counter: 1,
            dice: ChaCha8Rng::seed_from_u64(number.into()),
        })
    }

    fn row(&self, authority: &SoftwareKeys) -> Result<Row, Fault> {
        let device = DeviceId::new(&format!("s{:04}-p{:02}", self.store, self.no))?;
        let key = self.keys.public();
        Ok(Row::sign(self.origin, &device, self.store, Role::Pos, "T1", key, authority))
    }

    /// The next so many checkouts, sealed.
    fn frame(&mut self, tables: &Tables, checkouts: u64) -> Result<Frame, Fault> {
        let (first, previous) = (self.head.seq + 1, self.head.chain);
        let mut entries = Vec::new();
        for _ in 0..checkouts {
            let entry = self.checkout(tables)?;
            let seq = self.head.seq + 1;
            let chain = seal::next(&self.head.chain, self.origin, self.stream, seq, &entry);
            self.head = Head { seq, chain };
            entries.push(entry);
        }
        let session = seal::SESSION_OF_ENROLLED_KEY;
        let seal = seal::make(&self.keys, self.origin, self.stream, &self.head, session, 0);
        Ok(Frame::new(self.origin, self.stream, first, &previous, seal, entries)?)
    }

    fn checkout(&mut self, tables: &Tables) -> Result<Vec<u8>, Fault> {
        let no = self.head.seq as i64 + 1;
        let at_ms = BEGIN_MS + no * 60_000;
        let base = self.next_counter;
        let receipt = row_id::pack(self.origin, base);
        self.next_counter += 1;
        let skus: Vec<i64> = (0..LINES).map(|_| zipf(&mut self.dice, SKUS)).collect();
        let total: i64 = skus.iter().map(|sku| price_minor(*sku)).sum();
        let find = |name: &str| {
            tables.all().iter().find(|table| table.name == name).ok_or("the trade has receipts")
        };
        let mut rows = vec![row(
            find("receipt")?,
            &[
                ("id", receipt),
                ("no", no),
                ("kind", 1),
                ("cashier", 1),
                ("at", at_ms),
                ("store", self.store.into()),
                ("total_minor", total),
                ("tax_minor", total / 6),
            ],
        )];
        for (sku, line) in skus.iter().zip(1..) {
            let line = [
                ("receipt", receipt),
                ("no", line),
                ("sku", *sku),
                ("quantity", 1),
                ("unit_minor", price_minor(*sku)),
                ("tax_class", 1),
            ];
            rows.push(row(find("receipt_line")?, &line));
        }
        let tender = [("receipt", receipt), ("no", 1), ("kind", 2), ("amount_minor", total)];
        rows.push(row(find("tender")?, &tender));
        let header = Header { epoch: tables.epoch(), stamp: Stamp::at(Millis(at_ms)), base };
        Ok(entry::encode(self.origin, header, &Ext::NONE, &rows, |table| {
            &tables.numbered(table).expect("its rows were just made").layout
        })?)
    }
}

/// A new row with these columns, the others NULL.
fn row(table: &Table, columns: &[(&str, i64)]) -> RowChange<'static> {
    let value = |column: &String| {
        let given = columns.iter().find(|(name, _)| name == column);
        given.map_or(Value::Null, |(_, value)| Value::Int(*value))
    };
    let values: Vec<Value> = table.columns.iter().map(value).collect();
    let values = Cow::Owned(values);
    RowChange { table: table.id, op: Op::Insert, mask: 0, seen: None, values, named: None }
}
