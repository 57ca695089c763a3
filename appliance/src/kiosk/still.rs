//! Asks whether anybody is there, for pages without a script

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::kiosk::address::{Address, KIOSK};
use crate::kiosk::sight::{self, Asked, Frame, Kiosk, LEFT_S};

#[derive(Template)]
#[template(path = "kiosk/still.html")]
struct Still {
    frame: Frame,
    said: String,
    back: Address,
}

/// Draws it. One key leads back; without a touch the kiosk begins anew.
pub async fn show(State(kiosk): State<Kiosk>, asked: Asked) -> Response {
    kiosk
        .draw(asked, |scene| {
            let back = Address::own(scene.here.get("back")).unwrap_or(scene.here.to(KIOSK));
            let seconds = LEFT_S.to_string();
            let said = scene.t.tell("kiosk-still-next", &[("seconds", (&seconds).into())]);
            sight::html(StatusCode::OK, &Still { frame: scene.frame()?, said, back })
        })
        .await
}
