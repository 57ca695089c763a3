//! Products as tags, eight to a page, with price and stock

use selvedge_domain::catalogue::Store;
use selvedge_domain::money::Money;
use selvedge_domain::shelf::{self, Product, Variant, Wanted};
use selvedge_domain::store_discounts;

use crate::kiosk::address::Address;
use crate::kiosk::sight::{KioskError, Scene};
use crate::texts::Language;

/// How many products stand on one page.
pub const PAGE: u32 = 8;

/// The last page that can be asked for: nobody turns so many.
const PAGES_MAX: u32 = 10_000;

/// What all discounts are counted in.
const POINTS: i64 = 10_000;

/// One product as a tag.
#[derive(Debug, Clone)]
pub struct Tile {
    /// Its name.
    pub name: String,
    /// What it costs here now.
    pub price: String,
    /// How many are here, in words.
    pub stock: String,
    /// None is here.
    pub is_gone: bool,
    /// Its page.
    pub address: Address,
}

/// One page of products, and the pages beside it.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// At most eight.
    pub tiles: Vec<Tile>,
    /// "Page 2"; nothing where there is only one.
    pub page: String,
    /// The page before.
    pub previous: Option<Address>,
    /// The page after.
    pub next: Option<Address>,
}

/// Which page an address asks for; the first is 1.
pub fn page_of(here: &Address) -> u32 {
    here.get("page").parse().unwrap_or(1).clamp(1, PAGES_MAX)
}

/// Draws the products of a page. `products` may hold one more than fits: then there is a next page.
pub fn sheet(
    scene: &Scene,
    store: &Store,
    products: &[i64],
    wanted: &Wanted,
) -> Result<Sheet, KioskError> {
    let page = page_of(&scene.here);
    let mut tiles = Vec::new();
    for id in products.iter().take(PAGE as usize) {
        if let Some(product) = shelf::product(scene.db, store.id, scene.at, *id)? {
            tiles.extend(tile(scene, store, &product, wanted)?);
        }
    }
    let has_next = products.len() > PAGE as usize;
    let at = |page: u32| scene.here.with("page", &page.to_string());
    Ok(Sheet {
        tiles,
        page: if page > 1 || has_next {
            scene.t.tell("kiosk-page", &[("count", i64::from(page).into())])
        } else {
            String::new()
        },
        previous: (page > 1).then(|| at(page - 1)),
        next: has_next.then(|| at(page + 1)),
    })
}

fn tile(
    scene: &Scene,
    store: &Store,
    product: &Product,
    wanted: &Wanted,
) -> Result<Option<Tile>, KioskError> {
    let matching: Vec<&Variant> =
        product.variants.iter().filter(|variant| wanted.takes(variant)).collect();
    let here = matching.iter().find(|variant| variant.on_hand > 0).or(matching.first());
    let Some(shown) = here else { return Ok(None) };
    let points = store_discounts::points_at(scene.db, store.id, product.id, scene.at)?;
    let prices = matching.iter().filter_map(|variant| variant.price);
    let (least, most) = (prices.clone().min(), prices.max());
    let price = match (least, most) {
        (Some(least), Some(most)) => {
            let amount = scene.t.money(store.currency, reduced(least, points));
            match least == most {
                true => amount,
                false => scene.t.tell("kiosk-price-from", &[("price", (&amount).into())]),
            }
        }
        _ => scene.t.say("kiosk-no-price"),
    };
    let on_hand = matching.iter().map(|variant| variant.on_hand.max(0)).sum();
    Ok(Some(Tile {
        name: product.name.clone(),
        price,
        stock: stock(scene.t, on_hand),
        is_gone: on_hand <= 0,
        address: scene.here.to(&format!("/kiosk/p/{}", shown.sku)),
    }))
}

/// "3 here", or the words for none.
pub fn stock(t: &Language, on_hand: i64) -> String {
    match on_hand {
        1.. => t.tell("stock-here", &[("count", on_hand.into())]),
        _ => t.say("stock-none"),
    }
}

/// A price without what the store takes off it, rounded as a sale rounds it.
pub fn reduced(price: Money, points: i64) -> Money {
    // A price is no more than a thousand milliards: its share fits.
    let off = price.share(points.clamp(0, POINTS), POINTS).unwrap_or_default();
    price.minus(off).unwrap_or(price)
}
