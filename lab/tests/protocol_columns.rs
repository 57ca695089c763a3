//! The protocol's page lists the columns of the shop
//!
//! Whoever writes a decoder by that page alone goes by these numbers. So the table of section 8.1 is made here from a
//! database of the shop, and compared with the page line by line: `UPDATE_EXPECT=1` writes it anew.

use lab::bench_desk::{self, Ground};
use selvedge_sync::origin::Role;
use selvedge_sync::tables::Table;
use selvedge_sync::value::Kind;
use std::path::{Path, PathBuf};

const HEADING: &str = "### 8.1 Columns";

/// The head of the table, behind which one line for each replicated table follows.
const HEAD: &str = "| table | columns |\n| --- | --- |\n";

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md")
}

/// A kind as the page names it; a whole number has no name.
fn named(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "",
        Kind::Text => " text",
        Kind::Bytes => " bytes",
        Kind::Id => " id",
        Kind::Time => " time",
        Kind::Private => " private",
    }
}

/// The line of a table: its columns by number, those of the key in italics.
fn line(table: &Table) -> String {
    let columns = table.columns.iter().zip(&table.layout.kinds).enumerate().map(|(at, column)| {
        let text = format!("{}{}", column.0, named(*column.1));
        if table.layout.key.contains(&at) { format!("*{text}*") } else { text }
    });
    format!("| {} | {} |\n", table.id, columns.collect::<Vec<_>>().join(", "))
}

/// The lines of the page between the head of the table and the next empty one.
fn said(text: &str) -> (usize, usize) {
    let section = text.find(HEADING).expect("the page has the section");
    let from = section + text[section..].find(HEAD).expect("the section has a table") + HEAD.len();
    let length = text[from..].find("\n\n").expect("the table ends") + 1;
    (from, from + length)
}

#[test]
fn the_page_lists_every_column_of_every_replicated_table_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let ground = Ground { folder: folder.path().to_owned(), vfs: None };
    let replica = bench_desk::alone(&ground, Role::Hq).unwrap();
    let made: String = replica.tables().all().iter().map(line).collect();
    for table in replica.tables().all() {
        assert_eq!(table.layout.gone, 0, "the page says that no column has ended: {}", table.name);
        assert!(table.layout.marks.is_none(), "the page has no word for marks: {}", table.name);
    }
    let mut text = std::fs::read_to_string(page()).unwrap();
    let (from, to) = said(&text);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        text.replace_range(from..to, &made);
        std::fs::write(page(), &text).unwrap();
        return;
    }
    for (said, made) in text[from..to].lines().zip(made.lines()) {
        assert_eq!(said, made, "docs/protocol.md 8.1 against the shop's database");
    }
    assert_eq!(text[from..to].lines().count(), made.lines().count(), "a table more or less");
}
