//! A library that makes every sync of a process slow
//!
//! It is loaded in front of the C library of a process of the lab. The programs that ship know nothing of it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = include_str!("slow_sync.c");

/// Builds the library in a folder with the C compiler of this machine.
pub fn build(folder: &Path) -> io::Result<PathBuf> {
    let (source, library) = (folder.join("slow_sync.c"), folder.join("slow_sync.so"));
    std::fs::write(&source, SOURCE)?;
    let built = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status()?;
    if built.success() {
        Ok(library)
    } else {
        Err(io::Error::other("the C compiler did not build it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_built_and_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let library = build(folder.path()).unwrap();
        let run = Command::new("true").env("LD_PRELOAD", &library).output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&run.stderr),
            "",
            "a library that does not load is named"
        );
    }
}
