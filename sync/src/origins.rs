//! Which origins count, and how far
//!
//! An origin that is closed or revoked counts up to its cut. The cut says what HQ had; a replica that had taken more
//! before it heard of it says so by a fact, and what one honest replica of the store had taken then counts everywhere.
//! So nothing that was applied anywhere has to be taken back.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::allow_list::{self, Row, RowError, State};
use crate::origin::{Origin, Stream};
use crate::planted::{self, Fault};
use crate::row_id;
use crate::spare::{self, Claim};

/// What was taken of an origin before its cut was heard of: up to `seq` of `of_stream`.
pub const SCHEMA: &str = "
CREATE TABLE beyond_cut (
    id        INTEGER NOT NULL PRIMARY KEY CHECK (id >> 40 > 0),
    store     INTEGER NOT NULL,
    origin    INTEGER NOT NULL,
    of_stream INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    chain8    BLOB    NOT NULL
) STRICT;
INSERT INTO replicated (table_id, name, rule, stream) VALUES (4002, 'beyond_cut', 'fact', 'by:store');
INSERT INTO replicated_column (table_id, name, kind) VALUES (4002, 'id', 'id');
";

/// Which origins count, and how far.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// The row of each origin whose entries are taken: active ones, claimed spare ones, and those that are over, up to
    /// their limit.
    pub known: BTreeMap<Origin, Row>,
    /// Spare origins, claimed or not, as HQ signed them.
    pub spares: Vec<Row>,
    /// The claims.
    pub claims: Vec<Claim>,
    limits: BTreeMap<(Stream, Origin), u64>,
}

impl Origins {
    /// Reads rows of the admission, of the replicated allow-list, claims, and what was taken beyond cuts.
    pub fn read(db: &Connection, authority: &[u8; 32]) -> rusqlite::Result<Origins> {
        let rows = rows(db, authority)?;
        let claims = spare::claims(db)?;
        let mut origins = Origins::default();
        for row in rows.values() {
            match row.state {
                State::Suspended => {}
                State::Spare => origins.spares.push(row.clone()),
                State::Active | State::Closed | State::Revoked => {
                    origins.known.insert(row.origin, row.clone());
                }
            }
        }
        // A device may have been given a spare origin in the place of another that was spare.
        for _ in 0..=claims.len() {
            let found: Vec<Row> = (origins.spares.iter())
                .filter(|spare| !origins.known.contains_key(&spare.origin))
                .filter_map(|spare| {
                    let claim = claims.iter().find(|claim| claim.origin == spare.origin)?;
                    spare::claimed(spare, claim, origins.known.get(&claim.instead)?)
                })
                .collect();
            if found.is_empty() {
                break;
            }
            origins.known.extend(found.into_iter().map(|row| (row.origin, row)));
        }
        origins.claims = claims;
        origins.read_limits(db)?;
        Ok(origins)
    }

    fn read_limits(&mut self, db: &Connection) -> rusqlite::Result<()> {
        for row in self.known.values() {
            for cut in &row.cut {
                self.limits.insert((cut.stream, row.origin), cut.seq);
            }
        }
        let mut select =
            db.prepare_cached("SELECT id, origin, of_stream, seq FROM beyond_cut ORDER BY id")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let writer = u32::try_from(row_id::unpack(row.get(0)?).0).ok().and_then(Origin::new);
            let (origin, stream) = (Origin::new(row.get(1)?), Stream::from_number(row.get(2)?));
            let (Some(writer), Some(origin), Some(stream)) = (writer, origin, stream) else {
                continue;
            };
            let (Some(by), Some(of)) = (self.known.get(&writer), self.known.get(&origin)) else {
                continue;
            };
            // Nobody vouches for its own device.
            if of.state.is_over() && by.device != of.device {
                let limit = self.limits.entry((stream, origin)).or_default();
                *limit = (*limit).max(row.get::<_, i64>(3)?.cast_unsigned());
            }
        }
        Ok(())
    }

    /// The last entry of an origin that counts in a stream; None while it is not over.
    pub fn limit(&self, stream: Stream, origin: Origin) -> Option<u64> {
        let over = self.known.get(&origin).is_some_and(|row| row.state.is_over());
        let over = over && !planted::is(Fault::CutIgnored);
        over.then(|| self.limits.get(&(stream, origin)).copied().unwrap_or(0))
    }

    /// Whether every origin counts as far as in another reading.
    pub fn has_limits_of(&self, other: &Origins) -> bool {
        self.limits == other.limits
    }

    /// Origins that are over.
    pub fn over(&self) -> impl Iterator<Item = &Row> {
        self.known.values().filter(|row| row.state.is_over())
    }
}

/// The newest row of each origin that HQ signed, whatever its state.
pub fn rows(db: &Connection, authority: &[u8; 32]) -> rusqlite::Result<BTreeMap<Origin, Row>> {
    let mut rows: BTreeMap<Origin, Row> = BTreeMap::new();
    let mut select = db.prepare_cached("SELECT row FROM sync_admitted")?;
    let mut admitted = select.query([])?;
    while let Some(row) = admitted.next()? {
        if let Ok(row) = Row::from_bytes(row.get_ref(0)?.as_blob()?)
            && row.verify(authority).is_ok()
        {
            rows.insert(row.origin, row);
        }
    }
    let listed = allow_list::all(db, authority).map_err(|cause| match cause {
        RowError::Database(cause) => cause,
        other => rusqlite::Error::ToSqlConversionFailure(other.into()),
    })?;
    for row in listed {
        match rows.get(&row.origin) {
            Some(admitted) if admitted.version > row.version => {}
            _ => drop(rows.insert(row.origin, row)),
        }
    }
    Ok(rows)
}
