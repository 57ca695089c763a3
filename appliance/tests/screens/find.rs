//! Finding goods by their names, with and without the script

use std::time::{Duration, Instant};

use crate::counter::{Answer, Counter, Store};
use crate::headquarters::{RANGE, gtin};
use crate::window::Window;

fn open() -> (Store, Counter) {
    let store = Store::new();
    let counter = store.start();
    counter.sign_on("9520001", "1111");
    let end = Instant::now() + Duration::from_secs(30);
    while !counter.get("/checkout/find?q=merino").page.contains("Merino crew, moss</b>") {
        assert!(Instant::now() < end, "the list did not come into the index");
    }
    (store, counter)
}

/// What stands where the tags of the favourites stand otherwise.
fn found(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200, "{}", answer.page);
    let begins = answer.page.find("id=\"found\"").unwrap();
    let rest = &answer.page[begins..];
    &rest[..rest.find("</section>").unwrap()]
}

// Proves TS-11.
#[test]
fn a_name_is_found_and_rung_up_without_a_script() {
    let (_store, counter) = open();
    let typed = counter.scan("boot sö");
    assert_eq!((typed.status, typed.place.as_str()), (303, "/checkout/find?q=boot%20s%C3%B6"));
    let answer = counter.get(&typed.place);
    let tags = found(&answer);
    assert!(tags.contains("Boot socks, wool blend") && tags.contains("€11.90"), "{tags}");
    assert!(tags.contains("42") && tags.contains("sold out"), "{tags}");
    assert!(!tags.contains("Boot laces"), "every word counts: {tags}");
    assert!(answer.page.contains("value=\"boot sö\""), "what was typed stays");
    let page = &answer.page[answer.page.find("id=\"found\"").unwrap()..];
    let added = counter.submit(page, "/checkout/add", &[("code", "1002")]);
    assert_eq!(added.place, "/checkout");
    assert!(counter.get("/checkout").page.contains("Boot socks, wool blend"));
}

// Proves TS-11.
#[test]
fn a_product_opens_its_sizes_with_what_is_here() {
    let (_store, counter) = open();
    let answer = counter.get("/checkout/find?q=cord");
    let tags = found(&answer);
    assert!(tags.contains("2 sizes · olive") && tags.contains("from €89.00"), "{tags}");
    let open = format!("/checkout/find?q=cord&product={}", RANGE.0);
    assert!(tags.contains(&open.replace('&', "&#38;")), "{tags}");
    let answer = counter.get(&open);
    let sizes = found(&answer);
    assert!(
        sizes.contains("W31/L34 · olive") && sizes.contains("€99.00"),
        "sizes are free text: {sizes}"
    );
    assert!(sizes.contains("Other stores: ask us."), "{sizes}");
    assert!(sizes.contains("href=\"/checkout/find?q=cord\""), "and back: {sizes}");
}

// Proves TS-11.
#[test]
fn a_whole_code_rings_up_at_once_and_an_unknown_one_is_looked_for() {
    let (_store, counter) = open();
    assert_eq!(counter.scan(&gtin(1001)).place, "/checkout");
    assert_eq!(counter.scan("1001").place, "/checkout");
    let unknown = counter.scan("9520000000004");
    assert_eq!(unknown.status, 422);
    let sentence = "Not in this store&#39;s list: 9520000000004.";
    assert!(unknown.page.contains(sentence), "{}", unknown.page);
    assert!(unknown.page.contains("Nothing here begins with &#34;9520000000004&#34;"));
    assert!(unknown.page.contains("value=\"9520000000004\""), "the code is in the field");
    let part = counter.get("/checkout/find?q=95200410073");
    assert_eq!(found(&part).matches("name=\"code\"").count(), 5, "digits of a GTIN: {}", part.page);
}

#[test]
fn the_script_is_given_what_was_found_and_nothing_else() {
    let (_store, counter) = open();
    let parts = counter.get_parts("/checkout/find?q=merino");
    assert!(parts.starts_with("<section id=\"found\"") && parts.contains("Merino"), "{parts}");
    assert!(!parts.contains("id=\"roll\""), "{parts}");
    let nothing = counter.get_parts("/checkout/find?q=");
    assert!(nothing.contains("hidden") && !nothing.contains("class=\"tag\""), "{nothing}");
    let act = counter.get_parts("/checkout");
    assert!(
        act.contains("<section id=\"found\"") && act.contains("id=\"roll\""),
        "an act closes it"
    );
}

#[test]
fn what_is_looked_for_is_never_markup_nor_a_question_of_its_own() {
    let (_store, counter) = open();
    for text in ["<script>alert(1)</script>", "\"><b>", "' OR 1=1 --", "\u{0}\u{7}", "a*b^c:d"] {
        let place = counter.scan(&format!("x{text}")).place;
        assert!(place.starts_with("/checkout/find?q=x"), "{place}");
        let answer = counter.get(&place);
        assert_eq!(answer.status, 200, "{text:?}");
        let typed = format!("x{text}");
        assert!(!answer.page.contains(&typed) || !text.contains('<'), "{text:?}: {}", answer.page);
    }
    let long = format!("/checkout/find?q={}", "merino+".repeat(1_000));
    assert_eq!(counter.get(&long).status, 200);
    assert_eq!(counter.get("/checkout/find?q=cord&product=abc").status, 200);
    assert_eq!(counter.get("/checkout/find?q=cord&product=99999999").status, 200);
}

#[test]
fn results_come_while_somebody_types() {
    let (_store, counter) = open();
    let Some(window) = Window::open() else { return };
    window.load(&format!("{}/signon", counter.address));
    window.run(
        "document.querySelector('input[name=badge]').value = '9520001';
         document.getElementById('pin').value = '1111';
         document.querySelector('.signon .go').click()",
    );
    window.wait("location.pathname === '/checkout'");
    let typed = |text: &str| {
        window.run(&format!(
            "const field = document.getElementById('code'); field.focus(); field.value = '{text}';
             field.dispatchEvent(new Event('input', {{ bubbles: true }}))"
        ));
    };
    typed("m");
    typed("cor");
    window.wait("document.querySelector('#found .tag b')?.innerText === 'Cord trousers'");
    assert!(window.findings().is_empty(), "found:\n{}", window.findings().join("\n"));
    assert_eq!(window.run("return document.activeElement.id"), "code", "typing goes on");
    window.run("document.querySelector('#found .tag').click()");
    window.wait("document.querySelectorAll('#found form .tag').length === 2");
    assert!(window.findings().is_empty(), "sizes:\n{}", window.findings().join("\n"));
    assert_eq!(window.run("return location.pathname"), "/checkout", "it is the same page still");
    window.run("document.querySelector('#found form .tag').click()");
    window.wait("document.querySelector('.last b')?.innerText === 'Cord trousers'");
    window.wait("document.getElementById('found').hidden");
    window.scan(&gtin(1002));
    window.wait("document.querySelector('.last b').innerText === 'Boot socks, wool blend'");
    typed("cor");
    window.scan("9520000000004");
    window.wait("document.getElementById('said').innerText.startsWith('Not in this store')");
    window.wait("document.querySelector('#found h2').innerText.startsWith('Nothing here')");
    typed("");
    window.wait("document.getElementById('found').hidden");
}
