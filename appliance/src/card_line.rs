//! Asks the card terminal, and keeps each answer
//!
//! A terminal waits for people, so it is asked on a thread of its own, one
//! question at a time; the baskets stay free meanwhile. The answer is in their
//! file before any page shows it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::baskets::Baskets;
use crate::card_terminal::{CardTerminal, Heard};
use crate::payment_intents::{self, Intent, Known, Progress};

/// How often a terminal that gives no answer is asked before a person is.
const ASKS_MAX: u32 = 4;

/// How long it is left alone between two questions.
const ASK_AGAIN_MS: u64 = 1_000;

/// What the terminal is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// To charge a card. Once for each intent.
    Charge,
    /// What became of an intent.
    Outcome,
    /// To give the money back.
    GiveBack,
}

/// The line to the card terminal of this checkout.
#[derive(Debug)]
pub struct CardLine {
    terminal: Option<Arc<dyn CardTerminal>>,
    baskets: Arc<Mutex<Baskets>>,
    changes: watch::Sender<u64>,
    busy: Arc<Busy>,
}

/// The intent that the terminal is being asked about.
#[derive(Debug, Default)]
struct Busy {
    intent: Mutex<Option<i64>>,
    is_over: Condvar,
}

impl Busy {
    fn intent(&self) -> MutexGuard<'_, Option<i64>> {
        self.intent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Frees the line however the question ends.
struct Turn(Arc<Busy>);

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.intent() = None;
        self.0.is_over.notify_all();
    }
}

impl CardLine {
    /// A line to a terminal, or to none where cards are charged by hand.
    pub fn to(
        terminal: Option<Arc<dyn CardTerminal>>,
        baskets: Arc<Mutex<Baskets>>,
        changes: watch::Sender<u64>,
    ) -> CardLine {
        CardLine { terminal, baskets, changes, busy: Arc::default() }
    }

    /// Whether there is a terminal to ask.
    pub fn has_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// Whether the terminal is being asked about anything.
    pub fn is_busy(&self) -> bool {
        self.busy.intent().is_some()
    }

    /// Asks a question about an intent that is written down. While another is being asked it does nothing.
    pub fn ask(&self, question: Question, intent: &Intent) {
        let mut busy = self.busy.intent();
        if busy.is_some() {
            return;
        }
        let Some(terminal) = self.terminal.clone() else { return };
        *busy = Some(intent.id);
        let (turn, intent) = (Turn(Arc::clone(&self.busy)), intent.clone());
        let (baskets, changes) = (Arc::clone(&self.baskets), self.changes.clone());
        drop(busy);
        let work = move || {
            let heard = ask(&*terminal, question, &intent);
            keep(&baskets, &intent, question, heard);
            drop(turn);
            changes.send_modify(|count| *count += 1);
        };
        // Without a thread the turn ends here, and the next page asks again.
        if let Err(cause) = std::thread::Builder::new().name("card terminal".to_owned()).spawn(work)
        {
            tracing::warn!(%cause, "the card terminal was not asked");
        }
    }

    /// Waits until the terminal is not being asked any more, or so long.
    pub fn wait(&self, at_most: Duration) {
        let busy = self.busy.intent();
        drop(self.busy.is_over.wait_timeout_while(busy, at_most, |busy| busy.is_some()));
    }
}

/// Asks until there is an answer. A charge is asked for once; after that only what became of it.
fn ask(terminal: &dyn CardTerminal, question: Question, intent: &Intent) -> Heard {
    let key = intent.key();
    let mut heard = match question {
        Question::Charge => terminal.charge(&key, intent.amount),
        Question::Outcome => terminal.outcome(&key),
        Question::GiveBack => terminal.give_back(&key),
    };
    for _ in 1..ASKS_MAX {
        if !matches!(heard, Heard::NoAnswer(_)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(ASK_AGAIN_MS));
        heard = match question {
            Question::GiveBack => terminal.give_back(&key),
            _ => terminal.outcome(&key),
        };
    }
    heard
}

fn keep(baskets: &Mutex<Baskets>, intent: &Intent, question: Question, heard: Heard) {
    let state = match question {
        Question::GiveBack => Progress::Returning,
        _ => Progress::Asked,
    };
    let known: Known = payment_intents::meaning(state, heard);
    let mut baskets = baskets.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = baskets.change(|tx| payment_intents::keep(tx, intent.id, &known));
    if let Err(cause) = kept {
        // The intent stays as it is: the next page asks the terminal again.
        tracing::warn!(%cause, "an answer of the card terminal was not kept");
    }
}
