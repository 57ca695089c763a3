//! A small world, and the words that its stories are told in

use expect_test::Expect;
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, Transaction};
use selvedge_domain::basket::{self, BasketLine, Discount, RungUp};
use selvedge_domain::catalogue::ShelfPrices;
use selvedge_domain::customers::{self, NewCustomer};
use selvedge_domain::in_doubt::{self, Answer, Asked};
use selvedge_domain::master_data::{self, NewPrice, NewProduct, NewStore, NewTaxRate, NewVariant};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::{Currency, Money};
use selvedge_domain::receipts::Charge;
use selvedge_domain::returns::{self, Goods, LineBack, Return};
use selvedge_domain::sales::{self, Recorded, Sale};
use selvedge_domain::staff::{self, NewEmployee, Rights};
use selvedge_domain::stock::{self, Movement, Reason};
use selvedge_domain::tenders::{Tender, TenderKind};
use selvedge_domain::{exceptions, migrations, receipts};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};

/// The goods of the world: name, SKU, tax class, chain price in EUR and in USD.
pub const GOODS: [(&str, i64, i64, Option<i64>); 4] = [
    ("pen", 1, 1, Some(199)),
    ("shirt", 2, 1, Some(3990)),
    ("bread", 3, 2, Some(250)),
    ("gift", 4, 1, None),
];

/// Its people: number, name, badge, rights. All have the PIN 4711.
pub const PEOPLE: [(i64, &str, &str, &str); 4] = [
    (1, "anna", "badge-anna", "sell, discount, open price, return, stock, manage"),
    (2, "ben", "badge-ben", "sell"),
    (3, "carl", "badge-carl", ""),
    (4, "dora", "badge-dora", "sell, return"),
];

/// Hashing takes its time on purpose, so it is done once.
pub static PIN_4711: LazyLock<String> =
    LazyLock::new(|| staff::hash_pin("4711", b"sixteen salt byt").unwrap());

/// An empty database of one device: the schema, and what the engine brings.
pub fn schema(device: i64) -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(
        "PRAGMA foreign_keys = ON;
         CREATE TABLE replicated (table_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
             rule TEXT NOT NULL, stream TEXT, writers TEXT) STRICT;
         CREATE TABLE replicated_column (table_id INTEGER, name TEXT, kind TEXT) STRICT;",
    )
    .unwrap();
    let counter = AtomicI64::new(0);
    let next = move |_: &rusqlite::functions::Context| {
        Ok((device << 40) + counter.fetch_add(1, Ordering::Relaxed) + 1)
    };
    db.create_scalar_function("row_id", 0, FunctionFlags::SQLITE_UTF8, next).unwrap();
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    db.create_scalar_function("own_ids", 0, flags, move |_| Ok(device << 40)).unwrap();
    for (name, sql) in migrations::ALL {
        db.execute_batch(sql).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    db.set_prepared_statement_cache_capacity(64);
    db
}

/// The schema with stores, goods, prices, taxes and people.
/// Store 1 sells in EUR with tax in its prices, store 2 in USD with tax on top.
pub fn world() -> Connection {
    let mut db = schema(7);
    let tx = db.transaction().unwrap();
    let stores = [
        (1, Currency::EUR, ShelfPrices::TaxIncluded, [190_000, 70_000]),
        (2, Currency::USD, ShelfPrices::TaxExcluded, [88_750, 0]),
    ];
    for (id, currency, shelf_prices, rates) in stores {
        let name = &format!("Store {id}");
        master_data::upsert_store(&tx, &NewStore { id, name, currency, shelf_prices }).unwrap();
        for (rate_ppm, class) in rates.into_iter().zip(1..) {
            let rate = NewTaxRate { store: id, class, valid_from: Moment(0), rate_ppm };
            master_data::upsert_tax_rate(&tx, &rate).unwrap();
        }
        for (employee, name, badge, rights) in PEOPLE {
            let rights = Rights::parse(rights).unwrap();
            let pin_hash = PIN_4711.as_str();
            let new = NewEmployee { store: id, id: employee, name, badge, pin_hash, rights };
            staff::upsert(&tx, &new).unwrap();
        }
    }
    for (name, sku, tax_class, price) in GOODS {
        master_data::upsert_product(&tx, &NewProduct { id: sku, name, department: None }).unwrap();
        let variant =
            NewVariant { sku, product: sku, size: None, colour: None, tax_class, favourite: None };
        master_data::upsert_variant(&tx, &variant).unwrap();
        for currency in [Currency::EUR, Currency::USD] {
            if let Some(unit) = price.map(Money) {
                let price = NewPrice { sku, store: 0, currency, valid_from: Moment(0), unit };
                master_data::upsert_price(&tx, &price).unwrap();
            }
        }
    }
    tx.commit().unwrap();
    db
}

pub fn sku_of(name: &str) -> i64 {
    GOODS
        .iter()
        .find(|goods| goods.0 == name)
        .map_or_else(|| name.parse().unwrap(), |goods| goods.1)
}

/// A store's own discount on a product, from the first moment to before the second.
pub fn a_store_discount(
    db: &Connection,
    store: i64,
    product: i64,
    points: i64,
    window: (i64, i64),
) {
    db.execute(
        "INSERT INTO store_discount (id, store, product, discount_points, valid_from, valid_to, employee)
         VALUES (row_id(), ?1, ?2, ?3, ?4, ?5, 1)",
        (store, product, points, window.0, window.1),
    )
    .unwrap();
}

/// A customer with a card.
pub fn a_customer(tx: &Transaction, id: i64, card: &str, discount_points: i64) {
    customers::upsert(tx, &NewCustomer { id, card, discount_points }).unwrap();
}

/// Who stands where, and what lies on the counter.
#[derive(Default)]
struct Counter {
    store: i64,
    cashier: i64,
    at: Moment,
    basket: Vec<BasketLine>,
    customer: Option<i64>,
    discount: Discount,
    shown: Option<Money>,
}

/// Tells a story and compares what was said. Sentences end with a semicolon:
///
/// `in 2`, `by ben`, `at 100` (who, where, when); `deliver pen 10`, `correct pen -1`;
/// `price pen 2.49 from 100`; `sell pen 2, bread 1 -10%, shirt 1 -5.00, gift 1 @3.00`;
/// `pay cash 50 card 10`; `back 1 line 1 x 2 for cash 3.98`; `refund pen 1 for cash 1.99`;
/// `stock pen`; `exceptions`.
///
/// In doubt: `charge 7 3.98` (the basket by card, by payment intent 7), `doubt void 1`
/// (receipt 1), `doubt paid 7 3.98` (intent 7); `answers` says what was answered.
///
/// Discounts: `offer shirt 20% from 100 to 200` (the store's), `card 12 5%` (a customer
/// with 5 %), `off 10%` or `off 2.00` (the basket's); `quote` says what all comes to and
/// shows it to the customer; `lines 1` says what a receipt's lines hold.
pub fn check(story: &str, expected: Expect) {
    expected.assert_eq(&tell(story).join("\n"));
}

/// Tells a story and hands back what was said, sentence by sentence.
pub fn tell(story: &str) -> Vec<String> {
    let mut db = world();
    let mut counter = Counter { store: 1, cashier: 1, at: Moment(10), ..Counter::default() };
    let mut said = Vec::new();
    for sentence in story.split(';').map(str::trim).filter(|sentence| !sentence.is_empty()) {
        let tx = db.transaction().unwrap();
        let changes = tx.total_changes();
        let answer = act(&tx, &mut counter, sentence);
        if answer.is_err() {
            assert_eq!(tx.total_changes(), changes, "a refusal writes nothing: {sentence}");
        }
        tx.commit().unwrap();
        match answer {
            Ok(answer) => said.extend(answer),
            Err(refusal) => said.push(refusal),
        }
    }
    said
}

fn act(tx: &Transaction, counter: &mut Counter, sentence: &str) -> Result<Option<String>, String> {
    let (verb, rest) = sentence.split_once(' ').unwrap_or((sentence, ""));
    match verb {
        "in" => counter.store = rest.parse().unwrap(),
        "by" => counter.cashier = PEOPLE.iter().find(|one| one.1 == rest).map_or(99, |one| one.0),
        "at" => counter.at = Moment(rest.parse().unwrap()),
        "sell" => counter.basket = rest.split(',').map(line).collect(),
        "price" => price(tx, counter, rest),
        "offer" => offer(tx, counter, rest),
        "card" => {
            let (id, percent) = rest.split_once(' ').unwrap();
            let points = minor(percent.trim_end_matches('%')).0;
            a_customer(tx, id.parse().unwrap(), id, points);
            counter.customer = id.parse().ok();
        }
        "off" => counter.discount = discount(rest),
        "quote" => return quote(tx, counter).map(Some),
        "lines" => return Ok(Some(lines(tx, rest))),
        "deliver" => return moved(tx, counter, rest, Reason::Delivery),
        "open" => return moved(tx, counter, rest, Reason::Opening),
        "correct" => return moved(tx, counter, rest, Reason::Correction),
        "pay" => return pay(tx, counter, rest).map(Some),
        "back" => return back(tx, counter, rest).map(Some),
        "refund" => return refund(tx, counter, rest).map(Some),
        "charge" => return charge(tx, counter, rest).map(Some),
        "doubt" => return doubt(tx, counter, rest).map(Some),
        "answers" => return Ok(Some(answers(tx))),
        "stock" => {
            let on_hand = stock::on_hand(tx, counter.store, sku_of(rest)).unwrap();
            return Ok(Some(format!("{rest} {on_hand}")));
        }
        "exceptions" => return Ok(Some(seen(tx))),
        _ => panic!("no such sentence: {sentence}"),
    }
    Ok(None)
}

/// "pen 2", "bread 1 -10%", "shirt 1 -5.00", "gift 1 @3.00"
fn line(text: &str) -> BasketLine {
    let mut words = text.split_whitespace();
    let sku = sku_of(words.next().unwrap());
    let quantity = words.next().unwrap().parse().unwrap();
    let mut line = BasketLine { sku, quantity, discount: Discount::None, open_price: None };
    for word in words {
        if let Some(off) = word.strip_prefix('-') {
            line.discount = discount(off);
        } else if let Some(price) = word.strip_prefix('@') {
            line.open_price = Some(minor(price));
        }
    }
    line
}

/// "10%" or "5.00"
fn discount(text: &str) -> Discount {
    match text.strip_suffix('%') {
        Some(percent) => Discount::Percent { basis_points: minor(percent).0 as u32 },
        None => Discount::Amount(minor(text)),
    }
}

fn offer(tx: &Transaction, counter: &Counter, text: &str) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [name, percent, "from", from, "to", to] = words[..] else {
        panic!("offer shirt 20% from 100 to 200")
    };
    let points = minor(percent.trim_end_matches('%')).0;
    let window = (from.parse().unwrap(), to.parse().unwrap());
    a_store_discount(tx, counter.store, sku_of(name), points, window);
}

fn quote(tx: &Transaction, counter: &mut Counter) -> Result<String, String> {
    let (customer, discount) = (counter.customer, counter.discount);
    let rung_up = RungUp { lines: &counter.basket, customer, discount };
    let quoted = basket::quote(tx, counter.store, rung_up, counter.at);
    let quoted = quoted.map_err(|error| error.to_string())?;
    counter.shown = Some(quoted.total);
    let show = |money| quoted.currency.plain(money);
    let amounts: Vec<String> = quoted.lines.iter().map(|line| show(line.amount)).collect();
    let (customer, basket) = (show(quoted.customer_off), show(quoted.basket_off));
    let total = show(quoted.total);
    let lines = amounts.join(" + ");
    Ok(format!("{lines}, customer {customer}, basket {basket}: {total}"))
}

fn lines(tx: &Transaction, no: &str) -> String {
    let no: i64 = no.parse().unwrap();
    let receipts = receipts::latest_own(tx, 999).unwrap();
    let receipt = receipts.iter().find(|receipt| receipt.no == no).unwrap();
    let lines = receipts::lines(tx, receipt.id).unwrap();
    let said = lines.iter().map(|line| {
        let (off, why) = (Currency::EUR.plain(line.discount), line.reason.as_deref());
        format!("{}: {off} {}", line.no, why.unwrap_or("-"))
    });
    said.collect::<Vec<_>>().join("; ")
}

fn minor(text: &str) -> Money {
    Currency::EUR.parse_amount(text).unwrap()
}

fn tenders(text: &str) -> Vec<Tender> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let pairs = words.chunks(2);
    pairs
        .map(|pair| Tender { kind: TenderKind::parse(pair[0]).unwrap(), given: minor(pair[1]) })
        .collect()
}

fn price(tx: &Transaction, counter: &Counter, text: &str) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [name, amount, "from", from] = words[..] else { panic!("price pen 2.49 from 100") };
    let price = NewPrice {
        sku: sku_of(name),
        store: counter.store,
        currency: Currency::EUR,
        valid_from: Moment(from.parse().unwrap()),
        unit: minor(amount),
    };
    master_data::upsert_price(tx, &price).unwrap();
}

fn moved(
    tx: &Transaction,
    counter: &Counter,
    text: &str,
    reason: Reason,
) -> Result<Option<String>, String> {
    let (name, quantity) = text.split_once(' ').unwrap();
    let movement = Movement {
        store: counter.store,
        sku: sku_of(name),
        quantity: quantity.parse().unwrap(),
        reason,
        at: counter.at,
        employee: Some(counter.cashier),
        note: None,
    };
    let on_hand = stock::move_stock(tx, &movement).map_err(|error| error.to_string())?;
    Ok(Some(format!("{name} {on_hand}")))
}

fn pay(tx: &Transaction, counter: &mut Counter, text: &str) -> Result<String, String> {
    let sale = Sale {
        store: counter.store,
        cashier: counter.cashier,
        at: counter.at,
        lines: std::mem::take(&mut counter.basket),
        tenders: tenders(text),
        customer: counter.customer.take(),
        discount: std::mem::take(&mut counter.discount),
        shown: counter.shown.take(),
    };
    sales::record(tx, &sale).map(|done| say(&done)).map_err(|error| error.to_string())
}

fn say(done: &Recorded) -> String {
    let show = |money| done.quote.currency.show(money);
    let (total, tax) = (show(done.quote.total), show(done.quote.tax));
    let mut said = format!("{}: {total} with tax {tax}", receipts::number("T1", done.no));
    if done.change != Money::ZERO {
        said += &format!(", change {}", show(done.change));
    }
    if !done.oversold.is_empty() {
        said += &format!(", oversold {:?}", done.oversold);
    }
    said
}

/// "1 line 1 x 2 line 2 x 1 for cash 3.98": the receipt is named by its number.
fn back(tx: &Transaction, counter: &Counter, text: &str) -> Result<String, String> {
    let (what, refunds) = text.split_once(" for").unwrap();
    let mut words = what.split_whitespace();
    let no: i64 = words.next().unwrap().parse().unwrap();
    let receipt = receipts::latest_own(tx, 999).unwrap();
    let receipt = receipt.iter().find(|receipt| receipt.no == no).map_or(no, |receipt| receipt.id);
    let rest: Vec<&str> = words.collect();
    let lines = rest
        .chunks(4)
        .map(|part| LineBack { no: part[1].parse().unwrap(), quantity: part[3].parse().unwrap() });
    take_back(tx, counter, Goods::OfReceipt { receipt, lines: lines.collect() }, refunds)
}

fn refund(tx: &Transaction, counter: &Counter, text: &str) -> Result<String, String> {
    let (what, refunds) = text.split_once(" for").unwrap();
    let lines = what.split(',').map(line).collect();
    take_back(tx, counter, Goods::WithoutReceipt(lines), refunds)
}

fn take_back(
    tx: &Transaction,
    counter: &Counter,
    goods: Goods,
    refunds: &str,
) -> Result<String, String> {
    let (store, cashier, at) = (counter.store, counter.cashier, counter.at);
    let refunds = tenders(refunds);
    let wish = Return { store, cashier, at, goods, refunds, customer: None };
    returns::take_back(tx, &wish).map(|done| say(&done)).map_err(|error| error.to_string())
}

/// "7 3.98": the whole basket by card, by the payment intent of this number.
fn charge(tx: &Transaction, counter: &mut Counter, text: &str) -> Result<String, String> {
    let (intent, given) = text.split_once(' ').unwrap();
    let (lines, tenders) = (std::mem::take(&mut counter.basket), tenders(&format!("card {given}")));
    let (store, cashier, at) = (counter.store, counter.cashier, counter.at);
    let sale = Sale { store, cashier, at, lines, tenders, ..Sale::default() };
    let charge = Charge { intent: intent.parse().unwrap(), reference: Some("A-1".to_owned()) };
    let done = sales::record_charged(tx, &sale, &[(0, charge)]);
    done.map(|done| say(&done)).map_err(|error| error.to_string())
}

/// "print 1", "void 1": a receipt by its number. "paid 7 3.98", "not-paid 7 3.98",
/// "given-back 7 3.98": a payment by its intent.
fn doubt(tx: &Transaction, counter: &Counter, text: &str) -> Result<String, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let asked = Asked { store: counter.store, cashier: counter.cashier, at: counter.at };
    let id: i64 = words[1].parse().unwrap();
    let receipt = || {
        let own = receipts::latest_own(tx, 999).unwrap();
        own.iter().find(|receipt| receipt.no == id).map_or(id, |receipt| receipt.id)
    };
    let decide = |answer| in_doubt::decide(tx, asked, id, answer, minor(words[2]));
    let done = match words[0] {
        "print" => in_doubt::confirm(tx, asked, receipt()).map(|()| "printed".to_owned()),
        "void" => in_doubt::void(tx, asked, receipt()).map(|void| {
            let void = receipts::whole(tx, void).unwrap().unwrap();
            let total = Currency::EUR.show(void.receipt.total);
            format!("{}: {total}", receipts::number("T1", void.receipt.no))
        }),
        "paid" => decide(Answer::Paid).map(|()| "noted".to_owned()),
        "not-paid" => decide(Answer::NotPaid).map(|()| "noted".to_owned()),
        "given-back" => decide(Answer::GivenBack).map(|()| "noted".to_owned()),
        _ => panic!("no such answer: {text}"),
    };
    done.map_err(|error| error.to_string())
}

/// Every answer that was given, beside its exception.
fn answers(tx: &Transaction) -> String {
    let mut seen = exceptions::latest(tx, 99).unwrap();
    seen.reverse();
    let said = seen.iter().map(|one| {
        let answered = in_doubt::of_exception(tx, one.id).unwrap().unwrap();
        let amount = Currency::EUR.plain(Money(one.amount.unwrap()));
        format!("{}: {}, {amount}, by {}", one.kind, answered.answer.as_str(), answered.by)
    });
    said.collect::<Vec<_>>().join("\n")
}

fn seen(tx: &Transaction) -> String {
    let mut seen = exceptions::latest(tx, 99).unwrap();
    seen.reverse();
    let said = seen.iter().map(|one| {
        let receipt = one.receipt.and_then(|id| receipts::by_id(tx, id).unwrap());
        let no = receipt.map_or(0, |receipt| receipt.no);
        format!("{}: receipt {no}, SKU {:?}, {:?}", one.kind, one.sku, one.amount)
    });
    said.collect::<Vec<_>>().join("\n")
}
