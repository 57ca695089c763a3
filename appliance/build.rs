//! Takes in the languages, and the fonts when they are there
//!
//! A language is added by adding a file to `texts`: no list names them. The fonts are no part of the sources: `make fonts`
//! brings them into `static/fonts`. Without them the program is whole and its screens use the system's faces.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// As `make fonts` names them.
const FONTS: [&str; 3] = ["latin.woff2", "latin-ext.woff2", "LICENSE"];

fn main() -> io::Result<()> {
    // The folder above is watched: a folder that is not there would count as changed in every build.
    println!("cargo:rerun-if-changed=static");
    println!("cargo:rerun-if-changed=texts");
    println!("cargo:rerun-if-changed=build.rs");
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("fonts.rs"), fonts(&here.join("static/fonts")))?;
    fs::write(out.join("languages.rs"), languages(&here.join("texts"))?)
}

fn fonts(folder: &Path) -> String {
    let mut list = String::from("[\n");
    for file in FONTS.iter().map(|name| folder.join(name)).filter(|file| file.is_file()) {
        let name = file.file_name().unwrap_or_default();
        list.push_str(&format!("    ({name:?}, include_bytes!({file:?}).as_slice()),\n"));
    }
    list + "]\n"
}

fn languages(folder: &Path) -> io::Result<String> {
    let files = fs::read_dir(folder)?.map(|file| file.map(|file| file.path()));
    let mut files = files.collect::<io::Result<Vec<PathBuf>>>()?;
    files.retain(|path| path.extension().is_some_and(|ending| ending == "ftl"));
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        let code = file.file_stem().unwrap_or_default();
        list.push_str(&format!("    ({code:?}, include_str!({file:?})),\n"));
    }
    Ok(list + "]\n")
}
