//! A basket as the checkout draws it

use rusqlite::Connection;
use selvedge_domain::basket::{self, Quote, QuotedLine, RungUp};
use selvedge_domain::catalogue::{self, ShelfPrices, Store, Tag};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;
use selvedge_domain::staff::{Employee, Rights};

use crate::amounts::{counted, grouped_gtin, percent, sentence};
use crate::assets::fingerprint;
use crate::baskets::{Basket, Line};
use crate::ringing::line_to_price;

/// How many tags the checkout shows.
const TAGS_SHOWN: u32 = 9;

/// Percentages that have a key of their own; nought takes the discount away.
const PERCENT_KEYS: [u32; 5] = [0, 10, 20, 30, 50];

/// The whole basket.
#[derive(Debug)]
pub struct BasketView {
    /// Moves with each change and with the chosen line.
    pub rev: String,
    /// The line that was scanned last.
    pub last: Option<LineView>,
    /// No line is chosen, so the last one may catch the eye.
    pub just_scanned: bool,
    /// The other lines, newest first.
    pub lines: Vec<LineView>,
    /// Count and tax, or why there is no total.
    pub words: String,
    /// The total, or a dash.
    pub total: String,
    /// What "Take payment" asks for.
    pub due: String,
    /// Whether payment may be taken.
    pub payable: bool,
    /// The chosen line's sheet.
    pub sheet: Option<Sheet>,
    /// Favourites, when no line is chosen.
    pub tags: Vec<TagView>,
    /// Moves when other favourites are shown: while it stands, the page keeps those that it has.
    pub tags_rev: String,
}

/// One line.
#[derive(Debug)]
pub struct LineView {
    /// Its number.
    pub no: i64,
    /// How many.
    pub quantity: i64,
    /// What.
    pub name: String,
    /// Size, colour, number.
    pub detail: String,
    /// What it comes to.
    pub amount: String,
    /// What was taken off.
    pub note: String,
    /// It is the chosen one.
    pub chosen: bool,
}

/// What can be done with the chosen line.
#[derive(Debug)]
pub struct Sheet {
    /// The line.
    pub no: i64,
    /// What it is.
    pub name: String,
    /// The person may take something off.
    pub may_discount: bool,
    /// The person may set a price.
    pub may_open_price: bool,
    /// Percentages with a key.
    pub percents: &'static [u32],
    /// What the catalogue asks for one.
    pub catalogue_price: String,
    /// The price that was set, as it is typed.
    pub open_price: String,
}

/// One favourite.
#[derive(Debug)]
pub struct TagView {
    /// What the key adds.
    pub sku: i64,
    /// What it is.
    pub name: String,
    /// What it costs.
    pub price: String,
}

/// Where and when a basket is drawn, and for whom.
#[derive(Debug)]
pub struct Scene<'a> {
    /// Master data.
    pub db: &'a Connection,
    /// The store.
    pub store: &'a Store,
    /// The moment, for prices.
    pub at: Moment,
    /// The person.
    pub cashier: &'a Employee,
    /// The chosen line.
    pub chosen: Option<i64>,
}

/// Draws the basket of a device, or that there is none.
pub fn draw(scene: &Scene, basket: Option<&Basket>) -> rusqlite::Result<BasketView> {
    let none = Vec::new();
    let kept = basket.map_or(&none, |basket| &basket.lines);
    let mut tags = Vec::with_capacity(kept.len());
    for line in kept {
        tags.push(catalogue::by_sku(scene.db, scene.store.id, line.sku, scene.at)?);
    }
    let priced = price(scene, kept);
    let mut lines: Vec<LineView> = kept
        .iter()
        .zip(&tags)
        .enumerate()
        .map(|(place, (line, tag))| {
            let quoted = match &priced {
                Ok(quote) => quote.lines.get(place).cloned(),
                // One line without a price takes the total, not the prices of the others.
                Err(_) => price(scene, std::slice::from_ref(line))
                    .ok()
                    .and_then(|mut one| one.lines.pop()),
            };
            line_view(scene, line, tag.as_ref(), quoted.as_ref())
        })
        .collect();
    lines.reverse();
    let rest = if lines.is_empty() { Vec::new() } else { lines.split_off(1) };
    let chosen = kept.iter().zip(&tags).find(|(line, _)| Some(line.no) == scene.chosen);
    let (id, revision) = basket.map_or((0, 0), |basket| (basket.id, basket.revision));
    let show = |money: Money| scene.store.currency.show(money);
    let total = priced.as_ref().map_or_else(|_| "–".to_owned(), |quote| show(quote.total));
    let begun: i64 =
        basket.map_or(0, |basket| basket.tenders.iter().map(|taken| taken.amount_minor).sum());
    let tags = if chosen.is_some() { Vec::new() } else { favourites(scene)? };
    Ok(BasketView {
        rev: format!("{id}.{revision}.{}", scene.chosen.unwrap_or(0)),
        last: lines.pop(),
        just_scanned: scene.chosen.is_none(),
        lines: rest,
        words: words(scene, kept, priced.as_ref()),
        due: priced
            .as_ref()
            .map_or_else(|_| String::new(), |quote| show(Money(quote.total.0 - begun))),
        payable: !kept.is_empty() && priced.is_ok(),
        total,
        sheet: chosen.map(|(line, tag)| sheet(scene, line, tag.as_ref())),
        tags_rev: tags_rev(&tags),
        tags,
    })
}

fn price(scene: &Scene, lines: &[Line]) -> Result<Quote, String> {
    let lines: Vec<_> = lines.iter().map(line_to_price).collect();
    let rung_up = RungUp { lines: &lines, ..RungUp::default() };
    basket::quote(scene.db, scene.store.id, rung_up, scene.at).map_err(|why| why.to_string())
}

fn words(scene: &Scene, lines: &[Line], priced: Result<&Quote, &String>) -> String {
    let quote = match priced {
        Ok(_) if lines.is_empty() => return "nothing rung up yet".to_owned(),
        Ok(quote) => quote,
        Err(why) => return sentence(why),
    };
    let pieces: i64 = lines.iter().map(|line| line.quantity).sum();
    let pieces = counted(pieces.unsigned_abs(), "piece", "pieces");
    let tax = scene.store.currency.show(quote.tax);
    let of_tax = match quote.shelf_prices {
        ShelfPrices::TaxIncluded => format!("tax {tax} included"),
        ShelfPrices::TaxExcluded => format!("tax {tax} on top"),
    };
    match quote.discount {
        Money::ZERO => format!("{pieces} · {of_tax}"),
        saved => format!("{pieces} · {of_tax} · saves {}", scene.store.currency.show(saved)),
    }
}

fn line_view(
    scene: &Scene,
    line: &Line,
    tag: Option<&Tag>,
    priced: Option<&QuotedLine>,
) -> LineView {
    let show = |money: Money| scene.store.currency.show(money);
    let mut notes = Vec::new();
    if let Some(priced) = priced.filter(|priced| priced.discount != Money::ZERO) {
        let off = percent(line.discount_points);
        notes.push(format!("−{off} % · you save {}", show(priced.discount)));
    }
    if line.open_price_minor.is_some() {
        notes.push("price set by hand".to_owned());
    }
    let number = line.gtin.as_deref().map_or_else(|| format!("SKU {}", line.sku), grouped_gtin);
    let mut detail: Vec<String> = Vec::new();
    if let Some(tag) = tag {
        detail.extend(tag.size.iter().map(|size| format!("Size {size}")));
        detail.extend(tag.colour.iter().cloned());
    }
    detail.push(number);
    if let Some(priced) = priced.filter(|priced| priced.quantity > 1) {
        detail.push(format!("{} each", show(priced.unit)));
    }
    LineView {
        no: line.no,
        quantity: line.quantity,
        name: tag.map_or_else(|| format!("SKU {}", line.sku), |tag| tag.name.clone()),
        detail: detail.join(" · "),
        amount: priced.map_or_else(|| "no price".to_owned(), |priced| show(priced.amount)),
        note: notes.join(" · "),
        chosen: Some(line.no) == scene.chosen,
    }
}

fn sheet(scene: &Scene, line: &Line, tag: Option<&Tag>) -> Sheet {
    let currency = scene.store.currency;
    let asked = tag.and_then(|tag| tag.price);
    Sheet {
        no: line.no,
        name: tag.map_or_else(|| format!("SKU {}", line.sku), Tag::label),
        may_discount: scene.cashier.rights.has(Rights::DISCOUNT),
        may_open_price: scene.cashier.rights.has(Rights::OPEN_PRICE),
        percents: &PERCENT_KEYS,
        catalogue_price: asked.map_or_else(|| "none".to_owned(), |price| currency.show(price)),
        open_price: line
            .open_price_minor
            .map_or_else(String::new, |price| currency.plain(Money(price))),
    }
}

fn favourites(scene: &Scene) -> rusqlite::Result<Vec<TagView>> {
    let tags = catalogue::favourites(scene.db, scene.store.id, scene.at, TAGS_SHOWN)?;
    let view = |tag: Tag| TagView {
        sku: tag.sku,
        name: tag.label(),
        price: tag.price.map_or_else(|| "no price".to_owned(), |price| tag.currency.show(price)),
    };
    Ok(tags.into_iter().map(view).collect())
}

fn tags_rev(tags: &[TagView]) -> String {
    let shown = |tag: &TagView| format!("{} {} {}\n", tag.sku, tag.name, tag.price);
    format!("{:016x}", fingerprint(&tags.iter().map(shown).collect::<String>()))
}
