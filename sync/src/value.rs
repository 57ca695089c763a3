//! One value of a row, owned or borrowed
//!
//! Replicated tables hold whole numbers, texts and bytes only. A float would
//! not add up to the same sum on every replica, so it has no place here.

use rusqlite::{
    ToSql,
    types::{ToSqlOutput, ValueRef},
};

/// A value as it lies in a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// NULL.
    Null,
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A value that lies in the bytes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Borrowed<'a> {
    /// NULL.
    Null,
    /// A whole number.
    Int(i64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl Value {
    /// Reads what SQLite holds; None for a float or a text that is no UTF-8.
    pub fn read(raw: ValueRef<'_>) -> Option<Value> {
        Some(match raw {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Int(number),
            ValueRef::Text(text) => Value::Text(std::str::from_utf8(text).ok()?.to_owned()),
            ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
            ValueRef::Real(_) => return None,
        })
    }

    /// The same value, borrowed.
    pub fn borrow(&self) -> Borrowed<'_> {
        match self {
            Value::Null => Borrowed::Null,
            Value::Int(number) => Borrowed::Int(*number),
            Value::Text(text) => Borrowed::Text(text),
            Value::Bytes(bytes) => Borrowed::Bytes(bytes),
        }
    }
}

impl Borrowed<'_> {
    /// The same value, owned.
    pub fn to_value(self) -> Value {
        match self {
            Borrowed::Null => Value::Null,
            Borrowed::Int(number) => Value::Int(number),
            Borrowed::Text(text) => Value::Text(text.to_owned()),
            Borrowed::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        }
    }
}

impl ToSql for Borrowed<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Borrowed::Null => ValueRef::Null,
            Borrowed::Int(number) => ValueRef::Integer(*number),
            Borrowed::Text(text) => ValueRef::Text(text.as_bytes()),
            Borrowed::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// What a column holds, and so how it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Int,
    /// A text.
    Text,
    /// Bytes.
    Bytes,
    /// A row id; one that was drawn in the same write travels as one small number.
    Id,
    /// Milliseconds since 1970; travels as the distance from the entry's stamp.
    Time,
    /// Personal data: the hash of a sealed blob that lies beside the log.
    Private,
}

impl Kind {
    const ALL: [(Kind, &str); 6] = [
        (Kind::Int, "int"),
        (Kind::Text, "text"),
        (Kind::Bytes, "bytes"),
        (Kind::Id, "id"),
        (Kind::Time, "time"),
        (Kind::Private, "private"),
    ];

    /// The word that stands in a declaration.
    pub fn word(self) -> &'static str {
        Kind::ALL.iter().find(|known| known.0 == self).map_or("", |known| known.1)
    }

    /// The emptiest value of this kind that is not NULL.
    pub fn blank(self) -> Value {
        match self {
            Kind::Int | Kind::Id | Kind::Time => Value::Int(0),
            Kind::Text => Value::Text(String::new()),
            Kind::Bytes => Value::Bytes(Vec::new()),
            Kind::Private => Value::Bytes(vec![0; 32]),
        }
    }

    /// Reads the word back.
    pub fn named(word: &str) -> Option<Kind> {
        Kind::ALL.iter().find(|known| known.1 == word).map(|known| known.0)
    }
}
