use anyhow::{Context as _, Result};
use serde_json::json;
use stance_tests::{Import, Options, Stance, wait_for};
use std::fmt::Write as _;

/// A report of so many findings, all different.
pub fn many(findings: usize) -> String {
    let mut body =
        String::from(r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"probe","rules":[]}},"results":["#);
    for n in 0..findings {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(
            body,
            r#"{comma}{{"ruleId":"R{}","level":"warning","message":{{"text":"problem number {n} of many, with a text of usual length"}},"locations":[{{"physicalLocation":{{"artifactLocation":{{"uri":"src/m{}/f{n}.py"}},"region":{{"startLine":{}}}}}}}]}}"#,
            n % 50,
            n % 1000,
            n % 400 + 1
        );
    }
    body + "]}]}"
}

#[tokio::test]
async fn a_server_killed_in_the_middle_of_an_import_finishes_it_after_restart() -> Result<()> {
    const FINDINGS: usize = 100_000;
    let mut stance = Stance::start(Options { embedded: true, ..Options::default() }).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let id = client.upload(many(FINDINGS), Import { asset: Some("portal"), ..Import::default() }).await?;
    let status = wait_for("the import to be under way", 60, || async {
        let report = client.report(&id).await.ok()?;
        matches!(report["status"].as_str(), Some("STAGING" | "MERGING")).then(|| report["status"].clone())
    })
    .await?;
    stance.kill().await?;
    println!("killed while {status}");
    stance.start_again().await?;
    let report = client.finished(&id).await?;
    assert_eq!(report["status"], "DONE", "{report}\n{}", stance.log());
    assert_eq!(report["counts"]["new"], FINDINGS);
    let total = client.graphql("{ findings(first: 1) { totalCount } }", json!({})).await?;
    assert_eq!(total["findings"]["totalCount"], FINDINGS, "nothing lost, nothing twice");
    Ok(())
}

#[tokio::test]
async fn two_servers_on_one_directory_refuse_clearly() -> Result<()> {
    let stance = Stance::start(Options { embedded: true, ..Options::default() }).await?;
    let output = stance.command("serve")?.args(["--listen", "127.0.0.1:0"]).output().await?;
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let pid = stance.pid().context("no pid")?.to_string();
    assert!(text.contains(&pid), "the message names the process {pid}: {text}");
    Ok(())
}

#[tokio::test]
async fn a_killed_server_restarts_on_its_data() -> Result<()> {
    let mut stance = Stance::start(Options { embedded: true, ..Options::default() }).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    client
        .graphql("mutation { upsertAssets(assets: [{kind: MODEL, externalKey: \"m\"}]) { created } }", json!({}))
        .await?;
    stance.kill().await?;
    stance.start_again().await?;
    let data = client.graphql("{ assets { nodes { externalKey } } }", json!({})).await?;
    assert_eq!(data["assets"]["nodes"], json!([{ "externalKey": "m" }]));
    Ok(())
}

/// What the guard answered is an event, also when the server is told to end right behind.
#[tokio::test]
async fn no_event_is_lost_when_the_server_is_told_to_end() -> Result<()> {
    const ASKED: usize = 400;
    let mut stance = Stance::start(Options { embedded: true, ..Options::default() }).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let ask = |n: usize| {
        let body = json!({ "agent": "bot", "channel": "USER_INPUT", "text": format!("Which train goes to town {n}?") });
        let request = client.request(reqwest::Method::POST, "/api/v1/inspect").json(&body);
        async move { Ok::<_, anyhow::Error>(request.send().await?.error_for_status()?) }
    };
    futures::future::try_join_all((0..ASKED).map(ask)).await?;
    assert_eq!(stance.terminate().await?, Some(0), "{}", stance.log());
    stance.start_again().await?;
    let found = client.graphql("{ events { totalCount } }", json!({})).await?;
    assert_eq!(found["events"]["totalCount"], ASKED);
    Ok(())
}

/// What is in the queue when the server is killed is lost, and nothing else: what was answered longer ago than the writer lingers and
/// a transaction takes is there.
#[tokio::test]
async fn a_killed_server_loses_only_the_events_of_the_last_moment() -> Result<()> {
    let mut stance = Stance::start(Options { embedded: true, ..Options::default() }).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let body =
        |n: usize| json!({ "agent": "bot", "channel": "USER_INPUT", "text": format!("Which train goes to town {n}?") });
    let ask = |n: usize| client.request(reqwest::Method::POST, "/api/v1/inspect").json(&body(n)).send();
    for n in 0..50 {
        ask(n).await?.error_for_status()?;
    }
    let count =
        async || client.graphql("{ events { totalCount } }", json!({})).await.ok()?["events"]["totalCount"].as_u64();
    wait_for("the first fifty are written", 20, || async { count().await.filter(|count| *count == 50) }).await?;
    futures::future::try_join_all((50..100).map(ask)).await?;
    stance.kill().await?;
    stance.start_again().await?;
    let left = count().await.context("no count")?;
    println!("killed right behind 50 answers: {} of them were written", left - 50);
    assert!((50..=100).contains(&left), "{left}");
    Ok(())
}
