//! Measures every screen: sizes, contrast, overflow, names
//!
//! The page is measured where people see it, in a headless Chromium, by a script of our own and by axe-core where its
//! file is there (`make setup` brings it).

use crate::browser::Fault;
use crate::screens::{self, Visit};
use serde::Deserialize;
use serde_json::json;
use std::path::PathBuf;

/// A control on a staff screen, in millimetres.
const STAFF_MM: f64 = 15.0;
/// A control on a kiosk, in millimetres.
const KIOSK_MM: f64 = 20.0;
/// What the first load of a page may weigh, in bytes.
const LOAD_BYTES_MAX: u64 = 120_000;
const RULES: &str = include_str!("page_rules.js");

/// What the script says of a page.
#[derive(Deserialize)]
struct Report {
    faults: Vec<String>,
    loaded: u64,
    /// None without axe-core.
    violations: Option<Vec<String>>,
}

/// What the walk came to.
#[derive(Debug, Default)]
pub struct Walk {
    /// Screens that were measured, panels and looks counted.
    pub screens: usize,
    /// What is wrong, each with its screen.
    pub faults: Vec<String>,
    /// The heaviest page in bytes.
    pub heaviest_bytes: u64,
    /// Whether axe-core has looked too.
    pub with_axe: bool,
}

/// Where axe-core is, if it was fetched.
pub fn axe() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let places = program.ancestors().map(|folder| folder.join("tools/axe.min.js"));
    places.into_iter().find(|place| place.is_file())
}

/// Walks over every screen whose name begins so.
pub fn walk(only: &str) -> Result<Walk, Fault> {
    let axe = axe().map(std::fs::read_to_string).transpose()?;
    let mut walk = Walk { with_axe: axe.is_some(), ..Walk::default() };
    screens::visit(only, |visit, browser| {
        if let Some(axe) = &axe {
            let load = format!("{axe};\narguments[arguments.length - 1](true);");
            browser.answer(&load, &[])?;
        }
        let answer = browser.answer(RULES, &[json!(least_mm(visit))])?;
        walk.add(visit, serde_json::from_value(answer)?);
        Ok(())
    })?;
    Ok(walk)
}

fn least_mm(visit: &Visit) -> f64 {
    if visit.screen.name.starts_with("kiosk") { KIOSK_MM } else { STAFF_MM }
}

impl Walk {
    fn add(&mut self, visit: &Visit, report: Report) {
        self.screens += 1;
        self.heaviest_bytes = self.heaviest_bytes.max(report.loaded);
        let heavy = (report.loaded > LOAD_BYTES_MAX).then(|| format!("load: {} B", report.loaded));
        let found = report.faults.into_iter().chain(report.violations.unwrap_or_default());
        self.faults.extend(found.chain(heavy).map(|fault| format!("{}: {fault}", visit.name())));
    }

    /// The walk in words.
    pub fn text(&self) -> String {
        let axe =
            if self.with_axe { "with axe-core" } else { "WITHOUT AXE-CORE: make setup brings it" };
        let mut text: String = self.faults.iter().map(|fault| format!("{fault}\n")).collect();
        text.push_str(&format!(
            "{} screens, {axe}; {} faults; the heaviest first load {} B of {LOAD_BYTES_MAX}\n",
            self.screens,
            self.faults.len(),
            self.heaviest_bytes
        ));
        text
    }
}
