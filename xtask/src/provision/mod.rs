//! Finds what a build or a test needs, or installs it; where it cannot, it says which command a person must run.

mod axe;
mod chromium;
mod debian;
mod opentelemetry;
mod postgresql;
mod wasm;

pub use axe::axe;
pub use chromium::browser;
pub use opentelemetry::opentelemetry;
pub use postgresql::postgresql;
pub use wasm::{TARGET as WASM, WasmToolchain, wasm};

use anyhow::Result;
use std::process::Command;

use crate::shell;

/// clippy and rustfmt of the toolchain in use.
pub fn rust_components() -> Result<()> {
    for (component, probe) in [("clippy", "clippy"), ("rustfmt", "fmt")] {
        if shell::output(&mut shell::cargo([probe, "--version"])).is_err() {
            println!("   installing {component}");
            shell::run(Command::new("rustup").args(["component", "add", component]))?;
        }
    }
    Ok(())
}
