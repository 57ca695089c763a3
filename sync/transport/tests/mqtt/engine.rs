//! Two engines over a real broker end up equal

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::Connection;
use selvedge_sync::allow_list::Row;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::open::Migration;
use selvedge_sync::origin::{DeviceId, Origin, Role, Stream};
use selvedge_sync::replica::Replica;
use selvedge_sync::standing::HubStatus;
use selvedge_sync::talk::HubSettings;
use selvedge_transport::address::BrokerAddress;
use selvedge_transport::engine::{Engine, EngineError, EngineSettings};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::common::{Embedded, Mosquitto, SOON, TestBroker, eventually, free_address};

/// A toy trade: facts of every device, and rates of HQ.
const TOY: &[Migration] = &[Migration {
    name: "0001_toy",
    sql: "
    CREATE TABLE act (id INTEGER PRIMARY KEY CHECK (id >> 40 > 0), amount INTEGER NOT NULL) STRICT;
    CREATE TABLE rate (thing INTEGER PRIMARY KEY, value INTEGER NOT NULL) STRICT;
    INSERT INTO replicated (table_id, name, rule) VALUES (1, 'act', 'fact'), (2, 'rate', 'owner');
    INSERT INTO replicated_column VALUES (1, 'id', 'id');
    ",
}];

struct Place {
    engine: Engine,
    reader: Connection,
    _folder: TempDir,
}

fn keys(seed: u8) -> Arc<SoftwareKeys> {
    Arc::new(SoftwareKeys::from_seed([seed; 32]))
}

fn row(device: &str, origin: u8, store: u32, role: Role) -> Row {
    let device = DeviceId::new(device).unwrap();
    let number = Origin::new(origin.into()).unwrap();
    Row::sign(number, &device, store, role, "T1", keys(origin).public(), keys(99).as_ref())
}

/// HQ has origin 1, the pos has 2; both know both.
fn replica(folder: &TempDir, own: u8) -> Replica {
    let rows = [row("hq-w1", 1, 0, Role::Hq), row("s0001-p01", 2, 1, Role::Pos)];
    let row = &rows[usize::from(own) - 1];
    let identity = Identity {
        device: row.device.clone(),
        origin: row.origin,
        role: row.role,
        store: row.store,
        authority: keys(99).public(),
    };
    let settings = Settings {
        path: folder.path().join("replica.db"),
        vfs: None,
        identity,
        keys: keys(own),
        migrations: TOY.to_vec(),
        cache_kib: 2_048,
    };
    let mut replica = Replica::open(settings).unwrap();
    replica.admit(&rows).unwrap();
    replica
}

impl Place {
    fn start(own: u8, settings: EngineSettings) -> Place {
        let folder = TempDir::new().unwrap();
        let engine = Engine::start(replica(&folder, own), settings, &Handle::current()).unwrap();
        let reader = engine.reader().unwrap();
        Place { engine, reader, _folder: folder }
    }

    fn hq(broker: BrokerAddress) -> Place {
        Place::start(1, EngineSettings { children: Some(broker), ..EngineSettings::default() })
    }

    fn pos(broker: BrokerAddress) -> Place {
        Place::start(2, EngineSettings { parent: Some(broker), ..EngineSettings::default() })
    }

    async fn act(&self, amount: i64) {
        let insert = "INSERT INTO act (id, amount) VALUES (row_id(), ?1)";
        self.engine.write(move |tx| tx.execute(insert, [amount])).await.unwrap();
    }

    async fn rate(&self, thing: i64, value: i64) {
        let upsert =
            "INSERT INTO rate VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
        self.engine.write(move |tx| tx.execute(upsert, (thing, value))).await.unwrap();
    }

    fn number(&self, sql: &str) -> i64 {
        self.reader.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    async fn status_where(&self, holds: impl FnMut(&HubStatus) -> bool) -> HubStatus {
        let mut status = self.engine.subscribe();
        let found = timeout(SOON, status.wait_for(holds)).await;
        found.unwrap_or_else(|_| panic!("in vain: {:?}", self.engine.status())).unwrap().clone()
    }
}

/// Waits until the pos holds so many entries of HQ.
async fn entries_of_hq_are_at(pos: &Place, entries: u64) {
    let written = (Stream::CHAIN, Origin::new(1).unwrap(), entries);
    pos.status_where(|status| status.vector.contains(&written)).await;
}

async fn rows_arrive_and_are_acknowledged(broker: &dyn TestBroker) {
    let (hq, pos) = (Place::hq(broker.address()), Place::pos(broker.address()));
    hq.rate(1, 250).await;
    for amount in 1..=10 {
        pos.act(amount).await;
    }
    let status = pos.status_where(|status| status.own_head == 10 && status.hq_has == 10).await;
    assert!(status.parent_up && status.reason.is_empty(), "{status:?}");
    assert_eq!(hq.number("SELECT sum(amount) FROM act"), 55);
    entries_of_hq_are_at(&pos, 1).await;
    assert_eq!(pos.number("SELECT sum(value) FROM rate"), 250);
    let sent: u64 = pos.engine.payload().iter().map(|kind| kind.sent.bytes).sum();
    let received: u64 = hq.engine.payload().iter().map(|kind| kind.received.bytes).sum();
    assert!(sent >= received && received > 0, "{sent} {received}");
}

// Proves TS-29, IM-05: what one device commits, HQ has, and says so.
#[tokio::test]
async fn rows_arrive_over_the_embedded_broker() {
    rows_arrive_and_are_acknowledged(&Embedded::start().await).await;
}

// Proves TS-29, IM-05: the same over a broker that others made.
#[tokio::test]
async fn rows_arrive_over_mosquitto() {
    if let Some(broker) = Mosquitto::start() {
        rows_arrive_and_are_acknowledged(&broker).await;
    }
}

async fn nothing_is_lost_when_the_broker_dies(broker: &mut dyn TestBroker) {
    let (hq, pos) = (Place::hq(broker.address()), Place::pos(broker.address()));
    pos.status_where(|status| status.parent_up).await;
    for round in 1..=3 {
        for number in 1..=100 {
            pos.act(1).await;
            hq.rate(number, round * 1_000 + number).await;
            if number == 50 {
                broker.kill();
            }
        }
    }
    pos.status_where(|status| status.own_head == 300 && status.hq_has == 300).await;
    assert_eq!(hq.number("SELECT sum(amount) FROM act"), 300);
    entries_of_hq_are_at(&pos, 300).await;
    let rates = "SELECT sum(value) FROM rate";
    assert_eq!(pos.number(rates), hq.number(rates));
}

// Proves TS-28, IM-07: a broker that dies takes nothing with it, and doubles nothing.
#[tokio::test]
async fn nothing_is_lost_over_the_embedded_broker() {
    nothing_is_lost_when_the_broker_dies(&mut Embedded::start().await).await;
}

// Proves TS-28, IM-07: the same over a broker that others made.
#[tokio::test]
async fn nothing_is_lost_over_mosquitto() {
    if let Some(mut broker) = Mosquitto::start() {
        nothing_is_lost_when_the_broker_dies(&mut broker).await;
    }
}

#[tokio::test]
async fn a_restarted_parent_is_found_again() {
    let broker = Embedded::start().await;
    let pos = Place::pos(broker.address());
    let folder = TempDir::new().unwrap();
    for round in 1..=2 {
        let settings =
            EngineSettings { children: Some(broker.address()), ..EngineSettings::default() };
        let hq = Engine::start(replica(&folder, 1), settings, &Handle::current()).unwrap();
        pos.act(round).await;
        pos.status_where(|status| status.own_head > 0 && status.hq_has == status.own_head).await;
        hq.stop();
        pos.act(0).await;
    }
}

// Proves TS-28, IM-01: no broker, no parent, and a write is durable all the same.
#[tokio::test]
async fn a_device_writes_without_any_broker() {
    let pos = Place::pos(BrokerAddress::from(free_address()));
    pos.act(7).await;
    let status = pos.status_where(|status| status.own_head == 1).await;
    assert_eq!(status.reason, "the parent has not been heard since the start");
    assert!(!pos.engine.parent_line().unwrap().up);
}

#[tokio::test]
async fn a_refused_write_keeps_its_own_reason() {
    let pos = Place::pos(BrokerAddress::from(free_address()));
    let error = pos.engine.write(|_| Err::<(), _>("the basket is empty")).await.unwrap_err();
    assert_eq!(error.to_string(), "the basket is empty");
    pos.act(1).await;
}

#[tokio::test]
async fn what_belongs_before_a_beat_is_written_before_each() {
    let calls = Arc::new(AtomicI64::new(0));
    let counter = calls.clone();
    let settings = EngineSettings {
        hub: HubSettings { beat_ms: 50, ..HubSettings::default() },
        before_beat: Some(Box::new(move |tx, _| {
            let call = counter.fetch_add(1, Ordering::Relaxed);
            let insert = "INSERT INTO act (id, amount) SELECT row_id(), 5 WHERE ?1 = 0";
            tx.execute(insert, [call]).map(drop).map_err(|error| error.to_string())
        })),
        ..EngineSettings::default()
    };
    let pos = Place::start(2, settings);
    let status = pos.status_where(|status| status.own_head == 1).await;
    eventually("more beats pass", || calls.load(Ordering::Relaxed) > 3);
    assert_eq!(status.own_head, 1);
    assert_eq!(pos.number("SELECT count(*) FROM act"), 1);
}

#[tokio::test]
async fn a_failed_engine_answers_everyone() {
    let pos = Place::pos(BrokerAddress::from(free_address()));
    let engine = pos.engine.clone();
    let fault =
        |_: &rusqlite::Transaction<'_>| -> Result<(), String> { panic!("a fault on purpose") };
    let error = engine.write(fault).await.unwrap_err();
    assert!(matches!(error, EngineError::Gone(_)), "{error}");
    let reason = timeout(SOON, engine.ended()).await.unwrap();
    assert_eq!(reason, "the engine failed, start the program again: a fault on purpose");
    let later = engine.write(|_| Ok::<_, String>(())).await.unwrap_err();
    assert_eq!(later.to_string(), reason);
    assert_eq!(engine.reader().unwrap_err().to_string(), reason);
}

#[tokio::test]
async fn a_stopped_engine_has_closed_its_database() {
    let folder = TempDir::new().unwrap();
    for _ in 0..2 {
        let engine =
            Engine::start(replica(&folder, 2), EngineSettings::default(), &Handle::current())
                .unwrap();
        engine.stop();
        let late = engine.write(|_| Ok::<_, String>(())).await.unwrap_err();
        assert_eq!(late.to_string(), "the engine was stopped: start the program again");
    }
}
