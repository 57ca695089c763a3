//! The shop's own deeds in the simulator's world
//!
//! The trade is the real one: its tables, its rules, its refusals. Only what goes wrong around it is simulated. Between
//! deeds nothing is looked up on a screen: a deed takes what it needs from the database of its device, as the screens do.

use crate::shop_deeds::{Deed, FACTS, row_of};
use rusqlite::Connection;
use selvedge_domain::migrations;
use selvedge_simulator::crew::{self, Share};
use selvedge_simulator::dice::Dice;
use selvedge_simulator::scheme::Order;
use selvedge_simulator::shadow::{Sums, row_sum};
use selvedge_simulator::trade::{Act, Broken, Trade, Untruth};
use selvedge_simulator::verdict::Violation;
use selvedge_simulator::world::{self, Report};
use selvedge_sync::identity::Identity;
use selvedge_sync::open::Migration;
use selvedge_sync::origin::{Origin, Role};
use std::rc::Rc;

/// The trade of the shop.
#[derive(Debug, Clone, Copy)]
pub struct Shop;

/// Tables whose rows the deeds report, in the order of their names in `SHARED`.
const FOLLOWED: [&str; 8] = [
    "price",
    "receipt",
    "receipt_line",
    "tender",
    "stock_movement",
    "exception",
    "grand_total",
    "store_discount",
];

/// What HQ and a device of a store agree on beside the followed tables: the catalogue, the store's people and its stock.
const SHARED: [(&str, &str); 7] = [
    ("store", "SELECT id, name, currency, tax_included FROM store WHERE ?1 > 0"),
    ("product", "SELECT id, name, department FROM product WHERE ?1 > 0"),
    ("variant", "SELECT sku, product, tax_class FROM variant WHERE ?1 > 0"),
    ("tax_rate", "SELECT store, class, valid_from, rate_ppm FROM tax_rate WHERE ?1 > 0"),
    ("employee", "SELECT id, name, rights FROM employee WHERE store = ?1"),
    ("price", "SELECT sku, currency, store, valid_from, unit_minor FROM price WHERE ?1 > 0"),
    ("stock_balance", "SELECT sku, on_hand FROM stock_balance WHERE store = ?1"),
];

impl Trade for Shop {
    fn program(&self) -> &'static str {
        "lab simulate"
    }

    fn migrations(&self) -> Vec<Migration> {
        migrations::ALL.iter().map(|(name, sql)| Migration { name, sql }).collect()
    }

    fn openings(&self, stores: u32) -> Vec<Box<dyn Act>> {
        let mut acts: Vec<Box<dyn Act>> = vec![Box::new(Deed::Catalogue { stores })];
        for store in 1..=stores {
            acts.push(Box::new(Deed::Staff { store }));
            acts.push(Box::new(Deed::OpeningStock { store }));
        }
        acts
    }

    fn next(&self, who: &Identity, stores: u32, dice: &mut Dice) -> Box<dyn Act> {
        Box::new(match who.role {
            Role::Pos => Deed::of_pos(dice),
            Role::BackOffice => Deed::of_back_office(dice),
            Role::Hq => Deed::of_hq(stores, dice),
        })
    }

    fn untruth(&self, what: Untruth, amount: i64) -> String {
        match what {
            Untruth::OfHq => format!(
                "INSERT OR REPLACE INTO price (sku, currency, store, valid_from, unit_minor)
                 VALUES (1, 'EUR', 0, {amount}, 1)"
            ),
            Untruth::OfStore(store) => format!(
                "INSERT INTO stock_movement (id, store, sku, quantity, reason, at)
                 VALUES (row_id(), {store}, 1, {amount}, 'correction', 0)"
            ),
        }
    }

    fn followed(&self) -> &'static [&'static str] {
        &FOLLOWED
    }

    fn sums(&self, db: &Connection, store: u32) -> rusqlite::Result<Sums> {
        let mut sums = Sums::new();
        let shared = SHARED.iter().map(|(table, sql)| (*table, (*sql).to_owned()));
        let facts = FACTS.iter().map(|fact| (fact.table, fact.of_store()));
        for (table, sql) in shared.chain(facts) {
            let mut select = db.prepare_cached(&sql)?;
            let columns = select.column_count();
            let (mut rows, mut sum) = (select.query([store])?, 0_u128);
            while let Some(row) = rows.next()? {
                sum = sum.wrapping_add(row_sum(row_of(row, columns)?.iter().map(Into::into)));
            }
            sums.insert(table, sum);
        }
        Ok(sums)
    }

    fn check(&self, db: &Connection, _: Origin) -> Result<(), Broken> {
        for (invariant, rule, sql) in RULES {
            let count = db.prepare_cached(sql).and_then(|mut ask| ask.query_row([], |r| r.get(0)));
            let count: i64 = count
                .map_err(|cause| (invariant, format!("the database does not answer: {cause}")))?;
            if count > 0 {
                return Err((invariant, format!("{count} times: {rule}")));
            }
        }
        Ok(())
    }
}

/// What must hold on every replica at every moment: its number, what would break it, and how often that is found.
const RULES: [(&str, &str, &str); 8] = [
    (
        "I2",
        "the receipts of a device are not numbered 1 to n",
        "SELECT count(*) FROM (SELECT count(*) AS c, max(no) AS m, count(DISTINCT no) AS d
         FROM receipt GROUP BY id >> 40) WHERE c <> m OR c <> d",
    ),
    (
        "I6",
        "a receipt does not come to its lines and its tax",
        "SELECT count(*) FROM receipt r JOIN store s ON s.id = r.store
         WHERE r.total_minor <> (SELECT coalesce(sum(quantity * unit_minor - coalesce(discount_minor, 0)), -1)
                                 FROM receipt_line WHERE receipt = r.id)
                                + iif(s.tax_included, 0, r.tax_minor)",
    ),
    (
        "I6",
        "the tenders of a receipt do not pay it",
        "SELECT count(*) FROM receipt r WHERE r.total_minor <>
         (SELECT coalesce(sum(amount_minor), 0) FROM tender WHERE receipt = r.id)",
    ),
    (
        "I6",
        "a running total is not the sum of its receipts",
        "SELECT count(*) FROM grand_total g WHERE
         (g.sales_minor, g.returns_minor, g.tax_minor) IS NOT
         (SELECT coalesce(sum(total_minor) FILTER (WHERE kind = 1), 0),
                 coalesce(sum(total_minor) FILTER (WHERE kind = 2), 0), coalesce(sum(tax_minor), 0)
          FROM receipt r WHERE r.id >> 40 = g.id >> 40 AND r.no <= g.last_no)",
    ),
    (
        "I7",
        "a stock is not the sum of what moved it",
        "SELECT count(*) FROM (
            SELECT store, sku, sum(quantity) FROM (
                SELECT store, sku, quantity FROM stock_movement
                UNION ALL
                SELECT r.store, l.sku, -l.quantity FROM receipt_line l JOIN receipt r ON r.id = l.receipt
            ) GROUP BY store, sku
            EXCEPT SELECT store, sku, on_hand FROM stock_balance)",
    ),
    (
        "I7",
        "a store opened with one of its goods twice",
        "SELECT count(*) FROM (SELECT 1 FROM stock_movement WHERE reason = 'opening'
         GROUP BY store, sku HAVING count(*) > 1)",
    ),
    (
        "I10",
        "a row was applied that its writer had no right to write",
        "SELECT (SELECT count(*) FROM price WHERE valid_from < 0)
              + (SELECT count(*) FROM stock_movement WHERE quantity < -1000)",
    ),
    (
        "I13",
        "a line or a tender stands there without its receipt",
        "SELECT (SELECT count(*) FROM receipt_line WHERE receipt NOT IN (SELECT id FROM receipt))
              + (SELECT count(*) FROM tender WHERE receipt NOT IN (SELECT id FROM receipt))",
    ),
];

/// Runs one seed of the shop.
pub fn run(seed: u64, order: &Order) -> Result<Report, Box<Violation>> {
    world::run_trade(seed, order, Rc::new(Shop))
}

/// Runs many seeds in processes of this program, prints what broke and what was counted, and says whether all held.
pub fn run_many(share: Share, order: &Order) -> Result<bool, String> {
    let options = std::iter::once("simulate".to_owned());
    let options: Vec<String> =
        options.chain(order.options().split_whitespace().map(str::to_owned)).collect();
    let heard = crew::share_out(share, &options)?;
    for (text, _) in heard.broken.values() {
        println!("{text}\n");
    }
    println!("{}\n{}", heard.figures, heard.coverage);
    println!("{} of {} seeds broke an invariant", heard.broken.len(), share.seeds);
    println!("{}", heard.digest());
    Ok(heard.broken.is_empty() && heard.digests.len() as u64 == share.seeds)
}

/// Runs every so many-th seed for another process of this program.
pub fn work(share: Share, step: u64, order: &Order) {
    crew::work(share, step, order, false, run);
}

/// Replays one seed, and says whether all held.
pub fn replay(seed: u64, order: &Order) -> bool {
    match run(seed, order) {
        Ok(report) => {
            println!("seed {seed}: {}\n{}", report.figures, crew::hex(&report.digest));
            true
        }
        Err(violation) => {
            println!("{violation}");
            false
        }
    }
}
