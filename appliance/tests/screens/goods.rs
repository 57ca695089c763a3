//! Departments, sizes, colours and foods for the kiosk

use rusqlite::{Connection, params};

/// A coat in two colours; the ink one is not made in L.
pub const COAT: i64 = 7_000;

/// SKU, size, colour, price in cents of the coat.
pub const COATS: [(i64, &str, &str, i64); 5] = [
    (7_001, "S", "moss", 12_900),
    (7_002, "M", "moss", 12_900),
    (7_003, "L", "moss", 13_900),
    (7_004, "S", "ink", 12_900),
    (7_005, "M", "ink", 12_900),
];

/// A food with every figure, and a drink with few.
pub const CRISPS: i64 = 7_100;
pub const DRINK: i64 = 7_101;

/// What somebody may well call a product.
pub const HOSTILE: i64 = 7_102;
pub const HOSTILE_NAME: &str = "<script>alert(1)</script> & \"Söhne\" 'x'";

/// A product whose name is a sentence.
pub const LONG: i64 = 7_103;

/// Enough of one department for two pages.
pub const SCARVES: i64 = 11;

/// Writes them as HQ does.
pub fn fill(db: &Connection) -> rusqlite::Result<()> {
    let product = |id: i64, name: &str, department: &str, note: Option<&str>| {
        db.execute(
            "INSERT INTO product (id, name, department, note) VALUES (?1, ?2, ?3, ?4)",
            params![id, name, department, note],
        )
    };
    let variant = |sku: i64, product: i64, size: Option<&str>, colour: Option<&str>, cents: i64| {
        db.execute(
            "INSERT INTO variant (sku, product, size, colour, tax_class) VALUES (?1, ?2, ?3, ?4, 1)",
            params![sku, product, size, colour],
        )?;
        db.execute(
            "INSERT INTO price (sku, currency, store, valid_from, unit_minor) VALUES (?1, 'EUR', 0, 0, ?2)",
            params![sku, cents],
        )
    };
    let note = "Midweight wool, woven in Borås. Dry clean only.";
    product(COAT, "Duffle coat", "Outerwear", Some(note))?;
    for (sku, size, colour, cents) in COATS {
        variant(sku, COAT, Some(size), Some(colour), cents)?;
    }
    product(CRISPS, "Sea salt crisps", "Food", Some("Bag of 150 g."))?;
    variant(CRISPS, CRISPS, None, None, 249)?;
    product(DRINK, "Elderflower lemonade", "Food", None)?;
    variant(DRINK, DRINK, Some("0.5 l"), None, 350)?;
    product(HOSTILE, HOSTILE_NAME, "Odd & ends", None)?;
    variant(HOSTILE, HOSTILE, Some("<b>"), Some("\"red\""), 100)?;
    let long = "Hand-finished merino and cashmere travel blanket with a herringbone border, fringed on both short sides";
    product(
        LONG,
        long,
        "Odd & ends",
        Some("Hand wash cold, dry flat, and keep the moths away from it with a little cedar wood."),
    )?;
    variant(LONG, LONG, None, None, 123_450)?;
    for scarf in 0..SCARVES {
        let (id, name) = (7_200 + scarf, format!("Scarf {:02}", scarf + 1));
        product(id, &name, "Scarves", None)?;
        variant(
            id,
            id,
            None,
            Some(if scarf % 2 == 0 { "rust" } else { "sand" }),
            900 + 1_000 * scarf,
        )?;
    }
    db.execute(
        "INSERT INTO nutrition (product, is_drink, nutri_score, nova_group, energy_kj, fat_mg,
             saturates_mg, sugars_mg, salt_mg, allergens, source)
         VALUES (?1, 0, 'D', 4, 2252, 30900, 3000, 400, 1550, 'milk, mustard', 'Open Food Facts, ODbL')",
        [CRISPS],
    )?;
    db.execute(
        "INSERT INTO nutrition (product, is_drink, sugars_mg) VALUES (?1, 1, 11300)",
        [DRINK],
    )?;
    Ok(())
}
