//! HQ and one pos in one process, for benches

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rusqlite::Transaction;
use selvedge_domain::basket::{BasketLine, Discount};
use selvedge_domain::catalogue::ShelfPrices;
use selvedge_domain::master_data::{self, NewPrice, NewProduct, NewStore, NewTaxRate, NewVariant};
use selvedge_domain::migrations;
use selvedge_domain::moment::Moment;
use selvedge_domain::money::{Currency, Money};
use selvedge_domain::sales::{self, Sale};
use selvedge_domain::staff::{self, NewEmployee, Rights};
use selvedge_domain::tenders::{Tender, TenderKind};
use selvedge_sync::allow_list::Row;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::frame::Frame;
use selvedge_sync::hlc::Millis;
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::incoming::{Incoming, Slice};
use selvedge_sync::open::Migration;
use selvedge_sync::origin::{DeviceId, Origin, Role, Stream};
use selvedge_sync::replica::Replica;
use std::collections::VecDeque;
use std::error::Error;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// SKUs of a bench's catalogue.
pub const SKUS: i64 = 20_000;
/// Lines of every receipt.
pub const LINES: usize = 4;
/// The one store.
pub const STORE: u32 = 1;
/// The one cashier.
const CASHIER: i64 = 1;
/// The moment at which the bench begins.
pub const BEGIN_MS: i64 = 1_790_000_000_000;
/// Rows of one write of master data.
const ROWS_PER_WRITE: i64 = 250;

/// Whatever went wrong in a bench.
pub type Fault = Box<dyn Error + Send + Sync>;

/// Where the databases of a bench lie.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Makes the path of a file from its name.
    pub folder: PathBuf,
    /// The file layer; None is SQLite's own.
    pub vfs: Option<String>,
}

/// The trade's migrations as the engine takes them.
pub fn trade_migrations() -> Vec<Migration> {
    migrations::ALL.iter().map(|(name, sql)| Migration { name, sql }).collect()
}

/// HQ with a full catalogue, and a pos that knows it.
pub struct BenchDesk {
    /// HQ's replica.
    pub hq: Replica,
    /// The replica of the pos.
    pub pos: Replica,
    skus: i64,
    dice: ChaCha8Rng,
    sold: i64,
}

impl BenchDesk {
    /// Makes both, and gives the pos all that HQ has.
    pub fn make(ground: &Ground, skus: i64) -> Result<BenchDesk, Fault> {
        let (mut hq, mut pos) = pair(ground)?;
        fill(&mut hq, skus)?;
        for stream in [Stream::CHAIN, store_stream()?] {
            let frames = frames_of(&hq, stream, 1)?;
            take_all(&mut pos, frames)?;
        }
        Ok(BenchDesk { hq, pos, skus, dice: ChaCha8Rng::seed_from_u64(1), sold: 0 })
    }

    /// Sells one basket at the pos.
    pub fn sell(&mut self) -> Result<(), Fault> {
        self.sold += 1;
        let at = BEGIN_MS + self.sold * 1_000;
        let sale = self.sale(at);
        self.pos.write(Millis(at), |tx| sales::record(tx, &sale))?;
        Ok(())
    }

    fn sale(&mut self, at: i64) -> Sale {
        let lines: Vec<BasketLine> =
            (0..LINES).map(|_| line(zipf(&mut self.dice, self.skus))).collect();
        let given = Money(lines.iter().map(|line| price_minor(line.sku)).sum());
        let tenders = vec![Tender { kind: TenderKind::Card, given }];
        Sale {
            store: STORE.into(),
            cashier: CASHIER,
            at: Moment(at),
            lines,
            tenders,
            ..Sale::default()
        }
    }
}

/// HQ and a pos that know each other and nothing else.
pub fn pair(ground: &Ground) -> Result<(Replica, Replica), Fault> {
    pair_of(ground, &[])
}

/// The same, with these migrations behind the trade's.
pub fn pair_of(ground: &Ground, newer: &[Migration]) -> Result<(Replica, Replica), Fault> {
    let authority = SoftwareKeys::from_seed([1; 32]);
    let hq_keys = SoftwareKeys::from_seed([2; 32]);
    let pos_keys = SoftwareKeys::from_seed([3; 32]);
    let hq_row = row(1, "hq", 0, Role::Hq, &hq_keys, &authority)?;
    let pos_row = row(2, "s0001-p01", STORE, Role::Pos, &pos_keys, &authority)?;
    let all = [&trade_migrations()[..], newer].concat();
    let mut hq = open(ground, &all, "hq.db", &hq_row, hq_keys, &authority)?;
    let mut pos = open(ground, &all, "pos.db", &pos_row, pos_keys, &authority)?;
    let rows = [hq_row, pos_row];
    hq.admit(&rows)?;
    pos.admit(&rows)?;
    Ok((hq, pos))
}

/// The stream of the one store.
pub fn store_stream() -> Result<Stream, Fault> {
    Stream::store(STORE).ok_or_else(|| "store 1 has a stream".into())
}

/// What a thing of a bench costs, in pence: any price, and always the same.
pub fn price_minor(sku: i64) -> i64 {
    95 + sku * 7_919 % 9_900
}

fn line(sku: i64) -> BasketLine {
    BasketLine { sku, quantity: 1, discount: Discount::None, open_price: None }
}

/// A SKU as shops sell them: few often, many seldom.
pub fn zipf(dice: &mut ChaCha8Rng, skus: i64) -> i64 {
    let share: f64 = dice.random_range(0.0..1.0);
    ((skus as f64).powf(share) as i64).clamp(1, skus)
}

/// Every frame of a stream that a replica wrote itself, from an entry on.
pub fn frames_of(replica: &Replica, stream: Stream, first: u64) -> Result<Vec<Frame>, Fault> {
    let origin = replica.identity().origin;
    let (mut next, mut frames) = (first, Vec::new());
    while let Some(frame) = replica.cut(stream, origin, next)? {
        next = frame.last() + 1;
        frames.push(frame);
    }
    Ok(frames)
}

/// Takes frames in, as many in one transaction as its slice allows.
pub fn take_all(replica: &mut Replica, frames: Vec<Frame>) -> Result<(), Fault> {
    let mut queue: VecDeque<Incoming<()>> =
        frames.into_iter().map(|frame| Incoming::new((), frame)).collect();
    while !queue.is_empty() {
        replica.receive(Millis(BEGIN_MS), &mut queue, Slice { rows: 10_000 })?;
    }
    Ok(())
}

/// The device of a bench that stands for HQ, or the one that stands for the pos, opened alone.
pub fn alone(ground: &Ground, role: Role) -> Result<Replica, Fault> {
    let authority = SoftwareKeys::from_seed([1; 32]);
    let (seed, origin, device, store, file) = match role {
        Role::Hq => ([2; 32], 1, "hq", 0, "hq.db"),
        Role::BackOffice | Role::Pos => ([3; 32], 2, "s0001-p01", STORE, "pos.db"),
    };
    let keys = SoftwareKeys::from_seed(seed);
    let row = row(origin, device, store, role, &keys, &authority)?;
    open(ground, &trade_migrations(), file, &row, keys, &authority)
}

fn row(
    origin: u32,
    device: &str,
    store: u32,
    role: Role,
    keys: &SoftwareKeys,
    authority: &SoftwareKeys,
) -> Result<Row, Fault> {
    let origin = Origin::new(origin).ok_or("an origin is 1 or more")?;
    Ok(Row::sign(origin, &DeviceId::new(device)?, store, role, "T1", keys.public(), authority))
}

fn open(
    ground: &Ground,
    migrations: &[Migration],
    file: &str,
    row: &Row,
    keys: SoftwareKeys,
    authority: &SoftwareKeys,
) -> Result<Replica, Fault> {
    let identity = Identity {
        device: row.device.clone(),
        origin: row.origin,
        role: row.role,
        store: row.store,
        authority: authority.public(),
    };
    Ok(Replica::open(Settings {
        path: ground.folder.join(file),
        vfs: ground.vfs.clone(),
        identity,
        keys: Arc::new(keys),
        migrations: migrations.to_vec(),
        cache_kib: 16 * 1_024,
    })?)
}

/// Gives HQ a store, a catalogue of so many SKUs, a cashier and opening stocks.
pub fn fill(hq: &mut Replica, all: i64) -> Result<(), Fault> {
    let currency = Currency::parse("GBP")?;
    hq.write(Millis(BEGIN_MS), |tx| begin(tx, currency))?;
    for first in (1..=all).step_by(ROWS_PER_WRITE as usize) {
        let skus = first..(first + ROWS_PER_WRITE).min(all + 1);
        hq.write(Millis(BEGIN_MS), |tx| goods(tx, skus, currency))?;
    }
    let pin_hash = staff::hash_pin("0000", &[7; 16])?;
    let rights = Rights::parse("sell, discount, open price, return, stock, manage")?;
    let store = i64::from(STORE);
    let cashier =
        NewEmployee { store, id: CASHIER, name: "Bench", badge: "1", pin_hash: &pin_hash, rights };
    hq.write(Millis(BEGIN_MS), |tx| staff::upsert(tx, &cashier))?;
    for first in (1..=all).step_by(ROWS_PER_WRITE as usize) {
        let skus = first..(first + ROWS_PER_WRITE).min(all + 1);
        hq.write(Millis(BEGIN_MS), |tx| skus.into_iter().try_for_each(|sku| stock_up(tx, sku)))?;
    }
    Ok(())
}

fn begin(tx: &Transaction, currency: Currency) -> Result<(), master_data::MasterDataError> {
    let store = i64::from(STORE);
    master_data::upsert_store(
        tx,
        &NewStore { id: store, name: "Bench", currency, shelf_prices: ShelfPrices::TaxIncluded },
    )?;
    let valid_from = Moment(0);
    master_data::upsert_tax_rate(
        tx,
        &NewTaxRate { store, class: 1, valid_from, rate_ppm: 200_000 },
    )?;
    Ok(())
}

/// Table by table: neighbours of one table share a run of the entry.
fn goods(
    tx: &Transaction,
    skus: Range<i64>,
    currency: Currency,
) -> Result<(), master_data::MasterDataError> {
    for sku in skus.clone() {
        let name = format!("Thing {sku}");
        master_data::upsert_product(tx, &NewProduct { id: sku, name: &name, department: None })?;
    }
    for sku in skus.clone() {
        let variant = NewVariant {
            sku,
            product: sku,
            size: None,
            colour: None,
            tax_class: 1,
            favourite: None,
        };
        master_data::upsert_variant(tx, &variant)?;
    }
    let valid_from = Moment(0);
    for sku in skus {
        let unit = Money(price_minor(sku));
        master_data::upsert_price(tx, &NewPrice { sku, store: 0, currency, valid_from, unit })?;
    }
    Ok(())
}

/// Plain SQL: the deed looks for an earlier opening stock first, which 20,000 in a row make slow.
fn stock_up(tx: &Transaction, sku: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO stock_movement (id, store, sku, quantity, reason, at) VALUES (row_id(), ?1, ?2, 1000000, 'opening', ?3)",
    )?
    .execute((STORE, sku, BEGIN_MS))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sale_of_the_bench_is_a_real_one_and_reaches_headquarters() {
        let folder = tempfile::tempdir().unwrap();
        let mut desk =
            BenchDesk::make(&Ground { folder: folder.path().to_owned(), vfs: None }, 200).unwrap();
        desk.sell().unwrap();
        let frames = frames_of(&desk.pos, store_stream().unwrap(), 1).unwrap();
        take_all(&mut desk.hq, frames).unwrap();
        let lines = |db: &rusqlite::Connection| {
            db.query_row("SELECT count(*) FROM receipt_line", [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        assert_eq!((lines(desk.pos.db()), lines(desk.hq.db())), (LINES as i64, LINES as i64));
    }
}
