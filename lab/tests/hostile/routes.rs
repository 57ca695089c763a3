//! Every route of a program, read from its source

use std::path::Path;

use lab::sources;

/// Below which address the kiosk stands.
pub const KIOSK: &str = "/kiosk";

/// An address as the router has it, and whether it takes a form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    pub path: String,
    pub posts: bool,
    pub gets: bool,
}

impl Route {
    /// The address with a text in place of each part that varies.
    pub fn filled(&self, with: &str) -> String {
        let parts = self.path.split('/');
        let filled: Vec<&str> =
            parts.map(|part| if part.starts_with('{') { with } else { part }).collect();
        filled.join("/")
    }

    pub fn varies(&self) -> bool {
        self.path.contains('{')
    }
}

/// The routes in the sources of a package. A route that cannot be read here is a finding.
pub fn of(folder: &str) -> Vec<Route> {
    let texts = texts(folder);
    let mut found = Vec::new();
    for (file, text) in &texts {
        for call in text.split(".route(").skip(1) {
            let (name, handlers) = call.split_once(',').expect("a route has a handler");
            let name = name.trim();
            let path = match name.strip_prefix('"') {
                Some(path) => path.trim_end_matches('"').to_owned(),
                None => constant(&texts, name)
                    .unwrap_or_else(|| panic!("{file}: which path is the route {name}?")),
            };
            // The kiosk's router stands below the others.
            let below = if file.ends_with("kiosk.rs") { KIOSK } else { "" };
            let path = format!("{below}{path}");
            let handlers = handlers.split(".route(").next().unwrap_or_default();
            let handlers = &handlers[..end_of_call(handlers)];
            let (posts, gets) = (handlers.contains("post("), handlers.contains("get("));
            assert!(posts || gets || handlers.contains("any("), "{file}: {path}: {handlers}");
            found.push(Route { path, posts, gets });
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The names that handlers read from a query: the fields of what stands in `Query<..>`.
pub fn query_names(folder: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (file, text) in texts(folder) {
        for asked in text.split("Query<").skip(1) {
            let kind = asked.split('>').next().unwrap_or_default();
            let Some(body) = text.split(&format!("struct {kind} {{")).nth(1) else {
                assert!(kind.starts_with("Vec<"), "{file}: what is in Query<{kind}>?");
                continue;
            };
            let fields = body.split('}').next().unwrap_or_default().lines();
            let fields = fields.filter(|line| !line.trim_start().starts_with("//"));
            let name = |line: &str| Some(line.split_once(':')?.0.trim().replace("pub ", ""));
            names.extend(fields.filter_map(name));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// The names that the kiosk asks its addresses for.
pub fn kiosk_names() -> Vec<String> {
    let files = texts("appliance/src/kiosk");
    let asked = files.iter().flat_map(|file| file.1.split(".get(\"").skip(1));
    let mut names: Vec<String> =
        asked.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

fn texts(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("lab lies in a workspace");
    let files = sources::files(&root.join(folder), &[".rs"]).expect("the sources can be read");
    let files = files.into_iter().filter(|file| !file.path.starts_with("tests/"));
    files.map(|file| (file.path, file.text)).collect()
}

fn constant(texts: &[(String, String)], name: &str) -> Option<String> {
    let name = name.rsplit("::").next().unwrap_or(name);
    let begins = format!("const {name}: &str = \"");
    let found = texts.iter().find_map(|(_, text)| text.split(&begins).nth(1))?;
    Some(found.split('"').next()?.to_owned())
}

/// Where the call ends whose opening bracket stands before this text.
fn end_of_call(text: &str) -> usize {
    let mut depth = 1;
    for (at, sign) in text.char_indices() {
        match sign {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}
