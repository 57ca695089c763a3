//! Deeds that count once, however often they are asked for
//!
//! The request and its answer are written in the transaction of the deed
//! itself. So there is no moment at which the one is kept and the other is not.

use rusqlite::{OptionalExtension, Transaction};

/// How many requests are remembered; a form older than that has long been replaced.
const REQUESTS_KEPT: i64 = 20_000;

/// Runs the deed, unless this request was carried out before: then its answer is given again.
pub fn once<E: From<rusqlite::Error>>(
    tx: &Transaction,
    request: &str,
    deed: impl FnOnce(&Transaction) -> Result<String, E>,
) -> Result<String, E> {
    assert!(!request.is_empty(), "a request has an id");
    let known: Option<String> = tx
        .prepare_cached("SELECT answer FROM request_done WHERE request = ?1")?
        .query_row([request], |row| row.get(0))
        .optional()?;
    if let Some(answer) = known {
        return Ok(answer);
    }
    let answer = deed(tx)?;
    tx.prepare_cached(
        "INSERT INTO request_done (request, serial, answer)
         VALUES (?1, (SELECT coalesce(max(serial), 0) + 1 FROM request_done), ?2)",
    )?
    .execute((request, &answer))?;
    tx.prepare_cached(
        "DELETE FROM request_done WHERE serial <= (SELECT max(serial) FROM request_done) - ?1",
    )?
    .execute([REQUESTS_KEPT])?;
    Ok(answer)
}
