//! The sales of today by hour, and what sold most

use chrono_tz::Tz;
use selvedge_domain::day::{self, DayProduct, DayReceipt};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::{Currency, Money};
use selvedge_domain::receipts::Kind;

use crate::amounts::counted;
use crate::database::Reader;
use crate::local_time;
use crate::page::{PageError, Shared};

/// The hours that are drawn even when nothing was sold in them.
const HOURS_SHOWN: std::ops::RangeInclusive<usize> = 9..=18;

/// How many products are named.
const PRODUCTS_SHOWN: usize = 5;

/// How much of the picture's height the highest bar takes, in thousandths.
const BAR_MAX: i64 = 700;

/// Where the bars stand, in thousandths of the picture's height.
const GROUND: i64 = 820;

/// What was sold today.
#[derive(Debug)]
pub struct SalesView {
    /// Moves with each receipt.
    pub rev: String,
    /// Figures with their words.
    pub facts: Vec<(String, &'static str)>,
    /// One sentence on the bars.
    pub words: String,
    /// The bars, hour by hour.
    pub bars: Vec<Bar>,
    /// What sold most.
    pub products: Vec<ProductView>,
}

/// One hour. Places are percentages of the picture, as text.
#[derive(Debug)]
pub struct Bar {
    /// "09".
    pub hour: String,
    /// What came in, with its currency.
    pub amount: String,
    /// How many receipts.
    pub receipts: u64,
    /// Left edge.
    pub x: String,
    /// Upper edge.
    pub y: String,
    /// Width.
    pub width: String,
    /// Height.
    pub height: String,
    /// Where the hour is written.
    pub middle: String,
}

/// One product that sold.
#[derive(Debug)]
pub struct ProductView {
    /// Its name.
    pub name: String,
    /// "12 pieces".
    pub pieces: String,
    /// What they came to.
    pub amount: String,
}

#[derive(Debug, Clone, Copy, Default)]
struct Hour {
    receipts: u64,
    amount: i64,
}

/// Reads and draws what was sold today.
pub fn view(shared: &Shared, db: &Reader) -> Result<SalesView, PageError> {
    let store = shared.store_data(db)?.ok_or(PageError::NoMasterData)?;
    let zone = shared.config.time_zone;
    let (from, to) = local_time::day_of(shared.now(), zone);
    let receipts = day::receipts(db, store.id, from, to)?;
    let products = day::top_products(db, &receipts, PRODUCTS_SHOWN)?;
    Ok(drawn(&receipts, &products, (from, zone), store.currency))
}

fn drawn(
    receipts: &[DayReceipt],
    products: &[DayProduct],
    (day, zone): (Moment, Tz),
    currency: Currency,
) -> SalesView {
    let mut hours = [Hour::default(); 24];
    for receipt in receipts {
        let hour = &mut hours[local_time::hour_of(receipt.at, zone)];
        hour.receipts += 1;
        hour.amount = hour.amount.saturating_add(receipt.total.0);
    }
    let total = receipts.iter().fold(0, |sum: i64, receipt| sum.saturating_add(receipt.total.0));
    let sales = receipts.iter().filter(|receipt| receipt.kind == Kind::Sale).count() as i64;
    let returns = receipts.len() as i64 - sales;
    let show = |minor: i64| currency.show(Money(minor));
    let average = if sales == 0 { "–".to_owned() } else { show(total / sales) };
    let best =
        (0..24).filter(|hour| hours[*hour].amount > 0).max_by_key(|hour| hours[*hour].amount);
    let words = best.map_or_else(
        || "Nothing was sold yet today.".to_owned(),
        |hour| format!("Best hour so far: {hour:02}:00, {}.", show(hours[hour].amount)),
    );
    SalesView {
        rev: format!("{}.{}.{total}", day.0, receipts.len()),
        facts: vec![
            (show(total), "sold today"),
            (sales.to_string(), if sales == 1 { "sale" } else { "sales" }),
            (average, "average sale"),
            (returns.to_string(), if returns == 1 { "return" } else { "returns" }),
        ],
        words,
        bars: bars(&hours, currency),
        products: products.iter().map(|product| shown(product, currency)).collect(),
    }
}

fn shown(product: &DayProduct, currency: Currency) -> ProductView {
    ProductView {
        name: product.name.clone(),
        pieces: counted(product.quantity.unsigned_abs(), "piece", "pieces"),
        amount: currency.show(product.amount),
    }
}

fn bars(hours: &[Hour; 24], currency: Currency) -> Vec<Bar> {
    let busy = |hour: &usize| hours[*hour].receipts > 0 || HOURS_SHOWN.contains(hour);
    let first = (0..24).find(busy).unwrap_or(0);
    let last = (0..24).rfind(busy).unwrap_or(23);
    let highest = hours.iter().map(|hour| hour.amount).max().unwrap_or(0).max(1);
    let wide = 1_000 / (last - first + 1) as i64;
    let bar = |(hour, place): (usize, i64)| {
        let amount = hours[hour].amount.max(0);
        let height = i128::from(amount) * i128::from(BAR_MAX) / i128::from(highest);
        let height = i64::try_from(height).unwrap_or(BAR_MAX);
        Bar {
            hour: format!("{hour:02}"),
            amount: currency.show(Money(hours[hour].amount)),
            receipts: hours[hour].receipts,
            x: percent(place * wide + wide / 10),
            y: percent(GROUND - height),
            width: percent(wide - wide / 5),
            height: percent(height),
            middle: percent(place * wide + wide / 2),
        }
    };
    (first..=last).zip(0..).map(bar).collect()
}

/// Thousandths as a percentage with one decimal.
fn percent(thousandths: i64) -> String {
    format!("{}.{}%", thousandths / 10, thousandths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(hour: i64, total: i64) -> DayReceipt {
        let kind = if total < 0 { Kind::Return } else { Kind::Sale };
        DayReceipt { id: 1 << 40, at: Moment(hour * 3_600_000), kind, total: Money(total) }
    }

    #[test]
    fn bars_are_as_high_as_their_hour_and_no_share_is_lost() {
        let receipts = [receipt(9, 1_000), receipt(9, 1_000), receipt(21, 500), receipt(22, -300)];
        let view = drawn(&receipts, &[], (Moment(0), Tz::UTC), Currency::EUR);
        let facts: Vec<&str> = view.facts.iter().map(|fact| fact.0.as_str()).collect();
        assert_eq!(facts, ["€22.00", "3", "€7.33", "1"]);
        assert_eq!(view.words, "Best hour so far: 09:00, €20.00.");
        assert_eq!(view.bars.len(), 14, "from 09 to 22");
        let bar = |hour: &str| view.bars.iter().find(|bar| bar.hour == hour).unwrap();
        assert_eq!((bar("09").height.as_str(), bar("09").y.as_str()), ("70.0%", "12.0%"));
        assert_eq!((bar("21").height.as_str(), bar("21").receipts), ("17.5%", 1));
        assert_eq!((bar("22").height.as_str(), bar("22").amount.as_str()), ("0.0%", "−€3.00"));
    }

    #[test]
    fn an_empty_day_has_its_hours_and_no_average() {
        let view = drawn(&[], &[], (Moment(0), Tz::UTC), Currency::EUR);
        assert_eq!((view.bars.len(), view.facts[2].0.as_str()), (10, "–"));
        assert_eq!(view.words, "Nothing was sold yet today.");
    }
}
