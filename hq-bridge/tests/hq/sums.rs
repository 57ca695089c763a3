//! Sums that are kept as receipts come in

use hq_bridge::sums::{self, Sum};
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
    db.execute_batch("DELETE FROM sync_migration WHERE name = 'hq_0001_reading'").unwrap();
    drop(db);
    let reader = desk.database().reader().unwrap();
    assert_eq!(sums::ever(&reader).unwrap(), before);
}
