//! Writes anew what nobody took under the old origin
//!
//! When a device goes on under another origin, what it had written under the old one and its parent has not taken is
//! written again, entry by entry and before anything else. Beside its rows each such entry says which one it was.
//!
//! Ids that were drawn in it are drawn anew, for others may have taken another past with the same ids. They come from the
//! old entry alone: two boxes with one image write the same rows for what both had, and others for what each had alone.

use rusqlite::{Connection, OptionalExtension, Transaction};
use std::path::Path;

use crate::{
    changelog,
    entry::Op,
    entry_reader::Reader,
    evidence::chain_here,
    ext::Ext,
    floor,
    hlc::Millis,
    open::{self, OpenError},
    origin::{Origin, Stream},
    outcome::WriteError,
    page_check,
    planted::{self, Fault},
    private,
    reissued::redrawn,
    replica::Replica,
    rights_anew::{self, Mover},
    row_id,
    tables::{Table, Tables},
    taken::facts_are_here,
    value::{Kind, Value},
    writer::{Writer, WriterState},
};

/// How far a tail was written anew is kept under this name, with its origin and stream.
const PROGRESS: &str = "reissued/";

/// The part of an old log that nobody took.
struct Tail {
    old: Origin,
    stream: Stream,
    /// The last entry that others took.
    common: u64,
    /// The last entry of the old log.
    last: u64,
    /// Of each entry behind the common one the first counter that it could draw, and the chain value up to it.
    drawn: Vec<(u64, [u8; 32])>,
}

impl Replica {
    /// Writes anew what nobody took of the log that this device goes on from, then says that the device may write. Call it
    /// when its own history is here; again after a failure.
    pub(crate) fn write_anew(&mut self, now: Millis) -> Result<u64, ReissueError> {
        let mut written = 0;
        let predecessors = self.predecessors.clone();
        // One that did not come to it has left the tail of the one before it to us.
        for (path, old) in predecessors.into_iter().filter(|_| !planted::is(Fault::TailDropped)) {
            match self.write_tails(now, &path, old) {
                // It is built anew at the next start, as ours would be.
                Err(cause) if cause.is_rot() => {
                    self.notice_rot();
                    if !self.is_rotten() {
                        self.one_before_has_rotted((path, old));
                    }
                    return Err(cause);
                }
                done => written += done?,
            }
        }
        let writer = Writer { state: WriterState::Ready, ..self.writer };
        self.keep_house(|db| writer.save(db))?;
        self.writer = writer;
        Ok(written)
    }

    fn write_tails(&mut self, now: Millis, path: &Path, old: Origin) -> Result<u64, ReissueError> {
        let reader = open::reader(path, self.vfs.as_deref(), old)?;
        let mut written = 0;
        for tail in tails(self, &reader, old)? {
            written += self.write_tail(now, &reader, &tail)?;
        }
        Ok(written)
    }

    fn write_tail(
        &mut self,
        now: Millis,
        reader: &Connection,
        tail: &Tail,
    ) -> Result<u64, ReissueError> {
        let progress = format!("{PROGRESS}{}/{}", tail.old, tail.stream.number());
        let ask = "SELECT value FROM sync_meta WHERE name = ?1";
        let done: Option<i64> =
            self.db().query_row(ask, [&progress], |row| row.get(0)).optional()?;
        let from = tail.common.max(done.unwrap_or(0).cast_unsigned()) + 1;
        let tables = self.tables().clone();
        let mut written = 0;
        for seq in from..=tail.last {
            let chain = changelog::chain_at(reader, tail.stream, tail.old, seq)?;
            let bytes = changelog::read(reader, tail.stream, tail.old, seq, 1, u64::MAX)?;
            let bytes = bytes.first().expect("an entry of the log is there");
            let (identity, stamp) = (self.identity(), self.clock.clone().tick(now));
            let mover = Mover { me: identity.holder(), role: identity.role, stamp };
            self.writes_anew = true;
            let done = self.write_anyhow(now, Ext::NONE, |tx| {
                private::bring(tx, reader, bytes)?;
                tail.write(tx, &tables, &mover, (seq, &chain, bytes))?;
                tx.execute(
                    "INSERT OR REPLACE INTO sync_meta (name, value) VALUES (?1, ?2)",
                    (&progress, seq.cast_signed()),
                )
            });
            self.writes_anew = false;
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
        let common = match common_point(replica, reader, old, stream, head.seq)? {
            Common::Known(seq) => seq,
            Common::Trimmed(surely, unless) => {
                let taken = taken_up_to(replica, reader, (stream, old), surely..=head.seq)?;
                taken.unwrap_or(unless)
            }
        };
        let mut drawn = Vec::new();
        for seq in common + 1..=head.seq {
            let bytes = changelog::read(reader, stream, old, seq, 1, u64::MAX)?;
            let entry = bytes.first().and_then(|bytes| Reader::open(bytes, old).ok());
            let chain = changelog::chain_at(reader, stream, old, seq)?;
            drawn.extend(entry.map(|entry| (entry.header().base, chain)));
        }
        if common < head.seq {
            tails.push(Tail { old, stream, common, last: head.seq, drawn });
        }
    }
    Ok(tails)
}

/// The last entry that the old log and what was pulled back have in common.
enum Common {
    /// It is this one.
    Known(u64),
    /// What was pulled back begins behind it, as a snapshot: it is the first one at least, and the second one unless the
    /// rows say otherwise.
    Trimmed(u64, u64),
}

/// Both logs have the same entries up to some point and none after it.
fn common_point(
    replica: &Replica,
    reader: &Connection,
    old: Origin,
    stream: Stream,
    last: u64,
) -> rusqlite::Result<Common> {
    // What was trimmed in the old log was taken: the chain was looked at then.
    let (trimmed, begins) = (floor::floor(reader, stream, old)?.seq, replica.floor(stream, old));
    let (mut same, mut other) = (0, last.min(replica.head(stream, old).seq) + 1);
    let differs = begins <= last
        && chain_here(reader, stream, old, begins)?
            != chain_here(replica.db(), stream, old, begins)?;
    if trimmed < begins && (last < begins || differs) && !planted::is(Fault::TrimmedTakenForSame) {
        return Ok(Common::Trimmed(trimmed, if differs { trimmed } else { last }));
    }
    while same + 1 < other {
        let at = same + (other - same) / 2;
        let there = chain_here(reader, stream, old, at)?;
        let here = chain_here(replica.db(), stream, old, at)?;
        // What is trimmed on either side lies before what both have in common.
        if there.is_none() || here.is_none() || there == here {
            same = at;
        } else {
            other = at;
        }
    }
    Ok(Common::Known(same))
}

/// The last of the old entries behind the first of a range of which the rows are here, where one behind it was not taken;
/// None where no row says that one was not.
fn taken_up_to(
    replica: &Replica,
    reader: &Connection,
    (stream, old): (Stream, Origin),
    range: std::ops::RangeInclusive<u64>,
) -> rusqlite::Result<Option<u64>> {
    let mut taken = *range.start();
    for seq in range.skip(1) {
        let entry = changelog::read(reader, stream, old, seq, 1, u64::MAX)?;
        let Some(entry) = entry.first() else { continue };
        match facts_are_here(replica.db(), replica.tables(), old, entry)? {
            Some(true) => taken = seq,
            Some(false) => return Ok(Some(taken)),
            None => {}
        }
    }
    Ok(None)
}

impl Tail {
    /// Writes the rows of an entry, and what it was.
    fn write(
        &self,
        tx: &Transaction<'_>,
        tables: &Tables,
        mover: &Mover,
        (seq, chain, bytes): (u64, &[u8; 32], &[u8]),
    ) -> rusqlite::Result<()> {
        let key = (self.old.get(), self.stream.number(), seq.cast_signed(), chain);
        let there = tx
            .prepare_cached(
                "SELECT 1 FROM reissued WHERE (of_origin, of_stream, of_seq, of_chain) = (?1, ?2, ?3, ?4)",
            )?
            .exists(key)?;
        let Ok(mut reader) = Reader::open(bytes, self.old) else { return Ok(()) };
        if there {
            return Ok(());
        }
        tx.prepare_cached(
            "INSERT INTO reissued (of_origin, of_stream, of_seq, of_chain, store)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((key.0, key.1, key.2, key.3, mover.me.store))?;
        let mut values = Vec::new();
        while let Ok(Some(run)) = reader.next_run() {
            let Some(table) = tables.numbered(run.table) else { continue };
            while let Ok(Some(mask)) = reader.next_row(&table.layout, &mut values) {
                let row: Vec<Value> = values.iter().map(|value| value.to_value()).collect();
                self.write_row((tx, mover), table, run.op, mask, row)?;
            }
        }
        Ok(())
    }

    fn write_row(
        &self,
        (tx, mover): (&Transaction<'_>, &Mover),
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
        if op == Op::Insert && rights_anew::are_moves(table) {
            return rights_anew::add(tx, table, mover, row);
        }
        // The marks of a register row are never carried; the engine sets them.
        if let Some(marks) = table.layout.marks.filter(|_| op == Op::Insert) {
            row[marks] = Value::Bytes(Vec::new());
        }
        let sql = match op {
            Op::Insert if table.rule.only_adds() => table.insert.clone(),
            Op::Insert => table.upsert.clone(),
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
        let Value::Int(id) = value else { return };
        let (writer, counter) = row_id::unpack(*id);
        if writer != i64::from(self.old.get()) {
            return;
        }
        let after = self.drawn.partition_point(|(base, _)| *base <= counter);
        if let Some(at) = after.checked_sub(1) {
            *id = redrawn(*id, &self.drawn[at].1);
        }
    }
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

impl ReissueError {
    fn is_rot(&self) -> bool {
        match self {
            ReissueError::Open(cause) => cause.is_rot(),
            ReissueError::Sqlite(cause)
            | ReissueError::Write(WriteError::Refused(cause) | WriteError::NotCommitted(cause)) => {
                page_check::is_rot(cause)
            }
            ReissueError::Write(_) => false,
        }
    }
}
