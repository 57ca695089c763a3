//! A made-up list of many products, in a real pos

use crate::bench_desk::{BEGIN_MS, Fault, STORE, take_all, trade_migrations};
use crate::plain_sale;
use appliance::{database, keys};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use selvedge_domain::gtin::Gtin;
use selvedge_sync::admission::Admission;
use selvedge_sync::allow_list::Row;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::hlc::Millis;
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::origin::{DeviceId, Origin, Role, Stream};
use selvedge_sync::replica::Replica;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of one write of HQ: an entry must stay below its limit.
const ROWS_PER_WRITE: i64 = 400;
/// Frames that the pos takes in before HQ writes on.
const WRITES_PER_TURN: i64 = 40;
/// Receipts of the pos, so that some products are wanted more than others.
const RECEIPTS: i64 = 2_000;
/// The first twelve digits of GTINs begin so.
const GTIN_PREFIX: u64 = 952_000_000_000;
/// Names of makers, made from syllables.
const MAKERS: usize = 1_500;

const SYLLABLES: [&str; 24] = [
    "al", "ber", "ca", "dor", "el", "fio", "gra", "hol", "in", "jo", "ka", "lin", "mé", "nor", "o",
    "pri", "que", "ros", "sten", "tu", "un", "ver", "wil", "zo",
];
const MANNERS: [&str; 32] = [
    "slim", "wide", "soft", "light", "heavy", "brushed", "washed", "ribbed", "quilted", "lined",
    "waxed", "woven", "knitted", "organic", "recycled", "classic", "modern", "cropped", "long",
    "short", "stretch", "striped", "checked", "plain", "padded", "hooded", "belted", "pleated",
    "fitted", "loose", "thermal", "seamless",
];
const STUFFS: [&str; 24] = [
    "cotton", "merino", "wool", "linen", "silk", "denim", "leather", "suede", "cashmere", "fleece",
    "flannel", "tweed", "velvet", "corduroy", "jersey", "poplin", "canvas", "nylon", "crêpe",
    "satin", "alpaca", "bamboo", "hemp", "mohair",
];
const THINGS: [&str; 40] = [
    "shirt", "t-shirt", "blouse", "cardigan", "crew", "sweater", "hoodie", "jacket", "coat",
    "parka", "blazer", "vest", "trousers", "jeans", "shorts", "skirt", "dress", "jumpsuit",
    "socks", "tights", "scarf", "gloves", "beanie", "cap", "hat", "belt", "boots", "sneakers",
    "sandals", "loafers", "bag", "rucksack", "wallet", "pyjamas", "robe", "towel", "blanket",
    "cushion", "apron", "tie",
];
const SIZES: [&str; 10] = ["XS", "S", "M", "L", "XL", "36", "38", "40", "42", "44"];
const COLOURS: [&str; 12] = [
    "ink", "moss", "écru", "rust", "navy", "black", "white", "sand", "plum", "slate", "rose", "sky",
];
const DEPARTMENTS: [&str; 8] =
    ["Women", "Men", "Children", "Shoes", "Home", "Sport", "Accessories", "Outlet"];

/// What a pos with a long list is started from.
#[derive(Debug)]
pub struct BigList {
    /// The folder of its databases.
    pub data: PathBuf,
    /// The file that admits it.
    pub admission: PathBuf,
    /// Names of the products, by number less one.
    pub names: Vec<String>,
}

/// The device whose list it is.
pub const DEVICE: &str = "s0001-p01";

/// HQ writes a list of so many products, and the pos takes it in as it does any day.
pub fn make(folder: &Path, products: i64) -> Result<BigList, Fault> {
    let data = folder.join("data");
    std::fs::create_dir_all(&data)?;
    let (mut hq, mut pos, admission) = pair(folder, &data)?;
    for db in [hq.db(), pos.db()] {
        // The list is made anew for each bench: it need not outlive a power cut.
        db.execute_batch("PRAGMA synchronous=OFF; PRAGMA cache_size=-65536")?;
    }
    let mut dice = ChaCha8Rng::seed_from_u64(1);
    let makers: Vec<String> = (0..MAKERS).map(|_| maker(&mut dice)).collect();
    let mut names = Vec::new();
    let mut cut = 1;
    hq.write(Millis(BEGIN_MS), |tx| tx.execute_batch(STORE_SQL))?;
    for first in (1..=products).step_by(ROWS_PER_WRITE as usize) {
        let last = (first + ROWS_PER_WRITE - 1).min(products);
        let begun = names.len();
        names.extend((first..=last).map(|_| name(&mut dice, &makers)));
        write(&mut hq, first, &names[begun..], &mut dice)?;
        let is_turn = first / ROWS_PER_WRITE % WRITES_PER_TURN == WRITES_PER_TURN - 1;
        if is_turn || last == products {
            cut = send(&hq, &mut pos, cut)?;
        }
    }
    for no in 1..=RECEIPTS {
        let at = BEGIN_MS + no * 60_000;
        pos.write(Millis(at), |tx| plain_sale::write(tx, no, at, products, &mut dice))?;
    }
    let path = folder.join("admission.txt");
    std::fs::write(&path, admission.to_text())?;
    Ok(BigList { data, admission: path, names })
}

const STORE_SQL: &str =
    "INSERT INTO store (id, name, currency, tax_included) VALUES (1, 'Long list', 'GBP', 1);
     INSERT INTO tax_rate (store, class, valid_from, rate_ppm) VALUES (1, 1, 0, 200000);";

/// Cuts and takes what HQ has written since; gives the number of the next entry.
fn send(hq: &Replica, pos: &mut Replica, first: u64) -> Result<u64, Fault> {
    let (mut next, mut frames) = (first, Vec::new());
    while let Some(frame) = hq.cut(Stream::CHAIN, hq.identity().origin, next)? {
        next = frame.last() + 1;
        frames.push(frame);
    }
    take_all(pos, frames)?;
    Ok(next)
}

/// Plain SQL, one entry per table: a deed for each row would ask for what is known here.
fn write(
    hq: &mut Replica,
    first: i64,
    names: &[String],
    dice: &mut ChaCha8Rng,
) -> Result<(), Fault> {
    let at = Millis(BEGIN_MS);
    hq.write(at, |tx| -> rusqlite::Result<()> {
        let mut insert =
            tx.prepare_cached("INSERT INTO product (id, name, department) VALUES (?1, ?2, ?3)")?;
        for (name, id) in names.iter().zip(first..) {
            insert.execute((id, name, one(dice, &DEPARTMENTS)))?;
        }
        Ok(())
    })?;
    hq.write(at, |tx| -> rusqlite::Result<()> {
        let mut insert = tx.prepare_cached(
            "INSERT INTO variant (sku, product, size, colour, tax_class) VALUES (?1, ?1, ?2, ?3, 1)",
        )?;
        for sku in first..first + names.len() as i64 {
            insert.execute((sku, one(dice, &SIZES), one(dice, &COLOURS)))?;
        }
        Ok(())
    })?;
    hq.write(at, |tx| -> Result<(), Fault> {
        let mut price = tx.prepare_cached(
            "INSERT INTO price (sku, currency, store, valid_from, unit_minor) VALUES (?1, 'GBP', 0, 0, ?2)",
        )?;
        let mut gtin = tx.prepare_cached("INSERT INTO gtin (gtin, sku) VALUES (?1, ?2)")?;
        for sku in first..first + names.len() as i64 {
            price.execute((sku, 95 + sku * 7_919 % 9_900))?;
        }
        for sku in first..first + names.len() as i64 {
            let printed = Gtin::complete(GTIN_PREFIX + sku.unsigned_abs());
            gtin.execute((printed.ok_or("twelve digits make a GTIN")?, sku))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn pair(folder: &Path, data: &Path) -> Result<(Replica, Replica, Admission), Fault> {
    let authority = SoftwareKeys::from_seed([1; 32]);
    let hq_keys = SoftwareKeys::from_seed([2; 32]);
    let pos_keys = keys::load_or_make(data)?;
    let row = |origin, device: &str, store, role, key| -> Result<Row, Fault> {
        let origin = Origin::new(origin).ok_or("an origin is 1 or more")?;
        Ok(Row::sign(origin, &DeviceId::new(device)?, store, role, "T1", key, &authority))
    };
    let hq_row = row(1, "hq", 0, Role::Hq, hq_keys.public())?;
    let pos_row = row(2, DEVICE, STORE, Role::Pos, pos_keys.public())?;
    let of = |own: &Row, other: &Row| Admission {
        authority: authority.public(),
        rows: vec![own.clone(), other.clone()],
    };
    let mut hq = Replica::open(Settings {
        path: folder.join("hq.db"),
        vfs: None,
        identity: Identity::admitted(&of(&hq_row, &pos_row)),
        keys: Arc::new(hq_keys),
        migrations: trade_migrations(),
        cache_kib: 64 * 1_024,
    })?;
    hq.admit(&[hq_row.clone(), pos_row.clone()])?;
    let admission = of(&pos_row, &hq_row);
    let pos = database::open(data, &admission, Arc::new(pos_keys))?;
    Ok((hq, pos, admission))
}

fn maker(dice: &mut ChaCha8Rng) -> String {
    let word: String = (0..dice.random_range(2..4)).map(|_| one(dice, &SYLLABLES)).collect();
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

fn name(dice: &mut ChaCha8Rng, makers: &[String]) -> String {
    let maker = makers.choose(dice).map_or("", String::as_str);
    format!("{maker} {} {} {}", one(dice, &MANNERS), one(dice, &STUFFS), one(dice, &THINGS))
}

fn one(dice: &mut ChaCha8Rng, words: &[&'static str]) -> &'static str {
    words.choose(dice).copied().unwrap_or_default()
}
