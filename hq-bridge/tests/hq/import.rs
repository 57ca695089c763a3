//! Files with good and bad rows

use std::io::Read;

use expect_test::{Expect, expect};
use hq_bridge::import::rows::Summary;
use hq_bridge::import::{self, FileKind};
use selvedge_domain::customers;
use selvedge_domain::gtin::Gtin;
use selvedge_domain::staff;
use selvedge_domain::stock;

use crate::desk::{
    CATALOGUE, CUSTOMERS, Desk, EMPLOYEES, NUTRITION, PRICES, STOCK, STORES, TAXES, file_holds,
};

/// What an import says: its refusals, then its sums.
fn check(desk: &Desk, kind: FileKind, text: impl AsRef<[u8]>, expected: Expect) {
    let (summary, refused) = desk.import(kind, text.as_ref());
    let mut said: String =
        refused.iter().map(|refusal| format!("{}: {}\n", refusal.line, refusal.reason)).collect();
    said += &format!("{} taken, {} refused\n", summary.taken, summary.refused);
    expected.assert_eq(&said);
}

/// The answer to one question.
fn one<T: rusqlite::types::FromSql>(desk: &Desk, sql: &str) -> T {
    let reader = desk.database().reader().unwrap();
    reader.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn the_same_files_twice_change_nothing() {
    let desk = Desk::stocked();
    let files = [STORES, TAXES, CATALOGUE, PRICES, EMPLOYEES];
    let food = [(FileKind::Nutrition, NUTRITION), (FileKind::Customers, CUSTOMERS)];
    for (kind, text) in food {
        desk.import(kind, text.as_bytes());
    }
    let files = FileKind::ALL.into_iter().zip(files).chain(food);
    for (kind, text) in files {
        let (summary, refused) = desk.import(kind, text.as_bytes());
        assert_eq!((summary.entries, refused.len()), (0, 0), "{}", kind.as_str());
        assert!(summary.taken > 0);
    }
}

#[test]
fn stores_with_bad_rows_are_refused_row_by_row() {
    check(
        &Desk::new(),
        FileKind::Stores,
        "\u{feff}store, name ,currency,tax_included\r\n1,Harbour,GBP,yes\r\n0,Nowhere,GBP,yes\r\n2,,GBP,yes\r\n\
         3,Quay,XYZ,yes\r\n4,Quay,GBP,maybe\r\n1,Twice,GBP,yes\r\n5,\"Quay, old\",EUR,no\r\n6,Short,EUR\r\n\r\n",
        expect![[r#"
            3: store is "0", but a whole number from 1 to 8388607 is expected
            4: name is empty
            5: "XYZ" is no currency known here: use one of EUR, GBP, USD, CAD, CHF, CZK, DKK, HUF, JPY, KWD, NOK, PLN, SEK
            6: tax_included is "maybe", but "yes" or "no" is expected
            7: the same row stood on line 2 already
            9: 3 columns were found, but 4 are expected
            2 taken, 6 refused
        "#]],
    );
}

#[test]
fn taxes_with_bad_rows_are_refused_row_by_row() {
    check(
        &Desk::stocked(),
        FileKind::Taxes,
        "store,tax_class,rate,valid_from\n1,2,5,\n9,1,20,\n1,3,120,\n1,3,20,tomorrow\n1,100,20,\n1,2,7,\n1,2,7,2027-01-01\n",
        expect![[r#"
            3: there is no store 9: import the stores first
            4: rate is "120", but per cent from 0 to 100 such as 8.875 are expected
            5: valid_from is "tomorrow", but a day such as 2026-11-20 or a time such as 2026-11-20T06:00:00+01:00 is expected
            6: tax_class is "100", but a whole number from 1 to 99 is expected
            7: the same row stood on line 2 already
            2 taken, 5 refused
        "#]],
    );
}

#[test]
fn a_catalogue_with_bad_rows_is_refused_row_by_row() {
    check(
        &Desk::stocked(),
        FileKind::Catalogue,
        "sku,product,name,department,size,colour,tax_class,favourite,gtin\n\
         2001,20,Scarf,,,,1,,9520000000035 96385074\n\
         2002,20,Scarf,,,,1,,9520000000036\n\
         2001,20,Scarf,,,,1,,\n\
         2003,20,Shawl,,,,1,,\n\
         2004,21,Belt,,,,1,,9520000000028\n\
         2005,21,Belt,,,,0,,\n\
         2006,21,Belt,,,,1,first,\n\
         0,21,Belt,,,,1,,\n\
         2007,21,\"Belt,,,,1,,\n\
         2008,21,Belt,,,,1,,\n",
        expect![[r#"
            3: the check digit of 9520000000036 is wrong: it should end in 5; scan it again
            4: the same row stood on line 2 already
            5: product 20 is "Scarf" on a line above
            6: GTIN 9520000000028 already belongs to SKU 1001
            7: tax_class is "0", but a whole number from 1 to 99 is expected
            8: favourite is "first", but a whole number from 1 to 1000 is expected
            9: sku is "0", but a whole number from 1 to 9223372036854775807 is expected
            10: a quote is not closed on its line
            2 taken, 8 refused
        "#]],
    );
}

#[test]
fn prices_with_bad_rows_are_refused_row_by_row() {
    check(
        &Desk::stocked(),
        FileKind::Prices,
        "sku,store,currency,price,valid_from\n1001,0,GBP,1e308,\n1001,0,GBP,-5.00,\n1001,0,GBP,9.995,\n\
         1001,1,EUR,9.99,\n9999,0,GBP,9.99,\n1001,7,GBP,9.99,\n1001,1,GBP,9.99,2026-11-20T06:00:00+01:00\n\
         1001,1,GBP,8.99,2026-11-20T05:00:00Z\n1001,0,GBP,99999999999999999999,\n1001,0,GBP,NaN,\n",
        expect![[r#"
            2: price: "1e308" is no amount: write it like 1,234.50
            3: price is "-5.00", but a price is never negative
            4: price: "9.995" has parts smaller than GBP counts: it has 2 decimals
            5: store 1 sells in GBP, the price is in EUR
            6: there is no SKU 9999 in the catalogue: import the catalogue first
            7: there is no store 7: import the stores first
            9: the same row stood on line 8 already
            10: price: the amount is too large to be counted: check quantity and price
            11: price: "NaN" is no amount: write it like 1,234.50
            1 taken, 9 refused
        "#]],
    );
}

#[test]
fn employees_with_bad_rows_are_refused_without_their_pins() {
    let desk = Desk::stocked();
    check(
        &desk,
        FileKind::Employees,
        "store,employee,name,badge,pin,rights\n1,8,Bo,B-8,5588,sell\n1,9,Cy,B-8,9977,sell\n1,10,Di,B-10,12,sell\n\
         1,11,Ed,B-11,1357,\"sell, fly\"\n9,12,Flo,B-12,2468,sell\n1,13,Gus,,8642,sell\n1,8,Bo,B-8,5588,sell\n",
        expect![[r#"
            3: employee 8 already has this badge: give each a badge of its own
            4: a PIN has 4 to 12 digits
            5: "fly" is no right: use sell, discount, open price, return, stock or manage
            6: there is no store 9: import the stores first
            7: the badge of employee 13 is empty or longer than 64 characters
            8: the same row stood on line 2 already
            1 taken, 6 refused
        "#]],
    );
    let reader = desk.database().reader().unwrap();
    assert_eq!(staff::sign_on(&reader, 1, "B-8", "5588").unwrap().name, "Bo");
    assert!(staff::sign_on(&reader, 1, "B-8", "9977").is_err());
    for secret in ["5588", "9977", "B-8"] {
        assert!(!file_holds(&desk.file(), secret), "{secret} is in the database");
    }
}

#[test]
fn opening_stock_is_booked_once_for_each_store_and_sku() {
    let desk = Desk::stocked();
    check(
        &desk,
        FileKind::OpeningStock,
        "store,sku,quantity\n2,1001,5\n1,1001,3\n1,9999,3\n1,1002,0\n2,1002,many\n2,1001,5\n7,1001,1\n1,1001,1\n2,1002,6\n",
        expect![[r#"
            3: SKU 1001 already has an opening stock in store 1: book a correction instead
            4: there is no SKU 9999 in the catalogue
            5: 0 cannot be booked: a movement is at least 1 and at most 1,000,000,000 in or out
            6: quantity is "many", but a whole number from -1000000000 to 1000000000 is expected
            7: the same row stood on line 2 already
            8: there is no store 7
            9: the same row stood on line 3 already
            2 taken, 7 refused
        "#]],
    );
    let reader = desk.database().reader().unwrap();
    assert_eq!(stock::on_hand(&reader, 1, 1001).unwrap(), 10);
    assert_eq!(stock::on_hand(&reader, 2, 1002).unwrap(), 6);
    let again = desk.import(FileKind::OpeningStock, STOCK.as_bytes());
    assert_eq!(again.0, Summary { taken: 0, refused: 2, entries: 0 });
}

#[test]
fn nutrition_with_bad_rows_is_refused_row_by_row() {
    let desk = Desk::stocked();
    check(
        &desk,
        FileKind::Nutrition,
        "product,is_drink,nutri_score,nova_group,energy_kj,fat_g,saturates_g,sugars_g,salt_g,allergens,source\n\
         10,no,b,4,1884,12.345,3.1,25,0.075,\"milk, nuts\",Label\n\
         11,no,A,1,100,1,1,1,1,,\n\
         10,no,A,1,100,1,1,1,1,,\n\
         12,maybe,A,1,100,1,1,1,1,,\n\
         13,yes,F,1,100,1,1,1,1,,\n\
         14,yes,A,5,100,1,1,1,1,,\n\
         15,yes,A,1,10001,1,1,1,1,,\n\
         16,yes,A,1,100,1.0001,1,1,1,,\n\
         17,yes,A,1,100,1,1,100.5,1,,\n\
         18,yes,A,1,100,1,2,1,1,,\n",
        expect![[r#"
            3: there is no product 11: import the catalogue first
            4: the same row stood on line 2 already
            5: is_drink is "maybe", but "yes" or "no" is expected
            6: the Nutri-Score "F" is not one of A, B, C, D and E
            7: nova_group is "5", but a whole number from 1 to 4 is expected
            8: energy_kj is "10001", but a whole number from 0 to 10000 is expected
            9: fat_g is "1.0001", but grams from 0 to 100 such as 3.125 are expected
            10: sugars_g is "100.5", but grams from 0 to 100 such as 3.125 are expected
            11: 2000 mg of saturates are more than the 1000 mg of fat they are part of
            1 taken, 9 refused
        "#]],
    );
    let kept: String = one(
        &desk,
        "SELECT nutri_score || ' ' || energy_kj || ' ' || fat_mg || ' ' || saturates_mg || ' ' || salt_mg || ' ' || allergens FROM nutrition",
    );
    assert_eq!(kept, "B 1884 12345 3100 75 milk, nuts");
}

#[test]
fn customers_with_bad_rows_are_refused_without_their_cards() {
    let desk = Desk::stocked();
    check(
        &desk,
        FileKind::Customers,
        "customer,card,discount\n501,9900-1234 5678,7.5\n502,9900123456 78,5\n503,,5\n504,99009999,100.5\n\
         0,99008888,5\n501,99007777,5\n505,99006666,5.125\n506,99005555,0\n",
        expect![[r#"
            3: customer 501 already has the card of customer 502: give each a card of its own
            4: the card of customer 503 is empty, longer than 64 characters, or not plain text
            5: discount is "100.5", but per cent from 0 to 100 such as 7.5 are expected
            6: customer is "0", but a whole number from 1 to 9223372036854775807 is expected
            7: the same row stood on line 2 already
            8: discount is "5.125", but per cent from 0 to 100 such as 7.5 are expected
            2 taken, 6 refused
        "#]],
    );
    let found = customers::by_card(&desk.database().reader().unwrap(), "9900 12345678").unwrap();
    assert_eq!(found.map(|found| (found.id, found.discount_points)), Some((501, 750)));
    for card in ["12345678", "9900-1234", "99005555"] {
        assert!(!file_holds(&desk.file(), card), "{card} is in the database");
    }
}

#[test]
fn a_column_that_a_file_leaves_out_keeps_what_was_there() {
    let desk = Desk::stocked();
    let stale = || -> i64 { one(&desk, "SELECT stale_after_ms FROM store WHERE id = 1") };
    let note = || -> Option<String> { one(&desk, "SELECT note FROM product WHERE id = 10") };
    assert_eq!((stale(), note()), (20_000, None));
    let store = "store,name,currency,tax_included,stale_after_s\n1,Harbour,GBP,yes,";
    desk.import(FileKind::Stores, format!("{store}45\n").as_bytes());
    let noted = CATALOGUE
        .replace("gtin\n", "gtin,note\n")
        .replace("28\n", "28,Pure cotton\n")
        .replace(",,\n", ",,,Pure cotton\n");
    assert_eq!(desk.import(FileKind::Catalogue, noted.as_bytes()).1, []);
    assert_eq!((stale(), note()), (45_000, Some("Pure cotton".to_string())));
    assert_eq!(desk.import(FileKind::Catalogue, noted.as_bytes()).0.entries, 0);

    desk.import(FileKind::Stores, STORES.as_bytes());
    desk.import(FileKind::Catalogue, CATALOGUE.as_bytes());
    assert_eq!((stale(), note()), (45_000, Some("Pure cotton".to_string())));
    desk.import(FileKind::Stores, format!("{store}\n").as_bytes());
    assert_eq!(stale(), 20_000, "an empty field asks for the default");
    check(
        &desk,
        FileKind::Stores,
        format!("{store}0\n2,Mill Lane,EUR,no,1.5\n"),
        expect![[r#"
            2: stale_after_s is "0", but a whole number from 1 to 86400 is expected
            3: stale_after_s is "1.5", but a whole number from 1 to 86400 is expected
            0 taken, 2 refused
        "#]],
    );
}

#[test]
fn a_file_of_another_kind_is_refused_whole() {
    let desk = Desk::stocked();
    check(
        &desk,
        FileKind::Stores,
        TAXES,
        expect![[r#"
        1: the header is "store,tax_class,rate,valid_from", but "store,name,currency,tax_included", which may go on with "stale_after_s" is expected
        0 taken, 1 refused
    "#]],
    );
    check(
        &desk,
        FileKind::Prices,
        "sku;store;currency;price;valid_from\n1001;0;GBP;1.00;\n",
        expect![[r#"
        1: the header is "sku;store;currency;price;valid_from", but "sku,store,currency,price,valid_from" is expected
        0 taken, 1 refused
    "#]],
    );
    check(
        &desk,
        FileKind::Prices,
        "",
        expect![[r#"
        1: the file is empty, but the header "sku,store,currency,price,valid_from" is expected
        0 taken, 1 refused
    "#]],
    );
}

#[test]
fn a_line_that_is_not_utf_8_is_refused_alone() {
    check(
        &Desk::new(),
        FileKind::Stores,
        [STORES.as_bytes(), b"3,Caf\xe9,EUR,yes\n4,Caf\xc3\xa9,EUR,yes\n"].concat(),
        expect![[r#"
            4: the line is not UTF-8 from byte 6 on
            3 taken, 1 refused
        "#]],
    );
}

#[test]
fn a_huge_line_costs_one_row_and_no_memory() {
    let desk = Desk::new();
    let text = STORES
        .as_bytes()
        .chain(std::io::repeat(b'x').take(64 * 1024 * 1024))
        .chain(&b"\n3,Quay,EUR,yes\n"[..]);
    let mut refused = Vec::new();
    let mut report = |refusal| {
        refused.push(refusal);
        Ok(())
    };
    let summary = import::run(FileKind::Stores, text, &desk.database(), &mut report).unwrap();
    assert_eq!((summary.taken, summary.refused), (3, 1));
    assert_eq!(
        (refused[0].line, refused[0].reason.as_str()),
        (4, "the line is longer than 64 KiB")
    );
}

#[test]
fn many_rows_go_in_groups_of_five_hundred() {
    let desk = Desk::new();
    let mut text = "store,name,currency,tax_included\n".to_string();
    text.extend((1..=1_250).map(|store| format!("{store},Store {store},GBP,yes\n")));
    let (summary, _) = desk.import(FileKind::Stores, text.as_bytes());
    assert_eq!(summary, Summary { taken: 1_250, refused: 0, entries: 3 });
}

/// A catalogue of this many variants, four a product, each with a GTIN and a size of its own.
fn catalogue(variants: u64, size: &str) -> String {
    let mut text = "sku,product,name,department,size,colour,tax_class,favourite,gtin\n".to_string();
    for number in 1..=variants {
        let gtin = Gtin::complete(952_000_100_000 + number).unwrap();
        let (sku, product) = (10_000 + number, 100 + number / 4);
        text += &format!("{sku},{product},Thing {product},,{size} {number},,1,,{gtin}\n");
    }
    text
}

#[test]
fn a_catalogue_goes_in_with_few_entries() {
    let desk = Desk::stocked();
    let (summary, _) = desk.import(FileKind::Catalogue, catalogue(1_000, "S").as_bytes());
    assert_eq!(summary, Summary { taken: 1_000, refused: 0, entries: 2 });
}

#[test]
fn a_group_that_is_too_much_for_one_entry_goes_in_parts() {
    let desk = Desk::stocked();
    let (summary, _) =
        desk.import(FileKind::Catalogue, catalogue(500, &"long ".repeat(22)).as_bytes());
    assert_eq!((summary.taken, summary.refused), (500, 0));
    assert!(summary.entries > 1, "500 long rows are more than the 64 KiB of an entry");
}
