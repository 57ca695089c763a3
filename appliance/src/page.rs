//! What every screen shares
//!
//! A screen asks here for the frame around it, for a reader, and for the one
//! person who is signed on. Everything that may wait for a disk runs on a
//! blocking thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use selvedge_domain::catalogue::{self, Store};
use selvedge_domain::moment::Moment;
use selvedge_domain::staff::{self, Employee, Rights};
use tokio::sync::{Semaphore, watch};

use crate::amounts::{moment, sentence};
use crate::assets::{ASSETS, Assets};
use crate::baskets::Baskets;
use crate::card_line::CardLine;
use crate::card_terminal::CardTerminal;
use crate::clock;
use crate::config::{Config, DeviceRole, Terminal};
use crate::database::{self, Database, ReadError, Reader};
use crate::doors::{self, Door};
use crate::in_doubt::{self, Next, Till};
use crate::outage::Outage;
use crate::paid_basket::PayError;
use crate::search::Search;
use crate::signon::{SignOns, SignedOn, random_word};
use crate::simulated_terminal::SimulatedTerminal;
use crate::standing::{self, Band};

/// The fields of a posted form.
pub type Fields = BTreeMap<String, String>;

/// Stitches above and below the band's edge, in tenths of a millimetre.
const BAND_EDGES_MM: u32 = 5;

/// What all screens of this device have in common.
#[derive(Debug)]
pub struct Shared {
    /// The settings.
    pub config: Config,
    /// Receipts and master data.
    pub database: Database,
    /// Who is signed on.
    pub sign_ons: SignOns,
    /// One PIN is checked at a time: it costs memory on purpose.
    pub pin_turn: Semaphore,
    /// Since when the line is away.
    pub outage: Outage,
    /// Finds products by their words.
    pub search: Search,
    /// The line to the card terminal.
    pub cards: CardLine,
    baskets: Arc<Mutex<Baskets>>,
    changes: watch::Sender<u64>,
    wall_ms: fn() -> i64,
}

/// The state of the router.
#[derive(Debug, Clone)]
pub struct Page(pub Arc<Shared>);

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// Nobody is signed on.
    #[error("sign on first")]
    SignOn,
    /// The form belongs to another sign-on.
    #[error("this form belongs to another sign-on: load the page again")]
    Forged,
    /// The form has no usable request id.
    #[error("this form is incomplete: load the page again")]
    NoRequest,
    /// The person may not do this.
    #[error("{name} has no right \"{right}\": ask somebody who has it")]
    NoRight {
        /// Who.
        name: String,
        /// What is missing.
        right: Rights,
    },
    /// The database took nothing.
    #[error("nothing was written: {0}. Send it again; it counts once")]
    NotWritten(String),
    /// A text was typed that no log may hold.
    #[error("what was typed may be the number of a card: leave it out and send the rest again")]
    CardNumber,
    /// A payment was interrupted and is not cleared up yet.
    #[error(transparent)]
    Payment(#[from] PayError),
    /// The store's master data has not arrived.
    #[error(
        "nothing is known of this store yet: wait until head office has been heard, then try again"
    )]
    NoMasterData,
    /// A database could not be read.
    #[error("the database of this device cannot be read: {0}")]
    Database(String),
    /// A template did not render.
    #[error("this page could not be drawn: {0}")]
    Template(#[from] askama::Error),
}

impl From<ReadError> for PageError {
    fn from(error: ReadError) -> PageError {
        PageError::Database(error.to_string())
    }
}

/// The frame around each screen.
#[derive(Debug)]
pub struct Frame {
    /// Names of the embedded files.
    pub assets: &'static Assets,
    /// The screen's name, for its EventSource.
    pub screen: &'static str,
    /// Store and device.
    pub place: String,
    /// Who is signed on, or nothing.
    pub person: String,
    /// The one sentence, or nothing.
    pub banner: String,
    /// The time.
    pub clock: String,
    /// What each form must carry.
    pub csrf: String,
    /// The selvedge.
    pub band: Band,
    /// The screens that the person may enter; none on a pos.
    pub doors: Vec<Door>,
    /// Which set of colours the page takes: `day` or `night`.
    pub light: &'static str,
}

impl Frame {
    /// A fresh request id for one form.
    pub fn request(&self) -> String {
        random_word().unwrap_or_default()
    }
}

/// One sentence and the way on.
#[derive(Debug, Template)]
#[template(path = "refused.html")]
pub struct Refused {
    frame: Frame,
    said: String,
}

impl Shared {
    /// Takes up what a crash may have left, and is then ready for requests.
    pub fn new(
        config: Config,
        database: Database,
        baskets: Baskets,
        wall_ms: fn() -> i64,
    ) -> Result<Shared, PageError> {
        let (baskets, changes) = (Arc::new(Mutex::new(baskets)), watch::Sender::new(0));
        let cards = CardLine::to(terminal(&config)?, Arc::clone(&baskets), changes.clone());
        let replica = database.folder().join(database::FILE_NAME);
        let search = Search::beside(&replica, database.identity().origin);
        let shared = Shared {
            config,
            database,
            sign_ons: SignOns::default(),
            pin_turn: Semaphore::new(1),
            outage: Outage::starting(wall_ms()),
            search,
            cards,
            baskets,
            changes,
            wall_ms,
        };
        let taken_up =
            shared.database.read(|db| in_doubt::next(&mut shared.baskets(), &shared.till(db)));
        match taken_up.map_err(|error| PageError::Database(error.to_string()))? {
            // What is in doubt is named on the next tap; the pages must be there to say it.
            Ok(_) | Err(PayError::InDoubt(_) | PayError::NotWritten(_) | PayError::Doubt(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(shared)
    }

    /// Where the checkout looks things up, writes and asks.
    pub fn till<'a>(&'a self, db: &'a Reader) -> Till<'a> {
        Till { database: &self.database, db, cards: &self.cards, now: self.now() }
    }

    /// What the checkout may do next.
    pub fn next(&self, db: &Reader) -> Result<Next, PayError> {
        in_doubt::next(&mut self.baskets(), &self.till(db))
    }

    /// Milliseconds since 1970, as this device believes.
    pub fn now(&self) -> Moment {
        Moment((self.wall_ms)())
    }

    /// The clock that `now` reads.
    pub fn wall(&self) -> fn() -> i64 {
        self.wall_ms
    }

    /// The baskets; whoever holds them is alone with them.
    pub fn baskets(&self) -> MutexGuard<'_, Baskets> {
        self.baskets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that the basket has changed.
    pub fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Whether anybody is signed on at all.
    pub fn has_sign_on(&self) -> bool {
        !self.sign_ons.is_empty()
    }

    /// Hears of each change of the basket.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The store's number.
    pub fn store(&self) -> i64 {
        self.database.store()
    }

    /// The store's master data; `None` until it has arrived.
    pub fn store_data(&self, db: &Reader) -> Result<Option<Store>, ReadError> {
        catalogue::store(db, self.store())
    }

    /// Checks that a form is of this sign-on, and says its request id.
    pub fn request<'a>(&self, who: &SignedOn, fields: &'a Fields) -> Result<&'a str, PageError> {
        if fields.get("csrf") != Some(&who.csrf) {
            return Err(PageError::Forged);
        }
        let usable = |id: &&String| {
            (8..=64).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let id = fields.get("request").filter(usable).ok_or(PageError::NoRequest)?;
        Ok(id.as_str())
    }

    /// The person who is signed on, with the rights of this moment.
    pub fn cashier(&self, db: &Reader, who: &SignedOn) -> Result<Employee, PageError> {
        let person = staff::employee(db, self.store(), who.employee)?;
        person.filter(|person| person.rights.has(Rights::SELL)).ok_or(PageError::SignOn)
    }

    /// The frame around a screen.
    pub fn frame(
        &self,
        db: &Reader,
        screen: &'static str,
        who: Option<&SignedOn>,
    ) -> Result<Frame, PageError> {
        let now = self.now();
        let person = match who {
            Some(who) => staff::employee(db, self.store(), who.employee)?,
            None => None,
        };
        let doors = match (&person, self.config.role) {
            (Some(person), DeviceRole::BackOffice) => doors::open_to(person.rights, screen),
            _ => Vec::new(),
        };
        let store = self.store_data(db)?;
        let store = store.map_or_else(|| format!("Store {}", self.store()), |store| store.name);
        let acts = self.database.own_acts(db)?;
        let marks = self.database.marks();
        Ok(Frame {
            assets: &ASSETS,
            screen,
            place: format!("{store} · {}", self.database.label()),
            person: person.map_or_else(String::new, |person| person.name),
            banner: self.outage.sentence(&self.database, db, &acts, now, self.config.time_zone)?,
            clock: moment(now.0, now.0, self.config.time_zone),
            csrf: who.map_or_else(String::new, |who| who.csrf.clone()),
            band: standing::band(&acts, marks, self.stitches_that_fit()),
            doors,
            light: self.config.light.as_str(),
        })
    }

    /// What parts of a screen need of its frame: that which their forms carry.
    pub fn frame_of_parts(&self, screen: &'static str, who: &SignedOn) -> Frame {
        Frame {
            assets: &ASSETS,
            screen,
            place: String::new(),
            person: String::new(),
            banner: String::new(),
            clock: String::new(),
            csrf: who.csrf.clone(),
            band: Band::default(),
            doors: Vec::new(),
            light: self.config.light.as_str(),
        }
    }

    /// A stitch and its gap are 3.5 mm; panels are taken as 16 to 9.
    fn stitches_that_fit(&self) -> usize {
        let height_mm = self.config.panel_width_mm * 9 / 16;
        (height_mm.saturating_sub(BAND_EDGES_MM) * 10 / 35) as usize
    }
}

impl Page {
    /// Runs work that may wait for a disk, and answers with what it draws.
    pub async fn run(
        &self,
        work: impl FnOnce(&Shared, &Reader) -> Result<Response, PageError> + Send + 'static,
    ) -> Response {
        let shared = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            let drawn = shared
                .database
                .read(|db| work(&shared, db))
                .unwrap_or_else(|error| Err(PageError::Database(error.to_string())));
            drawn.unwrap_or_else(|error| shared.refused(&error))
        });
        done.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}

impl Shared {
    /// A page of one sentence for the person who is signed on.
    pub fn sentence_page(
        &self,
        db: &Reader,
        who: &SignedOn,
        said: String,
    ) -> Result<Refused, PageError> {
        Ok(Refused { frame: self.frame(db, "refused", Some(who))?, said })
    }

    /// A page that says why there is none.
    pub fn refused(&self, error: &PageError) -> Response {
        let status = match error {
            PageError::SignOn => return Redirect::to("/signon").into_response(),
            PageError::Forged | PageError::NoRight { .. } => StatusCode::FORBIDDEN,
            PageError::NoRequest | PageError::CardNumber => StatusCode::UNPROCESSABLE_ENTITY,
            PageError::Payment(_) | PageError::NotWritten(_) | PageError::NoMasterData => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            PageError::Database(_) | PageError::Template(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        tracing::warn!(%error, "a page was refused");
        let frame = self
            .database
            .read(|db| self.frame(db, "refused", None))
            .unwrap_or_else(|error| Err(PageError::Database(error.to_string())));
        let drawn = frame
            .and_then(|frame| html(status, &Refused { frame, said: sentence(&error.to_string()) }));
        drawn.unwrap_or_else(|_| (status, error.to_string()).into_response())
    }
}

/// The card terminal that the settings name.
fn terminal(config: &Config) -> Result<Option<Arc<dyn CardTerminal>>, PageError> {
    if config.role != DeviceRole::Pos || config.card_terminal == Terminal::ByHand {
        return Ok(None);
    }
    let simulated = SimulatedTerminal::start(&config.data, config.simulated_terminal);
    Ok(Some(Arc::new(simulated.map_err(|error| PageError::Database(error.to_string()))?)))
}

/// A page with its status.
pub fn html(status: StatusCode, template: &impl Template) -> Result<Response, PageError> {
    Ok((status, Html(template.render()?)).into_response())
}

/// The answer after a form was taken: the next page is asked for with GET.
pub fn go(place: &str) -> Response {
    Redirect::to(place).into_response()
}

/// Names the page that these parts belong to: our script needs no second question to be there.
pub fn at(place: &str, mut parts: Response) -> Response {
    if let Ok(place) = HeaderValue::from_str(place)
        && parts.status().is_success()
    {
        parts.headers_mut().insert(header::CONTENT_LOCATION, place);
    }
    parts
}

/// Whether the answer is swapped into the page by our script, or is a page of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// A whole page.
    Page,
    /// The parts that may have changed.
    Parts,
}

impl<S: Sync> FromRequestParts<S> for Wants {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Wants, Self::Rejection> {
        Ok(if parts.headers.contains_key("x-fragments") { Wants::Parts } else { Wants::Page })
    }
}

/// Whoever is signed on, without counting this request as a tap.
#[derive(Debug, Clone)]
pub struct Present(pub Option<SignedOn>);

impl FromRequestParts<Page> for Present {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        page: &Page,
    ) -> Result<Present, Self::Rejection> {
        Ok(Present(page.present(&parts.headers).await))
    }
}

impl FromRequestParts<Page> for SignedOn {
    type Rejection = Redirect;

    async fn from_request_parts(parts: &mut Parts, page: &Page) -> Result<SignedOn, Redirect> {
        let who = page.present(&parts.headers).await.ok_or(Redirect::to("/signon"))?;
        page.0.sign_ons.touch(clock::steady_ms());
        Ok(who)
    }
}

impl Page {
    async fn present(&self, headers: &HeaderMap) -> Option<SignedOn> {
        let cookie = cookie(headers, &self.cookie_name())?;
        let steady = clock::steady_ms();
        if self.0.sign_ons.is_empty() {
            let (shared, cookie) = (Arc::clone(&self.0), cookie.clone());
            let resumed = tokio::task::spawn_blocking(move || {
                shared.sign_ons.resume(&shared.baskets(), &cookie, steady)
            });
            resumed.await.ok()?.ok()?;
        }
        self.0.sign_ons.who(&cookie, steady, self.0.config.lock_after_ms)
    }

    /// Ends the sign-on of a browser, locked or not, and says whether it had one. The basket stays.
    pub async fn leave(&self, headers: &HeaderMap) -> bool {
        let Some(cookie) = cookie(headers, &self.cookie_name()) else { return false };
        let shared = Arc::clone(&self.0);
        let left = tokio::task::spawn_blocking(move || -> rusqlite::Result<()> {
            let mut baskets = shared.baskets();
            shared.sign_ons.resume(&baskets, &cookie, clock::steady_ms())?;
            if shared.sign_ons.is_of(&cookie) {
                shared.sign_ons.sign_off(&mut baskets)?;
            }
            Ok(())
        });
        if !matches!(left.await, Ok(Ok(()))) {
            tracing::warn!("a sign-on could not be ended in the file; it ends with its cookie");
        }
        true
    }

    /// Browsers share cookies between the ports of a host, so each device has a name of its own.
    pub fn cookie_name(&self) -> String {
        format!("selvedge-{}", self.0.config.device)
    }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|pair| pair.0 == name).map(|pair| pair.1.to_owned())
}

/// A field of a form, or nothing.
pub fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map_or("", String::as_str)
}
