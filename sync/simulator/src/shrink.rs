//! Makes a failing run small
//!
//! What fails is tried again with less: without each kind of fault in turn, with fewer stores and pos, in less time and
//! with fewer sales. Whatever still breaks an invariant is kept. Each kind has dice of its own, so that leaving one out
//! changes as little as possible of the rest.

use crate::scheme::{Order, Size};
use crate::verdict::Violation;

/// A smaller run that fails too.
#[derive(Debug, Clone)]
pub struct Smaller {
    /// The order of it.
    pub order: Order,
    /// How it fails.
    pub violation: Box<Violation>,
    /// How many runs it took.
    pub runs: u32,
}

/// Looks for a smaller run that fails, in at most so many runs; nothing if the run as ordered does not fail.
pub fn shrink(
    order: &Order,
    runs_max: u32,
    fails: impl Fn(&Order) -> Option<Box<Violation>>,
) -> Option<Smaller> {
    let mut best = Smaller { order: *order, violation: fails(order)?, runs: 1 };
    let faults = order.faults(best.violation.seed);
    best.order = Order { swarm: Some(faults.swarm), mode: Some(faults.mode), ..*order };
    let mut is_smaller = true;
    while std::mem::take(&mut is_smaller) {
        for smaller in smaller(&best.order) {
            if best.runs == runs_max {
                return Some(best);
            }
            best.runs += 1;
            if let Some(violation) = fails(&smaller) {
                best = Smaller { order: smaller, violation, ..best };
                is_smaller = true;
                break;
            }
        }
    }
    Some(best)
}

/// One step smaller, each in another way.
fn smaller(order: &Order) -> Vec<Order> {
    let Size { stores, pos, minutes, sale_every_ms } = order.size;
    let mut orders = Vec::new();
    let mut size = |smaller: Size| orders.push(Order { size: smaller, ..*order });
    if minutes > 1 {
        size(Size { minutes: minutes / 2, ..order.size });
    }
    if stores > 1 {
        size(Size { stores: stores - 1, ..order.size });
    }
    if pos > 1 {
        size(Size { pos: pos - 1, ..order.size });
    }
    if sale_every_ms < 20_000 {
        size(Size { sale_every_ms: sale_every_ms * 2, ..order.size });
    }
    let swarm = order.swarm.unwrap_or_default();
    orders.extend(swarm.kinds().map(|kind| Order { swarm: Some(swarm.without(kind)), ..*order }));
    orders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::Mode;
    use crate::swarm::{Mishap, Swarm};

    fn violation(order: &Order) -> Box<Violation> {
        Box::new(Violation {
            invariant: "I1",
            seed: 3,
            at_ms: 0,
            device: "hq-w1".to_owned(),
            what: "a sale is gone".to_owned(),
            program: "simulate",
            options: order.options(),
        })
    }

    #[test]
    fn what_is_not_needed_to_fail_is_left_out() {
        let order =
            Order { size: Size::DAYS, swarm: Some(Swarm::whole()), mode: Some(Mode::Safety) };
        // It takes a cut, a lost message and two pos.
        let fails = |order: &Order| {
            let swarm = order.swarm.unwrap();
            let all = swarm.has(Mishap::PowerCut) && swarm.has(Mishap::Lost) && order.size.pos >= 2;
            all.then(|| violation(order))
        };
        let smallest = shrink(&order, 200, fails).unwrap();
        let needed = Swarm::default().with(Mishap::PowerCut).with(Mishap::Lost);
        assert_eq!(smallest.order.swarm, Some(needed));
        assert_eq!((smallest.order.size.stores, smallest.order.size.pos), (1, 2));
        assert_eq!(smallest.violation.options, smallest.order.options());
    }

    #[test]
    fn a_run_that_breaks_nothing_has_no_smaller_one_and_runs_are_counted() {
        assert!(shrink(&Order::default(), 9, |_| None).is_none());
        let order = Order { swarm: Some(Swarm::whole()), ..Order::default() };
        let always = |order: &Order| Some(violation(order));
        assert_eq!(shrink(&order, 5, always).map(|smaller| smaller.runs), Some(5));
    }
}
