//! Loses, repeats, reorders, parts
//!
//! A link joins a child with its parent. Each direction has its own weather, so that a one-way partition is just two
//! directions of which one is cut. Messages overtake each other, because each draws its own delay.

use crate::dice::Dice;

/// A link that is well needs this long.
const SHORTEST_MS: i64 = 5;

/// In bad weather no message needs longer than this, unless it is late.
const USUAL_MS: i64 = 200;

/// A slow message may need this long.
const LONGEST_MS: i64 = 30_000;

/// What the weather may do to messages in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Lost messages of a thousand.
    pub lost: u64,
    /// Messages that arrive twice, of a thousand.
    pub repeated: u64,
    /// Messages that arrive with a flipped bit, of a thousand.
    pub damaged: u64,
    /// Messages that are late by up to half a minute, of a thousand.
    pub late: u64,
}

impl Weather {
    /// Nothing happens but the shortest delay.
    pub const CALM: Weather = Weather { lost: 0, repeated: 0, damaged: 0, late: 0 };
    /// The start values of the fault table: 5 % lost, 5 % repeated, 1 % damaged.
    pub const ROUGH: Weather = Weather { lost: 50, repeated: 50, damaged: 10, late: 40 };
}

/// What became of one direction of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// Messages go through.
    Open,
    /// Messages are lost.
    Cut,
    /// Messages wait and arrive all at once when it opens.
    Held,
}

/// A message on its way, with the moment it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel<M> {
    /// Steady time of the arrival.
    pub at_ms: i64,
    /// What arrives.
    pub message: M,
}

/// What happened to messages, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Messages given to the network.
    pub sent: u64,
    /// Lost to the weather or a partition.
    pub lost: u64,
    /// Delivered twice.
    pub repeated: u64,
    /// Delivered with a flipped bit.
    pub damaged: u64,
    /// Delivered late.
    pub late: u64,
    /// Held until the passage opened.
    pub held: u64,
}

impl Losses {
    /// Messages to which something happened.
    pub fn harmed(&self) -> u64 {
        self.lost + self.repeated + self.damaged + self.late
    }
}

/// One direction of one link. `M` is what a message looks like.
#[derive(Debug)]
pub struct Lane<M> {
    passage: Passage,
    waiting: Vec<M>,
}

impl<M> Default for Lane<M> {
    fn default() -> Self {
        Lane { passage: Passage::Open, waiting: Vec::new() }
    }
}

impl<M: Clone> Lane<M> {
    /// Changes the passage. What was held is released when it opens, and lost when it is cut.
    pub fn set(&mut self, passage: Passage, now_ms: i64, dice: &mut Dice) -> Vec<Parcel<M>> {
        self.passage = passage;
        let waiting = std::mem::take(&mut self.waiting);
        match passage {
            Passage::Held => {
                self.waiting = waiting;
                Vec::new()
            }
            Passage::Cut => Vec::new(),
            Passage::Open => waiting
                .into_iter()
                .map(|message| Parcel { at_ms: now_ms + dice.between(SHORTEST_MS, 500), message })
                .collect(),
        }
    }

    /// How the lane is.
    pub fn passage(&self) -> Passage {
        self.passage
    }

    /// Takes a message and says when it arrives: never, once or twice. `damage` flips a bit of a message.
    pub fn send(
        &mut self,
        message: M,
        now_ms: i64,
        weather: Weather,
        dice: &mut Dice,
        losses: &mut Losses,
        damage: impl Fn(&mut M, &mut Dice),
    ) -> Vec<Parcel<M>> {
        losses.sent += 1;
        if self.passage == Passage::Cut || dice.chance(weather.lost) {
            losses.lost += 1;
            return Vec::new();
        }
        if self.passage == Passage::Held {
            losses.held += 1;
            self.waiting.push(message);
            return Vec::new();
        }
        let copies = if dice.chance(weather.repeated) { 2 } else { 1 };
        losses.repeated += copies - 1;
        (0..copies)
            .map(|_| {
                let mut message = message.clone();
                if dice.chance(weather.damaged) {
                    losses.damaged += 1;
                    damage(&mut message, dice);
                }
                let delay_ms = delay_ms(weather, dice);
                losses.late += u64::from(delay_ms > USUAL_MS);
                Parcel { at_ms: now_ms + delay_ms, message }
            })
            .collect()
    }
}

fn delay_ms(weather: Weather, dice: &mut Dice) -> i64 {
    match weather.late {
        0 => SHORTEST_MS,
        late if dice.chance(late) => dice.between(SHORTEST_MS, LONGEST_MS),
        _ => dice.between(SHORTEST_MS, USUAL_MS),
    }
}

/// Flips one bit, if there is one.
pub fn flip_a_bit(bytes: &mut [u8], dice: &mut Dice) {
    if !bytes.is_empty() {
        let bit = dice.below(bytes.len() as u64 * 8) as usize;
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send_many(lane: &mut Lane<Vec<u8>>, weather: Weather) -> (Vec<Parcel<Vec<u8>>>, Losses) {
        let (mut dice, mut losses) = (Dice::new(1).split("network"), Losses::default());
        let mut parcels = Vec::new();
        for _ in 0..1_000 {
            let sent =
                lane.send(vec![0; 8], 0, weather, &mut dice, &mut losses, |m, d| flip_a_bit(m, d));
            parcels.extend(sent);
        }
        (parcels, losses)
    }

    #[test]
    fn a_calm_lane_delivers_each_message_once_and_in_order() {
        let (parcels, losses) = send_many(&mut Lane::default(), Weather::CALM);
        assert!(
            parcels.iter().all(|parcel| parcel.at_ms == SHORTEST_MS && parcel.message == [0; 8])
        );
        assert_eq!((parcels.len(), losses.lost, losses.repeated), (1_000, 0, 0));
    }

    #[test]
    fn a_rough_lane_loses_repeats_damages_and_delays() {
        let (parcels, losses) = send_many(&mut Lane::default(), Weather::ROUGH);
        assert!((20..100).contains(&losses.lost), "{losses:?}");
        assert!((20..100).contains(&losses.repeated), "{losses:?}");
        assert!(losses.damaged > 0, "{losses:?}");
        assert_eq!(parcels.len() as u64, losses.sent - losses.lost + losses.repeated);
        let changed = parcels.iter().filter(|parcel| parcel.message != [0; 8]).count() as u64;
        assert_eq!(changed, losses.damaged);
        assert!(parcels.iter().any(|parcel| parcel.at_ms > 1_000));
        assert!(!parcels.is_sorted_by_key(|parcel| parcel.at_ms), "messages overtake each other");
    }

    #[test]
    fn a_cut_lane_delivers_nothing_and_a_held_one_later() {
        let (mut lane, mut dice) = (Lane::default(), Dice::new(2));
        lane.set(Passage::Cut, 0, &mut dice);
        assert_eq!(send_many(&mut lane, Weather::CALM).0, []);
        lane.set(Passage::Held, 0, &mut dice);
        assert_eq!(send_many(&mut lane, Weather::CALM).0, []);
        let released = lane.set(Passage::Open, 9_000, &mut dice);
        assert_eq!(released.len(), 1_000);
        assert!(released.iter().all(|parcel| parcel.at_ms > 9_000));
    }
}
