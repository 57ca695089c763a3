//! Spare origins, and which device was given which
//!
//! HQ signs some origins of a store in advance. When a device may not go on under its own, its parent hands one out by a
//! fact, and whatever comes under that origin counts from that device only. A device asks under a ticket that it has
//! drawn: of two boxes with one image each goes on under an origin of its own.

use rusqlite::Connection;

use crate::allow_list::{Row, State};
use crate::origin::{DeviceId, Origin};

/// The table, and that it replicates. Whoever is a parent hands out, in the stream of the store.
pub const SCHEMA: &str = "
CREATE TABLE spare_claim (
    origin  INTEGER NOT NULL PRIMARY KEY,
    store   INTEGER NOT NULL,
    device  TEXT    NOT NULL,
    instead INTEGER NOT NULL,
    ticket  INTEGER NOT NULL,
    by      INTEGER NOT NULL
) STRICT;
INSERT INTO replicated (table_id, name, rule, stream, writers)
VALUES (4001, 'spare_claim', 'fact', 'by:store', 'back-office hq');
";

/// A spare origin that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The spare origin.
    pub origin: Origin,
    /// Who goes on under it.
    pub device: DeviceId,
    /// The origin under which that device asked.
    pub instead: Origin,
    /// What it asked with.
    pub ticket: u64,
}

/// All claims, by origin. A row that somebody changed by hand into nonsense is passed over.
pub fn claims(db: &Connection) -> rusqlite::Result<Vec<Claim>> {
    let mut select =
        db.prepare_cached("SELECT origin, device, instead, ticket FROM spare_claim ORDER BY 1")?;
    let mut rows = select.query([])?;
    let mut claims = Vec::new();
    while let Some(row) = rows.next()? {
        let origin = |column| Ok::<_, rusqlite::Error>(Origin::new(row.get(column)?));
        let device = DeviceId::new(row.get_ref(1)?.as_str().unwrap_or_default());
        if let (Some(origin), Ok(device), Some(instead)) = (origin(0)?, device, origin(2)?) {
            let ticket = row.get::<_, i64>(3)?.cast_unsigned();
            claims.push(Claim { origin, device, instead, ticket });
        }
    }
    Ok(claims)
}

/// The row under which a claimed origin counts: the device and the key are those of the origin that it replaces.
pub(crate) fn claimed(spare: &Row, claim: &Claim, instead: &Row) -> Option<Row> {
    let fits = spare.state == State::Spare
        && instead.device == claim.device
        && (instead.store, instead.role) == (spare.store, spare.role)
        && instead.state != State::Revoked;
    fits.then(|| Row {
        device: instead.device.clone(),
        key: instead.key,
        state: State::Active,
        parents: instead.parents.clone(),
        ..spare.clone()
    })
}
