//! 100,000 SARIF findings from POST to merged, against `\copy` of the same rows into an identically indexed table.

use crate::process::{cpu_seconds, peak_megabytes};
use anyhow::{Context as _, Result, ensure};
use stance_importers::generate::{Order, sarif};
use stance_tests::{Client, Import, Options, Stance};
use std::{io::Read as _, process::Command, time::Instant};

const FINDINGS: u64 = 100_000;
/// Of a report that is so large that whoever holds it in memory would be seen.
const MANY: u64 = 500_000;
/// What a finding's tables hold; generated columns can not be copied.
const TABLES: [&str; 2] = ["finding", "occurrence"];

struct Run {
    seconds: f64,
    cpu: f64,
}

#[expect(clippy::cast_precision_loss, reason = "rates for a person")]
#[expect(clippy::print_stdout, reason = "a benchmark prints")]
pub async fn run() -> Result<()> {
    let stance = Stance::start(Options { embedded: true, ..Options::default() }).await?;
    let client = stance.bootstrap("Bench", "bench@stance.test").await?.client;
    let pid = stance.pid().context("no server")?;
    let postmaster = postmaster(&stance)?;
    println!(
        "{FINDINGS} SARIF findings, {} MB a report, 2 findings tables with their indexes",
        report(false)?.len() / 1_000_000
    );
    let mut runs = Vec::new();
    for (name, shuffled, new) in [("first import", false, FINDINGS), ("the same, another order", true, 0)] {
        let run = import(&client, pid, postmaster, report(shuffled)?, new).await?;
        println!(
            "{name:<26} {:>8.0} findings/s  {:>6.1} µs CPU a finding (server + PostgreSQL)  {:>6.2} s",
            FINDINGS as f64 / run.seconds,
            run.cpu * 1e6 / FINDINGS as f64,
            run.seconds
        );
        runs.push(run);
    }
    let memory = peak_megabytes(pid)?;
    let copy = yardstick(&stance)?;
    println!(
        "{:<26} {:>8.0} rows/s, into both tables, without foreign keys and row level security",
        "yardstick: \\copy",
        FINDINGS as f64 / copy
    );
    println!("first import / \\copy       {:>8.2}      (goal: at least 0.25)", copy / runs[0].seconds);
    println!("re-import / first import   {:>8.2}      (goal: at least 1)", runs[0].seconds / runs[1].seconds);
    println!("server memory, peak        {memory:>8} MB   (goal: below 150)");
    let mut body = Vec::new();
    sarif(MANY, 1 << 40, Order::Natural).read_to_end(&mut body)?;
    let megabytes = body.len() / 1_000_000;
    import(&client, pid, postmaster, body, MANY).await?;
    println!("the same, {MANY} findings in {megabytes} MB {:>8} MB   (goal: below 150)", peak_megabytes(pid)?);
    Ok(())
}

fn report(shuffled: bool) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    let order = if shuffled { Order::Shuffled } else { Order::Natural };
    sarif(FINDINGS, 7, order).read_to_end(&mut body)?;
    Ok(body)
}

async fn import(client: &Client, server: u32, postmaster: u32, body: Vec<u8>, new: u64) -> Result<Run> {
    // The embedded PostgreSQL may or may not be a child of the server: count each process once.
    let cpu = || -> Result<f64> {
        let both = cpu_seconds(server)?;
        Ok(if descends(postmaster, server) { both } else { both + cpu_seconds(postmaster)? })
    };
    let (cpu_before, begin) = (cpu()?, Instant::now());
    let id = client
        .upload(body, Import { asset: Some("APPLICATION:bench"), filename: Some("bench.sarif"), ..Import::default() })
        .await?;
    let report = stance_tests::wait_for("the report to finish", 900, || async {
        let report = client.report(&id).await.ok()?;
        matches!(report["status"].as_str(), Some("DONE" | "FAILED")).then_some(report)
    })
    .await?;
    let seconds = begin.elapsed().as_secs_f64();
    ensure!(report["status"] == "DONE" && report["counts"]["new"] == new, "{report}");
    Ok(Run { seconds, cpu: cpu()? - cpu_before })
}

fn descends(pid: u32, ancestor: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok())
        .is_some_and(|parent| parent == ancestor)
}

fn postmaster(stance: &Stance) -> Result<u32> {
    let text = std::fs::read_to_string(stance.data_dir().join("postgres/postmaster.pid"))?;
    Ok(text.lines().next().context("an empty pid file")?.parse()?)
}

/// Seconds that `\copy` takes for the rows of all findings tables.
fn yardstick(stance: &Stance) -> Result<f64> {
    let text = std::fs::read_to_string(stance.data_dir().join("postgres/postmaster.pid"))?;
    let lines: Vec<&str> = text.lines().collect();
    let (port, socket) = (lines.get(3).context("no port")?, lines.get(4).context("no socket")?);
    let user = std::env::var("STANCE_BENCH_PGUSER").unwrap_or_else(|_| "stance".into());
    let psql = |sql: &str| -> Result<String> {
        let output = Command::new("psql")
            .args(["-h", socket, "-p", port, "-U", &user, "-d", "stance", "-v", "ON_ERROR_STOP=1", "-qAt", "-c", sql])
            .output()
            .context("psql is needed for the yardstick")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let mut seconds = 0.0;
    for table in TABLES {
        let columns = psql(&format!(
            "select string_agg(quote_ident(attname), ',' order by attnum) from pg_attribute where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped and attgenerated = ''"
        ))?;
        let file = stance.data_dir().parent().context("no folder")?.join(format!("{table}.copy"));
        psql(&format!("create table yardstick_{table} (like {table} including all)"))?;
        psql(&format!("\\copy (select {columns} from {table}) to '{}'", file.display()))?;
        let begin = Instant::now();
        psql(&format!("\\copy yardstick_{table} ({columns}) from '{}'", file.display()))?;
        seconds += begin.elapsed().as_secs_f64();
    }
    Ok(seconds)
}
