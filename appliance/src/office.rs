//! What the screens of the back office do alike
//!
//! A deed of the back office and its request are one transaction of the
//! replica: the same form sent twice counts once, even when power goes between
//! its two answers.

use std::fmt::Display;

use rusqlite::Transaction;
use selvedge_domain::catalogue::{self, ScanError, Tag};
use selvedge_domain::once::once;
use selvedge_domain::staff::{self, Employee, Rights};
use selvedge_sync::allow_list::{Row, State};
use selvedge_sync::outcome::WriteError;
use selvedge_sync::private::PrivateError;
use selvedge_transport::engine::EngineError;

use crate::database::Reader;
use crate::doors;
use crate::freshness::{self, Freshness};
use crate::page::{Fields, PageError, Shared};
use crate::signon::SignedOn;

/// The most variants that a name finds here.
const FOUND_MAX: u32 = 12;

/// The person who is signed on, if the rights of this moment let them work here.
pub fn person(shared: &Shared, db: &Reader, who: &SignedOn) -> Result<Employee, PageError> {
    let person = staff::employee(db, shared.store(), who.employee)?;
    person.filter(|person| doors::works_here(person.rights)).ok_or(PageError::SignOn)
}

/// The same, if they have a right; else a sentence that says whom to ask.
pub fn person_with(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    right: Rights,
) -> Result<Employee, PageError> {
    let person = person(shared, db, who)?;
    if person.rights.has(right) {
        return Ok(person);
    }
    Err(PageError::NoRight { name: person.name, right })
}

/// Carries out a deed once and says where it leads, or why it was refused.
pub fn carry_out<E>(
    shared: &Shared,
    who: &SignedOn,
    fields: &Fields,
    deed: impl FnOnce(&Transaction) -> Result<String, E> + Send + 'static,
) -> Result<Result<String, E>, PageError>
where
    E: From<rusqlite::Error> + Display + Send + 'static,
{
    let request = shared.request(who, fields)?.to_owned();
    let written = shared.database.write(move |tx| once(tx, &request, deed));
    shared.changed();
    match written {
        Ok(done) => Ok(Ok(done.value)),
        Err(EngineError::Write(WriteError::Refused(refusal))) => Ok(Err(refusal)),
        Err(EngineError::Write(WriteError::Private(PrivateError::CardNumber { .. }))) => {
            Err(PageError::CardNumber)
        }
        Err(error) => Err(PageError::NotWritten(error.to_string())),
    }
}

/// What a code or a name found.
#[derive(Debug)]
pub enum Found {
    /// This one.
    One(Tag),
    /// One of these.
    Many(Vec<Tag>),
    /// Nothing, and why.
    Nothing(String),
}

/// Looks a product up by GTIN, SKU or name.
pub fn look_up(shared: &Shared, db: &Reader, text: &str) -> Result<Found, PageError> {
    let (store, now) = (shared.store(), shared.now());
    match catalogue::scan(db, store, text, now) {
        Ok(tag) => return Ok(Found::One(tag)),
        Err(ScanError::Database(error)) => return Err(error.into()),
        Err(error) if !text.chars().any(char::is_alphabetic) => {
            return Ok(Found::Nothing(error.to_string()));
        }
        Err(_) => {}
    }
    let mut tags = called(shared, db, text)?;
    Ok(match (tags.pop(), tags.is_empty()) {
        (Some(tag), true) => Found::One(tag),
        (Some(tag), false) => {
            tags.push(tag);
            Found::Many(tags)
        }
        (None, _) => {
            let start: String = text.chars().take(40).collect();
            Found::Nothing(format!(
                "nothing here is called \"{start}\": type a part of the name, or scan it"
            ))
        }
    })
}

/// What is called so: by the index of the catalogue, and while that is not there yet by a slow look at every name.
fn called(shared: &Shared, db: &Reader, text: &str) -> Result<Vec<Tag>, PageError> {
    let (store, now) = (shared.store(), shared.now());
    let mut tags = Vec::new();
    for found in shared.search.find(text, FOUND_MAX) {
        tags.extend(catalogue::by_product(db, store, found.product, now)?);
    }
    if tags.is_empty() {
        tags = catalogue::find(db, store, text, now, FOUND_MAX)?;
    }
    tags.truncate(FOUND_MAX as usize);
    Ok(tags)
}

/// A device of this store, and when it was last heard.
#[derive(Debug)]
pub struct Heard {
    /// The label on its receipts.
    pub label: String,
    /// Its age.
    pub age: Freshness,
}

/// When each other device of this store was last heard here.
pub fn heard(shared: &Shared, db: &Reader) -> Result<Vec<Heard>, PageError> {
    let limit = catalogue::stale_after_ms(db, shared.store())?;
    let children = shared.database.status().children;
    let heard = |row: Row| {
        let heard = children.iter().find(|child| child.0 == row.device).and_then(|child| child.1);
        Heard { label: row.label, age: freshness::of(heard, limit) }
    };
    let active = |row: &Row| row.state == State::Active;
    Ok(shared.database.devices(db).into_iter().filter(active).map(heard).collect())
}

/// What a balance does not know yet: the devices whose sales may be missing in it, or nothing.
pub fn missing_sales(shared: &Shared, db: &Reader) -> Result<String, PageError> {
    let stale = heard(shared, db)?.into_iter().filter(|device| device.age.is_stale);
    let named: Vec<String> =
        stale.map(|device| format!("{} ({})", device.label, device.age.words)).collect();
    Ok(match named.as_slice() {
        [] => String::new(),
        named => format!("Sales may be missing of {}.", named.join(", ")),
    })
}
