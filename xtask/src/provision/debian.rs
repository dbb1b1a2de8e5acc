//! Packages of Debian and its descendants.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

use crate::shell;

/// Installs packages when this process may, else fails with the command to type.
pub fn install(what: &str, packages: &[&str]) -> Result<()> {
    let by_hand = format!("apt-get update && apt-get install -y --no-install-recommends {}", packages.join(" "));
    if shell::which("apt-get").is_none() {
        bail!(
            "{what} is missing and there is no apt-get here: install it with the system's package manager (on Debian: `{by_hand}`)"
        );
    }
    if !shell::is_root() {
        bail!("{what} is missing. Run: sudo sh -c '{by_hand}'");
    }
    println!("   installing {what}: {by_hand}");
    shell::run(&mut apt(&["update", "-qq"]))?;
    shell::run(apt(&["install", "-y", "-qq", "--no-install-recommends"]).args(packages))
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    // A settings file that is already there stays; dpkg would ask about it otherwise.
    command.args(arguments).args(["-o", "Dpkg::Options::=--force-confold"]).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Downloads packages and unpacks them into a folder, without installing them. Needs no rights.
pub fn unpack(packages: &[String], into: &Path) -> Result<()> {
    let downloads = into.join("downloads");
    std::fs::create_dir_all(&downloads)?;
    shell::run(Command::new("apt-get").args(["download", "-qq"]).args(packages).current_dir(&downloads))?;
    for package in std::fs::read_dir(&downloads)? {
        shell::run(Command::new("dpkg").arg("-x").arg(package?.path()).arg(into))?;
    }
    Ok(std::fs::remove_dir_all(&downloads)?)
}

/// The package with this prefix in its name that `package` depends on.
pub fn dependency(package: &str, prefix: &str) -> Result<String> {
    let listing = shell::output(Command::new("apt-cache").args(["depends", package]))?;
    let found =
        listing.lines().filter_map(|line| line.trim().strip_prefix("Depends: ")).find(|name| name.starts_with(prefix));
    found.map(str::to_owned).with_context(|| format!("package {package} depends on no {prefix}…"))
}
