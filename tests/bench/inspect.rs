//! `/api/v1/inspect` with 1 KB texts, events written, beside a bare axum handler that echoes the same body.

use crate::{process::peak_megabytes, quantile};
use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use stance_tests::{Client, Options, Stance};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

const CONNECTIONS: usize = 16;
const REQUESTS: usize = 20_000;
const WARM_UP: usize = 500;

/// Ordinary texts of about 1 KB, no two the same.
fn body(n: usize) -> Vec<u8> {
    let line = "The quarterly figures of the northern region are in the shared folder, and the team meets on Thursday to go through them. ";
    let text = format!("Note {n}: {}", line.repeat(8));
    json!({ "agent": format!("agent-{}", n % 20), "session": format!("s-{}", n % 500), "channel": "USER_INPUT", "text": text })
        .to_string()
        .into_bytes()
}

/// How fast, and how long each request took, in milliseconds.
struct Run {
    per_second: f64,
    times: Vec<f64>,
}

/// So many requests over so many connections, as fast as they go or at a rate.
#[expect(clippy::cast_precision_loss, reason = "rates for a person")]
async fn run(client: &Client, path: &'static str, requests: usize, per_second: Option<f64>) -> Result<Run> {
    let next = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now();
    let workers = (0..CONNECTIONS).map(|_| {
        let (client, next) = (client.clone(), next.clone());
        async move {
            let mut times = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= requests {
                    return Ok::<_, anyhow::Error>(times);
                }
                if let Some(rate) = per_second {
                    tokio::time::sleep_until((begin + Duration::from_secs_f64(n as f64 / rate)).into()).await;
                }
                let asked = Instant::now();
                let request =
                    client.request(Method::POST, path).header("content-type", "application/json").body(body(n));
                request.send().await?.error_for_status()?.bytes().await?;
                times.push(asked.elapsed().as_secs_f64() * 1000.0);
            }
        }
    });
    let times: Vec<f64> = futures::future::try_join_all(workers).await?.concat();
    Ok(Run { per_second: requests as f64 / begin.elapsed().as_secs_f64(), times })
}

#[expect(clippy::print_stdout, reason = "a benchmark prints")]
pub async fn bench() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let bare = Client::anonymous(&format!("http://{}", listener.local_addr()?))?;
    let echo = axum::Router::new().route("/echo", axum::routing::post(|body: axum::body::Bytes| async move { body }));
    #[expect(clippy::disallowed_methods, reason = "the yardstick ends with the benchmark")]
    tokio::spawn(async move { axum::serve(listener, echo).await });
    let stance = Stance::start(Options { embedded: true, ..Options::default() }).await?;
    let client = stance.bootstrap("Bench", "bench@stance.test").await?.client;
    run(&bare, "/echo", WARM_UP, None).await?;
    run(&client, "/api/v1/inspect", WARM_UP, None).await?;

    println!("{REQUESTS} requests of 1 KB over {CONNECTIONS} connections     requests/s    p50 ms    p99 ms");
    let mut rates = Vec::new();
    for (name, client, path) in [("bare axum, echo", &bare, "/echo"), ("/api/v1/inspect", &client, "/api/v1/inspect")] {
        let mut run = run(client, path, REQUESTS, None).await?;
        rates.push(run.per_second);
        let (p50, p99) = (quantile(&mut run.times, 0.5), quantile(&mut run.times, 0.99));
        println!("{name:<44} {:>12.0} {p50:>9.2} {p99:>9.2}", run.per_second);
    }
    let mut half = run(&client, "/api/v1/inspect", REQUESTS / 4, Some(rates[1] / 2.0)).await?;
    let (p50, p99) = (quantile(&mut half.times, 0.5), quantile(&mut half.times, 0.99));
    println!("{:<44} {:>12.0} {p50:>9.2} {p99:>9.2}", "/api/v1/inspect at half load", half.per_second);
    println!("inspect / bare                 {:>8.2}      (goal: at least 0.33)", rates[1] / rates[0]);
    println!("p99 at half load               {p99:>8.2} ms   (goal: below 5)");
    let asked = u64::try_from(WARM_UP + REQUESTS + REQUESTS / 4)?;
    let written = stance_tests::wait_for("all events to be written", 120, || async {
        let found: Value = client.graphql("{ events { totalCount } }", json!({})).await.ok()?;
        found["events"]["totalCount"].as_u64().filter(|count| *count >= asked)
    })
    .await?;
    ensure!(written == asked, "{written} events of {asked} requests");
    println!("events written                 {written:>8}      (one for each request)");
    println!("server memory, peak            {:>8} MB", peak_megabytes(stance.pid().context("no server")?)?);
    Ok(())
}
