//! The reporting interface, asked over HTTP

use expect_test::expect;
use hq_bridge::import::FileKind;
use hq_bridge::rest::openapi;
use hq_bridge::tokens::{self, Scope};
use serde_json::Value;

use crate::desk::{Desk, file_holds, talk};
use crate::served::{Served, arrive};

/// A desk whose pos has sold three baskets.
fn sold() -> Desk {
    let desk = Desk::stocked();
    let mut pos = desk.pos("s0001-p01", 1);
    let mut hq = desk.side();
    talk(&mut hq, &mut pos);
    for basket in [&[1001][..], &[1001, 1002], &[1002]] {
        pos.sell(basket);
    }
    pos.state();
    talk(&mut hq, &mut pos);
    desk
}

const LISTS: [&str; 8] = [
    "/v1/stores",
    "/v1/freshness",
    "/v1/products",
    "/v1/stock",
    "/v1/receipts",
    "/v1/devices",
    "/v1/control-totals",
    "/v1/exceptions",
];

#[test]
fn nobody_reads_without_a_token_that_allows_it() {
    let desk = Desk::stocked();
    let served = Served::new(&desk);
    let shop = tokens::add(&served.hq.database, "web-shop", Scope::Stock).unwrap();
    let bearer = |token: &str| format!("Bearer {token}");
    for path in LISTS.into_iter().chain(["/v1/receipts/1"]) {
        let none = served.ask(path, &[]);
        assert_eq!(
            (none.status, none.json()["code"].as_str()),
            (401, Some("unauthenticated")),
            "{path}"
        );
        for wrong in ["Bearer ", "Bearer guess", "Basic dGVzdDp0ZXN0", "Bearer ' OR '1'='1"] {
            assert_eq!(served.ask(path, &[("authorization", wrong)]).status, 401, "{path} {wrong}");
        }
        let open = ["/v1/stores", "/v1/freshness", "/v1/products", "/v1/stock"].contains(&path);
        let shop = served.ask(path, &[("authorization", &bearer(&shop))]);
        assert_eq!(shop.status, if open { 200 } else { 403 }, "{path}");
        assert_eq!(shop.json()["code"].as_str(), (!open).then_some("forbidden"));
    }
    tokens::revoke(&served.hq.database, &served.owner).unwrap();
    assert_eq!(served.get("/v1/stores").status, 401);
    for secret in [&served.token, &shop] {
        assert!(!file_holds(&served.file, secret), "a token is in the database");
        assert!(!file_holds(&served.file, &secret[9..]), "a token is in the database");
    }
}

#[test]
fn tokens_are_made_once_and_revoked_once() {
    let desk = Desk::stocked();
    let database = desk.database();
    let token = tokens::add(&database, "bi", Scope::Read).unwrap();
    assert!(token.starts_with("selvedge_") && token.len() > 70);
    let refused = |done: Result<String, tokens::TokenError>| done.unwrap_err().to_string();
    expect!["there is a token named bi already; revoke it, and give the new one another name"]
        .assert_eq(&refused(tokens::add(&database, "bi", Scope::Stock)));
    expect![[r#"the name "B I" is not 1 to 40 of a-z, 0-9 and "-""#]]
        .assert_eq(&refused(tokens::add(&database, "B I", Scope::Read)));
    tokens::revoke(&database, "bi").unwrap();
    expect!["there is no token named bi that is not revoked; `hq-bridge tokens list` shows all"]
        .assert_eq(&tokens::revoke(&database, "bi").unwrap_err().to_string());
    let reader = database.reader().unwrap();
    assert_eq!(tokens::scope_of(&reader, &token).unwrap(), None);
    assert!(tokens::list(&reader).unwrap()[0].revoked_at.is_some());
}

// Proves IM-25.
#[test]
fn health_and_documents_need_no_token() {
    let desk = Desk::stocked();
    let served = Served::new(&desk);
    let health = served.ask("/health", &[]);
    assert_eq!((health.status, health.json()["status"].as_str()), (200, Some("ok")));
    assert_eq!(health.json()["line"], Value::Bool(false));
    let page = served.ask("/docs", &[]);
    let described = served.ask("/v1/openapi.json", &[]).json();
    let paths: Vec<&String> = described["paths"].as_object().unwrap().keys().collect();
    for path in LISTS.into_iter().chain(["/health", "/v1/receipts/{id}"]) {
        assert!(paths.iter().any(|known| *known == path), "{path} is not described");
        assert!(page.text.contains(&format!("GET {path}<")), "{path} is not on the page");
    }
    assert_eq!(paths.len(), LISTS.len() + 2);
    assert!(!page.text.contains("http://unpkg") && !page.text.contains("//cdn"));
}

// Proves IM-25.
#[test]
fn the_description_in_the_repository_is_the_one_that_is_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let text = openapi::text().unwrap();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == text,
        "docs/openapi.json is old: UPDATE_EXPECT=1 cargo test -p hq-bridge --test hq description"
    );
}

#[test]
fn a_receipt_leaves_with_ids_as_text_and_money_as_minor_units() {
    let desk = sold();
    let served = Served::new(&desk);
    served.hear(&[("s0001-p01", 4_000)]);
    let list = served.get("/v1/receipts?include=lines&store=1").json();
    assert_eq!(list["rows"].as_array().unwrap().len(), 3);
    assert_eq!(list["stale_stores"], serde_json::json!([]));
    let mut second = list["rows"][1].clone();
    let id = second["id"].as_str().unwrap().to_string();
    assert!(id.parse::<i64>().unwrap() >> 40 > 0);
    assert_eq!(served.get(&format!("/v1/receipts/{id}")).json(), second);
    for moment in ["id", "at", "received_at"] {
        let text = second[moment].take();
        assert!(moment == "id" || text.as_str().unwrap().ends_with('Z'), "{text}");
    }
    let line = |no: i64, sku: &str, unit: i64| {
        serde_json::json!({"no": no, "sku": sku, "quantity": 1, "unit_minor": unit, "discount_minor": 0,
                           "amount_minor": unit, "tax_class": 1})
    };
    let expected = serde_json::json!({
        "id": null, "number": "T1-000002", "kind": "sale", "store": "1", "device": "s0001-p01", "cashier": "7",
        "customer": null, "of": null, "at": null, "received_at": null, "currency": "GBP", "total_minor": 5099,
        "tax_minor": 850, "lines": [line(1, "1001", 2499), line(2, "1002", 2600)],
        "tenders": [{"no": 1, "kind": "cash", "amount_minor": 5099, "given_minor": 20000}],
    });
    assert_eq!(second, expected);
    let bare = served.get("/v1/receipts?limit=1").json();
    assert!(bare["rows"][0].get("lines").is_none());
    assert_eq!(bare["more"], Value::Bool(true));
    for id in ["1", "0", "-1", "x", "9223372036854775808", "1%20OR%201=1"] {
        let missing = served.get(&format!("/v1/receipts/{id}"));
        assert_eq!(
            (missing.status, missing.json()["code"].as_str()),
            (404, Some("not_found")),
            "{id}"
        );
    }
}

// Proves IM-11.
#[test]
fn stock_tells_sold_out_from_unknown_and_says_how_old_it_is() {
    let desk = sold();
    desk.import(
        FileKind::Catalogue,
        b"sku,product,name,department,size,colour,tax_class,favourite,gtin\n1003,11,Belt,,,,1,,\n",
    );
    let served = Served::new(&desk);
    served.hear(&[("s0001-p01", 7_400)]);
    let answer = served.get("/v1/stock?sku=1001&sku=1003&sku=9999&store=1&store=2&store=77");
    let said = answer.json();
    let rows: Vec<String> = said["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            format!(
                "{} {} {} {} {} {}",
                row["sku"],
                row["store"],
                row["on_hand"],
                row["age_s"],
                row["synced"],
                row["last_updated"].is_string()
            )
        })
        .collect();
    expect![[r#"
        "1001" "1" 8 7 true true
        "1001" "2" 0 null false false
        "1003" "1" 0 7 true false
        "1003" "2" 0 null false false"#]]
    .assert_eq(&rows.join("\n"));
    assert_eq!(said["unknown_skus"], serde_json::json!(["9999"]));
    assert_eq!(said["unknown_stores"], serde_json::json!(["77"]));
    assert_eq!(said["stale_stores"], serde_json::json!(["2", "77"]));
    assert_eq!(said["as_of"], Value::Null, "of store 2 nothing was ever known");
    assert!(said["rows"][0]["last_synced"].as_str().unwrap().ends_with('Z'));

    // The last one goes, and the row stays.
    let db = served.hand();
    db.execute(
        "INSERT INTO stock_movement (id, store, sku, quantity, reason, at)
         VALUES (5 << 40 | 9, 1, 1001, -8, 'correction', 0)",
        [],
    )
    .unwrap();
    let list = served.get("/v1/stock?store=1").json();
    let row = list["rows"].as_array().unwrap().iter().find(|row| row["sku"] == "1001").unwrap();
    assert_eq!(row["on_hand"], 0);
}

// Proves IM-10.
#[test]
fn freshness_names_stale_stores_and_those_that_do_not_exist() {
    let desk = Desk::stocked();
    desk.admit("s0001-p01", 1, None).unwrap();
    let served = Served::new(&desk);
    served.hear(&[("s0001-p01", 21_000)]);
    let said = served.get("/v1/freshness?store=77&store=1").json();
    assert_eq!(said["rows"][0]["synced"], false);
    assert_eq!(said["rows"][0]["reason"], "T1 was not heard for more than 20 s");
    assert_eq!(said["rows"][0]["age_s"], 21);
    assert_eq!(
        (&said["rows"][1]["known"], &said["rows"][1]["synced"]),
        (&Value::Bool(false), &Value::Bool(false))
    );
    assert_eq!(said["stale_stores"], serde_json::json!(["1", "77"]));
    served.hear(&[("s0001-p01", 2_000)]);
    assert_eq!(served.get("/v1/freshness?store=1").json()["rows"][0]["synced"], true);
}

#[test]
fn control_totals_are_added_up_from_the_receipts_themselves() {
    let desk = sold();
    let served = Served::new(&desk);
    let first = served.get("/v1/control-totals").json();
    assert_eq!(first["rows"][0]["checked"], false, "nothing was compared yet");
    let check = |served: &Served| {
        let reader = served.hq.database.reader().unwrap();
        let totals = hq_bridge::hq::totals(
            &reader,
            &selvedge_sync::device_keys::DeviceKeys::public(desk.keys.authority.as_ref()),
        );
        served.hq.remember(&totals.unwrap());
    };
    check(&served);
    let fine = served.get("/v1/control-totals").json()["rows"][0].clone();
    assert_eq!((&fine["checked"], &fine["differs"]), (&Value::Bool(true), &Value::Bool(false)));
    assert_eq!(fine["gross_signed_minor"], fine["gross_held_minor"]);
    // The kept sums do not see this; the check does.
    served
        .hand()
        .execute("UPDATE receipt SET total_minor = total_minor + 100 WHERE no = 1", [])
        .unwrap();
    check(&served);
    let broken = served.get("/v1/control-totals").json()["rows"][0].clone();
    assert_eq!(
        (&broken["differs"], &broken["difference_minor"]),
        (&Value::Bool(true), &Value::from(100))
    );
}

#[test]
fn what_did_not_change_is_not_sent_again() {
    let desk = sold();
    let served = Served::new(&desk);
    let bearer = format!("Bearer {}", served.token);
    for path in ["/v1/stores", "/v1/products", "/v1/receipts", "/v1/devices", "/v1/exceptions"] {
        let tag = served.get(path).etag.unwrap_or_else(|| panic!("{path} has no tag"));
        let again = served.ask(path, &[("authorization", &bearer), ("if-none-match", &tag)]);
        assert_eq!((again.status, again.text.as_str()), (304, ""), "{path}");
    }
    let tag = served.get("/v1/receipts").etag.unwrap();
    arrive(&served.hand(), 9, 1, 1);
    let news = served.ask("/v1/receipts", &[("authorization", &bearer), ("if-none-match", &tag)]);
    assert_eq!(news.status, 200);
}

#[test]
fn what_cannot_be_asked_is_refused_with_its_field() {
    let desk = Desk::stocked();
    let served = Served::new(&desk);
    let refused = |path: &str| {
        let answer = served.get(path);
        let body = answer.json();
        format!(
            "{} {} {}: {}\n",
            answer.status,
            body["code"].as_str().unwrap(),
            body["field"],
            body["message"].as_str().unwrap()
        )
    };
    let said: String = [
        "/v1/stock?stroe=1",
        "/v1/stores?store=1",
        "/v1/receipts?limit=0",
        "/v1/receipts?limit=5001",
        "/v1/receipts?limit=1&limit=2",
        "/v1/receipts?include=all",
        "/v1/receipts?store=Harbour",
        "/v1/receipts?cursor=abc",
        "/v1/receipts?cursor=a&changed_since=b",
        "/v1/products?changed_since=2026-11-20T00:00:00Z",
        "/v1/nothing",
    ]
    .map(refused)
    .concat();
    expect![[r#"
        400 bad_request "stroe": "stroe" is not known here: use sku, store, limit, cursor, changed_since
        400 bad_request "store": "store" is not known here: use limit, cursor
        400 bad_request "limit": limit is "0", but a whole number from 1 to 5000 is expected
        400 bad_request "limit": limit is "5001", but a whole number from 1 to 5000 is expected
        400 bad_request "limit": limit may be given only once
        400 bad_request "include": include is "all", but lines is expected
        400 bad_request "store": store is "Harbour", but a whole number is expected
        400 bad_request "cursor": cursor is not a cursor of this list: give a next_cursor of an earlier answer, or leave it out to begin
        400 bad_request "changed_since": give cursor or changed_since, not both
        400 bad_request "changed_since": this list has no times: give a next_cursor as changed_since
        404 not_found null: there is no /v1/nothing; /docs lists what there is
    "#]]
    .assert_eq(&said);
}

#[test]
fn hostile_texts_are_values_and_never_sql() {
    let desk = sold();
    let served = Served::new(&desk);
    let before = served.get("/v1/receipts").column("id");
    let hostile = [
        "1;DROP TABLE receipt",
        "1' OR '1'='1",
        "1 UNION SELECT hash FROM hq_api_token",
        "1--",
        "\u{0}",
        "%00",
        "1e3",
        "0x1",
        "+1",
        "\u{661}",
        "99999999999999999999",
        "<script>alert(1)</script>",
    ];
    for path in LISTS {
        for name in ["sku", "store", "limit", "cursor", "changed_since", "include", "open", "x'--"]
        {
            for text in hostile {
                let encode = |text: &str| -> String {
                    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
                };
                let answer = served.get(&format!("{path}?{}={}", encode(name), encode(text)));
                assert_eq!(answer.status, 400, "{path} {name} {text}: {}", answer.text);
            }
        }
    }
    assert_eq!(served.get("/v1/receipts?%FF=%FF").status, 400);
    assert_eq!(served.get("/v1/receipts").column("id"), before);
}

#[test]
fn products_come_with_their_skus_and_again_when_they_change() {
    let desk = Desk::stocked();
    let (cursor, first) = {
        let served = Served::new(&desk);
        let first = served.get("/v1/products").json();
        (first["next_cursor"].as_str().unwrap().to_string(), first["rows"][0].clone())
    };
    let expected = serde_json::json!({
        "product": "10", "name": "Oxford shirt, slim", "department": "Men", "note": null, "gone": false,
        "variants": [
            {"sku": "1001", "size": "M", "colour": "navy", "tax_class": 1, "gtins": ["9520000000028"]},
            {"sku": "1002", "size": "L", "colour": "navy", "tax_class": 1, "gtins": []},
        ],
    });
    assert_eq!(first, expected);
    desk.import(
        FileKind::Catalogue,
        b"sku,product,name,department,size,colour,tax_class,favourite,gtin\n1003,11,Belt,,,,1,,\n",
    );
    let served = Served::new(&desk);
    assert_eq!(
        served.get(&format!("/v1/products?changed_since={cursor}")).column("name"),
        ["Belt"]
    );
}
