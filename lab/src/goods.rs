//! What the demo chain sells and who works there, as lists
//!
//! Invented on purpose: no line names a real maker. `world.rs` picks from these lists by its seed.

/// One style of clothing, before its colours and sizes.
pub struct Garment {
    /// Name of the style.
    pub name: &'static str,
    /// The sizes it comes in.
    pub sizes: &'static [&'static str],
    /// Price in pence, before the seed moves it a little.
    pub price_minor: i64,
    /// Material and care.
    pub note: &'static str,
}

/// What is in 100 g or 100 ml. Invented like the goods, after what such a food usually has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Energy in kJ.
    pub energy_kj: i64,
    /// Fat, saturates, sugars and salt, each in mg.
    pub nutrients_mg: [i64; 4],
    /// The letter of the Nutri-Score, empty where none is given.
    pub nutri_score: &'static str,
    /// The NOVA group.
    pub nova_group: i64,
    /// Measured by 100 ml.
    pub is_drink: bool,
    /// Names with commas between.
    pub allergens: &'static str,
}

/// One thing from the food shelves.
pub struct Food {
    /// Name as the shelf label says it.
    pub name: &'static str,
    /// How much is in one.
    pub pack: &'static str,
    /// Price in pence, before the seed moves it a little.
    pub price_minor: i64,
    /// Bears no tax, as most food in the demo's country.
    pub untaxed: bool,
    /// What is in it, for what is eaten or drunk.
    pub facts: Option<Facts>,
}

const LETTERS: &[&str] = &["S", "M", "L", "XL"];
const DRESS: &[&str] = &["8", "10", "12", "14", "16"];
const WAIST: &[&str] = &["30", "32", "34", "36"];
const SHOE: &[&str] = &["38", "39", "40", "41", "42", "43"];
const ONE: &[&str] = &["one size"];

const fn garment(
    name: &'static str,
    sizes: &'static [&'static str],
    price_minor: i64,
    note: &'static str,
) -> Garment {
    Garment { name, sizes, price_minor, note }
}

const fn food(
    name: &'static str,
    pack: &'static str,
    price_minor: i64,
    untaxed: bool,
    facts: Option<Facts>,
) -> Food {
    Food { name, pack, price_minor, untaxed, facts }
}

const fn facts(
    [energy_kj, fat, saturates, sugars, salt]: [i64; 5],
    nutri_score: &'static str,
    nova_group: i64,
    is_drink: bool,
    allergens: &'static str,
) -> Option<Facts> {
    let nutrients_mg = [fat, saturates, sugars, salt];
    Some(Facts { energy_kj, nutrients_mg, nutri_score, nova_group, is_drink, allergens })
}

/// What clothing of these sizes is filed under.
pub fn department(sizes: &[&str]) -> &'static str {
    match sizes.first() {
        Some(&"S") => "Tops and coats",
        Some(&"8") => "Dresses and skirts",
        Some(&"30") => "Trousers",
        Some(&"38") => "Shoes",
        _ => "Accessories",
    }
}

/// Styles of clothing.
pub const GARMENTS: &[Garment] = &[
    garment("Merino crew jumper", LETTERS, 6_500, "Merino wool, hand wash cold"),
    garment("Linen overshirt", LETTERS, 7_900, "Washed linen, 40 degrees"),
    garment("Oxford shirt", LETTERS, 4_950, "Cotton oxford, 40 degrees"),
    garment("Waxed field jacket", LETTERS, 18_900, "Waxed cotton, wipe clean, re-wax once a year"),
    garment("Wool overcoat", LETTERS, 24_500, "Virgin wool, dry clean"),
    garment("Cotton T-shirt", LETTERS, 1_950, "Organic cotton, 40 degrees"),
    garment("Brushed flannel shirt", LETTERS, 5_500, "Brushed cotton, 30 degrees"),
    garment("Quilted waistcoat", LETTERS, 8_900, "Recycled polyester, 30 degrees"),
    garment("Cable knit cardigan", LETTERS, 9_500, "Lambswool, hand wash cold"),
    garment("Selvedge jeans", WAIST, 11_900, "Selvedge denim, wash seldom and cold"),
    garment("Corduroy trousers", WAIST, 8_450, "Cotton corduroy, 30 degrees, inside out"),
    garment("Pleated chinos", WAIST, 6_950, "Cotton twill, 40 degrees"),
    garment("Tweed skirt", DRESS, 7_250, "Wool tweed, dry clean"),
    garment("Tea dress", DRESS, 8_950, "Viscose crepe, 30 degrees"),
    garment("Silk blouse", DRESS, 9_900, "Silk, hand wash cold, iron on low"),
    garment("Wrap dress", DRESS, 10_500, "Jersey, 30 degrees"),
    garment("Canvas plimsolls", SHOE, 4_500, "Cotton canvas, rubber sole"),
    garment("Leather brogues", SHOE, 13_900, "Full grain leather, can be resoled"),
    garment("Chelsea boots", SHOE, 14_500, "Suede, brush when dry"),
    garment("Lambswool scarf", ONE, 3_950, "Lambswool, hand wash cold"),
    garment("Felt hat", ONE, 5_900, "Wool felt, brush, keep from rain"),
    garment("Leather belt", ONE, 3_500, "Bridle leather, brass buckle"),
    garment("Ribbed socks", ONE, 895, "Cotton and wool, 40 degrees"),
    garment("Canvas tote bag", ONE, 1_495, "Heavy canvas, 30 degrees"),
];

/// Colours that a style may come in.
pub const COLOURS: &[&str] =
    &["ink", "loden", "oat", "madder", "slate", "chalk", "moss", "navy", "rust", "charcoal"];

/// Things from the food shelves.
pub const FOODS: &[Food] = &[
    food(
        "Sourdough loaf",
        "800 g",
        340,
        true,
        facts([1_010, 1_200, 200, 1_400, 980], "B", 3, false, "wheat, rye"),
    ),
    food("Oat drink", "1 l", 185, true, facts([193, 1_500, 200, 4_100, 100], "B", 4, true, "oats")),
    food(
        "Whole milk",
        "2 l",
        165,
        true,
        facts([268, 3_600, 2_300, 4_700, 110], "B", 1, true, "milk"),
    ),
    food(
        "Free range eggs",
        "6",
        225,
        true,
        facts([547, 9_000, 2_500, 0, 360], "A", 1, false, "eggs"),
    ),
    food(
        "Salted butter",
        "250 g",
        240,
        true,
        facts([3_031, 81_300, 51_300, 600, 1_700], "E", 2, false, "milk"),
    ),
    food(
        "Mature cheddar",
        "350 g",
        395,
        true,
        facts([1_725, 34_900, 21_700, 100, 1_800], "D", 3, false, "milk"),
    ),
    food("Strawberry jam", "340 g", 275, true, facts([1_056, 0, 0, 60_200, 50], "D", 3, false, "")),
    food(
        "Wildflower honey",
        "340 g",
        520,
        true,
        facts([1_391, 0, 0, 81_000, 10], "D", 2, false, ""),
    ),
    food(
        "Porridge oats",
        "1 kg",
        145,
        true,
        facts([1_567, 8_000, 1_500, 1_100, 10], "A", 1, false, "oats"),
    ),
    food("Basmati rice", "1 kg", 310, true, facts([1_482, 900, 200, 200, 10], "A", 1, false, "")),
    food(
        "Spaghetti",
        "500 g",
        120,
        true,
        facts([1_502, 1_500, 300, 3_500, 10], "A", 1, false, "wheat"),
    ),
    food("Chopped tomatoes", "400 g", 75, true, facts([95, 100, 0, 3_600, 50], "A", 3, false, "")),
    food(
        "Red lentils",
        "500 g",
        155,
        true,
        facts([1_467, 1_300, 200, 2_400, 30], "A", 1, false, ""),
    ),
    food("Olive oil", "500 ml", 780, true, facts([3_389, 91_600, 14_300, 0, 0], "B", 2, false, "")),
    food(
        "Cider vinegar",
        "350 ml",
        210,
        true,
        facts([96, 0, 0, 400, 20], "", 2, false, "sulphites"),
    ),
    food("Sea salt flakes", "250 g", 265, true, facts([0, 0, 0, 0, 99_800], "", 2, false, "")),
    food(
        "Black peppercorns",
        "100 g",
        290,
        true,
        facts([1_050, 3_300, 1_400, 600, 50], "", 1, false, ""),
    ),
    food("English breakfast tea", "80 bags", 315, true, facts([4, 0, 0, 0, 0], "", 1, true, "")),
    food("Ground coffee", "227 g", 475, true, facts([8, 0, 0, 0, 0], "", 1, true, "")),
    food(
        "Drinking chocolate",
        "300 g",
        345,
        true,
        facts([1_605, 6_400, 3_900, 70_500, 200], "E", 4, false, "milk"),
    ),
    food("Bramley apples", "1 kg", 195, true, facts([161, 100, 0, 8_900, 0], "A", 1, false, "")),
    food("Bananas", "5", 105, true, facts([348, 100, 0, 18_100, 0], "A", 1, false, "")),
    food(
        "Maris Piper potatoes",
        "2 kg",
        215,
        true,
        facts([330, 100, 0, 1_300, 20], "A", 1, false, ""),
    ),
    food("Carrots", "1 kg", 85, true, facts([176, 400, 100, 7_200, 100], "A", 1, false, "")),
    food("Red onions", "3", 95, true, facts([160, 100, 0, 6_200, 10], "A", 1, false, "")),
    food("Vine tomatoes", "6", 165, true, facts([84, 300, 100, 3_100, 0], "A", 1, false, "")),
    food("Baby spinach", "200 g", 155, true, facts([103, 800, 100, 1_500, 350], "A", 1, false, "")),
    food(
        "Smoked salmon",
        "100 g",
        450,
        true,
        facts([766, 10_100, 1_800, 800, 3_000], "D", 3, false, "fish"),
    ),
    food(
        "Pork sausages",
        "6",
        325,
        true,
        facts([1_120, 20_700, 7_600, 1_100, 1_400], "D", 4, false, "wheat, sulphites"),
    ),
    food(
        "Chicken thighs",
        "600 g",
        420,
        true,
        facts([856, 14_200, 3_900, 0, 200], "B", 1, false, ""),
    ),
    food(
        "Dark chocolate",
        "100 g",
        225,
        false,
        facts([2_424, 42_600, 25_800, 28_500, 20], "E", 3, false, "soya, milk"),
    ),
    food(
        "Sea salt crisps",
        "150 g",
        195,
        false,
        facts([2_178, 31_400, 2_800, 600, 1_200], "C", 3, false, ""),
    ),
    food("Ginger beer", "750 ml", 210, false, facts([121, 0, 0, 6_900, 0], "D", 4, true, "")),
    food(
        "Elderflower cordial",
        "500 ml",
        345,
        false,
        facts([1_340, 0, 0, 77_900, 10], "E", 3, true, "sulphites"),
    ),
    food("Sparkling water", "1 l", 75, false, facts([0, 0, 0, 0, 0], "A", 1, true, "")),
    food(
        "Dry cider",
        "500 ml",
        265,
        false,
        facts([171, 0, 0, 1_200, 10], "", 3, true, "sulphites"),
    ),
    food(
        "Pale ale",
        "440 ml",
        285,
        false,
        facts([155, 0, 0, 300, 10], "", 3, true, "barley, wheat"),
    ),
    food(
        "Vanilla ice cream",
        "500 ml",
        425,
        false,
        facts([914, 13_200, 8_400, 20_100, 130], "D", 4, false, "milk, eggs"),
    ),
    food(
        "Salted peanuts",
        "200 g",
        165,
        false,
        facts([2_561, 51_300, 6_500, 4_400, 1_100], "C", 3, false, "peanuts"),
    ),
    food("Washing-up liquid", "500 ml", 175, false, None),
    food("Beeswax candles", "2", 650, false, None),
    food("Kitchen roll", "2", 240, false, None),
];

/// Given names of people who work in the demo.
pub const GIVEN_NAMES: &[&str] = &[
    "Ada", "Bram", "Cora", "Dev", "Edith", "Farid", "Grete", "Hugo", "Imani", "Jonas", "Kezia",
    "Lewis", "Mina", "Noor", "Owen", "Petra", "Rosa", "Samir", "Tilda", "Wren",
];

/// Family names of people who work in the demo.
pub const FAMILY_NAMES: &[&str] = &[
    "Ashdown", "Barrow", "Calder", "Dunmore", "Eastwick", "Fallow", "Garnett", "Hartley", "Inglis",
    "Kershaw", "Linden", "Marlow", "Norbury", "Oakes", "Pryor", "Redfern", "Sayer", "Thorne",
    "Weaver", "Yarrow",
];

/// Towns that the demo's stores stand in.
pub const TOWNS: &[&str] = &[
    "Weaverham",
    "Millbridge",
    "Fulling Green",
    "Teasel Hill",
    "Cardingley",
    "Bobbin Lane",
    "Shuttleworth",
    "Dyers Wharf",
];
