//! Rows of a CSV file: read in bounded memory, taken in groups
//!
//! A row is refused alone. Its neighbours are written, the refusal is told with its line number, and the reader can mend
//! those lines and give the same file again: what is already there changes nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Read;
use std::sync::Arc;

use rusqlite::{Connection, Transaction};
use selvedge_domain::moment::Moment;

use crate::database::{Database, DatabaseError};
use crate::import::fields::{Fields, shown_up_to};
use crate::import::lines::{Line, Lines};

/// Rows of one transaction. More would hold the writer for longer than a frame of a store should wait.
const GROUP_ROWS_MAX: usize = 500;

/// Rows of one file. Their keys are remembered to find duplicates, so this bounds the memory.
const FILE_ROWS_MAX: usize = 5_000_000;

/// What one kind of file holds.
pub trait Kind: Default {
    /// The columns, in order.
    const HEADER: &'static [&'static str];

    /// Columns that may follow, all or none of them. What is left out stays as it was.
    const OPTIONAL: &'static [&'static str] = &[];

    /// A row as it will be written.
    type Row: Send + Sync + 'static;

    /// Makes a row of its texts.
    fn parse(&mut self, fields: &Fields<'_>) -> Result<Self::Row, String>;

    /// What may stand in the file only once.
    fn key(row: &Self::Row) -> [i64; 4];

    /// Does what takes long, outside of the transaction.
    fn prepare(&mut self, _reader: &Connection, _row: &mut Self::Row) -> Result<(), String> {
        Ok(())
    }

    /// The store whose stream the row goes to; 0 is the whole chain.
    fn store(_row: &Self::Row) -> i64 {
        0
    }

    /// Writes the row, or says why not.
    fn write(tx: &Transaction<'_>, row: &Self::Row, now: Moment) -> Result<(), String>;
}

/// A row with its line number.
pub type Numbered<R> = (u64, R);

/// A row that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    /// Its line in the file; the header is line 1.
    pub line: u64,
    /// Why, as a sentence.
    pub reason: String,
}

/// How an import went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Rows that are in the database now, new or as they were.
    pub taken: u64,
    /// Rows that were refused.
    pub refused: u64,
    /// Changelog entries that were written: 0 when nothing changed.
    pub entries: u64,
}

/// Why an import stopped.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file could not be read to its end.
    #[error(
        "the file could not be read after line {line}: {why}; rows before it are taken, give the file again"
    )]
    Unreadable {
        /// The last line that was read.
        line: u64,
        /// What the system said.
        why: std::io::Error,
    },
    /// The database refused a whole group.
    #[error(
        "the rows from line {line} on were not written: {why}; rows before it are taken, give the file again"
    )]
    NotWritten {
        /// The first line of the group.
        line: u64,
        /// What the database said.
        why: DatabaseError,
    },
    /// A refusal could not be told.
    #[error("the list of refused rows could not be written: {0}")]
    Report(std::io::Error),
}

/// Takes the refused rows, one by one.
pub type Report<'a> = dyn FnMut(Refusal) -> std::io::Result<()> + 'a;

/// A file on its way into the database.
struct Import<'a, 'r, K: Kind> {
    kind: K,
    header: Vec<&'static str>,
    database: &'a Database,
    reader: Connection,
    report: &'a mut Report<'r>,
    seen: HashMap<[i64; 4], u64>,
    group: Vec<Numbered<K::Row>>,
    refusals: Vec<Refusal>,
    summary: Summary,
}

/// Reads a file of one kind into the database.
pub fn read<K: Kind>(
    from: impl Read,
    database: &Database,
    report: &mut Report<'_>,
) -> Result<Summary, ImportError> {
    let reader = database.reader().map_err(|why| ImportError::NotWritten { line: 1, why })?;
    let mut import = Import {
        kind: K::default(),
        header: Vec::new(),
        database,
        reader,
        report,
        seen: HashMap::new(),
        group: Vec::new(),
        refusals: Vec::new(),
        summary: Summary::default(),
    };
    let mut lines = Lines::new(from);
    let mut last = 0;
    while let Some((line, bytes)) =
        lines.advance().map_err(|why| ImportError::Unreadable { line: last, why })?
    {
        last = line;
        if !import.header.is_empty() {
            import.take(line, bytes)?;
            continue;
        }
        match header::<K>(bytes) {
            Ok(header) => import.header = header,
            Err(reason) => {
                import.refuse(line, reason);
                return import.finish();
            }
        }
    }
    if import.header.is_empty() {
        import
            .refuse(1, format!("the file is empty, but the header {} is expected", wanted::<K>()));
    }
    import.finish()
}

impl<K: Kind> Import<'_, '_, K> {
    fn take(&mut self, number: u64, line: Line<'_>) -> Result<(), ImportError> {
        if matches!(line, Line::Whole(bytes) if bytes.iter().all(u8::is_ascii_whitespace)) {
            return Ok(());
        }
        match self.understand(number, line) {
            Ok(row) => self.group.push((number, row)),
            Err(reason) => self.refuse(number, reason),
        }
        if self.group.len() + self.refusals.len() >= GROUP_ROWS_MAX {
            self.write_group()
        } else {
            Ok(())
        }
    }

    /// Makes a row of a line, and remembers its key.
    fn understand(&mut self, number: u64, line: Line<'_>) -> Result<K::Row, String> {
        let text = text_of(line)?;
        let record = split(text)?;
        let fields = Fields::new(&self.header, record.iter().collect())?;
        let mut row = self.kind.parse(&fields)?;
        if self.seen.len() >= FILE_ROWS_MAX {
            return Err(format!(
                "a file has at most {FILE_ROWS_MAX} rows: give the rest as a second file"
            ));
        }
        match self.seen.entry(K::key(&row)) {
            Entry::Occupied(first) => {
                return Err(format!("the same row stood on line {} already", first.get()));
            }
            Entry::Vacant(free) => free.insert(number),
        };
        self.kind.prepare(&self.reader, &mut row)?;
        Ok(row)
    }

    fn refuse(&mut self, line: u64, reason: String) {
        self.refusals.push(Refusal { line, reason });
    }

    /// Writes what has been gathered: one transaction for each store, because an entry belongs to one stream.
    fn write_group(&mut self) -> Result<(), ImportError> {
        let mut rows = std::mem::take(&mut self.group);
        rows.sort_by_key(|(_, row)| K::store(row));
        while let Some((_, row)) = rows.first() {
            let store = K::store(row);
            let end = rows.iter().position(|(_, row)| K::store(row) != store).unwrap_or(rows.len());
            let later = rows.split_off(end);
            self.write_rows(rows)?;
            rows = later;
        }
        self.tell()
    }

    /// Writes rows of one stream, in halves where all are too much for one entry.
    fn write_rows(&mut self, rows: Vec<Numbered<K::Row>>) -> Result<(), ImportError> {
        let (first, count) = (rows[0].0, rows.len() as u64);
        let rows = Arc::new(rows);
        let lent = Arc::clone(&rows);
        match self.database.write(move |tx, now| write_all::<K>(tx, &lent, now)) {
            Ok((refused, entry)) => {
                self.summary.taken += count - refused.len() as u64;
                self.summary.entries += u64::from(entry);
                self.refusals.extend(refused);
                Ok(())
            }
            Err(DatabaseError::Refused(reason) | DatabaseError::TooLarge(reason)) => {
                self.write_halves(rows, reason)
            }
            Err(why) => Err(ImportError::NotWritten { line: first, why }),
        }
    }

    fn write_halves(
        &mut self,
        rows: Arc<Vec<Numbered<K::Row>>>,
        reason: String,
    ) -> Result<(), ImportError> {
        let first = rows[0].0;
        // The write is over, so nobody else holds the rows any more.
        let Some(mut rows) = Arc::into_inner(rows) else {
            let why = DatabaseError::of("the rows are still in use");
            return Err(ImportError::NotWritten { line: first, why });
        };
        if rows.len() == 1 {
            self.refuse(first, reason);
            return Ok(());
        }
        let later = rows.split_off(rows.len() / 2);
        self.write_rows(rows)?;
        self.write_rows(later)
    }

    /// Tells the refusals of this group in the order of their lines.
    fn tell(&mut self) -> Result<(), ImportError> {
        self.refusals.sort_by_key(|refusal| refusal.line);
        self.summary.refused += self.refusals.len() as u64;
        for refusal in self.refusals.drain(..) {
            (self.report)(refusal).map_err(ImportError::Report)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Summary, ImportError> {
        self.write_group()?;
        Ok(self.summary)
    }
}

/// Writes rows of one stream and returns the refused ones. What a refused row has written is taken back.
fn write_all<K: Kind>(
    tx: &Transaction<'_>,
    rows: &[Numbered<K::Row>],
    now: Moment,
) -> rusqlite::Result<Vec<Refusal>> {
    let mut refused = Vec::new();
    for (line, row) in rows {
        tx.execute_batch("SAVEPOINT import_row")?;
        if let Err(reason) = K::write(tx, row, now) {
            tx.execute_batch("ROLLBACK TO import_row")?;
            refused.push(Refusal { line: *line, reason });
        }
        tx.execute_batch("RELEASE import_row")?;
    }
    Ok(refused)
}

/// The columns of a file by its first line.
fn header<K: Kind>(line: Line<'_>) -> Result<Vec<&'static str>, String> {
    let found = match line {
        Line::Whole(bytes) => bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes),
        Line::TooLong => b"more than 64 KiB",
    };
    let found = String::from_utf8_lossy(found);
    let is = |header: &[&str]| found.split(',').map(str::trim).eq(header.iter().copied());
    let whole = [K::HEADER, K::OPTIONAL].concat();
    if is(&whole) {
        Ok(whole)
    } else if is(K::HEADER) {
        Ok(K::HEADER.to_vec())
    } else {
        Err(format!(
            "the header is {}, but {} is expected",
            shown_up_to(&found, 200),
            wanted::<K>()
        ))
    }
}

/// The header that a kind of file has, for a refusal.
fn wanted<K: Kind>() -> String {
    let needed = shown_up_to(&K::HEADER.join(","), 200);
    if K::OPTIONAL.is_empty() {
        return needed;
    }
    format!("{needed}, which may go on with {}", shown_up_to(&K::OPTIONAL.join(","), 200))
}

fn text_of(line: Line<'_>) -> Result<&str, String> {
    match line {
        Line::TooLong => Err("the line is longer than 64 KiB".to_string()),
        Line::Whole(bytes) => std::str::from_utf8(bytes)
            .map_err(|why| format!("the line is not UTF-8 from byte {} on", why.valid_up_to() + 1)),
    }
}

/// Splits one line into its fields. A quote that is not closed would swallow the lines after it, so it is refused first.
fn split(line: &str) -> Result<csv::StringRecord, String> {
    if line.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
        return Err("a quote is not closed on its line".to_string());
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .buffer_capacity(line.len().max(1))
        .from_reader(line.as_bytes());
    let mut record = csv::StringRecord::new();
    reader.read_record(&mut record).map_err(|why| why.to_string())?;
    Ok(record)
}
