//! HQ: its pages, its local interface and /v1

use std::sync::{Arc, Mutex};

use hq_bridge::contacts::Contacts;
use hq_bridge::door::Door;
use hq_bridge::hq::Hq;
use hq_bridge::import::FileKind;
use hq_bridge::tokens::{self, Scope};
use hq_bridge::{database, routes as hq_routes};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::attack::Attack;
use crate::chain::Chain;
use crate::facts::Facts;
use crate::routes;
use crate::strings;
use crate::wire::Wire;

/// HQ as it runs, its local token and one for /v1.
fn run(chain: &Chain) -> (Runtime, Wire, String, String) {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let hq = Arc::new(Hq {
        name: "hq".to_owned(),
        data: chain.config.data.clone(),
        database: chain.database(),
        readers: Mutex::default(),
        authority: Arc::clone(&chain.keys.authority),
        door: Door::new(address).unwrap(),
        importing: tokio::sync::Mutex::new(()),
        look_again: Notify::new(),
        contacts: Box::new(|_| Contacts::default()),
        checked: Mutex::default(),
        admitted: Mutex::default(),
        night: false,
    });
    let token = tokens::add(&hq.database, "hostile", Scope::Read).unwrap();
    let door = hq.door.token.clone();
    let pages = hq_routes::router(hq);
    runtime.spawn(async move { axum::serve(listener, pages).await });
    (runtime, Wire::to(address), door, token)
}

/// Every parameter that the description of /v1 names.
fn parameters(description: &Value) -> Vec<String> {
    let paths = description["paths"].as_object().unwrap().values();
    let parameters =
        paths.flat_map(|path| path["get"]["parameters"].as_array().into_iter().flatten());
    let mut names: Vec<String> =
        parameters.filter_map(|one| one["name"].as_str()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// Each string in each text of a request of the local interface.
fn requests(person: &mut Attack) {
    let door = person.wire.headers.clone();
    let bodies = [
        ("/devices", r#"{"id":"s0001-p09","store":1,"role":"pos","key":"00","code":"T9"}"#),
        ("/tokens", r#"{"add":{"name":"shop","scope":"read"}}"#),
        ("/tokens", r#"{"revoke":{"name":"shop"}}"#),
        ("/devices/decisions", r#"{"close":{"id":"s0001-p09","origin":null}}"#),
        ("/devices/decisions", r#"{"spare":{"store":1,"role":"pos","count":1}}"#),
        ("/devices/decisions", r#"{"parents":{"id":"s0001-p09","to":["hq"]}}"#),
        ("/devices/decisions", r#"{"confirm":{"id":"s0001-p09"}}"#),
    ];
    for (path, body) in bodies {
        let texts = body
            .split('"')
            .filter(|part| part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        for part in texts.filter(|part| !part.is_empty()) {
            for text in strings::all() {
                let quoted = serde_json::to_string(&String::from_utf8_lossy(&text)).unwrap();
                let hostile = body.replacen(&format!("\"{part}\""), &quoted, 1);
                person.send(("POST", path), &door, Some(hostile.as_bytes()), &text);
                let raw = body.replacen(&format!("\"{part}\""), "\"RAW\"", 1);
                let (head, tail) = raw.split_once("RAW").unwrap();
                let raw = [head.as_bytes(), &text, tail.as_bytes()].concat();
                person.send(("POST", path), &door, Some(&raw), &text);
            }
        }
    }
}

/// Each string in each column of each file; a row is a string that is sent.
fn imports(person: &mut Attack) {
    let door = person.wire.headers.clone();
    for kind in FileKind::ALL {
        let target = format!("/import/{}", kind.as_str());
        let header = kind.header();
        for column in 0..header.len() {
            // A PIN is hashed slowly on purpose.
            let step = if kind == FileKind::Employees { 8 } else { 1 };
            let texts: Vec<Vec<u8>> = strings::all().into_iter().step_by(step).collect();
            let mut file = header.join(",").into_bytes();
            for (at, text) in texts.iter().enumerate() {
                file.push(b'\n');
                for (no, name) in header.iter().enumerate() {
                    let cell = match *name {
                        _ if no == column => text.clone(),
                        "sku" | "product" | "employee" | "customer" => {
                            (9_000 + at).to_string().into_bytes()
                        }
                        other => usual(other).as_bytes().to_vec(),
                    };
                    file.extend(quoted(&cell));
                    file.push(b',');
                }
                file.pop();
            }
            person.send(("POST", &target), &door, Some(&file), b"");
            person.sent += texts.len() - 1;
        }
    }
}

fn quoted(cell: &[u8]) -> Vec<u8> {
    let doubled = cell.iter().flat_map(|byte| match byte {
        b'"' => vec![b'"'; 2],
        other => vec![*other],
    });
    [vec![b'"'], doubled.collect(), vec![b'"']].concat()
}

fn usual(column: &str) -> &'static str {
    match column {
        "store" | "tax_class" => "1",
        "currency" => "GBP",
        "price" => "1.00",
        "tax_included" | "is_drink" => "no",
        "rights" => "sell",
        "pin" => "4711",
        "name" | "badge" | "card" => "a name",
        "quantity" | "rate" | "discount" => "1",
        _ => "",
    }
}

#[test]
fn hq_takes_every_hostile_string_for_text() {
    let chain = Chain::make();
    let file = database::file(&chain.config);
    let before = Facts::of(&file);
    let (runtime, wire, door, token) = run(&chain);
    let mut person = Attack::new(wire, None);
    let description: Value =
        serde_json::from_str(&person.page("/v1/openapi.json")).expect("the description is JSON");
    let names = [parameters(&description), vec!["x'--".replace('\'', "%27")]].concat();
    person.wire.headers = vec![format!("Authorization: Bearer {token}")];
    for (order, route) in routes::of("hq-bridge/src").iter().enumerate() {
        person.route(route, &names, 6, order);
    }
    person.headers("/v1/stores", &["If-None-Match", "Accept"]);
    person.wire.headers.clear();
    person.headers("/v1/stores", &["Authorization"]);
    person.wire.headers = vec![format!("Authorization: Bearer {door}")];
    requests(&mut person);
    imports(&mut person);
    let walked = person.walk(&["/", "/fleet", "/docs", "/fleet/1", "/fleet/1/events", "/status"]);
    assert!(walked > 20, "{walked} pages were looked at");
    person.told();
    drop(runtime);
    let master = [
        "store",
        "tax_rate",
        "product",
        "variant",
        "gtin",
        "price",
        "employee",
        "customer",
        "nutrition",
        "stock_movement",
    ];
    before.hold(&file, &[], &master);
    crate::told("hq", person.sent);
}
