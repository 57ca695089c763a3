//! Makes a snapshot chunk by chunk from one moment
//!
//! A reader holds that moment while local writes go on. Each step makes one
//! chunk, so a store that is trading never waits for more than that.

use crate::{
    changelog::{self, LogHead},
    device_keys::DeviceKeys,
    floor,
    hlc::Stamp,
    merkle,
    open::OpenError,
    origin::{Origin, Stream},
    page_check,
    planted::{self, Fault},
    replica::Replica,
    rule::StreamRule,
    seal::{self, SESSION_OF_ENROLLED_KEY, Seal},
    signed::Mark,
    snapshot::{CHUNK_BYTES_MAX, Manifest, packed},
    snapshot_rack::Rack,
    snapshot_rows::{RowWriter, halve},
    tables::Table,
    value::Value,
    version::Head,
};
use rusqlite::Connection;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// A chunk holds about so many bytes of rows before it is packed.
pub const CHUNK_ROWS_BYTES: usize = 192 * 1024;

/// Rows that are read in one go.
const PAGE_ROWS: usize = 1_000;

/// Number of the list of heads in a chunk: stream, origin, seq and chain of the head; seq, chain, stamp, session, age
/// and signature of its seal.
pub const HEADS: u32 = 4_096;
/// Number of the list of entries that the receiver must keep: stream, origin, seq, bytes.
pub const ENTRIES: u32 = 4_097;
/// Number of the list of what is parked: the columns of `sync_parked`.
pub const PARKED: u32 = 4_098;
/// Number of the list of entries of a newer schema: the columns of `sync_ahead`.
pub const AHEAD: u32 = 4_099;

/// Lists that are carried as they are, as far as they are of a store's streams: number, table, columns.
pub const LISTS: [(u32, &str, &str); 4] = [
    (4_100, "sync_lost", "table_id, key, col, version, origin, stream, value, lost_at"),
    (4_101, "sync_overwritten", "table_id, key, col, version, origin, stream"),
    (4_102, "private_blob", "hash, subject, bytes, origin, stream, seq"),
    (4_103, "sync_lacking", "hash, origin, stream, seq"),
];

/// A part of the rows that are still to come.
enum Part {
    /// Rows of a table, given by its place, between two first keys; the last key that is done.
    Table { place: usize, ids: Option<(i64, i64)>, after: Option<Vec<Value>> },
    /// What is parked, or known in part only.
    Parked,
    /// A list that is carried as it is, by its place.
    List(usize),
    /// Heads, and entries that lie above their seals.
    Heads,
}

/// A snapshot that is being made.
pub struct Making {
    db: Connection,
    keys: Arc<dyn DeviceKeys>,
    /// For which store.
    pub store: u32,
    lot: i64,
    own: Origin,
    maker: Vec<u8>,
    heads: Vec<(Stream, Origin, LogHead)>,
    parts: VecDeque<Part>,
    chunks: u64,
    stamp: Stamp,
    epoch: u16,
}

/// What a step came to.
pub enum Step {
    /// There is more to do.
    More,
    /// It is whole and on the rack.
    Whole,
}

/// Why no snapshot is made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The replica gives no reader.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// SQLite refused.
    #[error("the snapshot was not made: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Its rows name no store.
    #[error(
        "no snapshot can be made: the rows of {0} do not say whose they are, declare it by:COLUMN"
    )]
    Whose(String),
    /// HQ has not admitted this device, so nobody would believe it.
    #[error("no snapshot can be made before HQ's row of this device is here")]
    NotAdmitted,
    /// Rows are missing here.
    #[error(
        "no snapshot can be made: the database of this device has rotted, and its new one is not here yet"
    )]
    Torn,
    /// A row cannot be carried.
    #[error("no snapshot can be made: {0}")]
    Row(String),
}

impl MakeError {
    /// Whether a page was refused because of rot.
    pub fn is_rot(&self) -> bool {
        match self {
            MakeError::Open(cause) => cause.is_rot(),
            MakeError::Sqlite(cause) => page_check::is_rot(cause),
            MakeError::Whose(_) | MakeError::NotAdmitted | MakeError::Torn | MakeError::Row(_) => {
                false
            }
        }
    }
}

impl Making {
    /// Takes hold of this moment of the database.
    pub fn begin(replica: &Replica, rack: &Rack, store: u32) -> Result<Making, MakeError> {
        if replica.is_torn()? {
            return Err(MakeError::Torn);
        }
        let own = replica.identity().origin;
        let maker = replica.known(own).ok_or(MakeError::NotAdmitted)?.to_bytes();
        let db = replica.reader()?;
        db.execute_batch("BEGIN")?;
        let streams = [Some(Stream::CHAIN), Stream::store(store)];
        let heads: Vec<(Stream, Origin, LogHead)> = changelog::heads(&db)?
            .into_iter()
            .filter(|((stream, _), _, _)| streams.contains(&Some(*stream)))
            .map(|((stream, origin), head, _)| (stream, origin, head))
            .collect();
        let mut parts = VecDeque::from([Part::Heads, Part::Parked]);
        parts.extend((0..LISTS.len()).map(Part::List));
        let writers = writers_of(&db, replica, store)?;
        let all = replica.identity().store != 0;
        for (place, table) in replica.tables().all().iter().enumerate() {
            let whole = all || table.stream != StreamRule::Store;
            let ids = if whole { vec![None] } else { ids_of(table, &writers)? };
            parts.extend(ids.into_iter().map(|ids| Part::Table { place, ids, after: None }));
        }
        let stamp = replica.clock.last();
        let (lot, keys) = (rack.begin(store)?, Arc::clone(replica.keys()));
        let epoch = replica.tables().epoch();
        Ok(Making { db, keys, store, lot, own, maker, heads, parts, chunks: 0, stamp, epoch })
    }

    /// Makes the next chunk of about so many bytes of rows.
    pub fn step(
        &mut self,
        replica: &Replica,
        rack: &Rack,
        bytes: usize,
    ) -> Result<Step, MakeError> {
        let mut rows = RowWriter::default();
        while rows.size() < bytes
            && let Some(part) = self.parts.pop_front()
        {
            if let Some(rest) = self.write(replica, part, &mut rows)? {
                self.parts.push_front(rest);
            }
        }
        if rows.rows() > 0 {
            self.add(rack, rows.finish())?;
        }
        if self.parts.is_empty() { self.finish(rack) } else { Ok(Step::More) }
    }

    /// Packs rows into a chunk, or into two where one would be too large.
    fn add(&mut self, rack: &Rack, rows: Vec<u8>) -> Result<(), MakeError> {
        let mut waiting = vec![rows];
        while let Some(rows) = waiting.pop() {
            let body = packed(&rows);
            if body.len() > CHUNK_BYTES_MAX {
                let halves = halve(&rows).map_err(|cause| MakeError::Row(cause.to_string()))?;
                let Some([first, second]) = halves else {
                    return Err(MakeError::Row("a row is larger than a chunk".to_owned()));
                };
                waiting.extend([second, first]);
                continue;
            }
            self.chunks += 1;
            rack.add(self.lot, self.chunks, &body)?;
        }
        Ok(())
    }

    fn finish(&mut self, rack: &Rack) -> Result<Step, MakeError> {
        let leaves = rack.leaves(self.lot)?;
        assert_eq!(leaves.len() as u64, self.chunks, "every chunk is on the rack");
        let root = merkle::root(&leaves);
        let marks: Vec<Mark> =
            self.heads.iter().map(|(stream, origin, head)| (*stream, *origin, head.seq)).collect();
        let mut id = [0; 16];
        id.copy_from_slice(&root[..16]);
        let manifest = Manifest {
            id,
            store: self.store,
            epoch: self.epoch,
            stamp: self.stamp,
            chunks: self.chunks,
            root,
            marks,
            maker: self.maker.clone(),
            signer: self.own,
        };
        let bytes = manifest.encode(self.keys.as_ref());
        rack.finish(self.lot, self.store, id, &bytes)?;
        Ok(Step::Whole)
    }

    /// Writes a part, and says what is left of it.
    fn write(
        &self,
        replica: &Replica,
        part: Part,
        rows: &mut RowWriter,
    ) -> Result<Option<Part>, MakeError> {
        match part {
            Part::Heads => {
                for (stream, origin, head) in &self.heads {
                    self.write_head(*stream, *origin, head, rows)?;
                }
                Ok(None)
            }
            Part::Parked => self.write_parked(rows).map(|()| None),
            Part::List(place) => self.write_list(place, rows).map(|()| None),
            Part::Table { place, ids, after } => {
                let table = &replica.tables().all()[place];
                let last = self.write_page(table, ids, after.as_deref(), rows)?;
                Ok(last.map(|last| Part::Table { place, ids, after: Some(last) }))
            }
        }
    }

    /// A head with its newest seal, and the entries between the two.
    fn write_head(
        &self,
        stream: Stream,
        origin: Origin,
        head: &LogHead,
        rows: &mut RowWriter,
    ) -> Result<(), MakeError> {
        let sealed = if origin == self.own {
            let at = Head { seq: head.seq, chain: head.chain };
            let keys = self.keys.as_ref();
            Some(seal::make(keys, origin, stream, &at, SESSION_OF_ENROLLED_KEY, 0))
        } else {
            changelog::newest_seal(&self.db, stream, origin, head.seq)?
        };
        let floor = floor::floor(&self.db, stream, origin)?;
        let none = Seal { seq: 0, session: 0, age: 0, signature: [0; 64] };
        // Entries above the newest seal are half of a frame that is still coming in.
        let seal = sealed.filter(|seal| seal.seq >= floor.seq).unwrap_or(none);
        let at = seal.seq.max(floor.seq);
        let chain = changelog::chain_at(&self.db, stream, origin, at)?;
        let stamp = head.stamp;
        let row = [
            Value::Int(stream.number().into()),
            Value::Int(origin.get().into()),
            Value::Int(head.seq.cast_signed()),
            Value::Bytes(head.chain.to_vec()),
            Value::Int(stamp.0.cast_signed()),
            Value::Int(at.cast_signed()),
            Value::Bytes(chain.to_vec()),
            Value::Int(seal.seq.cast_signed()),
            Value::Int(seal.session.cast_signed()),
            Value::Int(seal.age.into()),
            Value::Bytes(seal.signature.to_vec()),
        ];
        rows.row(HEADS, row.iter().map(Value::borrow));
        for seq in at + 1..=head.seq {
            self.write_entry(stream, origin, seq, rows)?;
        }
        Ok(())
    }

    fn write_entry(
        &self,
        stream: Stream,
        origin: Origin,
        seq: u64,
        rows: &mut RowWriter,
    ) -> Result<(), MakeError> {
        let entry = changelog::read(&self.db, stream, origin, seq, 1, u64::MAX)?.pop();
        let Some(entry) = entry else { return Ok(()) };
        let row = [
            Value::Int(stream.number().into()),
            Value::Int(origin.get().into()),
            Value::Int(seq.cast_signed()),
            Value::Bytes(entry),
        ];
        rows.row(ENTRIES, row.iter().map(Value::borrow));
        Ok(())
    }

    /// What losers there are, and what is sealed for people.
    fn write_list(&self, place: usize, rows: &mut RowWriter) -> Result<(), MakeError> {
        let (number, table, columns) = LISTS[place];
        let sql = format!("SELECT {columns} FROM {table} WHERE stream IN (0, ?1)");
        let mut select = self.db.prepare_cached(&sql)?;
        let width = select.column_count();
        let mut found = select.query([self.store])?;
        while let Some(row) = found.next()? {
            let values = values(row, width)?;
            rows.row(number, values.iter().map(Value::borrow));
        }
        Ok(())
    }

    /// What is parked here is parked at the receiver too, with its entries.
    fn write_parked(&self, rows: &mut RowWriter) -> Result<(), MakeError> {
        const LISTED: &str = "stream IN (0, ?1) ORDER BY stream, origin, seq";
        self.write_kept(
            PARKED,
            &format!(
                "SELECT stream, origin, seq, reason, table_id, detail, parked_at
                 FROM sync_parked WHERE {LISTED}"
            ),
            rows,
        )?;
        let ahead = format!("SELECT stream, origin, seq, known FROM sync_ahead WHERE {LISTED}");
        self.write_kept(AHEAD, &ahead, rows)
    }

    /// Rows about entries that are kept, and these entries.
    fn write_kept(&self, list: u32, sql: &str, rows: &mut RowWriter) -> Result<(), MakeError> {
        let mut select = self.db.prepare_cached(sql)?;
        let width = select.column_count();
        let mut found = select.query([self.store])?;
        while let Some(row) = found.next()? {
            let stream = Stream::from_number(row.get(0)?).expect("only streams are kept");
            let origin = Origin::new(row.get(1)?).expect("only origins are kept");
            let seq = row.get::<_, i64>(2)?.cast_unsigned();
            self.write_entry(stream, origin, seq, rows)?;
            let values = values(row, width)?;
            rows.row(list, values.iter().map(Value::borrow));
        }
        Ok(())
    }

    /// A page of rows behind a key, and its last key when more may follow.
    fn write_page(
        &self,
        table: &Table,
        ids: Option<(i64, i64)>,
        after: Option<&[Value]>,
        rows: &mut RowWriter,
    ) -> Result<Option<Vec<Value>>, MakeError> {
        let mut select =
            self.db.prepare_cached(&page_sql(table, after.is_some(), ids.is_some()))?;
        let mut at = 1;
        if let StreamRule::By(_) = table.stream {
            select.raw_bind_parameter(at, self.store)?;
            at += 1;
        }
        if let Some((from, to)) = ids {
            select.raw_bind_parameter(at, from)?;
            select.raw_bind_parameter(at + 1, to)?;
            at += 2;
        }
        for value in after.unwrap_or_default() {
            select.raw_bind_parameter(at, value)?;
            at += 1;
        }
        let (mut found, mut last, mut count) = (select.raw_query(), None, 0);
        while let Some(row) = found.next()? {
            let values = values(row, table.columns.len())?;
            count += 1;
            if count != 3 || !planted::is(Fault::SnapshotLeavesRowsOut) {
                rows.row(table.id, values.iter().map(Value::borrow));
            }
            last = Some(values);
        }
        let key = |row: Vec<Value>| {
            table.layout.key.iter().map(|column| row[*column].clone()).collect::<Vec<Value>>()
        };
        Ok(last.filter(|_| count == PAGE_ROWS).map(key))
    }
}

fn values(row: &rusqlite::Row<'_>, columns: usize) -> Result<Vec<Value>, MakeError> {
    let odd = || MakeError::Row("a row holds a value that is not carried".to_owned());
    (0..columns).map(|column| Value::read(row.get_ref(column)?).ok_or_else(odd)).collect()
}

/// Reads rows of a table in the order of its key.
fn page_sql(table: &Table, after: bool, ids: bool) -> String {
    let quoted: Vec<String> = table.columns.iter().map(|column| format!("\"{column}\"")).collect();
    let read: Vec<&str> = (table.places.iter().zip(&quoted))
        .map(|(place, name)| place.map_or("NULL", |_| name.as_str()))
        .collect();
    let key: Vec<&str> = table.layout.key.iter().map(|at| quoted[*at].as_str()).collect();
    let mut at = 0;
    let mut mark = || {
        at += 1;
        format!("?{at}")
    };
    let mut wanted = vec!["1".to_owned()];
    if let StreamRule::By(column) = table.stream {
        wanted.push(format!("{} IN (0, {})", quoted[column], mark()));
    }
    if ids {
        wanted.push(format!("{} BETWEEN {} AND {}", key[0], mark(), mark()));
    }
    if after {
        let marks: Vec<String> = key.iter().map(|_| mark()).collect();
        wanted.push(format!("({}) > ({})", key.join(","), marks.join(",")));
    }
    format!(
        "SELECT {} FROM \"{}\" WHERE {} ORDER BY {} LIMIT {PAGE_ROWS}",
        read.join(","),
        table.name,
        wanted.join(" AND "),
        key.join(",")
    )
}

/// Every incarnation of every device of a store, dismissed ones too: their rows hold. Some may be known from an
/// admission alone.
fn writers_of(db: &Connection, replica: &Replica, store: u32) -> rusqlite::Result<BTreeSet<i64>> {
    let admitted = replica.all_known().filter(|row| row.store == store);
    let mut writers: BTreeSet<i64> = admitted.map(|row| row.origin.get().into()).collect();
    let mut select = db.prepare("SELECT origin FROM allow_list WHERE store = ?1")?;
    for origin in select.query_map([store], |row| row.get(0))? {
        writers.insert(origin?);
    }
    Ok(writers)
}

/// At HQ the rows of a store in a table of all stores are told by who drew their ids.
fn ids_of(table: &Table, writers: &BTreeSet<i64>) -> Result<Vec<Option<(i64, i64)>>, MakeError> {
    let first = table.layout.kinds[table.layout.key[0]];
    if first != crate::value::Kind::Id {
        return Err(MakeError::Whose(table.name.clone()));
    }
    Ok(writers
        .iter()
        .map(|origin| Some((origin << 40, (origin << 40) + ((1 << 40) - 1))))
        .collect())
}
