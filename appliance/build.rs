//! Takes in the languages, and the fonts when they are there
//!
//! A language is added by adding a file to `texts`: no list names them. The fonts are no part of the sources: `make fonts`
//! brings them into `static/fonts`. Without them the program is whole and its screens use the system's faces.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{env, fmt, fs, io};

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

/// A file as the program's own text names it: from the package, wherever that lies. Two clones may share what is built.
struct Named<'n>(&'static str, &'n OsStr);

impl fmt::Display for Named<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = format!("/{}/{}", self.0, self.1.to_string_lossy());
        write!(out, "concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?})")
    }
}

fn fonts(folder: &Path) -> String {
    let mut list = String::from("[\n");
    for file in FONTS.iter().map(|name| folder.join(name)).filter(|file| file.is_file()) {
        let name = file.file_name().unwrap_or_default();
        let file = Named("static/fonts", name);
        list.push_str(&format!("    ({name:?}, include_bytes!({file}).as_slice()),\n"));
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
        let (code, name) =
            (file.file_stem().unwrap_or_default(), file.file_name().unwrap_or_default());
        list.push_str(&format!("    ({code:?}, include_str!({})),\n", Named("texts", name)));
    }
    Ok(list + "]\n")
}
