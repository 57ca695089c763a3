//! What each command does, through the running HQ or directly

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use selvedge_domain::moment::Moment;
use selvedge_sync::device_keys::DeviceKeys;

use crate::authority::{self, Keys, KeysError, Made};
use crate::client::{self, ClientError};
use crate::condition::{self, Condition};
use crate::config::Config;
use crate::database::{self, Database, DatabaseError, now};
use crate::decisions::{self, Decision, DecisionError};
use crate::enrolment::{self, AdmitError, Request};
use crate::figures::{self, DeviceFigures, TotalsFigures};
use crate::forks::{self, Fork};
use crate::hq;
use crate::import::rows::{ImportError, Refusal, Summary};
use crate::import::{self, FileKind};
use crate::succession;
use crate::times::time as shown_time;
use crate::tokens::{self, TokenAnswer, TokenError, TokenWish};

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There are no keys, or they cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The running HQ refused or went away.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The import stopped.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The device was not admitted.
    #[error(transparent)]
    Admit(#[from] AdmitError),
    /// Nothing was decided about a device.
    #[error(transparent)]
    Decision(#[from] DecisionError),
    /// The token was not made, or not revoked.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The running HQ said something else than was asked for.
    #[error("the running HQ is of another version ({0}); use the command of the same version")]
    Version(#[from] serde_json::Error),
    /// A file could not be read or written.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        why: io::Error,
    },
}

/// Makes keys and database; says what was made.
pub fn init(config: &Config) -> Result<String, CommandError> {
    let made = authority::make(&config.data, &database::file(config))?;
    let keys = authority::read(&config.data)?;
    let said = match made {
        Made::New => "HQ has new keys",
        Made::AlreadyThere => "HQ has its keys already",
    };
    if client::running(&config.data).is_none() {
        open(config)?;
    }
    Ok(format!(
        "{said} in {} ({}).\nauthority {}\nwriter    {}\nKeep a copy of the key files where this machine cannot reach it.",
        config.data.display(),
        keys.authority.class(),
        hex::encode(keys.authority.public()),
        hex::encode(keys.writer.public())
    ))
}

/// Takes a file in; refused rows go to `out` one by one.
pub fn import(
    config: &Config,
    kind: FileKind,
    path: &Path,
    out: &mut impl Write,
) -> Result<Summary, CommandError> {
    let failed = |why| CommandError::File { path: path.display().to_string(), why };
    let mut file = File::open(path).map_err(failed)?;
    let mut report = |refusal: Refusal| writeln!(out, "line {}: {}", refusal.line, refusal.reason);
    let summary = match client::running(&config.data) {
        Some(hq) => hq.import(kind, &mut file, &mut report)?,
        None => import::run(kind, file, &open(config)?.0, &mut report)?,
    };
    Ok(summary)
}

/// The sums of an import as a sentence.
pub fn summary_text(kind: FileKind, summary: &Summary) -> String {
    let changed = match summary.entries {
        0 => "nothing changed".to_string(),
        entries => format!("{entries} entries written"),
    };
    format!(
        "{}: {} rows taken, {} refused, {changed}",
        kind.as_str(),
        summary.taken,
        summary.refused
    )
}

/// Admits a device; returns the text of its admission file.
pub fn admit(config: &Config, request: &Request) -> Result<String, CommandError> {
    if let Some(hq) = client::running(&config.data) {
        return Ok(hq.admit(request)?);
    }
    let (database, keys) = open(config)?;
    Ok(enrolment::admit(&database, &keys.authority, request)?.to_text())
}

/// Every device that was ever admitted, as a table.
pub fn devices(config: &Config) -> Result<String, CommandError> {
    let rows: Vec<DeviceFigures> = match client::running(&config.data) {
        Some(hq) => serde_json::from_str(&hq.get("/devices.json")?)?,
        None => {
            let (database, keys) = open(config)?;
            let rows = enrolment::list(&database.reader()?, &keys.authority.public())
                .map_err(DatabaseError::of)?;
            rows.iter().map(figures::device).collect()
        }
    };
    let mut text = format!(
        "{:<16} {:>7} {:>7} {:<12} {:<6} {:<9} {:<64} reports to\n",
        "device", "origin", "store", "role", "label", "state", "key"
    );
    for DeviceFigures { device, origin, store, role, label, state, parents, key } in &rows {
        let parents = if parents.is_empty() { "-".to_owned() } else { parents.join(", ") };
        text += &format!(
            "{device:<16} {origin:>7} {store:>7} {role:<12} {label:<6} {state:<9} {key} {parents}\n"
        );
    }
    Ok(text)
}

/// Carries out what an operator decides about devices; says what it means.
pub fn decide(config: &Config, decision: &Decision) -> Result<String, CommandError> {
    if let Some(hq) = client::running(&config.data) {
        return Ok(hq.decide(decision)?);
    }
    let (database, keys) = open(config)?;
    Ok(decisions::carry_out(&database, &keys.authority, decision)?)
}

/// What is kept as proof and does not count, as a list.
pub fn forks(config: &Config) -> Result<String, CommandError> {
    let found: Vec<Fork> = match client::running(&config.data) {
        Some(hq) => serde_json::from_str(&hq.get("/forks.json")?)?,
        None => {
            let (database, keys) = open(config)?;
            let reader = database.reader()?;
            let rows = enrolment::list(&reader, &keys.authority.public());
            forks::all(&reader, &rows.map_err(DatabaseError::of)?)?
        }
    };
    Ok(forks::table(&found))
}

/// How HQ itself is, in words.
pub fn status(config: &Config) -> Result<String, CommandError> {
    if let Some(hq) = client::running(&config.data) {
        let said: serde_json::Value = serde_json::from_str(&hq.get("/status")?)?;
        let found: Condition = serde_json::from_value(said["hq"].clone())?;
        return Ok(found.text());
    }
    let (database, keys) = open(config)?;
    let found = condition::of(&database, &keys.authority, &config.data)?;
    Ok(format!("HQ does not run: this is what its database says\n{}", found.text()))
}

/// After HQ's disk was lost and a backup put back: begins the next generation, or ends its taking back.
pub fn succeed(
    config: &Config,
    generation: Option<u32>,
    at_once: bool,
) -> Result<String, CommandError> {
    if client::running(&config.data).is_some() {
        let why = "HQ runs: end it first, then give the command again".to_owned();
        return Err(DatabaseError::Refused(why).into());
    }
    let said =
        if at_once { succession::end(config) } else { succession::begin(config, generation) };
    Ok(said? + "\n")
}

/// The control totals of all devices. Directly, a disagreement is written down as an exception at once.
pub fn totals(config: &Config) -> Result<TotalsFigures, CommandError> {
    if let Some(hq) = client::running(&config.data) {
        return Ok(serde_json::from_str(&hq.get("/totals.json")?)?);
    }
    let (database, keys) = open(config)?;
    let totals = hq::check_totals(&database, &keys.authority.public())?;
    Ok(figures::totals(&totals, Moment(now().0)))
}

/// Makes, lists or revokes tokens of the reporting interface; returns what to tell.
pub fn tokens(config: &Config, wish: &TokenWish) -> Result<String, CommandError> {
    let answer = match client::running(&config.data) {
        Some(hq) => serde_json::from_str(&hq.tokens(wish)?)?,
        None => tokens::grant(&open(config)?.0, wish)?,
    };
    Ok(match answer {
        TokenAnswer::Added(token) => format!("{token}\n"),
        TokenAnswer::Revoked => "revoked: it opens nothing from now on\n".to_string(),
        TokenAnswer::Listed(tokens) => {
            let mut text = format!("{:<40} {:<6} {:<24} revoked\n", "name", "scope", "made");
            for token in tokens {
                let time = |at: i64| shown_time(Moment(at)).unwrap_or_default();
                let revoked = token.revoked_at.map_or("-".to_string(), time);
                let made = time(token.made_at);
                text += &format!("{:<40} {:<6} {made:<24} {revoked}\n", token.name, token.scope);
            }
            text
        }
    })
}

/// Writes a text to a file.
pub fn write(text: &str, path: &Path) -> Result<(), CommandError> {
    let failed = |why| CommandError::File { path: path.display().to_string(), why };
    std::fs::write(path, text).map_err(failed)
}

fn open(config: &Config) -> Result<(Database, Keys), CommandError> {
    let keys = authority::read(&config.data)?;
    Ok((Database::open(config, &keys)?, keys))
}
