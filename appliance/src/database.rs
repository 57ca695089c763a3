//! One writer, many readers, over one replica

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Transaction};
use selvedge_domain::grand_totals;
use selvedge_domain::migrations;
use selvedge_domain::moment::Moment;
use selvedge_domain::receipts::{self, Receipt};
use selvedge_sync::admission::Admission;
use selvedge_sync::allow_list::{self, Row};
use selvedge_sync::changelog;
use selvedge_sync::declared::TableError;
use selvedge_sync::device_keys::DeviceKeys;
use selvedge_sync::hlc::Millis;
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::incarnation;
use selvedge_sync::marks::{AT_HQ, Marks};
use selvedge_sync::open::{Migration, OpenError};
use selvedge_sync::origin::{DeviceId, Origin, Role, Stream};
use selvedge_sync::origins::Origins;
use selvedge_sync::outcome::{Committed, WriteError};
use selvedge_sync::rebuilt::{self, Rebuilt};
use selvedge_sync::replica::Replica;
use selvedge_sync::standing::HubStatus;
use selvedge_sync::tables::Tables;
use selvedge_sync::talk::HubSettings;
use selvedge_transport::address::BrokerAddress;
use selvedge_transport::engine::{Engine, EngineError, EngineSettings, ReaderError, StartError};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::clock;
use crate::standing::{self, ACTS_READ};

/// A connection that only reads.
pub type Reader = Connection;

/// Why a reader gave no answer.
pub type ReadError = rusqlite::Error;

/// Name of the replica's file in the data folder.
pub const FILE_NAME: &str = "selvedge.sqlite";

/// Page cache of the writer.
const CACHE_KIB: u32 = 8 * 1024;

/// Rows that are applied between two local writes: at most a few milliseconds.
const SLICE_ROWS: usize = 200;

/// Number of the table whose rows are the acts of a checkout.
const RECEIPT_TABLE: u32 = 12;

/// Readers that are kept open between two requests.
const READERS_KEPT: usize = 4;

/// The engine of this device and its readers.
pub struct Database {
    engine: Engine,
    tables: Tables,
    label: String,
    key_class: &'static str,
    folder: PathBuf,
    readers: Mutex<Vec<Connection>>,
    in_doubt: Mutex<Option<String>>,
    has_parent: bool,
    rebuilt: Option<Rebuilt>,
}

/// What the database is set up with.
pub struct Setup<'a> {
    /// Folder of the databases.
    pub folder: &'a Path,
    /// What HQ printed when it admitted this device.
    pub admission: &'a Admission,
    /// The device's keys.
    pub keys: Arc<dyn DeviceKeys>,
    /// The broker where the parent listens.
    pub parent: Option<BrokerAddress>,
    /// The brokers of several that may be the parent.
    pub above: Vec<(DeviceId, BrokerAddress)>,
    /// The broker where our children speak.
    pub children: Option<BrokerAddress>,
    /// Milliseconds between two beats.
    pub beat_ms: i64,
}

/// Opens the replica, made when there is none, with the rows of its admission. One that has rotted is built anew first,
/// and that is kept for people.
pub fn open(
    folder: &Path,
    admission: &Admission,
    keys: Arc<dyn DeviceKeys>,
) -> Result<Replica, DatabaseError> {
    std::fs::create_dir_all(folder)
        .map_err(|cause| DatabaseError::Folder { path: folder.to_owned(), cause })?;
    if admission.own().key != keys.public() {
        return Err(DatabaseError::OtherKey);
    }
    let (mut replica, salvage) = incarnation::open(|| Settings {
        path: folder.join(FILE_NAME),
        vfs: None,
        identity: Identity::admitted(admission),
        keys: Arc::clone(&keys),
        migrations: migrations::ALL.iter().map(|(name, sql)| Migration { name, sql }).collect(),
        cache_kib: CACHE_KIB,
    })?;
    if let Some(salvage) = salvage {
        tracing::error!(?salvage, "{}", salvage.sentence());
        let kept = rebuilt::keep(&folder.join(FILE_NAME), Millis(clock::wall_ms()), &salvage);
        kept.map_err(|cause| DatabaseError::Folder { path: folder.to_owned(), cause })?;
    }
    replica.admit(&admission.rows)?;
    Ok(replica)
}

impl std::fmt::Debug for Database {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Database").field("label", &self.label).finish_non_exhaustive()
    }
}

/// Why the database was not set up.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The data folder cannot be made.
    #[error("the data folder {} cannot be made ({cause}); check its place and owner", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The admission is of another key.
    #[error(
        "the admission file names another key than this device has: have HQ admit the key that `appliance identity` prints"
    )]
    OtherKey,
    /// It did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The rows of the admission were not kept.
    #[error("the admission could not be kept: {0}")]
    Admission(#[from] rusqlite::Error),
    /// A replicated table is not as it must be.
    #[error(transparent)]
    Tables(#[from] TableError),
    /// The engine did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// The label on the receipts of this incarnation. Before a device has heard that a spare origin is its own, it knows the
/// row of that origin as it was signed: with the label of before, two receipts would bear one number.
fn label_of(replica: &Replica, admission: &Admission) -> String {
    let own = replica.identity().origin;
    let spare = || replica.origins().spares.iter().find(|row| row.origin == own);
    let row = replica.known(own).or_else(spare).unwrap_or(admission.own());
    row.label.clone()
}

impl Database {
    /// Opens the replica, gives it to the engine and starts the lines.
    pub fn start(setup: Setup, runtime: &Handle) -> Result<Database, DatabaseError> {
        let key_class = setup.keys.class().as_str();
        let replica = open(setup.folder, setup.admission, setup.keys)?;
        let reader = replica.reader()?;
        let tables = Tables::load(&reader)?;
        let has_parent = setup.parent.is_some() || !setup.above.is_empty();
        let store = i64::from(replica.identity().store);
        let settings = EngineSettings {
            hub: HubSettings {
                beat_ms: setup.beat_ms,
                slice_rows: SLICE_ROWS,
                ..HubSettings::default()
            },
            parent: setup.parent,
            above: setup.above,
            children: setup.children,
            before_beat: Some(Box::new(move |tx, now| {
                let stated = grand_totals::state(tx, store, Moment(now.wall.0));
                stated.map(drop).map_err(|error| error.to_string())
            })),
            ..EngineSettings::default()
        };
        let label = label_of(&replica, setup.admission);
        let engine = Engine::start(replica, settings, runtime)?;
        Ok(Database {
            engine,
            tables,
            label,
            key_class,
            folder: setup.folder.to_owned(),
            readers: Mutex::new(vec![reader]),
            in_doubt: Mutex::new(None),
            has_parent,
            rebuilt: rebuilt::read(&setup.folder.join(FILE_NAME)),
        })
    }

    /// Asks a reader. Blocks: call it on a blocking thread.
    pub fn read<T>(&self, ask: impl FnOnce(&Connection) -> T) -> Result<T, ReaderError> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match kept {
            Some(reader) => reader,
            None => self.engine.reader()?,
        };
        let answer = ask(&reader);
        self.engine.look_for_rot(&reader);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS_KEPT {
            readers.push(reader);
        }
        Ok(answer)
    }

    /// Runs a deed in a replicated write; durable when it returns `Ok`. Blocks.
    pub fn write<T: Send + 'static, E: Display + Send + 'static>(
        &self,
        deed: impl FnOnce(&Transaction) -> Result<T, E> + Send + 'static,
    ) -> Result<Committed<T>, EngineError<E>> {
        let written = self.engine.write_blocking(deed);
        let doubt = match &written {
            Err(EngineError::Write(WriteError::InDoubt(reason))) => reason.to_string(),
            Err(EngineError::Gone(reason)) => reason.clone(),
            _ => return written,
        };
        *self.in_doubt.lock().unwrap_or_else(PoisonError::into_inner) = Some(doubt);
        written
    }

    /// Waits for the end of the engine and says why.
    pub async fn ended(&self) -> String {
        self.engine.ended().await
    }

    /// Stops the engine after what it is doing.
    pub fn stop(&self) {
        self.engine.stop();
    }

    /// Where the device's key lives.
    pub fn key_class(&self) -> &'static str {
        self.key_class
    }

    /// How far HQ has committed what another device of this store wrote, as last heard.
    pub fn hq_has(&self, db: &Connection, origin: Origin) -> rusqlite::Result<u64> {
        Ok(Marks::load(db)?.seq(AT_HQ, (self.stream(), origin)))
    }

    /// The newest receipt of a device of this store.
    pub fn newest_receipt(
        &self,
        db: &Reader,
        origin: Origin,
    ) -> Result<Option<Receipt>, ReadError> {
        match self.rows_of_acts(db, origin)?.first() {
            Some((_, id)) => receipts::by_id(db, *id),
            None => Ok(None),
        }
    }

    /// How many entries of this store HQ has not committed, as last heard.
    pub fn not_at_hq(&self, db: &Reader) -> Result<u64, ReadError> {
        let stream = self.stream();
        let hq = Marks::load(db)?;
        let waits = |place: &(Stream, Origin, u64)| {
            place.2.saturating_sub(hq.seq(AT_HQ, (place.0, place.1)))
        };
        let ours = self.incarnations(db);
        let own = self.engine.identity().origin;
        let written_here =
            |origin: Origin| origin == own || ours.iter().any(|row| row.origin == origin);
        let vector = self.status().vector;
        Ok(vector.iter().filter(|at| at.0 == stream && written_here(at.1)).map(waits).sum())
    }

    /// The admitted devices of this store, this one left out. One that goes on under a spare origin is there with it, and
    /// not with the one of before.
    pub fn devices(&self, db: &Connection) -> Vec<Row> {
        let all = self.incarnations(db);
        let newer = |row: &Row| {
            all.iter().any(|other| other.device == row.device && other.origin > row.origin)
        };
        let own = &self.engine.identity().device;
        all.iter().filter(|row| row.device != *own && !newer(row)).cloned().collect()
    }

    /// Whoever has written for this store under whichever origin, this one left out.
    fn incarnations(&self, db: &Connection) -> Vec<Row> {
        let identity = self.engine.identity();
        let known = Origins::read(db, &identity.authority).unwrap_or_default().known;
        let ours = |row: &Row| row.store == identity.store && row.origin != identity.origin;
        known.into_values().filter(ours).collect()
    }

    /// The printed numbers of receipts, by the labels of the devices that wrote them.
    pub fn numbers(&self, db: &Connection, written: &[Receipt]) -> Vec<String> {
        let own = i64::from(self.engine.identity().origin.get());
        let rows = if written.iter().all(|receipt| receipt.id >> 40 == own) {
            Vec::new()
        } else {
            allow_list::all(db, &self.engine.identity().authority).unwrap_or_default()
        };
        let label = |receipt: &Receipt| {
            let writer = receipt.id >> 40;
            let row = rows.iter().find(|row| i64::from(row.origin.get()) == writer);
            match row {
                _ if writer == own => self.label.clone(),
                Some(row) => row.label.clone(),
                None => format!("{writer}"),
            }
        };
        written.iter().map(|receipt| receipts::number(&label(receipt), receipt.no)).collect()
    }

    /// Why the last commit is in doubt, if it is.
    pub fn in_doubt(&self) -> Option<String> {
        self.in_doubt.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How this device stands with the others.
    pub fn status(&self) -> HubStatus {
        self.engine.status()
    }

    /// That the database was built anew, if it ever was.
    pub fn rebuilt(&self) -> Option<&Rebuilt> {
        self.rebuilt.as_ref()
    }

    /// Hears of each change of the status.
    pub fn subscribe(&self) -> watch::Receiver<HubStatus> {
        self.engine.subscribe()
    }

    /// Whether a parent is set up.
    pub fn has_parent(&self) -> bool {
        self.has_parent
    }

    /// Who this device is.
    pub fn identity(&self) -> &Identity {
        self.engine.identity()
    }

    /// The label on its receipts: "T1".
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its store.
    pub fn store(&self) -> i64 {
        i64::from(self.engine.identity().store)
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How far this device's own stream has travelled.
    pub fn marks(&self) -> standing::Marks {
        let status = self.engine.status();
        standing::Marks {
            head: status.own_head,
            parent_has: status.parent_has,
            hq_has: status.hq_has,
        }
    }

    /// Seqs of the newest acts of this device, newest first: of a pos its receipts, of a back office
    /// whatever it wrote for its store.
    pub fn own_acts(&self, db: &Connection) -> rusqlite::Result<Vec<u64>> {
        match self.engine.identity().role {
            Role::BackOffice => Ok((1..=self.marks().head).rev().take(ACTS_READ).collect()),
            _ => self.acts(db, self.engine.identity().origin),
        }
    }

    /// Seqs of the newest receipts of a device of this store, newest first.
    pub fn acts(&self, db: &Connection, origin: Origin) -> rusqlite::Result<Vec<u64>> {
        Ok(self.rows_of_acts(db, origin)?.into_iter().map(|act| act.0).collect())
    }

    /// First digits of the hash of a receipt's entry, or nothing when it lies too far back.
    pub fn signature(&self, db: &Connection, receipt: i64) -> String {
        let find = || -> rusqlite::Result<Option<String>> {
            let acts = self.rows_of_acts(db, self.engine.identity().origin)?;
            let Some(act) = acts.iter().find(|act| act.1 == receipt) else { return Ok(None) };
            let hash =
                changelog::chain_at(db, self.stream(), self.engine.identity().origin, act.0)?;
            Ok(Some(hex::encode(hash).chars().take(8).collect()))
        };
        find().ok().flatten().unwrap_or_default()
    }

    fn rows_of_acts(&self, db: &Connection, origin: Origin) -> rusqlite::Result<Vec<(u64, i64)>> {
        let limit = u32::try_from(ACTS_READ).unwrap_or(u32::MAX);
        changelog::acts(db, &self.tables, self.stream(), origin, RECEIPT_TABLE, limit)
    }

    fn stream(&self) -> Stream {
        Stream::store(self.engine.identity().store).unwrap_or(Stream::CHAIN)
    }
}
