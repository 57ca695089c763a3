//! Whoever enters the kiosk is signed off first
//!
//! The kiosk itself cannot do this: it has no way to a sign-on. So this stands
//! before it, and a customer never walks up to an open checkout.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::database::FILE_NAME;
use crate::kiosk::sight::{Finder, Kiosk, Sight};
use crate::page::{Page, Shared};
use crate::readers::Readers;

/// The kiosk of a device: of everything that the device has it gets what only reads.
pub fn kiosk(shared: &Arc<Shared>) -> Kiosk {
    let database = &shared.database;
    let searching = Arc::clone(shared);
    let find = move |text: &str, limit| {
        searching.search.find(text, limit).into_iter().map(|found| found.product).collect()
    };
    Kiosk(Arc::new(Sight {
        readers: Readers::new(database.folder().join(FILE_NAME), database.identity().origin),
        finder: Finder(Box::new(find)),
        standing: database.subscribe(),
        has_parent: database.has_parent(),
        store: database.store(),
        languages: shared.config.languages.clone(),
        light: shared.config.light,
        wall_ms: shared.wall(),
    }))
}

/// Ends the sign-on that the browser bears, and takes its cookie away.
pub async fn sign_off_first(State(page): State<Page>, request: Request, next: Next) -> Response {
    let was_open = page.leave(request.headers()).await;
    let mut response = next.run(request).await;
    if was_open {
        let gone = format!("{}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0", page.cookie_name());
        if let Ok(gone) = HeaderValue::from_str(&gone) {
            response.headers_mut().insert(header::SET_COOKIE, gone);
        }
    }
    response
}
