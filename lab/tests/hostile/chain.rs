//! HQ, a back office and a pos whose master data means harm

use std::path::{Path, PathBuf};
use std::sync::Arc;

use appliance::baskets::{self, Baskets};
use appliance::page::{Page, Shared};
use appliance::{clock, config, database, server};
use hq_bridge::authority::{self, Keys};
use hq_bridge::config::{self as hq_config, Config};
use hq_bridge::database::{self as hq_database, Database, now};
use hq_bridge::enrolment::{self, Request};
use hq_bridge::import::{self, FileKind};
use selvedge_domain::basket::{BasketLine, Discount};
use selvedge_domain::exceptions::{self, NewException, OVERSOLD};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;
use selvedge_domain::sales::{self, Sale};
use selvedge_domain::tenders::{Tender, TenderKind};
use selvedge_sync::admission::Admission;
use selvedge_sync::card_number;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::hlc::Millis;
use selvedge_sync::hub::Hub;
use selvedge_sync::replica::Replica;
use selvedge_sync::talk::{HubSettings, Input, Now, Output, PeerId};
use tokio::runtime::Runtime;

use crate::strings;
use crate::wire::Wire;

/// Who may do everything in store 1.
pub const BADGE: &str = "B-7";
pub const PIN: &str = "4711";

/// A thing that is sold, has a balance, and bears a hostile name.
pub const SKU: i64 = 1001;

/// The card of a customer.
pub const CARD: &str = "99001234";

pub const POS: &str = "s0001-p01";
pub const OFFICE: &str = "s0001-b01";

/// The three of them in a folder; nothing runs yet.
pub struct Chain {
    pub folder: tempfile::TempDir,
    pub config: Config,
    pub keys: Keys,
}

impl Chain {
    /// Imports hostile master data at HQ, brings it to both devices, and lets each write facts that HQ then has.
    pub fn make() -> Chain {
        let folder = tempfile::tempdir().unwrap();
        let config = hq_config::parse("data = \"hq\"", folder.path(), "hq.toml").unwrap();
        authority::make(&config.data, &hq_database::file(&config)).unwrap();
        let keys = authority::read(&config.data).unwrap();
        let chain = Chain { folder, config, keys };
        for (kind, text) in files() {
            chain.import(kind, &text);
        }
        let pos = chain.open(POS);
        let office = chain.open(OFFICE);
        let hq = hq_database::replica(&chain.config, &chain.keys).unwrap();
        let mut sides = [Side::new(hq, false), Side::new(pos, true), Side::new(office, true)];
        talk(&mut sides);
        sell(&mut sides[1].replica);
        complain(&mut sides[2].replica);
        talk(&mut sides);
        let heard = "SELECT count(*) FROM exception WHERE note IS NOT NULL";
        let heard: i64 = sides[0].replica.db().query_row(heard, [], |row| row.get(0)).unwrap();
        assert!(heard > 50, "HQ has heard {heard} exceptions only");
        chain
    }

    pub fn database(&self) -> Database {
        Database::open(&self.config, &self.keys).unwrap()
    }

    pub fn data(&self, device: &str) -> PathBuf {
        self.folder.path().join(device)
    }

    fn import(&self, kind: FileKind, text: &str) {
        let mut refused = Vec::new();
        let mut report = |refusal: import::rows::Refusal| {
            refused.push(format!("{refusal:?}"));
            Ok(())
        };
        import::run(kind, text.as_bytes(), &self.database(), &mut report).unwrap();
        assert_eq!(refused, Vec::<String>::new(), "{}", kind.as_str());
    }

    fn open(&self, device: &str) -> Replica {
        let admission = self.admit(device);
        std::fs::write(self.data(device).with_extension("admission"), admission.to_text()).unwrap();
        database::open(&self.data(device), &admission, key(device)).unwrap()
    }

    fn admit(&self, device: &str) -> Admission {
        let role = if device == POS { "pos" } else { "back-office" };
        let (key, role) = (hex(&key(device).public()), role.to_owned());
        let request = Request { id: device.to_owned(), store: 1, role, key, code: None };
        enrolment::admit(&self.database(), &self.keys.authority, &request).unwrap()
    }

    /// Runs the program of a device as it stands in a store, and signs nobody on.
    pub fn run(&self, device: &str) -> Program {
        let runtime = Runtime::new().unwrap();
        let data = self.data(device);
        let text = std::fs::read_to_string(data.with_extension("admission")).unwrap();
        let admission = Admission::parse(&text).unwrap();
        let role = if device == POS { "pos" } else { "back-office" };
        let settings = format!(
            "device = \"{device}\"\nrole = \"{role}\"\ndata = {data:?}\nadmission = \"unused\"\n\
             space_min_mib = 1\nlock_after_s = 86400\n"
        );
        let terminal = if device == POS { "card_terminal = \"simulated\"\n" } else { "" };
        let settings = format!("{settings}{terminal}");
        let config = config::Config::parse(Path::new("test.toml"), &settings).unwrap();
        let setup = database::Setup {
            folder: &data,
            admission: &admission,
            keys: key(device),
            parent: None,
            above: Vec::new(),
            children: None,
            beat_ms: 3_600_000,
        };
        let database = database::Database::start(setup, runtime.handle()).unwrap();
        let baskets = Baskets::open(&data.join(baskets::FILE_NAME)).unwrap();
        let shared = Arc::new(Shared::new(config, database, baskets, clock::wall_ms).unwrap());
        let listener = runtime.block_on(server::listen("127.0.0.1:0".parse().unwrap())).unwrap();
        let wire = Wire::to(listener.local_addr().unwrap());
        runtime.spawn(server::serve(listener, Page(Arc::clone(&shared))));
        Program { wire: Some(wire), shared, _runtime: runtime }
    }
}

/// A running program of a device.
pub struct Program {
    wire: Option<Wire>,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

impl Program {
    /// Lets it believe that power went: nobody is known to be still before the screen.
    pub fn forget(shared: &Shared) {
        let mut baskets = shared.baskets();
        (baskets.paid_here, baskets.sent) = (None, None);
    }

    /// What its pages share.
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    pub fn wire(&mut self) -> Wire {
        self.wire.take().expect("one person stands before it")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.shared.database.stop();
    }
}

fn key(device: &str) -> Arc<SoftwareKeys> {
    Arc::new(SoftwareKeys::from_seed([device.as_bytes()[6]; 32]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Every file that HQ imports, with hostile texts wherever it takes texts.
fn files() -> [(FileKind, String); 8] {
    let names = strings::names();
    let nth = |at: usize| quoted(&names[at % names.len()]);
    let mut stores = format!("store,name,currency,tax_included\n1,{},GBP,yes\n", nth(0));
    let mut goods =
        "sku,product,name,department,size,colour,tax_class,favourite,gtin,note\n".to_owned();
    let mut prices = "sku,store,currency,price,valid_from\n".to_owned();
    let mut stock = "store,sku,quantity\n".to_owned();
    let mut food = "product,is_drink,nutri_score,nova_group,energy_kj,fat_g,saturates_g,sugars_g,salt_g,allergens,source\n".to_owned();
    for at in 0..names.len() {
        let (id, sku) = (at + 2, SKU as usize + at);
        stores.push_str(&format!("{id},{},GBP,yes\n", nth(at)));
        let favourite = if at < 9 { (at + 1).to_string() } else { String::new() };
        let [name, department, size] = [nth(at), nth(at + 1), nth(at + 2)];
        let (colour, note) = (nth(at + 3), nth(at + 4));
        goods.push_str(&format!(
            "{sku},{id},{name},{department},{size},{colour},1,{favourite},,{note}\n"
        ));
        prices.push_str(&format!("{sku},0,GBP,24.99,\n"));
        stock.push_str(&format!("1,{sku},10\n"));
        food.push_str(&format!("{id},no,C,3,1500,10.5,2.25,30,0.5,milk,{}\n", nth(at + 5)));
    }
    let mut staff = format!(
        "store,employee,name,badge,pin,rights\n1,7,{},{BADGE},{PIN},\"sell, discount, open price, return, stock, manage\"\n",
        nth(0)
    );
    for at in 0..8 {
        staff.push_str(&format!("1,{},{},{},4711,sell\n", at + 20, nth(at * 7), nth(at)));
    }
    let customers = format!("customer,card,discount\n501,{CARD},7.5\n502,{},5\n", nth(1));
    [
        (FileKind::Stores, stores),
        (FileKind::Taxes, "store,tax_class,rate,valid_from\n1,1,20,\n".to_owned()),
        (FileKind::Catalogue, goods),
        (FileKind::Prices, prices),
        (FileKind::Employees, staff),
        (FileKind::OpeningStock, stock),
        (FileKind::Nutrition, food),
        (FileKind::Customers, customers),
    ]
}

/// One receipt at the pos, of a thing with a hostile name.
fn sell(pos: &mut Replica) {
    let line = BasketLine { sku: SKU, quantity: 1, discount: Discount::None, open_price: None };
    let tenders = vec![Tender { kind: TenderKind::Cash, given: Money(20_000) }];
    let at = Moment(now().0);
    let sale = Sale { store: 1, cashier: 7, at, lines: vec![line], tenders, ..Sale::default() };
    pos.write(now(), |tx| sales::record(tx, &sale)).unwrap();
}

/// Exceptions whose remarks are every hostile text, as if somebody had found a way to write them.
fn complain(office: &mut Replica) {
    let texts = strings::all().into_iter().filter_map(|bytes| String::from_utf8(bytes).ok());
    // What looks like a card's number is refused by the engine itself.
    let texts: Vec<String> =
        texts.filter(|text| text.len() < 200 && !card_number::is_in(text)).collect();
    // More than once each: the forms that call them done use them up.
    let texts = [texts.clone(), texts.clone(), texts].concat();
    let at = Moment(now().0);
    let written = office.write(now(), |tx| {
        texts.iter().try_for_each(|text| {
            let (kind, note) = (OVERSOLD, Some(text.as_str()));
            let new = NewException {
                store: 1,
                at,
                kind,
                sku: Some(SKU),
                note,
                ..NewException::default()
            };
            exceptions::write(tx, &new)
        })
    });
    written.unwrap();
}

struct Side {
    replica: Replica,
    hub: Hub,
}

impl Side {
    fn new(replica: Replica, has_parent: bool) -> Side {
        let settings = HubSettings { has_parent, ..HubSettings::default() };
        let hub = Hub::new(&replica, settings, 1).unwrap();
        Side { replica, hub }
    }

    fn give(&mut self, at: Now, inputs: Vec<Input>) -> Vec<Output> {
        let mut outputs = self.hub.handle(&mut self.replica, at, inputs);
        loop {
            let (more, again) = self.hub.work(&mut self.replica, at);
            outputs.extend(more);
            if !again {
                return outputs;
            }
        }
    }
}

/// Lets the first, HQ, talk with each of the others until nothing is new for a while.
fn talk(sides: &mut [Side; 3]) {
    let [hq, children @ ..] = sides;
    for child in children {
        let peer = PeerId::Child(child.replica.identity().device.clone());
        let (mut up, mut down) = (vec![Input::Up(peer.clone())], vec![Input::Up(PeerId::Parent)]);
        let mut at = Now { wall: now(), steady: Millis(0) };
        for _ in 0..150 {
            at = Now { wall: now(), steady: Millis(at.steady.0 + 250) };
            up.extend([Input::Wrote, Input::Tick]);
            down.extend([Input::Wrote, Input::Tick]);
            let said_up = child.give(at, std::mem::take(&mut down));
            let said_down = hq.give(at, std::mem::take(&mut up));
            up.extend(heard(said_up, &peer));
            down.extend(heard(said_down, &PeerId::Parent));
        }
    }
}

fn heard(said: Vec<Output>, from: &PeerId) -> Vec<Input> {
    let message = |output| match output {
        Output::Send { kind, bytes, .. } => {
            Some(Input::Message { from: from.clone(), kind, bytes })
        }
        _ => None,
    };
    said.into_iter().filter_map(message).collect()
}
