//! Pictures of every screen, taken from the running demo

use crate::browser::Fault;
use crate::screens;
use std::path::Path;

/// Takes every picture whose name begins so, into a folder.
pub fn take(folder: &Path, only: &str) -> Result<(), Fault> {
    std::fs::create_dir_all(folder)?;
    screens::visit(only, |visit, browser| {
        let file = format!("{}.png", visit.name());
        std::fs::write(folder.join(&file), browser.picture()?)?;
        println!("  {file}");
        Ok(())
    })
}
