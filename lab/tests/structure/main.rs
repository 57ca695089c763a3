//! What must hold of the sources themselves
//!
//! docs/architecture.md says how the house is built. What of it a test can hold is held here: each check is a function
//! over text, it has a bad sample that it must catch, and it is then asked about the tree.

mod code;
mod doors;
mod imports;
mod packages;
mod sizes;
mod tree;
mod words;

use lab::sources::{self, Package, Source};
use std::path::Path;

/// The folder of the workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("lab lies in the workspace's folder")
}

/// Every file of Rust that people wrote.
fn rust() -> Vec<Source> {
    sources::files(root(), &[".rs"]).expect("the sources can be read")
}

/// Every migration and every other file of SQL.
fn sql() -> Vec<Source> {
    sources::files(root(), &[".sql"]).expect("the sources can be read")
}

/// Every package of the workspace.
fn all_packages() -> Vec<Package> {
    sources::packages(root()).expect("the manifests can be read")
}

/// Fails with every finding in one message.
fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "{} findings:\n  {}\n", findings.len(), findings.join("\n  "));
}
