//! A basket as the checkout draws it

use rusqlite::Connection;
use selvedge_domain::basket::{self, Discount, Quote, QuotedLine, RungUp};
use selvedge_domain::catalogue::{self, ShelfPrices, Store, Tag};
use selvedge_domain::customers;
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;
use selvedge_domain::staff::{Employee, Rights};

use crate::amounts::{counted, grouped_gtin, percent, sentence};
use crate::assets::fingerprint;
use crate::baskets::{Basket, Line};
use crate::ringing::{line_to_price, off, rung_up, to_price};

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
    /// What stands between the lines and the total: customer and basket discount.
    pub sums: Vec<SumView>,
    /// The total, or a dash.
    pub total: String,
    /// The total as forms name it.
    pub total_minor: i64,
    /// What "Take payment" asks for.
    pub due: String,
    /// Whether payment may be taken.
    pub payable: bool,
    /// What can be done with what is chosen.
    pub sheet: Option<Sheet>,
    /// Favourites, when nothing is chosen.
    pub tags: Vec<TagView>,
    /// Moves when other favourites are shown: while it stands, the page keeps those that it has.
    pub tags_rev: String,
    /// The person may take something off the whole, and there is something.
    pub may_discount: bool,
}

/// What is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Chosen {
    /// Nothing: favourites are shown.
    #[default]
    Nothing,
    /// A line.
    Line(i64),
    /// The basket's discount.
    Discount,
    /// The customer.
    Customer,
}

impl Chosen {
    /// What a page's address names: `line=3`, `sheet=discount`, `sheet=customer`.
    pub fn parse(line: Option<&str>, sheet: Option<&str>) -> Chosen {
        match (line.and_then(|line| line.parse().ok()), sheet) {
            (Some(line), _) => Chosen::Line(line),
            (None, Some("discount")) => Chosen::Discount,
            (None, Some("customer")) => Chosen::Customer,
            _ => Chosen::Nothing,
        }
    }

    fn word(self) -> String {
        match self {
            Chosen::Nothing => "0".to_owned(),
            Chosen::Line(no) => no.to_string(),
            Chosen::Discount => "discount".to_owned(),
            Chosen::Customer => "customer".to_owned(),
        }
    }
}

/// One row between the lines and the total.
#[derive(Debug)]
pub struct SumView {
    /// What it is.
    pub words: String,
    /// How much.
    pub amount: String,
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
    /// What it comes to, before customer and basket discount.
    pub amount: String,
    /// What it came to before its own discounts, or nothing.
    pub instead_of: String,
    /// Who took something off, and how much.
    pub note: String,
    /// It is the chosen one.
    pub chosen: bool,
}

/// What can be done with what is chosen.
#[derive(Debug)]
pub enum Sheet {
    /// With a line.
    Line(LineSheet),
    /// With the basket's discount.
    Discount(DiscountSheet),
    /// With the customer.
    Customer(CustomerSheet),
}

/// What can be taken off the whole basket.
#[derive(Debug)]
pub struct DiscountSheet {
    /// What is taken off now, in words.
    pub now: String,
    /// Percentages with a key.
    pub percents: &'static [u32],
    /// The amount that is taken off now, as it is typed.
    pub amount: String,
}

/// Whose basket it is.
#[derive(Debug)]
pub struct CustomerSheet {
    /// Who, or nothing.
    pub name: String,
    /// The newest receipts of the customer that are here.
    pub receipts: Vec<PastReceipt>,
}

/// One receipt of the customer.
#[derive(Debug, Clone)]
pub struct PastReceipt {
    /// Its number.
    pub number: String,
    /// Its day.
    pub day: String,
    /// What it came to.
    pub total: String,
}

/// What can be done with a line.
#[derive(Debug)]
pub struct LineSheet {
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
    /// The store takes something off it, but not off a price that is set by hand.
    pub store_discount: bool,
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
    /// What is chosen.
    pub chosen: Chosen,
    /// The receipts of the basket's customer, when the customer is chosen.
    pub past: Vec<PastReceipt>,
}

/// Draws the basket of a device, or that there is none.
pub fn draw(scene: &Scene, basket: Option<&Basket>) -> rusqlite::Result<BasketView> {
    let none = Vec::new();
    let kept = basket.map_or(&none, |basket| &basket.lines);
    let mut tags = Vec::with_capacity(kept.len());
    for line in kept {
        tags.push(catalogue::by_sku(scene.db, scene.store.id, line.sku, scene.at)?);
    }
    let priced = price(scene, basket);
    let mut lines: Vec<LineView> = kept
        .iter()
        .zip(&tags)
        .enumerate()
        .map(|(place, (line, tag))| {
            let quoted = match &priced {
                Ok(quote) => quote.lines.get(place).cloned(),
                // One line without a price takes the total, not the prices of the others.
                Err(_) => price_alone(scene, line),
            };
            line_view(scene, line, tag.as_ref(), quoted.as_ref())
        })
        .collect();
    lines.reverse();
    let rest = if lines.is_empty() { Vec::new() } else { lines.split_off(1) };
    let sheet = sheet(scene, basket, &tags);
    let (id, revision) = basket.map_or((0, 0), |basket| (basket.id, basket.revision));
    let show = |money: Money| scene.store.currency.show(money);
    let total = priced.as_ref().map_or_else(|_| "–".to_owned(), |quote| show(quote.total));
    let begun: i64 =
        basket.map_or(0, |basket| basket.tenders.iter().map(|taken| taken.amount_minor).sum());
    let total_minor = priced.as_ref().map_or(0, |quote| quote.total.0);
    let tags = if sheet.is_some() { Vec::new() } else { favourites(scene)? };
    Ok(BasketView {
        rev: format!("{id}.{revision}-{total_minor}.{}", scene.chosen.word()),
        last: lines.pop(),
        just_scanned: scene.chosen == Chosen::Nothing,
        lines: rest,
        words: words(scene, kept, priced.as_ref()),
        sums: sums(scene, basket, priced.as_ref().ok()),
        total_minor,
        due: priced
            .as_ref()
            .map_or_else(|_| String::new(), |quote| show(Money(quote.total.0 - begun))),
        payable: !kept.is_empty() && priced.is_ok(),
        total,
        tags_rev: tags_rev(&tags),
        tags,
        sheet,
        may_discount: !kept.is_empty() && scene.cashier.rights.has(Rights::DISCOUNT),
    })
}

fn price(scene: &Scene, basket: Option<&Basket>) -> Result<Quote, String> {
    let lines = basket.map_or_else(Vec::new, to_price);
    let rung_up = basket.map_or_else(RungUp::default, |basket| rung_up(basket, &lines));
    basket::quote(scene.db, scene.store.id, rung_up, scene.at).map_err(|why| why.to_string())
}

fn price_alone(scene: &Scene, line: &Line) -> Option<QuotedLine> {
    let lines = [line_to_price(line)];
    let rung_up = RungUp { lines: &lines, ..RungUp::default() };
    basket::quote(scene.db, scene.store.id, rung_up, scene.at).ok()?.lines.pop()
}

/// Subtotal, customer and basket discount, when there is one of the two. Without
/// a total there are no amounts, but it still says whose basket it is.
fn sums(scene: &Scene, basket: Option<&Basket>, quote: Option<&Quote>) -> Vec<SumView> {
    let Some(basket) = basket else { return Vec::new() };
    let show = |money: Money| scene.store.currency.show(money);
    let quote = quote.filter(|_| !basket.lines.is_empty());
    let less = |off: fn(&Quote) -> Money| {
        quote.map_or_else(String::new, |quote| show(Money(-off(quote).0)))
    };
    let mut sums = Vec::new();
    if let Some(id) = basket.customer {
        let words = customer_words(scene, id);
        sums.push(SumView { words, amount: less(|quote| quote.customer_off) });
    }
    if off(basket) != Discount::None {
        let words = discount_words(scene, basket);
        sums.push(SumView { words, amount: less(|quote| quote.basket_off) });
    }
    if let Some(quote) = quote.filter(|_| !sums.is_empty()) {
        let lines: i64 = quote.lines.iter().map(|line| rung(line).0).sum();
        sums.insert(0, SumView { words: "subtotal".to_owned(), amount: show(Money(lines)) });
    }
    sums
}

fn customer_words(scene: &Scene, id: i64) -> String {
    let known = customers::by_id(scene.db, id).ok().flatten();
    match known.map_or(0, |customer| customer.discount_points) {
        0 => format!("customer, number {id}"),
        points => format!("customer, number {id}, {} %", percent(points)),
    }
}

fn discount_words(scene: &Scene, basket: &Basket) -> String {
    match off(basket) {
        Discount::None => "no discount".to_owned(),
        Discount::Percent { basis_points } => {
            format!("discount {} %", percent(basis_points.into()))
        }
        Discount::Amount(amount) => format!("discount {}", scene.store.currency.show(amount)),
    }
}

/// What a line comes to before customer and basket discount.
fn rung(line: &QuotedLine) -> Money {
    Money(line.amount.0 + line.off.customer.0 + line.off.basket.0)
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
    let reduced = priced.filter(|priced| priced.off.store.0 + priced.off.line.0 != 0);
    if let Some(priced) = reduced.filter(|priced| priced.off.store != Money::ZERO) {
        notes.push(format!("store {} %", percent(priced.store_points)));
    }
    if reduced.is_some_and(|priced| priced.off.line != Money::ZERO) {
        notes.push(format!("line {} %", percent(line.discount_points)));
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
        amount: priced.map_or_else(|| "no price".to_owned(), |priced| show(rung(priced))),
        instead_of: reduced.map_or_else(String::new, |priced| {
            show(Money(rung(priced).0 + priced.off.store.0 + priced.off.line.0))
        }),
        note: notes.join(", "),
        chosen: Chosen::Line(line.no) == scene.chosen,
    }
}

fn sheet(scene: &Scene, basket: Option<&Basket>, tags: &[Option<Tag>]) -> Option<Sheet> {
    match scene.chosen {
        Chosen::Nothing => None,
        Chosen::Line(no) => {
            let (line, tag) = basket?.lines.iter().zip(tags).find(|(line, _)| line.no == no)?;
            Some(Sheet::Line(line_sheet(scene, line, tag.as_ref())))
        }
        Chosen::Discount => {
            let basket = basket.filter(|basket| !basket.lines.is_empty())?;
            if !scene.cashier.rights.has(Rights::DISCOUNT) {
                return None;
            }
            let amount = match off(basket) {
                Discount::Amount(amount) => scene.store.currency.plain(amount),
                _ => String::new(),
            };
            let now = sentence(&discount_words(scene, basket));
            Some(Sheet::Discount(DiscountSheet { now, percents: &PERCENT_KEYS, amount }))
        }
        Chosen::Customer => {
            let name = basket
                .and_then(|basket| basket.customer)
                .map_or_else(String::new, |id| sentence(&customer_words(scene, id)));
            let name = name.trim_end_matches('.').to_owned();
            Some(Sheet::Customer(CustomerSheet { name, receipts: scene.past.clone() }))
        }
    }
}

fn line_sheet(scene: &Scene, line: &Line, tag: Option<&Tag>) -> LineSheet {
    let currency = scene.store.currency;
    let asked = tag.and_then(|tag| tag.price);
    LineSheet {
        no: line.no,
        name: tag.map_or_else(|| format!("SKU {}", line.sku), Tag::label),
        may_discount: scene.cashier.rights.has(Rights::DISCOUNT),
        may_open_price: scene.cashier.rights.has(Rights::OPEN_PRICE),
        percents: &PERCENT_KEYS,
        catalogue_price: asked.map_or_else(|| "none".to_owned(), |price| currency.show(price)),
        store_discount: tag.map_or(0, |tag| tag.store_points) > 0,
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
        price: match (tag.price_now(), tag.store_points) {
            (None, _) => "no price".to_owned(),
            (Some(price), 0) => tag.currency.show(price),
            (Some(price), off) => format!("{}, store {} %", tag.currency.show(price), percent(off)),
        },
    };
    Ok(tags.into_iter().map(view).collect())
}

fn tags_rev(tags: &[TagView]) -> String {
    let shown = |tag: &TagView| format!("{} {} {}\n", tag.sku, tag.name, tag.price);
    format!("{:016x}", fingerprint(&tags.iter().map(shown).collect::<String>()))
}
