//! The names and shapes that outside clients rely on.

mod compose;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use stance_tests::{Client, Options, Stance};
use std::collections::BTreeMap;

/// The contract's names that exist so far; later slices add theirs.
const QUERIES: &[&str] = &["posture", "assets", "asset", "findings", "finding", "reports", "report", "node"];
const MUTATIONS: &[&str] = &["upsertAssets", "ingestFindings", "importReport", "triageFindings"];
const ENUMS: &[(&str, &[&str])] = &[
    ("Layer", &["DATA", "MODEL", "APPLICATION", "RUNTIME"]),
    ("Severity", &["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFO"]),
    ("AssetKind", &["APPLICATION", "AGENT", "MODEL", "DATASET", "TOOL", "MCP_SERVER", "KNOWLEDGE_BASE", "PROMPT"]),
    ("FindingStatus", &["OPEN", "IN_PROGRESS", "RESOLVED", "FALSE_POSITIVE", "RISK_ACCEPTED"]),
    ("ReportStatus", &["ACCEPTED", "STAGING", "MERGING", "DONE", "FAILED"]),
];

#[tokio::test]
async fn graphql_keeps_its_names() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let schema =
        client.graphql("{ __schema { types { name fields { name } enumValues { name } } } }", json!({})).await?;
    let names = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|f| f["name"].as_str().map(str::to_owned)).collect()
    };
    let types = schema["__schema"]["types"].as_array().context("no types")?;
    let types: BTreeMap<&str, &Value> = types.iter().filter_map(|t| Some((t["name"].as_str()?, t))).collect();
    let (queries, mutations) = (names(&types["Query"]["fields"]), names(&types["Mutation"]["fields"]));
    for name in QUERIES {
        assert!(queries.iter().any(|q| q == name), "query {name} is missing");
    }
    for name in MUTATIONS {
        assert!(mutations.iter().any(|m| m == name), "mutation {name} is missing");
    }
    for (name, members) in ENUMS {
        let mut have = names(&types.get(name).with_context(|| format!("enum {name} is missing"))?["enumValues"]);
        let mut want: Vec<String> = members.iter().map(ToString::to_string).collect();
        have.sort();
        want.sort();
        assert_eq!(have, want, "enum {name}");
    }
    Ok(())
}

#[tokio::test]
async fn public_documents_are_where_they_were_promised() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = Client::anonymous(&stance.url)?;
    let openapi: Value = client.get("/api/openapi.json").await?.error_for_status()?.json().await?;
    for path in ["/api/v1/reports", "/api/v1/reports/{id}"] {
        assert!(openapi["paths"][path].is_object(), "{path} is not in the OpenAPI document");
    }
    let schema: Value = client.get("/api/schemas/findings.json").await?.error_for_status()?.json().await?;
    assert!(schema["$schema"].is_string(), "{schema}");
    assert!(client.get("/api/docs/").await?.status().is_success());
    Ok(())
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = Client::anonymous(&stance.url)?;
    for path in ["/sign-in", "/setup", "/no-such-page", "/healthz", "/api/v1/reports/x", "/api/docs/"] {
        let answer = client.get(path).await?;
        let headers = answer.headers();
        let csp =
            headers.get("content-security-policy").with_context(|| format!("{path} has no CSP"))?.to_str()?.to_owned();
        let scripts = csp
            .split(';')
            .map(str::trim)
            .find(|d| d.starts_with("script-src"))
            .or_else(|| csp.split(';').find(|d| d.contains("default-src")));
        assert!(
            scripts.is_some_and(|d| !d.contains("'unsafe-inline'") && !d.contains("'unsafe-eval'")),
            "{path}: {csp}"
        );
        assert!(csp.contains("frame-ancestors 'none'"), "{path}: {csp}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert!(headers.contains_key("referrer-policy"), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn a_post_from_another_site_is_refused() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = Client::anonymous(&stance.url)?;
    for path in ["/auth/sign-in", "/graphql"] {
        let answer = client
            .request(reqwest::Method::POST, path)
            .header("Origin", "https://evil.test")
            .header("Sec-Fetch-Site", "cross-site")
            .header("Cookie", "id=x")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body("email=a&password=b")
            .send()
            .await?;
        assert_eq!(answer.status(), 403, "{path}");
    }
    Ok(())
}
