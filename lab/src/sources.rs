//! Reads the workspace's own files and manifests
//!
//! The structure and document tests and `lab rows` all look at the tree. They look through this file, so that they agree
//! on what the tree is: what people wrote, without what tools made.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

/// Folders that tools fill and people do not write.
const MADE_BY_TOOLS: [&str; 3] = ["target", "demo", "appliance/static/fonts"];

/// One file that a person wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Path from the workspace's root, with `/` on every system.
    pub path: String,
    /// All of its text.
    pub text: String,
}

impl Source {
    /// A source out of two texts: what tests build their samples with.
    pub fn new(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into() }
    }
}

/// One package of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Name in its manifest.
    pub name: String,
    /// Folder from the workspace's root.
    pub folder: String,
    /// Text of its manifest.
    pub manifest: String,
}

impl Package {
    /// Reads a manifest. None where it describes no package, as the workspace's own.
    pub fn parse(folder: &str, manifest: &str) -> Option<Package> {
        let after = manifest.split("[package]").nth(1)?;
        let line = after.lines().find(|line| line.starts_with("name"))?;
        let name = line.split('"').nth(1)?;
        Some(Package { name: name.into(), folder: folder.into(), manifest: manifest.into() })
    }

    /// Names of the crates in one section of the manifest, such as `dependencies`.
    pub fn crates(&self, section: &str) -> Vec<String> {
        let heading = format!("[{section}]");
        let lines = self.manifest.lines().skip_while(|line| line.trim() != heading).skip(1);
        lines
            .take_while(|line| !line.starts_with('['))
            .filter(|line| !line.trim_start().starts_with('#'))
            .filter_map(|line| line.split(['.', '=', ' ']).next())
            .filter(|name| !name.is_empty())
            .map(String::from)
            .collect()
    }
}

/// Every file below the root whose name ends in one of `endings`, in the order of their paths.
pub fn files(root: &Path, endings: &[&str]) -> io::Result<Vec<Source>> {
    let mut found = Vec::new();
    walk(root, root, endings, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Every package below the root, in the order of their folders.
pub fn packages(root: &Path) -> io::Result<Vec<Package>> {
    let manifests = files(root, &["Cargo.toml"])?;
    let folder = |path: &str| path.trim_end_matches("Cargo.toml").trim_end_matches('/').to_string();
    Ok(manifests
        .iter()
        .filter_map(|file| Package::parse(&folder(&file.path), &file.text))
        .collect())
}

/// Names of the tables that some files of SQL, or Rust with SQL in it, declare as replicated.
pub fn replicated_tables(files: &[Source]) -> BTreeSet<String> {
    let mut tables = BTreeSet::new();
    for file in files {
        let code = file.text.split("#[cfg(test)]").next().unwrap_or("");
        let sql: String = code
            .lines()
            .map(|line| line.split("--").next().unwrap_or(line).to_string() + "\n")
            .collect();
        for insert in sql.split("INSERT INTO replicated ").skip(1) {
            let statement = insert.split(';').next().unwrap_or(insert);
            let values = statement.split("VALUES").nth(1).unwrap_or("");
            let rows = values.split('(').skip(1);
            tables.extend(rows.filter_map(|row| row.split('\'').nth(1)).map(String::from));
        }
    }
    tables
}

fn walk(root: &Path, folder: &Path, endings: &[&str], found: &mut Vec<Source>) -> io::Result<()> {
    for child in fs::read_dir(folder)? {
        let child = child?;
        let path = child.path();
        let name = child.file_name().to_string_lossy().into_owned();
        let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        if child.file_type()?.is_dir() {
            if !name.starts_with('.') && !MADE_BY_TOOLS.contains(&below.as_str()) {
                walk(root, &path, endings, found)?;
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(Source { path: below, text: fs::read_to_string(&path)? });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_names_its_package_and_its_crates() {
        let text = "[package]\nname = \"hq-bridge\"\n\n[dependencies]\n# heard\naxum.workspace = true\nclap = \"4\"\n\n[dev-dependencies]\ntempfile.workspace = true\n";
        let package = Package::parse("hq-bridge", text).unwrap();
        assert_eq!(package.name, "hq-bridge");
        assert_eq!(package.crates("dependencies"), ["axum", "clap"]);
        assert_eq!(package.crates("dev-dependencies"), ["tempfile"]);
        assert!(package.crates("build-dependencies").is_empty());
    }

    #[test]
    fn the_workspaces_own_manifest_is_no_package() {
        assert_eq!(Package::parse("", "[workspace]\nmembers = []\n"), None);
    }

    #[test]
    fn what_tools_made_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in [("a/src/one.rs", "1"), ("target/two.rs", "2"), (".git/three.rs", "3")]
        {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = files(folder.path(), &[".rs"]).unwrap();
        assert_eq!(found, [Source::new("a/src/one.rs", "1")]);
    }
}
