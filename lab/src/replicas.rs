//! Reads the databases of a chain, beside its processes

use crate::chain::Chain;
use crate::layout::{Place, Seat};
use crate::verdict::{self, Digests, Receipts, Verdict};
use rusqlite::Connection;
use selvedge_sync::open::{self, OpenError};
use selvedge_sync::origin::Origin;
use std::path::PathBuf;

/// Why a database was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// It does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A question failed.
    #[error("a database cannot be read: {0}")]
    Read(#[from] rusqlite::Error),
    /// HQ never heard of a device.
    #[error("head office knows no device {0}")]
    UnknownDevice(String),
}

/// The database file of a seat.
pub fn database(place: &Place) -> PathBuf {
    place.data().join(if place.seat == Seat::Hq { "hq.db" } else { "selvedge.sqlite" })
}

/// A connection to the database of a seat that only reads.
pub fn reader(place: &Place) -> Result<Connection, ReplicaError> {
    // Only questions about own rows need the origin, and none is asked here.
    let nobody = Origin::new(1).expect("1 is an origin");
    Ok(open::reader(&database(place), None, nobody)?)
}

/// Whether HQ has every receipt that any pos has written.
pub fn all_at_hq(chain: &Chain) -> Result<bool, ReplicaError> {
    for seat in chain.seats().into_iter().filter(|seat| matches!(seat, Seat::Pos { .. })) {
        let (own, at_hq) = receipts_of(chain, seat)?;
        if own != at_hq {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether every pos has stated the running totals of its last receipt. Until then it will write once more by itself.
pub fn all_stated(chain: &Chain) -> Result<bool, ReplicaError> {
    for seat in chain.seats().into_iter().filter(|seat| matches!(seat, Seat::Pos { .. })) {
        let first = i64::from(origin_of(chain, seat)?) << 40;
        let stated: bool = reader(chain.place(seat))?.query_row(
            "SELECT (SELECT max(no) FROM receipt WHERE id BETWEEN ?1 AND ?2)
                 IS (SELECT max(last_no) FROM grand_total WHERE id BETWEEN ?1 AND ?2)",
            [first, first + (1 << 40) - 1],
            |row| row.get(0),
        )?;
        if !stated {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The number that the rows of a device bear, as HQ gave it.
pub fn origin_of(chain: &Chain, seat: Seat) -> Result<u32, ReplicaError> {
    let name = seat.device();
    let devices = verdict::devices(&reader(chain.place(Seat::Hq))?)?;
    let device = devices.into_iter().rev().find(|device| device.device == name);
    Ok(device.ok_or(ReplicaError::UnknownDevice(name))?.origin)
}

/// The receipts that a device wrote, as itself and as HQ has them.
pub fn receipts_of(chain: &Chain, seat: Seat) -> Result<(Receipts, Receipts), ReplicaError> {
    let hq = reader(chain.place(Seat::Hq))?;
    let origin = origin_of(chain, seat)?;
    let of_origin = |db: &Connection| {
        Ok::<_, rusqlite::Error>(verdict::receipts(db)?.remove(&origin).unwrap_or_default())
    };
    Ok((of_origin(&reader(chain.place(seat))?)?, of_origin(&hq)?))
}

/// Whether the replicas of each store agree with HQ.
pub fn verdicts(chain: &Chain) -> Result<Vec<Verdict>, ReplicaError> {
    (1..=chain.wanted.stores)
        .map(|store| {
            let shares = |seat: &Seat| *seat == Seat::Hq || seat.store() == store;
            let replicas: Vec<(String, Digests)> = chain
                .seats()
                .into_iter()
                .filter(shares)
                .map(|seat| {
                    Ok((seat.device(), verdict::digests(&reader(chain.place(seat))?, store)?))
                })
                .collect::<Result<_, ReplicaError>>()?;
            Ok(verdict::replicas_agree(store, &replicas))
        })
        .collect()
}
