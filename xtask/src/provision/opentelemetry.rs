//! OpenTelemetry's SDK for Python, which a test lets send traces to a running Stance.

use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

use super::debian;
use crate::shell;

const VERSION: &str = "1.45.2";

/// The Python that has it.
pub fn opentelemetry() -> Result<PathBuf> {
    let folder = shell::target_dir()?.join(format!("tools/opentelemetry-{VERSION}"));
    let python = folder.join("bin/python");
    // Written last: an installation that was cut off is made anew.
    let done = folder.join("installed");
    if !done.is_file() {
        let make = || shell::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        if make().is_err() {
            debian::install("Python with venv", &["python3", "python3-venv"])?;
            make()?;
        }
        println!("   installing opentelemetry-sdk {VERSION}");
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip.args(
            ["opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"].map(|name| format!("{name}=={VERSION}")),
        );
        shell::run(&mut pip).context("pip cannot fetch opentelemetry-sdk")?;
        std::fs::write(&done, VERSION)?;
    }
    Ok(python)
}
