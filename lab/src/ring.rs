//! Rings one invoice of a trade file up, by the trade's deeds
//!
//! The file's prices go in by the right "open price", a cancellation is a return without a receipt (the file does not
//! say of which sale), and a negative row outside of one is a correction of stock. An invoice is one transaction and is
//! remembered in it, so a second run finds it done and adds nothing.

use crate::import_files::RINGER;
use crate::trade_file::{Disposition, Invoice, Row};
use rusqlite::{Transaction, params};
use selvedge_domain::basket::{BasketLine, Discount};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::{Money, MoneyError};
use selvedge_domain::returns::{self, Goods, Return, ReturnError};
use selvedge_domain::sales::{self, Sale, SaleError};
use selvedge_domain::stock::{self, Movement, Reason, StockError};
use selvedge_domain::tenders::{Tender, TenderKind};

/// Remembers what was rung up. Local: it is not replicated.
pub const MIGRATION: (&str, &str) = (
    "9000_rung_up",
    "CREATE TABLE rung_up (invoice TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;",
);

/// What ringing one invoice up came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rung {
    /// Receipts of sales.
    pub sales: u64,
    /// Receipts of returns.
    pub returns: u64,
    /// Stock movements.
    pub movements: u64,
    /// Receipt lines.
    pub lines: u64,
    /// What the receipts come to.
    pub total_minor: i64,
    /// Rows of invoices that were rung up before.
    pub rows_before: u64,
}

impl Rung {
    /// Adds another invoice.
    pub fn add(&mut self, other: Rung) {
        self.sales += other.sales;
        self.returns += other.returns;
        self.movements += other.movements;
        self.lines += other.lines;
        self.total_minor += other.total_minor;
        self.rows_before += other.rows_before;
    }

    /// Rows that were written.
    pub fn rows(&self) -> u64 {
        self.lines + self.movements
    }
}

/// Why an invoice was not rung up. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The sale was refused.
    #[error(transparent)]
    Sale(#[from] SaleError),
    /// The return was refused.
    #[error(transparent)]
    Return(#[from] ReturnError),
    /// The movement was refused.
    #[error(transparent)]
    Stock(#[from] StockError),
    /// A sum left what can be counted.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The database refused.
    #[error("the invoice was not written: {0}")]
    Database(#[from] rusqlite::Error),
}

/// Rings an invoice up in a store.
pub fn ring(tx: &Transaction, store: i64, invoice: &Invoice) -> Result<Rung, RingError> {
    let is_new = tx
        .prepare_cached("INSERT OR IGNORE INTO rung_up (invoice) VALUES (?1)")?
        .execute(params![invoice.number])?;
    if is_new == 0 {
        return Ok(Rung { rows_before: invoice.rows.len() as u64, ..Rung::default() });
    }
    let at = Moment(invoice.at_ms);
    let sold = basket(invoice, Disposition::Sold);
    let back = basket(invoice, Disposition::TakenBack);
    let mut rung = Rung { lines: (sold.len() + back.len()) as u64, ..Rung::default() };
    if !sold.is_empty() {
        rung.total_minor += sell(tx, store, at, sold)?.0;
        rung.sales += 1;
    }
    if !back.is_empty() {
        rung.total_minor += take_back(tx, store, at, back)?.0;
        rung.returns += 1;
    }
    for row in invoice.rows.iter().filter(|row| row.disposition == Disposition::Moved) {
        correct(tx, store, at, row)?;
        rung.movements += 1;
    }
    Ok(rung)
}

fn basket(invoice: &Invoice, disposition: Disposition) -> Vec<BasketLine> {
    let rows = invoice.rows.iter().filter(|row| row.disposition == disposition);
    let line = |row: &Row| BasketLine {
        sku: i64::from(row.sku),
        quantity: row.quantity.abs(),
        discount: Discount::None,
        open_price: Some(Money(row.price_minor)),
    };
    rows.map(line).collect()
}

fn sell(
    tx: &Transaction,
    store: i64,
    at: Moment,
    lines: Vec<BasketLine>,
) -> Result<Money, RingError> {
    let tenders = card(&lines)?;
    let sale = Sale { store, cashier: RINGER, at, lines, tenders, ..Sale::default() };
    Ok(sales::record(tx, &sale)?.quote.total)
}

fn take_back(
    tx: &Transaction,
    store: i64,
    at: Moment,
    lines: Vec<BasketLine>,
) -> Result<Money, RingError> {
    let refunds = card(&lines)?;
    let goods = Goods::WithoutReceipt(lines);
    let back = Return { store, cashier: RINGER, at, goods, refunds, customer: None };
    Ok(returns::take_back(tx, &back)?.quote.total)
}

fn correct(tx: &Transaction, store: i64, at: Moment, row: &Row) -> Result<(), RingError> {
    let movement = Movement {
        store,
        sku: i64::from(row.sku),
        quantity: row.quantity,
        reason: Reason::Correction,
        at,
        employee: Some(RINGER),
        note: None,
    };
    stock::move_stock(tx, &movement)?;
    Ok(())
}

/// All by card, to the penny; nothing for goods that cost nothing.
fn card(lines: &[BasketLine]) -> Result<Vec<Tender>, RingError> {
    let mut due = Money::ZERO;
    for line in lines {
        due = due.plus(line.open_price.unwrap_or(Money::ZERO).times(line.quantity)?)?;
    }
    Ok(if due == Money::ZERO {
        Vec::new()
    } else {
        vec![Tender { kind: TenderKind::Card, given: due }]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench_desk::{BEGIN_MS, BenchDesk, Ground, STORE};
    use selvedge_sync::hlc::Millis;

    fn row(sku: u32, quantity: i64, price_minor: i64, disposition: Disposition) -> Row {
        Row { sku, quantity, price_minor, disposition }
    }

    fn invoices() -> [Invoice; 3] {
        let invoice =
            |number: &str, rows| Invoice { number: number.to_owned(), at_ms: BEGIN_MS, rows };
        let gift = row(3, 1, 0, Disposition::Sold);
        [
            invoice("7001", vec![row(1, 6, 255, Disposition::Sold), gift]),
            invoice("C7002", vec![row(1, -2, 255, Disposition::TakenBack)]),
            invoice("7003", vec![row(2, -40, 0, Disposition::Moved)]),
        ]
    }

    fn ring_all(desk: &mut BenchDesk) -> Rung {
        let mut all = Rung::default();
        for invoice in invoices() {
            let written = desk.pos.write(Millis(BEGIN_MS), |tx| ring(tx, STORE.into(), &invoice));
            all.add(written.unwrap().value);
        }
        all
    }

    #[test]
    fn a_sale_a_cancellation_and_a_write_off_are_rung_up_once() {
        let folder = tempfile::tempdir().unwrap();
        let ground = Ground { folder: folder.path().to_owned(), vfs: None };
        let mut desk = BenchDesk::make(&ground, 10).unwrap();
        desk.pos.db().execute_batch(MIGRATION.1).unwrap();

        let first = ring_all(&mut desk);
        assert_eq!((first.sales, first.returns, first.movements, first.lines), (1, 1, 1, 3));
        assert_eq!(first.total_minor, 6 * 255 - 2 * 255);

        let again = ring_all(&mut desk);
        assert_eq!((again.rows(), again.rows_before), (0, 4));
        let receipts: i64 =
            desk.pos.db().query_row("SELECT count(*) FROM receipt", [], |row| row.get(0)).unwrap();
        assert_eq!(receipts, 2);
    }
}
