//! Decisions, and that they survive the next report.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use stance_tests::{Client, Import, Options, Stance};

const REPORT: &str = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"probe"}},"results":[
 {"ruleId":"R1","level":"error","message":{"text":"one"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.py"},"region":{"startLine":1}}}]},
 {"ruleId":"R2","level":"warning","message":{"text":"two"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"b.py"},"region":{"startLine":1}}}]}]}]}"#;

async fn import(client: &Client) -> Result<Value> {
    let id = client.upload(REPORT, Import { asset: Some("portal"), ..Import::default() }).await?;
    client.finished(&id).await
}

async fn statuses(client: &Client) -> Result<Vec<(String, String, String)>> {
    let data = client
        .graphql("{ findings(sort: {key: SEVERITY, direction: ASC}) { nodes { id rule status } } }", json!({}))
        .await?;
    let nodes = data["findings"]["nodes"].as_array().context("no nodes")?;
    Ok(nodes
        .iter()
        .map(|n| [&n["id"], &n["rule"], &n["status"]].map(|v| v.as_str().unwrap_or_default().to_owned()).into())
        .collect())
}

const TRIAGE: &str =
    "mutation($input: TriageInput!) { triageFindings(input: $input) { changed batch findings { status } } }";

#[tokio::test]
async fn a_decision_survives_the_same_report_and_can_be_undone() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    import(&client).await?;
    let findings = statuses(&client).await?;
    assert_eq!(findings.len(), 2, "{findings:?}");
    let id = &findings[0].0;
    let input = json!({ "input": { "ids": [id], "action": "FALSE_POSITIVE", "reason": "test code" } });
    let done = client.graphql(TRIAGE, input).await?;
    assert_eq!(done["triageFindings"]["changed"], 1);
    assert_eq!(done["triageFindings"]["findings"][0]["status"], "FALSE_POSITIVE");
    let again = import(&client).await?;
    assert_eq!(again["counts"]["unchanged"], 2, "{again}");
    assert_eq!(statuses(&client).await?[0].2, "FALSE_POSITIVE");
    let batch = &done["triageFindings"]["batch"];
    let undone =
        client.graphql("mutation($b: ID!) { undoTriage(batch: $b) { changed } }", json!({ "b": batch })).await?;
    assert_eq!(undone["undoTriage"]["changed"], 1);
    assert_eq!(statuses(&client).await?[0].2, "OPEN");
    let history =
        client.graphql("query($id: ID!) { finding(id: $id) { history { kind actor } } }", json!({ "id": id })).await?;
    let kinds: Vec<&str> = history["finding"]["history"]
        .as_array()
        .context("history")?
        .iter()
        .filter_map(|e| e["kind"].as_str())
        .collect();
    assert!(kinds.contains(&"DECIDED") && kinds.contains(&"UNDONE") && kinds.contains(&"CREATED"), "{kinds:?}");
    Ok(())
}

#[tokio::test]
async fn accepting_a_risk_needs_an_end_and_an_approver() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    import(&client).await?;
    let id = statuses(&client).await?[0].0.clone();
    let members = client.graphql("{ members { user { id } } }", json!({})).await?;
    let owner = &members["members"][0]["user"]["id"];
    let accept = |expires_at: Value, approver: &Value| json!({ "ids": [id], "action": "ACCEPT_RISK", "reason": "known", "expiresAt": expires_at, "approver": approver });
    for (input, field) in [
        (accept(Value::Null, owner), "expiresAt"),
        (accept("2001-01-01T00:00:00Z".into(), owner), "expiresAt"),
        (accept("2001-01-01T00:00:00Z".into(), &Value::Null), "approver"),
        (json!({ "ids": [id], "action": "FALSE_POSITIVE" }), "reason"),
    ] {
        let answer = client.graphql_raw(TRIAGE, json!({ "input": input })).await?;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_INPUT", "{answer}");
        assert!(answer["errors"][0]["message"].as_str().is_some_and(|m| m.contains(field)), "{answer}");
    }
    assert_eq!(statuses(&client).await?[0].2, "OPEN");
    Ok(())
}
