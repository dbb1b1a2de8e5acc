//! The generated files that are in git: made here, and compared here by `cargo xtask test`.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::postgres::Cluster;
use crate::shell::{self, step};
use crate::{frontend, provision};

/// Files that `stance schema …` prints.
const SCHEMAS: [(&str, &str); 3] = [
    ("graphql", "backend/server/schema.graphql"),
    ("openapi", "backend/server/openapi.json"),
    ("authorization", "backend/server/authorization.txt"),
];

const CHECK: [&str; 3] = ["check", "--workspace", "--all-targets"];

/// Makes them all, or only `.sqlx`.
pub fn run(only_sqlx: bool) -> Result<()> {
    let programs = step("PostgreSQL", provision::postgresql)?;
    step(".sqlx", || {
        let queries = queries(&Cluster::start(&programs)?, &CHECK)?;
        let folder = shell::root().join(".sqlx");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        for (name, text) in &queries {
            std::fs::write(folder.join(name), text)?;
        }
        println!("   {} queries", queries.len());
        Ok(())
    })?;
    if only_sqlx {
        return Ok(());
    }
    step("dashboard", frontend::build)?;
    step("stance", || shell::run(&mut shell::cargo(["build", "--workspace", "--all-targets"])))?;
    for (name, path) in SCHEMAS {
        step(path, || Ok(std::fs::write(shell::root().join(path), schema(name)?)?))?;
    }
    Ok(())
}

/// Fails for query files that are not what the queries in the source say. `check` is the cargo command whose artifacts are there already.
pub fn compare_queries(cluster: &Cluster, check: &[&str]) -> Result<()> {
    // The server is compiled for this, which an unchanged source does not need again.
    let stamp = shell::target_dir()?.join("queries.stamp");
    let inputs = query_inputs()?;
    if std::fs::read(&stamp).ok().as_deref() == Some(&inputs) {
        println!("   unchanged since the last check");
        return Ok(());
    }
    let committed = texts(&shell::root().join(".sqlx"))?;
    let made = queries(cluster, check)?;
    let differing: Vec<&String> =
        made.keys().chain(committed.keys()).filter(|name| made.get(*name) != committed.get(*name)).collect();
    match differing.first() {
        None => Ok(std::fs::write(stamp, inputs)?),
        Some(name) => bail!(".sqlx is stale ({name} and perhaps others): run `cargo xtask regenerate --sqlx`"),
    }
}

/// Fails for schema files that are not what the built binary prints.
pub fn compare_schemas() -> Result<()> {
    for (name, path) in SCHEMAS {
        let committed = std::fs::read_to_string(shell::root().join(path)).unwrap_or_default();
        let made = schema(name)?;
        if committed != made {
            let line = committed.lines().zip(made.lines()).take_while(|(old, new)| old == new).count();
            let [old, new] = [&committed, &made].map(|text| text.lines().nth(line).unwrap_or("(end)"));
            bail!("{path} is stale: run `cargo xtask regenerate`. Line {}:\n  - {old}\n  + {new}", line + 1);
        }
    }
    Ok(())
}

fn schema(name: &str) -> Result<String> {
    shell::output(Command::new(shell::binary()?).args(["schema", name]))
}

/// Query files by name, as sqlx's macros write them when they ask a database that has all migrations.
fn queries(cluster: &Cluster, check: &[&str]) -> Result<BTreeMap<String, String>> {
    cluster.sql("postgres", &["-c", "create database queries"])?;
    // The job store's own tables first, as the server does it.
    cluster.sql("queries", &["-c", "create schema apalis"])?;
    for folder in [job_store_migrations()?, shell::root().join("migrations")] {
        for file in sorted(&folder, "sql")? {
            cluster.sql("queries", &[Path::new("-1"), Path::new("-f"), &file])?;
        }
    }
    let folder = shell::target_dir()?.join("queries");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;

    // What the server depends on is compiled without a database: the job store has macros too, whose files are none of ours. The server
    // itself may fail here, when its `.sqlx` is what is being made.
    println!("   compiling what the server depends on (minutes the first time)");
    let _ = shell::output(&mut shell::cargo(check));

    // Only macros that run write a file, and cargo does not know that they read the database: a new time on the crate's root makes it
    // compile again. The old time returns afterwards, so that nothing else is compiled again for it.
    let source = std::fs::File::options().append(true).open(shell::root().join("backend/server/src/lib.rs"))?;
    let modified = source.metadata()?.modified()?;
    source.set_modified(SystemTime::now())?;
    let result = shell::run(
        shell::cargo(check)
            .env("SQLX_OFFLINE", "false")
            .env("SQLX_OFFLINE_DIR", &folder)
            .env("DATABASE_URL", cluster.url("queries")),
    );
    source.set_modified(modified)?;
    result?;
    texts(&folder)
}

/// Digest of all that the query files are made from, and of the files themselves.
fn query_inputs() -> Result<[u8; 8]> {
    fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { files(&path, found)? } else { found.push(path) }
        }
        Ok(())
    }
    let mut found = vec![shell::root().join("Cargo.lock")];
    for folder in ["backend/server/src", "migrations", ".sqlx"] {
        files(&shell::root().join(folder), &mut found)?;
    }
    found.sort();
    let mut content = Vec::new();
    for path in found {
        content.extend_from_slice(path.as_os_str().as_encoded_bytes());
        content.extend(std::fs::read(path)?);
    }
    Ok(shell::digest(&content))
}

fn job_store_migrations() -> Result<PathBuf> {
    let metadata = shell::output(&mut shell::cargo(["metadata", "--format-version=1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let package =
        metadata["packages"].as_array().into_iter().flatten().find(|package| package["name"] == "apalis-postgres");
    let manifest = package
        .and_then(|package| package["manifest_path"].as_str())
        .context("apalis-postgres is not a dependency any more")?;
    Ok(Path::new(manifest).with_file_name("migrations"))
}

fn texts(folder: &Path) -> Result<BTreeMap<String, String>> {
    let files = if folder.is_dir() { sorted(folder, "json")? } else { Vec::new() };
    files
        .into_iter()
        .map(|path| {
            Ok((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), std::fs::read_to_string(path)?))
        })
        .collect()
}

/// The files of a folder with this extension, by name.
fn sorted(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    Ok(files)
}
