//! Products, their variants and their GTINs from a file

use std::collections::HashMap;

use rusqlite::Transaction;
use selvedge_domain::gtin::Gtin;
use selvedge_domain::master_data::{self, MasterDataError, NewProduct, NewVariant};
use selvedge_domain::moment::Moment;

use crate::import::fields::{Fields, shown};
use crate::import::rows::Kind;
use crate::import::taxes::TAX_CLASS_MAX;

/// One SKU bears few GTINs: its own, and those of its packs.
const GTINS_MAX: usize = 16;

/// Places among the checkout's keys.
const FAVOURITE_MAX: i64 = 1_000;

/// `catalogue`: one row a SKU.
#[derive(Default)]
pub struct Catalogue {
    /// Each product so far: all its rows must say the same.
    products: HashMap<i64, Called>,
}

/// What every row of one product repeats.
#[derive(Clone, PartialEq, Eq)]
struct Called {
    name: String,
    department: Option<String>,
    /// `None` where the file has no such column: the note stays as it is.
    note: Option<String>,
}

/// A variant with its product and its GTINs.
pub struct Row {
    product: i64,
    called: Called,
    sku: i64,
    size: Option<String>,
    colour: Option<String>,
    tax_class: i64,
    favourite: Option<i64>,
    gtins: Vec<Gtin>,
}

impl Kind for Catalogue {
    const HEADER: &'static [&'static str] = &[
        "sku",
        "product",
        "name",
        "department",
        "size",
        "colour",
        "tax_class",
        "favourite",
        "gtin",
    ];
    const OPTIONAL: &'static [&'static str] = &["note"];
    type Row = Row;

    fn parse(&mut self, fields: &Fields<'_>) -> Result<Row, String> {
        let favourite = fields.optional_number("favourite", 1, FAVOURITE_MAX)?;
        let row = Row {
            product: fields.number("product", 1, i64::MAX)?,
            called: Called {
                name: fields.name("name")?,
                department: fields.optional_name("department")?,
                note: fields.has("note").then(|| fields.text("note").to_string()),
            },
            sku: fields.number("sku", 1, i64::MAX)?,
            size: fields.optional_name("size")?,
            colour: fields.optional_name("colour")?,
            tax_class: fields.number("tax_class", 1, TAX_CLASS_MAX)?,
            favourite,
            gtins: gtins(fields.text("gtin"))?,
        };
        self.same_product(&row)?;
        Ok(row)
    }

    fn key(row: &Row) -> [i64; 4] {
        [row.sku, 0, 0, 0]
    }

    fn write(tx: &Transaction<'_>, row: &Row, _now: Moment) -> Result<(), String> {
        write(tx, row).map_err(|why| why.to_string())
    }
}

fn write(tx: &Transaction<'_>, row: &Row) -> Result<(), MasterDataError> {
    let Called { name, department, note } = &row.called;
    let product = NewProduct { id: row.product, name, department: department.as_deref() };
    master_data::upsert_product(tx, &product)?;
    if let Some(note) = note {
        master_data::set_note(tx, row.product, Some(note))?;
    }
    let variant = NewVariant {
        sku: row.sku,
        product: row.product,
        size: row.size.as_deref(),
        colour: row.colour.as_deref(),
        tax_class: row.tax_class,
        favourite: row.favourite,
    };
    master_data::upsert_variant(tx, &variant)?;
    for gtin in &row.gtins {
        master_data::upsert_gtin(tx, *gtin, row.sku)?;
    }
    Ok(())
}

impl Catalogue {
    /// Two rows of one product with two names would rename it with every row, and again with every import.
    fn same_product(&mut self, row: &Row) -> Result<(), String> {
        let known = self.products.entry(row.product).or_insert_with(|| row.called.clone());
        if *known == row.called {
            return Ok(());
        }
        let department = known.department.as_deref();
        let department =
            department.map(|department| format!(" in {}", shown(department))).unwrap_or_default();
        let note = known.note.as_deref().filter(|_| known.note != row.called.note);
        let note = note.map(|note| format!(" with the note {}", shown(note))).unwrap_or_default();
        Err(format!(
            "product {} is {}{department}{note} on a line above",
            row.product,
            shown(&known.name)
        ))
    }
}

fn gtins(text: &str) -> Result<Vec<Gtin>, String> {
    let texts: Vec<&str> = text.split_ascii_whitespace().collect();
    if texts.len() > GTINS_MAX {
        return Err(format!(
            "gtin holds {} numbers, but at most {GTINS_MAX} are taken",
            texts.len()
        ));
    }
    texts.into_iter().map(|text| Gtin::parse(text).map_err(|why| why.to_string())).collect()
}
