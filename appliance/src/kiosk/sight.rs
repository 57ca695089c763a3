//! What a kiosk page is drawn from: readers, a clock, texts

use std::convert::Infallible;
use std::sync::Arc;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Redirect, Response};
use selvedge_domain::catalogue::{self, Store};
use selvedge_domain::moment::Moment;
use selvedge_sync::open::OpenError;
use selvedge_sync::standing::HubStatus;
use tokio::sync::watch;

use crate::assets::{ASSETS, Assets};
use crate::config::Light;
use crate::kiosk::address::{Address, KIOSK};
use crate::readers::Readers;
use crate::texts::Language;

/// Milliseconds without a touch until the page asks whether anybody is there.
pub const STILL_MS: u32 = 45_000;

/// Seconds until the page closes after it has asked.
pub const LEFT_S: u32 = 20;

/// More languages than this stand on a page of their own.
const LANGUAGE_KEYS_MAX: usize = 2;

/// A connection that only reads.
pub type Reader = rusqlite::Connection;

/// Finds the numbers of products by what somebody types, the best first, at most so many.
pub struct Finder(pub Box<Find>);

type Find = dyn Fn(&str, u32) -> Vec<i64> + Send + Sync;

impl Finder {
    /// The products whose words begin with those of the text.
    pub fn find(&self, text: &str, limit: u32) -> Vec<i64> {
        (self.0)(text, limit)
    }
}

impl std::fmt::Debug for Finder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Finder")
    }
}

/// Everything that the kiosk has. There is no way from here to a basket, a person or a write.
#[derive(Debug)]
pub struct Sight {
    /// Read connections.
    pub readers: Readers,
    /// Finds products by name.
    pub finder: Finder,
    /// How this device stands with the others.
    pub standing: watch::Receiver<HubStatus>,
    /// Whether the other devices of the store can be heard at all.
    pub has_parent: bool,
    /// The store's number.
    pub store: i64,
    /// What the kiosk speaks; the first one is where it starts.
    pub languages: Vec<&'static Language>,
    /// Which colours it has.
    pub light: Light,
    /// Milliseconds since 1970, as this device believes.
    pub wall_ms: fn() -> i64,
}

/// The state of the kiosk's router.
#[derive(Debug, Clone)]
pub struct Kiosk(pub Arc<Sight>);

/// Why a page was not drawn.
#[derive(Debug, thiserror::Error)]
pub enum KioskError {
    /// The database could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database could not be read.
    #[error("the database of this device cannot be read: {0}")]
    Read(#[from] rusqlite::Error),
    /// A template did not render.
    #[error("this page could not be drawn: {0}")]
    Template(#[from] askama::Error),
}

/// What one request asked for.
#[derive(Debug, Clone)]
pub struct Asked(pub Address);

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Asked, Infallible> {
        // The router stands below /kiosk and does not see it.
        let below = parts.uri.path().trim_end_matches('/');
        let query = parts.uri.query().unwrap_or_default();
        Ok(Asked(Address::new(&format!("{KIOSK}{below}"), query)))
    }
}

/// One request as it is answered.
pub struct Scene<'a> {
    /// What there is.
    pub sight: &'a Sight,
    /// A reader.
    pub db: &'a Reader,
    /// What was asked for.
    pub here: Address,
    /// What the page speaks.
    pub t: &'static Language,
    /// Now.
    pub at: Moment,
}

/// The frame around each page.
#[derive(Debug)]
pub struct Frame {
    /// Names of the embedded files.
    pub assets: &'static Assets,
    /// What the page speaks.
    pub t: &'static Language,
    /// Which colours it has.
    pub light: &'static str,
    /// Letters and keys are half as large again.
    pub larger: bool,
    /// The store's name.
    pub place: String,
    /// The page itself.
    pub here: Address,
    /// The other languages.
    pub others: Vec<&'static Language>,
}

impl Frame {
    /// Another page that looks the same.
    pub fn to(&self, path: &str) -> Address {
        self.here.to(path)
    }

    /// The page with letters of the other size.
    pub fn resized(&self) -> Address {
        self.here.with("larger", if self.larger { "" } else { "1" })
    }

    /// The page in another language.
    pub fn spoken(&self, language: &&'static Language) -> Address {
        self.here.with("lang", language.code())
    }

    /// The page of all languages, which leads back here.
    pub fn languages(&self) -> Address {
        self.to("/kiosk/languages").with("back", &self.here.to_string())
    }

    /// Whether the other languages have their keys on each page.
    pub fn few_languages(&self) -> bool {
        self.others.len() <= LANGUAGE_KEYS_MAX
    }

    /// Where a page without a script goes by itself.
    pub fn still(&self) -> Address {
        self.to("/kiosk/still").with("back", &self.here.to_string())
    }

    /// Milliseconds until the page asks whether anybody is there.
    pub fn still_ms(&self) -> u32 {
        STILL_MS
    }

    /// The same in seconds, for pages without a script.
    pub fn still_s(&self) -> u32 {
        STILL_MS / 1_000
    }

    /// Seconds until it closes after that.
    pub fn left_s(&self) -> u32 {
        LEFT_S
    }

    /// What it says while it counts down: before and after the number.
    pub fn closing(&self) -> (String, String) {
        let said = self.t.tell("kiosk-still-next", &[("seconds", "#".into())]);
        let parts = said.split_once('#').unwrap_or((&said, ""));
        (parts.0.to_owned(), parts.1.to_owned())
    }
}

impl Scene<'_> {
    /// The store's master data; `None` until it has arrived.
    pub fn store(&self) -> Result<Option<Store>, KioskError> {
        Ok(catalogue::store(self.db, self.sight.store)?)
    }

    /// The frame around this page.
    pub fn frame(&self) -> Result<Frame, KioskError> {
        let place = match self.store()? {
            Some(store) => store.name,
            None => {
                let number = self.sight.store.to_string();
                self.t.tell("kiosk-store", &[("number", (&number).into())])
            }
        };
        let languages = self.sight.languages.iter().copied();
        Ok(Frame {
            assets: &ASSETS,
            t: self.t,
            light: self.sight.light.as_str(),
            larger: self.here.get("larger") == "1",
            place,
            here: self.here.clone(),
            others: languages.filter(|other| other.code() != self.t.code()).collect(),
        })
    }
}

impl Kiosk {
    /// Draws a page on a thread that may wait for a disk.
    pub async fn draw(
        &self,
        Asked(here): Asked,
        work: impl FnOnce(&Scene) -> Result<Response, KioskError> + Send + 'static,
    ) -> Response {
        let sight = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            let asked = sight.languages.iter().copied();
            let first = sight.languages[0];
            let t = asked.into_iter().find(|one| one.code() == here.get("lang")).unwrap_or(first);
            let at = Moment((sight.wall_ms)());
            let read = sight.readers.read(|db| work(&Scene { sight: &sight, db, here, t, at }));
            read.map_err(KioskError::from).flatten().unwrap_or_else(|error| broken(t, &error))
        });
        done.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}

/// Two sentences without any frame: what would draw one has failed.
fn broken(t: &Language, error: &KioskError) -> Response {
    tracing::warn!(%error, "a kiosk page was not drawn");
    let said = format!("{} {}\n", t.say("kiosk-broken"), t.say("kiosk-broken-next"));
    (StatusCode::INTERNAL_SERVER_ERROR, said).into_response()
}

/// A page with its status.
pub fn html(status: StatusCode, template: &impl Template) -> Result<Response, KioskError> {
    Ok((status, Html(template.render()?)).into_response())
}

/// On to another page.
pub fn go(place: &Address) -> Response {
    Redirect::to(&place.to_string()).into_response()
}
