//! Assets that two tools call by two names: merged, asked for by either, and split again.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use stance_tests::{Client, Import, Options, Stance};

fn report(rules: &[&str]) -> String {
    let result = |rule: &&str| {
        json!({ "ruleId": rule, "level": "error", "message": { "text": format!("{rule} is wrong") },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": "a.py" }, "region": { "startLine": 1 } } }] })
    };
    json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "probe" } }, "results": rules.iter().map(result).collect::<Vec<_>>() }] })
        .to_string()
}

async fn import(client: &Client, asset: &str, rules: &[&str]) -> Result<[i64; 5]> {
    let id = client.upload(report(rules), Import { asset: Some(asset), ..Import::default() }).await?;
    let report = client.finished(&id).await?;
    Ok(["new", "updated", "reopened", "resolved", "unchanged"].map(|key| report["counts"][key].as_i64().unwrap_or(-1)))
}

async fn assets(client: &Client, key: &str) -> Result<Vec<Value>> {
    let query =
        "query($key: String) { assets(filter: { externalKey: $key }) { nodes { id externalKey openFindings { total }
        aliases { id externalKey name by } alike { externalKey } } } }";
    let found = client.graphql(query, json!({ "key": key })).await?;
    found["assets"]["nodes"].as_array().cloned().context("no assets")
}

#[tokio::test]
async fn an_asset_under_two_names_is_merged_and_split_again() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    assert_eq!(
        import(&client, "APPLICATION:https://github.com/Acme/Portal.git", &["R1", "R2"]).await?,
        [2, 0, 0, 0, 0]
    );
    // The same repository, written in another way.
    assert_eq!(import(&client, "APPLICATION:git@github.com:acme/portal", &["R1", "R2"]).await?, [0, 0, 0, 0, 2]);
    assert_eq!(import(&client, "APPLICATION:portal", &["R2", "R3"]).await?, [2, 0, 0, 0, 0]);
    let (repository, portal) =
        (assets(&client, "https://github.com/acme/portal").await?, assets(&client, "PORTAL").await?);
    assert_eq!((repository.len(), portal.len()), (1, 1));
    let (repository, portal) = (&repository[0], &portal[0]);
    // Their names are keys: the last part of one is the other.
    assert_eq!(repository["alike"], json!([{ "externalKey": "portal" }]));

    let merge = "mutation($keep: ID!, $others: [ID!]!) { mergeAssets(keep: $keep, others: $others) { id openFindings { total } } }";
    let ids = json!({ "keep": portal["id"], "others": [repository["id"]] });
    let merged = client.graphql(merge, ids).await?;
    assert_eq!(merged["mergeAssets"], json!({ "id": portal["id"], "openFindings": { "total": 3 } }));
    for key in ["portal", "https://github.com/acme/portal/"] {
        let found = assets(&client, key).await?;
        assert_eq!((found.len(), &found[0]["id"]), (1, &portal["id"]), "{key}");
        assert_eq!(found[0]["aliases"][0]["externalKey"], "https://github.com/Acme/Portal.git");
        assert_eq!(found[0]["alike"], json!([]));
    }
    let old = client.graphql("query($id: ID!) { asset(id: $id) { id } }", json!({ "id": repository["id"] })).await?;
    assert_eq!(old["asset"]["id"], portal["id"], "a link to what was merged leads to what it became part of");
    assert_eq!(import(&client, "portal", &["R2", "R3"]).await?, [0, 0, 0, 0, 2]);
    assert_eq!(
        import(&client, "APPLICATION:https://github.com/acme/portal", &["R1", "R2", "R4"]).await?,
        [1, 0, 0, 0, 2]
    );

    let split = "mutation($asset: ID!, $alias: ID!) { splitAsset(asset: $asset, alias: $alias) {
        asset { id openFindings { total } } split { id externalKey openFindings { total } aliases { id } } } }";
    let ids = json!({ "asset": portal["id"], "alias": repository["id"] });
    let apart = client.graphql(split, ids.clone()).await?;
    assert_eq!(
        apart["splitAsset"],
        json!({ "asset": { "id": portal["id"], "openFindings": { "total": 2 } },
            "split": { "id": repository["id"], "externalKey": "https://github.com/Acme/Portal.git", "openFindings": { "total": 3 }, "aliases": [] } })
    );
    let again = client.graphql_raw(split, ids).await?;
    assert_eq!(again["errors"][0]["extensions"]["code"], "NOT_FOUND", "{again}");
    Ok(())
}
