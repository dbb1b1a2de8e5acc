//! The program that people install.

use anyhow::Result;
use std::path::PathBuf;

use crate::frontend;
use crate::shell::{self, step};

/// Builds `target/dist/stance`.
pub fn run() -> Result<()> {
    step("dashboard", frontend::build)?;
    let built = step("stance", || build(&["stance"]))?;
    let dist = shell::root().join("target/dist");
    std::fs::create_dir_all(&dist)?;
    std::fs::copy(built.join("stance"), dist.join("stance"))?;
    println!("{}", dist.join("stance").display());
    Ok(())
}

/// Builds programs for use and gives their folder. The packages are the same whichever programs are wanted, because Cargo chooses the
/// features of dependencies by package: so what is measured is what is shipped, and nothing is compiled twice.
pub fn build(programs: &[&str]) -> Result<PathBuf> {
    let mut cargo = shell::cargo(["build", "--release", "--package", "stance", "--package", "stance-tests"]);
    for program in programs {
        cargo.args(["--bin", program]);
    }
    shell::run(&mut cargo)?;
    Ok(shell::target_dir()?.join("release"))
}
