//! What Stance does against a yardstick in the same run, on the release build. The benchmarks themselves stand in `tests/bench`.

use anyhow::Result;
use std::process::Command;

use crate::shell::{self, step};
use crate::{frontend, provision};

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Bench {
    /// 100,000 SARIF findings from POST to merged, against `\copy` of the same rows.
    Import,
    /// The dashboard: bytes, server time of each page at 100,000 findings, time to hydration.
    Web,
}

pub fn run(bench: Bench) -> Result<()> {
    step("PostgreSQL", provision::postgresql)?;
    let browser = step("Chromium", provision::browser)?;
    step("dashboard (wasm)", frontend::build)?;
    let build = [
        "build",
        "--release",
        "--package",
        "stance",
        "--bin",
        "stance",
        "--package",
        "stance-tests",
        "--bin",
        "stance-bench",
    ];
    step("release build", || shell::run(&mut shell::cargo(build)))?;
    let release = shell::target_dir()?.join("release");
    let name = match bench {
        Bench::Import => "import",
        Bench::Web => "web",
    };
    step(name, || {
        let mut command = Command::new(release.join("stance-bench"));
        command.arg(name).env("STANCE_BIN", release.join("stance"));
        shell::run(command.env("CHROMIUM", &browser.chromium).env("CHROMEDRIVER", &browser.driver))
    })
}
