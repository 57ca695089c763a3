//! What HQ signs when an origin ends or a spare is taken

use std::collections::BTreeMap;

use crate::allow_list::{Cut, Row, State};
use crate::changelog;
use crate::device_keys::DeviceKeys;
use crate::origin::{Origin, Role};
use crate::replica::Replica;
use crate::version::first8;

impl Replica {
    /// The row that ends an origin: what is here of it counts, as far as it is sealed.
    pub fn ended(
        &self,
        row: &Row,
        state: State,
        authority: &dyn DeviceKeys,
    ) -> rusqlite::Result<Row> {
        let mut cut = Vec::new();
        let heads = self.heads.iter().filter(|((_, origin), _)| *origin == row.origin);
        for ((stream, origin), head) in heads {
            let seal = changelog::seal_for(self.db(), *stream, *origin, 1, head.seq)?;
            // A frame that is half in here is taken whole, and then stated.
            if let Some(seal) = seal.filter(|seal| seal.seq <= head.seq) {
                let chain = changelog::chain_at(self.db(), *stream, *origin, seal.seq)?;
                cut.push(Cut { stream: *stream, seq: seal.seq, chain8: first8(&chain) });
            }
        }
        Ok(row.ended(state, cut, authority))
    }

    /// The rows that confirm what was handed out: each claimed spare origin belongs to its device, and the origin that it
    /// replaces is closed. Empty when there is nothing to confirm.
    pub fn rows_to_confirm(&self, authority: &dyn DeviceKeys) -> rusqlite::Result<Vec<Row>> {
        let mut signed: BTreeMap<Origin, Row> = BTreeMap::new();
        let spare = |origin| self.origins().spares.iter().find(|row| row.origin == origin);
        for claim in &self.origins().claims {
            let (Some(spare), Some(claimed)) = (spare(claim.origin), self.known(claim.origin))
            else {
                continue;
            };
            let like = Row { parents: claimed.parents.clone(), ..spare.clone() };
            let given = like.given_to(&claimed.device, claimed.key, authority);
            signed.insert(given.origin, given);
        }
        for claim in &self.origins().claims {
            let before = signed.get(&claim.instead).or_else(|| self.known(claim.instead)).cloned();
            if let Some(before) = before.filter(|before| !before.state.is_over())
                && (signed.contains_key(&claim.origin) || self.known(claim.origin).is_some())
            {
                let ended = self.ended(&before, State::Closed, authority)?;
                signed.insert(ended.origin, ended);
            }
        }
        Ok(signed.into_values().collect())
    }

    /// How many spare origins of a store are not handed out yet.
    pub fn spares_left(&self, store: u32, role: Role) -> usize {
        let origins = self.origins();
        let free = |row: &&Row| {
            (row.store, row.role) == (store, role)
                && !origins.claims.iter().any(|claim| claim.origin == row.origin)
        };
        origins.spares.iter().filter(free).count()
    }
}
