//! The checkout

use appliance::page::Shared;
use lab::forms;

use crate::attack::Attack;
use crate::chain::{BADGE, CARD, Chain, PIN, POS, Program};
use crate::facts::{self, Facts};
use crate::routes;

const CARD_PAGE: &str = "/checkout/pay/card";
const CARD_ANSWERED: &str = "/checkout/pay/card?wait=1";
const QUESTION: &str = "/checkout/in-doubt";
const PRINT: &str = "/checkout/in-doubt/print";
const VOID: &str = "/checkout/in-doubt/void";
const GO_ON: &str = "/checkout/in-doubt/go-on";

/// Answers whatever is in doubt.
fn cleared_up(person: &mut Attack) {
    for (page, action, answer) in
        [(CARD_ANSWERED, CARD_PAGE, "not-paid"), (QUESTION, PRINT, ""), (QUESTION, GO_ON, "")]
    {
        let drawn = person.page(page);
        if forms::forms(&drawn).iter().any(|form| form.action == action) {
            person.submit(page, action, &[("answer", answer)]);
        }
    }
}

/// Takes payments back and things off, until the basket is empty.
fn emptied(person: &mut Attack) {
    cleared_up(person);
    for (page, action) in
        [("/checkout/pay", "/checkout/pay/take-off"), ("/checkout", "/checkout/take-off")]
    {
        for _ in 0..40 {
            let open = match page {
                "/checkout" => chosen(person),
                _ => Some(page.to_owned()),
            };
            let Some(open) = open else { break };
            let drawn = person.page(&open);
            if !forms::forms(&drawn).iter().any(|form| form.action == action) {
                break;
            }
            person.submit(&open, action, &[]);
        }
    }
}

/// The place of the checkout where a line is chosen.
fn chosen(person: &mut Attack) -> Option<String> {
    let page = person.page("/checkout");
    let at = page.find("/checkout?line=")?;
    page[at..].split('"').next().map(str::to_owned)
}

fn rung_up(person: &mut Attack) -> String {
    emptied(person);
    person.submit("/checkout", "/checkout/add", &[("code", "1001")]);
    chosen(person).expect("a line was added")
}

fn paying(person: &mut Attack) -> String {
    rung_up(person);
    person.submit("/checkout", "/checkout/pay", &[]);
    "/checkout/pay".to_owned()
}

fn paid(person: &mut Attack, amount: &str) -> String {
    let place = paying(person);
    let filled = [("kind", "cash"), ("amount", amount)];
    person.submit(&place, "/checkout/pay/tender", &filled);
    place
}

/// A card of which the terminal knows nothing.
fn asked(person: &mut Attack) -> String {
    let place = paying(person);
    person.submit(&place, "/checkout/pay/tender", &[("kind", "card"), ("amount", "0.03")]);
    CARD_ANSWERED.to_owned()
}

/// A receipt that nobody has seen.
fn in_doubt(person: &mut Attack, shared: &Shared) -> String {
    paid(person, "500");
    Program::forget(shared);
    QUESTION.to_owned()
}

#[test]
fn a_pos_takes_every_hostile_string_for_text() {
    let chain = Chain::make();
    let file = chain.data(POS).join("selvedge.sqlite");
    let before = Facts::of(&file);
    let mut program = chain.run(POS);
    let mut person = Attack::new(program.wire(), Some((BADGE, PIN)));
    let all = routes::of("appliance/src");
    let names = routes::query_names("appliance/src");
    person.forms_of(&mut |_| "/signon".to_owned());
    person.sign_on();
    let shared = program.shared();
    let states: [&mut dyn FnMut(&mut Attack) -> String; 11] = [
        &mut |person| {
            emptied(person);
            "/checkout".to_owned()
        },
        &mut rung_up,
        &mut |person| {
            rung_up(person);
            "/checkout?sheet=discount".to_owned()
        },
        &mut |person| {
            rung_up(person);
            let sheet = "/checkout?sheet=customer";
            person.submit(sheet, "/checkout/customer", &[("card", CARD)]);
            sheet.to_owned()
        },
        &mut |person| {
            rung_up(person);
            "/checkout".to_owned()
        },
        &mut paying,
        &mut |person| paid(person, "0.01"),
        &mut |person| {
            paid(person, "500");
            "/checkout/done".to_owned()
        },
        &mut asked,
        &mut |person| in_doubt(person, &shared),
        &mut |person| {
            in_doubt(person, &shared);
            person.submit(QUESTION, VOID, &[]);
            QUESTION.to_owned()
        },
    ];
    for state in states {
        person.forms_of(state);
    }
    let finish = ("/checkout/pay/tender", "/checkout/pay/finish");
    person.form_as(finish, &mut |person| paid(person, "0.01"));
    rung_up(&mut person);
    crate::office::all_routes(&mut person, &all, &names);
    let walked = person.walk(&["/", "/signon", "/checkout/done", "/status.txt", "/beat"]);
    assert!(walked > 5, "{walked} pages were looked at");
    person.told();
    drop(program);
    before.hold(&file, &["receipt", "receipt_line", "tender", "exception", "doubt_answer"], &[]);
    facts::sound(&chain.data(POS).join("baskets.sqlite"));
    crate::told("pos", person.sent);
}
