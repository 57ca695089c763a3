//! A pos of the chain inside the lab's own process
//!
//! It has the real replica, engine and line of a pos, and no pages: a trade file has a date of its own for every sale,
//! and the pages have no door for another day's date.

use crate::layout::Place;
use crate::replicas;
use appliance::keys;
use selvedge_domain::grand_totals;
use selvedge_domain::migrations;
use selvedge_domain::moment::Moment;
use selvedge_sync::admission::Admission;
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::open::Migration;
use selvedge_sync::replica::Replica;
use selvedge_sync::talk::HubSettings;
use selvedge_transport::address::BrokerAddress;
use selvedge_transport::engine::{Engine, EngineSettings};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Page cache of the writer in KiB, as a real pos has it.
const CACHE_KIB: u32 = 16 * 1_024;
/// Milliseconds between two beats.
const BEAT_MS: i64 = 1_000;
/// Rows of others that are applied between two sales.
const SLICE_ROWS: usize = 2_000;

/// Opens the replica of an admitted pos and connects it to its parent. A migration of the lab's own makes the file
/// unfit for the product.
pub fn start(
    place: &Place,
    parent: SocketAddr,
    own_migration: Option<&'static (&'static str, &'static str)>,
    runtime: &Handle,
) -> Result<Engine, Box<dyn Error + Send + Sync>> {
    let admission = Admission::parse(&std::fs::read_to_string(place.admission())?)?;
    let mut replica = Replica::open(Settings {
        path: replicas::database(place),
        vfs: None,
        identity: Identity::admitted(&admission),
        keys: Arc::new(keys::load_or_make(&place.data())?),
        migrations: migrations::ALL
            .iter()
            .chain(own_migration)
            .map(|(name, sql)| Migration { name, sql })
            .collect(),
        cache_kib: CACHE_KIB,
    })?;
    replica.admit(&admission.rows)?;
    let store = i64::from(place.seat.store());
    let settings = EngineSettings {
        hub: HubSettings { beat_ms: BEAT_MS, slice_rows: SLICE_ROWS, ..HubSettings::default() },
        parent: Some(BrokerAddress::parse(&format!("mqtt://{parent}"))?),
        children: None,
        before_beat: Some(Box::new(move |tx, now| {
            let stated = grand_totals::state(tx, store, Moment(now.wall.0));
            stated.map(drop).map_err(|error| error.to_string())
        })),
        ..EngineSettings::default()
    };
    Ok(Engine::start(replica, settings, runtime)?)
}
