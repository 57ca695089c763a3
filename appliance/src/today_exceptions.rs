//! What a manager should look at, one line each

use selvedge_domain::catalogue;
use selvedge_domain::exceptions::{self, Exception, IN_DOUBT, OVERSOLD, TOTALS_DIFFER};
use selvedge_domain::in_doubt;
use selvedge_domain::money::Money;
use selvedge_domain::receipts::{self, WholeReceipt};
use selvedge_domain::stock;

use crate::amounts::sentence;
use crate::database::Reader;
use crate::local_time;
use crate::office;
use crate::page::{PageError, Shared};

/// How many lines are shown at once.
const LINES_SHOWN: u32 = 50;

/// The lines of one list.
#[derive(Debug)]
pub struct ExceptionsView {
    /// Moves with each change.
    pub rev: String,
    /// These were called done.
    pub shows_done: bool,
    /// Devices that were not heard for too long: they leave the list by themselves.
    pub stale: Vec<StaleView>,
    /// The newest first.
    pub lines: Vec<ExceptionLine>,
    /// How many more there are.
    pub more: u64,
}

/// A device that is not heard.
#[derive(Debug)]
pub struct StaleView {
    /// Its label.
    pub label: String,
    /// Since when, in words.
    pub words: String,
}

/// One exception.
#[derive(Debug)]
pub struct ExceptionLine {
    /// Its row id, as text.
    pub id: String,
    /// What kind it is, in words.
    pub title: String,
    /// What it is about.
    pub detail: String,
    /// When it was noticed.
    pub at: String,
    /// Who called it done and when; empty while it is open.
    pub done: String,
    /// The remark of whoever did.
    pub note: String,
}

/// All that is known of one exception.
#[derive(Debug)]
pub struct LookView {
    /// The line of the list.
    pub line: ExceptionLine,
    /// Number and moment of the receipt, or nothing.
    pub receipt: String,
    /// Its lines: quantity, name, amount.
    pub goods: Vec<(String, String, String)>,
    /// What it came to.
    pub total: String,
    /// The balance of this moment in a sentence, or nothing.
    pub balance: String,
    /// Devices whose sales may be missing in it.
    pub missing: String,
    /// The SKU it is about, or nothing.
    pub sku: String,
}

/// The list of open ones, or of those that were called done.
pub fn view(shared: &Shared, db: &Reader, shows_done: bool) -> Result<ExceptionsView, PageError> {
    let store = shared.store();
    let found = match shows_done {
        true => exceptions::done(db, store, LINES_SHOWN)?,
        false => exceptions::open(db, store, LINES_SHOWN)?,
    };
    let count = exceptions::open_count(db, store)?;
    let stale = office::heard(shared, db)?.into_iter().filter(|device| device.age.is_stale);
    let stale: Vec<StaleView> =
        stale.map(|device| StaleView { label: device.label, words: device.age.words }).collect();
    let labels: Vec<&str> = stale.iter().map(|device| device.label.as_str()).collect();
    let newest = found.first().map_or(0, |newest| newest.id);
    let rev = format!("{shows_done}.{newest}.{count}.{}", labels.join("."));
    let lines: Result<Vec<_>, _> = found.iter().map(|one| line(shared, db, one)).collect();
    let more = if shows_done { 0 } else { count - (found.len() as u64).min(count) };
    let stale = if shows_done { Vec::new() } else { stale };
    Ok(ExceptionsView { rev, shows_done, stale, lines: lines?, more })
}

fn line(shared: &Shared, db: &Reader, one: &Exception) -> Result<ExceptionLine, PageError> {
    let say = |at| local_time::when(at, shared.now(), shared.config.time_zone);
    let number = match one.receipt {
        Some(receipt) => receipts::by_id(db, receipt)?.map(|receipt| number(shared, db, &receipt)),
        None => None,
    };
    let goods = match one.sku {
        Some(sku) => Some(label(shared, db, sku)?),
        None => None,
    };
    let after = number.map(|number| format!("after {number}"));
    let (title, parts) = match one.kind.as_str() {
        OVERSOLD => {
            let balance = one.amount.map(|left| format!("balance {}", signed(left)));
            ("Sold below stock".to_owned(), vec![goods, balance, after, one.note.clone()])
        }
        TOTALS_DIFFER => ("Totals differ".to_owned(), vec![one.note.clone(), after]),
        IN_DOUBT => {
            let currency = shared.store_data(db)?.map(|store| store.currency);
            let amount = one.amount.zip(currency).map(|(sum, unit)| unit.show(Money(sum)));
            let answered = in_doubt::of_exception(db, one.id)?;
            let answer = answered.map(|said| format!("{} said: {}", said.by, said.answer.as_str()));
            ("Cut off in a sale".to_owned(), vec![answer, amount, after])
        }
        other => {
            (sentence(other).trim_end_matches('.').to_owned(), vec![goods, after, one.note.clone()])
        }
    };
    let done = exceptions::done_of(db, one.id)?;
    Ok(ExceptionLine {
        id: one.id.to_string(),
        title,
        detail: parts.into_iter().flatten().collect::<Vec<_>>().join(", "),
        at: say(one.at),
        done: done
            .as_ref()
            .map_or_else(String::new, |done| format!("{}, {}", done.by, say(done.at))),
        note: done.and_then(|done| done.note).unwrap_or_default(),
    })
}

/// One exception with its receipt and the balance of this moment; `None` when there is no such one.
pub fn look(shared: &Shared, db: &Reader, id: i64) -> Result<Option<LookView>, PageError> {
    let Some(one) = exceptions::by_id(db, shared.store(), id)? else { return Ok(None) };
    let whole = match one.receipt {
        Some(receipt) => receipts::whole(db, receipt)?,
        None => None,
    };
    let now = shared.now();
    let balance = match one.sku {
        Some(sku) => {
            let balance = stock::balance(db, shared.store(), sku)?;
            let since = balance.changed_at.map_or_else(String::new, |at| {
                format!(", last changed {}", local_time::when(at, now, shared.config.time_zone))
            });
            format!("The balance is {} now{since}.", signed(balance.on_hand))
        }
        None => String::new(),
    };
    let mut goods = Vec::new();
    for line in whole.iter().flat_map(|whole| &whole.lines) {
        let currency = whole.as_ref().map(|whole| whole.receipt.currency);
        let amount = currency.map_or_else(String::new, |currency| currency.show(line.amount()));
        goods.push((signed(line.quantity), label(shared, db, line.sku)?, amount));
    }
    let missing =
        if one.sku.is_some() { office::missing_sales(shared, db)? } else { String::new() };
    Ok(Some(LookView {
        line: line(shared, db, &one)?,
        receipt: whole.as_ref().map_or_else(String::new, |whole| title(shared, db, whole)),
        goods,
        total: whole
            .map_or_else(String::new, |whole| whole.receipt.currency.show(whole.receipt.total)),
        balance,
        missing,
        sku: one.sku.map_or_else(String::new, |sku| sku.to_string()),
    }))
}

fn title(shared: &Shared, db: &Reader, whole: &WholeReceipt) -> String {
    let at = local_time::when(whole.receipt.at, shared.now(), shared.config.time_zone);
    format!("Receipt {}, {at}", number(shared, db, &whole.receipt))
}

/// The printed number: the label is that of the device that wrote it.
fn number(shared: &Shared, db: &Reader, receipt: &receipts::Receipt) -> String {
    let numbers = shared.database.numbers(db, std::slice::from_ref(receipt));
    numbers.into_iter().next().unwrap_or_default()
}

fn label(shared: &Shared, db: &Reader, sku: i64) -> Result<String, PageError> {
    let tag = catalogue::by_sku(db, shared.store(), sku, shared.now())?;
    Ok(tag.map_or_else(|| format!("SKU {sku}"), |tag| tag.label()))
}

/// A count with a real minus sign.
pub fn signed(count: i64) -> String {
    if count < 0 { format!("−{}", count.unsigned_abs()) } else { count.to_string() }
}
