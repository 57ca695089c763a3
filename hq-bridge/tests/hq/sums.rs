//! Sums that are kept as receipts come in

use hq_bridge::derived;
use hq_bridge::sums::{self, Sum};
use rusqlite::Connection;
use selvedge_domain::grand_totals;
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;

use crate::desk::{Desk, talk};
use crate::served::arrive;

#[test]
fn kept_sums_are_what_the_receipts_come_to() {
    let desk = Desk::stocked();
    let mut pos = [desk.pos("s0001-p01", 1), desk.pos("s0001-p02", 2)];
    let mut hq = desk.side();
    for (pos, baskets) in pos.iter_mut().zip([3, 5]) {
        talk(&mut hq, pos);
        for _ in 0..baskets {
            pos.sell(&[1001, 1002]);
        }
        talk(&mut hq, pos);
    }
    let db = hq.replica.db();
    assert!(!derived::catch_up(db).unwrap(), "so few are one batch");
    let kept = sums::ever(db).unwrap();
    for pos in &pos {
        let origin = pos.replica.identity().origin.get();
        let (receipts, held) = grand_totals::held(db, i64::from(origin), i64::MAX).unwrap();
        let sum = kept[&origin];
        assert_eq!(
            (sum.receipts, sum.sales, sum.returns, sum.tax),
            (receipts, held.sales, held.returns, held.tax)
        );
        assert_eq!(sums::on_day(db, Moment(hq_bridge::database::now().0)).unwrap()[&origin], sum);
        assert!(sums::on_day(db, Moment(0)).unwrap().is_empty());
    }
}

#[test]
fn an_absurd_receipt_is_taken_and_the_sum_stays_at_its_end() {
    let desk = Desk::stocked();
    drop(desk.database());
    let db = selvedge_sync::open::by_hand(&desk.file()).unwrap();
    for no in 1..=3 {
        arrive(&db, 9, no, 1);
        db.execute(
            "INSERT INTO receipt (id, no, kind, cashier, at, store, total_minor, tax_minor)
             VALUES (9 << 40 | ?1, ?1, 1, 7, -86400000, 1, 9223372036854775807, 0)",
            [no + 10],
        )
        .unwrap();
    }
    derived::catch_up(&db).unwrap();
    let sum = sums::ever(&db).unwrap()[&9];
    assert_eq!((sum.receipts, sum.sales), (6, Money(i64::MAX)));
    assert_eq!(sum.and(Sum { sales: Money(1), ..Sum::default() }).sales, Money(i64::MAX));
}

#[test]
fn an_hq_from_before_adds_up_what_it_has() {
    let desk = Desk::stocked();
    drop(desk.database());
    let db = selvedge_sync::open::by_hand(&desk.file()).unwrap();
    for no in 1..=3 {
        arrive(&db, 9, no, 1);
    }
    derived::catch_up(&db).unwrap();
    let before = sums::ever(&db).unwrap();
    // The schema of before, with receipts in it.
    let own: Vec<(String, String)> = db
        .prepare("SELECT type, name FROM sqlite_schema WHERE name LIKE 'hq\\_%' ESCAPE '\\'")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for kind in ["trigger", "index", "table"] {
        for (_, name) in own.iter().filter(|(of, name)| of == kind && !name.starts_with("sqlite_"))
        {
            db.execute_batch(&format!("DROP {kind} IF EXISTS {name}")).unwrap();
        }
    }
    // Of the trade's own, what HQ derives by itself.
    db.execute_batch(&lines_take_stock()).unwrap();
    db.execute_batch("DELETE FROM sync_migration WHERE name GLOB 'hq_*'").unwrap();
    drop(db);
    let reader = desk.database().reader().unwrap();
    assert_eq!(sums::ever(&reader).unwrap(), before);
}

/// The trigger of the trade that HQ does without.
fn lines_take_stock() -> String {
    let (_, sql) =
        selvedge_domain::migrations::ALL.iter().find(|(name, _)| name.contains("sales")).unwrap();
    sql[sql.find("CREATE TRIGGER receipt_line_takes_stock").unwrap()..].to_owned()
}

/// What HQ holds of stock, and what its facts come to.
fn stock_differs(db: &Connection) -> bool {
    let sql = "SELECT EXISTS (SELECT store, sku, sum(quantity) FROM
                   (SELECT store, sku, quantity FROM stock_movement UNION ALL
                    SELECT store, sku, -quantity FROM receipt_line JOIN receipt ON id = receipt)
                 GROUP BY store, sku EXCEPT SELECT store, sku, on_hand FROM stock_balance)";
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// A receipt with a line.
fn sell(db: &Connection, origin: i64, no: i64) {
    arrive(db, origin, no, 1);
    let line = "INSERT INTO receipt_line (receipt, no, sku, quantity, unit_minor, tax_class)
                VALUES (?1 << 40 | ?2, 1, 1001 + ?2 % 2, 1, 1200, 1)";
    db.execute(line, [origin, no]).unwrap();
}

#[test]
fn a_receipt_counts_once_however_the_batches_fall_and_wherever_one_breaks_off() {
    let desk = Desk::stocked();
    drop(desk.database());
    let db = selvedge_sync::open::by_hand(&desk.file()).unwrap();
    for no in 1..=30 {
        sell(&db, 2 + no % 3, no);
        // One that was parked comes late, far behind the others of its device.
        if no == 20 {
            sell(&db, 3, 900_000);
        }
        match no % 7 {
            0 => assert!(!derived::catch_up(&db).unwrap()),
            3 => {
                let tx = db.unchecked_transaction().unwrap();
                assert!(derived::catch_up(&db).is_err(), "a transaction is open");
                tx.rollback().unwrap();
            }
            _ => {}
        }
    }
    assert!(derived::waits_since(&db).unwrap().is_some() && stock_differs(&db));
    derived::catch_up(&db).unwrap();
    assert_eq!((derived::waiting(&db).unwrap(), derived::upto(&db).unwrap()), (0, 31));
    let receipts: i64 = sums::ever(&db).unwrap().values().map(|sum| sum.receipts).sum();
    assert_eq!(receipts, 31);
    assert!(!stock_differs(&db));
}

#[test]
fn what_was_derived_of_another_database_is_derived_anew() {
    let desk = Desk::stocked();
    drop(desk.database());
    let db = selvedge_sync::open::by_hand(&desk.file()).unwrap();
    (1..=9).for_each(|no| sell(&db, 5, no));
    derived::catch_up(&db).unwrap();
    let right = sums::ever(&db).unwrap();
    // As it is made anew: rows of the old one come along, its state too, and a receipt is not there any more.
    db.execute_batch(
        "INSERT INTO hq_derived VALUES (x'00', 7);
         UPDATE hq_receipt_sum SET receipts = receipts * 2;
         UPDATE stock_balance SET on_hand = 77;
         INSERT INTO hq_receipt_arrival (receipt, store, at) SELECT receipt, store, at FROM hq_receipt_arrival;
         INSERT INTO hq_receipt_arrival (receipt, store, at) VALUES (404, 1, 0);
         DELETE FROM hq_receipt_arrival WHERE arrival = 1;",
    )
    .unwrap();
    drop(db);
    let database = desk.database();
    database.catch_up().unwrap();
    let reader = database.reader().unwrap();
    assert_eq!(sums::ever(&reader).unwrap(), right);
    assert!(!stock_differs(&reader));
    let told: i64 = reader
        .query_row(
            "SELECT count(*) FROM hq_stock_change JOIN stock_balance USING (store, sku)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(told, 2, "whoever follows the stock hears of every balance again");
}
