//! Words that a package must not know, and words nobody writes

use crate::code;
use lab::sources::Source;

/// sync-knows-no-trade: what a store sells is unknown to the engine, in its comments and tests too.
const TRADE: [&str; 28] = [
    "basket",
    "cart",
    "cashier",
    "catalogue",
    "checkout",
    "coupon",
    "customer",
    "discount",
    "drawer",
    "employee",
    "gtin",
    "invoice",
    "kiosk",
    "merchandise",
    "money",
    "price",
    "product",
    "receipt",
    "refund",
    "retail",
    "sale",
    "shelf",
    "sku",
    "stock",
    "tax",
    "tender",
    "till",
    "voucher",
];

/// domain-knows-no-changelog: to the domain, `row_id()` is just a function of SQL.
const CHANGELOG: [&str; 8] =
    ["changelog", "frame", "hlc", "origin", "replica", "seal", "seq", "stream"];

/// domain-knows-no-screen: a deed returns what a screen will say, and knows none.
const SCREEN: [&str; 7] = ["askama", "axum", "browser", "css", "html", "http", "printer"];

/// core-reads-no-clock and core-throws-no-dice: calls that read either, in Rust and in SQL.
const CLOCK_AND_DICE: [&str; 12] = [
    "SystemTime::now",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "thread::sleep",
    "'now'",
    "unixepoch(",
    "CURRENT_TIME",
    "CURRENT_DATE",
    "randomblob(",
    "random()",
    "from_entropy",
];

/// core-opens-no-socket: what waits for others or speaks to them.
const SOCKET: [&str; 4] = ["async fn", "async move", "std::net", "UnixStream"];

/// Words that stand for unfinished work or switch a check off.
const UNFINISHED: [&str; 6] =
    ["todo!", "unimplemented!", "dbg!", "#[ignore", "#[allow(", "#![allow("];

/// queue-is-the-changelog: a second queue inside the broker.
const SECOND_QUEUE: [&str; 1] = ["set_clean_session(false)"];

/// The only files that may hold `unsafe`: SQLite's hook, its file layers and its memory are calls into C.
const UNSAFE_FILES: [&str; 4] = [
    "sync/src/preupdate.rs",
    "sync/src/page_check.rs",
    "sync/simulator/src/disk.rs",
    "sync/simulator/src/memory.rs",
];

/// The words of a text in lower case, names taken apart at their capitals and underscores.
fn lower_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in line.chars() {
        let starts_new = !c.is_alphabetic() || (c.is_uppercase() && before.is_lowercase());
        if starts_new {
            words.push(String::new());
        }
        if c.is_alphabetic() {
            words.last_mut().expect("there is always a last word").extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

fn word_faults(file: &Source, forbidden: &[&str]) -> Vec<String> {
    let is_bad = |word: &String| {
        let single = word.strip_suffix('s').unwrap_or(word);
        forbidden.iter().any(|bad| bad == word || *bad == single)
    };
    let lines = file.text.lines().zip(1..);
    let found = lines.flat_map(|(line, no)| {
        lower_words(line).into_iter().filter(is_bad).map(move |word| (no, word))
    });
    found.map(|(no, word)| format!("{}:{no}: the word `{word}`", file.path)).collect()
}

fn text_faults(path: &str, text: &str, forbidden: &[&str]) -> Vec<String> {
    let lines = text.lines().zip(1..);
    lines
        .flat_map(|(line, no)| {
            forbidden.iter().filter(|bad| line.contains(**bad)).map(move |bad| (no, *bad))
        })
        .map(|(no, bad)| format!("{path}:{no}: `{bad}`"))
        .collect()
}

/// Like `text_faults`, but comments do not count: the SQL inside quotes does.
fn code_faults(file: &Source, forbidden: &[&str]) -> Vec<String> {
    let no_comment =
        |line: &str| !line.trim_start().starts_with("//") && !line.trim_start().starts_with("--");
    let text: String = file
        .text
        .lines()
        .map(|line| if no_comment(line) { line } else { "" }.to_string() + "\n")
        .collect();
    text_faults(&file.path, &text, forbidden)
}

fn unsafe_faults(file: &Source) -> Vec<String> {
    if UNSAFE_FILES.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let bare = code::bare(&file.text);
    let places = code::word_places(&bare, "unsafe").into_iter();
    places.map(|at| format!("{}:{}: unsafe", file.path, code::line_of(&bare, at))).collect()
}

fn unfinished_faults(file: &Source) -> Vec<String> {
    let bare = code::bare(&file.text);
    if UNSAFE_FILES.contains(&file.path.as_str()) {
        return text_faults(&file.path, &bare.replace("allow(unsafe_code)", ""), &UNFINISHED[..4]);
    }
    text_faults(&file.path, &bare, &UNFINISHED)
}

fn below(folder: &str) -> Vec<Source> {
    let mut files = crate::rust();
    files.extend(crate::sql());
    files.retain(|file| file.path.starts_with(folder));
    files
}

fn core() -> Vec<Source> {
    ["sync/src/", "sync/simulator/src/", "appliance/domain/"]
        .iter()
        .flat_map(|folder| below(folder))
        .collect()
}

#[test]
fn sync_knows_no_trade() {
    crate::none(below("sync/src/").iter().flat_map(|file| word_faults(file, &TRADE)).collect());
}

#[test]
fn domain_knows_no_changelog() {
    crate::none(
        below("appliance/domain/src/")
            .iter()
            .flat_map(|file| word_faults(file, &CHANGELOG))
            .collect(),
    );
}

#[test]
fn domain_knows_no_screen() {
    crate::none(
        below("appliance/domain/src/").iter().flat_map(|file| word_faults(file, &SCREEN)).collect(),
    );
}

#[test]
fn core_reads_no_clock_and_throws_no_dice() {
    crate::none(core().iter().flat_map(|file| code_faults(file, &CLOCK_AND_DICE)).collect());
}

#[test]
fn core_opens_no_socket() {
    crate::none(core().iter().flat_map(|file| code_faults(file, &SOCKET)).collect());
}

#[test]
fn unsafe_stays_where_it_is_listed() {
    crate::none(crate::rust().iter().flat_map(unsafe_faults).collect());
}

#[test]
fn nothing_is_unfinished_or_switched_off() {
    crate::none(crate::rust().iter().flat_map(unfinished_faults).collect());
}

#[test]
fn the_queue_is_the_changelog() {
    crate::none(
        below("")
            .iter()
            .flat_map(|file| text_faults(&file.path, &code::bare(&file.text), &SECOND_QUEUE))
            .collect(),
    );
}

#[test]
fn a_word_of_the_trade_in_sync_is_caught() {
    let faults = |text: &str| word_faults(&Source::new("sync/src/a.rs", text), &TRADE).len();
    assert_eq!(faults("let origin = store; // a stocktake, untilled, pricey\n"), 0);
    assert_eq!(faults("// the receipts of a store\n"), 1);
    assert_eq!(faults("let unit_price = ReceiptLine::new(SKU);\n"), 3);
}

#[test]
fn a_word_of_the_changelog_or_of_screens_in_the_domain_is_caught() {
    let faults = |text: &str, list: &[&str]| word_faults(&Source::new("a.rs", text), list).len();
    assert_eq!(faults("/// The original row.\nlet id = row_id();\n", &CHANGELOG), 0);
    assert_eq!(faults("let seq = frame.origin;\n", &CHANGELOG), 3);
    assert_eq!(faults("let page = Html(\"http\");\n", &SCREEN), 2);
}

#[test]
fn a_clock_or_dice_in_the_core_is_caught() {
    let faults = |text: &str| code_faults(&Source::new("a.rs", text), &CLOCK_AND_DICE).len();
    assert_eq!(faults("// SystemTime::now is read by others\nlet now = at;\n"), 0);
    assert_eq!(faults("let now = SystemTime::now();\n"), 1);
    assert_eq!(faults("db.execute(\"INSERT INTO a VALUES (datetime('now'), random())\", [])\n"), 2);
    let faults = |text: &str| code_faults(&Source::new("a.rs", text), &SOCKET).len();
    assert_eq!(faults("async fn f() { std::net::connect() }\n"), 2);
}

#[test]
fn unsafe_elsewhere_is_caught() {
    let text =
        "// unsafe in a comment\nlet a = \"unsafe\";\nunsafe { f() }\n#![deny(unsafe_code)]\n";
    assert_eq!(
        unsafe_faults(&Source::new("appliance/src/a.rs", text)),
        ["appliance/src/a.rs:3: unsafe"]
    );
    assert!(unsafe_faults(&Source::new("sync/src/preupdate.rs", text)).is_empty());
}

#[test]
fn unfinished_work_and_silenced_lints_are_caught() {
    let faults = |path: &str, text: &str| unfinished_faults(&Source::new(path, text)).len();
    assert_eq!(faults("a.rs", "#[ignore]\n#[test]\nfn f() { todo!() }\n"), 2);
    assert_eq!(faults("a.rs", "#[allow(dead_code)]\nfn f() {}\n"), 1);
    assert_eq!(faults("sync/src/preupdate.rs", "#![allow(unsafe_code)]\nfn f() { todo!() }\n"), 1);
    assert_eq!(faults("a.rs", "// a todo!() in a comment\nfn f() {}\n"), 0);
}

#[test]
fn a_second_queue_is_caught() {
    assert_eq!(text_faults("a.rs", "options.set_clean_session(false);\n", &SECOND_QUEUE).len(), 1);
}
