//! PostgreSQL's programs (14 or newer). No server needs to run: tests start private ones.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::debian;
use crate::shell;

/// The folder with `initdb`, `postgres`, `pg_ctl` and `psql`.
pub fn postgresql() -> Result<PathBuf> {
    if let Some(folder) = find() {
        return Ok(folder);
    }
    // Without this file Debian's package would make and start a cluster of its own.
    let settings = Path::new("/etc/postgresql-common");
    if shell::is_root() && !settings.join("createcluster.conf").exists() {
        std::fs::create_dir_all(settings)?;
        std::fs::write(settings.join("createcluster.conf"), "create_main_cluster = false\n")?;
    }
    debian::install("PostgreSQL", &["postgresql"])?;
    find().context("PostgreSQL was installed, but its programs are in none of PATH, `pg_config --bindir`, /usr/lib/postgresql/*/bin")
}

fn find() -> Option<PathBuf> {
    let in_path = shell::which("initdb").and_then(|path| path.parent().map(Path::to_path_buf));
    let by_config =
        shell::output(Command::new("pg_config").arg("--bindir")).ok().map(|line| PathBuf::from(line.trim()));
    in_path
        .into_iter()
        .chain(by_config)
        .chain(packaged())
        .find(|folder| ["initdb", "postgres", "pg_ctl", "psql"].iter().all(|program| folder.join(program).is_file()))
}

/// Debian's folders, newest version first.
fn packaged() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/usr/lib/postgresql") else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}
