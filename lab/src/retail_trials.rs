//! The deeds of a shop as trials, cut at every operation
//!
//! The simulator cuts and fails; what is cut here are the trade's own transactions, on a pos and at HQ, with the schema
//! and the triggers that ship.

use crate::bench_desk::{self, BEGIN_MS, BenchDesk, Fault, Ground, STORE};
use rusqlite::{Connection, Transaction};
use selvedge_domain::basket::{BasketLine, Discount};
use selvedge_domain::customers::{self, NewCustomer};
use selvedge_domain::exceptions::{self, NewException, TOTALS_DIFFER};
use selvedge_domain::goods_in::{self, Booking, Found};
use selvedge_domain::grand_totals;
use selvedge_domain::master_data::{self, NewPrice, NewProduct};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::{Currency, Money};
use selvedge_domain::returns::{self, Goods, LineBack, Return};
use selvedge_domain::sales::{self, Sale};
use selvedge_domain::staff::{self, NewEmployee, Rights};
use selvedge_domain::tenders::{Tender, TenderKind};
use selvedge_simulator::dice::Dice;
use selvedge_simulator::disk;
use selvedge_simulator::drive::Drive;
use selvedge_simulator::platter::Platter;
use selvedge_simulator::promise::{Promise, kept};
use selvedge_simulator::trials::{DISK, Trial};
use selvedge_sync::hlc::Millis;
use selvedge_sync::origin::Role;
use selvedge_sync::replica::Replica;
use std::sync::LazyLock;

/// SKUs of the small catalogue.
const SKUS: i64 = 12;

/// How often each deed is done, each time in a transaction of its own.
const STEPS: i64 = 3;

/// The one employee, who may do everything.
const EMPLOYEE: i64 = 1;

/// What a deed says when it is refused.
type Refused = Box<dyn std::error::Error>;

/// A deed of the shop, done for the so many-th time.
type Deed = fn(&Transaction<'_>, i64) -> Result<(), Refused>;

/// The deeds of a pos.
const AT_THE_POS: [(&str, Deed); 11] = [
    ("sale", sale),
    ("sale with a discount", sale_with_discount),
    ("sale at an open price", sale_at_open_price),
    ("sale on two tenders", sale_on_two_tenders),
    ("return with the receipt", return_with_receipt),
    ("return without the receipt", return_without_receipt),
    ("void of a whole sale", void),
    ("delivery", delivery),
    ("count", count),
    ("statement of totals", totals),
    ("exception", exception),
];

/// The deeds of HQ.
const AT_HQ: [(&str, Deed); 5] = [
    ("price", price),
    ("product", product),
    ("employee", employee),
    ("customer", customer),
    ("tax rate", tax_rate),
];

fn ground(drive: &Drive) -> Ground {
    Ground { folder: drive.path(""), vfs: Some(disk::VFS.to_owned()) }
}

/// The disk of a shop that has sold a little, closed.
fn prepared() -> Result<Platter, Fault> {
    disk::seed(Dice::new(1));
    let drive = Drive::mount(DISK);
    let mut desk = BenchDesk::make(&ground(&drive), SKUS)?;
    for _ in 0..4 {
        desk.sell()?;
    }
    drop(desk);
    Ok(drive.copy())
}

/// All deeds as trials.
pub fn all() -> Result<Vec<Trial<Promise>>, Fault> {
    let start = prepared()?;
    let pos = AT_THE_POS.into_iter().map(|(name, deed)| (name, deed, Role::Pos));
    let hq = AT_HQ.into_iter().map(|(name, deed)| (name, deed, Role::Hq));
    Ok(pos.chain(hq).map(|(name, deed, role)| trial(name, deed, role, start.clone())).collect())
}

fn trial(name: &str, deed: Deed, role: Role, start: Platter) -> Trial<Promise> {
    Trial {
        name: name.to_owned(),
        start,
        act: Box::new(move |drive, tell| {
            let Ok(mut replica) = bench_desk::alone(&ground(drive), role) else { return };
            let origin = replica.identity().origin;
            for no in 1..=STEPS {
                let done = replica.write(Millis(at(no).0), |tx| deed(tx, no));
                match done.map(|done| done.entry) {
                    Ok(Some(mark)) => tell(Promise::Entry {
                        stream: mark.stream,
                        origin,
                        seq: mark.seq,
                        chain: mark.hash,
                    }),
                    Ok(None) => {}
                    Err(_) => return,
                }
            }
        }),
        look: Box::new(move |drive, promises| {
            let replica = bench_desk::alone(&ground(drive), role)
                .map_err(|cause| format!("it does not open: {cause}"))?;
            promises.iter().try_for_each(|promise| kept(&replica, promise))?;
            books_hold(&replica)
        }),
    }
}

/// Questions to which every row of an answer is a fault.
const FAULTS: [(&str, &str); 5] = [
    (
        "receipt numbers have a gap",
        "SELECT 1 FROM receipt GROUP BY id >> 40 HAVING count(*) <> max(no) OR min(no) <> 1",
    ),
    (
        "the lines of a receipt are not its total",
        "SELECT 1 FROM receipt r WHERE total_minor <>
         (SELECT sum(amount_minor) FROM tender t WHERE t.receipt = r.id)",
    ),
    (
        "a receipt has no line",
        "SELECT 1 FROM receipt r WHERE NOT EXISTS (SELECT 1 FROM receipt_line l WHERE l.receipt = r.id)",
    ),
    (
        "a balance is not its movements",
        "SELECT 1 FROM stock_balance b WHERE on_hand <>
         (SELECT coalesce(sum(quantity), 0) FROM stock_movement m
          WHERE m.store = b.store AND m.sku = b.sku)
         - (SELECT coalesce(sum(l.quantity), 0) FROM receipt_line l JOIN receipt r ON r.id = l.receipt
            WHERE r.store = b.store AND l.sku = b.sku)",
    ),
    ("a page is not sound", "SELECT 1 FROM pragma_integrity_check WHERE integrity_check <> 'ok'"),
];

fn books_hold(replica: &Replica) -> Result<(), String> {
    FAULTS.into_iter().try_for_each(|(what, question)| match is_answered(replica.db(), question) {
        Ok(false) => Ok(()),
        Ok(true) => Err(what.to_owned()),
        Err(cause) => Err(format!("{what}? {cause}")),
    })
}

fn is_answered(db: &Connection, question: &str) -> rusqlite::Result<bool> {
    db.prepare_cached(question)?.exists([])
}

fn at(no: i64) -> Moment {
    Moment(BEGIN_MS + 1_000_000 + no * 1_000)
}

fn line(sku: i64) -> BasketLine {
    BasketLine { sku, quantity: 1, discount: Discount::None, open_price: None }
}

fn price_of(sku: i64) -> Money {
    Money(bench_desk::price_minor(sku))
}

fn ring_up(
    tx: &Transaction<'_>,
    no: i64,
    lines: Vec<BasketLine>,
    due: Money,
) -> Result<i64, Refused> {
    let tenders = vec![Tender { kind: TenderKind::Card, given: due }];
    pay(tx, no, lines, tenders)
}

fn pay(
    tx: &Transaction<'_>,
    no: i64,
    lines: Vec<BasketLine>,
    tenders: Vec<Tender>,
) -> Result<i64, Refused> {
    let (store, cashier) = (STORE.into(), EMPLOYEE);
    let sale = Sale { store, cashier, at: at(no), lines, tenders, ..Sale::default() };
    Ok(sales::record(tx, &sale)?.id)
}

fn sale(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    let due = Money(price_of(no).0 + price_of(5).0);
    ring_up(tx, no, vec![line(no), line(5)], due).map(drop)
}

fn sale_with_discount(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    let reduced = BasketLine { discount: Discount::Amount(Money(50)), ..line(no) };
    ring_up(tx, no, vec![reduced], Money(price_of(no).0 - 50)).map(drop)
}

fn sale_at_open_price(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    let open = BasketLine { open_price: Some(Money(777)), ..line(no) };
    ring_up(tx, no, vec![open], Money(777)).map(drop)
}

fn sale_on_two_tenders(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    let tenders = vec![
        Tender { kind: TenderKind::Card, given: Money(90) },
        Tender { kind: TenderKind::Cash, given: Money(price_of(no).0 + 500) },
    ];
    pay(tx, no, vec![line(no)], tenders).map(drop)
}

fn back(tx: &Transaction<'_>, no: i64, goods: Goods, due: Money) -> Result<(), Refused> {
    let refunds = vec![Tender { kind: TenderKind::Card, given: due }];
    let (store, cashier) = (STORE.into(), EMPLOYEE);
    returns::take_back(tx, &Return { store, cashier, at: at(no), goods, refunds, customer: None })?;
    Ok(())
}

fn return_with_receipt(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    let receipt = ring_up(tx, no, vec![line(no), line(7)], Money(price_of(no).0 + price_of(7).0))?;
    let lines = vec![LineBack { no: 1, quantity: 1 }];
    back(tx, no, Goods::OfReceipt { receipt, lines }, price_of(no))
}

fn return_without_receipt(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    back(tx, no, Goods::WithoutReceipt(vec![line(no)]), price_of(no))
}

fn void(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    let due = Money(price_of(no).0 + price_of(8).0);
    let receipt = ring_up(tx, no, vec![line(no), line(8)], due)?;
    let lines = (1..=2).map(|no| LineBack { no, quantity: 1 }).collect();
    back(tx, no, Goods::OfReceipt { receipt, lines }, due)
}

fn booking(no: i64) -> Booking<'static> {
    Booking { store: STORE.into(), employee: EMPLOYEE, at: at(no), note: "note 7" }
}

fn delivery(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    for sku in 1..=4 {
        goods_in::add(tx, sku, 10 * no)?;
    }
    goods_in::book(tx, &booking(no))?;
    Ok(())
}

fn count(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    goods_in::correct(tx, &booking(no), 3, Found::Counted(40 + no))?;
    Ok(())
}

fn totals(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    sale(tx, no)?;
    grand_totals::state(tx, STORE.into(), at(no))?;
    Ok(())
}

fn exception(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    let (store, sku, receipt, amount) = (STORE.into(), Some(no), None, Some(1));
    let new =
        NewException { store, at: at(no), kind: TOTALS_DIFFER, receipt, sku, amount, note: None };
    exceptions::write(tx, &new)?;
    Ok(())
}

fn price(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    for sku in 1..=SKUS {
        let unit = Money(100 * no + sku);
        let currency = Currency::parse("GBP")?;
        let new = NewPrice { sku, store: 0, currency, valid_from: at(no), unit };
        master_data::upsert_price(tx, &new)?;
    }
    Ok(())
}

fn product(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    let name = format!("Thing of the {no}th day");
    let new = NewProduct { id: 500 + no, name: &name, department: Some("New") };
    master_data::upsert_product(tx, &new)?;
    Ok(())
}

fn employee(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    // The hash of a PIN is slow on purpose, so it is made once.
    static PIN_HASH: LazyLock<String> =
        LazyLock::new(|| staff::hash_pin("0000", &[7; 16]).expect("four digits are a PIN"));
    let pin_hash = PIN_HASH.as_str();
    let (badge, rights) = (format!("{}", 40 + no), Rights::parse("sell")?);
    let store = STORE.into();
    let new = NewEmployee { store, id: 20 + no, name: "New", badge: &badge, pin_hash, rights };
    staff::upsert(tx, &new)?;
    Ok(())
}

fn customer(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    let card = format!("CARD{no}");
    customers::upsert(tx, &NewCustomer { id: no, card: &card, discount_points: 500 })?;
    Ok(())
}

fn tax_rate(tx: &Transaction<'_>, no: i64) -> Result<(), Refused> {
    let new = master_data::NewTaxRate {
        store: STORE.into(),
        class: 1,
        valid_from: at(no),
        rate_ppm: 190_000 + no,
    };
    master_data::upsert_tax_rate(tx, &new)?;
    Ok(())
}
