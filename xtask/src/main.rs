//! `cargo xtask …`: everything a person types to build, run, test and measure Stance.

mod bench;
mod dist;
mod frontend;
mod fuzz;
mod postgres;
mod provision;
mod regenerate;
mod screenshots;
mod shell;
mod test;
mod train_detector;
mod up;

use clap::Parser;
use std::process::ExitCode;

/// Build, run, test and regenerate Stance.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Build Stance, start it with a demo organization, and print where to sign in. Ctrl-C stops it.
    Up(up::Options),
    /// Install or find what the tests need, then run every check and test. The last line is `N passed, N failed`.
    Test,
    /// Build target/dist/stance: one release binary with the dashboard inside.
    Dist,
    /// Measure against a yardstick in the same run.
    Bench {
        #[arg(value_enum)]
        bench: bench::Bench,
        /// For importers: only these formats.
        formats: Vec<String>,
    },
    /// Search for input that breaks an importer, a fixed number of runs each.
    Fuzz(fuzz::Options),
    /// Take pictures of every page on the demo organization, into docs/screenshots.
    Screenshots,
    /// Make the weights of the guardrail's model anew.
    TrainDetector,
    /// Make every generated file anew: .sqlx, schema.graphql, openapi.json, authorization.txt.
    Regenerate {
        /// Only .sqlx, which the server needs in order to compile.
        #[arg(long)]
        sqlx: bool,
    },
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Up(options) => up::run(&options),
        Task::Test => test::run(),
        Task::Fuzz(options) => fuzz::fuzz(&options),
        Task::Screenshots => screenshots::run(),
        Task::Dist => dist::run(),
        Task::TrainDetector => train_detector::run(),
        Task::Bench { bench, formats } => bench::run(bench, &formats),
        Task::Regenerate { sqlx } => regenerate::run(sqlx),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
