//! A parent hands a spare origin to a device of its store

use rusqlite::Transaction;

use crate::allow_list::Row;
use crate::hlc::Millis;
use crate::origin::{DeviceId, Origin, Role};
use crate::outcome::{Committed, WriteError};
use crate::replica::Replica;
use crate::spare::claims;

fn claim(
    tx: &Transaction<'_>,
    spare: &Row,
    asker: &Row,
    ask: (u64, Origin),
) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO spare_claim (origin, store, device, instead, ticket, by) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            spare.origin.get(),
            spare.store,
            asker.device.as_str(),
            asker.origin.get(),
            ask.0.cast_signed(),
            ask.1.get(),
        ),
    )?;
    Ok(())
}

impl Replica {
    /// Hands a spare origin of its store to a device that asks with a ticket. None when it has one for that ticket
    /// already, or when this replica hands out nothing; an error says when no spare is left.
    pub(crate) fn hand_out_spare(
        &mut self,
        now: Millis,
        asker: &Row,
        ticket: u64,
    ) -> Result<Option<Committed<Origin>>, HandOutError> {
        let mine = self.identity().clone();
        if mine.role == Role::Pos || mine.role == Role::BackOffice && mine.store != asker.store {
            return Ok(None);
        }
        let claims = claims(self.db())?;
        if claims.iter().any(|claim| (claim.instead, claim.ticket) == (asker.origin, ticket)) {
            return Ok(None);
        }
        let free = |row: &&Row| {
            (row.store, row.role) == (asker.store, asker.role)
                && !claims.iter().any(|claim| claim.origin == row.origin)
        };
        let Some(spare) = self.origins.spares.iter().find(free).cloned() else {
            return Err(HandOutError::NoneLeft {
                store: asker.store,
                device: asker.device.clone(),
            });
        };
        let done = self.write(now, |tx| {
            claim(tx, &spare, asker, (ticket, mine.origin)).map(|()| spare.origin)
        })?;
        Ok(Some(done))
    }
}

/// Why no spare origin was handed out.
#[derive(Debug, thiserror::Error)]
pub enum HandOutError {
    /// All are given.
    #[error("{device} needs a new origin and store {store} has no spare one left: sign more at HQ")]
    NoneLeft {
        /// Where.
        store: u32,
        /// Who asked.
        device: DeviceId,
    },
    /// The database refused.
    #[error("the claims were not read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The claim was not written.
    #[error("the spare origin was not handed out: {0}")]
    Write(#[from] WriteError<rusqlite::Error>),
}
