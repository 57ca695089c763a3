//! An HQ in a folder, and a pos that talks to it

use std::path::Path;
use std::sync::Arc;

use hq_bridge::authority::{self, Keys};
use hq_bridge::config::{self, Config};
use hq_bridge::database::{self, Database, now};
use hq_bridge::enrolment::{self, AdmitError, Request};
use hq_bridge::import::rows::{Refusal, Summary};
use hq_bridge::import::{self, FileKind};
use selvedge_domain::basket::{BasketLine, Discount};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;
use selvedge_domain::sales::{self, Sale};
use selvedge_domain::tenders::{Tender, TenderKind};
use selvedge_domain::{grand_totals, migrations};
use selvedge_sync::admission::Admission;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::hlc::Millis;
use selvedge_sync::hub::Hub;
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::open::Migration;
use selvedge_sync::origin::DeviceId;
use selvedge_sync::replica::Replica;
use selvedge_sync::talk::{HubSettings, Input, Now, Output, PeerId};
use tempfile::TempDir;

pub const STORES: &str =
    "store,name,currency,tax_included\n1,Harbour,GBP,yes\n2,Mill Lane,EUR,no\n";
pub const TAXES: &str = "store,tax_class,rate,valid_from\n1,1,20,\n2,1,8.875,2026-01-01\n";
pub const CATALOGUE: &str = "sku,product,name,department,size,colour,tax_class,favourite,gtin\n\
    1001,10,\"Oxford shirt, slim\",Men,M,navy,1,1,9520000000028\n\
    1002,10,\"Oxford shirt, slim\",Men,L,navy,1,,\n";
pub const PRICES: &str =
    "sku,store,currency,price,valid_from\n1001,0,GBP,24.99,\n1002,0,GBP,26.00,\n";
pub const EMPLOYEES: &str =
    "store,employee,name,badge,pin,rights\n1,7,Ada,B-7,4711,\"sell, open price\"\n";
pub const STOCK: &str = "store,sku,quantity\n1,1001,10\n1,1002,4\n";
pub const NUTRITION: &str = "product,is_drink,nutri_score,nova_group,energy_kj,fat_g,saturates_g,sugars_g,salt_g,allergens,source\n\
    10,no,C,3,1500,10.5,2.25,30,0.5,milk,Label\n";
pub const CUSTOMERS: &str = "customer,card,discount\n501,99001234,7.5\n";

/// HQ in a folder of its own.
pub struct Desk {
    pub folder: TempDir,
    pub config: Config,
    pub keys: Keys,
}

impl Desk {
    pub fn new() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let config = config::parse("data = \"hq\"", folder.path(), "hq.toml").unwrap();
        authority::make(&config.data, &database::file(&config)).unwrap();
        let keys = authority::read(&config.data).unwrap();
        Desk { folder, config, keys }
    }

    /// An HQ with two stores, two SKUs and one cashier.
    pub fn stocked() -> Desk {
        let desk = Desk::new();
        let files = [STORES, TAXES, CATALOGUE, PRICES, EMPLOYEES, STOCK];
        for (kind, text) in FileKind::ALL.into_iter().zip(files) {
            assert_eq!(desk.import(kind, text.as_bytes()).1, [], "{}", kind.as_str());
        }
        desk
    }

    pub fn database(&self) -> Database {
        Database::open(&self.config, &self.keys).unwrap()
    }

    pub fn import(&self, kind: FileKind, text: &[u8]) -> (Summary, Vec<Refusal>) {
        let mut refused = Vec::new();
        let mut report = |refusal| {
            refused.push(refusal);
            Ok(())
        };
        let summary = import::run(kind, text, &self.database(), &mut report).unwrap();
        (summary, refused)
    }

    pub fn admit(&self, id: &str, seed: u8, code: Option<&str>) -> Result<Admission, AdmitError> {
        let key = hex::encode(SoftwareKeys::from_seed([seed; 32]).public());
        let code = code.map(String::from);
        // The first part of a device id names its store.
        let store = id.get(1..5).and_then(|digits| digits.parse().ok()).unwrap_or(1);
        let role = if id.contains("-b") { "back-office" } else { "pos" };
        let request = Request { id: id.to_string(), store, role: role.to_string(), key, code };
        enrolment::admit(&self.database(), &self.keys.authority, &request)
    }

    /// HQ's side of a conversation.
    pub fn side(&self) -> Side {
        Side::new(database::replica(&self.config, &self.keys).unwrap(), false)
    }

    /// A pos that HQ has admitted, or a back office where its name says so.
    pub fn pos(&self, id: &str, seed: u8) -> Side {
        self.open_pos(&self.admit(id, seed, None).unwrap(), seed)
    }

    /// What such a device has on its disk, started.
    pub fn open_pos(&self, admission: &Admission, seed: u8) -> Side {
        let id = admission.own().device.as_str();
        let mut replica = Replica::open(Settings {
            path: self.folder.path().join(format!("{id}.db")),
            vfs: None,
            identity: Identity::admitted(admission),
            keys: Arc::new(SoftwareKeys::from_seed([seed; 32])),
            migrations: migrations::ALL.iter().map(|(name, sql)| Migration { name, sql }).collect(),
            cache_kib: 2_048,
        })
        .unwrap();
        replica.admit(&admission.rows).unwrap();
        Side::new(replica, true)
    }

    /// The database file, for a hand that reaches past the program.
    pub fn file(&self) -> std::path::PathBuf {
        database::file(&self.config)
    }
}

/// One end of a line that loses nothing.
pub struct Side {
    pub replica: Replica,
    pub hub: Hub,
}

impl Side {
    fn new(replica: Replica, has_parent: bool) -> Side {
        let hub =
            Hub::new(&replica, HubSettings { has_parent, ..HubSettings::default() }, 1).unwrap();
        Side { replica, hub }
    }

    pub fn device(&self) -> DeviceId {
        self.replica.identity().device.clone()
    }

    /// Hands in what happened; returns what is to be done.
    pub fn give(&mut self, at: Now, inputs: Vec<Input>) -> Vec<Output> {
        let mut outputs = self.hub.handle(&mut self.replica, at, inputs);
        loop {
            let (more, again) = self.hub.work(&mut self.replica, at);
            outputs.extend(more);
            if !again {
                return outputs;
            }
        }
    }

    /// Sells one of each SKU for cash.
    pub fn sell(&mut self, skus: &[i64]) {
        let line = |sku: &i64| BasketLine {
            sku: *sku,
            quantity: 1,
            discount: Discount::None,
            open_price: None,
        };
        let at = Moment(now().0);
        let store = i64::from(self.replica.identity().store);
        let lines = skus.iter().map(line).collect();
        let tenders = vec![Tender { kind: TenderKind::Cash, given: Money(20_000) }];
        let sale = Sale { store, cashier: 7, at, lines, tenders, ..Sale::default() };
        self.replica.write(now(), |tx| sales::record(tx, &sale)).unwrap();
    }

    /// Signs the running total of the device.
    pub fn state(&mut self) {
        let at = Moment(now().0);
        self.replica.write(now(), |tx| grand_totals::state(tx, 1, at)).unwrap();
    }
}

/// Lets parent and child talk until both have nothing more to say for a few beats.
pub fn talk(parent: &mut Side, child: &mut Side) {
    let device = child.device();
    let mut at = Now { wall: now(), steady: Millis(0) };
    let mut to_parent = vec![Input::Up(PeerId::Child(device.clone())), Input::Wrote];
    let mut to_child = vec![Input::Up(PeerId::Parent), Input::Wrote];
    for _ in 0..400 {
        at = Now { wall: now(), steady: Millis(at.steady.0 + 250) };
        to_parent.push(Input::Tick);
        to_child.push(Input::Tick);
        let said_up = child.give(at, std::mem::take(&mut to_child));
        let said_down = parent.give(at, std::mem::take(&mut to_parent));
        to_parent.extend(messages(said_up, &PeerId::Child(device.clone())));
        to_child.extend(messages(said_down, &PeerId::Parent));
    }
}

/// What is to be sent, as the other side takes it in.
pub fn messages(outputs: Vec<Output>, from: &PeerId) -> Vec<Input> {
    let message = |output| match output {
        Output::Send { kind, bytes, .. } => {
            Some(Input::Message { from: from.clone(), kind, bytes })
        }
        _ => None,
    };
    outputs.into_iter().filter_map(message).collect()
}

/// Whether a text stands in a file, its log beside it included.
pub fn file_holds(path: &Path, text: &str) -> bool {
    let log = path.with_extension("db-wal");
    [path, log.as_path()]
        .iter()
        .filter_map(|path| std::fs::read(path).ok())
        .any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}
