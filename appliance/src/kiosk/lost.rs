//! Nothing was found: what to do now

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::kiosk::address::Address;
use crate::kiosk::sight::{self, Asked, Frame, Kiosk, KioskError, Scene};

/// How much of a code is shown.
const CODE_CHARS_MAX: usize = 40;

#[derive(Template)]
#[template(path = "kiosk/lost.html")]
struct Lost {
    frame: Frame,
    title: String,
    said: String,
    next: String,
    find: Address,
}

/// A page that the kiosk does not have.
pub async fn no_page(State(kiosk): State<Kiosk>, Asked(here): Asked) -> Response {
    // The page that is not there is no place to come back to.
    let here = here.to("/kiosk");
    let draw = |scene: &Scene| not_found(scene, scene.t.say("kiosk-not-found-page"), "");
    kiosk.draw(Asked(here), draw).await
}

/// A page that says what was not found, and what to do.
pub fn not_found(scene: &Scene, said: String, typed: &str) -> Result<Response, KioskError> {
    let t = scene.t;
    let lost = Lost {
        frame: scene.frame()?,
        title: t.say("kiosk-not-found"),
        said,
        next: t.say("kiosk-not-found-next"),
        find: scene.here.to("/kiosk/find").with("q", typed),
    };
    sight::html(StatusCode::NOT_FOUND, &lost)
}

/// As above, for a code that nothing bears.
pub fn no_code(scene: &Scene, code: &str) -> Result<Response, KioskError> {
    let shown: String = code.chars().take(CODE_CHARS_MAX).collect();
    let said = scene.t.tell("kiosk-not-found-code", &[("code", (&shown).into())]);
    // Letters may be the start of a name; digits are not.
    let typed = if shown.bytes().all(|letter| letter.is_ascii_digit()) { "" } else { &shown };
    not_found(scene, said, typed)
}

/// Nothing is known of this store yet.
pub fn no_goods(scene: &Scene) -> Result<Response, KioskError> {
    let t = scene.t;
    let lost = Lost {
        frame: scene.frame()?,
        title: t.say("kiosk-no-goods"),
        said: t.say("kiosk-no-goods-next"),
        next: String::new(),
        find: scene.here.to("/kiosk/find"),
    };
    sight::html(StatusCode::SERVICE_UNAVAILABLE, &lost)
}
