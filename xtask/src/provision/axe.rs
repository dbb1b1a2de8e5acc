//! axe-core, the accessibility checker that browser tests run inside a page.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

use crate::shell;

const VERSION: &str = "4.14.1";

/// The script's path.
pub fn axe() -> Result<PathBuf> {
    // A folder per version: a changed version is installed, an installed one is not asked for again.
    let folder = shell::target_dir()?.join(format!("tools/axe-core-{VERSION}"));
    let script = folder.join("node_modules/axe-core/axe.min.js");
    if !script.is_file() {
        if shell::which("npm").is_none() {
            bail!("npm is missing, which fetches axe-core for the browser tests: install Node.js");
        }
        println!("   installing axe-core {VERSION}");
        std::fs::create_dir_all(&folder)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]).arg(&folder);
        shell::run(npm.arg(format!("axe-core@{VERSION}"))).context("npm cannot fetch axe-core")?;
    }
    Ok(script)
}
