//! Products that were found, as the checkout draws them

use rusqlite::Connection;
use selvedge_domain::catalogue::{self, Store, Tag};
use selvedge_domain::listing;
use selvedge_domain::moment::Moment;

use crate::amounts::{age, counted};
use crate::assets::fingerprint;
use crate::database::Database;
use crate::page::Shared;
use crate::search::{FOUND_MAX, Search, Standing};

/// Where products are found.
pub const FIND: &str = "/checkout/find";

/// From so many digits on, they may be the beginning of a GTIN.
const GTIN_DIGITS_MIN: usize = 4;

/// Letters of what was typed that are said again.
const SAID_LETTERS: usize = 40;

/// What stands in place of the favourites while something is looked for.
#[derive(Debug)]
pub struct FindView {
    /// Moves with what was asked.
    pub rev: String,
    /// How many there are, or the product whose sizes are shown.
    pub title: String,
    /// What else there is to say, or nothing.
    pub said: String,
    /// What was found, the best first.
    pub tags: Vec<FoundTag>,
    /// Back to what was found, from the sizes of one product.
    pub back: Option<String>,
}

/// One product, or one of its sizes and colours.
#[derive(Debug)]
pub struct FoundTag {
    /// What it is.
    pub name: String,
    /// Its size and colour, or how many of them there are.
    pub detail: String,
    /// What it costs.
    pub price: String,
    /// How many are here.
    pub stock: String,
    /// What its key does.
    pub key: Key,
}

/// What a tap on a tag does.
#[derive(Debug)]
pub enum Key {
    /// It goes into the basket.
    Add(i64),
    /// Its sizes and colours are shown, at this address.
    Open(String),
}

/// Where and when something is looked for.
#[derive(Debug)]
pub struct Finding<'a> {
    /// Master data and stock.
    pub db: &'a Connection,
    /// The store.
    pub store: &'a Store,
    /// The moment, for prices.
    pub at: Moment,
    /// Finds products.
    pub search: &'a Search,
    /// How old figures of the store's other devices are, or nothing when they are new.
    pub age: String,
}

impl<'a> Finding<'a> {
    /// Looks for something on this device, now.
    pub fn here(shared: &'a Shared, db: &'a Connection, store: &'a Store) -> Finding<'a> {
        Finding {
            db,
            store,
            at: shared.now(),
            search: &shared.search,
            age: age_of_others(&shared.database),
        }
    }

    /// What begins with these words or digits.
    pub fn results(&self, text: &str) -> rusqlite::Result<FindView> {
        let mut tags = Vec::new();
        for product in self.products(text)? {
            let variants = catalogue::by_product(self.db, self.store.id, product, self.at)?;
            tags.extend(self.product_tag(text, product, &variants));
        }
        let words: String = text.trim().chars().take(SAID_LETTERS).collect();
        let title = match tags.len() {
            0 => format!("Nothing here begins with \"{words}\""),
            full if full == FOUND_MAX as usize => format!("The {FOUND_MAX} most wanted"),
            some => counted(some as u64, "product", "products"),
        };
        let said = match self.search.standing() {
            Standing::Current => String::new(),
            Standing::Growing(share) => {
                format!("The list is still being read: {share} % of it can be found.")
            }
        };
        Ok(FindView { rev: rev(0, text), title, said, tags, back: None })
    }

    /// The sizes and colours of one product; `None` when it is not sold here.
    pub fn product(&self, text: &str, product: i64) -> rusqlite::Result<Option<FindView>> {
        let variants = catalogue::by_product(self.db, self.store.id, product, self.at)?;
        let Some(first) = variants.first() else { return Ok(None) };
        let tags = variants.iter().map(|tag| FoundTag {
            name: of_variant(tag).unwrap_or_else(|| tag.name.clone()),
            detail: format!("SKU {}", tag.sku),
            price: self.price(std::slice::from_ref(tag)),
            stock: self.stock(std::slice::from_ref(tag)),
            key: Key::Add(tag.sku),
        });
        Ok(Some(FindView {
            rev: rev(product, text),
            title: first.name.clone(),
            said: "Other stores: ask us.".to_owned(),
            tags: tags.collect(),
            back: Some(address(text)),
        }))
    }

    fn products(&self, text: &str) -> rusqlite::Result<Vec<i64>> {
        let found = self.search.find(text, FOUND_MAX);
        let mut products: Vec<i64> = found.into_iter().map(|found| found.product).collect();
        let digits = text.trim();
        if digits.len() >= GTIN_DIGITS_MIN {
            for product in listing::gtin_begins(self.db, digits, FOUND_MAX)? {
                if !products.contains(&product) {
                    products.push(product);
                }
            }
        }
        products.truncate(FOUND_MAX as usize);
        Ok(products)
    }

    fn product_tag(&self, text: &str, product: i64, variants: &[Tag]) -> Option<FoundTag> {
        let first = variants.first()?;
        let (detail, key) = match variants {
            [one] => (of_variant(one).unwrap_or_default(), Key::Add(one.sku)),
            many => {
                let open = format!("{}&product={product}", address(text));
                (kinds(many), Key::Open(open))
            }
        };
        Some(FoundTag {
            name: first.name.clone(),
            detail,
            price: self.price(variants),
            stock: self.stock(variants),
            key,
        })
    }

    fn price(&self, variants: &[Tag]) -> String {
        let prices = || variants.iter().filter_map(|tag| tag.price);
        match (prices().min(), prices().max()) {
            (Some(low), Some(high)) if low == high => self.store.currency.show(low),
            (Some(low), _) => format!("from {}", self.store.currency.show(low)),
            _ => "no price".to_owned(),
        }
    }

    /// A balance below zero is a book that lags behind the shelf: it promises nothing.
    fn stock(&self, variants: &[Tag]) -> String {
        let here: i64 = variants.iter().map(|tag| tag.on_hand.max(0)).sum();
        let count = if here == 0 { "sold out".to_owned() } else { format!("{here} here") };
        if self.age.is_empty() { count } else { format!("{count}, {}", self.age) }
    }
}

/// How old the figures of the store's other devices are on this one: nothing
/// while its line to them is up.
fn age_of_others(database: &Database) -> String {
    let status = database.status();
    if !database.has_parent() || status.parent_up {
        return String::new();
    }
    status.parent_heard_ms.map_or_else(|| "as last heard".to_owned(), age)
}

fn rev(product: i64, text: &str) -> String {
    format!("{:016x}", fingerprint(&format!("{product} {text}")))
}

/// The address at which a text is looked for.
pub fn address(text: &str) -> String {
    let mut address = format!("{FIND}?q=");
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => address.push(char::from(byte)),
            _ => address.push_str(&format!("%{byte:02X}")),
        }
    }
    address
}

fn of_variant(tag: &Tag) -> Option<String> {
    let parts: Vec<&str> =
        [&tag.size, &tag.colour].into_iter().flatten().map(String::as_str).collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// "3 sizes · moss", "4 sizes · 2 colours".
fn kinds(variants: &[Tag]) -> String {
    let distinct = |of: fn(&Tag) -> Option<&String>| {
        let mut all: Vec<&String> = variants.iter().filter_map(of).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let count = |all: Vec<&String>, many: &str| match all.as_slice() {
        [] => None,
        [one] => Some((*one).clone()),
        some => Some(format!("{} {many}", some.len())),
    };
    let sizes = count(distinct(|tag| tag.size.as_ref()), "sizes");
    let colours = count(distinct(|tag| tag.colour.as_ref()), "colours");
    sizes.into_iter().chain(colours).collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_typed_comes_back_whole_in_an_address() {
        assert_eq!(address("café 1&q=<b>"), "/checkout/find?q=caf%C3%A9%201%26q%3D%3Cb%3E");
    }
}
