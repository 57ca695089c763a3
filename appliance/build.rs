//! Takes the fonts into the program when they are there
//!
//! They are no part of the sources: `make fonts` brings them into `static/fonts`. Without them the program is whole and
//! its screens use the system's faces.

use std::path::Path;
use std::{env, fs, io};

/// As `make fonts` names them.
const FILES: [&str; 3] = ["latin.woff2", "latin-ext.woff2", "LICENSE"];

fn main() -> io::Result<()> {
    // The folder above is watched: a folder that is not there would count as changed in every build.
    println!("cargo:rerun-if-changed=static");
    println!("cargo:rerun-if-changed=build.rs");
    let here = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    let folder = Path::new(&here).join("static/fonts");
    let mut list = String::from("[\n");
    for file in FILES.iter().map(|name| folder.join(name)).filter(|file| file.is_file()) {
        let name = file.file_name().unwrap_or_default();
        list.push_str(&format!("    ({name:?}, include_bytes!({file:?}).as_slice()),\n"));
    }
    list.push_str("]\n");
    fs::write(Path::new(&out).join("fonts.rs"), list)
}
