//! `stance import`: uploads reports and waits until each is merged.

use super::{dry_run, plain, print, say};
use crate::app;
use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio_util::io::ReaderStream;

/// How long the server may be away (a restart) while the import is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// `stance import`.
#[derive(clap::Args, Clone, Debug)]
pub struct ImportArgs {
    /// Report files or patterns (`scans/**/*.sarif`), plain, gzip or zip; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    #[arg(long, value_name = "URL", env = "STANCE_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// An API token that holds report:import and report:read.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "STANCE_TOKEN",
        hide_env_values = true,
        required_unless_present = "dry_run"
    )]
    token: Option<String>,
    /// The format, where it should not be recognized by itself.
    #[arg(long, default_value = "auto")]
    format: String,
    /// What the reports are about: a key of the inventory, or KIND:key.
    #[arg(long, value_name = "KEY")]
    asset: Option<String>,
    /// Print one JSON object per file.
    #[arg(long)]
    json: bool,
    /// Only read the reports, here and without a server, and print their records as lines of JSON.
    #[arg(long)]
    dry_run: bool,
}

/// Imports each file. Exit code 0: all are done; 1: a report was refused or is broken; 2: a file can not be read.
pub async fn run(args: ImportArgs) -> ExitCode {
    let files = match expand(&args.files) {
        Ok(files) => files,
        Err(reason) => {
            say(&reason);
            return ExitCode::from(2);
        }
    };
    let names: Vec<String> = files.iter().map(|file| plain(&file.display().to_string())).collect();
    if args.dry_run {
        let (format, asset) = (args.format.clone(), args.asset.clone());
        let read = move || files.iter().map(|file| dry_run::read(file, &format, asset.as_deref())).fold(0, u8::max);
        return tokio::task::spawn_blocking(read).await.map_or(ExitCode::FAILURE, ExitCode::from);
    }
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default().max(4);
    if !args.json {
        print(&format!(
            "{:width$}  {:24} {}",
            "FILE",
            "TOOL",
            COUNTS.map(|count| format!("{count:>9}").to_uppercase()).join(" ")
        ));
    }
    let mut code = 0;
    for (file, name) in files.iter().zip(&names) {
        match import(&args, file).await {
            Ok(report) => {
                let failed = report["status"] != "DONE";
                code = code.max(u8::from(failed));
                if args.json {
                    print(&report.to_string());
                } else if failed {
                    say(&format!("{name}: {}", reason(&report)));
                } else {
                    print(&format!("{name:width$}  {}", row(&report)));
                }
            }
            Err(error) => {
                code = 1;
                say(&format!("{name}: {error:#}"));
            }
        }
    }
    ExitCode::from(code)
}

/// The files that were named, patterns resolved in the order of names. An error for what names no file.
fn expand(named: &[String]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for name in named {
        let path = PathBuf::from(name);
        if name == "-" || path.is_file() {
            files.push(path);
            continue;
        }
        if !name.contains(['*', '?', '[']) {
            return Err(format!("{}: there is no such file", plain(name)));
        }
        let matches = glob::glob(name).map_err(|error| format!("{}: {error}", plain(name)))?;
        let before = files.len();
        files.extend(matches.filter_map(Result::ok).filter(|path| path.is_file()));
        if files.len() == before {
            return Err(format!("{}: no file matches", plain(name)));
        }
    }
    Ok(files)
}

async fn import(args: &ImportArgs, file: &Path) -> anyhow::Result<Value> {
    let client = app::http_client()?;
    let token = args.token.as_deref().unwrap_or_default();
    let server = args.server.trim_end_matches('/');
    let bar = bar(args);
    let mut query = vec![("format", args.format.clone())];
    query.extend(args.asset.clone().map(|asset| ("asset", asset)));
    let (body, size) = if file.as_os_str() == "-" {
        (reqwest::Body::wrap_stream(ReaderStream::with_capacity(tokio::io::stdin(), 256 * 1024)), None)
    } else {
        query.extend(file.file_name().map(|name| ("filename", name.to_string_lossy().into_owned())));
        let opened = tokio::fs::File::open(file).await.context("can not be read")?;
        let size = opened.metadata().await.context("can not be read")?.len();
        (reqwest::Body::wrap_stream(ReaderStream::with_capacity(opened, 256 * 1024)), Some(size))
    };
    bar.set_message("uploading");
    let mut request = client.post(format!("{server}/api/v1/reports")).query(&query).bearer_auth(token).body(body);
    if let Some(size) = size {
        request = request.header(reqwest::header::CONTENT_LENGTH, size);
    }
    let accepted = answer(request.send().await.with_context(|| format!("can not reach {server}"))?).await?;
    let id = accepted["reportId"].as_str().context("the server's answer has no reportId")?.to_owned();
    let report = wait(token, &client, &format!("{server}/api/v1/reports/{id}"), &bar).await;
    bar.finish_and_clear();
    let mut report = report?;
    // The contract's members and no others, but for what went wrong.
    let mut result = json!({});
    for member in ["reportId", "format", "tool", "toolVersion", "status", "counts", "assets", "gaps", "error"] {
        if let Some(value) = report.get_mut(member) {
            result[member] = value.take();
        }
    }
    Ok(result)
}

async fn wait(token: &str, client: &reqwest::Client, url: &str, bar: &ProgressBar) -> anyhow::Result<Value> {
    let (mut pause, mut answered) = (Duration::from_millis(50), Instant::now());
    loop {
        match client.get(url).bearer_auth(token).timeout(Duration::from_secs(20)).send().await {
            // A server that restarts goes on with the import.
            Err(error) if answered.elapsed() > PATIENCE => return Err(error).context("the server went away"),
            Err(_) => {}
            Ok(response) if response.status().is_server_error() && answered.elapsed() < PATIENCE => {}
            Ok(response) => {
                let report = answer(response).await?;
                answered = Instant::now();
                let status = report["status"].as_str().unwrap_or_default();
                if status == "DONE" || status == "FAILED" {
                    return Ok(report);
                }
                let share = report["progress"].as_f64().unwrap_or_default();
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
                bar.set_position((share.clamp(0.0, 1.0) * 1000.0) as u64);
                bar.set_message(status.to_lowercase());
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_secs(1));
    }
}

/// The answer's JSON, or what the problem says.
async fn answer(response: reqwest::Response) -> anyhow::Result<Value> {
    let status = response.status();
    let text = response.text().await.context("the server's answer broke off")?;
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    if status.is_success() {
        return Ok(body);
    }
    let detail = body["detail"].as_str().unwrap_or("the server gave no reason");
    bail!("refused ({}): {detail}", status.as_u16())
}

fn bar(args: &ImportArgs) -> ProgressBar {
    if args.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg:10} [{bar:40}] {percent}%");
    let bar = ProgressBar::new(1000).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// What an import changed, in the order of the table.
const COUNTS: [&str; 6] = ["new", "updated", "reopened", "resolved", "unchanged", "gaps"];

fn row(report: &Value) -> String {
    let text = |member: &str| plain(report[member].as_str().unwrap_or_default());
    let tool: String = format!("{} {}", text("tool"), text("toolVersion")).chars().take(24).collect();
    let gaps = report["gaps"].as_array().map_or(0, Vec::len);
    let counts = COUNTS.map(|count| report["counts"][count].as_u64().unwrap_or(gaps as u64));
    format!("{tool:24} {}", counts.map(|count| format!("{count:>9}")).join(" "))
}

fn reason(report: &Value) -> String {
    let error = &report["error"];
    let place = ["line", "column", "path"]
        .iter()
        .filter_map(|member| error.get(member).map(|value| format!("{member} {}", plain(&value.to_string()))))
        .collect::<Vec<_>>()
        .join(", ");
    let message = plain(error["message"].as_str().unwrap_or("the import failed"));
    if place.is_empty() { message } else { format!("{message} ({place})") }
}
