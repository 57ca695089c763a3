//! One product: price, sizes and colours, stock, food facts

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use selvedge_domain::catalogue::Store;
use selvedge_domain::shelf::{self, Product, Variant};
use selvedge_domain::store_discounts;

use crate::amounts;
use crate::kiosk::address::Address;
use crate::kiosk::food::{self, Food};
use crate::kiosk::freshness::{self, Age};
use crate::kiosk::lost;
use crate::kiosk::sight::{self, Asked, Frame, Kiosk, KioskError, Scene};
use crate::kiosk::sizes;
use crate::kiosk::tiles::{reduced, stock};

/// A name of more letters than this is set smaller.
const LONG_NAME_CHARS: usize = 28;

/// A name of more letters than this is set smaller still.
const LONGEST_NAME_CHARS: usize = 70;

#[derive(Template)]
#[template(path = "kiosk/product.html")]
struct ProductPage {
    frame: Frame,
    name: String,
    name_class: &'static str,
    initial: String,
    department: String,
    note: String,
    price: Price,
    colours: Vec<Key>,
    sizes: Vec<Key>,
    chosen: String,
    stock: String,
    is_gone: bool,
    age: Age,
    food: Option<Food>,
}

struct Price {
    now: String,
    was: String,
    saving: String,
}

/// A size or a colour.
struct Key {
    name: String,
    words: String,
    is_chosen: bool,
    is_gone: bool,
    /// Nothing where it is not made.
    address: Option<Address>,
}

/// The page of a SKU. What is sold out has one as well.
pub async fn show(State(kiosk): State<Kiosk>, Path(sku): Path<String>, asked: Asked) -> Response {
    kiosk
        .draw(asked, move |scene| {
            let Some(store) = scene.store()? else { return lost::no_goods(scene) };
            let found = match sku.parse() {
                Ok(sku) => shelf::product_of(scene.db, sku)?.map(|product| (sku, product)),
                Err(_) => None,
            };
            let product = match found {
                Some((_, id)) => shelf::product(scene.db, store.id, scene.at, id)?,
                None => None,
            };
            let chosen = product.as_ref().and_then(|product| {
                product.variants.iter().find(|one| Some(one.sku) == found.map(|found| found.0))
            });
            match (&product, chosen) {
                (Some(product), Some(chosen)) => {
                    let page = view(scene, &store, product, chosen)?;
                    sight::html(StatusCode::OK, &page)
                }
                _ => lost::not_found(scene, scene.t.say("kiosk-not-found-product"), ""),
            }
        })
        .await
}

fn view(
    scene: &Scene,
    store: &Store,
    product: &Product,
    chosen: &Variant,
) -> Result<ProductPage, KioskError> {
    let parts = [chosen.colour.as_deref(), chosen.size.as_deref()];
    let letter = |name: &str| name.chars().find(|letter| letter.is_alphanumeric());
    Ok(ProductPage {
        frame: scene.frame()?,
        name: product.name.clone(),
        name_class: match product.name.chars().count() {
            LONGEST_NAME_CHARS.. => "longest",
            LONG_NAME_CHARS.. => "long",
            _ => "",
        },
        initial: letter(&product.name)
            .map_or_else(String::new, |letter| letter.to_uppercase().collect()),
        department: product.department.clone().unwrap_or_default(),
        note: product.note.clone().unwrap_or_default(),
        price: price(scene, store, product, chosen)?,
        colours: colours(scene, product, chosen),
        sizes: sizes_of(scene, product, chosen),
        chosen: parts.into_iter().flatten().collect::<Vec<_>>().join(", "),
        stock: stock(scene.t, chosen.on_hand),
        is_gone: chosen.on_hand <= 0,
        age: freshness::of(scene)?,
        food: food::of(scene, product.id)?,
    })
}

fn price(
    scene: &Scene,
    store: &Store,
    product: &Product,
    chosen: &Variant,
) -> Result<Price, KioskError> {
    let t = scene.t;
    let Some(listed) = chosen.price else {
        let now = t.say("kiosk-no-price");
        return Ok(Price { now, was: String::new(), saving: String::new() });
    };
    let points = store_discounts::points_at(scene.db, store.id, product.id, scene.at)?;
    let now = t.money(store.currency, reduced(listed, points));
    if points == 0 {
        return Ok(Price { now, was: String::new(), saving: String::new() });
    }
    let (before, percent) = (t.money(store.currency, listed), percent(scene, points));
    Ok(Price {
        now,
        was: t.tell("kiosk-was", &[("price", (&before).into())]),
        saving: t.tell("kiosk-saving", &[("percent", (&percent).into())]),
    })
}

/// "20", "12.5", with the marks of the language.
fn percent(scene: &Scene, points: i64) -> String {
    let plain = amounts::percent(points);
    let decimals = plain.split_once('.').map_or(0, |(_, part)| part.len());
    let scale = 10_i64.pow(2 - u32::try_from(decimals).unwrap_or(0).min(2));
    scene.t.number(points / scale, u32::try_from(decimals).unwrap_or(0))
}

fn page_of(scene: &Scene, variant: &Variant) -> Address {
    scene.here.to(&format!("/kiosk/p/{}", variant.sku))
}

/// The colours, each with how many of it are here. A colour keeps the size that is chosen, if it is made in it.
fn colours(scene: &Scene, product: &Product, chosen: &Variant) -> Vec<Key> {
    let mut names: Vec<&String> = Vec::new();
    for colour in product.variants.iter().filter_map(|variant| variant.colour.as_ref()) {
        if !names.contains(&colour) {
            names.push(colour);
        }
    }
    let key = |name: &String| {
        let of = || product.variants.iter().filter(|one| one.colour.as_ref() == Some(name));
        let same = of().find(|one| one.size == chosen.size);
        let target = same.or(of().find(|one| one.on_hand > 0)).or(of().next());
        let here: i64 = of().map(|one| one.on_hand.max(0)).sum();
        Key {
            name: name.clone(),
            words: stock(scene.t, here),
            is_chosen: chosen.colour.as_ref() == Some(name),
            is_gone: here == 0,
            address: target.map(|target| page_of(scene, target)),
        }
    };
    names.into_iter().map(key).collect()
}

/// The sizes in the chosen colour. One that is sold out stays, and so does one that is not made.
fn sizes_of(scene: &Scene, product: &Product, chosen: &Variant) -> Vec<Key> {
    let mut names: Vec<&String> =
        product.variants.iter().filter_map(|variant| variant.size.as_ref()).collect();
    names.sort_by(|one, other| sizes::in_order(one, other));
    names.dedup();
    let key = |name: &String| {
        let is_it = |one: &&Variant| one.colour == chosen.colour && one.size.as_ref() == Some(name);
        let made = product.variants.iter().find(is_it);
        Key {
            name: name.clone(),
            words: made
                .map_or_else(|| scene.t.say("stock-not-made"), |made| stock(scene.t, made.on_hand)),
            is_chosen: chosen.size.as_ref() == Some(name),
            is_gone: made.is_none_or(|made| made.on_hand <= 0),
            address: made.map(|made| page_of(scene, made)),
        }
    };
    names.into_iter().map(key).collect()
}
