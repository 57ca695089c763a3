//! Many devices that sell, as HQ hears them
//!
//! Their entries are real ones: encoded, chained and sealed as a device does it, each by its own key. Nothing is kept of
//! them but their heads, so a thousand of them fit into a bench.

use crate::bench_desk::{BEGIN_MS, Fault, LINES, SKUS, price_minor, zipf};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use selvedge_sync::allow_list::Row;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::entry::{self, Header, Op, RowChange};
use selvedge_sync::ext::Ext;
use selvedge_sync::frame::Frame;
use selvedge_sync::hlc::{Millis, Stamp};
use selvedge_sync::origin::{DeviceId, Origin, Role, Stream};
use selvedge_sync::row_id;
use selvedge_sync::seal::{self, Seal};
use selvedge_sync::tables::{Table, Tables};
use selvedge_sync::value::Value;
use selvedge_sync::version::Head;
use std::borrow::Cow;

/// Pos of one store.
pub const POS_PER_STORE: u32 = 4;

/// A pos, as far as HQ hears it.
pub struct Device {
    /// Its number on the wire.
    pub origin: Origin,
    /// In which store.
    pub store: u32,
    /// What it has written.
    pub head: Head,
    /// Where it writes.
    pub stream: Stream,
    number: u32,
    keys: SoftwareKeys,
    dice: ChaCha8Rng,
}

/// What one checkout holds.
pub struct Checkout {
    /// The id of the receipt.
    pub receipt: i64,
    /// Its number at the device.
    pub no: i64,
    /// When.
    pub at_ms: i64,
    /// What was bought, one of each.
    pub skus: Vec<i64>,
    /// What it came to.
    pub total: i64,
    base: u64,
}

impl Device {
    /// One of many, before its first checkout.
    pub fn numbered(number: u32) -> Result<Device, Fault> {
        let origin = Origin::new(number + 2).ok_or("an origin is 1 or more")?;
        let store = number / POS_PER_STORE + 1;
        let stream = Stream::store(store).ok_or("a store has a stream")?;
        let mut seed = [3; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        Ok(Device {
            origin,
            store,
            number,
            keys: SoftwareKeys::from_seed(seed),
            head: Head { seq: 0, chain: seal::genesis(origin, stream) },
            stream,
            dice: ChaCha8Rng::seed_from_u64(number.into()),
        })
    }

    /// Goes on where its entries end.
    pub fn resume(&mut self, head: Head) {
        self.dice = ChaCha8Rng::seed_from_u64(u64::from(self.number) ^ head.seq << 32);
        self.head = head;
    }

    /// HQ's word on it.
    pub fn row(&self, authority: &SoftwareKeys) -> Result<Row, Fault> {
        let device =
            DeviceId::new(&format!("s{:04}-p{:02}", self.store, self.number % POS_PER_STORE + 1))?;
        let key = self.keys.public();
        Ok(Row::sign(self.origin, &device, self.store, Role::Pos, "T1", key, authority))
    }

    /// The next so many checkouts, sealed.
    pub fn frame(&mut self, tables: &Tables, checkouts: u64) -> Result<Frame, Fault> {
        let (first, previous) = (self.head.seq + 1, self.head.chain);
        let mut entries = Vec::new();
        for _ in 0..checkouts {
            let checkout = self.checkout();
            let entry = self.entry(tables, &checkout)?;
            self.append(&entry);
            entries.push(entry);
        }
        let seal = self.seal();
        Ok(Frame::new(self.origin, self.stream, first, &previous, seal, entries)?)
    }

    /// Its signature over all that it has written.
    pub fn seal(&self) -> Seal {
        let session = seal::SESSION_OF_ENROLLED_KEY;
        seal::make(&self.keys, self.origin, self.stream, &self.head, session, 0)
    }

    /// Moves its head over one more entry.
    pub fn append(&mut self, entry: &[u8]) {
        let seq = self.head.seq + 1;
        let chain = seal::next(&self.head.chain, self.origin, self.stream, seq, entry);
        self.head = Head { seq, chain };
    }

    /// What it sells next.
    pub fn checkout(&mut self) -> Checkout {
        let base = self.head.seq + 1;
        let no = base.cast_signed();
        let skus: Vec<i64> = (0..LINES).map(|_| zipf(&mut self.dice, SKUS)).collect();
        let total = skus.iter().map(|sku| price_minor(*sku)).sum();
        let (receipt, at_ms) = (row_id::pack(self.origin, base), BEGIN_MS + no * 60_000);
        Checkout { receipt, no, at_ms, skus, total, base }
    }

    /// The entry of a checkout.
    pub fn entry(&self, tables: &Tables, checkout: &Checkout) -> Result<Vec<u8>, Fault> {
        let Checkout { receipt, no, at_ms, ref skus, total, base } = *checkout;
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
