//! Clears up what a power cut left before anything new begins
//!
//! Two things may be in doubt: whether a card was charged, and whether anybody
//! has seen the last receipt. Each page of the checkout asks here first. What
//! can be found out is found out; a question that only a person can answer is
//! asked, one at a time, and there is no next sale before it.

use selvedge_domain::in_doubt::{self, Answer, Asked};
use selvedge_domain::moment::Moment;
use selvedge_domain::receipts;
use selvedge_sync::outcome::{Committed, WriteError};
use selvedge_transport::engine::EngineError;

use crate::baskets::Baskets;
use crate::card_line::{CardLine, Question};
use crate::database::{Database, Reader};
use crate::paid_basket::{self, DONE, PayError};
use crate::payment::{CARD, PAY};
use crate::payment_intents::{self, Intent, Known, Progress};
use crate::ringing::CHECKOUT;
use crate::unseen::{self, Unseen, Verdict};

/// Where the receipt that nobody saw is asked about.
pub const IN_DOUBT: &str = "/checkout/in-doubt";

/// Why a question was put aside without an answer.
const NO_TERMINAL: &str = "no card terminal is set up";

/// What the checkout may do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Anything.
    Free,
    /// Nothing before this page was seen.
    See(&'static str),
}

/// Where things are looked up, written and asked.
#[derive(Debug, Clone, Copy)]
pub struct Till<'a> {
    /// Where receipts and answers are written.
    pub database: &'a Database,
    /// The same, to read.
    pub db: &'a Reader,
    /// The card terminal.
    pub cards: &'a CardLine,
    /// The moment.
    pub now: Moment,
}

/// What the checkout may do next. Finds out whatever can be found out.
pub fn next(baskets: &mut Baskets, till: &Till) -> Result<Next, PayError> {
    paid_basket::recover(baskets, till.database, till.db)?;
    let basket = baskets.current()?;
    if let Some(intent) = basket.as_ref().and_then(|basket| basket.waits_for())
        && waits(baskets, till, intent)?
    {
        return Ok(Next::See(CARD));
    }
    if basket.is_some() {
        match paid_basket::settle(baskets, till.database, till.db) {
            // The screen to pay says what is wrong with the basket, and nothing is lost.
            Ok(()) | Err(PayError::Sale(_) | PayError::Basket(_)) => {}
            Err(error) => return Err(error),
        }
    }
    match baskets.ask(unseen::unseen)? {
        Some(unseen) => not_seen(baskets, till, &unseen),
        None => Ok(Next::Free),
    }
}

/// Whether the terminal or a person has still to say something about an intent.
fn waits(baskets: &mut Baskets, till: &Till, intent: &Intent) -> Result<bool, PayError> {
    if let Some(known) = decided(till, intent)? {
        baskets.change(|tx| payment_intents::keep(tx, intent.id, &known))?;
        return Ok(false);
    }
    let question = match intent.state {
        Progress::Asked => Question::Outcome,
        Progress::Returning if intent.said.is_none() => Question::GiveBack,
        _ => return Ok(true),
    };
    if till.cards.has_terminal() {
        till.cards.ask(question, intent);
    } else {
        let known = Known::Nothing(NO_TERMINAL.to_owned());
        baskets.change(|tx| payment_intents::keep(tx, intent.id, &known))?;
    }
    Ok(true)
}

/// What a person has said about an intent already: it is a fact before it is noted here.
fn decided(till: &Till, intent: &Intent) -> Result<Option<Known>, PayError> {
    let answers = in_doubt::of_intent(till.db, intent.id)?;
    let mut known = answers.into_iter().filter_map(|answered| known(answered.answer, intent.state));
    Ok(known.next_back())
}

/// What an answer means for an intent in this state; nothing when it is about something else.
fn known(answer: Answer, state: Progress) -> Option<Known> {
    match (answer, state) {
        (Answer::GivenBack, Progress::Returning) => Some(Known::GivenBack),
        (Answer::Paid, Progress::Asked | Progress::InDoubt) => Some(Known::Paid(None)),
        (Answer::NotPaid, Progress::Asked | Progress::InDoubt) => Some(Known::NotPaid),
        _ => None,
    }
}

/// What has to be seen of the last receipt.
fn not_seen(baskets: &mut Baskets, till: &Till, unseen: &Unseen) -> Result<Next, PayError> {
    match unseen.verdict {
        Some(Verdict::Voided(_)) => return Ok(Next::See(IN_DOUBT)),
        Some(Verdict::Void(by)) => return carry_out(baskets, till, unseen, by),
        None => {}
    }
    let answered = in_doubt::of_receipt(till.db, unseen.done.receipt)?;
    if baskets.sent == Some(unseen.basket) || answered.is_some() {
        baskets.change(|tx| unseen::is_seen(tx, unseen.basket))?;
        return Ok(Next::Free);
    }
    let is_here = baskets.paid_here == Some(unseen.basket);
    Ok(Next::See(if is_here { DONE } else { IN_DOUBT }))
}

/// Reverses a receipt, card by card and then as a whole. It goes on after each crash.
fn carry_out(
    baskets: &mut Baskets,
    till: &Till,
    unseen: &Unseen,
    by: i64,
) -> Result<Next, PayError> {
    for intent in &unseen.intents {
        let mut intent = intent.clone();
        if intent.state == Progress::Captured {
            baskets.change(|tx| payment_intents::begin_to_give_back(tx, intent.id))?;
            intent.state = Progress::Returning;
        }
        if intent.state == Progress::Returning && waits(baskets, till, &intent)? {
            return Ok(Next::See(CARD));
        }
    }
    let asked = Asked { store: till.database.store(), cashier: by, at: till.now };
    let receipt = unseen.done.receipt;
    let written = till.database.write(move |tx| in_doubt::void(tx, asked, receipt));
    if let Err(EngineError::Write(WriteError::Refused(refused))) = written {
        // The question is asked again, with the reason.
        baskets.change(|tx| unseen::is_undecided(tx, unseen.basket))?;
        return Err(PayError::Doubt(refused));
    }
    let void = committed(written)?;
    let number = receipts::by_id(till.db, void)?.map_or(0, |receipt| receipt.no);
    let number = receipts::number(till.database.label(), number);
    baskets.change(|tx| unseen::is_void(tx, unseen.basket, &number))?;
    Ok(Next::See(IN_DOUBT))
}

/// What a deed has written, or why it is not known to be.
fn committed<T, E: std::fmt::Display>(
    written: Result<Committed<T>, EngineError<E>>,
) -> Result<T, PayError> {
    match written {
        Ok(committed) => Ok(committed.value),
        Err(EngineError::Write(WriteError::InDoubt(reason))) => {
            Err(PayError::InDoubt(reason.to_string()))
        }
        Err(EngineError::Gone(reason)) => Err(PayError::InDoubt(reason)),
        Err(reason) => Err(PayError::NotWritten(reason.to_string())),
    }
}

/// A person's answer, and the form that brought it.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// Who.
    pub cashier: i64,
    /// The id of the posted form.
    pub request: &'a str,
}

/// The receipt stands and is printed. Says where that leads.
pub fn print(baskets: &mut Baskets, till: &Till, who: Person) -> Result<String, PayError> {
    let Some(unseen) = undecided(baskets)? else { return Ok(CHECKOUT.to_owned()) };
    let asked = Asked { store: till.database.store(), cashier: who.cashier, at: till.now };
    let receipt = unseen.done.receipt;
    let written = till.database.write(move |tx| in_doubt::confirm(tx, asked, receipt));
    if let Err(EngineError::Write(WriteError::Refused(refused))) = written {
        return Err(PayError::Doubt(refused));
    }
    committed(written)?;
    once(baskets, who, DONE, |tx| unseen::is_seen(tx, unseen.basket))
}

/// The receipt shall be reversed by another.
pub fn void(baskets: &mut Baskets, till: &Till, who: Person) -> Result<String, PayError> {
    let Some(unseen) = undecided(baskets)? else { return Ok(CHECKOUT.to_owned()) };
    once(baskets, who, IN_DOUBT, |tx| unseen::is_to_be_void(tx, unseen.basket, who.cashier))?;
    match next(baskets, till)? {
        Next::See(place) => Ok(place.to_owned()),
        Next::Free => Ok(CHECKOUT.to_owned()),
    }
}

/// The person has seen that the receipt was reversed, and has given the money back.
pub fn go_on(baskets: &mut Baskets, who: Person) -> Result<String, PayError> {
    let voided = baskets.ask(unseen::unseen)?;
    let voided = voided.filter(|unseen| matches!(unseen.verdict, Some(Verdict::Voided(_))));
    let Some(unseen) = voided else { return Ok(CHECKOUT.to_owned()) };
    once(baskets, who, CHECKOUT, |tx| unseen::is_seen(tx, unseen.basket))
}

/// What a person says about an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Ask the terminal once more.
    AskAgain,
    /// This became of it.
    Decided(Answer),
    /// The money did not go back, and need not.
    Kept,
}

impl Word {
    /// The word of a form.
    pub fn parse(name: &str) -> Option<Word> {
        Some(match name {
            "again" => Word::AskAgain,
            "paid" => Word::Decided(Answer::Paid),
            "not-paid" => Word::Decided(Answer::NotPaid),
            "given-back" => Word::Decided(Answer::GivenBack),
            "kept" => Word::Kept,
            _ => return None,
        })
    }
}

/// Takes a person's word about the intent that waits for one, and says where that leads.
pub fn decide(
    baskets: &mut Baskets,
    till: &Till,
    who: Person,
    intent: &Intent,
    word: Word,
) -> Result<String, PayError> {
    let id = intent.id;
    if till.cards.is_busy() {
        return Ok(CARD.to_owned());
    }
    let known = match word {
        Word::AskAgain => {
            let asked = once(baskets, who, CARD, |tx| payment_intents::ask_again(tx, id));
            next(baskets, till)?;
            return asked;
        }
        Word::Kept => Known::Kept,
        Word::Decided(answer) => {
            let Some(known) = known(answer, intent.state) else { return Ok(CARD.to_owned()) };
            let asked = Asked { store: till.database.store(), cashier: who.cashier, at: till.now };
            let amount = intent.amount.0;
            let written =
                till.database.write(move |tx| in_doubt::decide(tx, asked, id, answer, amount));
            if let Err(EngineError::Write(WriteError::Refused(refused))) = written {
                return Err(PayError::Doubt(refused));
            }
            committed(written)?;
            known
        }
    };
    if known == Known::Paid(None) {
        baskets.paid_here = Some(intent.basket);
    }
    once(baskets, who, PAY, |tx| payment_intents::keep(tx, id, &known))
}

/// The receipt that a person is asked about.
fn undecided(baskets: &Baskets) -> Result<Option<Unseen>, PayError> {
    Ok(baskets.ask(unseen::unseen)?.filter(|unseen| unseen.verdict.is_none()))
}

/// Makes a change of the baskets and notes where the request led.
fn once(
    baskets: &mut Baskets,
    who: Person,
    place: &str,
    change: impl FnOnce(&rusqlite::Transaction) -> rusqlite::Result<()>,
) -> Result<String, PayError> {
    let answer = baskets.once(who.request, |tx| {
        change(tx)?;
        Ok::<_, PayError>(Some(place.to_owned()))
    })?;
    Ok(answer.unwrap_or_else(|| place.to_owned()))
}
