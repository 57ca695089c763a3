//! A code leads to its product

use axum::extract::State;
use axum::response::Response;
use selvedge_domain::catalogue::{self, ScanError};

use crate::kiosk::lost;
use crate::kiosk::sight::{self, Asked, Kiosk};

/// What the scanner sent or somebody typed.
pub async fn show(State(kiosk): State<Kiosk>, asked: Asked) -> Response {
    kiosk
        .draw(asked, |scene| {
            let code = scene.here.get("code").trim();
            match catalogue::scan(scene.db, scene.sight.store, code, scene.at) {
                Ok(tag) => Ok(sight::go(&scene.here.to(&format!("/kiosk/p/{}", tag.sku)))),
                Err(ScanError::Database(error)) => Err(error.into()),
                Err(_) if code.is_empty() => Ok(sight::go(&scene.here.to("/kiosk/find"))),
                Err(_) => lost::no_code(scene, code),
            }
        })
        .await
}
