//! Findings as a file.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use stance_importers::generate;
use stance_tests::{Client, Import, Options, Stance};
use std::{collections::BTreeSet, io::Read as _};

/// Rule, level and message of each finding.
fn report(results: &[(&str, &str, &str)]) -> String {
    let results: Vec<Value> = results
        .iter()
        .map(|(rule, level, text)| {
            json!({ "ruleId": rule, "level": level, "message": { "text": text },
                "locations": [{ "physicalLocation": { "artifactLocation": { "uri": "a.py" } } }] })
        })
        .collect();
    json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "probe" } }, "results": results }] })
        .to_string()
}

async fn csv(client: &Client, query: &str) -> Result<Vec<csv::StringRecord>> {
    let answer = client.get(&format!("/api/v1/findings/export?{query}")).await?.error_for_status()?;
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"findings.csv\"");
    let text = answer.text().await?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(
        reader.headers()?.iter().take(8).collect::<Vec<_>>(),
        ["id", "fingerprint", "status", "severity", "layer", "risk", "title", "rule"]
    );
    Ok(reader.records().collect::<Result<_, _>>()?)
}

async fn ndjson(client: &Client, query: &str) -> Result<Vec<Value>> {
    let answer = client.get(&format!("/api/v1/findings/export?format=ndjson&{query}")).await?.error_for_status()?;
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    answer.text().await?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

const TITLE: usize = 6;

#[tokio::test]
async fn no_cell_of_a_table_runs_and_no_text_is_lost() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let texts = [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2+3",
        "@SUM(A1:A9)",
        "＝1+1",
        "a \"quoted\", text",
        "<script>alert(1)</script>",
        "a = 1",
    ];
    let rules: Vec<String> = (0..texts.len()).map(|n| format!("R{n}")).collect();
    let results: Vec<_> = rules.iter().zip(texts).map(|(rule, text)| (rule.as_str(), "error", text)).collect();
    let id = client.upload(report(&results), Import { asset: Some("=portal"), ..Import::default() }).await?;
    assert_eq!(client.finished(&id).await?["counts"]["new"], texts.len());

    let rows = csv(&client, "").await?;
    assert_eq!(rows.len(), texts.len());
    for cell in rows.iter().flat_map(csv::StringRecord::iter) {
        assert!(!cell.starts_with(['=', '+', '-', '@', '＝', '\t', '\r', '\n']), "{cell:?} would run");
    }
    let bare = |title: &str| title.trim_start_matches('\'').to_owned();
    let titles: BTreeSet<_> = rows.iter().map(|row| bare(&row[TITLE])).collect();
    assert_eq!(titles, texts.map(str::to_owned).into(), "an apostrophe is all that was added");
    // For programs nothing is changed.
    let lines = ndjson(&client, "").await?;
    let titles: BTreeSet<_> = lines.iter().filter_map(|line| line["title"].as_str()).collect();
    assert_eq!(titles, texts.into());
    assert!(lines.iter().all(|line| line["assetKey"] == "=portal" && line["tools"] == json!(["probe"])), "{lines:?}");
    Ok(())
}

#[tokio::test]
async fn a_file_has_what_the_filters_let_through() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let results = [("R1", "error", "one"), ("R2", "warning", "two"), ("R3", "note", "three")];
    let id = client.upload(report(&results), Import { asset: Some("portal"), ..Import::default() }).await?;
    client.finished(&id).await?;
    let other = client.upload(report(&results[..1]), Import { asset: Some("AGENT:bot"), ..Import::default() }).await?;
    client.finished(&other).await?;
    let found =
        client.graphql("{ findings(filter: { search: \"two\" }) { nodes { id asset { id } } } }", json!({})).await?;
    let two = &found["findings"]["nodes"][0];
    let input = json!({ "ids": [two["id"]], "action": "FALSE_POSITIVE", "reason": "test code" });
    client
        .graphql(
            "mutation($input: TriageInput!) { triageFindings(input: $input) { changed } }",
            json!({ "input": input }),
        )
        .await?;

    let asset = two["asset"]["id"].as_str().context("no asset")?;
    for (query, titles) in [
        ("", &["one", "one", "three", "two"][..]),
        ("severity=HIGH,LOW", &["one", "one", "three"]),
        ("status=FALSE_POSITIVE", &["two"]),
        ("status=OPEN&severity=MEDIUM", &[]),
        ("assetKind=AGENT", &["one"]),
        ("search=THR", &["three"]),
        ("tool=another", &[]),
        ("seenSince=2999-01-01T00:00:00Z", &[]),
        (&format!("asset={asset}"), &["one", "three", "two"]),
        (&format!("report=report:{other}"), &["one"]),
    ] {
        let mut exported: Vec<_> = csv(&client, query).await?.iter().map(|row| row[TITLE].to_owned()).collect();
        exported.sort_unstable();
        assert_eq!(exported, titles, "{query}");
        assert_eq!(ndjson(&client, query).await?.len(), titles.len(), "{query}");
    }
    let decided = ndjson(&client, "status=FALSE_POSITIVE").await?;
    assert_eq!(decided[0]["decisionReason"], "test code", "{decided:?}");
    for (query, word) in [
        ("severity=SEVERE", "CRITICAL"),
        ("color=red", "color"),
        ("format=xls", "format"),
        ("asset=finding:1", "asset:UUID"),
        ("seenSince=yesterday", "seenSince"),
    ] {
        let refused = client.get(&format!("/api/v1/findings/export?{query}")).await?;
        assert_eq!(refused.status(), 400, "{query}");
        let problem: Value = refused.json().await?;
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(word)), "{query}: {problem}");
    }
    Ok(())
}

#[tokio::test]
async fn a_large_file_is_streamed() -> Result<()> {
    const COUNT: u64 = 3000;
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let mut body = String::new();
    generate::sarif(COUNT, 7, generate::Order::Natural).read_to_string(&mut body)?;
    let id = client.upload(body, Import { asset: Some("portal"), ..Import::default() }).await?;
    assert_eq!(client.finished(&id).await?["counts"]["new"], COUNT);
    let mut answer = client.get("/api/v1/findings/export?format=ndjson").await?.error_for_status()?;
    // Its length is not known when it begins.
    assert_eq!((answer.content_length(), answer.headers().get("content-length")), (None, None));
    let (mut pieces, mut text) = (0, Vec::new());
    while let Some(piece) = answer.chunk().await? {
        pieces += 1;
        text.extend_from_slice(&piece);
    }
    assert!(pieces > 10, "{pieces} pieces");
    let lines: Vec<Value> = String::from_utf8(text)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let ids: BTreeSet<_> = lines.iter().filter_map(|line| line["id"].as_str()).collect();
    assert_eq!(ids.len() as u64, COUNT, "each once");
    let risks: Vec<f64> = lines.iter().filter_map(|line| line["risk"].as_f64()).collect();
    assert!(risks.is_sorted_by(|a, b| a >= b), "the highest risk first");
    Ok(())
}
