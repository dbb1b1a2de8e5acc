//! Every check and test, in the order in which they fail fastest.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::postgres::Cluster;
use crate::shell::{self, step};
use crate::{frontend, provision, regenerate};

const CLIPPY: [&str; 7] = ["clippy", "--workspace", "--all-targets", "--keep-going", "--", "-D", "warnings"];

/// Runs them all, so that one run shows everything that is wrong. A check that fails counts as one failed test.
pub fn run() -> Result<()> {
    let mut count = Count::default();
    let result = checks(&mut count);
    if result.is_err() {
        count.failed += 1;
    }
    println!("{} passed, {} failed", count.passed, count.failed);
    std::process::exit(if count.failed == 0 { 0 } else { 1 })
}

#[derive(Default)]
struct Count {
    passed: u64,
    failed: u64,
}

impl Count {
    fn check(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        if step(name, work).is_err() {
            self.failed += 1;
        }
    }
}

/// An error is something without which nothing further can run.
fn checks(count: &mut Count) -> Result<()> {
    step("rustfmt, clippy", provision::rust_components)?;
    let programs = step("PostgreSQL", provision::postgresql)?;
    let browser = step("Chromium", provision::browser)?;
    let axe = step("axe-core", provision::axe)?;
    let python = step("OpenTelemetry for Python", provision::opentelemetry)?;
    count.check("format", || shell::run(&mut shell::cargo(["fmt", "--all", "--check"])));
    step("dashboard (wasm)", frontend::build)?;
    // The same packages, targets and features in each run of cargo: then they share what they compile.
    count.check("clippy", || shell::run(&mut shell::cargo(CLIPPY)));
    step("build", || shell::run(&mut shell::cargo(["build", "--workspace", "--all-targets"])))?;
    let cluster = step("private PostgreSQL", || Cluster::start(&programs))?;
    count.check(".sqlx", || regenerate::compare_queries(&cluster, &CLIPPY));
    count.check("schemas", regenerate::compare_schemas);
    step("unit, integration and browser tests", || {
        let mut tests = shell::cargo(["test", "--workspace", "--no-fail-fast"]);
        tests.env("DATABASE_URL", cluster.url("postgres"));
        tests
            .env("STANCE_BIN", shell::binary()?)
            .env("CHROMIUM", &browser.chromium)
            .env("CHROMEDRIVER", &browser.driver)
            .env("STANCE_AXE", &axe)
            .env("STANCE_OPENTELEMETRY_PYTHON", &python);
        let mut tests = tests.stdout(Stdio::piped()).spawn()?;
        for line in BufReader::new(tests.stdout.take().context("no output")?).lines() {
            let line = line?;
            println!("{line}");
            if let Some((passed, failed)) = summary(&line) {
                count.passed += passed;
                count.failed += failed;
            }
        }
        let status = tests.wait()?;
        // A test program that ends without a summary (an abort, a compile error) must not go unnoticed.
        if !status.success() && count.failed == 0 {
            bail!("cargo test ended with {status}");
        }
        Ok(())
    })
}

/// Passed and failed of a line such as `test result: ok. 12 passed; 0 failed; 1 ignored; …`.
fn summary(line: &str) -> Option<(u64, u64)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |word: &str| counts.split("; ").find_map(|part| part.strip_suffix(word)?.trim().parse().ok());
    Some((number(" passed")?, number(" failed")?))
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn reads_the_test_runners_summary() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s";
        assert_eq!(summary(line), Some((12, 3)));
        assert_eq!(summary("test result: nonsense"), None);
        assert_eq!(summary("test some::thing ... ok"), None);
    }
}
