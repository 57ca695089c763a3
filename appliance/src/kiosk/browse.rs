//! Departments as tags, then their products, with filters

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use selvedge_domain::catalogue::Store;
use selvedge_domain::money::{Currency, Money};
use selvedge_domain::shelf::{self, Wanted};

use crate::kiosk::address::Address;
use crate::kiosk::lost;
use crate::kiosk::sight::{self, Asked, Frame, Kiosk, KioskError, Scene};
use crate::kiosk::tiles::{self, PAGE, Sheet};
use crate::texts::Language;

/// Bounds of the price bands, in whole units of a currency with cents.
const BANDS: [i64; 4] = [10, 25, 50, 100];

#[derive(Template)]
#[template(path = "kiosk/departments.html")]
struct Departments {
    frame: Frame,
    departments: Vec<(String, Address)>,
    everything: Address,
    pages: Sheet,
}

#[derive(Template)]
#[template(path = "kiosk/browse.html")]
struct Browse {
    frame: Frame,
    title: String,
    filters: Vec<Filter>,
    is_filtered: bool,
    unfiltered: Address,
    sheet: Sheet,
}

/// One key above the products.
struct Filter {
    name: String,
    value: String,
    is_on: bool,
    address: Address,
}

/// The departments, or the products of one.
pub async fn show(State(kiosk): State<Kiosk>, asked: Asked) -> Response {
    kiosk
        .draw(asked, |scene| {
            let Some(store) = scene.store()? else { return lost::no_goods(scene) };
            if scene.here.get("department").is_empty() && scene.here.get("all").is_empty() {
                return departments(scene);
            }
            products(scene, &store)
        })
        .await
}

fn departments(scene: &Scene) -> Result<Response, KioskError> {
    let all = shelf::departments(scene.db)?;
    let (page, limit) = (tiles::page_of(&scene.here), PAGE as usize);
    let skip = (page as usize - 1) * limit;
    let browse = scene.here.to("/kiosk/browse");
    let shown = all.iter().skip(skip).take(limit);
    let several = all.len() > limit;
    let at = |page: u32| scene.here.with("page", &page.to_string());
    let pages = Sheet {
        tiles: Vec::new(),
        page: match several {
            true => scene.t.tell("kiosk-page", &[("count", i64::from(page).into())]),
            false => String::new(),
        },
        previous: (page > 1).then(|| at(page - 1)),
        next: (all.len() > skip + limit).then(|| at(page + 1)),
    };
    let page = Departments {
        frame: scene.frame()?,
        departments: shown.map(|name| (name.clone(), browse.with("department", name))).collect(),
        everything: browse.with("all", "1"),
        pages,
    };
    sight::html(StatusCode::OK, &page)
}

fn products(scene: &Scene, store: &Store) -> Result<Response, KioskError> {
    let wanted = wanted(&scene.here, store.currency);
    let skip = (tiles::page_of(&scene.here) - 1) * PAGE;
    let found = shelf::wanted(scene.db, store.id, scene.at, &wanted, skip, PAGE + 1)?;
    let everything = || scene.t.say("kiosk-everything");
    let page = Browse {
        frame: scene.frame()?,
        title: wanted.department.clone().unwrap_or_else(everything),
        filters: filters(scene, store.currency, &wanted)?,
        is_filtered: wanted.is_filtered(),
        unfiltered: without_filters(&scene.here),
        sheet: tiles::sheet(scene, store, &found, &wanted)?,
    };
    sight::html(StatusCode::OK, &page)
}

fn without_filters(here: &Address) -> Address {
    ["size", "colour", "price", "here", "page"]
        .into_iter()
        .fold(here.clone(), |address, name| address.with(name, ""))
}

/// What an address asks for.
fn wanted(here: &Address, currency: Currency) -> Wanted {
    let text = |name| Some(here.get(name).to_owned()).filter(|text| !text.is_empty());
    let band = here.get("price").parse().ok().and_then(|band| bounds(currency, band));
    let (from, below) = band.unwrap_or_default();
    Wanted {
        department: text("department"),
        size: text("size"),
        colour: text("colour"),
        from,
        below,
        in_stock: here.get("here") == "1",
    }
}

/// From which amount to below which one a band goes.
type Band = (Option<Money>, Option<Money>);

fn bounds(currency: Currency, band: usize) -> Option<Band> {
    // A currency without decimals counts in hundreds where others count in ones.
    let unit = 10_i64.pow(currency.digits().max(2));
    let bound = |place: usize| BANDS.get(place).map(|units| Money(units * unit));
    (band <= BANDS.len()).then(|| (band.checked_sub(1).and_then(bound), bound(band)))
}

/// The price bands with the words for them.
pub fn bands(t: &Language, currency: Currency) -> Vec<(String, String)> {
    let words = |band| {
        let (from, below) = bounds(currency, band)?;
        let amount = |money: Option<Money>| money.map(|money| t.money(currency, money));
        let (from, below) = (amount(from).unwrap_or_default(), amount(below).unwrap_or_default());
        let key = match (from.is_empty(), below.is_empty()) {
            (true, _) => "kiosk-price-below",
            (_, true) => "kiosk-price-above",
            _ => "kiosk-price-between",
        };
        Some(t.tell(key, &[("from", (&from).into()), ("to", (&below).into())]))
    };
    (0..=BANDS.len()).filter_map(|band| Some((band.to_string(), words(band)?))).collect()
}

fn filters(scene: &Scene, currency: Currency, wanted: &Wanted) -> Result<Vec<Filter>, KioskError> {
    let (t, here) = (scene.t, &scene.here);
    let (has_sizes, has_colours) = shelf::has_values(scene.db, wanted.department.as_deref())?;
    let key = |name, path, value: Option<String>| Filter {
        name: t.say(name),
        is_on: value.is_some(),
        value: value.unwrap_or_else(|| t.say("kiosk-any")),
        address: here.moved(path).with("page", ""),
    };
    let mut keys = Vec::new();
    if has_sizes || wanted.size.is_some() {
        keys.push(key("kiosk-size", "/kiosk/browse/size", wanted.size.clone()));
    }
    if has_colours || wanted.colour.is_some() {
        keys.push(key("kiosk-colour", "/kiosk/browse/colour", wanted.colour.clone()));
    }
    let band = bands(t, currency).into_iter().find(|band| band.0 == here.get("price"));
    keys.push(key("kiosk-price", "/kiosk/browse/price", band.map(|band| band.1)));
    let (value, next) = match wanted.in_stock {
        true => (t.say("kiosk-here-on"), ""),
        false => (t.say("kiosk-here-off"), "1"),
    };
    keys.push(Filter {
        name: t.say("kiosk-here"),
        value,
        is_on: wanted.in_stock,
        address: here.with("page", "").with("here", next),
    });
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::language;

    #[test]
    fn price_bands_leave_no_amount_out() {
        for currency in [Currency::EUR, Currency::parse("JPY").unwrap()] {
            let mut reached = None;
            for band in 0..=BANDS.len() {
                let (from, below) = bounds(currency, band).unwrap();
                assert_eq!(from, reached, "a band begins where the last one ended");
                reached = below;
            }
            assert_eq!(reached, None, "the last band has no end");
        }
        assert_eq!(bounds(Currency::EUR, 5), None);
        let words = bands(language("en").unwrap(), Currency::EUR);
        assert_eq!(words[0].1, "below €10.00");
        assert_eq!(words[1].1, "€10.00 to €25.00");
        assert_eq!(words[4].1, "€100.00 and more");
    }
}
