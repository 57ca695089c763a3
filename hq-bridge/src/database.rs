//! HQ's replica: one writer, many readers
//!
//! A command works on the replica directly while no HQ runs; the running HQ works through its engine thread, which
//! writes between the frames of the stores. Both are one type here, so an import does not know which it is.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Transaction};
use selvedge_domain::moment::Moment;
use selvedge_sync::allow_list::{self, Row, RowError};
use selvedge_sync::device_keys::DeviceKeys;
use selvedge_sync::entry::EntryError;
use selvedge_sync::hlc::Millis;
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::open::OpenError;
use selvedge_sync::origin::{Origin, Role};
use selvedge_sync::outcome::WriteError;
use selvedge_sync::rebuild;
use selvedge_sync::rebuilt;
use selvedge_sync::replica::Replica;
use selvedge_sync::rot;
use selvedge_sync::succession::{is_successor, writer_of};
use selvedge_sync::writer::WriterState;
use selvedge_transport::broker_child::BrokerStatus;
use selvedge_transport::engine::{Engine, EngineError};
use tokio::sync::watch;

use crate::authority::Keys;
use crate::config::Config;
use crate::contacts::Contacts;
use crate::derived;
use crate::migrations;

/// HQ's database file in the data directory.
pub const DATABASE_FILE: &str = "hq.db";

/// HQ's first generation.
const FIRST_GENERATION: u32 = 0;

/// What is left when too much of the database has rotted.
const LOST: &str = "HQ's database was damaged so badly that it cannot be built anew: put the newest backup of `data` back, name the second copy in the settings if one is kept, and give `hq-bridge succeed`: that copy and the stores give back what came after the backup";

/// Why an HQ whose own past is not whole writes nothing, and what to do.
pub const STOPPED: &str = "HQ has lost a part of what it wrote itself, so it writes nothing: end it and give `hq-bridge succeed`, and the stores give that part back";

/// HQ writes no receipts, so its label is only for people.
pub const HQ_LABEL: &str = "HQ";

/// Batches of receipts for which an answer waits at most: some seconds.
const CATCH_UP_BATCHES: u32 = 5;

/// Page cache of HQ's writer: it holds every store's heads and the pages that frames touch.
pub const CACHE_KIB: u32 = 128 * 1024;

/// Why HQ's database refused. Nothing was written, unless the sentence says that this is not known.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The deed itself said no.
    #[error("{0}")]
    Refused(String),
    /// More rows than one entry holds; fewer may do.
    #[error("{0}")]
    TooLarge(String),
    /// The database said no.
    #[error("{0}")]
    Failed(String),
}

impl DatabaseError {
    /// The sentence of a cause.
    pub fn of(cause: impl Display) -> DatabaseError {
        DatabaseError::Failed(cause.to_string())
    }

    /// The sentence of a write that was refused.
    pub fn of_write<E: Display>(why: WriteError<E>) -> DatabaseError {
        let sentence = why.to_string();
        match why {
            WriteError::MayNotWrite(_) => DatabaseError::Refused(STOPPED.to_owned()),
            WriteError::Refused(_) => DatabaseError::Refused(sentence),
            WriteError::Entry(EntryError::TooLarge { .. }) => DatabaseError::TooLarge(sentence),
            _ => DatabaseError::Failed(sentence),
        }
    }
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(why: rusqlite::Error) -> DatabaseError {
        DatabaseError::of(why)
    }
}

impl From<RowError> for DatabaseError {
    fn from(why: RowError) -> DatabaseError {
        DatabaseError::of(why)
    }
}

/// HQ's database, as the one who holds it may write it.
pub enum Database {
    /// Nobody else has it: a command while no HQ runs.
    Direct(Box<Mutex<Replica>>),
    /// The running HQ: its engine thread writes between the frames of the stores.
    Running {
        /// The engine.
        engine: Engine,
        /// HQ's own broker, when it has one.
        broker: Option<watch::Receiver<BrokerStatus>>,
    },
}

impl Database {
    /// Opens the database for a command.
    pub fn open(config: &Config, keys: &Keys) -> Result<Database, DatabaseError> {
        Ok(Database::Direct(Box::new(Mutex::new(replica(config, keys)?))))
    }

    /// Writes in one transaction; says whether an entry was written, which is not so when nothing changed.
    pub fn write<T, E, F>(&self, act: F) -> Result<(T, bool), DatabaseError>
    where
        T: Send + 'static,
        E: Display + Send + 'static,
        F: FnOnce(&Transaction<'_>, Moment) -> Result<T, E> + Send + 'static,
    {
        match self {
            Database::Direct(replica) => {
                let now = now();
                let mut replica = replica.lock().unwrap_or_else(PoisonError::into_inner);
                let done = replica
                    .write(now, |tx| act(tx, Moment(now.0)))
                    .map_err(DatabaseError::of_write)?;
                Ok((done.value, done.entry.is_some()))
            }
            Database::Running { engine, .. } => {
                let done = engine.write_blocking(move |tx| act(tx, Moment(now().0)));
                let done = done.map_err(|why| match why {
                    EngineError::Write(why) => DatabaseError::of_write(why),
                    gone => DatabaseError::of(gone),
                })?;
                Ok((done.value, done.entry.is_some()))
            }
        }
    }

    /// What the line to the stores tells. A command has no line.
    pub fn contacts(&self) -> Contacts {
        match self {
            Database::Direct(_) => Contacts::default(),
            Database::Running { engine, broker } => contacts(engine, broker.as_ref()),
        }
    }

    /// Ends the running HQ if this connection was refused a page; the next start builds the database anew.
    pub fn look_for_rot(&self, reader: &Connection) {
        if let Database::Running { engine, .. } = self {
            engine.look_for_rot(reader);
        }
    }

    /// Derives what came in until now; leaves off after a while when that is much.
    pub fn catch_up(&self) -> Result<(), DatabaseError> {
        for _ in 0..CATCH_UP_BATCHES {
            if !self.act(|replica, _| derived::catch_up(replica.db()))?? {
                break;
            }
        }
        Ok(())
    }

    /// Hands the replica to an act that reads and writes as one.
    pub fn act<T, F>(&self, act: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Replica, Millis) -> T + Send + 'static,
    {
        match self {
            Database::Direct(replica) => {
                let mut replica = replica.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(act(&mut replica, now()))
            }
            Database::Running { engine, .. } => {
                engine.act_blocking(act).map_err(DatabaseError::Failed)
            }
        }
    }

    /// A connection that only reads.
    pub fn reader(&self) -> Result<Connection, DatabaseError> {
        match self {
            Database::Direct(replica) => {
                let replica = replica.lock().unwrap_or_else(PoisonError::into_inner);
                replica.reader().map_err(DatabaseError::of)
            }
            Database::Running { engine, .. } => engine.reader().map_err(DatabaseError::of),
        }
    }
}

fn contacts(engine: &Engine, broker: Option<&watch::Receiver<BrokerStatus>>) -> Contacts {
    let status = engine.status();
    let broker = broker.map(|broker| broker.borrow().clone());
    let line = engine.children_line().unwrap_or_default();
    let reasons =
        [broker.as_ref().map_or("", |broker| &broker.reason), &line.reason, &status.reason];
    let reason = if line.up {
        reasons[2]
    } else {
        reasons.into_iter().find(|reason| !reason.is_empty()).unwrap_or("")
    };
    Contacts {
        line_up: line.up,
        broker_pid: broker.as_ref().and_then(|broker| broker.pid),
        broker_restarts: broker.as_ref().map_or(0, |broker| broker.restarts),
        reason: reason.to_string(),
        ..Contacts::of(&status)
    }
}

/// The wall clock.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The file that HQ's database is in.
pub fn file(config: &Config) -> PathBuf {
    config.data.join(DATABASE_FILE)
}

/// Opens HQ's replica. The first time, HQ admits itself: its own row is the first entry that stores hear. One that has
/// rotted is built anew first, and that is kept for people.
pub fn replica(config: &Config, keys: &Keys) -> Result<Replica, DatabaseError> {
    let mut replica = open_newest(config, keys)?;
    let origin = replica.identity().origin;
    if replica.recalls().is_some() || replica.writer_state() != WriterState::Ready {
        return Ok(replica);
    }
    let authority = keys.authority.public();
    let own = allow_list::by_origin(replica.db(), origin, &authority).map_err(DatabaseError::of)?;
    match own {
        Some(row) if row.device != config.name => Err(DatabaseError::Refused(format!(
            "HQ was initialised as {}, but the settings call it {}; put the old name back",
            row.device.as_str(),
            config.name.as_str()
        ))),
        Some(_) => Ok(replica),
        None => {
            let key = keys.writer.public();
            let row = Row::sign(
                origin,
                &config.name,
                0,
                Role::Hq,
                HQ_LABEL,
                key,
                keys.authority.as_ref(),
            );
            replica.write(now(), |tx| allow_list::insert(tx, &row)).map_err(DatabaseError::of)?;
            Ok(replica)
        }
    }
}

/// Opens it as the generation that it was written by.
fn open_newest(config: &Config, keys: &Keys) -> Result<Replica, DatabaseError> {
    let path = file(config);
    let first = writer_of(FIRST_GENERATION).expect("the first generation has a number");
    let written_by = rebuild::origin_of(&path, None);
    if written_by.is_none() && (rot::mark_beside(&path).exists() || is_all_rotten(config, keys)) {
        return Err(DatabaseError::Refused(LOST.to_owned()));
    }
    let origin = written_by.filter(|found| is_successor(*found)).unwrap_or(first);
    let opened = rebuild::open(|| settings(config, keys, origin));
    let (replica, salvage) = opened.map_err(|why| match why {
        OpenError::NeedsSnapshot { .. } => DatabaseError::Refused(LOST.to_owned()),
        why => DatabaseError::of(why),
    })?;
    if let Some(salvage) = &salvage {
        tracing::error!(?salvage, "{}", salvage.sentence());
        rebuilt::keep(&path, now(), salvage).map_err(DatabaseError::of)?;
    }
    keep_longer_log(replica.db())?;
    if salvage.is_some() || !derived::is_sound(replica.db())? {
        derived::forget(replica.db())?;
    }
    Ok(replica)
}

/// Lets HQ's log grow to 8,000 pages before they are moved into the file. A thousand devices write behind the same few
/// thousand pages again and again: each is moved once for many commits, and the log stays below some 50 MB.
pub fn keep_longer_log(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("PRAGMA wal_autocheckpoint=8000")
}

/// Whether the database is there and does not even say whose it is.
fn is_all_rotten(config: &Config, keys: &Keys) -> bool {
    let first = writer_of(FIRST_GENERATION).expect("the first generation has a number");
    let is_there = file(config).exists();
    is_there && Replica::open(settings(config, keys, first)).is_err_and(|why| why.is_rot())
}

fn settings(config: &Config, keys: &Keys, origin: Origin) -> Settings {
    let authority = keys.authority.public();
    let identity =
        Identity { device: config.name.clone(), origin, role: Role::Hq, store: 0, authority };
    Settings {
        path: file(config),
        vfs: None,
        identity,
        keys: keys.writer.clone(),
        migrations: migrations::all(),
        cache_kib: CACHE_KIB,
    }
}
