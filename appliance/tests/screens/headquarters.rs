//! Headquarters in the same process: admits a pos and fills it

use std::path::Path;
use std::sync::Arc;

use appliance::database;
use selvedge_domain::catalogue::ShelfPrices;
use selvedge_domain::customers::{self, NewCustomer};
use selvedge_domain::gtin::Gtin;
use selvedge_domain::master_data::{
    NewPrice, NewProduct, NewStore, NewTaxRate, NewVariant, upsert_gtin, upsert_price,
    upsert_product, upsert_store, upsert_tax_rate, upsert_variant,
};
use selvedge_domain::migrations;
use selvedge_domain::moment::Moment;
use selvedge_domain::money::{Currency, Money};
use selvedge_domain::staff::{self, NewEmployee, Rights};
use selvedge_sync::admission::Admission;
use selvedge_sync::allow_list::{self, Row};
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::hlc::Millis;
use selvedge_sync::hub::Hub;
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::open::Migration;
use selvedge_sync::origin::{DeviceId, Origin, Role};
use selvedge_sync::replica::Replica;
use selvedge_sync::talk::{HubSettings, Input, Now, Output, PeerId};

use crate::goods;

/// The key of the pos.
pub const POS_SEED: [u8; 32] = [7; 32];

/// What is sold: SKU, name, size, price in cents, favourite, and the first 12 digits of its GTIN.
pub const GOODS: [(i64, &str, &str, i64, u64); 5] = [
    (1001, "Merino crew, moss", "M", 7_900, 952_004_100_731),
    (1002, "Boot socks, wool blend", "42", 1_190, 952_004_100_732),
    (1003, "Leather care balm", "100 ml", 1_250, 952_004_100_733),
    (1004, "Chore jacket, ink", "L", 12_900, 952_004_100_734),
    (1005, "Boot laces", "120 cm", 490, 952_004_100_735),
];

/// A product in two sizes: its number, and SKU, size and price in cents of each.
pub const RANGE: (i64, [(i64, &str, i64); 2]) =
    (2000, [(2001, "48", 8_900), (2002, "W31/L34", 9_900)]);

/// A SKU that nobody has given a price.
pub const UNPRICED: i64 = 1099;

/// Number, card and discount of the customers.
pub const CUSTOMERS: [(i64, &str, i64); 2] = [(12, "C-2000 17", 500), (13, "2999000000137", 0)];

/// The printed number of a SKU above.
pub fn gtin(sku: i64) -> String {
    let digits = GOODS.iter().find(|goods| goods.0 == sku).unwrap().4;
    Gtin::complete(digits).unwrap().to_string()
}

/// Badge, PIN, name and rights of who works there.
pub const PEOPLE: [(&str, &str, &str, Rights); 4] = [
    ("9520001", "1111", "Amira K.", Rights::SELL),
    ("9520002", "2222", "Elin B.", Rights(1 | 2 | 4)),
    ("9520003", "3333", "Per S.", Rights::STOCK),
    ("9520004", "4444", "Nadia M.", Rights(1 | 16 | 32)),
];

fn now(steady: i64) -> Now {
    Now { wall: Millis(1_700_000_000_000 + steady), steady: Millis(steady) }
}

/// What else HQ knows of the store.
#[derive(Default)]
pub struct Beside {
    /// A pos stands beside the device.
    pub pos: bool,
    /// Every name is as long as HQ takes it.
    pub long_names: bool,
}

/// The row of the pos that stands beside.
fn pos_row() -> Row {
    let (authority, keys) = (SoftwareKeys::from_seed([1; 32]), SoftwareKeys::from_seed([9; 32]));
    let device = DeviceId::new("s0001-p01").unwrap();
    let origin = Origin::new(4).unwrap();
    Row::sign(origin, &device, 1, Role::Pos, "T1", keys.public(), &authority)
}

/// That pos, which has heard nothing yet, and its row.
pub fn a_pos_beside(folder: &Path, office: &Admission) -> (Replica, Row) {
    let (keys, row) = (SoftwareKeys::from_seed([9; 32]), pos_row());
    let rows = [std::slice::from_ref(&row), office.rows.as_slice()].concat();
    let admission = Admission { authority: office.authority, rows };
    (database::open(&folder.join("pos"), &admission, Arc::new(keys)).unwrap(), row)
}

/// Admits a device of store 1 and brings it the master data.
pub fn admit_and_fill(
    folder: &Path,
    device: &str,
    role: Role,
    label: &str,
    beside: &Beside,
) -> Admission {
    let authority = SoftwareKeys::from_seed([1; 32]);
    let hq_keys = SoftwareKeys::from_seed([2; 32]);
    let pos_keys = SoftwareKeys::from_seed(POS_SEED);
    let row = |origin, device, store, role, label, key| {
        let device = DeviceId::new(device).unwrap();
        Row::sign(Origin::new(origin).unwrap(), &device, store, role, label, key, &authority)
    };
    let hq_row = row(1, "hq", 0, Role::Hq, "HQ", hq_keys.public());
    let own = row(2, device, 1, role, label, pos_keys.public());
    let admission = |first: &Row, other: &Row| Admission {
        authority: authority.public(),
        rows: vec![first.clone(), other.clone()],
    };
    let own_admission = admission(&own, &hq_row);
    let mut hq = open_hq(folder, &admission(&hq_row, &own), hq_keys);
    fill(&mut hq, beside);
    let mut pos = database::open(&folder.join("data"), &own_admission, Arc::new(pos_keys)).unwrap();
    exchange(&mut hq, &mut pos, &own.device, |pos| {
        let everybody = (1..=4).all(|id| staff::employee(pos.db(), 1, id).unwrap().is_some());
        let rows = allow_list::all(pos.db(), &authority.public()).unwrap();
        everybody && rows.len() >= usize::from(beside.pos)
    });
    own_admission
}

/// A discount that the store's back office gives on a product, in hundredths of a percent,
/// from one moment to before another.
pub struct Offer {
    pub product: i64,
    pub points: i64,
    pub window: (i64, i64),
}

/// The back office of the store enters its discounts, and a pos hears them.
pub fn offer(folder: &Path, own: &Admission, offers: &[Offer]) {
    let keys = SoftwareKeys::from_seed([8; 32]);
    let device = DeviceId::new("s0001-b02").unwrap();
    let (role, key) = (Role::BackOffice, keys.public());
    let authority = SoftwareKeys::from_seed([1; 32]);
    let row = Row::sign(Origin::new(3).unwrap(), &device, 1, role, "B2", key, &authority);
    let rows = vec![row.clone(), own.own().clone()];
    let admission = Admission { authority: authority.public(), rows };
    let mut office = open_at(&folder.join("office.sqlite"), &admission, keys);
    let entered = office.write(Millis(1), |tx| -> rusqlite::Result<()> {
        for offer in offers {
            tx.execute(
                "INSERT INTO store_discount
                     (id, store, product, discount_points, valid_from, valid_to, employee)
                 VALUES (row_id(), 1, ?1, ?2, ?3, ?4, 2)",
                (offer.product, offer.points, offer.window.0, offer.window.1),
            )?;
        }
        Ok(())
    });
    entered.unwrap();
    let keys = Arc::new(SoftwareKeys::from_seed(POS_SEED));
    let mut pos = database::open(&folder.join("data"), own, keys).unwrap();
    pos.admit(&[row]).unwrap();
    exchange(&mut office, &mut pos, &own.own().device, |pos| {
        let heard = "SELECT count(*) FROM store_discount";
        let heard: i64 = pos.db().query_row(heard, [], |row| row.get(0)).unwrap();
        heard == offers.len() as i64
    });
}

fn open_hq(folder: &Path, admission: &Admission, keys: SoftwareKeys) -> Replica {
    open_at(&folder.join("hq.sqlite"), admission, keys)
}

fn open_at(path: &Path, admission: &Admission, keys: SoftwareKeys) -> Replica {
    let step = |(name, sql): &(&'static str, &'static str)| Migration { name, sql };
    let mut hq = Replica::open(Settings {
        path: path.to_owned(),
        vfs: None,
        identity: Identity::admitted(admission),
        keys: Arc::new(keys),
        migrations: migrations::ALL.iter().map(step).collect(),
        cache_kib: 1_024,
    })
    .unwrap();
    hq.admit(&admission.rows).unwrap();
    hq
}

fn fill(hq: &mut Replica, beside: &Beside) {
    let long = if beside.long_names {
        " of hand-washed Scandinavian double-faced merino wool, Donaudampfschifffahrtsgesellschaftskapitän"
    } else {
        ""
    };
    let since = Moment(0);
    let chain = hq.write(Millis(1), |tx| -> Result<(), String> {
        let said = |error: selvedge_domain::master_data::MasterDataError| error.to_string();
        let (currency, shelf_prices) = (Currency::EUR, ShelfPrices::TaxIncluded);
        upsert_store(tx, &NewStore { id: 1, name: "Lindqvist", currency, shelf_prices })
            .map_err(said)?;
        let rate = NewTaxRate { store: 1, class: 1, valid_from: since, rate_ppm: 190_000 };
        upsert_tax_rate(tx, &rate).map_err(said)?;
        for ((sku, name, size, price, digits), place) in GOODS.into_iter().zip(1..) {
            let name = &format!("{name}{long}");
            upsert_product(tx, &NewProduct { id: sku, name, department: None }).map_err(said)?;
            let favourite = Some(place);
            let variant = NewVariant {
                sku,
                product: sku,
                size: Some(size),
                colour: None,
                tax_class: 1,
                favourite,
            };
            upsert_variant(tx, &variant).map_err(said)?;
            upsert_gtin(tx, Gtin::complete(digits).unwrap(), sku).map_err(said)?;
            let unit = Money(price);
            upsert_price(tx, &NewPrice { sku, store: 0, currency, valid_from: since, unit })
                .map_err(said)?;
        }
        let (product, sizes) = RANGE;
        let range = NewProduct { id: product, name: "Cord trousers", department: None };
        upsert_product(tx, &range).map_err(said)?;
        for (sku, size, price) in sizes {
            let (size, colour, favourite) = (Some(size), Some("olive"), None);
            let variant = NewVariant { sku, product, size, colour, tax_class: 1, favourite };
            upsert_variant(tx, &variant).map_err(said)?;
            let unit = Money(price);
            upsert_price(tx, &NewPrice { sku, store: 0, currency, valid_from: since, unit })
                .map_err(said)?;
        }
        upsert_product(tx, &NewProduct { id: UNPRICED, name: "Sample", department: None })
            .map_err(said)?;
        for (id, card, discount_points) in CUSTOMERS {
            let new = NewCustomer { id, card, discount_points };
            customers::upsert(tx, &new).map_err(|error| error.to_string())?;
        }
        let (size, colour, favourite) = (None, None, None);
        let variant =
            NewVariant { sku: UNPRICED, product: UNPRICED, size, colour, tax_class: 1, favourite };
        upsert_variant(tx, &variant).map_err(said)?;
        goods::fill(tx).map_err(|error| error.to_string())
    });
    chain.unwrap();
    fill_staff(hq, long);
    if beside.pos {
        let row = pos_row();
        hq.write(Millis(3), |tx| allow_list::insert(tx, &row)).unwrap();
    }
}

fn fill_staff(hq: &mut Replica, long: &str) {
    let staff = hq.write(Millis(2), |tx| -> Result<(), String> {
        for ((badge, pin, name, rights), id) in PEOPLE.into_iter().zip(1..) {
            let pin_hash = staff::hash_pin(pin, &[9; 16]).map_err(|error| error.to_string())?;
            let name: String = format!("{name}{long}").chars().take(80).collect();
            let name = name.trim();
            let new = NewEmployee { store: 1, id, name, badge, pin_hash: &pin_hash, rights };
            staff::upsert(tx, &new).map_err(|error| error.to_string())?;
        }
        Ok(())
    });
    staff.unwrap();
}

/// Lets both talk until the pos has heard what it must.
pub fn exchange(
    hq: &mut Replica,
    pos: &mut Replica,
    device: &DeviceId,
    heard_all: impl Fn(&Replica) -> bool,
) {
    let settings = |has_parent| HubSettings { has_parent, ..HubSettings::default() };
    let mut hq_hub = Hub::new(hq, settings(false), 1).unwrap();
    let mut pos_hub = Hub::new(pos, settings(true), 2).unwrap();
    let child = PeerId::Child(device.clone());
    let (mut to_hq, mut to_pos) = (vec![Input::Up(child.clone())], vec![Input::Up(PeerId::Parent)]);
    for step in 1..400 {
        let now = now(step * 100);
        let said = turn(&mut pos_hub, pos, now, std::mem::take(&mut to_pos));
        to_hq.extend(heard(said, &child));
        let said = turn(&mut hq_hub, hq, now, std::mem::take(&mut to_hq));
        to_pos.extend(heard(said, &PeerId::Parent));
        if heard_all(pos) {
            return;
        }
    }
    panic!("what was said did not arrive");
}

fn turn(hub: &mut Hub, replica: &mut Replica, now: Now, inputs: Vec<Input>) -> Vec<Output> {
    let mut said = hub.handle(replica, now, inputs);
    said.extend(hub.handle(replica, now, vec![Input::Tick]));
    loop {
        let (more_said, more) = hub.work(replica, now);
        said.extend(more_said);
        if !more {
            return said;
        }
    }
}

fn heard(said: Vec<Output>, from: &PeerId) -> Vec<Input> {
    let message = |output| match output {
        Output::Send { kind, bytes, .. } => {
            Some(Input::Message { from: from.clone(), kind, bytes })
        }
        Output::WakeAt(_) | Output::Copy(_) | Output::Event(_) => None,
    };
    said.into_iter().filter_map(message).collect()
}
