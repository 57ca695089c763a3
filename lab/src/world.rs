//! Makes a demo chain from a seed: stores, people, goods
//!
//! The same seed gives the same chain on every machine. Trade numbers lie on the demo prefix 952, so that no label
//! of the real world is ever rung up by mistake.

use crate::goods::{self, COLOURS, FAMILY_NAMES, FOODS, Facts, GARMENTS, GIVEN_NAMES, TOWNS};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The prefix of trade numbers that are for demonstrations only.
const DEMO_PREFIX: u64 = 952;
/// Colours of each style of clothing.
const COLOURS_PER_STYLE: usize = 3;
/// Cashiers of each store, beside its manager.
const CASHIERS_PER_STORE: u32 = 3;
/// People with a card of the chain.
const CUSTOMERS: i64 = 40;
/// Tax class of goods with the full rate.
pub const TAXED: i64 = 1;
/// Tax class of goods without tax.
pub const UNTAXED: i64 = 2;

/// A branch of the demo chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Number of the store, from 1.
    pub number: u32,
    /// Its name on receipts.
    pub name: String,
}

/// One thing that can be sold: a style in one size and colour, or one food.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Our key of it.
    pub sku: i64,
    /// Number of its product.
    pub product: i64,
    /// Name of its product.
    pub name: String,
    /// The size, or how much is in one.
    pub size: String,
    /// The colour, empty for food.
    pub colour: String,
    /// The printed trade number, 13 digits.
    pub gtin: u64,
    /// Price in pence.
    pub price_minor: i64,
    /// Tax class.
    pub tax_class: i64,
    /// What it is filed under.
    pub department: &'static str,
    /// Material and care of its product, empty for food.
    pub note: &'static str,
    /// What is in its product, for what is eaten or drunk.
    pub facts: Option<Facts>,
}

/// Somebody with a card of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Number of the customer.
    pub number: i64,
    /// What stands on the card.
    pub card: String,
    /// What the card takes off, in per cent.
    pub discount_percent: i64,
}

/// What a person may do at the checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// Sells, and gives line discounts.
    Cashier,
    /// May do everything.
    Manager,
}

/// A person who works in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Employee {
    /// Number of the person.
    pub number: i64,
    /// Where they work.
    pub store: u32,
    /// Their name.
    pub name: String,
    /// What they hold before the scanner.
    pub badge: String,
    /// Four digits that only they know.
    pub pin: String,
    /// What they may do.
    pub rank: Rank,
}

/// How many of a variant a store has on its first morning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpeningStock {
    /// The store.
    pub store: u32,
    /// The variant.
    pub sku: i64,
    /// Pieces.
    pub quantity: i64,
}

/// A whole demo chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// The seed that it came from.
    pub seed: u64,
    /// Its branches.
    pub stores: Vec<Store>,
    /// All it sells.
    pub variants: Vec<Variant>,
    /// Who works there.
    pub employees: Vec<Employee>,
    /// What lies on the shelves on the first morning.
    pub stock: Vec<OpeningStock>,
    /// Who has a card.
    pub customers: Vec<Customer>,
}

impl World {
    /// Makes the chain of this seed with this many stores.
    pub fn from_seed(seed: u64, stores: u32) -> World {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let variants = variants(&mut dice);
        let stores: Vec<Store> =
            (1..=stores).map(|number| Store { number, name: store_name(number) }).collect();
        let employees = stores.iter().flat_map(|store| staff(&mut dice, store.number)).collect();
        let stock =
            stores.iter().flat_map(|store| shelves(&mut dice, store.number, &variants)).collect();
        let customers = customers(&mut dice);
        World { seed, stores, variants, employees, stock, customers }
    }

    /// The people of one store.
    pub fn staff_of(&self, store: u32) -> impl Iterator<Item = &Employee> {
        self.employees.iter().filter(move |employee| employee.store == store)
    }
}

/// Writes the check digit behind the first twelve digits of a GTIN-13.
pub fn gtin13(first_twelve: u64) -> u64 {
    assert!(first_twelve < 1_000_000_000_000, "a GTIN-13 has twelve digits before its check digit");
    let weighed: u64 = (0..12)
        .map(|place| first_twelve / 10u64.pow(place) % 10 * if place % 2 == 0 { 3 } else { 1 })
        .sum();
    first_twelve * 10 + (10 - weighed % 10) % 10
}

fn demo_gtin(sku: i64) -> u64 {
    gtin13(DEMO_PREFIX * 1_000_000_000 + sku.unsigned_abs())
}

fn store_name(number: u32) -> String {
    let town = TOWNS[(number as usize - 1) % TOWNS.len()];
    match (number as usize - 1) / TOWNS.len() {
        0 => format!("Warp & Weft {town}"),
        round => format!("Warp & Weft {town} {}", round + 1),
    }
}

fn variants(dice: &mut ChaCha8Rng) -> Vec<Variant> {
    let mut made: Vec<Variant> = Vec::new();
    for (garment, product) in GARMENTS.iter().zip(1..) {
        let price_minor = moved_price(dice, garment.price_minor);
        for colour in COLOURS.sample(dice, COLOURS_PER_STYLE) {
            for size in garment.sizes {
                made.push(Variant {
                    colour: (*colour).to_owned(),
                    department: goods::department(garment.sizes),
                    note: garment.note,
                    ..variant(made.len(), product, (garment.name, size), price_minor)
                });
            }
        }
    }
    for (food, product) in FOODS.iter().zip(GARMENTS.len() as i64 + 1..) {
        let price_minor = moved_price(dice, food.price_minor);
        made.push(Variant {
            tax_class: if food.untaxed { UNTAXED } else { TAXED },
            department: match food.facts {
                Some(facts) if facts.is_drink => "Drinks",
                Some(_) => "Food",
                None => "Household",
            },
            facts: food.facts,
            ..variant(made.len(), product, (food.name, food.pack), price_minor)
        });
    }
    made
}

/// A variant of no department, with the full rate.
fn variant(before: usize, product: i64, (name, size): (&str, &str), price_minor: i64) -> Variant {
    let sku = before as i64 + 1;
    Variant {
        sku,
        product,
        name: name.to_owned(),
        size: size.to_owned(),
        colour: String::new(),
        gtin: demo_gtin(sku),
        price_minor,
        tax_class: TAXED,
        department: "",
        note: "",
        facts: None,
    }
}

/// Cards of the demo begin with a letter, so no card is ever taken for a trade number.
fn customers(dice: &mut ChaCha8Rng) -> Vec<Customer> {
    (1..=CUSTOMERS)
        .map(|number| Customer {
            number,
            card: format!("C{:07}", 4_000_000 + number * 7_919),
            discount_percent: *[0, 5, 5, 10].choose(dice).unwrap_or(&0),
        })
        .collect()
}

/// Up to a tenth more or less, in steps of 5 pence.
fn moved_price(dice: &mut ChaCha8Rng, price_minor: i64) -> i64 {
    let tenth = price_minor / 10;
    (price_minor + dice.random_range(-tenth..=tenth)) / 5 * 5
}

fn staff(dice: &mut ChaCha8Rng, store: u32) -> Vec<Employee> {
    (0..=CASHIERS_PER_STORE)
        .map(|place| Employee {
            number: i64::from(store) * 100 + i64::from(place) + 1,
            store,
            name: full_name(dice),
            badge: format!("{store:04}{:02}", place + 1),
            pin: format!("{:04}", dice.random_range(1_000..10_000)),
            rank: if place == 0 { Rank::Manager } else { Rank::Cashier },
        })
        .collect()
}

fn full_name(dice: &mut ChaCha8Rng) -> String {
    let given = GIVEN_NAMES.choose(dice).copied().unwrap_or("Ada");
    let family = FAMILY_NAMES.choose(dice).copied().unwrap_or("Weaver");
    format!("{given} {family}")
}

fn shelves(dice: &mut ChaCha8Rng, store: u32, variants: &[Variant]) -> Vec<OpeningStock> {
    variants
        .iter()
        .map(|variant| OpeningStock {
            store,
            sku: variant.sku,
            quantity: opening_quantity(dice, variant),
        })
        .collect()
}

fn opening_quantity(dice: &mut ChaCha8Rng, variant: &Variant) -> i64 {
    if variant.note.is_empty() { dice.random_range(40..200) } else { dice.random_range(2..16) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_same_seed_makes_the_same_chain_and_another_seed_another() {
        assert_eq!(World::from_seed(7, 2), World::from_seed(7, 2));
        assert_ne!(World::from_seed(7, 2), World::from_seed(8, 2));
    }

    #[test]
    fn a_check_digit_is_the_published_one() {
        // The example of the GS1 general specifications.
        assert_eq!(gtin13(629_104_150_021), 6_291_041_500_213);
    }

    #[test]
    fn every_trade_number_is_valid_unique_and_on_the_demo_prefix() {
        let world = World::from_seed(1, 1);
        let mut seen = HashSet::new();
        for variant in &world.variants {
            assert!((9_520_000_000_000..9_530_000_000_000).contains(&variant.gtin), "{variant:?}");
            assert_eq!(gtin13(variant.gtin / 10), variant.gtin);
            assert!(seen.insert(variant.gtin), "twice: {variant:?}");
        }
    }

    #[test]
    fn every_store_has_one_manager_and_badges_are_never_shared() {
        let world = World::from_seed(3, 4);
        let badges: HashSet<_> = world.employees.iter().map(|employee| &employee.badge).collect();
        assert_eq!(badges.len(), world.employees.len());
        for store in &world.stores {
            let managers =
                world.staff_of(store.number).filter(|employee| employee.rank == Rank::Manager);
            assert_eq!(managers.count(), 1);
        }
    }
}
