//! One filter: every size, colour or price band as a key

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use selvedge_domain::shelf::{self, Trait};

use crate::kiosk::address::Address;
use crate::kiosk::browse;
use crate::kiosk::lost;
use crate::kiosk::sight::{self, Asked, Frame, Kiosk, KioskError, Scene};
use crate::kiosk::sizes;

/// More values than this are not drawn: whoever looks for one of them types its name.
const VALUES_MAX: usize = 120;

#[derive(Template)]
#[template(path = "kiosk/choose.html")]
struct Choose {
    frame: Frame,
    title: String,
    back: Address,
    any: Address,
    any_chosen: bool,
    values: Vec<Value>,
}

struct Value {
    words: String,
    is_chosen: bool,
    address: Address,
}

/// The sizes of the department.
pub async fn size(State(kiosk): State<Kiosk>, asked: Asked) -> Response {
    kiosk
        .draw(asked, |scene| {
            let mut values = values(scene, Trait::Size)?;
            values.sort_by(|one, other| sizes::in_order(one, other));
            draw(scene, "size", "kiosk-which-size", named(values))
        })
        .await
}

/// The colours of the department.
pub async fn colour(State(kiosk): State<Kiosk>, asked: Asked) -> Response {
    kiosk
        .draw(asked, |scene| {
            let values = named(values(scene, Trait::Colour)?);
            draw(scene, "colour", "kiosk-which-colour", values)
        })
        .await
}

/// The price bands of the store's currency.
pub async fn price(State(kiosk): State<Kiosk>, asked: Asked) -> Response {
    kiosk
        .draw(asked, |scene| {
            let Some(store) = scene.store()? else { return lost::no_goods(scene) };
            draw(scene, "price", "kiosk-which-price", browse::bands(scene.t, store.currency))
        })
        .await
}

fn values(scene: &Scene, of: Trait) -> Result<Vec<String>, KioskError> {
    let department = Some(scene.here.get("department")).filter(|name| !name.is_empty());
    Ok(shelf::values(scene.db, department, of)?)
}

/// What is written into the address, and what is shown: here the same.
fn named(values: Vec<String>) -> Vec<(String, String)> {
    values.into_iter().map(|value| (value.clone(), value)).collect()
}

fn draw(
    scene: &Scene,
    name: &str,
    title: &str,
    values: Vec<(String, String)>,
) -> Result<Response, KioskError> {
    let chosen = scene.here.get(name);
    let back = scene.here.moved("/kiosk/browse");
    let value = |(value, words): (String, String)| Value {
        words,
        is_chosen: value == chosen,
        address: back.with(name, &value),
    };
    let page = Choose {
        frame: scene.frame()?,
        title: scene.t.say(title),
        any: back.with(name, ""),
        any_chosen: chosen.is_empty(),
        values: values.into_iter().take(VALUES_MAX).map(value).collect(),
        back,
    };
    sight::html(StatusCode::OK, &page)
}
