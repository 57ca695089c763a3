//! A device that may not write for now

use appliance::database::FILE_NAME;
use selvedge_sync::hlc::Millis;
use selvedge_sync::open;
use selvedge_sync::rebuild::Salvage;
use selvedge_sync::rebuilt;

use crate::counter::Store;

/// What the engine writes down when others know more of a device than it does.
fn is_set_back(store: &Store) {
    let db = open::by_hand(&store.data().join(FILE_NAME)).unwrap();
    let sql =
        "INSERT OR REPLACE INTO sync_meta (name, value) VALUES ('writer', 'stale'), ('ticket', 7)";
    db.execute(sql, []).unwrap();
}

#[test]
fn a_device_that_was_set_back_takes_no_money_and_says_why() {
    let store = Store::new();
    is_set_back(&store);
    let counter = store.start();
    counter.sign_on("9520001", "1111");
    counter.scan("1001");
    let paid = counter.pay("cash", "100");
    assert_eq!(paid.status, 422, "{}", paid.page);
    let why = "Set back to old data";
    assert!(paid.page.contains("No money is taken."), "{}", paid.page);
    assert!(paid.page.contains(why) && paid.page.contains("The basket is kept"), "{}", paid.page);
    assert!(counter.get("/checkout").page.contains(why), "the screen says it all the time");
    assert!(counter.get("/status.txt").page.contains(&format!("may write: {why}")));
    assert!(counter.receipts().is_empty());
}

#[test]
fn the_screen_says_for_a_day_that_the_database_was_built_anew() {
    let store = Store::new();
    let now = appliance::clock::wall_ms();
    let path = store.data().join(FILE_NAME);
    for (hours, is_said) in [(23, true), (25, false)] {
        let at = Millis(now - hours * 3_600_000);
        rebuilt::keep(&path, at, &Salvage::default()).unwrap();
        let counter = store.start();
        let page = counter.get("/signon").page;
        assert_eq!(page.contains("was damaged and is restored"), is_said, "{page}");
        assert!(counter.get("/status.txt").page.contains("database built anew at"));
    }
}
