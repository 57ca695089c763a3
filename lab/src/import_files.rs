//! Writes a chain as the CSV files that HQ imports
//!
//! The columns are those of `docs/operations.md`.

use crate::trade_file::TradeFile;
use crate::world::{Rank, TAXED, UNTAXED, World};
use std::path::{Path, PathBuf};

/// What the files hold, in the order in which they are imported.
pub const KINDS: [&str; 8] = [
    "stores",
    "taxes",
    "catalogue",
    "prices",
    "employees",
    "opening-stock",
    "nutrition",
    "customers",
];
/// What taxed goods bear, in per cent.
const TAX_PERCENT: &str = "20";
/// The currency of every store of the lab.
pub const CURRENCY: &str = "GBP";
/// All that a person can be allowed.
const ALL_RIGHTS: &str = "sell, discount, open price, return, stock, manage";
/// What a cashier of the demo is allowed.
const CASHIER_RIGHTS: &str = "sell, discount, return";
/// The number of the person who rings up a trade file, in every store.
pub const RINGER: i64 = 1;
/// Keys of the checkout that are filled from the start.
const FAVOURITES: usize = 9;
/// One style in so many lies on those keys.
const FAVOURITE_STEP: usize = 17;

/// One file to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportFile {
    /// What it holds, as the import command names it.
    pub kind: &'static str,
    /// Where it lies.
    pub path: PathBuf,
}

/// Writes all files of a world into a folder.
pub fn write_world(world: &World, folder: &Path) -> Result<Vec<ImportFile>, csv::Error> {
    let rows = [
        stores(world),
        taxes(world),
        catalogue(world),
        prices(world),
        employees(world),
        opening_stock(world),
        nutrition(world),
        customers(world),
    ];
    KINDS.into_iter().zip(rows).map(|(kind, rows)| write(kind, rows, folder)).collect()
}

/// Writes one file: the first row names the columns.
pub fn write(
    kind: &'static str,
    rows: Vec<Vec<String>>,
    folder: &Path,
) -> Result<ImportFile, csv::Error> {
    let path = folder.join(format!("{kind}.csv"));
    let mut writer = csv::Writer::from_path(&path)?;
    for row in rows {
        writer.write_record(row)?;
    }
    writer.flush()?;
    Ok(ImportFile { kind, path })
}

/// Writes the master data that a trade file needs: its own codes as products, at its own first prices.
pub fn write_trade(
    file: &TradeFile,
    stores: u32,
    folder: &Path,
) -> Result<Vec<ImportFile>, csv::Error> {
    let numbers = 1..=stores;
    let store_rows =
        numbers.clone().map(|store| row(&[&store, &format!("Replay {store}"), &CURRENCY, &"yes"]));
    let tax_rows = numbers.clone().map(|store| row(&[&store, &UNTAXED, &"0", &""]));
    let catalogue_rows = file.products.iter().zip(1..).map(|(product, sku): (_, i64)| {
        let name = format!("{} {}", product.code, product.name);
        row(&[&sku, &sku, &name, &"Trade file", &"", &"", &UNTAXED, &"", &""])
    });
    let price_rows = file.products.iter().zip(1..).map(|(product, sku): (_, i64)| {
        row(&[&sku, &0, &CURRENCY, &decimal(product.price_minor), &""])
    });
    let people = numbers
        .map(|store| row(&[&store, &RINGER, &"Replay", &format!("{store}"), &"0000", &ALL_RIGHTS]));
    Ok(vec![
        write("stores", headed("store,name,currency,tax_included", store_rows), folder)?,
        write("taxes", headed("store,tax_class,rate,valid_from", tax_rows), folder)?,
        write("catalogue", headed(CATALOGUE, catalogue_rows), folder)?,
        write("prices", headed("sku,store,currency,price,valid_from", price_rows), folder)?,
        write("employees", headed("store,employee,name,badge,pin,rights", people), folder)?,
        write(
            "opening-stock",
            headed("store,sku,quantity", shelves(file, stores).into_iter()),
            folder,
        )?,
    ])
}

/// Each store begins with all that the file takes out of any: then a balance below zero would be a fault.
fn shelves(file: &TradeFile, stores: u32) -> Vec<Vec<String>> {
    let mut taken_out = vec![1_u64; file.products.len()];
    for row in file.invoices.iter().flat_map(|invoice| &invoice.rows) {
        taken_out[row.sku as usize - 1] += row.quantity.unsigned_abs();
    }
    let rows = (1..=stores).flat_map(|store| {
        let taken_out = taken_out.iter().zip(1..);
        taken_out.map(move |(quantity, sku): (_, i64)| row(&[&store, &sku, quantity]))
    });
    rows.collect()
}

/// The columns of a catalogue, without those that may be left out.
pub const CATALOGUE: &str = "sku,product,name,department,size,colour,tax_class,favourite,gtin";
const CATALOGUE_WITH_NOTE: &str =
    "sku,product,name,department,size,colour,tax_class,favourite,gtin,note";
const NUTRITION: &str = "product,is_drink,nutri_score,nova_group,energy_kj,fat_g,saturates_g,sugars_g,salt_g,allergens,source";
/// Who says what is in the demo's foods.
const FACTS_SOURCE: &str = "Invented for this demo";

fn row(fields: &[&dyn std::fmt::Display]) -> Vec<String> {
    fields.iter().map(|field| field.to_string()).collect()
}

fn headed(head: &str, rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    std::iter::once(head.split(',').map(str::to_owned).collect()).chain(rows).collect()
}

fn decimal(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

fn stores(world: &World) -> Vec<Vec<String>> {
    let rows =
        world.stores.iter().map(|store| row(&[&store.number, &store.name, &CURRENCY, &"yes"]));
    headed("store,name,currency,tax_included", rows)
}

fn taxes(world: &World) -> Vec<Vec<String>> {
    let rates = [(TAXED, TAX_PERCENT), (UNTAXED, "0")];
    let rows = world
        .stores
        .iter()
        .flat_map(|store| rates.map(|(class, rate)| row(&[&store.number, &class, &rate, &""])));
    headed("store,tax_class,rate,valid_from", rows)
}

fn catalogue(world: &World) -> Vec<Vec<String>> {
    let rows = world.variants.iter().enumerate().map(|(place, variant)| {
        // Only a few lie on the keys, spread over the shelves.
        let on_key = place % FAVOURITE_STEP == 0 && place / FAVOURITE_STEP < FAVOURITES;
        let favourite =
            if on_key { (place / FAVOURITE_STEP + 1).to_string() } else { String::new() };
        row(&[
            &variant.sku,
            &variant.product,
            &variant.name,
            &variant.department,
            &variant.size,
            &variant.colour,
            &variant.tax_class,
            &favourite,
            &variant.gtin,
            &variant.note,
        ])
    });
    headed(CATALOGUE_WITH_NOTE, rows)
}

fn prices(world: &World) -> Vec<Vec<String>> {
    let rows = world
        .variants
        .iter()
        .map(|variant| row(&[&variant.sku, &0, &CURRENCY, &decimal(variant.price_minor), &""]));
    headed("sku,store,currency,price,valid_from", rows)
}

fn employees(world: &World) -> Vec<Vec<String>> {
    let rows = world.employees.iter().map(|person| {
        let rights = if person.rank == Rank::Manager { ALL_RIGHTS } else { CASHIER_RIGHTS };
        row(&[&person.store, &person.number, &person.name, &person.badge, &person.pin, &rights])
    });
    headed("store,employee,name,badge,pin,rights", rows)
}

fn nutrition(world: &World) -> Vec<Vec<String>> {
    let rows = world.variants.iter().filter_map(|variant| {
        let facts = variant.facts?;
        let is_drink = if facts.is_drink { "yes" } else { "no" };
        let [fat, saturates, sugars, salt] = facts.nutrients_mg.map(grams);
        Some(row(&[
            &variant.product,
            &is_drink,
            &facts.nutri_score,
            &facts.nova_group,
            &facts.energy_kj,
            &fat,
            &saturates,
            &sugars,
            &salt,
            &facts.allergens,
            &FACTS_SOURCE,
        ]))
    });
    headed(NUTRITION, rows)
}

fn grams(mg: i64) -> String {
    format!("{}.{:03}", mg / 1_000, mg % 1_000)
}

fn customers(world: &World) -> Vec<Vec<String>> {
    let rows = world
        .customers
        .iter()
        .map(|customer| row(&[&customer.number, &customer.card, &customer.discount_percent]));
    headed("customer,card,discount", rows)
}

fn opening_stock(world: &World) -> Vec<Vec<String>> {
    let rows = world.stock.iter().map(|stock| row(&[&stock.store, &stock.sku, &stock.quantity]));
    headed("store,sku,quantity", rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_its_head_and_as_many_fields_in_every_row() {
        let world = World::from_seed(1, 2);
        let folder = tempfile::tempdir().unwrap();
        let files = write_world(&world, folder.path()).unwrap();
        assert_eq!(files.iter().map(|file| file.kind).collect::<Vec<_>>(), KINDS);
        for file in files {
            let mut reader = csv::Reader::from_path(&file.path).unwrap();
            assert!(reader.records().all(|record| record.is_ok()), "{}", file.kind);
        }
        let catalogue = std::fs::read_to_string(folder.path().join("catalogue.csv")).unwrap();
        assert_eq!(catalogue.lines().next(), Some(CATALOGUE_WITH_NOTE));
        assert_eq!(catalogue.lines().count(), world.variants.len() + 1);
    }
}
