//! Reads a file of invoices and says what becomes of each row
//!
//! The file is real and dirty, so nothing is mended and nothing is dropped in silence: each row is sold, taken back,
//! booked as a stock movement, or refused with a reason. One streaming pass reads it; what stays in memory is numbers.

use crate::recompute::Recomputation;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The columns that the file must begin with, in this order.
const COLUMNS: [&str; 8] = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
];
/// No line of an honest file is longer; a longer one is refused before it fills the memory.
const FIELD_BYTES_MAX: usize = 64 * 1024;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// What becomes of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// A line of a sale.
    Sold,
    /// A line of a return: the row of a cancellation.
    TakenBack,
    /// A stock movement: a negative row that is no cancellation.
    Moved,
    /// Nothing, for this reason.
    Refused(Refusal),
}

/// Why a row is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Money is whole pence.
    PartsOfAPenny,
    /// No price is below zero.
    NegativePrice,
    /// A line of nothing.
    QuantityZero,
    /// A cancellation that would sell.
    CancellationSells,
    /// A number or a moment that cannot be read.
    Unreadable,
}

impl Refusal {
    /// Every reason, for reports.
    pub const ALL: [Refusal; 5] = [
        Refusal::PartsOfAPenny,
        Refusal::NegativePrice,
        Refusal::QuantityZero,
        Refusal::CancellationSells,
        Refusal::Unreadable,
    ];

    /// The reason in words.
    pub fn words(self) -> &'static str {
        match self {
            Refusal::PartsOfAPenny => "a price with parts of a penny",
            Refusal::NegativePrice => "a price below zero",
            Refusal::QuantityZero => "a quantity of zero",
            Refusal::CancellationSells => "a cancellation with a positive quantity",
            Refusal::Unreadable => "a number or moment that cannot be read",
        }
    }
}

/// A row that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Our number of the file's product code.
    pub sku: u32,
    /// Pieces as the file has them, negative for what comes back or is written off.
    pub quantity: i64,
    /// Price of one in pence.
    pub price_minor: i64,
    /// Sold, taken back or moved.
    pub disposition: Disposition,
}

/// All taken rows under one invoice number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// Its number in the file.
    pub number: String,
    /// The moment of its first row.
    pub at_ms: i64,
    /// Its rows in the file's order.
    pub rows: Vec<Row>,
}

/// A product code of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// The code as the file writes it.
    pub code: String,
    /// The first name that the file gives it, or the code.
    pub name: String,
    /// The first price that the file gives it.
    pub price_minor: i64,
}

/// How many rows met which end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All data rows.
    pub rows: u64,
    /// Lines of sales.
    pub sold: u64,
    /// Lines of returns.
    pub taken_back: u64,
    /// Stock movements.
    pub moved: u64,
    /// Refused, by the place of the reason in `Refusal::ALL`.
    pub refused: [u64; Refusal::ALL.len()],
}

impl Counts {
    /// Rows refused for any reason.
    pub fn refused_in_all(&self) -> u64 {
        self.refused.iter().sum()
    }

    fn count(&mut self, disposition: Disposition) {
        self.rows += 1;
        match disposition {
            Disposition::Sold => self.sold += 1,
            Disposition::TakenBack => self.taken_back += 1,
            Disposition::Moved => self.moved += 1,
            Disposition::Refused(refusal) => {
                let place = Refusal::ALL.iter().position(|other| *other == refusal);
                self.refused[place.expect("ALL names every reason")] += 1;
            }
        }
    }
}

/// The whole file, read.
#[derive(Debug, Default)]
pub struct TradeFile {
    /// Invoices by their first row.
    pub invoices: Vec<Invoice>,
    /// Products by first mention; the SKU of each is its place, from 1.
    pub products: Vec<Product>,
    /// What became of the rows.
    pub counts: Counts,
}

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It does not open.
    #[error("{0} does not open: {1}. Give the path of a CSV file, plain or .gz")]
    Open(PathBuf, std::io::Error),
    /// It has other columns.
    #[error("the file has the columns {found}, and these are needed: {}", COLUMNS.join(","))]
    Columns {
        /// What it has.
        found: String,
    },
    /// A row is broken.
    #[error("row {row} cannot be read: {reason}. Mend the file, nothing was rung up")]
    Broken {
        /// Counted from 1 below the head.
        row: u64,
        /// What the reader says.
        reason: String,
    },
}

/// Reads a file by its path, unpacking `.gz` on the way.
pub fn read(path: &Path, check: &mut Recomputation) -> Result<TradeFile, FileError> {
    let file = File::open(path).map_err(|error| FileError::Open(path.to_owned(), error))?;
    match path.extension().is_some_and(|ending| ending == "gz") {
        true => read_from(flate2::read::MultiGzDecoder::new(file), check),
        false => read_from(file, check),
    }
}

/// Reads a file from its bytes.
pub fn read_from(bytes: impl Read, check: &mut Recomputation) -> Result<TradeFile, FileError> {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(256 * 1024).from_reader(bytes);
    let head = reader
        .headers()
        .map_err(|error| FileError::Broken { row: 0, reason: error.to_string() })?;
    if head.iter().ne(COLUMNS) {
        return Err(FileError::Columns { found: head.iter().collect::<Vec<_>>().join(",") });
    }
    let mut gathering = Gathering::default();
    let mut record = csv::StringRecord::new();
    for row in 1.. {
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) if record.as_slice().len() <= FIELD_BYTES_MAX => {}
            Ok(true) => {
                return Err(FileError::Broken {
                    row,
                    reason: format!("it is longer than {FIELD_BYTES_MAX} bytes"),
                });
            }
            Err(error) => return Err(FileError::Broken { row, reason: error.to_string() }),
        }
        check.add(&record[0], &record[3], &record[5]);
        gathering.add(&record);
    }
    Ok(gathering.file)
}

#[derive(Default)]
struct Gathering {
    file: TradeFile,
    places: HashMap<String, usize>,
    skus: HashMap<String, u32>,
}

impl Gathering {
    fn add(&mut self, record: &csv::StringRecord) {
        let (number, code, name) = (&record[0], &record[1], &record[2]);
        let quantity = record[3].parse().ok();
        let price = pence(&record[5]);
        let at_ms = moment_ms(&record[4]);
        let disposition = disposition(number, quantity, price, at_ms);
        self.file.counts.count(disposition);
        let (Some(quantity), Price::Pence(price_minor), Some(at_ms)) = (quantity, price, at_ms)
        else {
            return;
        };
        if matches!(disposition, Disposition::Refused(_)) {
            return;
        }
        let sku = self.sku(code, name, price_minor);
        self.invoice(number, at_ms).rows.push(Row { sku, quantity, price_minor, disposition });
    }

    fn sku(&mut self, code: &str, name: &str, price_minor: i64) -> u32 {
        if let Some(sku) = self.skus.get(code) {
            let product = &mut self.file.products[*sku as usize - 1];
            if product.name == product.code && !name.is_empty() {
                product.name = name.to_owned();
            }
            return *sku;
        }
        let sku = self.file.products.len() as u32 + 1;
        let name = if name.is_empty() { code } else { name };
        self.file.products.push(Product {
            code: code.to_owned(),
            name: name.to_owned(),
            price_minor,
        });
        self.skus.insert(code.to_owned(), sku);
        sku
    }

    fn invoice(&mut self, number: &str, at_ms: i64) -> &mut Invoice {
        let place = match self.places.get(number) {
            Some(place) => *place,
            None => {
                let place = self.file.invoices.len();
                self.places.insert(number.to_owned(), place);
                self.file.invoices.push(Invoice {
                    number: number.to_owned(),
                    at_ms,
                    rows: Vec::new(),
                });
                place
            }
        };
        &mut self.file.invoices[place]
    }
}

/// A price as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Price {
    Pence(i64),
    PartsOfAPenny,
    Unreadable,
}

fn disposition(
    number: &str,
    quantity: Option<i64>,
    price: Price,
    at_ms: Option<i64>,
) -> Disposition {
    let (Some(quantity), Some(_)) = (quantity, at_ms) else {
        return Disposition::Refused(Refusal::Unreadable);
    };
    let cancellation = number.starts_with('C');
    match price {
        Price::Unreadable => Disposition::Refused(Refusal::Unreadable),
        Price::PartsOfAPenny => Disposition::Refused(Refusal::PartsOfAPenny),
        Price::Pence(..0) => Disposition::Refused(Refusal::NegativePrice),
        Price::Pence(_) if quantity == 0 => Disposition::Refused(Refusal::QuantityZero),
        Price::Pence(_) if cancellation && quantity > 0 => {
            Disposition::Refused(Refusal::CancellationSells)
        }
        Price::Pence(_) if cancellation => Disposition::TakenBack,
        Price::Pence(_) if quantity < 0 => Disposition::Moved,
        Price::Pence(_) => Disposition::Sold,
    }
}

/// Pence of a decimal text, without any float on the way.
fn pence(text: &str) -> Price {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (pounds, parts) = digits.split_once('.').unwrap_or((digits, ""));
    if pounds.is_empty() || !pounds.bytes().chain(parts.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Price::Unreadable;
    }
    let (cents, rest) = parts.split_at(parts.len().min(2));
    if rest.bytes().any(|byte| byte != b'0') {
        return Price::PartsOfAPenny;
    }
    let cents = cents
        .bytes()
        .chain([b'0'; 2])
        .take(2)
        .fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    let whole =
        pounds.parse().ok().and_then(|pounds: i64| pounds.checked_mul(100)?.checked_add(cents));
    whole.map_or(Price::Unreadable, |minor| Price::Pence(if negative { -minor } else { minor }))
}

/// Milliseconds since 1970 of "2010-12-01 08:26:00", read as universal time.
fn moment_ms(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let marks = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    if text.len() != 19 || marks.iter().any(|(place, mark)| text.as_bytes()[*place] != *mark) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let fits = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    fits.then(|| {
        days_since_1970(year, month, day) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1_000
    })
}

/// Counts years from March, so that the leap day is the last day of a year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
    /// Made up, with every oddity of a real file once.
    const ROWS: &str = "\
7001,AB1,BLUE MUG,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
7001,AB2,\"TIN, SMALL\",1,2010-12-01 08:26:00,3.390,17850.0,United Kingdom
7002,PADS,PADS,1,2010-12-01 08:27:00,0.001,,United Kingdom
A7003,B,Adjust bad debt,1,2010-12-01 08:28:00,-11062.06,,United Kingdom
C7004,AB1,BLUE MUG,-2,2010-12-01 09:00:00,2.55,17850.0,United Kingdom
7005,ab1,,-40,2010-12-01 09:01:00,0.0,,United Kingdom
7006,AB1,BLUE MUG,5,2010-12-01 09:02:00,0.0,,United Kingdom
7001,AB1,BLUE MUG,1,2010-12-01 09:03:00,2.55,17850.0,United Kingdom
7007,AB1,BLUE MUG,0,2010-12-01 09:04:00,2.55,,United Kingdom
C7008,AB1,BLUE MUG,3,2010-12-01 09:05:00,2.55,,United Kingdom
7009,AB1,BLUE MUG,three,2010-12-01 09:05:00,2.55,,United Kingdom
7010,AB1,BLUE MUG,3,2010-12-01 09:06:00,1e308,,United Kingdom
";

    fn sample() -> (TradeFile, Recomputation) {
        let mut check = Recomputation::new(2);
        let file = read_from(format!("{HEAD}{ROWS}").as_bytes(), &mut check).unwrap();
        (file, check)
    }

    #[test]
    fn each_row_meets_exactly_one_end() {
        let (file, _) = sample();
        let counts = &file.counts;
        assert_eq!((counts.rows, counts.sold, counts.taken_back, counts.moved), (12, 4, 1, 1));
        assert_eq!(counts.refused, [1, 1, 1, 1, 2]);
        let ends = counts.sold + counts.taken_back + counts.moved + counts.refused_in_all();
        assert_eq!(ends, counts.rows);
    }

    #[test]
    fn an_invoice_keeps_its_rows_together_though_others_lie_between() {
        let (file, _) = sample();
        let numbers: Vec<_> =
            file.invoices.iter().map(|invoice| (&*invoice.number, invoice.rows.len())).collect();
        assert_eq!(numbers, [("7001", 3), ("C7004", 1), ("7005", 1), ("7006", 1)]);
        assert_eq!(file.invoices[0].at_ms, 1_291_191_960_000);
    }

    #[test]
    fn codes_become_numbers_by_first_mention_and_take_the_first_name() {
        let (file, _) = sample();
        let products: Vec<_> =
            file.products.iter().map(|product| (&*product.code, &*product.name)).collect();
        assert_eq!(products, [("AB1", "BLUE MUG"), ("AB2", "TIN, SMALL"), ("ab1", "ab1")]);
    }

    #[test]
    fn the_rows_add_up_to_what_exact_decimals_say_by_device_and_in_all() {
        let (file, check) = sample();
        let mut minor = [0, 0];
        for invoice in &file.invoices {
            let sum: i64 = invoice.rows.iter().map(|row| row.quantity * row.price_minor).sum();
            minor[crate::recompute::device_of(&invoice.number, 2)] += sum;
        }
        assert_eq!(check.minor_by_device(), Some(minor.to_vec()));
        // Row 7010 is refused by both, and 1e308 is no decimal to either.
        assert_eq!(minor.iter().sum::<i64>(), 6 * 255 + 339 - 2 * 255 + 255);
    }

    #[test]
    fn prices_are_read_without_floats() {
        assert_eq!(pence("2.5"), Price::Pence(250));
        assert_eq!(pence("38970.0"), Price::Pence(3_897_000));
        assert_eq!(pence("0.0010"), Price::PartsOfAPenny);
        assert_eq!(pence("-0.50"), Price::Pence(-50));
        assert_eq!(pence("1e308"), Price::Unreadable);
        assert_eq!(pence("99999999999999999999"), Price::Unreadable);
    }

    #[test]
    fn moments_are_read_with_leap_days_and_nonsense_is_not() {
        assert_eq!(moment_ms("1970-01-01 00:00:00"), Some(0));
        assert_eq!(moment_ms("2012-02-29 23:59:59"), Some(1_330_559_999_000));
        assert_eq!(moment_ms("yesterday"), None);
        assert_eq!(moment_ms("2010-13-01 08:26:00"), None);
    }

    #[test]
    fn a_file_with_other_columns_is_refused_and_says_which_are_needed() {
        let refused = read_from("a,b\n1,2\n".as_bytes(), &mut Recomputation::new(1)).unwrap_err();
        assert!(refused.to_string().contains("InvoiceNo,StockCode"), "{refused}");
    }
}
