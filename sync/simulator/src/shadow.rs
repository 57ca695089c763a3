//! What every reader must see: a model beside the databases
//!
//! Each deed says which rows it left, in plain values. The model adds them up by origin, stream and seq, and never looks
//! into an entry. What a replica shows must then be what the model says for its version vector: no row less, no row
//! more, no row twice, none too early and none in part. Rows are added up as hashes, so their order does not matter.

use rusqlite::types::{Value, ValueRef};
use selvedge_sync::origin::{Origin, Stream};
use std::collections::{BTreeMap, BTreeSet};

/// Sums of the rows of tables, by table name.
pub type Sums = BTreeMap<&'static str, u128>;

/// The number that a row adds to its table's sum.
pub fn row_sum<'v>(values: impl IntoIterator<Item = ValueRef<'v>>) -> u128 {
    let mut hash = blake3::Hasher::new();
    for value in values {
        match value {
            ValueRef::Null => hash.update(b"n"),
            ValueRef::Integer(number) => hash.update(b"i").update(&number.to_be_bytes()),
            ValueRef::Real(number) => hash.update(b"r").update(&number.to_be_bytes()),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                hash.update(b"b").update(&(bytes.len() as u64).to_be_bytes()).update(bytes)
            }
        };
    }
    let mut sum = [0; 16];
    hash.finalize_xof().fill(&mut sum);
    u128::from_be_bytes(sum)
}

/// What one deed left in the tables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effect {
    rows: Vec<Left>,
    unknown: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Left {
    table: &'static str,
    store: u32,
    /// The key of a row that a later deed may replace; none where rows are only ever added.
    key: Option<i64>,
    /// The row; none where it was taken away.
    sum: Option<u128>,
}

impl Effect {
    /// Of a deed that the model does not follow. Who has its entry is not compared from there on.
    pub fn unknown() -> Effect {
        Effect { unknown: true, ..Effect::default() }
    }

    /// A row was added. Store 0 stands for a table that all stores see.
    pub fn fact(&mut self, table: &'static str, store: u32, values: &[Value]) {
        let sum = row_sum(values.iter().map(ValueRef::from));
        self.rows.push(Left { table, store, key: None, sum: Some(sum) });
    }

    /// The row of this key was put in place, or taken away.
    pub fn owned(&mut self, table: &'static str, store: u32, key: i64, values: Option<&[Value]>) {
        let sum = values.map(|values| row_sum(values.iter().map(ValueRef::from)));
        self.rows.push(Left { table, store, key: Some(key), sum });
    }
}

/// Which entries of an origin and stream a replica has, and which of them it has set aside.
pub struct Seen<'a> {
    /// The version vector.
    pub vector: &'a BTreeMap<(Stream, Origin), u64>,
    /// Parked entries: kept, and not applied.
    pub parked: &'a BTreeSet<(Stream, Origin, u64)>,
}

/// All effects, by origin, stream and seq.
#[derive(Debug, Default)]
pub struct Shadow {
    effects: BTreeMap<(Stream, Origin), Vec<Effect>>,
}

impl Shadow {
    /// The effect of the next entry of this origin and stream.
    pub fn follow(&mut self, stream: Stream, origin: Origin, effect: Effect) {
        self.effects.entry((stream, origin)).or_default().push(effect);
    }

    /// What a reader in this store must see of these tables; nothing where an entry that it has is not followed.
    pub fn expected(&self, tables: &[&'static str], store: u32, seen: &Seen) -> Option<Sums> {
        let mut sums: Sums = tables.iter().map(|table| (*table, 0)).collect();
        let mut owned: BTreeMap<(&'static str, i64), u128> = BTreeMap::new();
        for ((stream, origin), seq) in seen.vector {
            let effects = self.effects.get(&(*stream, *origin));
            let known = effects.map_or(0, Vec::len) as u64;
            if known < *seq {
                return None;
            }
            let effects = effects.into_iter().flatten().zip(1..).take(*seq as usize);
            for (effect, seq) in effects {
                if effect.unknown {
                    return None;
                }
                if seen.parked.contains(&(*stream, *origin, seq)) {
                    continue;
                }
                let rows = effect.rows.iter().filter(|left| left.store == 0 || left.store == store);
                for left in rows {
                    let Some(sum) = sums.get_mut(left.table) else { continue };
                    let new = left.sum.unwrap_or(0);
                    let old = match left.key {
                        Some(key) => owned.insert((left.table, key), new).unwrap_or(0),
                        None => 0,
                    };
                    *sum = sum.wrapping_add(new).wrapping_sub(old);
                }
            }
        }
        Some(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> (Stream, Origin) {
        (Stream::CHAIN, Origin::new(7).unwrap())
    }

    fn shadow() -> Shadow {
        let mut shadow = Shadow::default();
        for amount in [10, 20] {
            let mut effect = Effect::default();
            effect.owned("price", 0, 1, Some(&[Value::Integer(1), Value::Integer(amount)]));
            effect.fact("sale", 3, &[Value::Integer(amount)]);
            shadow.follow(key().0, key().1, effect);
        }
        shadow
    }

    fn expected(seq: u64, parked: &[u64], store: u32) -> Sums {
        let parked = parked.iter().map(|seq| (key().0, key().1, *seq)).collect();
        let vector = BTreeMap::from([(key(), seq)]);
        let seen = Seen { vector: &vector, parked: &parked };
        shadow().expected(&["price", "sale"], store, &seen).unwrap()
    }

    fn sum(values: &[i64]) -> u128 {
        row_sum(values.iter().map(|number| ValueRef::Integer(*number)))
    }

    #[test]
    fn a_reader_sees_all_facts_and_the_newest_owned_row_of_its_vector() {
        assert_eq!(
            expected(1, &[], 3),
            Sums::from([("price", sum(&[1, 10])), ("sale", sum(&[10]))])
        );
        let both = sum(&[10]).wrapping_add(sum(&[20]));
        assert_eq!(expected(2, &[], 3), Sums::from([("price", sum(&[1, 20])), ("sale", both)]));
    }

    #[test]
    fn a_reader_sees_nothing_of_other_stores_and_of_parked_entries() {
        assert_eq!(expected(2, &[], 4)["sale"], 0);
        assert_eq!(expected(2, &[1], 3)["sale"], sum(&[20]));
    }

    #[test]
    fn what_is_not_followed_is_not_compared() {
        let mut shadow = shadow();
        shadow.follow(key().0, key().1, Effect::unknown());
        let parked = BTreeSet::new();
        let expected = |seq| {
            let vector = BTreeMap::from([(key(), seq)]);
            shadow.expected(&["sale"], 3, &Seen { vector: &vector, parked: &parked }).is_some()
        };
        assert_eq!([expected(2), expected(3), expected(4)], [true, false, false]);
    }
}
