//! Commands, steps and paths that every task shares.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The workspace's root folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Cargo's target folder, wherever the person's settings put it.
pub fn target_dir() -> Result<PathBuf> {
    let metadata = output(Command::new("cargo").args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    Ok(metadata["target_directory"].as_str().context("cargo metadata names no target_directory")?.into())
}

/// `cargo …` in the workspace. Query macros read `.sqlx`, so that no build depends on a database that happens to run.
pub fn cargo<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new("cargo");
    command.args(args).current_dir(root()).env("SQLX_OFFLINE", "true").env_remove("SQLX_OFFLINE_DIR");
    // What `cargo run` tells xtask of itself. Build scripts look at some of it (ring's does), and would have half of the dependencies
    // compiled again whenever a person's own `cargo build` takes turns with ours.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

/// Announces a step, runs it, and says how it ended and how long it took.
pub fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("── {name}");
    let start = Instant::now();
    let result = work();
    let seconds = start.elapsed().as_secs_f32();
    match &result {
        Ok(_) => println!("   {name}: ok ({seconds:.1} s)"),
        Err(error) => println!("   {name}: FAILED ({seconds:.1} s): {error:#}"),
    }
    result
}

/// Runs a command whose output the person sees; an exit code other than 0 is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let line = display(command);
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Runs a command and gives its standard output; its standard error is shown only in the error.
pub fn output(command: &mut Command) -> Result<String> {
    let line = display(command);
    let result = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{line}`"))?;
    if !result.status.success() {
        bail!("`{line}` ended with {}: {}", result.status, String::from_utf8_lossy(&result.stderr).trim());
    }
    Ok(String::from_utf8(result.stdout)?)
}

/// The first file of this name in PATH.
pub fn which(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Whether this process may install packages for the whole machine.
pub fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0")
}

/// The command as a person would type it.
fn display(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The `stance` program of the last development build.
pub fn binary() -> Result<PathBuf> {
    Ok(target_dir()?.join("debug/stance"))
}

/// A digest that tells whether something changed since this machine saw it last; not for anything that leaves the machine.
pub fn digest(bytes: &[u8]) -> [u8; 8] {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish().to_le_bytes()
}
