//! The kiosk, where nobody has a badge

use crate::attack::Attack;
use crate::chain::{Chain, POS};
use crate::facts::Facts;
use crate::routes::{self, KIOSK};

#[test]
fn a_kiosk_takes_every_hostile_string_for_text() {
    let chain = Chain::make();
    let file = chain.data(POS).join("selvedge.sqlite");
    let before = Facts::of(&file);
    let mut program = chain.run(POS);
    let mut person = Attack::new(program.wire(), None);
    let mut all = routes::of("appliance/src");
    all.retain(|route| route.path.starts_with(KIOSK));
    let names = routes::kiosk_names();
    assert!(all.len() > 5 && names.len() > 2, "{all:?} {names:?}");
    for path in all.iter().map(|route| route.filled("1001")) {
        person.forms_of(&mut |_| path.clone());
    }
    for (order, route) in all.iter().enumerate() {
        person.route(route, &names, 11, order);
        let path = route.filled("1001");
        person.send(("POST", &path), &[], Some(b"qx=1"), b"qx");
    }
    person.headers(KIOSK, &["Cookie", "Accept-Language", "Referer"]);
    let walked = person.walk(&[KIOSK, "/kiosk/browse", "/kiosk/find?q=a", "/kiosk/p/1001"]);
    assert!(walked > 5, "{walked} pages were looked at");
    person.told();
    drop(program);
    before.hold(&file, &[], &[]);
    crate::told("kiosk", person.sent);
}
