//! HQ's pages and reporting interface, served over a desk

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hq_bridge::contacts::Contacts;
use hq_bridge::door::Door;
use hq_bridge::hq::Hq;
use hq_bridge::routes;
use hq_bridge::tokens::{self, Scope};
use rusqlite::Connection;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::desk::Desk;

/// A served HQ. The test says what its lines hear.
pub struct Served {
    pub hq: Arc<Hq>,
    pub heard: Arc<Mutex<Contacts>>,
    /// Who has the token.
    pub owner: String,
    pub token: String,
    pub file: std::path::PathBuf,
    address: SocketAddr,
    _runtime: Runtime,
}

/// What a request is answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub etag: Option<String>,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The column of all rows.
    pub fn column(&self, name: &str) -> Vec<String> {
        let rows = self.json()["rows"].as_array().unwrap().clone();
        rows.iter().map(|row| row[name].as_str().unwrap_or_default().to_string()).collect()
    }
}

impl Served {
    pub fn new(desk: &Desk) -> Served {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Contacts::default()));
        let lines = Arc::clone(&heard);
        let hq = Arc::new(Hq {
            name: "hq".to_string(),
            data: desk.config.data.clone(),
            database: desk.database(),
            readers: Mutex::default(),
            authority: Arc::clone(&desk.keys.authority),
            door: Door::new(address).unwrap(),
            importing: tokio::sync::Mutex::new(()),
            look_again: Notify::new(),
            contacts: Box::new(move |_| lines.lock().unwrap().clone()),
            checked: Mutex::default(),
            admitted: Mutex::default(),
            night: false,
        });
        let owner = format!("test-{}", address.port());
        let token = tokens::add(&hq.database, &owner, Scope::Read).unwrap();
        let pages = routes::router(Arc::clone(&hq));
        runtime.spawn(async move { axum::serve(listener, pages).await });
        let file = desk.file();
        Served { hq, heard, owner, token, file, address, _runtime: runtime }
    }

    /// The lines have heard these devices so many milliseconds ago.
    pub fn hear(&self, ages: &[(&str, i64)]) {
        let ages: HashMap<String, i64> =
            ages.iter().map(|(device, ms)| (device.to_string(), *ms)).collect();
        let heard = Contacts { heard_ms: ages.clone(), complete_ms: ages, ..Contacts::default() };
        *self.heard.lock().unwrap() = heard;
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask(path, &[("authorization", &format!("Bearer {}", self.token))])
    }

    pub fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut request = agent.get(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.call().unwrap();
        let etag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_string());
        let status = answer.status().as_u16();
        Answer { status, etag, text: answer.into_body().read_to_string().unwrap() }
    }

    /// A second hand on HQ's file: rows that come in while somebody reads.
    pub fn hand(&self) -> Connection {
        let db = selvedge_sync::open::by_hand(&self.file).unwrap();
        db.execute_batch("PRAGMA foreign_keys=OFF").unwrap();
        db
    }
}

/// A receipt of a device, as it comes in.
pub fn arrive(db: &Connection, origin: i64, no: i64, store: i64) {
    db.execute(
        "INSERT INTO receipt (id, no, kind, cashier, at, store, total_minor, tax_minor)
         VALUES (?1 << 40 | ?2, ?2, 1, 7, 1760000000000, ?3, 1200, 200)",
        (origin, no, store),
    )
    .unwrap();
}
