//! What is told while it happens, and to whom.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use stance_tests::{Client, Import, Options, Stance, Subscription};
use std::time::Duration;

/// A report of one finding that was never seen before; gives its id.
async fn upload(client: &Client) -> Result<String> {
    let rule = uuid::Uuid::new_v4().simple().to_string();
    let result = json!({ "ruleId": rule, "level": "error", "message": { "text": "found" },
        "locations": [{ "physicalLocation": { "artifactLocation": { "uri": "a.py" } } }] });
    let run = json!({ "tool": { "driver": { "name": "probe" } }, "results": [result] });
    let body = json!({ "version": "2.1.0", "runs": [run] }).to_string();
    let id = client.upload(body, Import { asset: Some("portal"), ..Import::default() }).await?;
    ensure!(client.finished(&id).await?["status"] == "DONE");
    Ok(format!("report:{id}"))
}

/// Subscribes, and makes things happen until they are heard of.
async fn listening(client: &Client, query: &str) -> Result<Subscription> {
    let mut subscription = Subscription::open(client, query, json!({})).await?.context("not let in")?;
    for _ in 0..20 {
        upload(client).await?;
        if subscription.next(Duration::from_secs(1)).await?.is_some() {
            return Ok(subscription);
        }
    }
    anyhow::bail!("the subscription gave nothing")
}

/// All events up to the first that `last` knows.
async fn heard(subscription: &mut Subscription, last: impl Fn(&Value) -> bool) -> Result<Vec<Value>> {
    let mut events = Vec::new();
    loop {
        let event = subscription.next(Duration::from_secs(30)).await?.context("no event came")?;
        ensure!(event.get("errors").is_none(), "{event}");
        let ended = last(&event["data"]);
        events.push(event["data"].clone());
        if ended {
            return Ok(events);
        }
    }
}

const REPORTS: &str = "subscription { reports { id status tool counts { new } assets { name } } }";
const FINDINGS: &str = "subscription { findings { ids count } }";

fn done(id: &str) -> impl Fn(&Value) -> bool {
    move |data| data["reports"]["id"] == id && data["reports"]["status"] == "DONE"
}

#[tokio::test]
async fn a_report_is_followed_to_its_end_and_its_findings_are_named() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let mut reports = listening(&client, REPORTS).await?;
    let mut findings = listening(&client, FINDINGS).await?;

    let id = upload(&client).await?;
    let events = heard(&mut reports, done(&id)).await?;
    let last = &events.last().context("no event")?["reports"];
    assert_eq!((&last["tool"], &last["counts"]["new"]), (&json!("probe"), &json!(1)), "{last}");
    assert_eq!(last["assets"][0]["name"], "portal", "{last}");

    let query = "query($id: ID!) { report(id: $id) { findings { nodes { id } } } }";
    let found = client.graphql(query, json!({ "id": id })).await?;
    let mut ids: Vec<&str> = found["report"]["findings"]["nodes"]
        .as_array()
        .context("no findings")?
        .iter()
        .filter_map(|n| n["id"].as_str())
        .collect();
    ids.sort_unstable();
    // Ids grow with time, so the last is the one that was just made.
    let newest = *ids.last().context("no finding")?;
    let named = |data: &Value| data["findings"]["ids"].as_array().is_some_and(|ids| ids.iter().any(|id| id == newest));
    heard(&mut findings, named).await?;
    Ok(())
}

#[tokio::test]
async fn who_only_listens_is_kept_as_long_as_it_answers() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let mut reports = listening(&client, REPORTS).await?;
    // Longer than the server lets anybody be silent; what is heard is only the last of what began the listening.
    let end = tokio::time::Instant::now() + Duration::from_secs(35);
    while reports.next(end - tokio::time::Instant::now()).await?.is_some() {}
    let id = upload(&client).await?;
    heard(&mut reports, done(&id)).await?;
    Ok(())
}

#[tokio::test]
async fn what_happens_in_another_organization_is_not_heard_of() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let acme = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let other = stance.bootstrap("Other", "owner@other.test").await?.client;
    let mut own = listening(&acme, REPORTS).await?;
    let (mut reports, mut findings) = (listening(&other, REPORTS).await?, listening(&other, FINDINGS).await?);

    let secret = upload(&acme).await?;
    heard(&mut own, done(&secret)).await?;
    // Events come in the order of their commits: what is heard up to this one is all that there was.
    let fence = upload(&other).await?;
    let events = heard(&mut reports, done(&fence)).await?;
    let all = "{ reports(first: 100) { nodes { id } } findings(first: 100) { nodes { id } } }";
    let known = other.graphql(all, json!({})).await?.to_string();
    let newest = other.graphql("{ findings(first: 1, sort: { key: FIRST_SEEN }) { nodes { id } } }", json!({})).await?;
    let newest = newest["findings"]["nodes"][0]["id"].clone();
    let changed =
        heard(&mut findings, |data| data["findings"]["ids"].as_array().is_some_and(|ids| ids.contains(&newest)))
            .await?;
    let ids = events.iter().map(|data| &data["reports"]["id"]);
    for id in ids.chain(changed.iter().flat_map(|data| data["findings"]["ids"].as_array().into_iter().flatten())) {
        assert!(known.contains(id.as_str().context("no id")?), "{id} is not of this organization");
    }
    Ok(())
}

#[tokio::test]
async fn only_who_may_see_a_topic_may_follow_it_and_only_as_long() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let owner = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let token = async |role: &str, scopes: &[&str]| -> Result<(Value, Client)> {
        let create = "mutation($r: Role!, $s: [String!]) { createApiToken(name: \"t\", role: $r, scopes: $s) { secret token { id } } }";
        let made = owner.graphql(create, json!({ "r": role, "s": scopes })).await?;
        let secret = made["createApiToken"]["secret"].as_str().context("no secret")?;
        Ok((made["createApiToken"]["token"]["id"].clone(), Client::with_token(&stance.url, secret)?))
    };
    for nobody in [Client::anonymous(&stance.url)?, Client::with_token(&stance.url, "stance_not-a-token")?] {
        assert!(Subscription::open(&nobody, REPORTS, json!({})).await?.is_none());
    }
    // A sensor may read the reports that it sent; this one may do no more than send.
    let (_, sensor) = token("SENSOR", &["report:import"]).await?;
    for topic in [REPORTS, FINDINGS] {
        let mut subscription = Subscription::open(&sensor, topic, json!({})).await?.context("not let in")?;
        let refused = subscription.next(Duration::from_secs(20)).await?.context("no answer")?;
        assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN", "{refused}");
    }

    // A token that is revoked while it listens hears no more.
    let (id, analyst) = token("ANALYST", &[]).await?;
    let mut subscription = listening(&analyst, FINDINGS).await?;
    owner.graphql("mutation($id: ID!) { revokeApiToken(id: $id) { id } }", json!({ "id": id })).await?;
    upload(&owner).await?;
    let refused = async {
        loop {
            let event = subscription.next(Duration::from_secs(20)).await?.context("no event")?;
            if event.get("errors").is_some() {
                return Ok::<_, anyhow::Error>(event);
            }
        }
    };
    let refused = refused.await?;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{refused}");
    Ok(())
}
