//! A toy trade with its own tables, one per merge rule
//!
//! It is shaped like the real one and uses none of its types: sales with lines are facts, on hand is a counter derived
//! by triggers, prices belong to HQ alone, clerks belong to HQ but live in the stream of a store. Honest deeds never
//! write a negative amount; whoever lies writes nothing else. So one question finds every lie that was believed.

use crate::dice::Dice;
use crate::shadow::{Effect, Sums, row_sum};
use crate::sidelines;
use crate::tags::{self, Relabel};
use crate::trade::{Act, Broken, DeedError, Trade, Untruth};
use crate::upgrades::{SCHEMAS, TONES};
use crate::{tag_verdict, upgrade_verdict, verdict};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Transaction};
use selvedge_sync::hlc::Millis;
use selvedge_sync::identity::Identity;
use selvedge_sync::open::Migration;
use selvedge_sync::origin::{Origin, Role};

/// Different wares of the trade. Few, so that devices meet on the same rows.
const WARES: i64 = 12;

/// The schema, as a migration.
pub const SCHEMA: Migration = Migration { name: "0001_toy_trade", sql: SQL };

const SQL: &str = "
CREATE TABLE sale (
    id    INTEGER PRIMARY KEY CHECK (id >> 40 > 0),
    no    INTEGER NOT NULL,
    store INTEGER NOT NULL,
    total INTEGER NOT NULL
) STRICT;
INSERT INTO replicated (table_id, name, rule) VALUES (1, 'sale', 'fact');
CREATE TABLE sale_line (
    sale     INTEGER NOT NULL REFERENCES sale (id),
    no       INTEGER NOT NULL,
    ware     INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    amount   INTEGER NOT NULL,
    PRIMARY KEY (sale, no)
) STRICT, WITHOUT ROWID;
INSERT INTO replicated (table_id, name, rule) VALUES (2, 'sale_line', 'fact');
CREATE TABLE price (
    ware   INTEGER PRIMARY KEY,
    amount INTEGER NOT NULL,
    label  TEXT
) STRICT;
INSERT INTO replicated (table_id, name, rule) VALUES (3, 'price', 'owner');
CREATE TABLE movement (
    id       INTEGER PRIMARY KEY CHECK (id >> 40 > 0),
    store    INTEGER NOT NULL,
    ware     INTEGER NOT NULL,
    quantity INTEGER NOT NULL
) STRICT;
INSERT INTO replicated (table_id, name, rule, stream) VALUES (4, 'movement', 'fact', 'by:store');
CREATE TABLE clerk (
    no    INTEGER PRIMARY KEY,
    store INTEGER NOT NULL,
    name  TEXT NOT NULL
) STRICT;
INSERT INTO replicated (table_id, name, rule, stream) VALUES (5, 'clerk', 'owner', 'by:store');
INSERT INTO replicated_column (table_id, name, kind) VALUES
    (1, 'id', 'id'), (2, 'sale', 'id'), (4, 'id', 'id');
CREATE TABLE on_hand (
    store    INTEGER NOT NULL,
    ware     INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    PRIMARY KEY (store, ware)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER movement_adds_up AFTER INSERT ON movement BEGIN
    INSERT INTO on_hand VALUES (new.store, new.ware, new.quantity)
    ON CONFLICT (store, ware) DO UPDATE SET quantity = quantity + excluded.quantity;
END;
CREATE TRIGGER sale_line_takes_off AFTER INSERT ON sale_line BEGIN
    INSERT INTO on_hand
    SELECT store, new.ware, -new.quantity FROM sale WHERE id = new.sale
    ON CONFLICT (store, ware) DO UPDATE SET quantity = quantity + excluded.quantity;
END;
CREATE TABLE scribble (no INTEGER PRIMARY KEY, words TEXT) STRICT;
";

/// One business act, rolled before it runs: what it does must not depend on how often it is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// A sale of these wares and quantities.
    Sell(Vec<(i64, i64)>),
    /// A sale of which one line is taken back by a savepoint before the end.
    SellWithSecondThoughts(Vec<(i64, i64)>),
    /// A sale that is given up at the end.
    GiveUp,
    /// Goods come in, or are counted away.
    Move {
        /// Whose goods.
        store: u32,
        /// Which.
        ware: i64,
        /// How many.
        quantity: i64,
    },
    /// Prices are set; no amount takes the ware off the list.
    Price(Vec<(i64, Option<i64>)>),
    /// A clerk is named anew.
    Hire {
        /// Where.
        store: u32,
        /// The clerk's number.
        no: i64,
        /// The new name, as a number.
        name: i64,
    },
    /// Columns of a thing's tag are written.
    Relabel(Relabel),
    /// A parcel of so many grams, where the schema knows parcels.
    Parcel(i64),
    /// A write that concerns nobody else.
    Scribble,
    /// A write to a table of HQ, for which a store has no right.
    Trespass,
}

impl Deed {
    /// What a device of this role does next.
    pub fn roll(role: Role, store: u32, stores: u32, dice: &mut Dice) -> Deed {
        match (role, dice.below(20)) {
            (_, 0) => Deed::Scribble,
            (Role::Hq, 1..=12) => Deed::Price(prices(dice)),
            (Role::Hq, 13..=15) => {
                let store = dice.between(1, i64::from(stores)) as u32;
                Deed::Hire {
                    store,
                    no: i64::from(store) * 100 + dice.between(1, 5),
                    name: dice.between(1, 1_000),
                }
            }
            (Role::Hq, 16) => {
                Deed::Relabel(Relabel::roll(dice.between(1, i64::from(stores)) as u32, dice))
            }
            (Role::Hq, _) => movement(dice.between(1, i64::from(stores)) as u32, dice),
            (_, 1) => Deed::Trespass,
            (Role::BackOffice | Role::Pos, 17..=18) => Deed::Relabel(Relabel::roll(store, dice)),
            (Role::BackOffice, 2) => Deed::Parcel(dice.between(1, 9_999)),
            (Role::BackOffice, _) => movement(store, dice),
            (Role::Pos, 2) => Deed::GiveUp,
            (Role::Pos, 3..=4) => Deed::SellWithSecondThoughts(basket(dice)),
            (Role::Pos, _) => Deed::Sell(basket(dice)),
        }
    }

    /// Writes it, and says which rows it left.
    pub fn run(&self, tx: &Transaction<'_>, store: u32) -> Result<Effect, DeedError> {
        let mut effect = Effect::default();
        match self {
            Deed::Sell(lines) => sell(tx, store, lines, &mut effect)?,
            Deed::SellWithSecondThoughts(lines) => {
                sell_with_second_thoughts(tx, store, lines, &mut effect)?;
            }
            Deed::GiveUp => {
                sell(tx, store, &[(1, 1)], &mut effect)?;
                return Err(DeedError::GivenUp);
            }
            Deed::Move { store, ware, quantity } => {
                let id: i64 = tx
                    .prepare_cached("INSERT INTO movement (id, store, ware, quantity) VALUES (row_id(), ?1, ?2, ?3) RETURNING id")?
                    .query_row((store, ware, quantity), |row| row.get(0))?;
                effect.fact("movement", *store, &numbers([id, *ware, *quantity]));
            }
            Deed::Price(prices) => set_prices(tx, prices, &mut effect)?,
            Deed::Hire { store, no, name } => {
                let name = format!("clerk {name}");
                tx.prepare_cached(
                    "INSERT INTO clerk (no, store, name) VALUES (?1, ?2, ?3)
                     ON CONFLICT (no) DO UPDATE SET name = excluded.name",
                )?
                .execute((no, store, &name))?;
                let row = [Value::Integer(*no), Value::Text(name)];
                effect.owned("clerk", *store, *no, Some(&row));
            }
            Deed::Relabel(relabel) => relabel.run(tx)?,
            Deed::Parcel(grams) if tags::version(tx)? >= 2 => {
                let sql = "INSERT INTO parcel (id, store, grams) VALUES (row_id(), ?1, ?2)";
                tx.prepare_cached(sql)?.execute((store, grams))?;
            }
            Deed::Parcel(_) => {}
            Deed::Scribble => {
                tx.execute("INSERT INTO scribble (words) VALUES ('milk')", [])?;
            }
            Deed::Trespass => {
                tx.execute("INSERT OR REPLACE INTO price (ware, amount) VALUES (1, -1)", [])?;
            }
        }
        Ok(effect)
    }
}

fn numbers<const N: usize>(values: [i64; N]) -> [Value; N] {
    values.map(Value::Integer)
}

fn basket(dice: &mut Dice) -> Vec<(i64, i64)> {
    (0..dice.between(1, 4)).map(|_| (dice.between(1, WARES), dice.between(1, 3))).collect()
}

fn movement(store: u32, dice: &mut Dice) -> Deed {
    Deed::Move { store, ware: dice.between(1, WARES), quantity: dice.between(-5, 40) }
}

fn prices(dice: &mut Dice) -> Vec<(i64, Option<i64>)> {
    let amount = |dice: &mut Dice| (!dice.chance(100)).then(|| dice.between(50, 9_999));
    (0..dice.between(1, 5)).map(|_| (dice.between(1, WARES), amount(dice))).collect()
}

fn sell(
    tx: &Transaction<'_>,
    store: u32,
    lines: &[(i64, i64)],
    effect: &mut Effect,
) -> rusqlite::Result<()> {
    let no: i64 = tx
        .prepare_cached("SELECT ifnull(max(no), 0) + 1 FROM sale WHERE id >= own_ids() AND id < own_ids() + (1 << 40)")?
        .query_row([], |row| row.get(0))?;
    let mut priced = Vec::new();
    for (ware, quantity) in lines {
        priced.push((ware, quantity, price_of(tx, *ware)? * quantity));
    }
    let total: i64 = priced.iter().map(|line| line.2).sum();
    let sale: i64 = if tags::version(tx)? < 2 {
        let sql =
            "INSERT INTO sale (id, no, store, total) VALUES (row_id(), ?1, ?2, ?3) RETURNING id";
        tx.prepare_cached(sql)?.query_row((no, store, total), |row| row.get(0))?
    } else {
        let sql = "INSERT INTO sale (id, no, store, total, tone) VALUES (row_id(), ?1, ?2, ?3, ?4) RETURNING id";
        tx.prepare_cached(sql)?.query_row((no, store, total, no % TONES), |row| row.get(0))?
    };
    effect.fact("sale", store, &numbers([sale, no, total]));
    for ((ware, quantity, amount), no) in priced.into_iter().zip(1..) {
        tx.prepare_cached(
            "INSERT INTO sale_line (sale, no, ware, quantity, amount) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((sale, no, ware, quantity, amount))?;
        effect.fact("sale_line", store, &numbers([sale, no, *ware, *quantity, amount]));
    }
    Ok(())
}

fn price_of(tx: &Transaction<'_>, ware: i64) -> rusqlite::Result<i64> {
    tx.prepare_cached("SELECT amount FROM price WHERE ware = ?1")?
        .query_row([ware], |row| row.get(0))
        .optional()
        .map(|amount| amount.unwrap_or(100))
}

/// Lines that a savepoint takes back, and a statement that fails half-way, must leave no trace in the entry.
fn sell_with_second_thoughts(
    tx: &Transaction<'_>,
    store: u32,
    lines: &[(i64, i64)],
    effect: &mut Effect,
) -> rusqlite::Result<()> {
    tx.execute_batch("SAVEPOINT thoughts")?;
    sell(tx, store, &[(1, 1), (2, 2)], &mut Effect::default())?;
    tx.execute_batch("ROLLBACK TO thoughts; RELEASE thoughts")?;
    sell(tx, store, lines, effect)
}

fn set_prices(
    tx: &Transaction<'_>,
    prices: &[(i64, Option<i64>)],
    effect: &mut Effect,
) -> rusqlite::Result<()> {
    for (ware, amount) in prices {
        match amount {
            None => {
                tx.prepare_cached("DELETE FROM price WHERE ware = ?1")?.execute([ware])?;
                effect.owned("price", 0, *ware, None);
            }
            // Every third ware has a label, so that rows come with and without a NULL.
            Some(amount) => {
                tx.prepare_cached(
                    "INSERT INTO price (ware, amount, label) VALUES (?1, ?2, iif(?1 % 3 = 0, 'ware ' || ?1, NULL))
                     ON CONFLICT (ware) DO UPDATE SET amount = excluded.amount",
                )?
                .execute((ware, amount))?;
                if tags::version(tx)? >= 2 {
                    let sql = "UPDATE price SET unit = iif(?2 % 2, 'kg', NULL) WHERE ware = ?1";
                    tx.prepare_cached(sql)?.execute((ware, amount))?;
                }
                let label = (ware % 3 == 0).then(|| Value::Text(format!("ware {ware}")));
                let label = label.unwrap_or(Value::Null);
                let row = [Value::Integer(*ware), Value::Integer(*amount), label];
                effect.owned("price", 0, *ware, Some(&row));
            }
        }
    }
    Ok(())
}

/// Tables that the model beside the databases follows row by row.
pub const FOLLOWED: [&str; 5] = ["price", "sale", "sale_line", "movement", "clerk"];

/// What a device of a store must agree on with HQ: the price list, and all that is the store's. A table a query; the
/// store is its only parameter.
const SHARED: [(&str, &str); 6] = [
    ("price", "SELECT ware, amount, label FROM price WHERE ?1 > 0"),
    ("sale", "SELECT id, no, total FROM sale WHERE store = ?1"),
    (
        "sale_line",
        "SELECT l.sale, l.no, l.ware, l.quantity, l.amount FROM sale s
         JOIN sale_line l ON l.sale = s.id WHERE s.store = ?1",
    ),
    ("movement", "SELECT id, ware, quantity FROM movement WHERE store = ?1"),
    ("clerk", "SELECT no, name FROM clerk WHERE store = ?1"),
    ("on_hand", "SELECT ware, quantity FROM on_hand WHERE store = ?1"),
];

/// The sum of the rows of each shared table, as a reader in this store sees them.
pub fn sums(db: &Connection, store: u32) -> rusqlite::Result<Sums> {
    let mut sums = Sums::new();
    for (table, sql) in SHARED {
        let mut sum = 0_u128;
        let mut select = db.prepare_cached(sql)?;
        let columns = select.column_count();
        let mut rows = select.query([store])?;
        while let Some(row) = rows.next()? {
            let values = (0..columns).map(|column| row.get_ref(column));
            let values: Vec<_> = values.collect::<rusqlite::Result<_>>()?;
            sum = sum.wrapping_add(row_sum(values));
        }
        sums.insert(table, sum);
    }
    Ok(sums)
}

/// The toy trade.
#[derive(Debug, Clone, Copy)]
pub struct Toy;

impl Act for Deed {
    fn run(&self, tx: &Transaction<'_>, who: &Identity, _: Millis) -> Result<Effect, DeedError> {
        Deed::run(self, tx, who.store)
    }

    fn is_forbidden(&self) -> bool {
        *self == Deed::Trespass
    }

    fn checkouts(&self) -> u64 {
        u64::from(matches!(self, Deed::Sell(_) | Deed::SellWithSecondThoughts(_)))
    }
}

impl Trade for Toy {
    fn program(&self) -> &'static str {
        "cargo run --release -p selvedge-simulator --"
    }

    fn migrations(&self) -> Vec<Migration> {
        [SCHEMA, sidelines::SCHEMA].into_iter().chain(SCHEMAS).collect()
    }

    fn steps(&self) -> Vec<usize> {
        (3..=2 + SCHEMAS.len()).collect()
    }

    fn has_sidelines(&self) -> bool {
        true
    }

    fn openings(&self, _: u32) -> Vec<Box<dyn Act>> {
        Vec::new()
    }

    fn next(&self, who: &Identity, stores: u32, dice: &mut Dice) -> Box<dyn Act> {
        Box::new(Deed::roll(who.role, who.store, stores, dice))
    }

    fn untruth(&self, what: Untruth, amount: i64) -> String {
        match what {
            Untruth::OfHq => {
                format!("INSERT OR REPLACE INTO price (ware, amount) VALUES (1, {amount})")
            }
            Untruth::OfStore(store) => format!(
                "INSERT INTO movement (id, store, ware, quantity) VALUES (row_id(), {store}, 1, {amount})"
            ),
        }
    }

    fn followed(&self) -> &'static [&'static str] {
        &FOLLOWED
    }

    fn sums(&self, db: &Connection, store: u32) -> rusqlite::Result<Sums> {
        sums(db, store)
    }

    fn check(&self, db: &Connection, hq: Origin) -> Result<(), Broken> {
        verdict::check_i02_numbers(db).map_err(|what| ("I2", what))?;
        verdict::check_i07(db).map_err(|what| ("I7", what))?;
        verdict::check_i10(db).map_err(|what| ("I10", what))?;
        verdict::check_i13(db, hq).map_err(|what| ("I13", what))?;
        tag_verdict::check(db).map_err(|what| ("I13", what))?;
        upgrade_verdict::check_i18_tones(db).map_err(|what| ("I18", what))
    }

    fn check_agreed(&self, device: &Connection, hq: &Connection, store: u32) -> Result<(), Broken> {
        upgrade_verdict::check_i18(device, hq, store).map_err(|what| ("I18", what))
    }
}
