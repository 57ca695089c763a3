//! Employees, badges, PINs and rights
//!
//! A badge is kept as a hash bound to its store, so a list of employees is no
//! list of badges to copy. The PIN is short; argon2id makes each guess cost
//! time. An unknown badge costs the same time as a wrong PIN, and both say the
//! same sentence: whoever found a badge learns nothing by trying it.

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use rusqlite::{Connection, OptionalExtension, Transaction};
use sha2::{Digest, Sha256};
use std::fmt;

/// Memory of one PIN hash. Small, because several may run on a small device.
const PIN_MEMORY_KIB: u32 = 4 * 1024;

/// Rounds of one PIN hash: with the memory above about 20 ms on a small device.
const PIN_ROUNDS: u32 = 8;

/// What a hash of a badge is a hash of, so that no other hash can stand for it.
const BADGE_TAG: &[u8] = b"selvedge badge 1\0";

/// The PIN hash that is tried where no badge matches, so that the answer takes
/// as long as for a wrong PIN. It is the hash of no PIN: its digest is made up.
const NOBODY: &str =
    "$argon2id$v=19$m=4096,t=8,p=1$bm9ib2R5IGlzIGhlcmU$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What an employee may do: a set of named bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(pub i64);

impl Rights {
    /// Ring up and take payment.
    pub const SELL: Rights = Rights(1);
    /// Give a discount on a line.
    pub const DISCOUNT: Rights = Rights(2);
    /// Type a price other than the catalogue's.
    pub const OPEN_PRICE: Rights = Rights(4);
    /// Take goods back.
    pub const RETURN: Rights = Rights(8);
    /// Book deliveries and corrections.
    pub const STOCK: Rights = Rights(16);
    /// Approve, and see exceptions.
    pub const MANAGE: Rights = Rights(32);

    /// Every right with its name.
    pub const NAMED: [(&str, Rights); 6] = [
        ("sell", Rights::SELL),
        ("discount", Rights::DISCOUNT),
        ("open price", Rights::OPEN_PRICE),
        ("return", Rights::RETURN),
        ("stock", Rights::STOCK),
        ("manage", Rights::MANAGE),
    ];

    /// Both sets together.
    pub fn and(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// Whether all of the other set are here.
    pub fn has(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// Reads names with commas between: "sell, discount". Nothing is no right.
    pub fn parse(text: &str) -> Result<Rights, StaffError> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.into_iter().try_fold(Rights(0), |rights, name| {
            let found = Rights::NAMED.iter().find(|named| named.0 == name);
            let unknown = || StaffError::UnknownRight(name.chars().take(20).collect());
            found.map(|named| rights.and(named.1)).ok_or_else(unknown)
        })
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = Rights::NAMED.iter().filter(|named| self.has(named.1));
        out.pad(&held.map(|named| named.0).collect::<Vec<_>>().join(", "))
    }
}

/// A person who works in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Employee {
    /// The store.
    pub store: i64,
    /// The person's number.
    pub id: i64,
    /// The name that receipts and screens show.
    pub name: String,
    /// What the person may do.
    pub rights: Rights,
}

/// Why a sign-on was refused.
#[derive(Debug, thiserror::Error)]
pub enum SignOnError {
    /// Badge, PIN or both; it is not said which.
    #[error("badge or PIN is not right: scan the badge and type the PIN again")]
    Refused,
    /// The database could not be read.
    #[error("the list of employees could not be read")]
    Database(#[from] rusqlite::Error),
}

/// Why an employee was not taken into the list.
#[derive(Debug, thiserror::Error)]
pub enum StaffError {
    /// No such right.
    #[error("\"{0}\" is no right: use sell, discount, open price, return, stock or manage")]
    UnknownRight(String),
    /// The store is not known.
    #[error("there is no store {0}: import the stores first")]
    UnknownStore(i64),
    /// The person's number is not usable.
    #[error("an employee's number is 1 or more, not {0}")]
    Number(i64),
    /// The name is empty or too long.
    #[error("the name of employee {0} is empty or longer than 80 characters")]
    Name(i64),
    /// The badge is empty or too long.
    #[error("the badge of employee {0} is empty or longer than 64 characters")]
    Badge(i64),
    /// Somebody else of the store has this badge.
    #[error("employee {0} already has this badge: give each a badge of its own")]
    BadgeTaken(i64),
    /// A PIN that nobody could type, or that anybody would guess.
    #[error("a PIN has 4 to 12 digits")]
    Pin,
    /// The hash did not come from `pin_hash`.
    #[error("the PIN of employee {0} is not hashed as it must be")]
    PinHash(i64),
    /// The database refused; nothing was written.
    #[error("the employee was not written")]
    Database(#[from] rusqlite::Error),
}

/// Hashes a badge as the database keeps it.
pub fn badge_hash(store: i64, badge: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(BADGE_TAG);
    hash.update(store.to_be_bytes());
    hash.update(badge.trim().as_bytes());
    hash.finalize().into()
}

/// Hashes a PIN with the given salt. Takes about 20 ms: call it outside of a write.
pub fn hash_pin(pin: &str, salt: &[u8; 16]) -> Result<String, StaffError> {
    let usable = (4..=12).contains(&pin.len()) && pin.bytes().all(|byte| byte.is_ascii_digit());
    if !usable {
        return Err(StaffError::Pin);
    }
    let hash: PasswordHash =
        argon2id().hash_password_with_salt(pin.as_bytes(), salt).map_err(|_| StaffError::Pin)?;
    Ok(hash.to_string())
}

/// The PIN hash to write for an employee: the one that is there if it already
/// is of this PIN, so that the same import twice changes nothing; else a new one.
pub fn pin_hash(
    db: &Connection,
    store: i64,
    id: i64,
    pin: &str,
    salt: &[u8; 16],
) -> Result<String, StaffError> {
    let kept: Option<String> = db
        .prepare_cached("SELECT pin FROM employee WHERE store = ?1 AND id = ?2")?
        .query_row((store, id), |row| row.get(0))
        .optional()?;
    match kept {
        Some(kept) if is_pin(&kept, pin) => Ok(kept),
        _ => hash_pin(pin, salt),
    }
}

fn is_pin(hash: &str, pin: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| argon2id().verify_password(pin.as_bytes(), &hash).is_ok())
}

fn argon2id() -> Argon2<'static> {
    let params = Params::new(PIN_MEMORY_KIB, PIN_ROUNDS, 1, None)
        .expect("the constants above are within argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Who stands before the screen, if badge and PIN are right.
pub fn sign_on(
    db: &Connection,
    store: i64,
    badge: &str,
    pin: &str,
) -> Result<Employee, SignOnError> {
    let found: Option<(Employee, String)> = db
        .prepare_cached(
            "SELECT id, name, rights, pin FROM employee WHERE store = ?1 AND badge = ?2
             ORDER BY rights = 0, id LIMIT 1",
        )?
        .query_row((store, badge_hash(store, badge)), |row| {
            let rights = Rights(row.get(2)?);
            let person = Employee { store, id: row.get(0)?, name: row.get(1)?, rights };
            Ok((person, row.get(3)?))
        })
        .optional()?;
    let hash = found.as_ref().map_or(NOBODY, |found| found.1.as_str());
    let right = is_pin(hash, pin);
    match found {
        Some((person, _)) if right && person.rights.0 != 0 => Ok(person),
        _ => Err(SignOnError::Refused),
    }
}

/// One employee of a store, with the rights of this moment.
pub fn employee(db: &Connection, store: i64, id: i64) -> rusqlite::Result<Option<Employee>> {
    db.prepare_cached("SELECT name, rights FROM employee WHERE store = ?1 AND id = ?2")?
        .query_row((store, id), |row| {
            Ok(Employee { store, id, name: row.get(0)?, rights: Rights(row.get(1)?) })
        })
        .optional()
}

/// Everybody of a store by name, those who have left last. Neither badge nor PIN is read.
pub fn of_store(db: &Connection, store: i64) -> rusqlite::Result<Vec<Employee>> {
    db.prepare_cached(
        "SELECT id, name, rights FROM employee WHERE store = ?1 ORDER BY rights = 0, name, id",
    )?
    .query_map([store], |row| {
        Ok(Employee { store, id: row.get(0)?, name: row.get(1)?, rights: Rights(row.get(2)?) })
    })?
    .collect()
}

/// What an employee may do; `None` if nobody has the number.
pub fn rights(db: &Connection, store: i64, id: i64) -> rusqlite::Result<Option<Rights>> {
    db.prepare_cached("SELECT rights FROM employee WHERE store = ?1 AND id = ?2")?
        .query_row((store, id), |row| row.get(0).map(Rights))
        .optional()
}

/// An employee as HQ enters one.
#[derive(Debug, Clone)]
pub struct NewEmployee<'a> {
    /// The store.
    pub store: i64,
    /// The person's number.
    pub id: i64,
    /// The name.
    pub name: &'a str,
    /// The badge as the scanner reads it; only its hash is kept.
    pub badge: &'a str,
    /// From `pin_hash`.
    pub pin_hash: &'a str,
    /// What the person may do; no rights at all for somebody who has left.
    pub rights: Rights,
}

/// Writes an employee; `true` if that changed anything.
pub fn upsert(tx: &Transaction, new: &NewEmployee) -> Result<bool, StaffError> {
    let name = new.name.trim();
    if new.id < 1 {
        return Err(StaffError::Number(new.id));
    }
    if name.is_empty() || name.chars().count() > 80 {
        return Err(StaffError::Name(new.id));
    }
    if new.badge.trim().is_empty() || new.badge.len() > 64 {
        return Err(StaffError::Badge(new.id));
    }
    if !new.pin_hash.starts_with("$argon2id$") || PasswordHash::new(new.pin_hash).is_err() {
        return Err(StaffError::PinHash(new.id));
    }
    let known = tx.prepare_cached("SELECT 1 FROM store WHERE id = ?1")?.exists([new.store])?;
    if !known {
        return Err(StaffError::UnknownStore(new.store));
    }
    let badge = badge_hash(new.store, new.badge);
    let taken: Option<i64> = tx
        .prepare_cached(
            "SELECT id FROM employee WHERE store = ?1 AND badge = ?2 AND id <> ?3 AND rights <> 0",
        )?
        .query_row((new.store, badge, new.id), |row| row.get(0))
        .optional()?;
    if let Some(other) = taken {
        return Err(StaffError::BadgeTaken(other));
    }
    let rows = tx
        .prepare_cached(
            "INSERT INTO employee (store, id, name, badge, pin, rights) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (store, id) DO UPDATE
             SET name = excluded.name, badge = excluded.badge, pin = excluded.pin, rights = excluded.rights
             WHERE (name, badge, pin, rights) IS NOT (excluded.name, excluded.badge, excluded.pin, excluded.rights)",
        )?
        .execute((new.store, new.id, name, badge, new.pin_hash, new.rights.0))?;
    Ok(rows > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_badge_costs_what_a_wrong_pin_costs() {
        let real = hash_pin("4711", b"sixteen salt byt").unwrap();
        let cost = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(cost(NOBODY), cost(&real));
        assert_eq!(NOBODY.split('$').next_back().unwrap().len(), 43, "a digest of 32 bytes");
        assert!(PasswordHash::new(NOBODY).is_ok(), "else it would be refused at once");
        assert!(is_pin(&real, "4711") && !is_pin(&real, "4712") && !is_pin(NOBODY, "4711"));
    }
}
