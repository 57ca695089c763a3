//! Marks of register columns, kept in the row itself
//!
//! A mark is a version and the origin that wrote it. Whoever writes takes one more than the version it saw: of two
//! writers where one knew of the other the later wins, of two that knew nothing of each other the higher mark. No clock
//! has a say, and every replica comes to the same winner in whatever order the writes arrive.
//!
//! The column `sv` of a row holds the mark under which the row was added, then column and mark of each column that was
//! written since, ascending. A column that was never written after the row was added costs nothing.

use crate::origin::Origin;
use rusqlite::{
    Connection,
    functions::{Context, FunctionFlags},
};

/// The column that holds the marks of a row.
pub const COLUMN: &str = "sv";

/// Bytes of a mark: version in 4, origin in 3, big-endian, so that marks compare as their bytes do.
pub const MARK_BYTES: usize = 7;

/// A column's number and its mark.
const COLUMN_BYTES: usize = 1 + MARK_BYTES;

/// Which write of a value this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// One more than the version that its writer saw; 1 when a row is added.
    pub version: u32,
    /// Who wrote.
    pub origin: Origin,
}

impl Mark {
    /// The mark of a row that this origin adds.
    pub fn first(origin: Origin) -> Mark {
        Mark { version: 1, origin }
    }

    /// The mark of a write by this origin, which saw another; None when the versions are used up.
    pub fn after(seen: Mark, origin: Origin) -> Option<Mark> {
        let version = seen.version.checked_add(1)?;
        Some(Mark { version, origin })
    }

    /// True for the mark of a row that was added: its values came with the row.
    pub fn is_first(self) -> bool {
        self.version == 1
    }

    /// The mark as it is kept and sent.
    pub fn to_bytes(self) -> [u8; MARK_BYTES] {
        let [a, b, c, d] = self.version.to_be_bytes();
        let [_, e, f, g] = self.origin.get().to_be_bytes();
        [a, b, c, d, e, f, g]
    }

    /// The same as one number: SQLite need not copy it.
    pub fn to_number(self) -> i64 {
        i64::from(self.version) << 24 | i64::from(self.origin.get())
    }

    /// Reads such a number; None when it is no mark.
    pub fn from_number(number: i64) -> Option<Mark> {
        let version = u32::try_from(number >> 24).ok()?;
        let origin = Origin::new(u32::try_from(number & 0xff_ffff).ok()?)?;
        (version > 0).then_some(Mark { version, origin })
    }

    /// Reads such bytes; None when they are no mark.
    pub fn from_bytes(bytes: &[u8]) -> Option<Mark> {
        let [a, b, c, d, e, f, g] = *<&[u8; MARK_BYTES]>::try_from(bytes).ok()?;
        let version = u32::from_be_bytes([a, b, c, d]);
        let origin = Origin::new(u32::from_be_bytes([0, e, f, g]))?;
        (version > 0).then_some(Mark { version, origin })
    }
}

/// The marks of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    row: Mark,
    /// Columns with a mark of their own, ascending. None of these marks is that of the row.
    columns: Vec<(u8, Mark)>,
}

impl Marks {
    /// The marks of a row that was just added.
    pub fn of_row(row: Mark) -> Marks {
        Marks { row, columns: Vec::new() }
    }

    /// Reads what `sv` holds; None when that is not in the one form.
    pub fn parse(bytes: &[u8]) -> Option<Marks> {
        let (row, rest) = bytes.split_at_checked(MARK_BYTES)?;
        let mut marks = Marks::of_row(Mark::from_bytes(row)?);
        if !rest.len().is_multiple_of(COLUMN_BYTES) {
            return None;
        }
        for chunk in rest.chunks(COLUMN_BYTES) {
            let mark = Mark::from_bytes(&chunk[1..])?;
            let ascends = marks.columns.last().is_none_or(|last| last.0 < chunk[0]);
            if !ascends || mark <= marks.row {
                return None;
            }
            marks.columns.push((chunk[0], mark));
        }
        Some(marks)
    }

    /// As `sv` keeps them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MARK_BYTES + COLUMN_BYTES * self.columns.len());
        bytes.extend(self.row.to_bytes());
        for (column, mark) in &self.columns {
            bytes.push(*column);
            bytes.extend(mark.to_bytes());
        }
        bytes
    }

    /// The mark under which the row was added: the highest, when several have added it.
    pub fn row(&self) -> Mark {
        self.row
    }

    /// The mark of a column.
    pub fn of(&self, column: usize) -> Mark {
        let own = self.columns.iter().find(|(own, _)| usize::from(*own) == column);
        own.map_or(self.row, |(_, mark)| *mark)
    }

    /// A column was written.
    pub fn write(&mut self, column: usize, mark: Mark) {
        assert!(mark >= self.row, "a column is never older than its row");
        let column = u8::try_from(column).expect("a table has at most 62 columns");
        self.columns.retain(|(own, _)| *own != column);
        if mark != self.row {
            let at = self.columns.partition_point(|(own, _)| *own < column);
            self.columns.insert(at, (column, mark));
        }
    }

    /// The row was added by another origin too. Columns without a mark of their own take the higher one.
    pub fn add_row(&mut self, mark: Mark) {
        if mark > self.row {
            self.row = mark;
            self.columns.retain(|(_, own)| *own > mark);
        }
    }
}

/// Registers what the statements of the engine ask of `sv`: `sync_saw(sv, mask, mark)`, whether every column of a mask
/// bears this mark, and `sync_wrote(sv, mask, mark)`, the marks after these columns were written.
pub fn register(db: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    db.create_scalar_function("sync_saw", 3, flags, |given| {
        let (bytes, mask, mark) = arguments(given)?;
        let Some(mark) = mark.map(Mark::to_bytes) else { return Ok(false) };
        Ok(columns(mask).all(|column| raw_mark(bytes, column) == Some(&mark)))
    })?;
    db.create_scalar_function("sync_wrote", 3, flags, |given| {
        let (bytes, mask, mark) = arguments(given)?;
        let (Some(mut marks), Some(mark)) = (Marks::parse(bytes), mark) else { return Ok(None) };
        columns(mask).for_each(|column| marks.write(column.into(), mark));
        Ok(Some(marks.to_bytes()))
    })
}

fn arguments<'c>(given: &'c Context<'_>) -> rusqlite::Result<(&'c [u8], i64, Option<Mark>)> {
    let marks = given.get_raw(0).as_blob().map_err(rusqlite::Error::from)?;
    Ok((marks, given.get(1)?, Mark::from_number(given.get(2)?)))
}

fn columns(mask: i64) -> impl Iterator<Item = u8> {
    let mut left = mask.cast_unsigned();
    std::iter::from_fn(move || {
        let column = left.trailing_zeros() as u8;
        left &= left.wrapping_sub(1);
        (column < 62).then_some(column)
    })
}

/// The bytes of a column's mark, without reading the others.
fn raw_mark(bytes: &[u8], column: u8) -> Option<&[u8]> {
    let (row, rest) = bytes.split_at_checked(MARK_BYTES)?;
    let own = rest.chunks_exact(COLUMN_BYTES).find(|chunk| chunk[0] == column);
    Some(own.map_or(row, |chunk| &chunk[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    fn mark(version: u32, origin: u32) -> Mark {
        Mark { version, origin: Origin::new(origin).unwrap() }
    }

    #[test]
    fn a_higher_version_wins_whoever_wrote_it_and_of_equal_ones_the_higher_origin() {
        assert!(mark(2, 1) > mark(1, 8_388_607));
        assert!(mark(2, 300) > mark(2, 299));
        assert!(mark(256, 1).to_bytes() > mark(255, 9).to_bytes());
        assert_eq!(Mark::after(mark(u32::MAX, 1), Origin::new(2).unwrap()), None);
        assert_eq!(Mark::from_bytes(&[0; MARK_BYTES]), None);
    }

    #[test]
    fn a_row_pays_for_the_columns_that_were_written_since() {
        let mut marks = Marks::of_row(mark(1, 3));
        expect!["00000001000003"].assert_eq(&hex::encode(marks.to_bytes()));
        marks.write(5, mark(2, 4));
        marks.write(2, mark(2, 3));
        expect!["0000000100000302000000020000030500000002000004"]
            .assert_eq(&hex::encode(marks.to_bytes()));
        assert_eq!((marks.of(5), marks.of(9)), (mark(2, 4), mark(1, 3)));
        marks.add_row(mark(1, 9));
        assert_eq!((marks.of(5), marks.of(9)), (mark(2, 4), mark(1, 9)));
        assert_eq!(Marks::parse(&marks.to_bytes()), Some(marks));
        assert_eq!(Marks::parse(&[0, 0, 0, 1, 0, 0, 3, 2]), None);
    }

    #[test]
    fn sql_sees_and_sets_the_marks_as_rust_does() {
        let db = Connection::open_in_memory().unwrap();
        register(&db).unwrap();
        let mut marks = Marks::of_row(mark(1, 3));
        marks.write(4, mark(7, 2));
        let sql = "SELECT sync_saw(?1, ?2, ?3), sync_wrote(?1, ?2, ?4)";
        let ask = |mask: i64, seen: Mark, new: Mark| {
            let given = (marks.to_bytes(), mask, seen.to_number(), new.to_number());
            db.query_row(sql, given, |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        let (saw, wrote): (bool, Vec<u8>) = ask(0b1_0000, mark(7, 2), mark(8, 3));
        marks.clone().write(4, mark(8, 3));
        assert!(saw);
        assert_eq!(Marks::parse(&wrote).unwrap().of(4), mark(8, 3));
        assert!(ask(0b10, mark(1, 3), mark(8, 3)).0);
        assert!(!ask(0b1_0010, mark(7, 2), mark(8, 3)).0);
    }

    proptest! {
        #[test]
        fn marks_read_back_and_compare_as_their_bytes(
            one in (1u32.., 1u32..8_388_608), two in (1u32.., 1u32..8_388_608)
        ) {
            let (one, two) = (mark(one.0, one.1), mark(two.0, two.1));
            prop_assert_eq!(Mark::from_bytes(&one.to_bytes()), Some(one));
            prop_assert_eq!(Mark::from_number(one.to_number()), Some(one));
            prop_assert_eq!(one.cmp(&two), one.to_bytes().cmp(&two.to_bytes()));
        }

        #[test]
        fn no_bytes_make_the_reader_of_marks_fall(bytes: Vec<u8>) {
            if let Some(marks) = Marks::parse(&bytes) {
                prop_assert_eq!(marks.to_bytes(), bytes);
            }
        }
    }
}
