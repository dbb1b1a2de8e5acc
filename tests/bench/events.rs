//! Events from POST to written, against `\copy` of the same rows; and what the runtime page costs then.

use crate::{process::peak_megabytes, quantile};
use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use stance_tests::{Client, Options, Stance};
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// Events of one request.
const BATCH: usize = 5_000;
/// Requests of one round, two million events; the first round and the last are compared.
const ROUND: usize = 400;
const ROUNDS: usize = 5;
/// Between two events of their own time: ten million are then of the last 14 hours.
const STEP: TimeDelta = TimeDelta::milliseconds(5);
/// How often a page is asked for.
const ASKED: usize = 30;

/// A request's lines: prompts, answers and tool calls of 200 agents, in runs of twelve steps, one every 5 ms from `first` on: as they
/// come, in the order of time.
fn lines(begin: usize, first: DateTime<Utc>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    for n in begin..begin + BATCH {
        let at = first + STEP * i32::try_from(n)?;
        let agent = format!("agent-{}", n / 12 % 200);
        let common = json!({ "id": n.to_string(), "at": at, "agent": agent, "session": format!("s-{}", n / 12) });
        let own = match n % 3 {
            0 => json!({ "kind": "PROMPT", "text": format!("Which train goes to town {n}?") }),
            1 => json!({ "kind": "RESPONSE", "model": "acme-chat", "usage": { "inputTokens": 20, "outputTokens": 40 },
                "durationMs": 350.5, "text": "The one at noon." }),
            _ => {
                json!({ "kind": "TOOL_CALL", "tool": { "server": "rail", "name": "timetable", "arguments": { "to": n } } })
            }
        };
        let (Value::Object(mut line), Value::Object(own)) = (common, own) else { continue };
        line.extend(own);
        serde_json::to_writer(&mut body, &line)?;
        body.push(b'\n');
    }
    Ok(body)
}

#[expect(clippy::cast_precision_loss, reason = "rates for a person")]
#[expect(clippy::print_stdout, reason = "a benchmark prints")]
pub async fn bench() -> Result<()> {
    let stance = Stance::start(Options { embedded: true, ..Options::default() }).await?;
    let client = stance.bootstrap("Bench", "bench@stance.test").await?.client;
    let now = client.graphql("{ viewer { now } }", json!({})).await?;
    let now: DateTime<Utc> = now["viewer"]["now"].as_str().context("no time")?.parse()?;
    let first = now - STEP * i32::try_from(ROUNDS * ROUND * BATCH)?;
    let mut rates = Vec::new();
    for round in 0..ROUNDS {
        let mut took = Duration::ZERO;
        for n in 0..ROUND {
            let body = lines((round * ROUND + n) * BATCH, first)?;
            let begin = Instant::now();
            send(&client, body).await?;
            took += begin.elapsed();
        }
        rates.push((ROUND * BATCH) as f64 / took.as_secs_f64());
    }
    let total = ROUNDS * ROUND * BATCH;
    println!("{total} events, {BATCH} a request, one connection, inspected and counted");
    for (round, rate) in rates.iter().enumerate() {
        println!("events {:>8} to {:>8}    {rate:>8.0} events/s", round * ROUND * BATCH, (round + 1) * ROUND * BATCH);
    }
    let copy = yardstick(&stance, total)?;
    let last = rates.last().copied().unwrap_or_default();
    println!(
        "yardstick: \\copy              {:>8.0} rows/s, into an event table with the same indexes",
        total as f64 / copy
    );
    println!("events / \\copy                {:>8.2}      (goal: at least 0.33)", last * copy / total as f64);
    println!("last round / first             {:>8.2}      (goal: about 1)", last / rates[0]);
    for (name, query) in [
        (
            "overview, 24 h",
            "{ runtime { events series { at } agents { agent { name } } detectors { rule } latency { count } } }",
        ),
        ("newest 100 events", "{ events(first: 100) { nodes { id verdict agent { name } } } }"),
        ("runs, newest 100", "{ agentSessions(first: 100) { nodes { name eventCount agent { name } } } }"),
    ] {
        let mut times = Vec::new();
        for _ in 0..ASKED {
            let begin = Instant::now();
            client.graphql(query, json!({})).await?;
            times.push(begin.elapsed().as_secs_f64() * 1000.0);
        }
        println!("{name:<30} {:>8.1} ms p50   (goal: below 200)", quantile(&mut times, 0.5));
    }
    println!("server memory, peak            {:>8} MB", peak_megabytes(stance.pid().context("no server")?)?);
    Ok(())
}

async fn send(client: &Client, body: Vec<u8>) -> Result<()> {
    let answer = client.request(Method::POST, "/api/v1/events").body(body).send().await?;
    let answer: Value = answer.error_for_status()?.json().await?;
    ensure!(answer["accepted"] == BATCH, "{answer}");
    Ok(())
}

/// Seconds that `\copy` of the events takes into a table with the same columns and indexes.
fn yardstick(stance: &Stance, rows: usize) -> Result<f64> {
    let file = tempfile::NamedTempFile::new()?;
    let url = stance.database_url();
    let psql = |script: &str| -> Result<()> {
        let status = Command::new("psql").args([&url, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", script]).status()?;
        ensure!(status.success(), "psql failed");
        Ok(())
    };
    psql("create table copied (like event including indexes)")?;
    psql(&format!("\\copy (select * from event) to '{}' (format binary)", file.path().display()))?;
    let begin = Instant::now();
    psql(&format!("\\copy copied from '{}' (format binary)", file.path().display()))?;
    let seconds = begin.elapsed().as_secs_f64();
    tokio::task::block_in_place(|| {
        tokio::runtime::Handle::current().block_on(async {
            let mut connection = PgConnection::connect(&url).await?;
            let found: i64 =
                sqlx::query_scalar(AssertSqlSafe("select count(*) from copied")).fetch_one(&mut connection).await?;
            ensure!(usize::try_from(found)? == rows, "{found} rows were copied");
            connection.execute("drop table copied").await?;
            Ok(())
        })
    })?;
    Ok(seconds)
}
