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
}

const LETTERS: &[&str] = &["S", "M", "L", "XL"];
const DRESS: &[&str] = &["8", "10", "12", "14", "16"];
const WAIST: &[&str] = &["30", "32", "34", "36"];
const SHOE: &[&str] = &["38", "39", "40", "41", "42", "43"];
const ONE: &[&str] = &["one size"];

const fn garment(name: &'static str, sizes: &'static [&'static str], price_minor: i64) -> Garment {
    Garment { name, sizes, price_minor }
}

const fn food(name: &'static str, pack: &'static str, price_minor: i64, untaxed: bool) -> Food {
    Food { name, pack, price_minor, untaxed }
}

/// Styles of clothing.
pub const GARMENTS: &[Garment] = &[
    garment("Merino crew jumper", LETTERS, 6_500),
    garment("Linen overshirt", LETTERS, 7_900),
    garment("Oxford shirt", LETTERS, 4_950),
    garment("Waxed field jacket", LETTERS, 18_900),
    garment("Wool overcoat", LETTERS, 24_500),
    garment("Cotton T-shirt", LETTERS, 1_950),
    garment("Brushed flannel shirt", LETTERS, 5_500),
    garment("Quilted waistcoat", LETTERS, 8_900),
    garment("Cable knit cardigan", LETTERS, 9_500),
    garment("Selvedge jeans", WAIST, 11_900),
    garment("Corduroy trousers", WAIST, 8_450),
    garment("Pleated chinos", WAIST, 6_950),
    garment("Tweed skirt", DRESS, 7_250),
    garment("Tea dress", DRESS, 8_950),
    garment("Silk blouse", DRESS, 9_900),
    garment("Wrap dress", DRESS, 10_500),
    garment("Canvas plimsolls", SHOE, 4_500),
    garment("Leather brogues", SHOE, 13_900),
    garment("Chelsea boots", SHOE, 14_500),
    garment("Lambswool scarf", ONE, 3_950),
    garment("Felt hat", ONE, 5_900),
    garment("Leather belt", ONE, 3_500),
    garment("Ribbed socks", ONE, 895),
    garment("Canvas tote bag", ONE, 1_495),
];

/// Colours that a style may come in.
pub const COLOURS: &[&str] =
    &["ink", "loden", "oat", "madder", "slate", "chalk", "moss", "navy", "rust", "charcoal"];

/// Things from the food shelves.
pub const FOODS: &[Food] = &[
    food("Sourdough loaf", "800 g", 340, true),
    food("Oat drink", "1 l", 185, true),
    food("Whole milk", "2 l", 165, true),
    food("Free range eggs", "6", 225, true),
    food("Salted butter", "250 g", 240, true),
    food("Mature cheddar", "350 g", 395, true),
    food("Strawberry jam", "340 g", 275, true),
    food("Wildflower honey", "340 g", 520, true),
    food("Porridge oats", "1 kg", 145, true),
    food("Basmati rice", "1 kg", 310, true),
    food("Spaghetti", "500 g", 120, true),
    food("Chopped tomatoes", "400 g", 75, true),
    food("Red lentils", "500 g", 155, true),
    food("Olive oil", "500 ml", 780, true),
    food("Cider vinegar", "350 ml", 210, true),
    food("Sea salt flakes", "250 g", 265, true),
    food("Black peppercorns", "100 g", 290, true),
    food("English breakfast tea", "80 bags", 315, true),
    food("Ground coffee", "227 g", 475, true),
    food("Drinking chocolate", "300 g", 345, true),
    food("Bramley apples", "1 kg", 195, true),
    food("Bananas", "5", 105, true),
    food("Maris Piper potatoes", "2 kg", 215, true),
    food("Carrots", "1 kg", 85, true),
    food("Red onions", "3", 95, true),
    food("Vine tomatoes", "6", 165, true),
    food("Baby spinach", "200 g", 155, true),
    food("Smoked salmon", "100 g", 450, true),
    food("Pork sausages", "6", 325, true),
    food("Chicken thighs", "600 g", 420, true),
    food("Dark chocolate", "100 g", 225, false),
    food("Sea salt crisps", "150 g", 195, false),
    food("Ginger beer", "750 ml", 210, false),
    food("Elderflower cordial", "500 ml", 345, false),
    food("Sparkling water", "1 l", 75, false),
    food("Dry cider", "500 ml", 265, false),
    food("Pale ale", "440 ml", 285, false),
    food("Vanilla ice cream", "500 ml", 425, false),
    food("Salted peanuts", "200 g", 165, false),
    food("Washing-up liquid", "500 ml", 175, false),
    food("Beeswax candles", "2", 650, false),
    food("Kitchen roll", "2", 240, false),
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
