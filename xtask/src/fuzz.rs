//! Searches for input that breaks an importer: libFuzzer, guided by coverage, from the fixtures on, a fixed number of runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{output, root, run, step, target_dir};

#[derive(clap::Args)]
pub struct Options {
    /// Only these; every importer, and the containers around reports, when none is named.
    formats: Vec<String>,
    /// How many inputs each gets.
    #[arg(long, default_value_t = 50_000)]
    runs: u64,
}

/// What the compiler adds so that the fuzzer sees which code an input reaches. On stable these are options of LLVM.
const INSTRUMENTATION: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// The largest input, and the memory and seconds that one may take.
const LIMITS: [&str; 3] = ["-max_len=32768", "-rss_limit_mb=1024", "-timeout=20"];

pub fn fuzz(options: &Options) -> Result<()> {
    let importers = root().join("backend/importers");
    let target = target_dir()?.join("fuzz");
    let host = host()?;
    step("build the fuzzer", || {
        let mut build = Command::new("cargo");
        // With --target, build scripts and macros are not instrumented.
        build.args(["build", "--release", "--target", &host, "--manifest-path"]);
        build.arg(importers.join("fuzz/Cargo.toml")).arg("--target-dir").arg(&target);
        run(build.current_dir(root()).env("RUSTFLAGS", INSTRUMENTATION))
    })?;
    let program = target.join(&host).join("release/importer");
    let mut known = formats(&importers)?;
    known.push("container".to_owned());
    if let Some(unknown) = options.formats.iter().find(|format| !known.contains(format)) {
        bail!("“{unknown}” is not a format; known are {}", known.join(", "));
    }
    let wanted: Vec<_> = known.iter().filter(|f| options.formats.is_empty() || options.formats.contains(f)).collect();
    let mut broken = Vec::new();
    for format in &wanted {
        let searched = step(&format!("fuzz {format}"), || {
            let corpus = target.join("corpus").join(format);
            seed(&importers, format, &corpus)?;
            let found = target.join("found").join(format);
            fs::create_dir_all(&found)?;
            let mut search = Command::new(&program);
            search.arg(&corpus).args(LIMITS).args(["-seed=1", "-print_final_stats=1"]);
            search.arg(format!("-runs={}", options.runs)).arg(format!("-artifact_prefix={}/", found.display()));
            let told = fuzzer_output(search.env("STANCE_FORMAT", format))?;
            let number = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).map_or("?", str::trim);
            println!(
                "   {} runs, {} new inputs",
                number("stat::number_of_executed_units:"),
                number("stat::new_units_added:")
            );
            Ok(())
        });
        broken.extend(searched.err().map(|_| format.as_str()));
    }
    if !broken.is_empty() {
        bail!("inputs break {}", broken.join(", "));
    }
    println!("{} formats, nothing broke", wanted.len());
    Ok(())
}

/// What the fuzzer says, on its standard error; when it found something, what that is and where the input lies.
fn fuzzer_output(search: &mut Command) -> Result<String> {
    let result = search.env("RUST_BACKTRACE", "0").output().context("cannot start the fuzzer")?;
    let told = String::from_utf8_lossy(&result.stderr).into_owned();
    if !result.status.success() {
        let mut lines = told.lines().peekable();
        let mut said = Vec::new();
        while let Some(line) = lines.next() {
            if line.contains("panicked at") {
                said.extend([line, lines.peek().copied().unwrap_or_default()]);
            } else if line.starts_with("SUMMARY") || line.contains("Test unit written") {
                said.push(line);
            }
        }
        bail!("an input breaks it:\n{}", said.join("\n"));
    }
    Ok(told)
}

fn host() -> Result<String> {
    let told = output(Command::new("rustc").arg("-vV"))?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

/// The importers are the folders that have fixtures.
fn formats(importers: &Path) -> Result<Vec<String>> {
    let mut formats = Vec::new();
    for entry in fs::read_dir(importers.join("src"))? {
        let entry = entry?;
        if entry.path().join("fixtures").is_dir() {
            formats.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    formats.sort();
    Ok(formats)
}

/// Begins with the fixtures, beside what earlier searches found.
fn seed(importers: &Path, format: &str, corpus: &Path) -> Result<()> {
    fs::create_dir_all(corpus)?;
    let fixtures = importers.join("src").join(format).join("fixtures");
    if !fixtures.is_dir() {
        // An empty zip archive, and the beginning of a gzip stream.
        fs::write(corpus.join("zip"), b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")?;
        fs::write(corpus.join("gzip"), b"\x1f\x8b\x08\0\0\0\0\0\0\x03")?;
        return Ok(());
    }
    for entry in fs::read_dir(fixtures)? {
        let entry = entry?;
        fs::copy(entry.path(), corpus.join(entry.file_name()))?;
    }
    Ok(())
}
