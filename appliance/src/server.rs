//! One address for all screens, one set of headers

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::serve::ListenerExt;

use crate::assets::ASSETS;
use crate::config::{DeviceRole, Mode};
use crate::follower;
use crate::fonts;
use crate::health;
use crate::kiosk;
use crate::kiosk_door;
use crate::live;
use crate::page::Page;
use crate::screens;
use crate::status::{self, Status};

/// No page of ours loads anything from elsewhere, runs anything inline, or stands in a frame.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The longest form: a few fields of a few letters.
const FORM_BYTES_MAX: usize = 16 * 1024;

/// A file whose name holds its hash never changes.
const KEPT_FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Why the pages do not answer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another program has the port.
    #[error("the address {0} is in use by another program: stop that one, or set another `listen`")]
    InUse(SocketAddr),
    /// The address cannot be had.
    #[error("the address {address} cannot be used: {cause}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The pages stopped.
    #[error("the pages stopped: {0}")]
    Stopped(io::Error),
}

/// Every page of this device.
pub fn router(page: Page) -> Router {
    let pages = match page.0.config.role {
        DeviceRole::Pos => pos(&page),
        DeviceRole::BackOffice => screens::back_office().merge(live::routes()).fallback(no_page),
    };
    let kiosk = kiosk_of(&page);
    let pages = pages
        .merge(health::routes())
        .route("/status", get(status_json))
        .route("/status.txt", get(status_text))
        .route("/panel.css", get(panel))
        .route("/static/{name}", get(asset))
        .route("/fonts/{name}", get(font))
        .with_state(page);
    let pages = match kiosk {
        Some(kiosk) => {
            pages.nest("/kiosk", kiosk).route("/kiosk/", get(|| async { Redirect::to("/kiosk") }))
        }
        None => pages,
    };
    pages
        .layer(middleware::from_fn(own_forms_only))
        .layer(middleware::from_fn(headers))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
}

/// The checkout, where this device is one.
fn pos(page: &Page) -> Router<Page> {
    if page.0.config.modes.contains(&Mode::Checkout) {
        return screens::pos().merge(live::routes()).fallback(no_page);
    }
    Router::new().route("/", get(|| async { Redirect::to("/kiosk") })).fallback(only_kiosk)
}

/// The kiosk, where this device is one, behind the door that signs everybody off.
fn kiosk_of(page: &Page) -> Option<Router> {
    let config = &page.0.config;
    let is_kiosk = config.role == DeviceRole::Pos && config.modes.contains(&Mode::Kiosk);
    let door = middleware::from_fn_with_state(page.clone(), kiosk_door::sign_off_first);
    is_kiosk.then(|| kiosk::router(kiosk_door::kiosk(&page.0)).layer(door))
}

async fn no_page() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "There is no such page. Go to /.\n")
}

async fn only_kiosk() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "This device is a kiosk and sells nothing. Go to /kiosk.\n")
}

/// Takes the address before anything is promised to anybody.
pub async fn listen(address: SocketAddr) -> Result<tokio::net::TcpListener, ServeError> {
    tokio::net::TcpListener::bind(address).await.map_err(|cause| match cause.kind() {
        io::ErrorKind::AddrInUse => ServeError::InUse(address),
        _ => ServeError::Bind { address, cause },
    })
}

/// Answers until the program ends, and keeps the search current meanwhile.
pub async fn serve(listener: tokio::net::TcpListener, page: Page) -> Result<(), ServeError> {
    tokio::spawn(follower::follow(page.clone()));
    // A fragment is small and must not wait for a fuller packet. A line that is gone already says so when it is read.
    let listener = listener.tap_io(|line| line.set_nodelay(true).unwrap_or_default());
    axum::serve(listener, router(page)).await.map_err(ServeError::Stopped)
}

/// A form that another site posts is refused before it is read.
async fn own_forms_only(request: Request, next: Next) -> Response {
    if request.method() == Method::POST && is_foreign(request.headers()) {
        return (StatusCode::FORBIDDEN, "This form comes from another site.\n").into_response();
    }
    next.run(request).await
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    let origin = text(header::ORIGIN);
    origin.is_some_and(|origin| origin.split_once("://").is_none_or(|origin| origin.1 != host))
}

async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

async fn asset(Path(name): Path<String>) -> Response {
    let path = format!("/static/{name}");
    match ASSETS.all.iter().find(|asset| asset.path == path) {
        Some(asset) => {
            let kept = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, KEPT_FOR_EVER)];
            (kept, asset.text).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// How large a millimetre is on this panel, and the face when the device has it.
async fn panel(State(page): State<Page>) -> Response {
    let config = &page.0.config;
    let mut sheet = format!(":root {{ --mm: {:.4}px; }}\n", config.px_per_mm());
    sheet.push_str(&fonts::rules(config.fonts.as_deref()));
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], sheet).into_response()
}

async fn font(State(page): State<Page>, Path(name): Path<String>) -> Response {
    match fonts::file(page.0.config.fonts.as_deref(), &name) {
        Some(font) => {
            let kept = [(header::CONTENT_TYPE, font.kind), (header::CACHE_CONTROL, KEPT_FOR_EVER)];
            (kept, font.bytes).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn status_json(State(page): State<Page>) -> Response {
    match serde_json::to_string(&status_of(&page)) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn status_text(State(page): State<Page>) -> Response {
    status::text(&status_of(&page)).into_response()
}

fn status_of(page: &Page) -> Status {
    let database = &page.0.database;
    let (identity, label, class) = (database.identity(), database.label(), database.key_class());
    status::of(identity, label, class, &database.status(), database.rebuilt())
}
