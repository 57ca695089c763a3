//! What is in a food or a drink, and whether that is much
//!
//! Low, moderate and high follow the front-of-pack criteria of the United
//! Kingdom ("Guide to creating a front of pack nutrition label for pre-packed
//! products sold through retail outlets", Department of Health, 2016, tables 2
//! and 3), which build on Regulations (EU) 1169/2011 and (EC) 1924/2006:
//!
//! | per 100 | low up to | high above |
//! | --- | --- | --- |
//! | fat | 3.0 g, drinks 1.5 g | 17.5 g, drinks 8.75 g |
//! | saturates | 1.5 g, drinks 0.75 g | 5.0 g, drinks 2.5 g |
//! | sugars | 5.0 g, drinks 2.5 g | 22.5 g, drinks 11.25 g |
//! | salt | 0.3 g, drinks 0.3 g | 1.5 g, drinks 0.75 g |
//!
//! The criteria per portion are left out: no source tells us the portion.

use rusqlite::{Connection, OptionalExtension};

/// Kilojoules of a thousand kilocalories.
const KJ_OF_1000_KCAL: i64 = 4_184;

/// Figures per 100 g of a food, or per 100 ml of a drink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nutrition {
    /// Counted per 100 ml, with the limits of drinks.
    pub is_drink: bool,
    /// The Nutri-Score letter, A to E, as the source gives it.
    pub nutri_score: Option<String>,
    /// The NOVA group, 1 to 4, as the source gives it.
    pub nova_group: Option<i64>,
    /// Energy in kJ.
    pub energy_kj: Option<i64>,
    /// Fat in mg.
    pub fat_mg: Option<i64>,
    /// Saturated fat in mg.
    pub saturates_mg: Option<i64>,
    /// Sugars in mg.
    pub sugars_mg: Option<i64>,
    /// Salt in mg.
    pub salt_mg: Option<i64>,
    /// Names of allergens, with commas between.
    pub allergens: Option<String>,
    /// Who says so.
    pub source: Option<String>,
}

/// How much of a nutrient there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Up to the lower limit.
    Low,
    /// Between the limits.
    Moderate,
    /// Above the upper limit.
    High,
}

/// A nutrient that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nutrient {
    /// All fat.
    Fat,
    /// Saturated fat.
    Saturates,
    /// Sugars.
    Sugars,
    /// Salt.
    Salt,
}

impl Nutrient {
    /// In the order of a label.
    pub const ALL: [Nutrient; 4] =
        [Nutrient::Fat, Nutrient::Saturates, Nutrient::Sugars, Nutrient::Salt];

    /// Low up to the first limit, high above the second; both in mg per 100 g or 100 ml.
    pub fn limits_mg(self, is_drink: bool) -> (i64, i64) {
        match (self, is_drink) {
            (Nutrient::Fat, false) => (3_000, 17_500),
            (Nutrient::Fat, true) => (1_500, 8_750),
            (Nutrient::Saturates, false) => (1_500, 5_000),
            (Nutrient::Saturates, true) => (750, 2_500),
            (Nutrient::Sugars, false) => (5_000, 22_500),
            (Nutrient::Sugars, true) => (2_500, 11_250),
            (Nutrient::Salt, false) => (300, 1_500),
            (Nutrient::Salt, true) => (300, 750),
        }
    }

    /// How much an amount of it is.
    pub fn level(self, mg: i64, is_drink: bool) -> Level {
        let (low, high) = self.limits_mg(is_drink);
        match mg {
            mg if mg <= low => Level::Low,
            mg if mg <= high => Level::Moderate,
            _ => Level::High,
        }
    }
}

impl Nutrition {
    /// How much there is of a nutrient, in mg; `None` where it is not declared.
    pub fn mg(&self, nutrient: Nutrient) -> Option<i64> {
        match nutrient {
            Nutrient::Fat => self.fat_mg,
            Nutrient::Saturates => self.saturates_mg,
            Nutrient::Sugars => self.sugars_mg,
            Nutrient::Salt => self.salt_mg,
        }
    }

    /// The energy in whole kilocalories.
    pub fn energy_kcal(&self) -> Option<i64> {
        self.energy_kj.map(|kj| (kj * 2_000 + KJ_OF_1000_KCAL) / (KJ_OF_1000_KCAL * 2))
    }
}

/// What is known of a product; `None` where it is no food and no drink.
pub fn of(db: &Connection, product: i64) -> rusqlite::Result<Option<Nutrition>> {
    db.prepare_cached(
        "SELECT is_drink, nutri_score, nova_group, energy_kj, fat_mg, saturates_mg, sugars_mg,
                salt_mg, allergens, source
         FROM nutrition WHERE product = ?1",
    )?
    .query_row([product], |row| {
        Ok(Nutrition {
            is_drink: row.get(0)?,
            nutri_score: row.get(1)?,
            nova_group: row.get(2)?,
            energy_kj: row.get(3)?,
            fat_mg: row.get(4)?,
            saturates_mg: row.get(5)?,
            sugars_mg: row.get(6)?,
            salt_mg: row.get(7)?,
            allergens: row.get(8)?,
            source: row.get(9)?,
        })
    })
    .optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves OF-10.
    #[test]
    fn a_limit_itself_is_on_the_milder_side() {
        for (nutrient, is_drink, low, high) in [
            (Nutrient::Fat, false, 3_000, 17_500),
            (Nutrient::Saturates, true, 750, 2_500),
            (Nutrient::Sugars, true, 2_500, 11_250),
            (Nutrient::Salt, false, 300, 1_500),
        ] {
            let level = |mg| nutrient.level(mg, is_drink);
            assert_eq!(level(low), Level::Low, "{nutrient:?}");
            assert_eq!(level(low + 1), Level::Moderate, "{nutrient:?}");
            assert_eq!(level(high), Level::Moderate, "{nutrient:?}");
            assert_eq!(level(high + 1), Level::High, "{nutrient:?}");
        }
    }

    #[test]
    fn a_drink_is_judged_harder_than_a_food() {
        assert_eq!(Nutrient::Sugars.level(10_600, false), Level::Moderate);
        assert_eq!(Nutrient::Sugars.level(11_300, true), Level::High);
        for nutrient in Nutrient::ALL {
            let (food, drink) = (nutrient.limits_mg(false), nutrient.limits_mg(true));
            assert!(food.0 >= drink.0 && food.1 > drink.1, "{nutrient:?}");
        }
    }

    #[test]
    fn kilojoules_are_kilocalories_too() {
        let only = |energy_kj| Nutrition {
            is_drink: false,
            nutri_score: None,
            nova_group: None,
            energy_kj,
            fat_mg: None,
            saturates_mg: None,
            sugars_mg: None,
            salt_mg: None,
            allergens: None,
            source: None,
        };
        assert_eq!(only(Some(2_252)).energy_kcal(), Some(538));
        assert_eq!(only(Some(0)).energy_kcal(), Some(0));
        assert_eq!(only(None).energy_kcal(), None);
    }
}
