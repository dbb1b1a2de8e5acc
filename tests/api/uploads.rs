//! The other two doors of reports, GraphQL's upload and `ingestFindings`, and the limit that all three keep.

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};
use stance_tests::{Import, Options, Stance};

const IMPORT: &str = "mutation($file: Upload!, $asset: String, $format: String! = \"auto\") {
    importReport(file: $file, asset: $asset, format: $format) { id status filename bytes sha256 } }";
const INGEST: &str =
    "mutation($input: IngestFindingsInput!) { ingestFindings(input: $input) { report { status counts { new } } } }";

fn report(results: u32) -> String {
    let result = |line: u32| {
        json!({ "ruleId": format!("R{line}"), "level": "error", "message": { "text": format!("\"<Ä>\" in line {line}") },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": "a.py" }, "region": { "startLine": line } } }] })
    };
    let results: Vec<Value> = (0..results).map(|n| result(n + 1)).collect();
    json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "probe" } }, "results": results }] })
        .to_string()
}

#[tokio::test]
async fn a_file_of_a_form_is_imported_as_it_is() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let body = report(3);
    let answer = client.graphql_upload(IMPORT, json!({ "asset": "portal" }), "scan.sarif", &body).await?;
    let accepted = &answer["data"]["importReport"];
    assert_eq!((&accepted["filename"], &accepted["bytes"]), (&json!("scan.sarif"), &json!(body.len())), "{answer}");
    let id = accepted["id"].as_str().and_then(|id| id.strip_prefix("report:")).context("no id")?;
    let report = client.finished(id).await?;
    assert_eq!((&report["status"], &report["counts"]["new"]), (&json!("DONE"), &json!(3)), "{report}");
    // The same bytes by the other door are the same findings.
    let id = client.upload(body, Import { asset: Some("portal"), ..Import::default() }).await?;
    assert_eq!(client.finished(&id).await?["counts"]["unchanged"], 3);
    let titles = client.graphql("{ findings { nodes { description } } }", json!({})).await?.to_string();
    assert!(titles.contains("<Ä>"), "{titles}");
    Ok(())
}

#[tokio::test]
async fn forms_that_are_none_say_what_is_wrong() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    for (variables, field) in [(json!({ "format": "nope" }), "format"), (json!({ "asset": "a\nb" }), "asset")] {
        let answer = client.graphql_upload(IMPORT, variables, "scan.sarif", &report(1)).await?;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_INPUT", "{answer}");
        assert_eq!(answer["errors"][0]["extensions"]["fields"][0]["field"], field, "{answer}");
    }
    let empty = client.graphql_upload(IMPORT, json!({}), "scan.sarif", "").await?;
    assert!(empty["errors"][0]["message"].as_str().is_some_and(|m| m.contains("empty")), "{empty}");
    let request = client.request(Method::POST, "/graphql").header("content-type", "multipart/form-data; boundary=x");
    let answer = request.body("--x\r\nnothing").send().await?;
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["content-type"].to_str()?),
        (400, "application/problem+json")
    );
    let none = client.graphql("{ reports { totalCount } }", json!({})).await?;
    assert_eq!(none["reports"]["totalCount"], 0);
    Ok(())
}

#[tokio::test]
async fn every_door_keeps_the_operators_limit_and_says_so_alike() -> Result<()> {
    let arguments = vec!["--max-report-bytes".to_owned(), "5000".to_owned()];
    let stance = Stance::start(Options { arguments, ..Options::default() }).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let (small, large) = (report(2), report(40));
    assert!(small.len() < 5000 && large.len() > 5000);
    let finding = |n: u32| {
        json!({ "asset": { "kind": "AGENT", "externalKey": "bot" }, "rule": format!("r{n}"), "layer": "MODEL", "severity": "LOW",
            "title": "a title that is long enough", "description": "some words" })
    };
    // What is said of the asset beyond what a report says is stored by another way: not before the size is known either.
    let input = |count: u32| {
        json!({ "input": { "tool": "t", "assets": [{ "kind": "AGENT", "externalKey": "bot", "criticality": "HIGH" }],
            "findings": (0..count).map(finding).collect::<Vec<_>>() } })
    };

    let rest = client.request(Method::POST, "/api/v1/reports").body(large.clone()).send().await?;
    assert_eq!(rest.status(), 413);
    let rest: Value = rest.json().await?;
    let said = "A report may have at most 5000 bytes.";
    assert_eq!((&rest["code"], &rest["detail"]), (&json!("TOO_LARGE"), &json!(said)), "{rest}");
    let form = client.graphql_upload(IMPORT, json!({}), "scan.sarif", &large).await?;
    assert_eq!((&form["code"], &form["detail"]), (&json!("TOO_LARGE"), &json!(said)), "{form}");
    let ingest = client.graphql_raw(INGEST, input(40)).await?;
    let error = &ingest["errors"][0];
    assert_eq!((&error["extensions"]["code"], &error["message"]), (&json!("TOO_LARGE"), &json!(said)), "{ingest}");
    let none =
        client.graphql("{ reports { totalCount } findings { totalCount } assets { totalCount } }", json!({})).await?;
    assert_eq!(
        none,
        json!({ "reports": { "totalCount": 0 }, "findings": { "totalCount": 0 }, "assets": { "totalCount": 0 } })
    );

    let taken = client.graphql_upload(IMPORT, json!({ "asset": "portal" }), "scan.sarif", &small).await?;
    assert!(taken.get("errors").is_none(), "{taken}");
    let taken = client.graphql(INGEST, input(2)).await?;
    assert_eq!(taken["ingestFindings"]["report"]["counts"]["new"], 2, "{taken}");
    Ok(())
}
