//! Sends every string into every field that a page offers

use std::collections::BTreeSet;

use lab::forms::{self, Form};

use crate::judge;
use crate::routes::Route;
use crate::strings;
use crate::wire::{Answer, Wire};

/// After so many findings there is nothing more to learn.
const FAULTS_MAX: usize = 25;

/// Bodies that are no form.
const NO_FORMS: [&[u8]; 12] = [
    b"",
    b"=",
    b"&&&&",
    b"%zz=%zz",
    b"code=%",
    b"code=1&code=2&request=1&request=2",
    b"{\"code\":\"qx\"}",
    b"<script>qx()</script>",
    b"\xff\xfe=\xff",
    b"\0\0\0",
    b"code[]=qx&code[a]=qx",
    b"__proto__=qx&constructor.prototype=qx",
];

/// Somebody who means harm, and has a badge.
pub struct Attack {
    pub wire: Wire,
    pub sent: usize,
    /// Where forms were sent.
    pub attacked: BTreeSet<String>,
    strings: Vec<Vec<u8>>,
    seen: BTreeSet<String>,
    faults: Vec<String>,
    /// Badge and PIN, typed again when somebody has signed off.
    badge: Option<(&'static str, &'static str)>,
    forms: usize,
    fields: usize,
}

impl Attack {
    pub fn new(wire: Wire, badge: Option<(&'static str, &'static str)>) -> Attack {
        Attack {
            wire,
            sent: 0,
            attacked: BTreeSet::new(),
            strings: strings::all(),
            seen: BTreeSet::new(),
            faults: Vec::new(),
            badge,
            forms: 0,
            fields: 0,
        }
    }

    /// Sends one string and judges the answer.
    pub fn send(
        &mut self,
        (method, target): (&str, &str),
        more: &[String],
        body: Option<&[u8]>,
        sent: &[u8],
    ) -> Answer {
        let answer = self.wire.send(method, target, more, body);
        self.sent += 1;
        let found = judge::faults(sent, &answer);
        let text: String = String::from_utf8_lossy(sent).chars().take(60).collect();
        let place: String = target.chars().take(160).collect();
        let told = |fault: String| {
            let fault: String = fault.chars().take(300).collect();
            format!("{method} {place} with {text:?}: {fault}")
        };
        self.faults.extend(found.into_iter().map(told));
        if self.faults.len() > FAULTS_MAX {
            self.told();
        }
        answer
    }

    /// Fails with what was found.
    pub fn told(&self) {
        let found = self.faults.join("\n  ");
        assert!(self.faults.is_empty(), "{} findings:\n  {found}\n", self.faults.len());
    }

    /// A page as the person gets it, who signs on again where that is asked for.
    pub fn page(&mut self, path: &str) -> String {
        let answer = self.wire.get(path);
        if answer.header("location") == "/signon" && path != "/signon" {
            self.sign_on();
            return self.page(path);
        }
        assert!(answer.status < 500, "{path}: {}", answer.text());
        answer.text()
    }

    pub fn sign_on(&mut self) {
        let (badge, pin) = self.badge.expect("this program asks for no badge");
        self.wire.headers.clear();
        let answer = self.submit("/signon", "/signon", &[("badge", badge), ("pin", pin)]);
        let cookie = answer.header("set-cookie").split(';').next().unwrap_or_default();
        assert!(!cookie.is_empty(), "nobody is signed on: {}", answer.text());
        self.wire.headers = vec![format!("Cookie: {cookie}")];
    }

    /// Fills the first form of a page that leads to a place, and sends it.
    pub fn submit(&mut self, path: &str, action: &str, filled: &[(&str, &str)]) -> Answer {
        let page = self.page(path);
        let form = forms::forms(&page).into_iter().find(|form| form.action == action);
        let mut form = form.unwrap_or_else(|| panic!("{path} has no form for {action}: {page}"));
        filled.iter().for_each(|(name, value)| form.fill(name, value));
        let fields: Vec<(String, Vec<u8>)> =
            form.fields.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
        self.wire.post(action, &strings::form(&fields))
    }

    /// Attacks each field of each form of the page to which `prepare` leads. A form that was taken has changed what the
    /// page shows, so the page is prepared anew.
    pub fn forms_of(&mut self, prepare: &mut dyn FnMut(&mut Attack) -> String) {
        let path = prepare(self);
        for form in forms::forms(&self.page(&path)) {
            let names = names(&form);
            if !self.seen.insert(format!("{} {names:?}", form.action)) {
                continue;
            }
            self.attacked.insert(form.action.clone());
            for name in &names {
                self.field(&form, name, prepare);
            }
        }
    }

    /// Attacks a form that is drawn only after something has failed, in the shape of another that the page has.
    pub fn form_as(
        &mut self,
        (drawn, action): (&str, &str),
        prepare: &mut dyn FnMut(&mut Attack) -> String,
    ) {
        let path = prepare(self);
        let mut found = forms::forms(&self.page(&path)).into_iter();
        let mut form = found.find(|form| form.action == drawn).expect("the page has that form");
        form.action = action.to_owned();
        self.attacked.insert(action.to_owned());
        for name in names(&form) {
            self.field(&form, &name, prepare);
        }
    }

    fn field(&mut self, form: &Form, name: &str, prepare: &mut dyn FnMut(&mut Attack) -> String) {
        let mut form = form.clone();
        // A PIN is checked slowly on purpose; what makes a form count once is the same code for all forms.
        let is_shared = matches!(name, "csrf" | "request");
        let step = if is_shared || form.action == "/signon" { 5 } else { 2 };
        // What one field is not sent, the next one is.
        self.fields += 1;
        for at in (self.fields % step..self.strings.len()).step_by(step) {
            let text = self.strings[at].clone();
            let fields = self.filled(&form, name, &text);
            let body = strings::form(&fields);
            let parts = if at % 2 == 1 { vec!["X-Fragments: 1".to_owned()] } else { Vec::new() };
            let answer = if form.posts {
                let kind = "Content-Type: application/x-www-form-urlencoded".to_owned();
                let more = [parts, vec![kind]].concat();
                self.send(("POST", &form.action), &more, Some(&body), &text)
            } else {
                let query = String::from_utf8(body).expect("hex is text");
                self.send(("GET", &format!("{}?{query}", form.action)), &parts, None, &text)
            };
            if form.posts && (answer.status == 303 || answer.status == 200) {
                let path = prepare(self);
                let page = self.page(&path);
                let again = forms::forms(&page).into_iter();
                let mut again =
                    again.filter(|found| found.action == form.action && names_hold(found, name));
                form = again.next().unwrap_or(form);
            }
        }
    }

    /// The fields that are sent: one hostile, the others as a person would fill them.
    fn filled(&mut self, form: &Form, hostile: &str, text: &[u8]) -> Vec<(String, Vec<u8>)> {
        self.forms += 1;
        let held = form.fields.iter().chain(&form.unticked).chain(&form.buttons);
        let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
        for (name, value) in held {
            if fields.iter().any(|field| field.0 == *name) {
                continue;
            }
            let value = match name.as_str() {
                _ if name == hostile => text.to_vec(),
                "request" => format!("hostile-{:08}", self.forms).into_bytes(),
                "badge" => format!("B-{}", self.forms).into_bytes(),
                _ if value.is_empty() => usual(name).as_bytes().to_vec(),
                _ => value.as_bytes().to_vec(),
            };
            fields.push((name.clone(), value));
        }
        fields
    }

    /// Attacks a route without a page: its path, its query by each name, and with bodies that are no form.
    pub fn route(&mut self, route: &Route, names: &[String], step: usize, order: usize) {
        let texts = self.strings.clone();
        if route.varies() && route.gets {
            for text in &texts {
                self.send(("GET", &route.filled(&strings::encoded(text))), &[], None, text);
            }
        }
        let path = route.filled("1");
        if route.gets {
            for (at, text) in texts.iter().enumerate() {
                for (no, name) in names.iter().enumerate() {
                    if (at + no + order).is_multiple_of(step) {
                        let value = strings::encoded(text);
                        self.send(("GET", &format!("{path}?{name}={value}")), &[], None, text);
                    }
                }
            }
        }
        if route.posts {
            // Wrong tries without a badge are answered later and later.
            let bodies = if route.path == "/signon" { 3 } else { NO_FORMS.len() };
            for body in &NO_FORMS[..bodies] {
                let kind = "Content-Type: application/x-www-form-urlencoded".to_owned();
                self.send(("POST", &path), &[kind], Some(body), body);
            }
            let long = [b"code=".as_slice(), "qx".repeat(20_000).as_bytes()].concat();
            self.send(("POST", &path), &[], Some(&long), b"qx");
        }
    }

    /// Sends texts in headers, as far as a header can hold them.
    pub fn headers(&mut self, path: &str, names: &[&str]) {
        for text in self.strings.clone() {
            let Ok(text) = String::from_utf8(text) else { continue };
            if text.len() > 4_000 || text.chars().any(char::is_control) {
                continue;
            }
            for name in names {
                let header = format!("{name}: {text}");
                self.send(("GET", path), &[header], None, text.as_bytes());
            }
        }
    }

    /// Follows every link from a place, and looks for any of the strings on the pages.
    pub fn walk(&mut self, from: &[&str]) -> usize {
        let mut open: Vec<String> = from.iter().map(|path| (*path).to_owned()).collect();
        let mut known: BTreeSet<String> = open.iter().cloned().collect();
        let mut walked = 0;
        while let Some(path) = open.pop() {
            let page = self.page(&path);
            walked += 1;
            for text in &self.strings {
                let fault = judge::raw_fault(text, &page);
                self.faults.extend(fault.map(|fault| format!("{path}: {fault}")));
            }
            for link in page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                let is_page = link.starts_with('/') && !link.starts_with("/static");
                if is_page && known.len() < 250 && known.insert(link.to_owned()) {
                    open.push(link.to_owned());
                }
            }
        }
        self.told();
        walked
    }
}

fn names(form: &Form) -> BTreeSet<String> {
    let held = form.fields.iter().chain(&form.unticked).chain(&form.buttons);
    held.map(|field| field.0.clone()).collect()
}

fn names_hold(form: &Form, name: &str) -> bool {
    names(form).contains(name)
}

/// What a person would type into an empty field.
fn usual(name: &str) -> &'static str {
    match name {
        "code" => "1001",
        "percent" => "10",
        "amount" => "1.00",
        "price" => "5.00",
        "card" => crate::chain::CARD,
        "number" => "3",
        "note" => "a remark",
        "to" => "2099-01-01T10:00",
        "from" => "",
        "pin" => "1234",
        _ => "1",
    }
}
