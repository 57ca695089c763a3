//! Sums that must agree, over many baskets

use crate::world::{a_customer, a_store_discount, world};
use rusqlite::{Connection, Transaction};
use selvedge_domain::basket::{self, BasketLine, Discount, Quote, RungUp};
use selvedge_domain::catalogue::ShelfPrices;
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;
use selvedge_domain::receipts;
use selvedge_domain::returns::{self, Goods, LineBack, Return};
use selvedge_domain::sales::{self, Recorded, Sale};
use selvedge_domain::stock;
use selvedge_domain::tenders::{Tender, TenderKind};

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> i64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit) as i64
    }

    fn line(&mut self) -> BasketLine {
        let sku = 1 + self.below(4);
        let price = Money(self.below(20_000));
        let open_price = (sku == 4 || self.below(5) == 0).then_some(price);
        let discount = match self.below(4) {
            0 => Discount::Percent { basis_points: self.below(10_001) as u32 },
            1 => Discount::Percent { basis_points: 3_333 },
            2 if open_price.is_none() => Discount::Amount(Money(self.below(200))),
            _ => Discount::None,
        };
        BasketLine { sku, quantity: 1 + self.below(7), discount, open_price }
    }
}

/// Pays by card, by cash, or by both with change.
fn tenders(numbers: &mut Numbers, total: Money) -> Vec<Tender> {
    let card = Money(numbers.below(total.0.unsigned_abs() + 1));
    let over = if total == card { Money(0) } else { Money(numbers.below(500)) };
    let cash = Money(total.0 - card.0 + over.0);
    let both = [(TenderKind::Card, card), (TenderKind::Cash, cash)];
    let paid = both.into_iter().filter(|tender| tender.1 > Money::ZERO);
    paid.map(|(kind, given)| Tender { kind, given }).collect()
}

fn sell(tx: &Transaction, numbers: &mut Numbers, store: i64) -> (Recorded, Quote) {
    let lines: Vec<BasketLine> = (0..1 + numbers.below(12)).map(|_| numbers.line()).collect();
    let customer = (numbers.below(2) == 0).then_some(12);
    let at = Moment(10);
    let rung_up = RungUp { lines: &lines, customer, discount: Discount::None };
    let sum = basket::quote(tx, store, rung_up, at).unwrap();
    let left = sum.subtotal.0 - sum.discount.0;
    let discount = match numbers.below(4) {
        0 => Discount::Percent { basis_points: numbers.below(10_001) as u32 },
        1 => Discount::Amount(Money(numbers.below(left as u64 + 1))),
        _ => Discount::None,
    };
    let quote = basket::quote(tx, store, RungUp { discount, ..rung_up }, at).unwrap();
    let tenders = tenders(numbers, quote.total);
    let shown = Some(quote.total);
    let sale = Sale { store, cashier: 1, at, lines, tenders, customer, discount, shown };
    (sales::record(tx, &sale).unwrap(), quote)
}

fn totals_agree(db: &Connection, done: &Recorded, quote: &Quote) {
    assert_eq!(done.quote, *quote, "what was quoted is what is paid");
    let whole = receipts::whole(db, done.id).unwrap().unwrap();
    let lines: i64 = whole.lines.iter().map(|line| line.unit.0 * line.quantity).sum();
    let discounts: i64 = whole.lines.iter().map(|line| line.discount.0).sum();
    assert_eq!((Money(lines), Money(discounts)), (quote.subtotal, quote.discount));
    let tax_on_top = match quote.shelf_prices {
        ShelfPrices::TaxIncluded => 0,
        ShelfPrices::TaxExcluded => whole.receipt.tax.0,
    };
    assert_eq!(lines - discounts + tax_on_top, whole.receipt.total.0, "lines - discounts + tax");
    let given: i64 = whole.tenders.iter().map(|tender| tender.given.0).sum();
    assert_eq!(given - done.change.0, whole.receipt.total.0, "tenders - change");
    assert_eq!(whole.change(), done.change);
    let taxes: i64 = quote.tax_by_class.iter().map(|class| class.tax.0).sum();
    assert_eq!(Money(taxes), whole.receipt.tax);
}

/// Brings everything back in parts of one, line after line.
fn bring_back(tx: &Transaction, done: &Recorded, store: i64) -> (Money, Money) {
    let (mut total, mut tax) = (Money::ZERO, Money::ZERO);
    loop {
        let out = returns::still_out(tx, done.id).unwrap();
        let lines: Vec<LineBack> =
            out.iter().map(|line| LineBack { quantity: 1, ..*line }).collect();
        if lines.is_empty() {
            return (total, tax);
        }
        let goods = Goods::OfReceipt { receipt: done.id, lines };
        let due = returns::quote(tx, store, &goods, Moment(20)).unwrap().total;
        let refund = Tender { kind: TenderKind::Cash, given: Money(-due.0) };
        let refunds = if due == Money::ZERO { vec![] } else { vec![refund] };
        let wish = Return { store, cashier: 1, at: Moment(20), goods, refunds, customer: None };
        let back = returns::take_back(tx, &wish).unwrap();
        total = total.plus(back.quote.total).unwrap();
        tax = tax.plus(back.quote.tax).unwrap();
    }
}

/// A store discount on shirts, and customer 12 with 5 %.
fn discounts(tx: &Transaction, store: i64) {
    a_store_discount(tx, store, 2, 2_500, (0, 100));
    a_customer(tx, 12, "C100", 500);
}

/// Adds every fact up again and compares with the balances.
fn balances_agree(db: &Connection) {
    let differing: i64 = db
        .query_row(
            "WITH moved (store, sku, quantity) AS (
                 SELECT store, sku, quantity FROM stock_movement
                 UNION ALL SELECT r.store, l.sku, -l.quantity
                 FROM receipt_line l JOIN receipt r ON r.id = l.receipt),
             summed AS (SELECT store, sku, sum(quantity) AS on_hand FROM moved GROUP BY store, sku)
             SELECT count(*) FROM summed s FULL JOIN stock_balance b USING (store, sku)
             WHERE s.on_hand IS NOT b.on_hand",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(differing, 0, "a balance is the sum of its facts");
}

// Proves TS-17, TS-12.
#[test]
fn lines_taxes_tenders_and_balances_agree_over_many_baskets() {
    let mut numbers = Numbers(1);
    for store in [1, 2] {
        let mut db = world();
        let tx = db.transaction().unwrap();
        discounts(&tx, store);
        for _ in 0..400 {
            let (done, quote) = sell(&tx, &mut numbers, store);
            totals_agree(&tx, &done, &quote);
        }
        balances_agree(&tx);
    }
}

#[test]
fn what_comes_back_in_parts_is_what_was_paid() {
    let mut numbers = Numbers(2);
    for store in [1, 2] {
        let mut db = world();
        let tx = db.transaction().unwrap();
        discounts(&tx, store);
        for _ in 0..60 {
            let (done, quote) = sell(&tx, &mut numbers, store);
            let back = bring_back(&tx, &done, store);
            assert_eq!((-back.0.0, -back.1.0), (quote.total.0, quote.tax.0));
        }
        balances_agree(&tx);
        for sku in 1..=4 {
            assert_eq!(stock::on_hand(&tx, store, sku).unwrap(), 0);
        }
    }
}

// Proves TS-12, IM-04.
#[test]
fn facts_add_up_to_the_same_balance_in_any_order_and_when_heard_twice() {
    let mut told = world();
    let tx = told.transaction().unwrap();
    let mut numbers = Numbers(3);
    for _ in 0..50 {
        sell(&tx, &mut numbers, 1);
    }
    tx.commit().unwrap();
    let heard = world();
    // Receipts arrive in any order; a receipt and its lines arrive as one.
    let receipts = rows(&told, "SELECT id, no, store FROM receipt ORDER BY no * 37 % 50");
    for receipt in receipts.iter().chain(&receipts) {
        heard
            .execute(
                "INSERT INTO receipt (id, no, kind, cashier, at, store, total_minor, tax_minor)
                 VALUES (?1, ?2, 1, 1, 0, ?3, 0, 0) ON CONFLICT (id) DO NOTHING",
                (receipt[0], receipt[1], receipt[2]),
            )
            .unwrap();
        let lines =
            format!("SELECT no, sku, quantity FROM receipt_line WHERE receipt = {}", receipt[0]);
        for line in rows(&told, &lines) {
            heard
                .execute(
                    "INSERT INTO receipt_line (receipt, no, sku, quantity, unit_minor, tax_class)
                     VALUES (?1, ?2, ?3, ?4, 0, 1) ON CONFLICT (receipt, no) DO NOTHING",
                    (receipt[0], line[0], line[1], line[2]),
                )
                .unwrap();
        }
    }
    let balances = "SELECT store, sku, on_hand FROM stock_balance ORDER BY store, sku";
    assert_eq!(rows(&told, balances), rows(&heard, balances));
}

fn rows(db: &Connection, sql: &str) -> Vec<[i64; 3]> {
    let mut query = db.prepare(sql).unwrap();
    let read = query.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?])).unwrap();
    read.map(Result::unwrap).collect()
}
