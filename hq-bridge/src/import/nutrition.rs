//! What is in food and drinks, from a file
//!
//! Grams become whole milligrams on the way in: a tenth of a gram that was rounded could turn "low" into "high".

use rusqlite::Transaction;
use selvedge_domain::master_data::{self, NewNutrition};
use selvedge_domain::moment::Moment;

use crate::import::fields::Fields;
use crate::import::rows::Kind;

/// More energy than any food has, in kJ for 100 g.
const ENERGY_KJ_MAX: i64 = 10_000;

/// `nutrition`: one row a product that is eaten or drunk.
#[derive(Default)]
pub struct Nutrition;

/// A food on the way in.
pub struct Row {
    product: i64,
    is_drink: bool,
    nutri_score: Option<String>,
    nova_group: Option<i64>,
    energy_kj: Option<i64>,
    fat_mg: Option<i64>,
    saturates_mg: Option<i64>,
    sugars_mg: Option<i64>,
    salt_mg: Option<i64>,
    allergens: Option<String>,
    source: Option<String>,
}

impl Kind for Nutrition {
    const HEADER: &'static [&'static str] = &[
        "product",
        "is_drink",
        "nutri_score",
        "nova_group",
        "energy_kj",
        "fat_g",
        "saturates_g",
        "sugars_g",
        "salt_g",
        "allergens",
        "source",
    ];
    type Row = Row;

    fn parse(&mut self, fields: &Fields<'_>) -> Result<Row, String> {
        let nutri_score = fields.optional_name("nutri_score")?;
        Ok(Row {
            product: fields.number("product", 1, i64::MAX)?,
            is_drink: fields.yes_or_no("is_drink")?,
            nutri_score: nutri_score.map(|letter| letter.to_ascii_uppercase()),
            nova_group: fields.optional_number("nova_group", 1, 4)?,
            energy_kj: fields.optional_number("energy_kj", 0, ENERGY_KJ_MAX)?,
            fat_mg: fields.grams_mg("fat_g")?,
            saturates_mg: fields.grams_mg("saturates_g")?,
            sugars_mg: fields.grams_mg("sugars_g")?,
            salt_mg: fields.grams_mg("salt_g")?,
            allergens: fields.optional_name("allergens")?,
            source: fields.optional_name("source")?,
        })
    }

    fn key(row: &Row) -> [i64; 4] {
        [row.product, 0, 0, 0]
    }

    fn write(tx: &Transaction<'_>, row: &Row, _now: Moment) -> Result<(), String> {
        let new = NewNutrition {
            product: row.product,
            is_drink: row.is_drink,
            nutri_score: row.nutri_score.as_deref(),
            nova_group: row.nova_group,
            energy_kj: row.energy_kj,
            fat_mg: row.fat_mg,
            saturates_mg: row.saturates_mg,
            sugars_mg: row.sugars_mg,
            salt_mg: row.salt_mg,
            allergens: row.allergens.as_deref(),
            source: row.source.as_deref(),
        };
        master_data::upsert_nutrition(tx, &new).map(|_| ()).map_err(|why| why.to_string())
    }
}
