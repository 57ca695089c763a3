//! Which devices below are waited for, and how far each is
//!
//! Whoever acknowledged within the lease holds the log: what it lacks is not
//! trimmed. Silence is counted in running time of this device, so neither a
//! wrong clock nor a night without power makes a lease run out.

use crate::{
    origin::{DeviceId, Origin, Stream},
    signed::Mark,
};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// The leases, kept over restarts.
pub const SCHEMA: &str = "
CREATE TABLE sync_lease (
    device    TEXT PRIMARY KEY,
    origin    INTEGER NOT NULL,
    silent_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_leased (
    device TEXT NOT NULL,
    stream INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (device, stream, origin)
) STRICT, WITHOUT ROWID;
";

type Key = (Stream, Origin);

/// A device that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its present incarnation.
    pub origin: Origin,
    /// Running time since it was last heard.
    pub silent_ms: i64,
    /// What it has said to have.
    has: BTreeMap<Key, u64>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Leases {
    by: BTreeMap<DeviceId, Lease>,
    new: bool,
}

impl Leases {
    /// Reads what was known before the last stop.
    pub fn load(db: &Connection) -> rusqlite::Result<Leases> {
        let mut leases = Leases::default();
        let mut select = db.prepare("SELECT device, origin, silent_ms FROM sync_lease")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let device = DeviceId::new(&row.get::<_, String>(0)?);
            if let (Ok(device), Some(origin)) = (device, Origin::new(row.get(1)?)) {
                let lease = Lease { origin, silent_ms: row.get(2)?, has: BTreeMap::new() };
                leases.by.insert(device, lease);
            }
        }
        let mut select = db.prepare("SELECT device, stream, origin, seq FROM sync_leased")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let device = DeviceId::new(&row.get::<_, String>(0)?);
            if let (Ok(device), Some(stream), Some(origin)) =
                (device, Stream::from_number(row.get(1)?), Origin::new(row.get(2)?))
                && let Some(lease) = leases.by.get_mut(&device)
            {
                lease.has.insert((stream, origin), row.get::<_, i64>(3)?.cast_unsigned());
            }
        }
        Ok(leases)
    }

    /// Keeps them.
    pub fn save(&self, db: &Connection) -> rusqlite::Result<()> {
        db.execute_batch("DELETE FROM sync_lease; DELETE FROM sync_leased")?;
        let mut lease = db.prepare_cached("INSERT INTO sync_lease VALUES (?1, ?2, ?3)")?;
        let mut leased = db.prepare_cached("INSERT INTO sync_leased VALUES (?1, ?2, ?3, ?4)")?;
        for (device, one) in &self.by {
            lease.execute((device.as_str(), one.origin.get(), one.silent_ms))?;
            for ((stream, origin), seq) in &one.has {
                let seq = seq.cast_signed();
                leased.execute((device.as_str(), stream.number(), origin.get(), seq))?;
            }
        }
        Ok(())
    }

    /// A device says all that it has of some streams. That may be less than before: it was wiped.
    pub fn take_vector(
        &mut self,
        device: &DeviceId,
        origin: Origin,
        streams: &[Stream],
        heads: &[Mark],
    ) {
        let lease = self.heard(device, origin);
        lease.has.retain(|key, _| !streams.contains(&key.0));
        lease.has.extend(heads.iter().map(|mark| ((mark.0, mark.1), mark.2)));
    }

    /// A device acknowledges.
    pub fn take_ack(&mut self, device: &DeviceId, origin: Origin, heads: &[Mark]) {
        let lease = self.heard(device, origin);
        for (stream, origin, seq) in heads {
            let has = lease.has.entry((*stream, *origin)).or_default();
            *has = (*has).max(*seq);
        }
    }

    fn heard(&mut self, device: &DeviceId, origin: Origin) -> &mut Lease {
        let new = || Lease { origin, silent_ms: 0, has: BTreeMap::new() };
        self.new |= self.by.get(device).is_none_or(|lease| lease.origin != origin);
        let lease = self.by.entry(device.clone()).or_insert_with(new);
        if lease.origin != origin {
            *lease = new();
        }
        lease.silent_ms = 0;
        lease
    }

    /// Time passes; leases that are over run out, and so do those of devices that do not count any more.
    pub fn pass(&mut self, ms: i64, longest_ms: i64, counts: impl Fn(&DeviceId) -> bool) {
        self.by.retain(|device, lease| {
            lease.silent_ms += ms;
            lease.silent_ms <= longest_ms && counts(device)
        });
    }

    /// What everybody who is waited for has of an origin's entries; None when nobody is. `takes` says
    /// whether a device takes the stream. Of its own entries each device has all.
    pub fn least(&self, key: Key, takes: impl Fn(&DeviceId) -> bool) -> Option<u64> {
        let holders =
            self.by.iter().filter(|(device, lease)| lease.origin != key.1 && takes(device));
        holders.map(|(_, lease)| lease.has.get(&key).copied().unwrap_or(0)).min()
    }

    /// Whether a device has come that was not kept yet; told once.
    pub fn take_new(&mut self) -> bool {
        std::mem::take(&mut self.new)
    }

    /// All devices that are waited for.
    pub fn all(&self) -> impl Iterator<Item = (&DeviceId, &Lease)> {
        self.by.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> DeviceId {
        DeviceId::new(name).unwrap()
    }

    fn origin(number: u32) -> Origin {
        Origin::new(number).unwrap()
    }

    const DAY_MS: i64 = 86_400_000;

    fn two() -> (Leases, Key) {
        let key = (Stream::CHAIN, origin(1));
        let mut leases = Leases::default();
        leases.take_vector(&device("a"), origin(2), &[key.0], &[(key.0, key.1, 10)]);
        leases.take_vector(&device("b"), origin(3), &[key.0], &[(key.0, key.1, 4)]);
        (leases, key)
    }

    #[test]
    fn whoever_is_behind_is_waited_for_until_its_lease_is_over() {
        let (mut leases, key) = two();
        assert_eq!(leases.least(key, |_| true), Some(4));
        leases.pass(20 * DAY_MS, 35 * DAY_MS, |_| true);
        leases.take_ack(&device("a"), origin(2), &[(key.0, key.1, 12)]);
        leases.pass(16 * DAY_MS, 35 * DAY_MS, |_| true);
        assert_eq!(leases.least(key, |_| true), Some(12));
    }

    #[test]
    fn a_wiped_device_holds_what_it_lacks_from_its_first_word_on() {
        let (mut leases, key) = two();
        leases.take_ack(&device("b"), origin(9), &[]);
        assert_eq!(leases.least(key, |_| true), Some(0));
    }

    #[test]
    fn of_its_own_entries_a_device_is_not_waited_for() {
        let (leases, _) = two();
        let own = (Stream::CHAIN, origin(3));
        assert_eq!(leases.least(own, |_| true), Some(0), "the other device lacks them");
        assert_eq!(leases.least(own, |device| device.as_str() == "b"), None);
    }

    #[test]
    fn leases_outlive_a_restart() {
        let (leases, key) = two();
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        leases.save(&db).unwrap();
        leases.save(&db).unwrap();
        assert_eq!(Leases::load(&db).unwrap().least(key, |_| true), Some(4));
    }
}
