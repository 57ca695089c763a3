//! One sentence on night cloth until somebody comes

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::kiosk::address::{Address, KIOSK};
use crate::kiosk::sight::{self, Asked, Frame, Kiosk};
use crate::texts::Language;

#[derive(Template)]
#[template(path = "kiosk/attract.html")]
struct Attract {
    frame: Frame,
    languages: Vec<(&'static Language, Address)>,
}

/// Draws it. Nothing of the address is taken over but the language.
pub async fn show(State(kiosk): State<Kiosk>, Asked(here): Asked) -> Response {
    let clean = here.to(KIOSK);
    kiosk
        .draw(Asked(clean), |scene| {
            let each = scene.sight.languages.iter();
            let speak = |one: &&'static Language| (*one, scene.here.with("lang", one.code()));
            let attract = Attract { frame: scene.frame()?, languages: each.map(speak).collect() };
            sight::html(StatusCode::OK, &attract)
        })
        .await
}
