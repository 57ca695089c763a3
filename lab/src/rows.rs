//! Which requirement rows a passed test has shown
//!
//! A row counts when a test that names it ran and passed. So two texts are joined: the test runner's report says what
//! passed, the comment block directly above a test (or the test's name) says which rows it shows. A mention anywhere else
//! counts for nothing.

use crate::sources::{self, Package, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The five source systems and how many rows each has.
const SYSTEMS: [(&str, u32); 5] = [("TS", 40), ("MF", 56), ("IM", 30), ("HB", 45), ("OF", 30)];

/// Rows that have been shown once. Losing one is a failure, so that no row goes missing unseen.
const DONE: &str = "TS-01 TS-17 TS-18 TS-19 TS-20 TS-25 TS-26 TS-27 TS-28 TS-29 TS-40 \
                    IM-01 IM-02 IM-04 IM-05 IM-06 IM-07 IM-08 IM-28";

/// Why there is nothing to say about rows.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The report is not there.
    #[error("no test report at {0}: run `make test` first")]
    NoReport(PathBuf),
    /// The sources cannot be read.
    #[error("the sources below {0} cannot be read: {1}")]
    NoSources(PathBuf, io::Error),
}

/// One test of the sources, and the rows that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Test {
    /// The runner's name of the program that holds the test, such as `lab::brokers`.
    program: String,
    /// Module path of the file inside that program, empty for its first file.
    module: String,
    /// Name of the function.
    name: String,
    /// Rows it names.
    rows: BTreeSet<String>,
}

/// What is known of all rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Rows shown by a passed test, each with its tests.
    pub shown: BTreeMap<String, Vec<String>>,
    /// Rows that only tests name that did not run or did not pass.
    pub named: BTreeMap<String, Vec<String>>,
    /// Names that look like a row and are none, each with its tests.
    pub unknown: BTreeMap<String, Vec<String>>,
}

impl Rows {
    /// Rows without any test.
    pub fn without(&self) -> Vec<String> {
        all()
            .into_iter()
            .filter(|row| !self.shown.contains_key(row) && !self.named.contains_key(row))
            .collect()
    }

    /// Rows that were shown once and are not now.
    pub fn lost(&self) -> Vec<&'static str> {
        DONE.split_whitespace().filter(|row| !self.shown.contains_key(*row)).collect()
    }

    /// True when no row was lost and no test names a row that is none.
    pub fn is_good(&self) -> bool {
        self.lost().is_empty() && self.unknown.is_empty()
    }

    /// The report for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut part = |heading: &str, rows: &BTreeMap<String, Vec<String>>| {
            if !rows.is_empty() {
                let _ = writeln!(text, "{heading}");
            }
            for (row, tests) in rows {
                let _ = writeln!(text, "  {row}  {}", tests.join(", "));
            }
        };
        part("shown by a test that ran and passed", &self.shown);
        part("named only by tests that did not run or did not pass", &self.named);
        part("named by a test, but no row of the requirements", &self.unknown);
        let _ = writeln!(text, "without a test\n  {}", self.without().join(" "));
        if !self.lost().is_empty() {
            let _ = writeln!(text, "shown before and not now\n  {}", self.lost().join(" "));
        }
        let _ = writeln!(
            text,
            "rows: {} of {} shown, {} lost",
            self.shown.len(),
            all().len(),
            self.lost().len()
        );
        text
    }
}

/// Every row id there is.
pub fn all() -> Vec<String> {
    SYSTEMS
        .iter()
        .flat_map(|(system, count)| (1..=*count).map(move |no| format!("{system}-{no:02}")))
        .collect()
}

/// Joins the runner's report with the sources below `root`.
pub fn read(root: &Path, report: &Path) -> Result<Rows, RowsError> {
    let report = fs::read_to_string(report).map_err(|_| RowsError::NoReport(report.into()))?;
    let unreadable = |error| RowsError::NoSources(root.into(), error);
    let files = sources::files(root, &[".rs"]).map_err(unreadable)?;
    let packages = sources::packages(root).map_err(unreadable)?;
    Ok(join(&packages, &files, &report))
}

fn join(packages: &[Package], files: &[Source], report: &str) -> Rows {
    let passed = passed(report);
    let known: BTreeSet<String> = all().into_iter().collect();
    let mut rows = Rows::default();
    for test in files.iter().flat_map(|file| tests_of(packages, file)) {
        let ran = passed.iter().any(|(program, name)| is(&test, program, name));
        for row in &test.rows {
            let kind = match (known.contains(row), ran) {
                (false, _) => &mut rows.unknown,
                (true, true) => &mut rows.shown,
                (true, false) => &mut rows.named,
            };
            kind.entry(row.clone()).or_default().push(format!("{} {}", test.program, test.name));
        }
    }
    let shown = &rows.shown;
    rows.named.retain(|row, _| !shown.contains_key(row));
    rows
}

fn is(test: &Test, program: &str, name: &str) -> bool {
    let (module, last) = name.rsplit_once("::").unwrap_or(("", name));
    test.program == program
        && test.name == last
        && (module == test.module || below(module, &test.module))
}

fn below(module: &str, parent: &str) -> bool {
    parent.is_empty() || module.strip_prefix(parent).is_some_and(|rest| rest.starts_with("::"))
}

/// Program and name of every test that passed, out of a JUnit report.
fn passed(report: &str) -> Vec<(String, String)> {
    report
        .split("<testcase ")
        .skip(1)
        .filter(|case| {
            let case = case.split("</testcase>").next().unwrap_or(case);
            !["<failure", "<error", "<skipped"].iter().any(|bad| case.contains(bad))
        })
        .filter_map(|case| Some((attribute(case, "classname")?, attribute(case, "name")?)))
        .collect()
}

fn attribute(case: &str, name: &str) -> Option<String> {
    let head = case.split('>').next()?;
    let start = format!(" {head}");
    let after = start.split(&format!(" {name}=\"")).nth(1)?;
    Some(after.split('"').next()?.to_string())
}

/// Every test of one file that names a row.
fn tests_of(packages: &[Package], file: &Source) -> Vec<Test> {
    let Some((program, module)) = place(packages, &file.path) else { return Vec::new() };
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    let mut tests = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if *line != "#[test]" && !line.starts_with("#[tokio::test") {
            continue;
        }
        let above = lines[..at]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("//") || line.starts_with("#["));
        let between = lines[at..].iter().take_while(|line| !line.contains("fn "));
        let Some(name) = lines[at..].iter().find_map(|line| function_name(line)) else { continue };
        let mut rows: BTreeSet<String> =
            above.chain(between).flat_map(|line| rows_in(line)).collect();
        rows.extend(row_of_name(name));
        if !rows.is_empty() {
            tests.push(Test {
                program: program.clone(),
                module: module.clone(),
                name: name.into(),
                rows,
            });
        }
    }
    tests
}

fn function_name(line: &str) -> Option<&str> {
    let after = line.split("fn ").nth(1)?;
    after.split(['(', '<']).next().map(str::trim)
}

/// The row that a name begins with. Elsewhere in a name, `of_64` is just English.
fn row_of_name(name: &str) -> Option<String> {
    let start = name.get(..5)?.to_uppercase().replace('_', "-");
    let ends = name[5..].starts_with('_') || name.len() == 5;
    rows_in(&start).pop().filter(|_| ends)
}

/// Everything in a line that looks like a row id.
fn rows_in(line: &str) -> Vec<String> {
    let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let parts: Vec<&str> = words.flat_map(|word| word.split('-')).collect();
    let is_system = |word: &str| SYSTEMS.iter().any(|(system, _)| *system == word);
    let is_number = |word: &str| word.len() == 2 && word.bytes().all(|b| b.is_ascii_digit());
    let pairs = parts.windows(2).filter(|pair| is_system(pair[0]) && is_number(pair[1]));
    pairs.map(|pair| format!("{}-{}", pair[0], pair[1])).collect()
}

/// The runner's name of the program a file belongs to, and the file's module path in it.
fn place(packages: &[Package], path: &str) -> Option<(String, String)> {
    let owns = |package: &&Package| {
        path.strip_prefix(&package.folder).is_some_and(|rest| rest.starts_with('/'))
    };
    let package = packages.iter().filter(owns).max_by_key(|package| package.folder.len())?;
    let inside = path[package.folder.len() + 1..].strip_suffix(".rs")?;
    let (kind, rest) = inside.split_once('/')?;
    let name = &package.name;
    match (kind, rest) {
        ("src", "main") => Some((format!("{name}::bin/{name}"), String::new())),
        ("src", "lib") => Some((name.clone(), String::new())),
        ("src", module) => Some((name.clone(), module.replace('/', "::"))),
        ("tests", file) => {
            let (suite, module) = file.split_once('/').unwrap_or((file, "main"));
            let module = if module == "main" { "" } else { module };
            Some((format!("{name}::{suite}"), module.replace('/', "::")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<testsuites><testsuite name="lab::brokers">
        <testcase name="a_sale_reaches_hq" classname="lab::brokers" time="0.1"/>
        <testcase name="cables::a_cut_heals" classname="lab::brokers" time="0.1">
            <failure message="no"/></testcase>
        <testcase name="sales::tests::a_number_has_no_gap" classname="selvedge-domain" time="0.1"></testcase>
    </testsuite></testsuites>"#;

    fn packages() -> Vec<Package> {
        [("lab", "lab"), ("appliance", "appliance"), ("appliance/domain", "selvedge-domain")]
            .iter()
            .filter_map(|(folder, name)| {
                Package::parse(folder, &format!("[package]\nname = \"{name}\"\n"))
            })
            .collect()
    }

    fn rows_of(path: &str, text: &str) -> Rows {
        join(&packages(), &[Source::new(path, text)], REPORT)
    }

    #[test]
    fn there_are_201_rows() {
        assert_eq!(all().len(), 201);
        assert_eq!(all()[0], "TS-01");
        assert_eq!(all()[200], "OF-30");
    }

    #[test]
    fn a_row_counts_when_its_test_passed() {
        let rows = rows_of(
            "lab/tests/brokers.rs",
            "// Proves TS-25, IM-04.\n#[test]\nfn a_sale_reaches_hq() {}\n",
        );
        assert_eq!(rows.shown.keys().collect::<Vec<_>>(), ["IM-04", "TS-25"]);
        assert!(rows.named.is_empty());
    }

    #[test]
    fn a_row_of_a_failed_test_does_not_count() {
        let text = "// Proves TS-26.\n#[tokio::test]\nasync fn a_cut_heals() {}\n";
        let rows = rows_of("lab/tests/brokers/cables.rs", text);
        assert_eq!(rows.named.keys().collect::<Vec<_>>(), ["TS-26"]);
        assert!(rows.shown.is_empty());
        assert!(rows.lost().contains(&"TS-26"));
    }

    #[test]
    fn a_row_of_a_test_that_did_not_run_does_not_count() {
        let rows = rows_of("lab/tests/brokers.rs", "// TS-26\n#[test]\nfn never_called() {}\n");
        assert!(rows.shown.is_empty());
    }

    #[test]
    fn the_same_name_in_another_file_is_another_test() {
        let rows = rows_of(
            "appliance/domain/src/stock.rs",
            "// TS-18\n#[test]\nfn a_number_has_no_gap() {}\n",
        );
        assert!(rows.shown.is_empty());
        let rows = rows_of(
            "appliance/domain/src/sales.rs",
            "// TS-18\n#[test]\nfn a_number_has_no_gap() {}\n",
        );
        assert!(rows.shown.contains_key("TS-18"));
    }

    #[test]
    fn a_mention_elsewhere_counts_for_nothing() {
        let text = "//! TS-25 matters\n\n// Also TS-26.\n\n#[test]\nfn a_sale_reaches_hq() { /* TS-27 */ }\n";
        assert_eq!(rows_of("lab/tests/brokers.rs", text), Rows::default());
    }

    #[test]
    fn a_name_may_begin_with_its_row() {
        assert_eq!(row_of_name("ts_18_a_receipt_has_no_gap").as_deref(), Some("TS-18"));
        assert_eq!(row_of_name("ts_18").as_deref(), Some("TS-18"));
        assert_eq!(row_of_name("ts_180_is_none"), None);
        assert_eq!(row_of_name("a_line_of_64_mib_is_passed_over"), None);
        assert_eq!(rows_in("// Proves TS-18, IM-02; not UTF-16 or TS-180."), ["TS-18", "IM-02"]);
    }

    #[test]
    fn a_row_that_does_not_exist_is_found() {
        let rows =
            rows_of("lab/tests/brokers.rs", "// TS-77\n#[test]\nfn a_sale_reaches_hq() {}\n");
        assert!(rows.unknown.contains_key("TS-77"));
        assert!(!rows.is_good());
    }

    #[test]
    fn a_missing_report_says_what_to_do() {
        let error = read(Path::new("."), Path::new("nowhere.xml")).unwrap_err();
        assert_eq!(error.to_string(), "no test report at nowhere.xml: run `make test` first");
    }
}
