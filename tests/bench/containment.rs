//! From the request to PROVEN with 50 enforcement points over HTTP, each of which acknowledges the policy and denies a canary call.

use crate::quantile;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use stance_tests::{Behavior, Client, Gateway, Options, Stance, wait_for};

const POINTS: usize = 50;
const RUNS: usize = 100;
const WARM_UP: usize = 3;

const CONTAINMENT: &str = "status requestedAt millisecondsToProven points { phase status dispatchedAt millisecondsToDispatched millisecondsToAcknowledged millisecondsToProven }";

async fn reaches(client: &Client, id: &str, status: &str) -> Result<Value> {
    let query = format!("query($i: ID!) {{ containment(id: $i) {{ {CONTAINMENT} }} }}");
    wait_for(status, 60, || async {
        let found = client.graphql(&query, json!({ "i": id })).await.ok()?;
        (found["containment"]["status"] == status).then(|| found["containment"].clone())
    })
    .await
}

#[expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a benchmark prints figures for a person")]
pub async fn bench() -> Result<()> {
    let arguments = vec!["--allow-private-webhooks".to_owned()];
    let stance = Stance::start(Options { embedded: true, arguments }).await?;
    let client = stance.bootstrap("Bench", "bench@stance.test").await?.client;
    for n in 0..POINTS {
        let gateway = Gateway::start(Behavior::Honest).await?;
        let register =
            "mutation($n: String!, $u: String!) { registerEnforcementPoint(name: $n, url: $u) { point { id } } }";
        client.graphql(register, json!({ "n": format!("gateway-{n}"), "u": gateway.url })).await?;
    }
    let upsert = "mutation { upsertAssets(assets: [{ kind: AGENT, externalKey: \"bench\", name: \"bench\" }]) { assets { id } } }";
    let agent = client.graphql(upsert, json!({})).await?["upsertAssets"]["assets"][0]["id"].clone();
    let (mut total, mut acknowledged, mut each, mut released) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for run in 0..WARM_UP + RUNS {
        let order = "mutation($a: ID!) { quarantineAgent(agent: $a, grade: BLOCK_ALL, reason: \"bench\") { id } }";
        let made = client.graphql(order, json!({ "a": agent })).await?;
        let id = made["quarantineAgent"]["id"].as_str().context("no id")?.to_owned();
        let proven = reaches(&client, &id, "PROVEN").await?;
        let points = proven["points"].as_array().context("no points")?;
        ensure!(points.len() == POINTS + 1, "{} points", points.len());
        ensure!(points.iter().all(|point| point["status"] == "PROVEN"), "not all points are proven: {proven}");
        let release = "mutation($i: ID!) { releaseAgent(id: $i, reason: \"bench\") { id } }";
        client.graphql(release, json!({ "i": id })).await?;
        let end = reaches(&client, &id, "RELEASED").await?;
        if run < WARM_UP {
            continue;
        }
        let figure = |value: &Value| value.as_i64().map(|ms| ms as f64).context("no figure");
        total.push(figure(&proven["millisecondsToProven"])?);
        for point in points {
            acknowledged.push(figure(&point["millisecondsToAcknowledged"])?);
            each.push(figure(&point["millisecondsToProven"])?);
        }
        let last = end["points"].as_array().into_iter().flatten().filter(|point| point["phase"] == "RELEASE");
        let last = last.filter_map(|point| point["millisecondsToProven"].as_i64()).max().context("no release")?;
        released.push(last as f64);
    }
    println!("{RUNS} containments, {POINTS} points over HTTP and this server's own        p50 ms    p99 ms");
    for (name, times) in [
        ("request → acknowledged, each point", &mut acknowledged),
        ("request → proven, each point", &mut each),
        ("request → PROVEN, all points", &mut total),
        ("release → proven, all points", &mut released),
    ] {
        let (p50, p99) = (quantile(times, 0.5), quantile(times, 0.99));
        println!("{name:<68} {p50:>7.0} {p99:>9.0}");
    }
    println!(
        "goal: request → PROVEN below 1000 ms at p99: {}",
        if quantile(&mut total, 0.99) < 1000.0 { "met" } else { "MISSED" }
    );
    Ok(())
}
