//! Every reader of texts that people write, and its word
//!
//! An import answers for every line of its file: taken or refused, each once and in order, and the same file again changes
//! nothing. Settings are refused with a short sentence, or what they say is within its bounds. Nobody panics.

use crate::bench_desk::Fault;
use appliance::config::Config;
use hq_bridge::authority;
use hq_bridge::config as hq_config;
use hq_bridge::database::{self, Database};
use hq_bridge::import::rows::{Refusal, Summary};
use hq_bridge::import::{self, FileKind};
use selvedge_simulator::parsers::Read;
use std::path::Path;
use tempfile::TempDir;

/// Reads a text, and says what came of it.
pub type Reading = Box<dyn FnMut(&[u8]) -> Read>;

/// A reader: its name, texts that it reads, and itself. It panics where it does not keep its word.
pub struct Reader {
    /// What it is called.
    pub name: &'static str,
    /// Texts to begin with.
    pub texts: Vec<String>,
    /// One in so many inputs is given to it: some take long.
    pub one_in: u64,
    /// Reads a text, and looks at what came of it.
    pub read: Reading,
}

/// A refusal may quote what it refuses, but not all of it.
const SENTENCE_MAX: usize = 4_096;

const STORES: &str =
    "store,name,currency,tax_included\n1,Harbour,GBP,yes\n2,\"Mill Lane, old\",EUR,no\n";
const TAXES: &str = "store,tax_class,rate,valid_from\n1,1,20,\n2,1,8.875,2026-01-01\n";
const CATALOGUE: &str = "sku,product,name,department,size,colour,tax_class,favourite,gtin\n\
    1001,10,\"Oxford shirt, slim\",Men,M,navy,1,1,9520000000028\n\
    1002,10,\"Oxford shirt, slim\",Men,L,navy,1,,\n";
const PRICES: &str =
    "sku,store,currency,price,valid_from\n1001,0,GBP,24.99,\n1002,0,GBP,26.00,2026-01-01\n";
const EMPLOYEES: &str =
    "store,employee,name,badge,pin,rights\n1,7,Ada,B-7,4711,\"sell, open price\"\n";
const STOCK: &str = "store,sku,quantity\n1,1001,10\n1,1002,4\n";
const NUTRITION: &str = "product,is_drink,nutri_score,nova_group,energy_kj,fat_g,saturates_g,sugars_g,salt_g,allergens,source\n\
    10,no,C,3,1500,10.5,2.25,30,0.5,milk,Label\n";
const CUSTOMERS: &str = "customer,card,discount\n501,99001234,7.5\n502,99001235,\n";

const SETTINGS: &str = r#"device = "s0001-b01"
role = "back-office"
data = "data"
admission = "admission.txt"
listen = "127.0.0.1:8080"
broker_listen = "0.0.0.0:1883"
beat_s = 10
time_zone = "Europe/London"
modes = ["checkout", "kiosk"]
languages = ["en"]
light = "night"
panel_width_px = 1366
panel_width_mm = 341
lock_after_s = 90
space_min_mib = 64
card_terminal = "by-hand"

[parents]
hq = "mqtt://127.0.0.1:7883"
"#;

/// All of them, with the folder of the HQ into which files are imported.
pub fn all() -> Result<(TempDir, Vec<Reader>), Fault> {
    let folder = tempfile::tempdir()?;
    let mut readers = vec![
        Reader {
            name: "settings of a device",
            texts: vec![SETTINGS.to_owned()],
            one_in: 1,
            read: Box::new(settings),
        },
        Reader {
            name: "settings of HQ",
            texts: vec![hq_config::EXAMPLE.to_owned()],
            one_in: 1,
            read: Box::new(settings_of_hq),
        },
    ];
    for kind in FileKind::ALL {
        // A store begins with what it has once; all else is there already.
        let before = FileKind::ALL.into_iter().filter(|one| *one != FileKind::OpeningStock);
        let texts: Vec<_> = before.map(|kind| (kind, text_of(kind))).collect();
        let database = hq_with(&folder.path().join(kind.as_str()), &texts)?;
        readers.push(Reader {
            name: kind.as_str(),
            texts: vec![text_of(kind).to_owned()],
            // A PIN is hashed so that it takes long.
            one_in: if kind == FileKind::Employees { 20 } else { 4 },
            read: Box::new(move |bytes| imported(kind, bytes, &database)),
        });
    }
    Ok((folder, readers))
}

fn text_of(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Stores => STORES,
        FileKind::Taxes => TAXES,
        FileKind::Catalogue => CATALOGUE,
        FileKind::Prices => PRICES,
        FileKind::Employees => EMPLOYEES,
        FileKind::OpeningStock => STOCK,
        FileKind::Nutrition => NUTRITION,
        FileKind::Customers => CUSTOMERS,
    }
}

/// An HQ that has all these files and does not wait for its disk.
fn hq_with(folder: &Path, texts: &[(FileKind, &str)]) -> Result<Database, Fault> {
    std::fs::create_dir_all(folder)?;
    let config = hq_config::parse("data = \"hq\"", folder, "hq.toml")?;
    authority::make(&config.data, &database::file(&config))?;
    let database = Database::open(&config, &authority::read(&config.data)?)?;
    database.act(|replica, _| replica.db().execute_batch("PRAGMA synchronous=OFF"))??;
    for (kind, text) in texts {
        let (summary, _) = import_of(*kind, text.as_bytes(), &database);
        if summary.taken == 0 {
            return Err(format!("the file of {} is not taken", kind.as_str()).into());
        }
    }
    Ok(database)
}

fn import_of(kind: FileKind, bytes: &[u8], database: &Database) -> (Summary, Vec<Refusal>) {
    let mut refused = Vec::new();
    let mut report = |refusal| {
        refused.push(refusal);
        Ok(())
    };
    let done = import::run(kind, bytes, database, &mut report);
    (done.expect("a file from outside stops no import"), refused)
}

fn imported(kind: FileKind, bytes: &[u8], database: &Database) -> Read {
    let (summary, refused) = import_of(kind, bytes, database);
    assert_eq!(summary.refused, refused.len() as u64, "every refusal is told");
    let is_blank = |line: &&[u8]| line.iter().all(u8::is_ascii_whitespace);
    let lines = bytes.split(|byte| *byte == b'\n');
    let rows = lines.skip(1).filter(|line| !is_blank(line)).count() as u64;
    let answered = summary.taken + summary.refused;
    let no_header = summary.taken == 0 && refused.len() == 1 && refused[0].line == 1;
    assert!(answered == rows || no_header, "{answered} answers to {rows} rows");
    assert!(refused.is_sorted_by(|one, next| one.line < next.line), "each line once, in order");
    let is_sentence = |told: &Refusal| !told.reason.is_empty() && told.reason.len() <= SENTENCE_MAX;
    assert!(refused.iter().all(is_sentence), "a refusal is a sentence");
    if summary.taken == 0 {
        return Read::Refused;
    }
    let (again, refused_again) = import_of(kind, bytes, database);
    if kind == FileKind::OpeningStock {
        assert_eq!(again.taken, 0, "a store begins once");
    } else {
        assert_eq!((again.taken, refused_again), (summary.taken, refused), "the same file again");
    }
    assert_eq!(again.entries, 0, "what is there already changes nothing");
    Read::Alike
}

fn settings(bytes: &[u8]) -> Read {
    let Ok(text) = std::str::from_utf8(bytes) else { return Read::Refused };
    let read = || Config::parse(Path::new("config.toml"), text);
    match (read(), read()) {
        (Ok(config), Ok(again)) => {
            assert_eq!(format!("{config:?}"), format!("{again:?}"), "one meaning");
            assert!((1_000..=3_600_000).contains(&config.beat_ms));
            assert!((10_000..=86_400_000).contains(&config.lock_after_ms));
            assert!(!config.modes.is_empty() && !config.languages.is_empty());
            assert!((1..=16).contains(&config.device.len()));
            assert!(config.px_per_mm().is_normal() && config.space_min_bytes > 0);
            Read::Alike
        }
        (Err(why), Err(again)) => {
            refused_well(&why.to_string(), text);
            assert_eq!(why.to_string(), again.to_string());
            Read::Refused
        }
        _ => panic!("taken once and refused once"),
    }
}

fn settings_of_hq(bytes: &[u8]) -> Read {
    let Ok(text) = std::str::from_utf8(bytes) else { return Read::Refused };
    match hq_config::parse(text, Path::new("/srv"), "hq.toml") {
        Ok(config) => {
            assert!(config.listen.ip().is_loopback(), "nobody signs on there");
            assert!((1_000..=3_600_000).contains(&config.beat_ms));
            Read::Alike
        }
        Err(why) => {
            refused_well(&why.to_string(), text);
            Read::Refused
        }
    }
}

/// A parser shows the line that it does not understand, twice at most.
fn refused_well(sentence: &str, text: &str) {
    let longest = text.lines().map(str::len).max().unwrap_or(0);
    assert!(!sentence.is_empty() && sentence.len() <= SENTENCE_MAX + 3 * longest.max(text.len()));
}
