//! Several processes on one database: some answer, some work; any of them may end.

use crate::kill::many;
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use stance_tests::{Client, Import, Options, Stance, wait_for};
use std::time::{Duration, Instant};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

async fn terminate(mut child: Child) -> Result<Option<i32>> {
    let pid = child.id().context("it ended already")?.to_string();
    ensure!(Command::new("kill").args(["-TERM", &pid]).status().await?.success());
    Ok(timeout(Duration::from_secs(15), child.wait()).await.context("SIGTERM did not end it")??.code())
}

async fn done(client: &Client, ids: &[String]) -> Result<usize> {
    let mut done = 0;
    for id in ids {
        done += usize::from(client.report(id).await?["status"] == "DONE");
    }
    Ok(done)
}

#[tokio::test]
async fn workers_share_the_reports_and_a_killed_one_takes_none_with_it() -> Result<()> {
    const FINDINGS: usize = 2000;
    let stance = Stance::start(Options { arguments: vec!["--no-worker".into()], ..Options::default() }).await?;
    // Imports of one organization come one after the other; those of several at once.
    let mut clients = Vec::new();
    for name in ["Acme", "Beta", "Gamma"] {
        clients.push(stance.bootstrap(name, &format!("owner@{name}.test").to_lowercase()).await?.client);
    }
    let mut uploaded = Vec::new();
    for client in &clients {
        let mut ids = Vec::new();
        for asset in ["one", "two", "three"] {
            ids.push(client.upload(many(FINDINGS), Import { asset: Some(asset), ..Import::default() }).await?);
        }
        uploaded.push(ids);
    }
    for (client, ids) in clients.iter().zip(&uploaded) {
        for id in ids {
            assert_eq!(client.report(id).await?["status"], "ACCEPTED", "nobody works");
        }
    }

    let (mut first, second) = (stance.worker(&[])?, stance.worker(&[])?);
    wait_for("the first reports to be done", 120, || async {
        let mut sum = 0;
        for (client, ids) in clients.iter().zip(&uploaded) {
            sum += done(client, ids).await.ok()?;
        }
        (sum > 0).then_some(())
    })
    .await?;
    first.kill().await?;
    for (client, ids) in clients.iter().zip(&uploaded) {
        for id in ids {
            let report = client.finished(id).await?;
            assert_eq!((&report["status"], &report["counts"]["new"]), (&json!("DONE"), &json!(FINDINGS)), "{report}");
        }
        let total = client.graphql("{ findings(first: 1) { totalCount } deadLetters { id } }", json!({})).await?;
        assert_eq!(total, json!({ "findings": { "totalCount": 3 * FINDINGS }, "deadLetters": [] }));
    }
    assert_eq!(terminate(second).await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_server_told_to_stop_in_the_middle_of_an_import_stops_in_time_and_goes_on_later() -> Result<()> {
    const FINDINGS: usize = 60_000;
    let mut stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let id = client.upload(many(FINDINGS), Import { asset: Some("portal"), ..Import::default() }).await?;
    wait_for("the import to be under way", 60, || async {
        matches!(client.report(&id).await.ok()?["status"].as_str(), Some("STAGING" | "MERGING")).then_some(())
    })
    .await?;
    let begin = Instant::now();
    assert_eq!(stance.terminate().await?, Some(0), "{}", stance.log());
    assert!(begin.elapsed() < Duration::from_secs(11), "took {:?}", begin.elapsed());
    stance.start_again().await?;
    let report = client.finished(&id).await?;
    assert_eq!((&report["status"], &report["counts"]["new"]), (&json!("DONE"), &json!(FINDINGS)), "{report}");
    let total = client.graphql("{ findings(first: 1) { totalCount } deadLetters { id } }", json!({})).await?;
    assert_eq!(total, json!({ "findings": { "totalCount": FINDINGS }, "deadLetters": [] }));
    Ok(())
}
