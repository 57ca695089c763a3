//! Who may ask the reporting interface, known by a hash
//!
//! A token is 256 drawn bits, so one fast hash is enough to keep it: there is nothing to guess. It is shown once, when it
//! is made. Who copies the database cannot ask with it.

use rusqlite::{Connection, OptionalExtension, Transaction};
use selvedge_domain::moment::Moment;
use serde::{Deserialize, Serialize};

use crate::database::{Database, DatabaseError};

/// What every token begins with, so that one is recognised where it should not be.
const PREFIX: &str = "selvedge_";

/// The longest name of a token.
const NAME_CHARS_MAX: usize = 40;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All of /v1.
    Read,
    /// Stores, products, stock and freshness: for a web shop, which needs no receipts.
    Stock,
}

impl Scope {
    /// As the table and the command line write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Stock => "stock",
        }
    }

    /// The scope of a word.
    pub fn parse(word: &str) -> Option<Scope> {
        [Scope::Read, Scope::Stock].into_iter().find(|scope| scope.as_str() == word)
    }

    /// Whether who has this may do what needs the other.
    pub fn allows(self, needed: Scope) -> bool {
        self == Scope::Read || self == needed
    }
}

/// A token as HQ knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Who has it.
    pub name: String,
    /// What it allows.
    pub scope: String,
    /// When it was made, in milliseconds since 1970.
    pub made_at: i64,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
}

/// What an operator wants of the tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenWish {
    /// A new one.
    Add {
        /// Who gets it.
        name: String,
        /// What it allows.
        scope: Scope,
    },
    /// All of them.
    List,
    /// One that no longer counts.
    Revoke {
        /// Whose.
        name: String,
    },
}

/// What an operator is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenAnswer {
    /// The new token, shown this once.
    Added(String),
    /// Every token.
    Listed(Vec<Token>),
    /// It is revoked.
    Revoked,
}

/// Why a token was not made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The name does not fit.
    #[error("the name {0:?} is not 1 to 40 of a-z, 0-9 and \"-\"")]
    Name(String),
    /// Somebody has this name.
    #[error("there is a token named {0} already; revoke it, and give the new one another name")]
    NameTaken(String),
    /// Nobody has this name.
    #[error("there is no token named {0} that is not revoked; `hq-bridge tokens list` shows all")]
    Unknown(String),
    /// There is no randomness.
    #[error("no token could be drawn: {0}")]
    Dice(#[from] getrandom::Error),
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Does what an operator wants.
pub fn grant(database: &Database, wish: &TokenWish) -> Result<TokenAnswer, TokenError> {
    match wish {
        TokenWish::Add { name, scope } => add(database, name, *scope).map(TokenAnswer::Added),
        TokenWish::List => {
            let tokens = list(&database.reader()?).map_err(DatabaseError::of)?;
            Ok(TokenAnswer::Listed(tokens))
        }
        TokenWish::Revoke { name } => revoke(database, name).map(|()| TokenAnswer::Revoked),
    }
}

/// Makes a token and returns it: the only time that anybody sees it.
pub fn add(database: &Database, name: &str, scope: Scope) -> Result<String, TokenError> {
    let fits = (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if !fits {
        return Err(TokenError::Name(name.to_string()));
    }
    let mut drawn = [0; 32];
    getrandom::fill(&mut drawn)?;
    let token = format!("{PREFIX}{}", hex::encode(drawn));
    let (hash, owner) = (hash(&token), name.to_string());
    let (rows, _) = database.write(move |tx: &Transaction<'_>, at| {
        tx.prepare_cached(
            "INSERT OR IGNORE INTO hq_api_token (name, hash, scope, made_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((owner, hash, scope.as_str(), at))
    })?;
    if rows == 0 { Err(TokenError::NameTaken(name.to_string())) } else { Ok(token) }
}

/// Every token that was ever made, by name.
pub fn list(db: &Connection) -> rusqlite::Result<Vec<Token>> {
    db.prepare_cached("SELECT name, scope, made_at, revoked_at FROM hq_api_token ORDER BY name")?
        .query_map([], |row| {
            Ok(Token {
                name: row.get(0)?,
                scope: row.get(1)?,
                made_at: row.get(2)?,
                revoked_at: row.get(3)?,
            })
        })?
        .collect()
}

/// Revokes a token: the next request with it is refused.
pub fn revoke(database: &Database, name: &str) -> Result<(), TokenError> {
    let whose = name.to_string();
    let (rows, _) = database.write(move |tx: &Transaction<'_>, at: Moment| {
        tx.prepare_cached(
            "UPDATE hq_api_token SET revoked_at = ?2 WHERE name = ?1 AND revoked_at IS NULL",
        )?
        .execute((whose, at))
    })?;
    if rows == 0 { Err(TokenError::Unknown(name.to_string())) } else { Ok(()) }
}

/// What a token allows; `None` when it is none of ours or was revoked.
pub fn scope_of(db: &Connection, token: &str) -> rusqlite::Result<Option<Scope>> {
    let word: Option<String> = db
        .prepare_cached("SELECT scope FROM hq_api_token WHERE hash = ?1 AND revoked_at IS NULL")?
        .query_row([hash(token)], |row| row.get(0))
        .optional()?;
    Ok(word.and_then(|word| Scope::parse(&word)))
}

fn hash(token: &str) -> [u8; 32] {
    *blake3::hash(token.as_bytes()).as_bytes()
}
