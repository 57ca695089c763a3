//! What the catalogue's index finds, and that it stays true

use std::path::PathBuf;

use appliance::search::{FILE_NAME, FOUND_MAX, Left, Search, Standing};
use rusqlite::Connection;
use selvedge_domain::migrations;
use selvedge_domain::moment::Moment;
use selvedge_sync::open;
use selvedge_sync::origin::Origin;

const NOW: Moment = Moment(1_790_000_000_000);
const DAY_MS: i64 = 86_400_000;
const REPLICA: &str = "replica.sqlite";

/// The tables of a replica as they are after a list has come in.
struct Catalogue {
    folder: tempfile::TempDir,
    db: Connection,
}

impl Catalogue {
    fn new() -> Catalogue {
        Catalogue::within(tempfile::tempdir().unwrap())
    }

    fn within(folder: tempfile::TempDir) -> Catalogue {
        let db = open::by_hand(&folder.path().join(REPLICA)).unwrap();
        db.execute_batch(
            "PRAGMA synchronous = OFF;
             CREATE TABLE replicated (table_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
                 rule TEXT NOT NULL, stream TEXT, writers TEXT) STRICT;
             CREATE TABLE replicated_column (table_id INTEGER, name TEXT, kind TEXT) STRICT;",
        )
        .unwrap();
        for (name, sql) in migrations::ALL {
            db.execute_batch(sql).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        Catalogue { folder, db }
    }

    /// The same device after its replica was lost.
    fn lost(self) -> Catalogue {
        let Catalogue { folder, db } = self;
        drop(db);
        std::fs::remove_file(folder.path().join(REPLICA)).unwrap();
        Catalogue::within(folder)
    }

    fn write(&self, sql: &str) {
        self.db.execute_batch(sql).unwrap();
    }

    fn product(&self, id: i64, name: &str, size: &str, colour: &str) {
        let sku = id + 500_000;
        self.db.execute("INSERT INTO product (id, name) VALUES (?1, ?2)", (id, name)).unwrap();
        self.db
            .execute(
                "INSERT INTO variant (sku, product, size, colour, tax_class) VALUES (?1, ?2, ?3, ?4, 1)",
                (sku, id, size, colour),
            )
            .unwrap();
    }

    fn sell(&self, no: i64, product: i64, pieces: i64, at: i64) {
        let receipt = (2_i64 << 40) + no;
        self.db
            .execute(
                "INSERT INTO receipt (id, no, kind, cashier, at, store, total_minor, tax_minor)
                 VALUES (?1, ?2, 1, 1, ?3, 1, 1, 0)",
                (receipt, no, at),
            )
            .unwrap();
        self.db
            .execute(
                "INSERT INTO receipt_line (receipt, no, sku, quantity, unit_minor, tax_class)
                 VALUES (?1, 1, ?2, ?3, 1, 1)",
                (receipt, product + 500_000, pieces),
            )
            .unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(FILE_NAME)
    }

    /// The search of this device, which has not looked at anything yet.
    fn beside(&self) -> Search {
        Search::beside(&self.folder.path().join(REPLICA), Origin::new(1).unwrap())
    }

    /// A search that has taken in all that is here.
    fn search(&self) -> Search {
        let search = self.beside();
        self.follow(&search);
        search
    }

    /// Lets a search take in what is new, and counts its steps.
    fn follow(&self, search: &Search) -> usize {
        let steps = std::iter::repeat_with(|| search.step(&self.db, NOW)).take(1_000);
        steps.take_while(|left| !matches!(left, Ok(Left::Nothing))).count()
    }
}

fn found(search: &Search, text: &str) -> Vec<i64> {
    search.find(text, FOUND_MAX).into_iter().map(|found| found.product).collect()
}

fn shop() -> (Catalogue, Search) {
    let catalogue = Catalogue::new();
    catalogue.product(1, "Café cup, stoneware", "", "crème");
    catalogue.product(2, "Merino crew", "M", "moss");
    catalogue.product(3, "Merino cardigan", "L", "ink");
    catalogue.product(4, "T-shirt", "42", "white");
    catalogue.product(5, "O'Neill boot", "43", "Größe");
    let search = catalogue.search();
    (catalogue, search)
}

// Proves TS-11.
#[test]
fn words_are_found_by_their_beginnings_in_any_order_and_case() {
    let (_catalogue, search) = shop();
    for text in ["merino crew", "CREW mer", "moss", "cre mos", "  merino,   crew  "] {
        assert_eq!(found(&search, text), [2], "{text}");
    }
    assert_eq!(found(&search, "merino"), [2, 3]);
    assert_eq!(found(&search, "erino"), [] as [i64; 0], "only beginnings count");
    assert_eq!(found(&search, "t-shirt"), [4]);
    assert_eq!(found(&search, "shirt 42"), [4], "a size is a word");
    assert_eq!(found(&search, "500003"), [3], "so is a SKU");
}

#[test]
fn accents_neither_help_nor_hinder() {
    let (_catalogue, search) = shop();
    for text in ["cafe", "Café", "CAFÉ", "cafe\u{301}", "caf", "creme"] {
        assert_eq!(found(&search, text), [1], "{text}");
    }
    assert_eq!(found(&search, "größe"), [5]);
    assert_eq!(found(&search, "große"), [5]);
    assert_eq!(found(&search, "o'neill"), [5]);
}

#[test]
fn every_beginning_of_a_word_finds_it() {
    let (_catalogue, search) = shop();
    let word = "stoneware";
    for letters in 1..=word.len() {
        assert!(found(&search, &word[..letters]).contains(&1), "{letters} letters");
    }
    assert_eq!(found(&search, "stonewares"), [] as [i64; 0]);
}

// Proves TS-11.
#[test]
fn whatever_a_person_types_is_words_and_never_an_error() {
    let (_catalogue, search) = shop();
    let long = "merino ".repeat(1_500);
    let hostile = [
        "\"",
        "\"\"\"",
        "merino\"",
        "merino AND",
        "OR",
        "NOT merino",
        "NEAR(merino crew)",
        "merino*",
        "*",
        "^merino",
        "words:merino",
        "word MATCH 'x'",
        "merino + crew",
        "-merino",
        "{words}: a",
        "'; DROP TABLE word; --",
        "\0",
        "\0merino\0",
        "\u{1}\u{7f}\u{202e}",
        "((((",
        "a\u{300}\u{301}",
        "\u{1F9E6}",
        "\u{d7ff}\u{e000}",
        "كتاب",
        "मेरिनो",
        "日本",
        "",
        " ",
        "\t\n",
        &long,
    ];
    for text in hostile {
        let _ = search.find(text, FOUND_MAX);
        assert_eq!(found(&search, "merino"), [2, 3], "after {text:?}");
    }
    assert_eq!(found(&search, "merino\""), [2, 3]);
    assert_eq!(found(&search, "\0merino\0crew"), [2]);
    assert_eq!(found(&search, &long), [2, 3]);
    assert_eq!(found(&search, "merino OR"), [] as [i64; 0], "an operator is a word like any");
    assert_eq!(found(&search, &"x".repeat(10_000)), [] as [i64; 0]);
}

#[test]
fn a_renamed_product_is_found_by_its_new_name_only() {
    let (catalogue, search) = shop();
    catalogue.write("UPDATE product SET name = 'Wool crew' WHERE id = 2");
    assert_eq!(found(&search, "merino crew"), [2], "until the next step the old name counts");
    catalogue.follow(&search);
    assert_eq!(found(&search, "merino"), [3]);
    assert_eq!(found(&search, "wool"), [2]);
    catalogue.write("UPDATE variant SET colour = 'rust' WHERE product = 2");
    catalogue.follow(&search);
    assert_eq!((found(&search, "moss"), found(&search, "rust")), (vec![], vec![2]));
    catalogue.write("DELETE FROM variant WHERE product = 2; DELETE FROM product WHERE id = 2");
    catalogue.follow(&search);
    assert_eq!(found(&search, "wool"), [] as [i64; 0]);
}

#[test]
fn the_keys_of_the_checkout_stand_first_then_what_sold_of_late() {
    let catalogue = Catalogue::new();
    for id in 1..=30 {
        catalogue.product(id, "Sock", "", "");
    }
    catalogue.write("UPDATE variant SET favourite = 2 WHERE product = 29");
    catalogue.write("UPDATE variant SET favourite = 1 WHERE product = 28");
    catalogue.sell(1, 27, 40, NOW.0 - 80 * DAY_MS);
    catalogue.sell(2, 26, 3, NOW.0);
    let search = catalogue.search();
    let best = found(&search, "s");
    assert_eq!(best[..5], [28, 29, 26, 27, 1], "three now go before forty of a quarter ago");
    assert_eq!(best.len(), FOUND_MAX as usize);
    assert_eq!(found(&search, "s"), best, "the same question has the same answer");
    catalogue.sell(3, 25, 2, NOW.0);
    catalogue.sell(4, 25, 2, NOW.0 + 900 * DAY_MS);
    catalogue.follow(&search);
    assert_eq!(found(&search, "sock")[..4], [28, 29, 25, 26], "no clock ahead wins for ever");
}

#[test]
fn a_current_index_is_opened_and_not_built() {
    let (catalogue, search) = shop();
    drop(search);
    let again = catalogue.beside();
    assert_eq!(found(&again, "merino"), [2, 3], "it answers before the first step");
    assert_eq!(catalogue.follow(&again), 0);
    assert_eq!(again.standing(), Standing::Current);
}

#[test]
fn an_index_that_is_torn_or_of_another_replica_is_made_anew() {
    let (mut catalogue, search) = shop();
    drop(search);
    let whole = std::fs::read(catalogue.file()).unwrap();
    let mut flipped = whole.clone();
    flipped.iter_mut().skip(4_096).for_each(|byte| *byte ^= 0x5a);
    let torn = [&whole[..whole.len() / 2], b"no database at all", b"", &flipped];
    for bytes in torn {
        for ending in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(catalogue.file().with_extension(format!("db{ending}")));
        }
        std::fs::write(catalogue.file(), bytes).unwrap();
        let search = catalogue.search();
        let _ = found(&search, "merino");
        catalogue.follow(&search);
        assert_eq!(found(&search, "merino"), [2, 3], "{} bytes", bytes.len());
    }
    catalogue = catalogue.lost();
    catalogue.product(7, "Merino scarf", "", "");
    assert_eq!(found(&catalogue.search(), "merino"), [7]);
}

#[test]
fn an_index_of_another_version_is_made_anew() {
    let (catalogue, search) = shop();
    drop(search);
    let file = open::by_hand(&catalogue.file()).unwrap();
    file.execute("UPDATE sync_migration SET name = '0000_older'", []).unwrap();
    file.execute("DELETE FROM entry", []).unwrap();
    drop(file);
    assert_eq!(found(&catalogue.search(), "merino"), [2, 3]);
}

#[test]
fn a_long_list_comes_in_steps_and_what_is_in_can_be_found_meanwhile() {
    let catalogue = Catalogue::new();
    catalogue.write(
        "WITH RECURSIVE n (id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM n WHERE id < 3000)
         INSERT INTO product (id, name) SELECT id, 'Sock ' || id FROM n;
         INSERT INTO variant (sku, product, tax_class) SELECT id, id, 1 FROM product",
    );
    let search = catalogue.beside();
    assert_eq!(search.step(&catalogue.db, NOW).unwrap(), Left::More);
    assert_eq!(found(&search, "sock").len(), FOUND_MAX as usize);
    assert!(matches!(search.standing(), Standing::Growing(_)), "{:?}", search.standing());
    catalogue.follow(&search);
    assert_eq!(found(&search, "sock 3000"), [3000]);
    assert_eq!(search.standing(), Standing::Current);
}
