//! The back office

use crate::attack::Attack;
use crate::chain::{BADGE, Chain, OFFICE, PIN};
use crate::facts::Facts;
use crate::routes::{self, KIOSK, Route};

/// Attacks the routes that this program has without asking a page for them, and fails for a route that takes a form
/// which no page offered: then a state is missing in which that form is drawn.
pub fn all_routes(person: &mut Attack, all: &[Route], names: &[String]) {
    let mut forgotten = Vec::new();
    for (order, route) in all.iter().enumerate() {
        let path = route.filled("1");
        // Whoever looks at the kiosk signs off; it has a story of its own.
        if path.starts_with(KIOSK) {
            continue;
        }
        let answer = match route.posts {
            true => person.wire.post(&path, b""),
            false => person.wire.get(&path),
        };
        if answer.status == 404 && answer.text().starts_with("There is no such page") {
            continue;
        }
        if route.posts && !person.attacked.contains(&route.path) {
            forgotten.push(route.path.clone());
        }
        person.route(route, names, 25, order);
        person.page("/");
    }
    person.headers("/", &["Cookie", "X-Fragments", "Accept-Language", "Referer"]);
    assert!(forgotten.is_empty(), "no page offered a form for {forgotten:?}");
}

fn delivered(person: &mut Attack) -> String {
    let place = "/stock/receive";
    person.submit(place, "/stock/receive/add", &[("code", "1001"), ("quantity", "2")]);
    place.to_owned()
}

/// The page of an exception that is open.
fn matter(person: &mut Attack) -> String {
    let page = person.page("/today");
    let at = page.find("/today/look/").expect("something is open");
    page[at..].split('"').next().unwrap_or_default().to_owned()
}

/// As a browser writes a time.
fn in_a_month() -> String {
    let db = rusqlite::Connection::open_in_memory().unwrap();
    let asked = "SELECT strftime('%Y-%m-%dT10:00', 'now', '+30 days')";
    db.query_row(asked, [], |row| row.get(0)).unwrap()
}

fn offered(person: &mut Attack) -> String {
    let place = "/offers?code=1001";
    let to = in_a_month();
    let filled = [("percent", "5"), ("from", ""), ("to", to.as_str())];
    if !person.page(place).contains("action=\"/offers/end\"") {
        let answer = person.submit(place, "/offers/enter", &filled);
        assert_eq!(answer.status, 303, "{}", answer.text());
    }
    place.to_owned()
}

#[test]
fn a_back_office_takes_every_hostile_string_for_text() {
    let chain = Chain::make();
    let file = chain.data(OFFICE).join("selvedge.sqlite");
    let before = Facts::of(&file);
    let mut program = chain.run(OFFICE);
    let mut person = Attack::new(program.wire(), Some((BADGE, PIN)));
    let all = routes::of("appliance/src");
    let names = routes::query_names("appliance/src");
    person.forms_of(&mut |_| "/signon".to_owned());
    person.sign_on();
    let states: [&mut dyn FnMut(&mut Attack) -> String; 7] = [
        &mut |_| "/today".to_owned(),
        &mut matter,
        &mut |_| "/offers".to_owned(),
        &mut offered,
        &mut delivered,
        &mut |_| "/stock/correct?code=1001".to_owned(),
        &mut |_| "/people".to_owned(),
    ];
    for state in states {
        person.forms_of(state);
    }
    delivered(&mut person);
    all_routes(&mut person, &all, &names);
    let walked =
        person.walk(&["/", "/signon", "/today?done=1", "/status.txt", "/offers?code=1001"]);
    assert!(walked > 20, "{walked} pages were looked at");
    person.told();
    drop(program);
    before.hold(&file, &["exception_done", "stock_movement", "store_discount"], &[]);
    crate::told("back office", person.sent);
}
