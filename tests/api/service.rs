//! The service as its operator sees it.

use anyhow::Result;
use serde_json::{Value, json};
use stance_tests::{Client, Options, Stance};

#[tokio::test]
async fn a_new_server_is_ready_and_takes_an_organization_beside_its_work() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let anonymous = Client::anonymous(&stance.url)?;
    assert_eq!(anonymous.get("/healthz").await?.status(), 200);
    let ready: Value = anonymous.get("/readyz").await?.json().await?;
    assert!(ready.is_object(), "{ready}");

    let acme = stance.bootstrap("Acme", "owner@acme.test").await?;
    let data = acme
        .client
        .graphql("{ viewer { role organization { id name } } posture { risk grade completeness layers { layer risk openFindings } } }", json!({}))
        .await?;
    assert_eq!(data["viewer"]["role"], "OWNER");
    assert_eq!(data["viewer"]["organization"]["name"], "Acme");
    assert_eq!(data["posture"]["risk"], Value::Null, "unassessed is unknown, not zero");
    assert_eq!(data["posture"]["layers"].as_array().map(Vec::len), Some(4));
    Ok(())
}

#[tokio::test]
async fn without_credentials_nothing_is_told() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    stance.bootstrap("Acme", "owner@acme.test").await?;
    for client in [Client::anonymous(&stance.url)?, Client::with_token(&stance.url, "stance_not-a-token")?] {
        let answer = client
            .request(reqwest::Method::POST, "/graphql")
            .json(&json!({ "query": "{ viewer { role } }" }))
            .send()
            .await?;
        assert_eq!(answer.status(), 401);
        let report = client.request(reqwest::Method::POST, "/api/v1/reports").body("{}").send().await?;
        assert_eq!(report.status(), 401);
        assert_eq!(report.headers()["content-type"], "application/problem+json");
        let page = client.get("/findings").await?;
        assert!(page.status().is_redirection() || page.status() == 401, "{}", page.status());
    }
    Ok(())
}

#[tokio::test]
async fn sigterm_ends_the_server_in_order() -> Result<()> {
    let mut stance = Stance::start(Options::default()).await?;
    let begin = std::time::Instant::now();
    assert_eq!(stance.terminate().await?, Some(0), "{}", stance.log());
    assert!(begin.elapsed().as_secs() < 11, "took {:?}", begin.elapsed());
    Ok(())
}

#[tokio::test]
async fn another_organization_is_not_there() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let acme = stance.bootstrap("Acme", "owner@acme.test").await?;
    let other = stance.bootstrap("Other", "owner@other.test").await?;
    let created = acme
        .client
        .graphql(
            "mutation { upsertAssets(assets: [{kind: AGENT, externalKey: \"a\"}]) { created assets { id } } }",
            json!({}),
        )
        .await?;
    assert_eq!(created["upsertAssets"]["created"], 1);
    let id = created["upsertAssets"]["assets"][0]["id"].clone();
    let foreign = other
        .client
        .graphql_raw("query($id: ID!) { asset(id: $id) { name } node(id: $id) { id } }", json!({ "id": id }))
        .await?;
    let missing_id = format!("asset:{}", uuid::Uuid::new_v4());
    let missing = other
        .client
        .graphql_raw("query($id: ID!) { asset(id: $id) { name } node(id: $id) { id } }", json!({ "id": missing_id }))
        .await?;
    assert_eq!(foreign, missing, "a foreign id and a missing id answer the same");
    assert_eq!(foreign["data"]["asset"], Value::Null);
    Ok(())
}
