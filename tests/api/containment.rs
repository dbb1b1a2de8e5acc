//! An agent is contained, that is proven at every enforcement point, and it is released again.

use anyhow::{Context as _, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stance_tests::{Behavior, Client, Gateway, Options, Organization, Stance, wait_for};

const CONTAINMENT: &str = "id status reason policyHash provenAt failedAt releasedAt millisecondsToProven agents { name }
    points { phase status point { name kind } acknowledgedHash failure failedAt millisecondsToAcknowledged millisecondsToProven }";

async fn start() -> Result<(Stance, Organization)> {
    let arguments = vec!["--allow-private-webhooks".to_owned()];
    let stance = Stance::start(Options { arguments, ..Options::default() }).await?;
    let acme = stance.bootstrap("Acme", "owner@acme.test").await?;
    Ok((stance, acme))
}

/// A booking agent that delegates to a payment agent.
async fn agents(client: &Client) -> Result<Value> {
    let made = client
        .graphql(
            "mutation { upsertAssets(
                assets: [{ kind: AGENT, externalKey: \"booking\", name: \"booking\" }, { kind: AGENT, externalKey: \"payment\", name: \"payment\" }, { kind: AGENT, externalKey: \"other\", name: \"other\" }],
                relations: [{ from: { kind: AGENT, externalKey: \"booking\" }, kind: DELEGATES_TO, to: { kind: AGENT, externalKey: \"payment\" } },
                            { from: { kind: AGENT, externalKey: \"payment\" }, kind: DELEGATES_TO, to: { kind: AGENT, externalKey: \"booking\" } }]
            ) { assets { id name } } }",
            json!({}),
        )
        .await?;
    Ok(made["upsertAssets"]["assets"].clone())
}

fn id_of(agents: &Value, name: &str) -> Result<String> {
    let found = agents.as_array().and_then(|all| all.iter().find(|agent| agent["name"] == name));
    found.and_then(|agent| agent["id"].as_str()).map(str::to_owned).with_context(|| format!("{name} in {agents}"))
}

async fn quarantine(client: &Client, agent: &str, grade: &str) -> Result<String> {
    let order = format!(
        "mutation($a: ID!, $g: ContainmentGrade!) {{ quarantineAgent(agent: $a, grade: $g, reason: \"it was taken over\") {{ {CONTAINMENT} }} }}"
    );
    let made = client.graphql(&order, json!({ "a": agent, "g": grade })).await?;
    made["quarantineAgent"]["id"].as_str().map(str::to_owned).context("no id")
}

async fn release(client: &Client, id: &str) -> Result<()> {
    let order = "mutation($i: ID!) { releaseAgent(id: $i, reason: \"it was cleaned\") { status } }";
    let made = client.graphql(order, json!({ "i": id })).await?;
    anyhow::ensure!(made["releaseAgent"]["status"] == "RELEASING", "{made}");
    Ok(())
}

async fn reaches(client: &Client, id: &str, status: &str) -> Result<Value> {
    let query = format!("query($i: ID!) {{ containment(id: $i) {{ {CONTAINMENT} }} }}");
    let ask = || async {
        let found = client.graphql(&query, json!({ "i": id })).await.ok()?;
        (found["containment"]["status"] == status).then(|| found["containment"].clone())
    };
    match wait_for(&format!("the containment to be {status}"), 40, ask).await {
        Ok(found) => Ok(found),
        Err(error) => Err(error.context(client.graphql(&query, json!({ "i": id })).await?.to_string())),
    }
}

async fn inspect(client: &Client, body: &Value) -> Result<(StatusCode, Value)> {
    let answer = client.request(Method::POST, "/api/v1/inspect").json(body).send().await?;
    Ok((answer.status(), answer.json().await?))
}

async fn says(client: &Client, agent: &str) -> Result<Value> {
    let body = json!({ "agent": agent, "channel": "USER_INPUT", "text": "Which train goes to Lisbon?" });
    let (status, answer) = inspect(client, &body).await?;
    anyhow::ensure!(status == StatusCode::OK, "{answer}");
    Ok(answer)
}

fn of_point<'a>(containment: &'a Value, name: &str, phase: &str) -> Result<&'a Value> {
    let points = containment["points"].as_array().context("no points")?;
    let found = points.iter().find(|point| point["point"]["name"] == name && point["phase"] == phase);
    found.with_context(|| format!("{name} {phase} in {containment}"))
}

#[tokio::test]
async fn a_contained_agent_its_child_and_its_token_are_denied_until_it_is_released() -> Result<()> {
    let (stance, acme) = start().await?;
    let other = stance.bootstrap("Other", "owner@other.test").await?;
    let client = &acme.client;
    let agents = agents(client).await?;
    agents_of_other(&other.client).await?;
    let booking = id_of(&agents, "booking")?;
    let make = "mutation($a: ID!) { createApiToken(name: \"booking\", role: SENSOR, agent: $a) { secret token { agent { name } } } }";
    let made = client.graphql(make, json!({ "a": id_of(&agents, "payment")? })).await?;
    assert_eq!(made["createApiToken"]["token"]["agent"]["name"], "payment");
    let bound = Client::with_token(&stance.url, made["createApiToken"]["secret"].as_str().context("secret")?)?;
    assert_eq!(says(&bound, "nobody").await?["verdict"], "ALLOW");

    let preview = client
        .graphql(
            "query($a: ID!) { quarantinePreview(agent: $a) { agents { name } tokens points } }",
            json!({ "a": booking }),
        )
        .await?;
    assert_eq!(preview["quarantinePreview"]["tokens"], 1, "{preview}");
    assert_eq!(preview["quarantinePreview"]["points"], 1, "this server: {preview}");

    let id = quarantine(client, &booking, "BLOCK_ALL").await?;
    let proven = reaches(client, &id, "PROVEN").await?;
    println!("proven in {} ms", proven["millisecondsToProven"]);
    assert_eq!(proven["points"].as_array().map(Vec::len), Some(1));
    let point = &proven["points"][0];
    assert_eq!((&point["status"], &point["acknowledgedHash"]), (&json!("PROVEN"), &proven["policyHash"]), "{proven}");
    for agent in ["booking", " BOOKING/ ", "payment"] {
        let answer = says(client, agent).await?;
        assert_eq!(answer["verdict"], "BLOCK", "{agent}: {answer}");
        let first = &answer["detections"][0];
        assert_eq!(first["rule"], "containment");
        let told = first["reason"].as_str().context("no reason")?;
        let uuid = id.rsplit(':').next().unwrap_or_default();
        assert!(told.contains(uuid) && told.contains("BLOCK_ALL") && told.contains("taken over"), "{told}");
    }
    assert_eq!(says(client, "other").await?["verdict"], "ALLOW");
    assert_eq!(says(&other.client, "booking").await?["verdict"], "ALLOW", "another organization's agent of that name");
    let (status, problem) = inspect(&bound, &json!({ "channel": "MEMORY", "text": "x" })).await?;
    assert_eq!(status, StatusCode::FORBIDDEN, "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("contained")), "{problem}");
    let refused = other.client.graphql_raw("query($i: ID!) { containment(id: $i) { id } }", json!({ "i": id })).await?;
    assert_eq!(refused["data"]["containment"], Value::Null, "of another organization");

    // What was asked is an event; what proves it is none.
    let events = wait_for("three events of contained agents", 20, || async {
        let found = client
            .graphql(
                "{ events(filter: { rule: \"containment\" }) { totalCount } events2: events { totalCount } }",
                json!({}),
            )
            .await
            .ok()?;
        (found["events2"]["totalCount"] == 5).then_some(found)
    })
    .await?;
    assert_eq!(events["events"]["totalCount"], 3, "{events}");

    release(client, &id).await?;
    let released = reaches(client, &id, "RELEASED").await?;
    assert_eq!(released["points"].as_array().map(Vec::len), Some(2), "the steps of both ways are kept: {released}");
    assert_eq!(says(client, "booking").await?["verdict"], "ALLOW");
    assert_eq!(says(client, "payment").await?["verdict"], "ALLOW");
    assert_eq!(says(&bound, "nobody").await?["verdict"], "ALLOW", "the token works again");
    let again = client
        .graphql_raw("mutation($i: ID!) { releaseAgent(id: $i, reason: \"again\") { id } }", json!({ "i": id }))
        .await?;
    assert_eq!(again["errors"][0]["extensions"]["code"], "CONFLICT", "{again}");
    Ok(())
}

async fn agents_of_other(client: &Client) -> Result<()> {
    agents(client).await.map(|_| ())
}

#[tokio::test]
async fn lighter_grades_leave_the_rest_alone() -> Result<()> {
    let (_stance, acme) = start().await?;
    let client = &acme.client;
    let agents = agents(client).await?;
    let tool =
        |name: &str, arguments: Value| json!({ "agent": "booking", "tool": { "name": name, "arguments": arguments } });
    let calls =
        [tool("search", json!({ "q": "trains" })), tool("fetch", json!({ "url": "https://elsewhere.example/x" }))];
    for (grade, expected) in
        [("TOOLS_ONLY", [true, true]), ("EGRESS_ONLY", [false, true]), ("HUMAN_APPROVAL", [true, true])]
    {
        let id = quarantine(client, &id_of(&agents, "booking")?, grade).await?;
        reaches(client, &id, "PROVEN").await?;
        assert_eq!(says(client, "booking").await?["verdict"], "ALLOW", "{grade}");
        for (call, expected) in calls.iter().zip(expected) {
            let (_, answer) = inspect(client, call).await?;
            assert_eq!(answer["verdict"] == "BLOCK", expected, "{grade}: {answer}");
        }
        if grade == "HUMAN_APPROVAL" {
            let (_, answer) = inspect(client, &calls[0]).await?;
            let reason = answer["detections"][0]["reason"].as_str().context("reason")?;
            let call = reason.split("(call ").nth(1).and_then(|rest| rest.split(')').next()).context("call")?;
            let approve = "mutation($i: ID!, $c: String!) { approveToolCall(containment: $i, call: $c, reason: \"seen\") { id } }";
            client.graphql(approve, json!({ "i": id, "c": call })).await?;
            wait_for("the approved call to pass", 10, || async {
                let (_, answer) = inspect(client, &calls[0]).await.ok()?;
                (answer["verdict"] == "ALLOW").then_some(())
            })
            .await?;
            let (_, answer) = inspect(client, &calls[1]).await?;
            assert_eq!(answer["verdict"], "BLOCK", "another call: {answer}");
        }
        release(client, &id).await?;
        reaches(client, &id, "RELEASED").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_point_that_does_not_prove_it_fails_with_its_reason_and_may_prove_it_later() -> Result<()> {
    let (_stance, acme) = start().await?;
    let client = &acme.client;
    let agents = agents(client).await?;
    let register = "mutation($n: String!, $u: String!) { registerEnforcementPoint(name: $n, url: $u) { secret } }";
    let mut gateways = Vec::new();
    for (name, behavior) in [
        ("honest", Behavior::Honest),
        ("other", Behavior::OtherHash),
        ("lets-pass", Behavior::LetsPass),
        ("broken", Behavior::Broken),
        ("silent", Behavior::Silent),
    ] {
        let gateway = Gateway::start(behavior).await?;
        let made = client.graphql(register, json!({ "n": name, "u": gateway.url })).await?;
        assert!(
            made["registerEnforcementPoint"]["secret"].as_str().is_some_and(|secret| secret.starts_with("stance_ep_"))
        );
        gateways.push(gateway);
    }
    let id = quarantine(client, &id_of(&agents, "booking")?, "BLOCK_ALL").await?;
    let query = format!("query($i: ID!) {{ containment(id: $i) {{ {CONTAINMENT} }} }}");
    let failed = wait_for("four points to fail", 40, || async {
        let found = client.graphql(&query, json!({ "i": id })).await.ok()?["containment"].take();
        let failed = found["points"].as_array()?.iter().filter(|point| !point["failure"].is_null()).count();
        (failed == 4).then_some(found)
    })
    .await?;
    assert_eq!(failed["status"], "FAILED", "never PROVEN: {failed}");
    assert_eq!(of_point(&failed, "honest", "CONTAIN")?["status"], "PROVEN", "{failed}");
    for (name, reason) in [
        ("other", "It enforces another policy"),
        ("lets-pass", "It let the canary call in the name of booking pass."),
        ("broken", "with the status 500"),
        ("silent", "within"),
    ] {
        let point = of_point(&failed, name, "CONTAIN")?;
        assert!(point["failure"].as_str().is_some_and(|failure| failure.contains(reason)), "{name}: {point}");
        assert_ne!(point["status"], "PROVEN", "{name}: {point}");
    }
    assert!(gateways[0].header("stance-signature").starts_with("t="), "{}", gateways[0].header("stance-signature"));
    assert_eq!(says(client, "booking").await?["verdict"], "BLOCK", "what does enforce it goes on");
    for gateway in &gateways {
        gateway.behave(Behavior::Honest);
    }
    let proven = reaches(client, &id, "PROVEN").await?;
    let point = of_point(&proven, "lets-pass", "CONTAIN")?;
    assert!(point["status"] == "PROVEN" && !point["failure"].is_null(), "the failure stays in the record: {point}");
    release(client, &id).await?;
    let released = reaches(client, &id, "RELEASED").await?;
    assert_eq!(of_point(&released, "silent", "RELEASE")?["status"], "PROVEN", "{released}");
    Ok(())
}

#[tokio::test]
async fn a_sensor_asks_for_its_orders_and_proves_them() -> Result<()> {
    let (stance, acme) = start().await?;
    let client = &acme.client;
    let agents = agents(client).await?;
    let booking = id_of(&agents, "booking")?;
    let made = client
        .graphql(
            "mutation($a: ID!) { registerSensor(name: \"gateway\", asset: $a) { sensor { id } token } }",
            json!({ "a": booking }),
        )
        .await?;
    let sensor = Client::with_token(&stance.url, made["registerSensor"]["token"].as_str().context("token")?)?;
    client
        .graphql(
            "mutation($s: ID!) { registerEnforcementPoint(name: \"gateway\", sensor: $s) { secret } }",
            json!({ "s": made["registerSensor"]["sensor"]["id"] }),
        )
        .await?;
    let id = quarantine(client, &booking, "BLOCK_ALL").await?;
    let fetch =
        || async { anyhow::Ok(sensor.get("/api/v1/containment").await?.error_for_status()?.json::<Value>().await?) };
    let told = fetch().await?;
    assert!(!told["point"].is_null(), "{told}");
    assert_eq!(told["canaries"].as_array().map(Vec::len), Some(2), "agent and child: {told}");
    let acknowledge = |hash: Value, denied: bool| {
        let outcomes: Vec<Value> = told["canaries"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|canary| json!({ "nonce": canary["nonce"], "denied": denied }))
            .collect();
        let body = json!({ "hash": hash, "outcomes": outcomes });
        let sensor = sensor.clone();
        async move {
            let request = sensor.request(Method::POST, "/api/v1/containment/acknowledgements").json(&body);
            anyhow::Ok(request.send().await?.error_for_status()?.json::<Value>().await?)
        }
    };
    let taken = acknowledge(json!("f".repeat(64)), true).await?;
    assert_eq!(taken["failed"], 1, "another hash: {taken}");
    let failed = reaches(client, &id, "FAILED").await?;
    assert!(
        of_point(&failed, "gateway", "CONTAIN")?["failure"].as_str().is_some_and(|why| why.contains("another policy"))
    );
    let taken = acknowledge(told["hash"].clone(), false).await?;
    assert_eq!(taken["failed"], 1, "let the canary pass: {taken}");
    let taken = acknowledge(told["hash"].clone(), true).await?;
    assert_eq!(taken["proven"], 1, "{taken}");
    reaches(client, &id, "PROVEN").await?;
    Ok(())
}

#[tokio::test]
async fn a_containment_ends_by_itself_and_that_is_proven_too() -> Result<()> {
    let (_stance, acme) = start().await?;
    let client = &acme.client;
    let agents = agents(client).await?;
    let order = "mutation($a: ID!, $e: DateTime!) { quarantineAgent(agent: $a, grade: BLOCK_ALL, reason: \"for a moment\", expiresAt: $e) { id } }";
    let now = client.graphql("{ viewer { now } }", json!({})).await?;
    let now: chrono::DateTime<chrono::Utc> = now["viewer"]["now"].as_str().context("now")?.parse()?;
    let expires = now + chrono::Duration::seconds(4);
    let made = client.graphql(order, json!({ "a": id_of(&agents, "booking")?, "e": expires })).await?;
    let id = made["quarantineAgent"]["id"].as_str().context("id")?;
    reaches(client, id, "PROVEN").await?;
    assert_eq!(says(client, "booking").await?["verdict"], "BLOCK");
    let expired = reaches(client, id, "EXPIRED").await?;
    assert!(!expired["releasedAt"].is_null());
    assert_eq!(says(client, "booking").await?["verdict"], "ALLOW");
    Ok(())
}
