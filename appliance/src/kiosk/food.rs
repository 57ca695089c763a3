//! Food facts: letters, levels in words, and bars

use selvedge_domain::nutrition::{self, Level, Nutrient, Nutrition};

use crate::kiosk::sight::{KioskError, Scene};
use crate::texts::Language;

/// The letters of the Nutri-Score, best first.
const SCORES: [&str; 5] = ["A", "B", "C", "D", "E"];

/// The NOVA groups, least processed first.
const GROUPS: [i64; 4] = [1, 2, 3, 4];

/// What the product page says of a food or a drink.
#[derive(Debug, Clone)]
pub struct Food {
    /// "Per 100 g".
    pub title: String,
    /// Each letter, and whether it is this one.
    pub scores: Vec<(&'static str, bool)>,
    /// The letter alone.
    pub score: String,
    /// Each group, and whether it is this one.
    pub groups: Vec<(i64, bool)>,
    /// What the group means.
    pub group: String,
    /// "2,252 kJ, 539 kcal".
    pub energy: String,
    /// Fat, saturates, sugars, salt.
    pub rows: Vec<Row>,
    /// Their names.
    pub allergens: String,
    /// Who says so.
    pub source: String,
}

/// One nutrient.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// "30.9 g", or the words for not declared.
    pub amount: String,
    /// "low", "moderate", "high", or nothing.
    pub level: String,
    /// How the bar is drawn: the level's English word, or nothing.
    pub bar: &'static str,
}

/// The facts of a product; `None` where it is no food and no drink.
pub fn of(scene: &Scene, product: i64) -> Result<Option<Food>, KioskError> {
    Ok(nutrition::of(scene.db, product)?.map(|facts| view(scene.t, facts)))
}

fn view(t: &Language, facts: Nutrition) -> Food {
    let score = facts.nutri_score.clone().unwrap_or_default();
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    let group = facts
        .nova_group
        .map_or_else(String::new, |group| t.tell("food-nova-words", &[("group", group.into())]));
    let scores = SCORES.map(|letter| (letter, letter == score));
    let groups = GROUPS.map(|group| (group, Some(group) == facts.nova_group));
    Food {
        title: t.say(if facts.is_drink { "food-title-drink" } else { "food-title" }),
        scores: if score.is_empty() { Vec::new() } else { scores.to_vec() },
        score,
        groups: if group.is_empty() { Vec::new() } else { groups.to_vec() },
        group,
        energy: energy(t, &facts),
        rows: Nutrient::ALL.map(|nutrient| row(t, &facts, nutrient)).to_vec(),
        allergens: said(&facts.allergens),
        source: facts.source.map_or_else(String::new, |source| {
            t.tell("food-source", &[("source", (&source).into())])
        }),
    }
}

fn energy(t: &Language, facts: &Nutrition) -> String {
    let (Some(kj), Some(kcal)) = (facts.energy_kj, facts.energy_kcal()) else {
        return t.say("food-not-said");
    };
    let (kj, kcal) = (t.number(kj, 0), t.number(kcal, 0));
    t.tell("food-energy-amount", &[("kj", (&kj).into()), ("kcal", (&kcal).into())])
}

fn row(t: &Language, facts: &Nutrition, nutrient: Nutrient) -> Row {
    let name = t.say(match nutrient {
        Nutrient::Fat => "food-fat",
        Nutrient::Saturates => "food-saturates",
        Nutrient::Sugars => "food-sugars",
        Nutrient::Salt => "food-salt",
    });
    let Some(mg) = facts.mg(nutrient) else {
        return Row { name, amount: t.say("food-not-said"), level: String::new(), bar: "" };
    };
    let bar = match nutrient.level(mg, facts.is_drink) {
        Level::Low => "low",
        Level::Moderate => "moderate",
        Level::High => "high",
    };
    // Salt is declared in hundredths of a gram, the others in tenths.
    let grams = match nutrient {
        Nutrient::Salt => t.number((mg + 5) / 10, 2),
        _ => t.number((mg + 50) / 100, 1),
    };
    let amount = t.tell("food-gram", &[("amount", (&grams).into())]);
    Row { name, amount, level: t.tell("food-level", &[("level", bar.into())]), bar }
}
