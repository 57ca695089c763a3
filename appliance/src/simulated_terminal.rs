//! A card terminal that charges nobody
//!
//! It keeps what it did in a file of its own, as a real one does in its own box:
//! the program beside it may die at any moment, and be asked about it later.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use selvedge_domain::money::{Amount, Money};
use selvedge_sync::open::{self, Migration, OpenError};
use serde::Deserialize;

use crate::card_terminal::{CardTerminal, Heard};
use crate::clock::steady_ms;

/// Name of its file in the data folder.
pub const FILE_NAME: &str = "simulated-terminal.sqlite";

const SCHEMA: &[Migration] = &[
    Migration { name: "0001_charges", sql: include_str!("simulated_terminal.sql") },
    Migration { name: "0002_asked", sql: include_str!("simulated_terminal_asked.sql") },
];

/// How long a slow one takes.
const SLOW_MS: u64 = 3_000;

/// How long one that lost power is away.
const AWAY_MS: i64 = 2_000;

/// What it does with a new intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manner {
    /// Approves; tiny amounts bring out the other manners.
    #[default]
    Approves,
    /// Declines.
    Declines,
    /// Approves after a while.
    Slow,
    /// Charges, and knows nothing of it afterwards.
    Forgets,
    /// Charges, and is away for a while before it can say so.
    LosesPower,
}

/// The terminal.
#[derive(Debug)]
pub struct SimulatedTerminal {
    manner: Manner,
    memory: Mutex<Connection>,
    back_at_ms: Mutex<i64>,
}

impl SimulatedTerminal {
    /// Switches it on; what it did before is in its file.
    pub fn start(folder: &Path, manner: Manner) -> Result<SimulatedTerminal, OpenError> {
        let memory = open::local(&folder.join(FILE_NAME), None, SCHEMA)?;
        Ok(SimulatedTerminal { manner, memory: Mutex::new(memory), back_at_ms: Mutex::new(0) })
    }

    /// What it does for an amount: of one that approves, 0.01 to 0.04 bring out the other manners.
    fn manner_for(&self, amount: Money) -> Manner {
        match (self.manner, amount.0) {
            (Manner::Approves, 1) => Manner::Declines,
            (Manner::Approves, 2) => Manner::Slow,
            (Manner::Approves, 3) => Manner::Forgets,
            (Manner::Approves, 4) => Manner::LosesPower,
            (manner, _) => manner,
        }
    }

    fn memory(&self) -> MutexGuard<'_, Connection> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose_power(&self) -> Heard {
        let mut back_at = self.back_at_ms.lock().unwrap_or_else(PoisonError::into_inner);
        *back_at = steady_ms() + AWAY_MS;
        Heard::NoAnswer("the terminal lost power".to_owned())
    }

    fn away(&self) -> Option<Heard> {
        let back_at = *self.back_at_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let is_away = steady_ms() < back_at;
        is_away.then(|| Heard::NoAnswer("the terminal is starting".to_owned()))
    }

    fn begin(&self, intent: &str, amount: Amount) -> rusqlite::Result<Heard> {
        let manner = self.manner_for(amount.0);
        if manner == Manner::Slow {
            std::thread::sleep(Duration::from_millis(SLOW_MS));
        }
        let outcome = match manner {
            Manner::Declines => "declined",
            Manner::Forgets => "forgotten",
            _ => "approved",
        };
        self.memory().execute(
            "INSERT INTO charge (intent, amount_minor, currency, outcome) VALUES (?1, ?2, ?3, ?4)",
            (intent, amount.0, amount.1.code(), outcome),
        )?;
        match manner {
            Manner::LosesPower => Ok(self.lose_power()),
            _ => self.known(intent).map(|known| known.unwrap_or(Heard::NotKnown)),
        }
    }

    /// What it knows of an intent.
    fn known(&self, intent: &str) -> rusqlite::Result<Option<Heard>> {
        self.memory()
            .query_row("SELECT outcome, no FROM charge WHERE intent = ?1", [intent], |row| {
                Ok(match row.get_ref(0)?.as_str()? {
                    "approved" => Heard::Approved(format!("SIM-{:06}", row.get::<_, i64>(1)?)),
                    "declined" | "returned" => Heard::Declined,
                    _ => Heard::NotKnown,
                })
            })
            .optional()
    }

    fn asked_again(&self, intent: &str) -> rusqlite::Result<()> {
        self.memory()
            .execute("UPDATE charge SET asked = asked + 1 WHERE intent = ?1", [intent])
            .map(drop)
    }

    fn hand_back(&self, intent: &str) -> rusqlite::Result<Heard> {
        let given = self.memory().execute(
            "UPDATE charge SET outcome = 'returned'
             WHERE intent = ?1 AND outcome IN ('approved', 'returned')",
            [intent],
        )?;
        Ok(match given {
            0 => self.known(intent)?.unwrap_or(Heard::NotKnown),
            _ => Heard::Approved(String::new()),
        })
    }
}

/// A terminal whose memory cannot be read gives no answer.
fn heard(answer: rusqlite::Result<Heard>) -> Heard {
    answer.unwrap_or_else(|cause| Heard::NoAnswer(cause.to_string()))
}

impl CardTerminal for SimulatedTerminal {
    fn charge(&self, intent: &str, amount: Amount) -> Heard {
        if let Some(away) = self.away() {
            return away;
        }
        heard(self.known(intent).and_then(|known| match known {
            Some(before) => self.asked_again(intent).map(|()| before),
            None => self.begin(intent, amount),
        }))
    }

    fn outcome(&self, intent: &str) -> Heard {
        if let Some(away) = self.away() {
            return away;
        }
        heard(self.known(intent).map(|known| known.unwrap_or(Heard::NotKnown)))
    }

    fn give_back(&self, intent: &str) -> Heard {
        if let Some(away) = self.away() {
            return away;
        }
        heard(self.hand_back(intent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use selvedge_domain::money::Currency;

    const DUE: Amount = Amount(Money(7_900), Currency::EUR);

    fn terminal(folder: &tempfile::TempDir, manner: Manner) -> SimulatedTerminal {
        SimulatedTerminal::start(folder.path(), manner).unwrap()
    }

    #[test]
    fn one_intent_is_charged_once_even_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = terminal(&folder, Manner::Approves).charge("a", DUE);
        assert_eq!(first, Heard::Approved("SIM-000001".to_owned()));
        let again = terminal(&folder, Manner::Declines);
        assert_eq!(again.charge("a", DUE), first, "the answer of before");
        assert_eq!(again.outcome("a"), first);
        assert_eq!(again.charge("b", DUE), Heard::Declined);
        assert_eq!(again.outcome("c"), Heard::NotKnown, "asking charges nobody");
    }

    #[test]
    fn money_goes_back_once_and_only_what_was_taken() {
        let folder = tempfile::tempdir().unwrap();
        let terminal = terminal(&folder, Manner::Approves);
        terminal.charge("a", DUE);
        assert!(matches!(terminal.give_back("a"), Heard::Approved(_)));
        assert!(matches!(terminal.give_back("a"), Heard::Approved(_)), "the same again");
        assert_eq!(terminal.outcome("a"), Heard::Declined, "nothing is charged any more");
        assert_eq!(terminal.give_back("b"), Heard::NotKnown);
        terminal.charge("c", Amount(Money(1), Currency::EUR));
        assert_eq!(terminal.give_back("c"), Heard::Declined, "nothing was taken");
    }

    #[test]
    fn one_that_forgets_says_so_and_one_that_lost_power_says_nothing_yet() {
        let folder = tempfile::tempdir().unwrap();
        let terminal = terminal(&folder, Manner::Approves);
        assert_eq!(terminal.charge("a", Amount(Money(3), Currency::EUR)), Heard::NotKnown);
        let lost = terminal.charge("b", Amount(Money(4), Currency::EUR));
        assert!(matches!(lost, Heard::NoAnswer(_)), "{lost:?}");
        let starting = Heard::NoAnswer("the terminal is starting".to_owned());
        assert_eq!(terminal.outcome("b"), starting);
        *terminal.back_at_ms.lock().unwrap() = 0;
        assert_eq!(terminal.outcome("b"), Heard::Approved("SIM-000002".to_owned()));
        assert_eq!(terminal.outcome("a"), Heard::NotKnown);
    }
}
