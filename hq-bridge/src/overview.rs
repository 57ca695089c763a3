//! What the pages of HQ say of stores and devices, as texts

use chrono::DateTime;
use selvedge_domain::exceptions::Exception;
use selvedge_domain::moment::Moment;
use selvedge_domain::money::{Currency, Money};

use crate::condition::Condition;
use crate::figures::age;
use crate::fleet::{DeviceView, Fleet, StoreView};
use crate::freshness::DeviceFreshness;

/// One store in words.
pub struct StoreTexts {
    /// Its number.
    pub number: i64,
    /// Its name.
    pub name: String,
    /// Whether its figures are within their limit.
    pub fresh: bool,
    /// That in one word.
    pub word: &'static str,
    /// How old, and why it is stale.
    pub age: String,
    /// Up to when all of it is known.
    pub complete: String,
    /// Entries that are known to be there and not here; empty when there are none.
    pub missing: String,
    /// What it sold today.
    pub today: String,
    /// What it ever sold.
    pub ever: String,
    /// How many exceptions are open, and how many control totals differ; empty when none.
    pub open: String,
    /// Its devices.
    pub devices: Vec<DeviceTexts>,
}

/// One incarnation of a device in words.
pub struct DeviceTexts {
    /// Checkout code and series letter.
    pub label: String,
    /// Its device id.
    pub id: String,
    /// What it is in its store.
    pub role: &'static str,
    /// Whether it is admitted and has not been replaced.
    pub current: bool,
    /// Whether its age is within the limit.
    pub fresh: bool,
    /// Why it does not write as it should; empty when it does.
    pub trouble: &'static str,
    /// When it was heard.
    pub heard: String,
    /// Up to when all of it is known.
    pub complete: String,
    /// What is known to be there and not here.
    pub missing: String,
    /// Its build.
    pub build: String,
    /// Its newest receipt.
    pub newest: String,
    /// How many receipts of today and what they come to.
    pub today: String,
    /// How many receipts in all and what they come to.
    pub ever: String,
    /// What it signed, and when that was compared.
    pub signed: String,
    /// Whether held and signed differ.
    pub differs: bool,
    /// By how much, or that it agrees.
    pub verdict: String,
}

/// One exception in words.
pub struct ExceptionTexts {
    /// What it is.
    pub kind: String,
    /// What it is about.
    pub about: String,
    /// When, by the clock of who noticed it.
    pub at: String,
}

/// The state of the whole chain in one sentence; the most important wins.
pub fn banner(fleet: &Fleet) -> String {
    let stale = fleet.stores.iter().filter(|store| !store.freshness.synced).count();
    let differ = fleet.devices().filter(|device| device.differs()).count();
    let open: i64 = fleet.stores.iter().map(|store| store.open_exceptions).sum();
    let receipts: i64 = fleet.devices().map(|device| device.ever.receipts).sum();
    let plural = |count: usize, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    if fleet.stores.is_empty() {
        return "No store yet. Import one: hq-bridge import stores FILE.csv".to_string();
    }
    if differ > 0 {
        let differ = plural(differ, "control total differs", "control totals differ");
        return format!("{differ}. Open the store and read its exceptions.");
    }
    if stale > 0 {
        let stale = plural(stale, "store is stale", "stores are stale");
        return format!("{stale}: what it sold since it was heard is not in these figures.");
    }
    match open {
        0 => format!("{receipts} receipts held. All stores are fresh."),
        open => format!(
            "{receipts} receipts held. {} to look at.",
            plural(open as usize, "exception", "exceptions")
        ),
    }
}

/// What needs a person at HQ itself, a sentence each.
pub fn notes(condition: &Condition) -> Vec<String> {
    condition.sentences().into_iter().map(|sentence| sentence.replace('`', "\"")).collect()
}

/// One store.
pub fn store(view: &StoreView, now: Moment) -> StoreTexts {
    let (fresh, currency) = (&view.freshness, view.store.currency);
    let age = match (fresh.synced, fresh.age_ms) {
        (true, Some(ms)) => format!("heard {} ago", age(ms)),
        _ => fresh.reason(),
    };
    let differ = match view.differing() {
        0 => String::new(),
        1 => "1 control total differs".to_string(),
        count => format!("{count} control totals differ"),
    };
    let open = match view.open_exceptions {
        0 => String::new(),
        1 => "1 exception open".to_string(),
        count => format!("{count} exceptions open"),
    };
    let said: Vec<String> = [differ, open].into_iter().filter(|text| !text.is_empty()).collect();
    StoreTexts {
        number: view.store.id,
        name: view.store.name.clone(),
        fresh: fresh.synced,
        word: if fresh.synced { "Fresh" } else { "Stale" },
        age,
        complete: complete(fresh.complete_at, now),
        missing: missing(view.missing()),
        today: sums(view.today().receipts, view.today().gross(), currency),
        ever: sums(view.ever().receipts, view.ever().gross(), currency),
        open: said.join(", "),
        devices: view.devices.iter().map(|one| device(one, currency, now)).collect(),
    }
}

/// One device.
fn device(view: &DeviceView, currency: Currency, now: Moment) -> DeviceTexts {
    let fresh = view.freshness.as_ref();
    let heard = match fresh.map(|fresh| fresh.age_ms) {
        None if view.row.state.is_over() => view.row.state.as_str().to_string(),
        None => "replaced".to_string(),
        Some(Some(ms)) => format!("{} ago", age(ms)),
        Some(None) => "not since the start".to_string(),
    };
    let newest = view.newest.as_ref().map(|newest| {
        format!("{}, {}, {}", newest.number, currency.show(newest.total), clock(newest.at, now))
    });
    let (signed, verdict) = control_total(view, currency, now);
    DeviceTexts {
        label: view.row.label.clone(),
        id: view.row.device.as_str().to_string(),
        role: view.row.role.as_str(),
        current: fresh.is_some(),
        trouble: view.trouble.words(),
        fresh: fresh.is_none_or(|fresh| fresh.synced),
        heard,
        complete: complete(fresh.and_then(|fresh| fresh.complete_at), now),
        missing: missing(fresh.map_or(0, |fresh| fresh.missing)),
        build: build(fresh),
        newest: newest.unwrap_or_else(|| "none yet".to_string()),
        today: sums(view.today.receipts, view.today.gross(), currency),
        ever: sums(view.ever.receipts, view.ever.gross(), currency),
        signed,
        differs: view.differs(),
        verdict,
    }
}

fn control_total(view: &DeviceView, currency: Currency, now: Moment) -> (String, String) {
    let Some((at, total)) = &view.checked else {
        return ("nothing yet".to_string(), "nothing signed".to_string());
    };
    let Some(signed) = total.gross_signed() else {
        return ("nothing yet".to_string(), "nothing signed".to_string());
    };
    let said = format!("{}, compared {} ago", currency.show(signed), age(now.0 - at.0));
    let verdict = match (total.differs(), total.difference()) {
        (false, _) => "agrees".to_string(),
        (true, Money::ZERO) => "differs in count or tax".to_string(),
        (true, by) => format!("differs by {}", currency.show(by)),
    };
    (said, verdict)
}

/// One exception.
pub fn exception(exception: &Exception, now: Moment) -> ExceptionTexts {
    let mut about: Vec<String> = Vec::new();
    about.extend(exception.note.clone());
    about.extend(exception.sku.map(|sku| format!("SKU {sku}")));
    about.extend(exception.receipt.map(|receipt| format!("receipt {receipt}")));
    ExceptionTexts {
        kind: exception.kind.clone(),
        about: about.join(", "),
        at: clock(exception.at, now),
    }
}

fn build(fresh: Option<&DeviceFreshness>) -> String {
    fresh.and_then(|fresh| fresh.build.clone()).unwrap_or_else(|| "not told".to_string())
}

fn missing(entries: u64) -> String {
    match entries {
        0 => String::new(),
        1 => "1 entry not here yet".to_string(),
        count => format!("{count} entries not here yet"),
    }
}

fn complete(at: Option<Moment>, now: Moment) -> String {
    at.map_or("Never known whole.".to_string(), |at| format!("Known whole at {}.", clock(at, now)))
}

fn sums(receipts: i64, gross: Money, currency: Currency) -> String {
    match receipts {
        0 => "none".to_string(),
        count => format!("{} in {count}", currency.show(gross)),
    }
}

/// A moment as people say it: the time of today, else the day too. UTC, for HQ's stores may lie in many zones.
fn clock(at: Moment, now: Moment) -> String {
    let time = |at: Moment| DateTime::from_timestamp_millis(at.0);
    match (time(at), time(now)) {
        (Some(at), Some(now)) if at.date_naive() == now.date_naive() => {
            format!("{} UTC", at.format("%H:%M:%S"))
        }
        (Some(at), _) => format!("{} UTC", at.format("%Y-%m-%d %H:%M")),
        (None, _) => "at no known time".to_string(),
    }
}
