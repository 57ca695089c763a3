//! What a full HQ spends on the small frames of many devices
//!
//! HQ holds ten million receipts of a thousand devices. Then each sends frames of one to five checkouts, as they come
//! while the line is up, and HQ takes them with FULL and many frames a commit, as many rows in one as HQ's own hub. The
//! frames are real ones: encoded, chained and sealed as a device does it, by its own key. What HQ derives of them is a part
//! of the measured time: as often as a batch of it waits, and to the last receipt at the end.
//!
//! SELVEDGE_RECEIPTS says how many receipts HQ holds, for a trial on a small disk. SELVEDGE_REPLICA names a folder that
//! keeps the filled HQ, so that the next run need not fill it anew; it takes about 5 GB.

use crate::bench_desk::{BEGIN_MS, Fault};
use crate::bench_devices::Device;
use crate::bench_fill;
use crate::cpu;
use crate::figure::{Figure, short};
use hq_bridge::run::SLICE_ROWS;
use hq_bridge::{database, derived, migrations};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use selvedge_sync::allow_list::Row;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::frame::Frame;
use selvedge_sync::hlc::Millis;
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::incoming::{Incoming, Slice};
use selvedge_sync::origin::{DeviceId, Origin, Role};
use selvedge_sync::replica::Replica;
use selvedge_sync::version::Head;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DEVICES: u32 = 1_000;
/// Receipts at HQ before the clock starts.
const HELD: u64 = 10_000_000;
/// Checkouts that are measured, in small frames and in full ones.
const SMALL: u64 = 60_000;
const FULL: u64 = 200_000;
const FULL_FRAME: u64 = 1_000;

/// The figures of ingest.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let held = match std::env::var("SELVEDGE_RECEIPTS") {
        Ok(number) => number.parse()?,
        Err(_) => HELD,
    };
    let passing = tempfile::tempdir()?;
    let folder = match std::env::var_os("SELVEDGE_REPLICA") {
        Some(kept) => PathBuf::from(kept),
        None => passing.path().to_owned(),
    };
    std::fs::create_dir_all(&folder)?;
    let mut devices: Vec<Device> = (0..DEVICES).map(Device::numbered).collect::<Result<_, _>>()?;
    let mut hq = holding(&folder, &mut devices, held)?;
    let held: u64 = devices.iter().map(|device| device.head.seq).sum();
    let small = timed(&mut hq, &mut devices, SMALL, |dice| dice.random_range(1..=5))?;
    let full = timed(&mut hq, &mut devices, FULL, |_| FULL_FRAME)?;
    let kept: i64 = hq.db().query_row("SELECT count(*) FROM receipt", [], |row| row.get(0))?;
    let summed: i64 = hq.db().query_row(
        "SELECT total(receipts) FROM hq_receipt_sum WHERE day = -1 AND (SELECT upto FROM hq_derived) = ?1",
        [kept],
        |row| row.get::<_, f64>(0).map(|sum| sum as i64),
    )?;
    if kept.cast_unsigned() != held + small.checkouts + full.checkouts || summed != kept {
        return Err(format!(
            "HQ has {kept} receipts and the sum of {summed}, not all that were sent"
        )
        .into());
    }
    let file = std::fs::metadata(folder.join("hq.db"))?.len();
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
        take(hq, decoded?)
    })?;
    let wall_s = begun.elapsed().as_secs_f64();
    Ok(Taken { checkouts, frames: count, commits, cpu_us, wall_s })
}

fn take(hq: &mut Replica, frames: Vec<Frame>) -> Result<u64, Fault> {
    let mut queue: VecDeque<Incoming<()>> =
        frames.into_iter().map(|frame| Incoming::new((), frame)).collect();
    let mut commits = 0;
    while !queue.is_empty() {
        hq.receive(Millis(BEGIN_MS), &mut queue, Slice { rows: SLICE_ROWS })?;
        commits += 1;
        while derived::waiting(hq.db())? >= derived::BATCH as i64 {
            derived::catch_up(hq.db())?;
        }
    }
    while derived::catch_up(hq.db())? {}
    Ok(commits)
}

/// HQ with so many receipts of these devices, which it knows.
fn holding(folder: &Path, devices: &mut [Device], held: u64) -> Result<Replica, Fault> {
    let hq = open(folder, devices)?;
    for device in &mut *devices {
        let head = hq.head(device.stream, device.origin);
        device.resume(Head { seq: head.seq, chain: head.chain });
    }
    let found: u64 = devices.iter().map(|device| device.head.seq).sum();
    if found >= held {
        return Ok(hq);
    }
    if found > 0 {
        return Err(format!("the folder holds {found} receipts: name an empty one").into());
    }
    let (tables, ran) = (hq.tables().clone(), bench_fill::migrations_of(hq.db())?);
    drop(hq);
    let each = held.div_ceil(u64::from(DEVICES));
    bench_fill::fill(&folder.join("hq.db"), &ran, &tables, devices, each, Millis(BEGIN_MS))?;
    open(folder, devices)
}

fn open(folder: &Path, devices: &[Device]) -> Result<Replica, Fault> {
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
        cache_kib: database::CACHE_KIB,
    })?;
    database::keep_longer_log(hq.db())?;
    let mut rows = vec![own];
    for device in devices {
        rows.push(device.row(&authority)?);
    }
    hq.admit(&rows)?;
    Ok(hq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::types::Value;

    const FEW: u32 = 9;
    const EACH: u64 = 70;

    fn rows(hq: &Replica, sql: &str) -> Vec<Vec<Value>> {
        let mut select = hq.db().prepare(sql).unwrap();
        let width = select.column_count();
        let row = |row: &rusqlite::Row| (0..width).map(|at| row.get(at)).collect();
        select.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn the_short_way_leaves_the_tables_of_the_ordinary_one() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let make = || (0..FEW).map(Device::numbered).collect::<Result<Vec<_>, _>>().unwrap();
        let (mut short, mut ordinary) = (make(), make());
        let hq = open(folders[0].path(), &short).unwrap();
        let tables = hq.tables().clone();
        let ran = bench_fill::migrations_of(hq.db()).unwrap();
        drop(hq);
        let path = folders[0].path().join("hq.db");
        bench_fill::fill(&path, &ran, &tables, &mut short, EACH, Millis(BEGIN_MS)).unwrap();
        let mut first = open(folders[0].path(), &short).unwrap();
        let mut second = open(folders[1].path(), &ordinary).unwrap();
        let frames = ordinary.iter_mut().map(|device| device.frame(&tables, EACH).unwrap());
        take(&mut second, frames.collect()).unwrap();
        let all = [
            "SELECT * FROM receipt ORDER BY id",
            "SELECT * FROM receipt_line ORDER BY receipt, no",
            "SELECT * FROM tender ORDER BY receipt, no",
            "SELECT * FROM stock_balance ORDER BY store, sku",
            "SELECT * FROM sync_log ORDER BY id",
            "SELECT * FROM sync_head ORDER BY stream, origin",
            "SELECT * FROM sync_seal ORDER BY origin, stream, seq",
            "SELECT * FROM sync_lane ORDER BY lane",
            "SELECT * FROM hq_receipt_sum ORDER BY day, device",
            "SELECT receipt, store FROM hq_receipt_arrival ORDER BY arrival",
            "SELECT store, sku FROM hq_stock_change ORDER BY store, sku",
            "SELECT receipt FROM hq_arrival_of_receipt ORDER BY receipt",
            "SELECT store, arrival FROM hq_arrival_of_store ORDER BY store, arrival",
            "SELECT upto FROM hq_derived",
            "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name",
        ];
        for sql in all {
            assert_eq!(rows(&first, sql), rows(&second, sql), "{sql}");
        }
        let more: Vec<Frame> =
            short.iter_mut().map(|device| device.frame(&tables, 2).unwrap()).collect();
        take(&mut first, more).unwrap();
        let kept = rows(&first, "SELECT count(*) FROM receipt");
        assert_eq!(kept, [[Value::Integer((u64::from(FEW) * (EACH + 2)).cast_signed())]]);
    }
}
