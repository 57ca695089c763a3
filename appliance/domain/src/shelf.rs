//! What a customer sees: departments, products, what is here
//!
//! A product is shown whole, with the variants that are sold out: gone and
//! never made are different things to know. The newest figures are those that
//! this device has heard; how old they are is not known here.

use crate::catalogue::price_sql;
use crate::moment::Moment;
use crate::money::Money;
use rusqlite::{Connection, OptionalExtension, named_params};

/// How many products are looked at to see whether a department has sizes or colours at all.
const LOOKED_AT: u32 = 200;

/// Which products are wanted. Without anything in it: all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only of this department.
    pub department: Option<String>,
    /// Only what is made in this size.
    pub size: Option<String>,
    /// Only what is made in this colour.
    pub colour: Option<String>,
    /// Only what costs at least this, before any discount of the store.
    pub from: Option<Money>,
    /// Only what costs less than this, before any discount of the store.
    pub below: Option<Money>,
    /// Only what this store has.
    pub in_stock: bool,
}

impl Wanted {
    /// Whether anything beside the department narrows the choice.
    pub fn is_filtered(&self) -> bool {
        let open = Wanted { department: self.department.clone(), ..Wanted::default() };
        *self != open
    }

    /// Whether a variant is among what is wanted.
    pub fn takes(&self, variant: &Variant) -> bool {
        let is = |wish: &Option<String>, has: &Option<String>| wish.is_none() || wish == has;
        let costs = |bound: Option<Money>, fits: fn(Money, Money) -> bool| {
            bound.is_none_or(|bound| variant.price.is_some_and(|price| fits(price, bound)))
        };
        is(&self.size, &variant.size)
            && is(&self.colour, &variant.colour)
            && (!self.in_stock || variant.on_hand > 0)
            && costs(self.from, |price, bound| price >= bound)
            && costs(self.below, |price, bound| price < bound)
    }
}

/// One size and colour of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Our key.
    pub sku: i64,
    /// Its size, if it has one.
    pub size: Option<String>,
    /// Its colour, if it has one.
    pub colour: Option<String>,
    /// What one costs; `None` while it has no price here.
    pub price: Option<Money>,
    /// How many the store has; may be negative.
    pub on_hand: i64,
}

/// A product with everything that it is made in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Where it belongs, if anywhere.
    pub department: Option<String>,
    /// One line of material and care.
    pub note: Option<String>,
    /// By SKU.
    pub variants: Vec<Variant>,
}

/// Which part of a variant is chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trait {
    /// Its size.
    Size,
    /// Its colour.
    Colour,
}

/// The departments by name. Each costs one step in the index, however large it is.
pub fn departments(db: &Connection) -> rusqlite::Result<Vec<String>> {
    db.prepare_cached(
        "WITH RECURSIVE step (found) AS (
             SELECT min(department) FROM product
             UNION ALL
             SELECT (SELECT min(department) FROM product WHERE department > step.found)
             FROM step WHERE step.found IS NOT NULL
         )
         SELECT found FROM step WHERE found IS NOT NULL",
    )?
    .query_map([], |row| row.get(0))?
    .collect()
}

/// Whether a variant of product `p` is wanted.
macro_rules! wanted_sql {
    ($rest:literal) => {
        concat!(
            "EXISTS (
                 SELECT 1 FROM variant v
                 LEFT JOIN stock_balance b ON b.store = :store AND b.sku = v.sku
                 WHERE v.product = p.id
                 AND (:size IS NULL OR v.size = :size)
                 AND (:colour IS NULL OR v.colour = :colour)
                 AND (NOT :in_stock OR b.on_hand > 0)
                 AND (:from IS NULL OR ",
            price_sql!("v.sku", "s.currency", "s.id", ":at"),
            " >= :from)
                 AND (:below IS NULL OR ",
            price_sql!("v.sku", "s.currency", "s.id", ":at"),
            " < :below)) ",
            $rest
        )
    };
}

const IN_DEPARTMENT: &str = concat!(
    "SELECT p.id FROM product p JOIN store s ON s.id = :store
     WHERE p.department = :department AND ",
    wanted_sql!("ORDER BY p.name, p.id LIMIT :limit OFFSET :skip")
);

/// Department by department: that is the order of the index, so no list is sorted.
const IN_ALL: &str = concat!(
    "SELECT p.id FROM product p JOIN store s ON s.id = :store
     WHERE :department IS NULL AND ",
    wanted_sql!("ORDER BY p.department, p.name, p.id LIMIT :limit OFFSET :skip")
);

/// Numbers of the products that are wanted, by name. Sold out ones are among them.
pub fn wanted(
    db: &Connection,
    store: i64,
    at: Moment,
    wanted: &Wanted,
    skip: u32,
    limit: u32,
) -> rusqlite::Result<Vec<i64>> {
    let sql = if wanted.department.is_some() { IN_DEPARTMENT } else { IN_ALL };
    db.prepare_cached(sql)?
        .query_map(
            named_params! {
                ":store": store,
                ":at": at,
                ":department": wanted.department,
                ":size": wanted.size,
                ":colour": wanted.colour,
                ":from": wanted.from,
                ":below": wanted.below,
                ":in_stock": wanted.in_stock,
                ":limit": limit,
                ":skip": skip,
            },
            |row| row.get(0),
        )?
        .collect()
}

/// Every size or colour that a department has; with `None` those of all.
pub fn values(
    db: &Connection,
    department: Option<&str>,
    of: Trait,
) -> rusqlite::Result<Vec<String>> {
    let sql = match of {
        Trait::Size => {
            "SELECT DISTINCT v.size FROM product p JOIN variant v ON v.product = p.id
             WHERE (?1 IS NULL OR p.department = ?1) AND v.size IS NOT NULL ORDER BY 1"
        }
        Trait::Colour => {
            "SELECT DISTINCT v.colour FROM product p JOIN variant v ON v.product = p.id
             WHERE (?1 IS NULL OR p.department = ?1) AND v.colour IS NOT NULL ORDER BY 1"
        }
    };
    db.prepare_cached(sql)?.query_map([department], |row| row.get(0))?.collect()
}

/// Whether the first products of a department come in sizes, and whether in colours.
pub fn has_values(db: &Connection, department: Option<&str>) -> rusqlite::Result<(bool, bool)> {
    let counted = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?));
    match department {
        Some(department) => db
            .prepare_cached(
                "SELECT count(v.size) > 0, count(v.colour) > 0 FROM variant v WHERE v.product IN
                 (SELECT id FROM product WHERE department = ?1 LIMIT ?2)",
            )?
            .query_row((department, LOOKED_AT), counted),
        None => db
            .prepare_cached(
                "SELECT count(size) > 0, count(colour) > 0
                 FROM (SELECT size, colour FROM variant LIMIT ?1)",
            )?
            .query_row([LOOKED_AT], counted),
    }
}

/// The product that a SKU is a variant of.
pub fn product_of(db: &Connection, sku: i64) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT product FROM variant WHERE sku = ?1")?
        .query_row([sku], |row| row.get(0))
        .optional()
}

/// A product with all its variants; `None` where nothing bears the number.
pub fn product(
    db: &Connection,
    store: i64,
    at: Moment,
    id: i64,
) -> rusqlite::Result<Option<Product>> {
    let variants: Vec<Variant> = db
        .prepare_cached(concat!(
            "SELECT v.sku, v.size, v.colour, ",
            price_sql!("v.sku", "s.currency", "s.id", "?2"),
            ", coalesce(b.on_hand, 0)
             FROM variant v
             JOIN store s ON s.id = ?1
             LEFT JOIN stock_balance b ON b.store = ?1 AND b.sku = v.sku
             WHERE v.product = ?3 ORDER BY v.sku"
        ))?
        .query_map((store, at, id), |row| {
            Ok(Variant {
                sku: row.get(0)?,
                size: row.get(1)?,
                colour: row.get(2)?,
                price: row.get(3)?,
                on_hand: row.get(4)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let Some(first) = variants.first() else { return Ok(None) };
    // A variant may arrive before its product: then it is called by its number.
    let unnamed = Product {
        id,
        name: format!("SKU {}", first.sku),
        department: None,
        note: None,
        variants: Vec::new(),
    };
    let named = db
        .prepare_cached("SELECT name, department, note FROM product WHERE id = ?1")?
        .query_row([id], |row| {
            Ok(Product {
                id,
                name: row.get(0)?,
                department: row.get(1)?,
                note: row.get(2)?,
                variants: Vec::new(),
            })
        })
        .optional()?;
    Ok(Some(Product { variants, ..named.unwrap_or(unnamed) }))
}
