//! The program that people install.

use anyhow::Result;

use crate::frontend;
use crate::shell::{self, step};

/// Builds `target/dist/stance`.
pub fn run() -> Result<()> {
    step("dashboard", frontend::build)?;
    step("stance", || shell::run(&mut shell::cargo(["build", "--release", "--package", "stance", "--bin", "stance"])))?;
    let target = shell::target_dir()?;
    let dist = shell::root().join("target/dist");
    std::fs::create_dir_all(&dist)?;
    std::fs::copy(target.join("release/stance"), dist.join("stance"))?;
    println!("{}", dist.join("stance").display());
    Ok(())
}
