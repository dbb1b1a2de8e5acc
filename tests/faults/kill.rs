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
