//! Marks of register columns, kept in the row itself
//!
//! A mark is a version and the origin that wrote it. Whoever writes takes one more than the version it saw: of two
//! writers where one knew of the other the later wins, of two that knew nothing of each other the higher mark. No clock
//! has a say, and every replica comes to the same winner in whatever order the writes arrive.
//!
//! The column `sv` of a row holds the mark under which the row was added, then each mark under which columns were written
//! since, with a mask of these columns. A column that was never written after the row was added costs nothing, columns
//! that were last written together cost as much as one, and what the origin of the row has written does not name it again.

use crate::origin::Origin;
use rusqlite::{
    Connection,
    functions::{Context, FunctionFlags},
};

/// The column that holds the marks of a row.
pub const COLUMN: &str = "sv";

/// Bytes of a mark that is sent: version in 4, origin in 3, big-endian, so that marks compare as their bytes do.
pub const MARK_BYTES: usize = 7;

/// The columns that a table can have.
const COLUMNS: u64 = (1 << 62) - 1;

/// Bits of a number that one byte of it holds.
const BITS: u32 = 7;

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

    /// The mark as it is sent.
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
    /// Marks that are above that of the row, ascending, and which columns bear each.
    since: Vec<(Mark, u64)>,
}

impl Marks {
    /// The marks of a row that was just added.
    pub fn of_row(row: Mark) -> Marks {
        Marks { row, since: Vec::new() }
    }

    /// Reads what `sv` holds; None when that is not in the one form.
    pub fn parse(bytes: &[u8]) -> Option<Marks> {
        let mut kept = Kept(bytes);
        let mut marks = Marks::of_row(kept.row()?);
        let (mut newest, mut named) = (marks.row, 0);
        while !kept.0.is_empty() {
            let (mark, mask) = kept.group(marks.row)?;
            if mark <= newest || mask == 0 || mask & (named | !COLUMNS) != 0 {
                return None;
            }
            (newest, named) = (mark, named | mask);
            marks.since.push((mark, mask));
        }
        Some(marks)
    }

    /// As `sv` keeps them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 + 4 * self.since.len());
        put(&mut bytes, self.row.version.into());
        put(&mut bytes, self.row.origin.get().into());
        for (mark, mask) in &self.since {
            let by_other = mark.origin != self.row.origin;
            put(&mut bytes, *mask);
            put(&mut bytes, u64::from(mark.version) << 1 | u64::from(by_other));
            if by_other {
                put(&mut bytes, mark.origin.get().into());
            }
        }
        bytes
    }

    /// The mark under which the row was added: the highest, when several have added it.
    pub fn row(&self) -> Mark {
        self.row
    }

    /// The mark of a column.
    pub fn of(&self, column: usize) -> Mark {
        let own = self.since.iter().find(|(_, mask)| mask >> column & 1 == 1);
        own.map_or(self.row, |(mark, _)| *mark)
    }

    /// A column was written.
    pub fn write(&mut self, column: usize, mark: Mark) {
        assert!(mark >= self.row, "a column is never older than its row");
        assert!(column < 62, "a table has at most 62 columns");
        self.since.iter_mut().for_each(|(_, mask)| *mask &= !(1 << column));
        self.since.retain(|(_, mask)| *mask != 0);
        if mark == self.row {
            return;
        }
        match self.since.binary_search_by_key(&mark, |(own, _)| *own) {
            Ok(at) => self.since[at].1 |= 1 << column,
            Err(at) => self.since.insert(at, (mark, 1 << column)),
        }
    }

    /// The row was added by another origin too. Columns without a mark of their own take the higher one.
    pub fn add_row(&mut self, mark: Mark) {
        if mark > self.row {
            self.row = mark;
            self.since.retain(|(own, _)| *own > mark);
        }
    }
}

/// What is left to read of `sv`.
struct Kept<'b>(&'b [u8]);

impl Kept<'_> {
    /// A number: seven bits a byte, the lowest first, all but the last byte with the highest bit set, in as few as will do.
    fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            number |= bits.checked_shl(shift).filter(|bits_there| bits_there >> shift == bits)?;
            if byte & 0x80 == 0 {
                return (*byte != 0 || shift == 0).then_some(number);
            }
            shift += BITS;
        }
    }

    fn mark(version: u64, origin: u64) -> Option<Mark> {
        let version = u32::try_from(version).ok().filter(|version| *version > 0)?;
        Some(Mark { version, origin: Origin::new(u32::try_from(origin).ok()?)? })
    }

    /// The mark of the row, which comes first.
    fn row(&mut self) -> Option<Mark> {
        let version = self.number()?;
        Kept::mark(version, self.number()?)
    }

    /// The next mark and the columns that bear it.
    fn group(&mut self, row: Mark) -> Option<(Mark, u64)> {
        let (mask, version) = (self.number()?, self.number()?);
        let origin = if version & 1 == 1 { self.number()? } else { row.origin.get().into() };
        let mark = Kept::mark(version >> 1, origin)?;
        (version & 1 == 0 || mark.origin != row.origin).then_some((mark, mask))
    }

    /// Whether all columns of a mask bear this mark.
    fn saw(&mut self, mask: u64, mark: Mark) -> Option<bool> {
        let row = self.row()?;
        let mut left = mask & COLUMNS;
        while !self.0.is_empty() && left != 0 {
            let (own, columns) = self.group(row)?;
            if columns & left != 0 && own != mark {
                return Some(false);
            }
            left &= !columns;
        }
        Some(left == 0 || row == mark)
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= BITS;
    }
    bytes.push(number as u8);
}

/// Registers what the statements of the engine ask of `sv`: `sync_saw(sv, mask, mark)`, whether every column of a mask
/// bears this mark, and `sync_wrote(sv, mask, mark)`, the marks after these columns were written.
pub fn register(db: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    db.create_scalar_function("sync_saw", 3, flags, |given| {
        let (bytes, mask, mark) = arguments(given)?;
        let saw = mark.and_then(|mark| Kept(bytes).saw(mask.cast_unsigned(), mark));
        Ok(saw.unwrap_or(false))
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
        expect!["0103"].assert_eq(&hex::encode(marks.to_bytes()));
        marks.write(5, mark(2, 4));
        marks.write(2, mark(2, 3));
        expect!["01030404200504"].assert_eq(&hex::encode(marks.to_bytes()));
        assert_eq!((marks.of(5), marks.of(9)), (mark(2, 4), mark(1, 3)));
        marks.add_row(mark(1, 9));
        assert_eq!((marks.of(5), marks.of(9)), (mark(2, 4), mark(1, 9)));
        assert_eq!(Marks::parse(&marks.to_bytes()), Some(marks));
    }

    #[test]
    fn columns_that_were_written_together_cost_as_much_as_one() {
        let mut marks = Marks::of_row(mark(1, 300));
        (1..6).for_each(|column| marks.write(column, mark(2, 300)));
        expect!["01ac023e04"].assert_eq(&hex::encode(marks.to_bytes()));
        marks.write(3, mark(3, 300));
        expect!["01ac0236040806"].assert_eq(&hex::encode(marks.to_bytes()));
        marks.write(3, mark(1, 300));
        assert_eq!(marks.of(3), marks.row(), "a mark that is the row's is not kept twice");
    }

    #[test]
    fn marks_have_one_form() {
        let one = Marks { row: mark(1, 3), since: vec![(mark(2, 3), 4), (mark(2, 4), 32)] };
        assert_eq!(Marks::parse(&hex::decode("01030404200504").unwrap()), Some(one));
        let others = [
            "01032005040404",   // not ascending
            "01030404040504",   // a column with two marks
            "01030402",         // not above the row's
            "01030004",         // of no column
            "0103040503",       // names the row's origin
            "0103840004",       // a longer number than need be
            "0103048080808020", // a version above 32 bits
            "0003",
            "0100",
            "01",
            "010304",
            "",
        ];
        for other in others {
            assert_eq!(Marks::parse(&hex::decode(other).unwrap()), None, "{other}");
        }
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
        fn marks_of_a_row_read_back_and_sql_sees_them(
            row in (1u32..9, 1u32..400),
            writes in proptest::collection::vec((0usize..62, 1u32.., 1u32..8_388_608), 0..20),
            mask in 1u64..1 << 62,
        ) {
            let mut marks = Marks::of_row(mark(row.0, row.1));
            for (column, version, origin) in writes {
                marks.write(column, mark(version, origin).max(marks.row()));
            }
            let bytes = marks.to_bytes();
            let of_first = marks.of(mask.trailing_zeros() as usize);
            let all = (0..62).filter(|column| mask >> column & 1 == 1);
            let saw = all.clone().all(|column| marks.of(column) == of_first);
            prop_assert_eq!(Kept(&bytes).saw(mask, of_first), Some(saw));
            prop_assert_eq!(Marks::parse(&bytes), Some(marks));
        }

        #[test]
        fn no_bytes_make_the_reader_of_marks_fall(bytes: Vec<u8>) {
            if let Some(marks) = Marks::parse(&bytes) {
                prop_assert_eq!(marks.to_bytes(), bytes);
            }
        }
    }
}
