//! What the documents say, compared with the code
//!
//! A document that nobody compares with the code is wrong after a month. So every setting, command, replicated table and
//! message must be named, every link and path must lead somewhere, and the list of rooms is written by this test:
//! `UPDATE_EXPECT=1 cargo test -p lab --test documents`.

use lab::sources::{self, Package, Source};
use std::fmt::Write as _;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("lab lies in the workspace's folder")
}

fn files(endings: &[&str]) -> Vec<Source> {
    sources::files(root(), endings).expect("the tree can be read")
}

fn document(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("the document can be read")
}

fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "{} findings:\n  {}\n", findings.len(), findings.join("\n  "));
}

/// Names that a text does not hold between backticks.
fn unnamed(text: &str, names: impl IntoIterator<Item = String>) -> Vec<String> {
    let is_named =
        |name: &String| text.contains(&format!("`{name}`")) || text.contains(&format!("`{name} "));
    names.into_iter().filter(|name| !is_named(name)).collect()
}

/// The targets of every link in a page of Markdown.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .map(|target| target.split('#').next().unwrap_or("").to_string())
        .filter(|t| !t.is_empty())
        .collect()
}

/// Everything between backticks that looks like a path below a folder of the tree.
fn paths(text: &str) -> Vec<String> {
    let folders = [
        "appliance/",
        "hq-bridge/",
        "image/",
        "lab/",
        "sync/",
        "systemd/",
        "docs/",
        ".ci/",
        ".cargo/",
        ".config/",
    ];
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter(|path| folders.iter().any(|folder| path.starts_with(folder)))
        .filter(|path| {
            path.chars().all(is_plain) && !["NNNN", "NOUN"].iter().any(|blank| path.contains(blank))
        })
        .map(String::from)
        .collect()
}

fn dead_ends(page: &Source, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let outside = |target: &String| target.starts_with("http");
    let links = links(&page.text).into_iter().filter(|target| !outside(target));
    let links =
        links.map(|target| if folder.is_empty() { target } else { format!("{folder}/{target}") });
    let paths = paths(&page.text).into_iter();
    let dead = links.chain(paths).filter(|target| !exists(target));
    dead.map(|target| format!("{}: {target} does not exist", page.path)).collect()
}

/// The subcommands of a program: variants of its enums that derive `Subcommand`, as they are typed. Programs start each
/// other with hidden ones; these are for nobody to type.
fn subcommands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for after in text.split("Subcommand").skip(1) {
        let Some((between, body)) = after.split_once('{') else { continue };
        if !between.contains("enum ") {
            continue;
        }
        let mut depth = 1;
        let mut hidden = false;
        for line in body.lines() {
            hidden |= line.contains("hide = true");
            let variant: String = line.trim().chars().take_while(|c| c.is_alphanumeric()).collect();
            if depth == 1 && variant.starts_with(char::is_uppercase) && !std::mem::take(&mut hidden)
            {
                found.push(kebab(&variant));
            }
            depth += line.matches('{').count() as i32 - line.matches('}').count() as i32;
            if depth <= 0 {
                break;
            }
        }
    }
    found
}

fn kebab(name: &str) -> String {
    let mut typed = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !typed.is_empty() {
            typed.push('-');
        }
        typed.extend(c.to_lowercase());
    }
    typed
}

/// The list of rooms: each package, its files in the order of its floors, each with its caption.
fn rooms(packages: &[Package], files: &[Source]) -> String {
    let mut page = String::from(
        "# Rooms\n\nEvery file with its caption, each package from the ground up: a file imports only from files above it. \
         This page is written by `lab/tests/documents.rs`.\n",
    );
    for package in packages {
        let folder = format!("{}/src/", package.folder);
        let description = package
            .manifest
            .split("description = \"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let _ = writeln!(page, "\n## {}\n\n{}.\n", package.name, description.unwrap_or(""));
        let _ = writeln!(page, "| `{folder}` | says |\n| --- | --- |");
        let lib = files.iter().find(|file| file.path == format!("{folder}lib.rs"));
        let floors: Vec<&str> =
            lib.map(|lib| lib.text.lines().filter_map(module).collect()).unwrap_or_default();
        let mut own: Vec<(usize, &str, &Source)> = files
            .iter()
            .filter_map(|file| Some((file.path.strip_prefix(&folder)?, file)))
            .filter(|(path, _)| *path != "lib.rs")
            .map(|(path, file)| (height(&floors, path), path, file))
            .collect();
        own.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        for (_, path, file) in own {
            let caption = file.text.lines().next().unwrap_or("").trim_start_matches("//! ");
            let _ = writeln!(page, "| `{path}` | {} |", caption.trim_end_matches('.'));
        }
    }
    page
}

fn module(line: &str) -> Option<&str> {
    line.strip_prefix("pub mod ")?.strip_suffix(';')
}

fn height(floors: &[&str], path: &str) -> usize {
    let first = path.split(['/', '.']).next().unwrap_or("");
    floors.iter().position(|floor| *floor == first).unwrap_or(floors.len())
}

/// The table of the appliance's settings as the manual shows it.
fn appliance_settings() -> String {
    let mut table = String::from("| key | default | meaning |\n| --- | --- | --- |\n");
    for setting in appliance::settings::SETTINGS {
        let default =
            if setting.default.is_empty() { "none, must be set" } else { setting.default };
        let _ = writeln!(table, "| `{}` | {default} | {} |", setting.name, setting.meaning);
    }
    table
}

#[test]
fn every_setting_stands_in_the_manual() {
    let manual = document("docs/operations.md");
    let table = appliance_settings();
    assert!(manual.contains(&table), "docs/operations.md must hold this table:\n\n{table}");
    let keys = hq_bridge::config::EXAMPLE.lines().filter_map(|line| line.split_once(" = "));
    let keys = keys.map(|(key, _)| key.to_string()).filter(|key| !key.starts_with('#'));
    none(unnamed(&manual, keys));
}

#[test]
fn every_command_stands_in_the_manual() {
    let manual = document("docs/operations.md") + &document("docs/lab.md");
    let mut missing = Vec::new();
    for package in sources::packages(root()).expect("the manifests can be read") {
        let folder = format!("{}/src/", package.folder);
        let own = files(&[".rs"]).into_iter().filter(|file| file.path.starts_with(&folder));
        for command in own.flat_map(|file| subcommands(&file.text)) {
            let is_named = |code: &str| {
                let mut words = code.split_whitespace();
                words.next() == Some(package.name.as_str()) && words.any(|word| word == command)
            };
            if !manual.split('`').skip(1).step_by(2).any(is_named) {
                missing.push(format!("{} {command}", package.name));
            }
        }
    }
    none(missing);
}

#[test]
fn every_replicated_table_and_message_stands_in_the_protocol() {
    let protocol = document("docs/protocol.md");
    let declared = files(&[".sql", ".rs"]).into_iter();
    let shipped = |file: &Source| {
        file.path.starts_with("appliance/domain/migrations/") || file.path.starts_with("sync/src/")
    };
    let tables = sources::replicated_tables(&declared.filter(shipped).collect::<Vec<_>>());
    none(unnamed(&protocol, tables));
    none(unnamed(&protocol, ["live", "bulk", "ack", "need"].map(String::from)));
}

#[test]
fn every_link_and_path_leads_somewhere() {
    let exists = |target: &str| root().join(target).exists();
    none(files(&[".md"]).iter().flat_map(|page| dead_ends(page, exists)).collect());
}

#[test]
fn every_target_that_a_document_names_is_in_the_makefile() {
    let makefile = document("Makefile");
    let mut missing = Vec::new();
    for page in files(&[".md"]) {
        for quoted in
            page.text.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("make "))
        {
            let target = quoted.split_whitespace().next().unwrap_or("");
            if !makefile.contains(&format!("\n{target}:")) {
                missing.push(format!("{}: make {target}", page.path));
            }
        }
    }
    none(missing);
}

#[test]
fn the_list_of_rooms_is_the_tree() {
    let packages = sources::packages(root()).expect("the manifests can be read");
    let page = rooms(&packages, &files(&[".rs"]));
    expect_test::expect_file!["../../docs/rooms.md"].assert_eq(&page);
}

#[test]
fn a_setting_that_is_not_named_is_caught() {
    let names = ["listen", "beat_s"].map(String::from);
    assert_eq!(unnamed("| `listen` | where |", names), ["beat_s"]);
}

#[test]
fn commands_are_read_as_they_are_typed() {
    let text = "#[derive(Debug, Subcommand)]\nenum Command {\n    /// Runs.\n    Run { config: PathBuf },\n    OpeningStock {\n        File: u8,\n    },\n    #[command(hide = true)]\n    Broker,\n    Totals,\n}\n";
    assert_eq!(subcommands(text), ["run", "opening-stock", "totals"]);
}

#[test]
fn a_dead_end_is_caught() {
    let page = Source::new(
        "docs/a.md",
        "[b](b.md#part) [c](c.md) [out](https://a.example) `sync/src/gone.rs` `sync/`",
    );
    let dead = dead_ends(&page, |target| ["docs/b.md", "sync/"].contains(&target));
    assert_eq!(
        dead,
        ["docs/a.md: docs/c.md does not exist", "docs/a.md: sync/src/gone.rs does not exist"]
    );
}

#[test]
fn rooms_stand_in_the_order_of_their_floors() {
    let package = Package::parse("a", "[package]\nname = \"a\"\ndescription = \"A sample\"\n")
        .expect("a package");
    let files = [
        Source::new("a/src/lib.rs", "//! A\npub mod low;\npub mod high;\n"),
        Source::new("a/src/high.rs", "//! The high one.\n"),
        Source::new("a/src/high/child.rs", "//! Its child\n"),
        Source::new("a/src/low.rs", "//! The low one\n"),
        Source::new("a/src/main.rs", "//! The whole\n"),
    ];
    let page = rooms(&[package], &files);
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).skip(1).collect();
    assert_eq!(
        rows,
        [
            "| `low.rs` | The low one |",
            "| `high.rs` | The high one |",
            "| `high/child.rs` | Its child |",
            "| `main.rs` | The whole |"
        ]
    );
}
