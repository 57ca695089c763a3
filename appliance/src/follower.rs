//! Keeps the search current with the replica

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::page::Page;
use crate::search::Left;

/// How long a change waits for the next one: a sale is painted before it is counted.
const BREATH_MS: u64 = 200;

/// After this time the replica is looked at even when nothing was heard.
const LOOK_MS: u64 = 2_000;

/// How many times longer than a step the pause after it is: most of the
/// machine belongs to the person at the screen.
const PAUSES: u32 = 2;

/// Follows the replica until the program ends.
pub async fn follow(page: Page) {
    let mut status = page.0.database.subscribe();
    let mut said = String::new();
    loop {
        let (left, took) = step(&page).await;
        match left {
            Ok(Left::More) => {
                said.clear();
                tokio::time::sleep(took * PAUSES).await;
            }
            Ok(Left::Tidying) => tokio::time::sleep(took * PAUSES * 2).await,
            Ok(Left::Nothing) => {
                let look = Duration::from_millis(LOOK_MS);
                // Whether it was heard or time passed, the replica is asked the same.
                let _ = tokio::time::timeout(look, status.changed()).await;
                tokio::time::sleep(Duration::from_millis(BREATH_MS)).await;
            }
            Err(why) => {
                if said != why {
                    tracing::warn!("{why}");
                    said = why;
                }
                tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
            }
        }
    }
}

async fn step(page: &Page) -> (Result<Left, String>, Duration) {
    let shared = Arc::clone(&page.0);
    let began = Instant::now();
    let work = move || {
        let stepped = shared.database.read(|db| shared.search.step(db, shared.now()));
        stepped.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    };
    let stepped = tokio::task::spawn_blocking(work).await;
    (stepped.unwrap_or_else(|gone| Err(gone.to_string())), began.elapsed())
}
