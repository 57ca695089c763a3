//! What happens next, in the order of virtual time
//!
//! Two things of the same moment happen in the order in which they were planned: a heap alone would leave that open.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Things to come, each with its moment.
#[derive(Debug)]
pub struct Agenda<T> {
    heap: BinaryHeap<Reverse<Planned<T>>>,
    planned: u64,
}

#[derive(Debug)]
struct Planned<T> {
    at_ms: i64,
    number: u64,
    thing: T,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Agenda { heap: BinaryHeap::new(), planned: 0 }
    }
}

impl<T> Agenda<T> {
    /// Plans a thing.
    pub fn plan(&mut self, at_ms: i64, thing: T) {
        self.planned += 1;
        self.heap.push(Reverse(Planned { at_ms, number: self.planned, thing }));
    }

    /// Takes the next thing, unless it lies after `until_ms`.
    pub fn next(&mut self, until_ms: i64) -> Option<(i64, T)> {
        let due = self.heap.peek().is_some_and(|next| next.0.at_ms <= until_ms);
        due.then(|| self.heap.pop()).flatten().map(|Reverse(next)| (next.at_ms, next.thing))
    }
}

impl<T> Planned<T> {
    fn order(&self) -> (i64, u64) {
        (self.at_ms, self.number)
    }
}

impl<T> PartialEq for Planned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl<T> Eq for Planned<T> {}

impl<T> PartialOrd for Planned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Planned<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_by_time_and_then_in_the_order_they_were_planned() {
        let mut agenda = Agenda::default();
        for (at_ms, thing) in [(20, "c"), (10, "a"), (20, "d"), (10, "b"), (99, "late")] {
            agenda.plan(at_ms, thing);
        }
        let order: Vec<&str> = std::iter::from_fn(|| agenda.next(50)).map(|next| next.1).collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
    }
}
