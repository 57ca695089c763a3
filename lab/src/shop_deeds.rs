//! What the devices of the shop do in the simulator's world

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, Transaction};
use selvedge_domain::basket::{self, BasketLine, Discount, RungUp};
use selvedge_domain::catalogue::ShelfPrices;
use selvedge_domain::master_data::{self, NewPrice, NewProduct, NewStore, NewTaxRate, NewVariant};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::{Currency, Money};
use selvedge_domain::returns::{self, Goods, LineBack, Return};
use selvedge_domain::sales::{self, Sale};
use selvedge_domain::staff::{self, NewEmployee, Rights};
use selvedge_domain::stock::{self, Movement, Reason};
use selvedge_domain::store_discounts::{self, NewStoreDiscount};
use selvedge_domain::tenders::{Tender, TenderKind};
use selvedge_simulator::dice::Dice;
use selvedge_simulator::shadow::Effect;
use selvedge_simulator::trade::{Act, DeedError};
use selvedge_sync::hlc::Millis;
use selvedge_sync::identity::Identity;

/// Goods of the shop. Few, so that devices meet on the same rows.
const SKUS: i64 = 10;

/// People of each store; all may do all.
const PEOPLE: i64 = 3;

/// The hash of no PIN: nobody signs on in this world.
const NO_PIN: &str =
    "$argon2id$v=19$m=4096,t=8,p=1$bm9ib2R5IGlzIGhlcmU$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// One business act of the shop.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// HQ enters stores, goods, taxes and first prices.
    Catalogue {
        /// How many stores.
        stores: u32,
    },
    /// HQ enters the people of a store.
    Staff {
        /// Which.
        store: u32,
    },
    /// HQ books what a store begins with.
    OpeningStock {
        /// Which.
        store: u32,
    },
    /// A sale: goods, quantities and hundredths of a percent off, paid in one tender or two.
    Sell {
        /// What.
        lines: Vec<(i64, i64, u32)>,
        /// Off the whole basket, in minor units.
        off: i64,
        /// Whether a part is paid by card.
        split: bool,
    },
    /// A basket that is left at the till.
    Leave,
    /// A part of one of the last sales of the store comes back, or all of it.
    TakeBack {
        /// How many sales ago.
        ago: i64,
        /// Whether all of it comes back: a void.
        whole: bool,
    },
    /// A delivery.
    GoodsIn(Vec<(i64, i64)>),
    /// Goods are counted: the difference is booked.
    Count {
        /// What.
        sku: i64,
        /// How many there are.
        found: i64,
    },
    /// A store takes something off a product for a while.
    StoreDiscount {
        /// Of which product.
        product: i64,
        /// Hundredths of a percent.
        points: i64,
        /// How long.
        for_ms: i64,
    },
    /// HQ sets a price.
    Price {
        /// Of what.
        sku: i64,
        /// In which store; 0 is the chain.
        store: u32,
        /// In minor units.
        unit: i64,
    },
    /// A store sets a price, for which it has no right.
    Trespass,
}

/// A table of facts: its own rows are found by their ids.
pub struct Fact {
    /// Its name.
    pub table: &'static str,
    columns: &'static str,
    /// What it is joined to for its store, and how.
    join: &'static str,
    id: &'static str,
    store: &'static str,
}

/// The tables of facts.
pub const FACTS: [Fact; 7] = [
    fact("receipt", "t.id, t.no, t.kind, t.cashier, t.at, t.total_minor, t.tax_minor, t.of"),
    of_receipt(
        "receipt_line",
        "t.receipt, t.no, t.sku, t.quantity, t.unit_minor, t.discount_minor",
    ),
    of_receipt("tender", "t.receipt, t.no, t.kind, t.amount_minor, t.given_minor"),
    fact("stock_movement", "t.id, t.sku, t.quantity, t.reason, t.at"),
    fact("exception", "t.id, t.at, t.kind, t.receipt, t.sku"),
    fact("grand_total", "t.id, t.at, t.last_no, t.sales_minor, t.returns_minor, t.tax_minor"),
    fact("store_discount", "t.id, t.product, t.discount_points, t.valid_from, t.valid_to"),
];

const fn fact(table: &'static str, columns: &'static str) -> Fact {
    Fact { table, columns, join: "", id: "t.id", store: "t.store" }
}

const fn of_receipt(table: &'static str, columns: &'static str) -> Fact {
    let join = " JOIN receipt r ON r.id = t.receipt";
    Fact { table, columns, join, id: "t.receipt", store: "r.store" }
}

impl Fact {
    /// A query for the rows of the store that is its parameter.
    pub fn of_store(&self) -> String {
        let Fact { table, columns, join, store, .. } = self;
        format!("SELECT {columns} FROM {table} t{join} WHERE {store} = ?1")
    }

    /// A query for this device's own rows after the id that is its parameter, and their stores.
    fn own_after(&self) -> String {
        let Fact { table, columns, join, id, store } = self;
        format!(
            "SELECT {columns}, {store} FROM {table} t{join} WHERE {id} > ?1 AND {id} < own_ids() + (1 << 40)"
        )
    }

    /// A query for this device's newest own id.
    fn newest_own(&self) -> String {
        let Fact { table, id, .. } = self;
        format!(
            "SELECT ifnull(max({id}), own_ids()) FROM {table} t WHERE {id} > own_ids() AND {id} < own_ids() + (1 << 40)"
        )
    }
}

/// The values of a row.
pub fn row_of(row: &Row<'_>, columns: usize) -> rusqlite::Result<Vec<Value>> {
    (0..columns).map(|column| row.get(column)).collect()
}

impl Deed {
    /// What a pos does next.
    pub fn of_pos(dice: &mut Dice) -> Deed {
        match dice.below(40) {
            0 => Deed::Trespass,
            1..=2 => Deed::Leave,
            3..=5 => Deed::TakeBack { ago: dice.between(0, 6), whole: dice.chance(300) },
            _ => Deed::Sell {
                lines: (0..dice.between(1, 4)).map(|_| line(dice)).collect(),
                off: if dice.chance(100) { dice.between(1, 50) } else { 0 },
                split: dice.chance(300),
            },
        }
    }

    /// What a back office does next.
    pub fn of_back_office(dice: &mut Dice) -> Deed {
        match dice.below(10) {
            0 => Deed::Trespass,
            1..=5 => Deed::GoodsIn(
                (0..dice.between(1, 4)).map(|_| (sku(dice), dice.between(1, 40))).collect(),
            ),
            6..=7 => Deed::Count { sku: sku(dice), found: dice.between(0, 60) },
            _ => Deed::StoreDiscount {
                product: sku(dice),
                points: dice.between(100, 5_000),
                for_ms: dice.between(10_000, 600_000),
            },
        }
    }

    /// What HQ does next.
    pub fn of_hq(stores: u32, dice: &mut Dice) -> Deed {
        let store = if dice.chance(700) { 0 } else { dice.between(1, i64::from(stores)) as u32 };
        Deed::Price { sku: sku(dice), store, unit: dice.between(50, 9_999) }
    }

    fn write(&self, tx: &Transaction<'_>, who: &Identity, at: Moment) -> Result<(), DeedError> {
        let store = i64::from(who.store);
        match self {
            Deed::Catalogue { stores } => catalogue(tx, i64::from(*stores)),
            Deed::Staff { store } => people(tx, i64::from(*store)),
            Deed::OpeningStock { store } => (1..=SKUS).try_for_each(|sku| {
                move_stock(tx, i64::from(*store), (sku, 100), Reason::Opening, at)
            }),
            Deed::Sell { lines, off, split } => sell(tx, store, at, lines, (*off, *split)),
            Deed::Leave => {
                sell(tx, store, at, &[(1, 1, 0)], (0, false))?;
                Err(DeedError::GivenUp)
            }
            Deed::TakeBack { ago, whole } => take_back(tx, store, at, *ago, *whole),
            Deed::GoodsIn(lines) => {
                lines.iter().try_for_each(|line| move_stock(tx, store, *line, Reason::Delivery, at))
            }
            Deed::Count { sku, found } => {
                let difference = found - stock::on_hand(tx, store, *sku)?;
                move_stock(tx, store, (*sku, difference), Reason::Correction, at)
            }
            Deed::StoreDiscount { product, points, for_ms } => {
                let new = NewStoreDiscount {
                    store,
                    product: *product,
                    discount_points: *points,
                    valid_from: at,
                    valid_to: Moment(at.0 + for_ms),
                    employee: 1,
                    at,
                };
                store_discounts::enter(tx, &new).map(|_| ()).map_err(refused)
            }
            Deed::Price { sku, store, unit } => {
                set_price(tx, *sku, i64::from(*store), at, Money(*unit))
            }
            Deed::Trespass => {
                tx.execute(
                    "INSERT OR REPLACE INTO price (sku, currency, store, valid_from, unit_minor)
                     VALUES (1, 'EUR', 0, -1, 1)",
                    [],
                )?;
                Ok(())
            }
        }
    }
}

impl Act for Deed {
    fn run(&self, tx: &Transaction<'_>, who: &Identity, now: Millis) -> Result<Effect, DeedError> {
        let newest = |fact: &Fact| -> rusqlite::Result<i64> {
            tx.prepare_cached(&fact.newest_own())?.query_row([], |row| row.get(0))
        };
        let before: Vec<i64> = FACTS.iter().map(newest).collect::<rusqlite::Result<_>>()?;
        self.write(tx, who, Moment(now.0))?;
        let mut effect = Effect::default();
        for (fact, before) in FACTS.iter().zip(before) {
            let mut select = tx.prepare_cached(&fact.own_after())?;
            let columns = select.column_count() - 1;
            let mut rows = select.query([before])?;
            while let Some(row) = rows.next()? {
                effect.fact(fact.table, row.get(columns)?, &row_of(row, columns)?);
            }
        }
        match self {
            Deed::Catalogue { .. } => {
                (1..=SKUS).for_each(|sku| report_price(&mut effect, sku, 0, 0, first_price(sku)));
            }
            Deed::Price { sku, store, unit } => {
                report_price(&mut effect, *sku, i64::from(*store), now.0, *unit);
            }
            _ => {}
        }
        Ok(effect)
    }

    fn is_forbidden(&self) -> bool {
        *self == Deed::Trespass
    }

    fn checkouts(&self) -> u64 {
        u64::from(matches!(self, Deed::Sell { .. }))
    }
}

fn line(dice: &mut Dice) -> (i64, i64, u32) {
    let off = if dice.chance(150) { dice.between(100, 3_000) as u32 } else { 0 };
    (sku(dice), dice.between(1, 3), off)
}

fn sku(dice: &mut Dice) -> i64 {
    dice.between(1, SKUS)
}

fn first_price(sku: i64) -> i64 {
    199 + 100 * sku
}

/// A rule of the shop refused: nothing is written.
fn refused<E>(_: E) -> DeedError {
    DeedError::GivenUp
}

fn euro() -> Currency {
    Currency::parse("EUR").expect("the euro is known")
}

fn report_price(effect: &mut Effect, sku: i64, store: i64, from: i64, unit: i64) {
    let currency = Value::Text("EUR".to_owned());
    let [sku_value, store_value, from_value, unit_value] =
        [sku, store, from, unit].map(Value::Integer);
    let row = [sku_value, currency, store_value, from_value, unit_value];
    // A price is told by its goods, its store and its moment; moments lie below 2^48.
    effect.owned("price", 0, (sku << 56) | (store << 48) | from, Some(&row));
}

fn catalogue(tx: &Transaction<'_>, stores: i64) -> Result<(), DeedError> {
    for store in 1..=stores {
        // Every other store has prices without tax.
        let shelf_prices =
            if store % 2 == 1 { ShelfPrices::TaxIncluded } else { ShelfPrices::TaxExcluded };
        let name = format!("Store {store}");
        let new = NewStore { id: store, name: &name, currency: euro(), shelf_prices };
        master_data::upsert_store(tx, &new).map_err(refused)?;
        for class in 1..=2 {
            let rate_ppm = 90_000 * class;
            let new = NewTaxRate { store, class, valid_from: Moment(0), rate_ppm };
            master_data::upsert_tax_rate(tx, &new).map_err(refused)?;
        }
    }
    for sku in 1..=SKUS {
        let name = format!("Goods {sku}");
        let product = NewProduct { id: sku, name: &name, department: None };
        master_data::upsert_product(tx, &product).map_err(refused)?;
        let variant = NewVariant {
            sku,
            product: sku,
            size: None,
            colour: None,
            tax_class: 1 + sku % 2,
            favourite: None,
        };
        master_data::upsert_variant(tx, &variant).map_err(refused)?;
        set_price(tx, sku, 0, Moment(0), Money(first_price(sku)))?;
    }
    Ok(())
}

fn set_price(
    tx: &Transaction<'_>,
    sku: i64,
    store: i64,
    valid_from: Moment,
    unit: Money,
) -> Result<(), DeedError> {
    let new = NewPrice { sku, store, currency: euro(), valid_from, unit };
    master_data::upsert_price(tx, &new).map(|_| ()).map_err(refused)
}

fn people(tx: &Transaction<'_>, store: i64) -> Result<(), DeedError> {
    let all = Rights::NAMED.iter().fold(Rights::default(), |all, right| all.and(right.1));
    for id in 1..=PEOPLE {
        let (name, badge) = (format!("Clerk {id}"), format!("badge {store} {id}"));
        let new =
            NewEmployee { store, id, name: &name, badge: &badge, pin_hash: NO_PIN, rights: all };
        staff::upsert(tx, &new).map_err(refused)?;
    }
    Ok(())
}

fn move_stock(
    tx: &Transaction<'_>,
    store: i64,
    (sku, quantity): (i64, i64),
    reason: Reason,
    at: Moment,
) -> Result<(), DeedError> {
    let employee = (reason != Reason::Opening).then_some(1);
    let movement = Movement { store, sku, quantity, reason, at, employee, note: None };
    stock::move_stock(tx, &movement).map(|_| ()).map_err(refused)
}

fn sell(
    tx: &Transaction<'_>,
    store: i64,
    at: Moment,
    lines: &[(i64, i64, u32)],
    (off, split): (i64, bool),
) -> Result<(), DeedError> {
    let lines: Vec<BasketLine> = lines
        .iter()
        .map(|(sku, quantity, basis_points)| BasketLine {
            sku: *sku,
            quantity: *quantity,
            discount: match basis_points {
                0 => Discount::None,
                _ => Discount::Percent { basis_points: *basis_points },
            },
            open_price: None,
        })
        .collect();
    let discount = if off == 0 { Discount::None } else { Discount::Amount(Money(off)) };
    let rung_up = RungUp { lines: &lines, customer: None, discount };
    let quote = basket::quote(tx, store, rung_up, at).map_err(refused)?;
    let by_card = if split { quote.total.0 / 3 } else { 0 };
    let cash = Tender { kind: TenderKind::Cash, given: Money(quote.total.0 - by_card) };
    let card = Tender { kind: TenderKind::Card, given: Money(by_card) };
    let tenders = [card, cash].into_iter().filter(|tender| tender.given > Money::ZERO).collect();
    let cashier = 1 + at.0.rem_euclid(PEOPLE);
    let shown = Some(quote.total);
    let sale = Sale { store, cashier, at, lines, tenders, customer: None, discount, shown };
    sales::record(tx, &sale).map(|_| ()).map_err(refused)
}

fn take_back(
    tx: &Transaction<'_>,
    store: i64,
    at: Moment,
    ago: i64,
    whole: bool,
) -> Result<(), DeedError> {
    let receipt: Option<i64> = tx
        .prepare_cached("SELECT id FROM receipt WHERE store = ?1 AND kind = 1 ORDER BY id DESC LIMIT 1 OFFSET ?2")?
        .query_row((store, ago), |row| row.get(0))
        .optional()?;
    let receipt = receipt.ok_or(DeedError::GivenUp)?;
    let mut lines: Vec<LineBack> = returns::still_out(tx, receipt).map_err(refused)?;
    if !whole {
        lines.truncate(1);
    }
    if lines.is_empty() {
        return Err(DeedError::GivenUp);
    }
    let goods = Goods::OfReceipt { receipt, lines };
    let due = -returns::quote(tx, store, &goods, at).map_err(refused)?.total.0;
    let cash = Tender { kind: TenderKind::Cash, given: Money(due) };
    let refunds = [cash].into_iter().filter(|tender| tender.given > Money::ZERO).collect();
    let back = Return { store, cashier: 1, at, goods, refunds, customer: None };
    returns::take_back(tx, &back).map(|_| ()).map_err(refused)
}
