//! What HQ keeps as proof and does not count, for an operator

use std::collections::BTreeMap;

use rusqlite::Connection;
use selvedge_domain::moment::Moment;
use selvedge_sync::allow_list::Row;
use selvedge_sync::changelog;
use selvedge_sync::evidence::{self, Piece};
use selvedge_sync::frame::Frame;
use selvedge_sync::origin::{Origin, Stream};
use selvedge_sync::version::first8;
use serde::{Deserialize, Serialize};

use crate::database::DatabaseError;
use crate::times::time;

/// Entries of one device that HQ keeps and does not count.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fork {
    /// The device.
    pub device: String,
    /// Its origin.
    pub origin: String,
    /// Its store.
    pub store: String,
    /// The stream: `0` is the chain, else the number of the store.
    pub stream: String,
    /// `fork`: the same numbers were used twice. `cut`: it was written after the end of the device.
    pub why: String,
    /// Number of the first entry that does not count.
    pub from: u64,
    /// The last entry that counts, and the first digits of its chain value.
    pub held: Branch,
    /// The end of each branch that does not count.
    pub others: Vec<Branch>,
    /// When the first of it came, by HQ's clock.
    pub since: String,
    /// What the operator should do.
    pub advice: String,
}

/// The end of a branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// Number of its last entry.
    pub to: u64,
    /// The first digits of the chain value there.
    pub chain: String,
}

/// All that is kept as proof, by store and device.
pub fn all(db: &Connection, rows: &[Row]) -> Result<Vec<Fork>, DatabaseError> {
    let mut kept: BTreeMap<(Stream, Origin, String), Vec<Piece>> = BTreeMap::new();
    for piece in evidence::pieces(db, None)? {
        kept.entry((piece.stream, piece.origin, piece.why.clone())).or_default().push(piece);
    }
    let mut forks = Vec::new();
    for ((stream, origin, why), pieces) in kept {
        let row = rows.iter().find(|row| row.origin == origin);
        let device = row.map_or_else(|| format!("origin {origin}"), |row| row.device.to_string());
        let held = changelog::heads(db)?.into_iter().find(|head| head.0 == (stream, origin));
        let held = held.map(|(_, head, _)| branch(head.seq, &head.chain));
        let from = pieces.iter().map(|piece| first_other(db, piece)).min().unwrap_or_default();
        let first = pieces.iter().map(|piece| piece.kept_at.0).min().unwrap_or_default();
        forks.push(Fork {
            advice: advice(&why, &device),
            device,
            origin: origin.to_string(),
            store: row.map_or_else(String::new, |row| row.store.to_string()),
            stream: stream.number().to_string(),
            why,
            from,
            held: held.unwrap_or_else(|| Branch { to: 0, chain: String::new() }),
            others: ends(&pieces),
            since: time(Moment(first)).unwrap_or_default(),
        });
    }
    forks.sort_by(|a, b| (&a.store, &a.device).cmp(&(&b.store, &b.device)));
    Ok(forks)
}

/// The origins of which two pasts are known.
pub fn forked(db: &Connection) -> rusqlite::Result<Vec<u32>> {
    db.prepare_cached("SELECT DISTINCT origin FROM sync_evidence WHERE reason = 'fork'")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// The first entry of a piece that is not the one that counts.
fn first_other(db: &Connection, piece: &Piece) -> u64 {
    let chains = Frame::decode(&piece.frame).map(|frame| frame.chains(&piece.previous));
    let differs = |(seq, chain): &(u64, [u8; 32])| {
        changelog::chain_at(db, piece.stream, piece.origin, *seq).is_ok_and(|here| here != *chain)
    };
    let beyond = || {
        changelog::heads(db).ok().and_then(|heads| {
            let head = heads.into_iter().find(|head| head.0 == (piece.stream, piece.origin))?;
            Some((head.1.seq + 1).max(piece.first))
        })
    };
    let found = chains.ok().and_then(|chains| (piece.first..).zip(chains).find(differs));
    found.map(|found| found.0).or_else(beyond).unwrap_or(piece.first)
}

/// Where the branches end: what no other piece goes on from.
fn ends(pieces: &[Piece]) -> Vec<Branch> {
    let goes_on = |piece: &Piece| pieces.iter().any(|other| other.previous == piece.chain);
    let ends = pieces.iter().filter(|piece| !goes_on(piece));
    let mut ends: Vec<Branch> = ends.map(|piece| branch(piece.last, &piece.chain)).collect();
    ends.sort_by(|a, b| (a.to, &a.chain).cmp(&(b.to, &b.chain)));
    ends.dedup();
    ends
}

fn branch(to: u64, chain: &[u8; 32]) -> Branch {
    Branch { to, chain: hex::encode(first8(chain)) }
}

fn advice(why: &str, device: &str) -> String {
    if why == "fork" {
        return format!(
            "Two machines have written as {device}, or an old copy of its disk was put back. Find out which: when one of them is not yours, `hq-bridge devices revoke --id {device}`. Else let it go on under a spare number (`hq-bridge devices spare`) and, when it sells again, `hq-bridge devices confirm --id {device}`."
        );
    }
    format!(
        "{device} went on writing after HQ had ended it. If it shall sell, admit it again with `hq-bridge devices admit`, and have what it sold meanwhile rung up there; if not, take the machine away."
    )
}

/// The list for a terminal.
pub fn table(forks: &[Fork]) -> String {
    if forks.is_empty() {
        return "Nothing is kept as proof: every device has one past.\n".to_owned();
    }
    let mut text = String::new();
    for fork in forks {
        let what = if fork.why == "fork" { "two pasts" } else { "written after its end" };
        text += &format!(
            "{} (origin {}, store {}): {what} from entry {} of stream {} on, known since {}\n  counts:         up to entry {} (chain {})\n",
            fork.device,
            fork.origin,
            fork.store,
            fork.from,
            fork.stream,
            fork.since,
            fork.held.to,
            fork.held.chain
        );
        for other in &fork.others {
            text +=
                &format!("  does not count: up to entry {} (chain {})\n", other.to, other.chain);
        }
        text += &format!("  {}\n", fork.advice);
    }
    text
}
