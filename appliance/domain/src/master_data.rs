//! What HQ writes: stores, goods, prices and taxes
//!
//! Each deed checks one row and says in a sentence what is wrong with it. A row
//! that is there already is not written again, so an import that is run twice
//! sends nothing the second time.

use crate::catalogue::{PRICE_MAX, ShelfPrices};
use crate::gtin::Gtin;
use crate::moment::Moment;
use crate::money::{Amount, Currency, Money};
use rusqlite::{Connection, OptionalExtension, Transaction};
use std::ops::RangeInclusive;

/// The highest tax rate that is believed, in parts per million: 100 %.
const RATE_PPM_MAX: i64 = 1_000_000;

/// The highest store number: it must fit beside the engine's other numbers.
const STORE_MAX: i64 = 8_388_607;

/// The longest name of anything.
const NAME_CHARS_MAX: usize = 120;

/// The longest line of material and care: the kiosk shows it on one or two.
const NOTE_CHARS_MAX: usize = 200;

/// For how long the figures of a store may count as fresh.
const STALE_AFTER_MS: RangeInclusive<i64> = 1_000..=86_400_000;

/// What 100 g can hold of anything, in mg.
const WHOLE_MG: i64 = 100_000;

/// The letters of the Nutri-Score, best first.
const NUTRI_SCORES: [&str; 5] = ["A", "B", "C", "D", "E"];

/// More energy than pure fat has, in kJ for 100 g.
const ENERGY_KJ_MAX: i64 = 10_000;

/// Why a row was not taken.
#[derive(Debug, thiserror::Error)]
pub enum MasterDataError {
    /// A number that cannot be a key.
    #[error("{what} {number} is not a number from 1 to {max}")]
    Number {
        /// Of what.
        what: &'static str,
        /// The number.
        number: i64,
        /// The highest.
        max: i64,
    },
    /// A text that is empty or too long.
    #[error("the {0} is empty, longer than 120 characters, or has control characters")]
    Text(&'static str),
    /// The store is not known.
    #[error("there is no store {0}: import the stores first")]
    UnknownStore(i64),
    /// The product is not known.
    #[error("there is no product {0}: import the catalogue first")]
    UnknownProduct(i64),
    /// A line of material and care that does not fit.
    #[error("the note is longer than 200 characters or has control characters")]
    Note,
    /// A limit outside of what can be meant.
    #[error("a store counts as stale after 1 to 86400 seconds, not after {0} ms")]
    StaleAfter(i64),
    /// A figure of a food that cannot be.
    #[error("{what} of {figure} is not between 0 and {max}")]
    Food {
        /// Which figure.
        what: &'static str,
        /// What was said.
        figure: i64,
        /// The highest.
        max: i64,
    },
    /// A part that is more than its whole.
    #[error("{saturates_mg} mg of saturates are more than the {fat_mg} mg of fat they are part of")]
    Saturates {
        /// The part.
        saturates_mg: i64,
        /// The whole.
        fat_mg: i64,
    },
    /// A letter that is none of the five.
    #[error("the Nutri-Score {0:?} is not one of A, B, C, D and E")]
    NutriScore(String),
    /// The SKU is not known.
    #[error("there is no SKU {0} in the catalogue: import the catalogue first")]
    UnknownSku(i64),
    /// Something else bears the GTIN.
    #[error("GTIN {gtin} already belongs to SKU {sku}")]
    GtinTaken {
        /// The number.
        gtin: Gtin,
        /// What bears it.
        sku: i64,
    },
    /// A price below zero.
    #[error("a price of {0} is below zero")]
    NegativePrice(Amount),
    /// A price that nobody pays.
    #[error("a price of {0} is not believed: it is above 1,000,000,000,000 minor units")]
    AbsurdPrice(Amount),
    /// A price of a store in another currency than the store's.
    #[error("store {store} sells in {ours}, the price is in {theirs}")]
    OtherCurrency {
        /// The store.
        store: i64,
        /// Its currency.
        ours: &'static str,
        /// The price's.
        theirs: &'static str,
    },
    /// A rate below zero or above the whole.
    #[error("a tax rate of {0} millionths is not between 0 and 1,000,000")]
    Rate(i64),
    /// The currency of a store that has sold cannot become another.
    #[error("store {store} sells in {ours}: its currency cannot change to {theirs}")]
    CurrencyIsFixed {
        /// The store.
        store: i64,
        /// Its currency.
        ours: &'static str,
        /// The wish.
        theirs: &'static str,
    },
    /// The database refused; nothing was written.
    #[error("the row was not written")]
    Database(#[from] rusqlite::Error),
}

/// A store as HQ enters one.
#[derive(Debug, Clone)]
pub struct NewStore<'a> {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: &'a str,
    /// What its customers pay in.
    pub currency: Currency,
    /// Whether its prices contain the tax.
    pub shelf_prices: ShelfPrices,
}

/// A product as HQ enters one.
#[derive(Debug, Clone)]
pub struct NewProduct<'a> {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: &'a str,
    /// Where it is found.
    pub department: Option<&'a str>,
}

/// A variant as HQ enters one.
#[derive(Debug, Clone)]
pub struct NewVariant<'a> {
    /// Our key.
    pub sku: i64,
    /// Its product.
    pub product: i64,
    /// Its size, if it has one.
    pub size: Option<&'a str>,
    /// Its colour, if it has one.
    pub colour: Option<&'a str>,
    /// How it is taxed.
    pub tax_class: i64,
    /// Its place among the keys of the checkout, if it has one.
    pub favourite: Option<i64>,
}

/// A price as HQ enters one.
#[derive(Debug, Clone, Copy)]
pub struct NewPrice {
    /// Of what.
    pub sku: i64,
    /// In which store; 0 for the whole chain.
    pub store: i64,
    /// In which currency.
    pub currency: Currency,
    /// From when.
    pub valid_from: Moment,
    /// What one costs.
    pub unit: Money,
}

/// A tax rate as HQ enters one.
#[derive(Debug, Clone, Copy)]
pub struct NewTaxRate {
    /// In which store.
    pub store: i64,
    /// Which class.
    pub class: i64,
    /// From when.
    pub valid_from: Moment,
    /// Parts per million: 190,000 is 19 %.
    pub rate_ppm: i64,
}

/// What is in a food or a drink, as HQ enters it: per 100 g or 100 ml, `None` where it is not declared.
#[derive(Debug, Clone, Default)]
pub struct NewNutrition<'a> {
    /// Of which product.
    pub product: i64,
    /// Whether it is drunk: the words "high" and "low" have other limits then.
    pub is_drink: bool,
    /// The Nutri-Score letter, A to E, as its source says.
    pub nutri_score: Option<&'a str>,
    /// The NOVA group, 1 to 4, as its source says.
    pub nova_group: Option<i64>,
    /// Energy in kJ.
    pub energy_kj: Option<i64>,
    /// Fat in mg.
    pub fat_mg: Option<i64>,
    /// Saturated fat in mg, a part of the fat.
    pub saturates_mg: Option<i64>,
    /// Sugars in mg.
    pub sugars_mg: Option<i64>,
    /// Salt in mg.
    pub salt_mg: Option<i64>,
    /// Names with commas between.
    pub allergens: Option<&'a str>,
    /// Who says all this.
    pub source: Option<&'a str>,
}

/// Writes a store; `true` if that changed anything.
pub fn upsert_store(tx: &Transaction, new: &NewStore) -> Result<bool, MasterDataError> {
    number("store", new.id, STORE_MAX)?;
    let name = text("name", new.name)?;
    if let Some(ours) = currency_of(tx, new.id)?
        && ours != new.currency
    {
        let (ours, theirs) = (ours.code(), new.currency.code());
        return Err(MasterDataError::CurrencyIsFixed { store: new.id, ours, theirs });
    }
    let included = new.shelf_prices == ShelfPrices::TaxIncluded;
    let rows = tx
        .prepare_cached(
            "INSERT INTO store (id, name, currency, tax_included) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, tax_included = excluded.tax_included
             WHERE (name, tax_included) IS NOT (excluded.name, excluded.tax_included)",
        )?
        .execute((new.id, name, new.currency, included))?;
    Ok(rows > 0)
}

/// Sets from which age on a store's figures are stale; `true` if that changed anything.
pub fn set_stale_after(tx: &Transaction, store: i64, ms: i64) -> Result<bool, MasterDataError> {
    if !STALE_AFTER_MS.contains(&ms) {
        return Err(MasterDataError::StaleAfter(ms));
    }
    if currency_of(tx, store)?.is_none() {
        return Err(MasterDataError::UnknownStore(store));
    }
    let rows = tx
        .prepare_cached(
            "UPDATE store SET stale_after_ms = ?2 WHERE id = ?1 AND stale_after_ms <> ?2",
        )?
        .execute((store, ms))?;
    Ok(rows > 0)
}

/// Writes a product; `true` if that changed anything.
pub fn upsert_product(tx: &Transaction, new: &NewProduct) -> Result<bool, MasterDataError> {
    number("product", new.id, i64::MAX)?;
    let name = text("name", new.name)?;
    let department = optional("department", new.department)?;
    let rows = tx
        .prepare_cached(
            "INSERT INTO product (id, name, department) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, department = excluded.department
             WHERE (name, department) IS NOT (excluded.name, excluded.department)",
        )?
        .execute((new.id, name, department))?;
    Ok(rows > 0)
}

/// Sets a product's line of material and care, or takes it away; `true` if that changed anything.
pub fn set_note(
    tx: &Transaction,
    product: i64,
    note: Option<&str>,
) -> Result<bool, MasterDataError> {
    let note = note.map(str::trim).filter(|note| !note.is_empty());
    let fits =
        |note: &str| note.chars().count() <= NOTE_CHARS_MAX && !note.chars().any(char::is_control);
    if !note.is_none_or(fits) {
        return Err(MasterDataError::Note);
    }
    require_product(tx, product)?;
    let rows = tx
        .prepare_cached("UPDATE product SET note = ?2 WHERE id = ?1 AND note IS NOT ?2")?
        .execute((product, note))?;
    Ok(rows > 0)
}

/// Writes what is in a food; `true` if that changed anything.
pub fn upsert_nutrition(tx: &Transaction, new: &NewNutrition) -> Result<bool, MasterDataError> {
    let figures = [
        ("energy in kJ", new.energy_kj, ENERGY_KJ_MAX),
        ("fat in mg", new.fat_mg, WHOLE_MG),
        ("saturates in mg", new.saturates_mg, WHOLE_MG),
        ("sugars in mg", new.sugars_mg, WHOLE_MG),
        ("salt in mg", new.salt_mg, WHOLE_MG),
    ];
    for (what, figure, max) in figures {
        if let Some(figure) = figure.filter(|figure| !(0..=max).contains(figure)) {
            return Err(MasterDataError::Food { what, figure, max });
        }
    }
    if let (Some(saturates_mg), Some(fat_mg)) = (new.saturates_mg, new.fat_mg)
        && saturates_mg > fat_mg
    {
        return Err(MasterDataError::Saturates { saturates_mg, fat_mg });
    }
    if let Some(letter) = new.nutri_score.filter(|letter| !NUTRI_SCORES.contains(letter)) {
        return Err(MasterDataError::NutriScore(letter.to_owned()));
    }
    if let Some(group) = new.nova_group {
        number("NOVA group", group, 4)?;
    }
    let (allergens, source) =
        (optional("list of allergens", new.allergens)?, optional("source", new.source)?);
    require_product(tx, new.product)?;
    let rows = tx
        .prepare_cached(
            "INSERT INTO nutrition (product, is_drink, nutri_score, nova_group, energy_kj, fat_mg,
                 saturates_mg, sugars_mg, salt_mg, allergens, source)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (product) DO UPDATE
             SET is_drink = ?2, nutri_score = ?3, nova_group = ?4, energy_kj = ?5, fat_mg = ?6,
                 saturates_mg = ?7, sugars_mg = ?8, salt_mg = ?9, allergens = ?10, source = ?11
             WHERE (is_drink, nutri_score, nova_group, energy_kj, fat_mg, saturates_mg, sugars_mg, salt_mg,
                    allergens, source) IS NOT (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute((
            new.product,
            new.is_drink,
            new.nutri_score,
            new.nova_group,
            new.energy_kj,
            new.fat_mg,
            new.saturates_mg,
            new.sugars_mg,
            new.salt_mg,
            allergens,
            source,
        ))?;
    Ok(rows > 0)
}

/// Writes a variant; `true` if that changed anything.
pub fn upsert_variant(tx: &Transaction, new: &NewVariant) -> Result<bool, MasterDataError> {
    number("SKU", new.sku, i64::MAX)?;
    number("tax class", new.tax_class, 99)?;
    let (size, colour) = (optional("size", new.size)?, optional("colour", new.colour)?);
    require_product(tx, new.product)?;
    let rows = tx
        .prepare_cached(
            "INSERT INTO variant (sku, product, size, colour, tax_class, favourite)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (sku) DO UPDATE
             SET product = excluded.product, size = excluded.size, colour = excluded.colour,
                 tax_class = excluded.tax_class, favourite = excluded.favourite
             WHERE (product, size, colour, tax_class, favourite) IS NOT
                   (excluded.product, excluded.size, excluded.colour, excluded.tax_class, excluded.favourite)",
        )?
        .execute((new.sku, new.product, size, colour, new.tax_class, new.favourite))?;
    Ok(rows > 0)
}

/// The SKU that bears a GTIN.
fn bearer(db: &Connection, gtin: Gtin) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT sku FROM gtin WHERE gtin = ?1")?
        .query_row([gtin], |row| row.get(0))
        .optional()
}

/// Writes which SKU bears a GTIN; `true` if that changed anything.
pub fn upsert_gtin(tx: &Transaction, gtin: Gtin, sku: i64) -> Result<bool, MasterDataError> {
    require_sku(tx, sku)?;
    match bearer(tx, gtin)? {
        Some(bearer) if bearer == sku => Ok(false),
        Some(sku) => Err(MasterDataError::GtinTaken { gtin, sku }),
        None => {
            tx.prepare_cached("INSERT INTO gtin (gtin, sku) VALUES (?1, ?2)")?
                .execute((gtin, sku))?;
            Ok(true)
        }
    }
}

/// Writes a price; `true` if that changed anything.
pub fn upsert_price(tx: &Transaction, new: &NewPrice) -> Result<bool, MasterDataError> {
    let said = Amount(new.unit, new.currency);
    if new.unit < Money::ZERO {
        return Err(MasterDataError::NegativePrice(said));
    }
    if new.unit > PRICE_MAX {
        return Err(MasterDataError::AbsurdPrice(said));
    }
    require_sku(tx, new.sku)?;
    if new.store != 0 {
        let ours = currency_of(tx, new.store)?.ok_or(MasterDataError::UnknownStore(new.store))?;
        if ours != new.currency {
            let (ours, theirs) = (ours.code(), new.currency.code());
            return Err(MasterDataError::OtherCurrency { store: new.store, ours, theirs });
        }
    }
    let rows = tx
        .prepare_cached(
            "INSERT INTO price (sku, currency, store, valid_from, unit_minor) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (sku, currency, store, valid_from) DO UPDATE SET unit_minor = excluded.unit_minor
             WHERE unit_minor <> excluded.unit_minor",
        )?
        .execute((new.sku, new.currency, new.store, new.valid_from, new.unit))?;
    Ok(rows > 0)
}

/// Writes a tax rate; `true` if that changed anything.
pub fn upsert_tax_rate(tx: &Transaction, new: &NewTaxRate) -> Result<bool, MasterDataError> {
    number("tax class", new.class, 99)?;
    if !(0..=RATE_PPM_MAX).contains(&new.rate_ppm) {
        return Err(MasterDataError::Rate(new.rate_ppm));
    }
    if currency_of(tx, new.store)?.is_none() {
        return Err(MasterDataError::UnknownStore(new.store));
    }
    let rows = tx
        .prepare_cached(
            "INSERT INTO tax_rate (store, class, valid_from, rate_ppm) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (store, class, valid_from) DO UPDATE SET rate_ppm = excluded.rate_ppm
             WHERE rate_ppm <> excluded.rate_ppm",
        )?
        .execute((new.store, new.class, new.valid_from, new.rate_ppm))?;
    Ok(rows > 0)
}

fn number(what: &'static str, number: i64, max: i64) -> Result<(), MasterDataError> {
    let usable = (1..=max).contains(&number);
    if usable { Ok(()) } else { Err(MasterDataError::Number { what, number, max }) }
}

fn text<'a>(what: &'static str, text: &'a str) -> Result<&'a str, MasterDataError> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().count() <= NAME_CHARS_MAX;
    let readable = !text.chars().any(char::is_control);
    if fits && readable { Ok(text) } else { Err(MasterDataError::Text(what)) }
}

fn optional<'a>(
    what: &'static str,
    value: Option<&'a str>,
) -> Result<Option<&'a str>, MasterDataError> {
    let given = value.map(str::trim).filter(|value| !value.is_empty());
    given.map(|value| text(what, value)).transpose()
}

fn require_product(db: &Connection, product: i64) -> Result<(), MasterDataError> {
    let known = db.prepare_cached("SELECT 1 FROM product WHERE id = ?1")?.exists([product])?;
    if known { Ok(()) } else { Err(MasterDataError::UnknownProduct(product)) }
}

fn require_sku(db: &Connection, sku: i64) -> Result<(), MasterDataError> {
    let known = db.prepare_cached("SELECT 1 FROM variant WHERE sku = ?1")?.exists([sku])?;
    if known { Ok(()) } else { Err(MasterDataError::UnknownSku(sku)) }
}

fn currency_of(db: &Connection, store: i64) -> rusqlite::Result<Option<Currency>> {
    db.prepare_cached("SELECT currency FROM store WHERE id = ?1")?
        .query_row([store], |row| row.get(0))
        .optional()
}
