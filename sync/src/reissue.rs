//! Writes anew what nobody took under the old origin
//!
//! When a device goes on under another origin, what it had written under the old one and its parent has not taken is
//! written again, entry by entry and before anything else. Ids of the old origin from the fork on are redrawn: the same
//! counter under the new origin, so what referred to another of these entries still does. Beside its rows each such entry
//! says which one it was.

use rusqlite::{Connection, Transaction};

use crate::{
    changelog,
    entry::Op,
    entry_reader::Reader,
    evidence::chain_here,
    ext::Ext,
    hlc::Millis,
    open::{self, OpenError},
    origin::{Origin, Stream},
    outcome::WriteError,
    planted::{self, Fault},
    replica::Replica,
    row_id,
    tables::{Table, Tables},
    value::{Kind, Value},
    writer::{Writer, WriterState},
};

/// Where the first entry that is written anew is remembered to end, by stream.
const PROGRESS: &str = "reissued/";

/// The part of an old log that nobody took.
struct Tail {
    stream: Stream,
    /// The last entry that others took.
    common: u64,
    /// The last entry of the old log.
    last: u64,
    /// Ids from this counter on were drawn in the tail.
    floor: u64,
}

impl Replica {
    /// Writes anew what nobody took of the log that this device goes on from, then says that the device may write. Call it
    /// when its own history is here; again after a failure.
    pub(crate) fn write_anew(&mut self, now: Millis) -> Result<u64, ReissueError> {
        let mut written = 0;
        if let Some((path, old)) = self.predecessor.clone()
            && !planted::is(Fault::TailDropped)
        {
            let reader = open::reader(&path, self.vfs.as_deref(), old)?;
            for tail in tails(self, &reader, old)? {
                written += self.write_tail(now, &reader, old, &tail)?;
            }
        }
        let writer = Writer { state: WriterState::Ready, ..self.writer };
        self.keep_house(|db| writer.save(db))?;
        self.writer = writer;
        Ok(written)
    }

    fn write_tail(
        &mut self,
        now: Millis,
        reader: &Connection,
        old: Origin,
        tail: &Tail,
    ) -> Result<u64, ReissueError> {
        let progress = format!("{PROGRESS}{old}/{}", tail.stream.number());
        let done: Option<i64> = rusqlite::OptionalExtension::optional(self.db().query_row(
            "SELECT value FROM sync_meta WHERE name = ?1",
            [&progress],
            |row| row.get(0),
        ))?;
        let from = tail.common.max(done.unwrap_or(0).cast_unsigned()) + 1;
        let mut written = 0;
        for seq in from..=tail.last {
            let chain = changelog::chain_at(reader, tail.stream, old, seq)?;
            let bytes = changelog::read(reader, tail.stream, old, seq, 1, u64::MAX)?;
            let bytes = bytes.first().expect("an entry of the log is there");
            let anew =
                Anew { old, tail, new: self.identity().origin, store: self.identity().store };
            let (tables, counter) = (self.tables().clone(), self.counter.clone());
            let next = anew.next_counter(&tables, bytes).max(counter.next());
            if let Some(base) = anew.base(bytes) {
                counter.set(base.max(1));
            }
            let entry = (seq, &chain, &bytes[..]);
            let done = self.write_anyhow(now, Ext::NONE, |tx| {
                counter.set(next);
                anew.write(tx, &tables, entry)?;
                tx.execute(
                    "INSERT OR REPLACE INTO sync_meta (name, value) VALUES (?1, ?2)",
                    (&progress, seq.cast_signed()),
                )
            });
            if done.is_err() {
                self.counter.set(next);
            }
            written += u64::from(done?.entry.is_some());
        }
        Ok(written)
    }

    /// A device whose origin is new and that had another one before waits for its own history.
    pub(crate) fn look_back(&mut self) -> rusqlite::Result<()> {
        let own = self.identity().origin;
        let has_written = self.heads.keys().any(|(_, origin)| *origin == own);
        let device = &self.identity().device;
        let mut others = self.origins.known.values();
        let had_another = others.any(|row| row.device == *device && row.origin != own);
        let new = self.writer == Writer::default() && !has_written && had_another;
        let decided = || {
            let count = "SELECT count(*) FROM sync_meta WHERE name = 'writer'";
            self.db().query_row(count, [], |row| row.get::<_, i64>(0)).map(|count| count > 0)
        };
        if !new || decided()? || planted::is(Fault::HistoryNotAwaited) {
            return Ok(());
        }
        let writer = Writer { state: WriterState::Returning, ..self.writer };
        self.keep_house(|db| writer.save(db))?;
        self.writer = writer;
        Ok(())
    }
}

/// What of the old log nobody took, by stream.
fn tails(replica: &Replica, reader: &Connection, old: Origin) -> rusqlite::Result<Vec<Tail>> {
    let mut tails = Vec::new();
    for ((stream, origin), head, _) in changelog::heads(reader)? {
        if origin != old || head.seq == 0 {
            continue;
        }
        let common = common_point(replica, reader, old, stream, head.seq)?;
        if common < head.seq {
            let first = changelog::read(reader, stream, old, common + 1, 1, u64::MAX)?;
            let base = first.first().and_then(|bytes| Reader::open(bytes, old).ok());
            let floor = base.map_or(0, |reader| reader.header().base);
            tails.push(Tail { stream, common, last: head.seq, floor });
        }
    }
    Ok(tails)
}

/// The last entry that the old log and what was pulled back have in common. Both have the same entries up to some point
/// and none after it.
fn common_point(
    replica: &Replica,
    reader: &Connection,
    old: Origin,
    stream: Stream,
    last: u64,
) -> rusqlite::Result<u64> {
    let (mut same, mut other) = (0, last.min(replica.head(stream, old).seq) + 1);
    while same + 1 < other {
        let at = same + (other - same) / 2;
        let there = chain_here(reader, stream, old, at)?;
        let here = chain_here(replica.db(), stream, old, at)?;
        // What is trimmed on either side was taken long ago.
        if there.is_none() || here.is_none() || there == here {
            same = at;
        } else {
            other = at;
        }
    }
    Ok(same)
}

/// One entry that is written anew.
struct Anew<'t> {
    old: Origin,
    new: Origin,
    store: u32,
    tail: &'t Tail,
}

impl Anew<'_> {
    fn base(&self, bytes: &[u8]) -> Option<u64> {
        Reader::open(bytes, self.old).ok().map(|reader| reader.header().base)
    }

    /// One more than the highest counter of the ids that the entry has drawn.
    fn next_counter(&self, tables: &Tables, bytes: &[u8]) -> u64 {
        let mut next = self.base(bytes).unwrap_or(1).max(1);
        let Ok(mut reader) = Reader::open(bytes, self.old) else { return next };
        let mut values = Vec::new();
        while let Ok(Some(run)) = reader.next_run() {
            let Some(table) = tables.numbered(run.table) else { continue };
            while let Ok(Some(_)) = reader.next_row(&table.layout, &mut values) {
                let ids = values.iter().filter_map(|value| match value.to_value() {
                    Value::Int(id) if row_id::unpack(id).0 == i64::from(self.old.get()) => {
                        Some(row_id::unpack(id).1)
                    }
                    _ => None,
                });
                next = ids.fold(next, |next, counter| next.max(counter + 1));
            }
        }
        next
    }

    /// Writes its rows, and what it was.
    fn write(
        &self,
        tx: &Transaction<'_>,
        tables: &Tables,
        (seq, chain, bytes): (u64, &[u8; 32], &[u8]),
    ) -> rusqlite::Result<()> {
        let there = tx
            .prepare_cached(
                "SELECT 1 FROM reissued WHERE (of_origin, of_stream, of_seq, of_chain) = (?1, ?2, ?3, ?4)",
            )?
            .exists((self.old.get(), self.tail.stream.number(), seq.cast_signed(), chain))?;
        let Ok(mut reader) = Reader::open(bytes, self.old) else { return Ok(()) };
        if there {
            return Ok(());
        }
        tx.prepare_cached(
            "INSERT INTO reissued (of_origin, of_stream, of_seq, of_chain, store, origin)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            self.old.get(),
            self.tail.stream.number(),
            seq.cast_signed(),
            chain,
            self.store,
            self.new.get(),
        ))?;
        let mut values = Vec::new();
        while let Ok(Some(run)) = reader.next_run() {
            let Some(table) = tables.numbered(run.table) else { continue };
            while let Ok(Some(mask)) = reader.next_row(&table.layout, &mut values) {
                let row: Vec<Value> = values.iter().map(|value| value.to_value()).collect();
                self.write_row(tx, table, run.op, mask, row)?;
            }
        }
        Ok(())
    }

    fn write_row(
        &self,
        tx: &Transaction<'_>,
        table: &Table,
        op: Op,
        mask: u64,
        mut row: Vec<Value>,
    ) -> rusqlite::Result<()> {
        let keys = table.layout.key.iter().copied();
        let columns: Vec<usize> = match op {
            Op::Insert => (0..table.layout.kinds.len()).collect(),
            Op::Update => keys.chain(crate::entry::columns(mask)).collect(),
            Op::Delete => keys.collect(),
        };
        for (value, column) in row.iter_mut().zip(&columns) {
            if table.layout.kinds[*column] == Kind::Id {
                self.redraw(value);
            }
        }
        // What a newer schema wrote is all that there is of this change.
        if op == Op::Update && mask == 0 {
            return Ok(());
        }
        let sql = match op {
            Op::Insert => {
                count_anew(tx, table, &mut row)?;
                // The marks of a register row are never carried; the engine sets them.
                if let Some(marks) = table.layout.marks {
                    row[marks] = Value::Bytes(Vec::new());
                }
                if table.rule.only_adds() { table.insert.clone() } else { table.upsert.clone() }
            }
            Op::Update => {
                row.rotate_left(table.layout.key.len());
                table.update(mask)
            }
            Op::Delete => table.delete.clone(),
        };
        let mut statement = tx.prepare_cached(&sql)?;
        for (value, at) in row.iter().zip(1..=statement.parameter_count()) {
            statement.raw_bind_parameter(at, value.borrow())?;
        }
        statement.raw_execute().map(drop)
    }

    fn redraw(&self, value: &mut Value) {
        if let Value::Int(id) = value {
            let (writer, counter) = row_id::unpack(*id);
            if writer == i64::from(self.old.get()) && counter >= self.tail.floor {
                *id = row_id::pack(self.new, counter);
            }
        }
    }
}

/// Columns that count 1, 2, 3 ... for each origin go on with the next number of the new one.
fn count_anew(tx: &Transaction<'_>, table: &Table, row: &mut [Value]) -> rusqlite::Result<()> {
    let mut select = tx.prepare_cached("SELECT name FROM running_number WHERE table_id = ?1")?;
    let names: Vec<String> =
        select.query_map([table.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for name in names {
        let Some(column) = table.columns.iter().position(|column| *column == name) else {
            continue;
        };
        let key = &table.columns[table.layout.key[0]];
        let next: i64 = tx.query_row(
            &format!(
                "SELECT ifnull(max(\"{name}\"), 0) + 1 FROM \"{}\" WHERE \"{key}\" BETWEEN own_ids() AND own_ids() + (1 << 40) - 1",
                table.name
            ),
            [],
            |row| row.get(0),
        )?;
        row[column] = Value::Int(next);
    }
    Ok(())
}

/// Why what nobody took was not written anew.
#[derive(Debug, thiserror::Error)]
pub enum ReissueError {
    /// The old database did not open.
    #[error("the database before this one is not readable: {0}")]
    Open(#[from] OpenError),
    /// SQLite failed.
    #[error("what was written before was not read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// An entry was not written anew.
    #[error("what was written before was not written anew: {0}")]
    Write(#[from] WriteError<rusqlite::Error>),
}
