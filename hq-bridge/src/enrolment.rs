//! Admits devices: origin, code, series and a signed row
//!
//! An origin belongs to one incarnation of one device. A device that was imaged again, or replaced, is admitted again: it
//! gets a new origin and the next series letter of its checkout code, so its receipt numbers never meet the old ones.
//!
//! Origins come in blocks, one for each generation of HQ. HQ's own writer has the first of its block. So an HQ that was
//! restored from an old copy, and does not know what it gave away since, gives others.

use std::sync::Arc;

use ed25519_dalek::VerifyingKey;
use rusqlite::{Connection, Transaction};
use selvedge_domain::catalogue;
use selvedge_sync::admission::Admission;
use selvedge_sync::allow_list::{self, Row, RowError, State};
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::origin::{DeviceId, Origin, Role};
use selvedge_sync::origins::Origins;
use selvedge_sync::succession::ORIGINS_PER_GENERATION;

use crate::database::{Database, DatabaseError};

/// What a device that asks to be admitted says of itself, and where it will stand.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Its device id.
    pub id: String,
    /// The store where it stands.
    pub store: u32,
    /// `pos` or `back-office`.
    pub role: String,
    /// Its public key in hex, as `appliance identity` prints it.
    pub key: String,
    /// The checkout code, such as `T1`; left out, it keeps its old one or gets the next free one.
    pub code: Option<String>,
}

/// Why a device was not admitted.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// What was asked cannot be so.
    #[error("{0}")]
    Refused(String),
    /// The database refused.
    #[error("the device was not admitted: {0}")]
    Database(#[from] DatabaseError),
}

/// A request whose texts have become values.
struct Applicant {
    device: DeviceId,
    store: u32,
    role: Role,
    key: [u8; 32],
    code: Option<String>,
}

/// Admits a device and returns what it needs to begin.
pub fn admit(
    database: &Database,
    authority: &Arc<SoftwareKeys>,
    request: &Request,
) -> Result<Admission, AdmitError> {
    let applicant = understand(request).map_err(AdmitError::Refused)?;
    let signer = Arc::clone(authority);
    let (admitted, _) = database.write(move |tx, _| admit_in(tx, signer.as_ref(), &applicant))?;
    let own = admitted.map_err(AdmitError::Refused)?;
    let reader = database.reader()?;
    let all = allow_list::all(&reader, &authority.public()).map_err(DatabaseError::of)?;
    let mut rows = vec![own];
    rows.extend(all.into_iter().filter(|row| row.role == Role::Hq));
    Ok(Admission { authority: authority.public(), rows })
}

/// Every device that was ever admitted, by store and origin. One that goes on under a spare origin is there with it, also
/// before HQ has confirmed that; a spare origin that nobody has is no device.
pub fn list(db: &Connection, authority: &[u8; 32]) -> Result<Vec<Row>, RowError> {
    let mut rows = allow_list::all(db, authority)?;
    if rows.iter().any(|row| row.state == State::Spare) {
        let known = Origins::read(db, authority)?.known;
        for row in &mut rows {
            if let Some(claimed) = known.get(&row.origin).filter(|_| row.state == State::Spare) {
                *row = claimed.clone();
            }
        }
        rows.retain(|row| row.state != State::Spare);
    }
    rows.sort_by_key(|row| (row.store, row.origin));
    Ok(rows)
}

fn understand(request: &Request) -> Result<Applicant, String> {
    let device = DeviceId::new(&request.id).map_err(|why| why.to_string())?;
    let role = Role::parse(&request.role).map_err(|why| why.to_string())?;
    if role == Role::Hq {
        return Err("HQ admits itself with `hq-bridge init`; a device is `pos` or `back-office`"
            .to_string());
    }
    let mut key = [0; 32];
    hex::decode_to_slice(request.key.trim(), &mut key).map_err(|_| {
        "the key is not 64 hex digits; take the one that `appliance identity` prints".to_string()
    })?;
    if VerifyingKey::from_bytes(&key).map_or(true, |key| key.is_weak()) {
        return Err("the key is not an Ed25519 key; take the one that `appliance identity` prints"
            .to_string());
    }
    if let Some(code) = &request.code {
        check_code(code)?;
    }
    Ok(Applicant { device, store: request.store, role, key, code: request.code.clone() })
}

/// Capital letters, then digits: so a small letter behind it is always the series.
fn check_code(code: &str) -> Result<(), String> {
    let digits = code.trim_start_matches(|letter: char| letter.is_ascii_uppercase());
    let letters = code.len() - digits.len();
    let fits = (1..=3).contains(&letters)
        && (1..=3).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    if fits {
        Ok(())
    } else {
        Err(format!("the code {code:?} is not like T1: up to 3 capital letters, up to 3 digits"))
    }
}

/// Admits in one transaction: two requests at once get two origins. An inner refusal has written nothing.
fn admit_in(
    tx: &Transaction<'_>,
    authority: &dyn DeviceKeys,
    applicant: &Applicant,
) -> Result<Result<Row, String>, RowError> {
    if catalogue::store(tx, i64::from(applicant.store))?.is_none() {
        return Ok(Err(format!(
            "store {} is not known; import it first: `hq-bridge import stores FILE.csv`",
            applicant.store
        )));
    }
    let rows = allow_list::all(tx, &authority.public())?;
    let place = match place_for(applicant, &rows) {
        Ok(place) => place,
        Err(why) => return Ok(Err(why)),
    };
    let Applicant { device, store, role, key, .. } = applicant;
    let row = Row::sign(place.origin, device, *store, *role, &place.label, *key, authority);
    allow_list::insert(tx, &row)?;
    Ok(Ok(row))
}

/// The origin and the label of the next spare of a store: "R1", "R2" and so on, which no admission gives by itself.
pub fn spare_place(rows: &[Row], store: u32) -> Result<(Origin, String), String> {
    let of_store = rows.iter().filter(|row| row.store == store);
    Ok((next_origin(rows)?, next_code("R", of_store)))
}

/// Where an applicant belongs among those who were admitted before.
#[derive(Debug)]
struct Place {
    origin: Origin,
    label: String,
}

fn place_for(applicant: &Applicant, rows: &[Row]) -> Result<Place, String> {
    let Applicant { device, store, role, key, code } = applicant;
    if let Some(other) = rows.iter().find(|row| row.key == *key && row.device != *device) {
        return Err(format!(
            "{} has this key already; every device makes its own",
            other.device.as_str()
        ));
    }
    let earlier = rows.iter().filter(|row| row.device == *device).max_by_key(|row| row.origin);
    if let Some(earlier) = earlier.filter(|row| row.store != *store || row.role != *role) {
        return Err(format!(
            "{} was admitted as {} of store {}; a device id stays with its place, choose another id",
            device.as_str(),
            earlier.role.as_str(),
            earlier.store
        ));
    }
    let of_store: Vec<&Row> =
        rows.iter().filter(|row| row.store == *store && row.role != Role::Hq).collect();
    let code = match (code, earlier) {
        (Some(code), _) => code.clone(),
        (None, Some(earlier)) => code_of(&earlier.label).to_string(),
        (None, None) => {
            let prefix = if *role == Role::Pos { "T" } else { "B" };
            next_code(prefix, of_store.iter().copied())
        }
    };
    let incarnations = of_store.iter().filter(|row| code_of(&row.label) == code).count();
    Ok(Place { origin: next_origin(rows)?, label: label(&code, incarnations)? })
}

/// The checkout code of a label: what stands before the series letter.
fn code_of(label: &str) -> &str {
    label.trim_end_matches(|letter: char| letter.is_ascii_lowercase())
}

fn next_code<'a>(prefix: &str, of_store: impl Iterator<Item = &'a Row>) -> String {
    let numbers =
        of_store.filter_map(|row| code_of(&row.label).strip_prefix(prefix)?.parse::<u32>().ok());
    format!("{prefix}{}", numbers.max().unwrap_or(0) + 1)
}

/// "T1" for the first incarnation, then "T1b" to "T1z".
fn label(code: &str, incarnations: usize) -> Result<String, String> {
    if incarnations == 0 {
        return Ok(code.to_string());
    }
    let letter = u8::try_from(incarnations)
        .ok()
        .map(|count| b'a'.saturating_add(count))
        .filter(u8::is_ascii_lowercase);
    let letter = letter.ok_or_else(|| {
        format!("the code {code} has used up its series letters; choose another code")
    })?;
    Ok(format!("{code}{}", char::from(letter)))
}

/// The next origin of the block of HQ's newest generation.
fn next_origin(rows: &[Row]) -> Result<Origin, String> {
    let newest = rows.iter().filter(|row| row.role == Role::Hq).map(|row| row.origin.get()).max();
    let hq = newest.ok_or("HQ has no row of its own; run `hq-bridge init`")?;
    let block = hq..=hq.saturating_add(ORIGINS_PER_GENERATION - 1);
    let last = rows
        .iter()
        .map(|row| row.origin.get())
        .filter(|origin| block.contains(origin))
        .max()
        .unwrap_or(hq);
    let next = last + 1;
    let free = block.contains(&next).then(|| Origin::new(next)).flatten();
    free.ok_or_else(|| {
        format!(
            "the {ORIGINS_PER_GENERATION} origins of this HQ are all given; start a new generation"
        )
    })
}
