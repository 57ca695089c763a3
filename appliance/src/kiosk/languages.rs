//! All languages, where there are more than a header holds

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::kiosk::address::{Address, KIOSK};
use crate::kiosk::sight::{self, Asked, Frame, Kiosk};
use crate::texts::Language;

#[derive(Template)]
#[template(path = "kiosk/languages.html")]
struct Languages {
    frame: Frame,
    languages: Vec<(&'static Language, Address)>,
}

/// Draws them; each leads back to where the customer came from.
pub async fn show(State(kiosk): State<Kiosk>, asked: Asked) -> Response {
    kiosk
        .draw(asked, |scene| {
            let back = Address::own(scene.here.get("back")).unwrap_or(scene.here.to(KIOSK));
            let each = scene.sight.languages.iter();
            let speak = |one: &&'static Language| (*one, back.with("lang", one.code()));
            let page = Languages { frame: scene.frame()?, languages: each.map(speak).collect() };
            sight::html(StatusCode::OK, &page)
        })
        .await
}
