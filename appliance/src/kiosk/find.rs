//! Find by typing, on keys that the page draws

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use selvedge_domain::catalogue::{self, Store};
use selvedge_domain::shelf::Wanted;

use crate::kiosk::lost;
use crate::kiosk::sight::{self, Asked, Frame, Kiosk, KioskError, Scene};
use crate::kiosk::tiles::{self, PAGE, Sheet};

/// The longest text that is looked for, in letters.
const TYPED_CHARS_MAX: usize = 60;

/// How many pages of results there are at most: whoever has not found it by then types another letter.
const PAGES: u32 = 3;

#[derive(Template)]
#[template(path = "kiosk/find.html")]
struct Find {
    frame: Frame,
    typed: String,
    nothing: String,
    sheet: Sheet,
    rows: Vec<Vec<String>>,
}

/// Draws field, results and keyboard. Without a script each key is a page load, and works.
pub async fn show(State(kiosk): State<Kiosk>, asked: Asked) -> Response {
    kiosk
        .draw(asked, |scene| {
            let Some(store) = scene.store()? else { return lost::no_goods(scene) };
            let typed = typed(scene.here.get("q"), scene.here.get("key"));
            if scene.here.get("go") == "1"
                && let Ok(tag) = catalogue::scan(scene.db, store.id, &typed, scene.at)
            {
                return Ok(sight::go(&scene.here.to(&format!("/kiosk/p/{}", tag.sku))));
            }
            let here = scene.here.with("q", &typed).with("key", "").with("go", "");
            draw(&Scene { here, ..*scene }, &store, typed)
        })
        .await
}

/// What stands in the field after a key.
fn typed(field: &str, key: &str) -> String {
    let mut text: String = field.chars().take(TYPED_CHARS_MAX).collect();
    match key {
        "clear" => text.clear(),
        "back" => drop(text.pop()),
        "space" => text.push(' '),
        letter => text.extend(letter.chars().take(1)),
    }
    text.trim_start().to_owned()
}

fn draw(scene: &Scene, store: &Store, typed: String) -> Result<Response, KioskError> {
    let page = tiles::page_of(&scene.here).min(PAGES);
    let limit = if page < PAGES { page * PAGE + 1 } else { page * PAGE };
    let found = match typed.trim().is_empty() {
        true => Vec::new(),
        false => scene.sight.finder.find(typed.trim(), limit),
    };
    let skip = ((page - 1) * PAGE) as usize;
    let shown = found.get(skip..).unwrap_or_default();
    let sheet = tiles::sheet(scene, store, shown, &Wanted::default())?;
    let say = |key, typed: &String| scene.t.tell(key, &[("typed", typed.into())]);
    let find = Find {
        frame: scene.frame()?,
        nothing: match typed.trim().is_empty() {
            true => String::new(),
            false => say("kiosk-find-nothing", &typed),
        },
        typed,
        sheet,
        rows: rows(scene),
    };
    sight::html(StatusCode::OK, &find)
}

fn rows(scene: &Scene) -> Vec<Vec<String>> {
    let digits = "1 2 3 4 5 6 7 8 9 0".to_owned();
    let letters = ["keyboard-first", "keyboard-second", "keyboard-third"];
    let rows = std::iter::once(digits).chain(letters.map(|row| scene.t.say(row)));
    rows.map(|row| row.split(' ').map(str::to_owned).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_does_one_thing() {
        assert_eq!(typed("mer", "i"), "meri");
        assert_eq!(typed("mer", "back"), "me");
        assert_eq!(typed("mer", "space"), "mer ");
        assert_eq!(typed("mer", "clear"), "");
        assert_eq!(typed("", "back"), "");
        assert_eq!(typed("", "ü"), "ü");
        assert_eq!(typed("mer", ""), "mer");
        assert_eq!(typed(&"x".repeat(80), "").len(), TYPED_CHARS_MAX);
    }
}
