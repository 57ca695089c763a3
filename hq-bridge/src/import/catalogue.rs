//! Products, their variants and their GTINs from a file

use std::collections::HashMap;

use rusqlite::{Connection, Transaction};
use selvedge_domain::gtin::Gtin;
use selvedge_domain::master_data::{self, MasterDataError, NewProduct, NewVariant};
use selvedge_domain::moment::Moment;

use crate::import::fields::{Fields, shown};
use crate::import::rows::{Kind, Numbered, Refusal};
use crate::import::taxes::TAX_CLASS_MAX;

/// One SKU bears few GTINs: its own, and those of its packs.
const GTINS_MAX: usize = 16;

/// Places among the checkout's keys.
const FAVOURITE_MAX: i64 = 1_000;

/// `catalogue`: one row a SKU.
#[derive(Default)]
pub struct Catalogue {
    /// Name and department of each product so far: all its rows must say the same.
    products: HashMap<i64, (String, Option<String>)>,
    /// The SKU of each GTIN so far: the second SKU that claims one is refused.
    bearers: HashMap<Gtin, i64>,
}

/// A variant with its product and its GTINs.
pub struct Row {
    product: i64,
    name: String,
    department: Option<String>,
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
    type Row = Row;

    fn parse(&mut self, fields: &Fields<'_>) -> Result<Row, String> {
        let favourite = match fields.text("favourite") {
            "" => None,
            _ => Some(fields.number("favourite", 1, FAVOURITE_MAX)?),
        };
        let row = Row {
            product: fields.number("product", 1, i64::MAX)?,
            name: fields.name("name")?,
            department: fields.optional_name("department")?,
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

    fn prepare(&mut self, reader: &Connection, row: &mut Row) -> Result<(), String> {
        for gtin in &row.gtins {
            let bearer = *self.bearers.entry(*gtin).or_insert(row.sku);
            let kept = master_data::bearer(reader, *gtin).map_err(|why| why.to_string())?;
            if let Some(sku) =
                [Some(bearer), kept].into_iter().flatten().find(|sku| *sku != row.sku)
            {
                return Err(MasterDataError::GtinTaken { gtin: *gtin, sku }.to_string());
            }
        }
        Ok(())
    }

    fn write(tx: &Transaction<'_>, row: &Row, _now: Moment) -> Result<(), String> {
        write_tables(tx, &[row]).map_err(|why| why.to_string())
    }

    fn write_all(
        tx: &Transaction<'_>,
        rows: &[Numbered<Row>],
        _now: Moment,
    ) -> Result<Vec<Refusal>, String> {
        let rows: Vec<&Row> = rows.iter().map(|(_, row)| row).collect();
        write_tables(tx, &rows).map_err(|why| why.to_string())?;
        Ok(Vec::new())
    }
}

/// Writes table by table: an entry holds few runs, and each change of the table begins a new one.
fn write_tables(tx: &Transaction<'_>, rows: &[&Row]) -> Result<(), MasterDataError> {
    for row in rows {
        let Row { product: id, name, department, .. } = row;
        master_data::upsert_product(
            tx,
            &NewProduct { id: *id, name, department: department.as_deref() },
        )?;
    }
    for row in rows {
        let Row { sku, product, size, colour, tax_class, favourite, .. } = row;
        let (size, colour) = (size.as_deref(), colour.as_deref());
        let (sku, product, tax_class, favourite) = (*sku, *product, *tax_class, *favourite);
        master_data::upsert_variant(
            tx,
            &NewVariant { sku, product, size, colour, tax_class, favourite },
        )?;
    }
    for row in rows {
        for gtin in &row.gtins {
            master_data::upsert_gtin(tx, *gtin, row.sku)?;
        }
    }
    Ok(())
}

impl Catalogue {
    /// Two rows of one product with two names would rename it with every row, and again with every import.
    fn same_product(&mut self, row: &Row) -> Result<(), String> {
        let called = (row.name.clone(), row.department.clone());
        let known = self.products.entry(row.product).or_insert_with(|| called.clone());
        if *known == called {
            return Ok(());
        }
        let department = known
            .1
            .as_deref()
            .map(|department| format!(" in {}", shown(department)))
            .unwrap_or_default();
        Err(format!("product {} is {}{department} on a line above", row.product, shown(&known.0)))
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
