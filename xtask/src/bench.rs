//! What Stance does against a yardstick in the same run, on the release build. The benchmarks themselves stand in `tests/bench`,
//! those of the importers and the detector in their crates.

use anyhow::{Result, bail};
use std::process::Command;

use crate::shell::{self, step};
use crate::{dist, frontend, provision};

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Bench {
    /// A GraphQL page of 100 among 1,000,000 findings, the first and the 5,000th, against the same SQL.
    Api,
    /// From an order to proven with 50 enforcement points over HTTP, 100 times.
    Containment,
    /// How well the guardrail tells attacks from the rest, on sources that it never saw too; how fast; personal data and secrets.
    Detector,
    /// Events from POST to written, against `\copy` of the same rows; the runtime pages' queries then.
    Events,
    /// 100,000 SARIF findings from POST to merged, against `\copy` of the same rows.
    Import,
    /// `/api/v1/inspect` at 1 KB with 16 connections, events written, against a bare handler that echoes the body.
    Inspect,
    /// MB/s, findings/s and memory of every importer, against `serde_json` passing over the same bytes.
    Importers,
    /// The dashboard: bytes, server time of each page at 100,000 findings, time to hydration.
    Web,
}

pub fn run(bench: Bench, formats: &[String]) -> Result<()> {
    if !formats.is_empty() && !matches!(bench, Bench::Importers) {
        bail!("only the importers' benchmark takes formats");
    }
    let name = match bench {
        Bench::Api => "api",
        Bench::Containment => "containment",
        Bench::Events => "events",
        Bench::Import => "import",
        Bench::Inspect => "inspect",
        Bench::Importers => return in_crate("stance-importers", "importers", formats),
        Bench::Detector => return in_crate("stance-trainer", "detector", &[]),
        Bench::Web => "web",
    };
    step("PostgreSQL", provision::postgresql)?;
    let browser = matches!(bench, Bench::Web).then(|| step("Chromium", provision::browser)).transpose()?;
    step("dashboard (wasm)", frontend::build)?;
    let release = step("release build", || dist::build(&["stance", "stance-bench"]))?;
    step(name, || {
        let mut command = Command::new(release.join("stance-bench"));
        command.arg(name).env("STANCE_BIN", release.join("stance"));
        if let Some(browser) = &browser {
            command.env("CHROMIUM", &browser.chromium).env("CHROMEDRIVER", &browser.driver);
        }
        shell::run(&mut command)
    })
}

/// A benchmark that needs neither database nor dashboard: Cargo's release profile is what is shipped.
fn in_crate(package: &str, bench: &str, args: &[String]) -> Result<()> {
    step(bench, || {
        let mut command = Command::new("cargo");
        command.args(["bench", "--package", package, "--bench", bench, "--"]).args(args);
        shell::run(command.current_dir(shell::root()))
    })
}
