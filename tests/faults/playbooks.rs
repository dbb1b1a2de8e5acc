//! A playbook's run, with the server, its worker or the database killed at the boundary of every step: each effect once.

use anyhow::{Context as _, Result};
use axum::{Router, extract::State, http::HeaderMap, routing::post};
use serde_json::{Value, json};
use stance_tests::{Client, Options, Stance, wait_for};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::{process::Child, sync::Notify};

/// Every kind of effect that needs no incident, with a task before each, so that the test says when it begins.
const PLAYBOOK: &str = "{ id: crash, title: Crash, summary: s, version: 1, trigger: { on: manual }, steps: [
  { id: t1, title: T1, task: { role: ANALYST, instructions: i } },
  { id: revoke-one, title: R1, action: revoke-tokens, with: { names: [victim-1] } },
  { id: t2, title: T2, task: { role: ANALYST, instructions: i } },
  { id: hook-one, title: H1, action: webhook, with: { channel: hook }, retry: { times: 3, after: 1s } },
  { id: t3, title: T3, approval: { role: RESPONDER, question: q } },
  { id: tell, title: Tell, action: notify, with: { title: told, text: t } },
  { id: open, title: Open, action: open-incident, with: { title: It opens, text: t, severity: HIGH } },
  { id: t4, title: T4, task: { role: ANALYST, instructions: i, choices: [go, stay] } },
  { id: fork, title: F, branch: { arms: [{ if: answer.t4 == \"go\", go-to: both }], otherwise: end } },
  { id: both, title: B, parallel: [
    { id: revoke-two, title: R2, action: revoke-tokens, with: { names: [victim-2] } },
    { id: hook-two, title: H2, action: create-ticket, with: { channel: hook, title: t, text: x }, retry: { times: 3, after: 1s } },
    { id: pause, title: W, wait: 1s } ] },
  { id: t5, title: T5, task: { role: ANALYST, instructions: i } } ] }";

/// Notes what came, by key; holds its answers back while it is told to.
#[derive(Clone, Default)]
struct Receiver {
    sends: Arc<Mutex<BTreeMap<String, u32>>>,
    hold: Arc<Mutex<bool>>,
    came: Arc<Notify>,
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap) -> String {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    let held = receiver.hold.lock().is_ok_and(|mut hold| std::mem::take(&mut *hold));
    if let Ok(mut sends) = receiver.sends.lock() {
        *sends.entry(key).or_default() += 1;
    }
    receiver.came.notify_one();
    if held {
        // The sender will be dead before this is over.
        std::future::pending::<()>().await;
    }
    json!({ "url": "https://tickets.example/1" }).to_string()
}

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Server,
    Database,
    /// A process that only works on jobs; the server leaves them to it.
    Worker,
}

const PRIVATE: &str = "--allow-private-webhooks";

async fn strike(stance: &mut Stance, worker: &mut Option<Child>, victim: Victim) -> Result<()> {
    match victim {
        Victim::Worker => {
            if let Some(worker) = worker {
                worker.kill().await?;
            }
            *worker = Some(stance.worker(&[PRIVATE])?);
            Ok(())
        }
        Victim::Server => {
            stance.kill().await?;
            stance.start_again().await
        }
        Victim::Database => {
            let pidfile = std::fs::read_to_string(stance.data_dir().join("postgres/postmaster.pid"))?;
            let pid = pidfile.lines().next().context("no pid")?;
            anyhow::ensure!(std::process::Command::new("kill").args(["-9", pid]).status()?.success());
            let client = Client::anonymous(&stance.url)?;
            wait_for("the database to be back", 60, || async {
                let now = std::fs::read_to_string(stance.data_dir().join("postgres/postmaster.pid")).ok()?;
                (now.lines().next() != Some(pid)).then_some(())?;
                client.get("/readyz").await.ok().filter(|answer| answer.status().is_success()).map(drop)
            })
            .await
        }
    }
}

async fn states(client: &Client, run: &str) -> Option<BTreeMap<String, String>> {
    let query = "query($id: ID!) { playbookRun(id: $id) { status steps { step { id } state } } }";
    let found = client.graphql(query, json!({ "id": run })).await.ok()?;
    let run = &found["playbookRun"];
    let mut states: BTreeMap<String, String> = run["steps"]
        .as_array()?
        .iter()
        .filter_map(|step| Some((step["step"]["id"].as_str()?.to_owned(), step["state"].as_str()?.to_owned())))
        .collect();
    states.insert("run".to_owned(), run["status"].as_str()?.to_owned());
    Some(states)
}

/// Answers the step that waits, and asks again when the server died before it answered.
async fn answer(client: &Client, run: &str, step: &str) -> Result<Value> {
    let (mutation, variables) = match step {
        "t3" => (
            "mutation($r: ID!, $s: String!) { approvePlaybookStep(run: $r, step: $s, approve: true) { id } }",
            json!({ "r": run, "s": step }),
        ),
        "t4" => (
            "mutation($r: ID!, $s: String!) { completePlaybookTask(run: $r, step: $s, answer: \"go\") { id } }",
            json!({ "r": run, "s": step }),
        ),
        _ => (
            "mutation($r: ID!, $s: String!) { completePlaybookTask(run: $r, step: $s) { id } }",
            json!({ "r": run, "s": step }),
        ),
    };
    client.graphql(mutation, variables).await
}

#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tells the figures; the receiver ends with its test"
)]
async fn crash(victim: Victim) -> Result<()> {
    let receiver = Receiver::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let hook = format!("http://{}/", listener.local_addr()?);
    let app = Router::new().route("/", post(receive)).with_state(receiver.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let mut arguments = vec![PRIVATE.to_owned()];
    arguments.extend((victim == Victim::Worker).then(|| "--no-worker".to_owned()));
    let mut stance = Stance::start(Options { embedded: true, arguments }).await?;
    let mut worker = if victim == Victim::Worker { Some(stance.worker(&[PRIVATE])?) } else { None };
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    for name in ["victim-1", "victim-2"] {
        let make = "mutation($n: String!) { createApiToken(name: $n, role: VIEWER) { token { id } } }";
        client.graphql(make, json!({ "n": name })).await?;
    }
    let channel = "mutation($i: NotificationChannelInput!) { saveNotificationChannel(input: $i) { channel { id } } }";
    client.graphql(channel, json!({ "i": { "kind": "WEBHOOK", "name": "hook", "url": hook } })).await?;
    let saved =
        client.graphql("mutation($s: String!) { savePlaybook(source: $s) { id } }", json!({ "s": PLAYBOOK })).await?;
    let begin = "mutation($id: ID!) { runPlaybook(id: $id) { id } }";
    let started = client.graphql(begin, json!({ "id": saved["savePlaybook"]["id"] })).await?;
    let run = started["runPlaybook"]["id"].as_str().context("no run")?.to_owned();
    let mut kills = 0;
    for (step, next) in [("t1", "t2"), ("t2", "t3"), ("t3", "t4"), ("t4", "t5"), ("t5", "run")] {
        wait_for(&format!("{step} to wait"), 120, || async {
            states(&client, &run).await.filter(|states| states[step] == "STARTED").map(drop)
        })
        .await
        .with_context(|| stance.log())?;
        // At the boundary before it is answered.
        strike(&mut stance, &mut worker, victim).await?;
        // What goes out while its sender dies comes again.
        let outside = matches!(step, "t2" | "t4");
        if let (true, Ok(mut hold)) = (outside, receiver.hold.lock()) {
            *hold = true;
        }
        answer(&client, &run, step).await?;
        if outside {
            tokio::time::timeout(std::time::Duration::from_secs(60), receiver.came.notified()).await?;
        }
        // And right behind the answer, wherever the worker has come by then.
        strike(&mut stance, &mut worker, victim).await?;
        kills += 2;
        wait_for(&format!("{next} after {step}"), 120, || async {
            let states = states(&client, &run).await?;
            (if next == "run" { states["run"] == "DONE" } else { states[next] == "STARTED" }).then_some(())
        })
        .await
        .with_context(|| stance.log())?;
    }
    let sends = receiver.sends.lock().map(|sends| sends.clone()).unwrap_or_default();
    let total: u32 = sends.values().sum();
    println!("{victim:?} killed {kills} times: {} effects outside by {total} sends: {sends:?}", sends.len());
    assert_eq!(sends.len(), 2, "one key for each step: {sends:?}");
    let count = async |action: &str| -> Result<Vec<Value>> {
        let query = "query($a: String!) { auditLog(action: $a, first: 100) { nodes { detail } } }";
        let found = client.graphql(query, json!({ "a": action })).await?;
        let nodes = found["auditLog"]["nodes"].as_array().context("no entries")?;
        Ok(nodes.iter().map(|node| node["detail"].clone()).collect())
    };
    assert_eq!(count("token.revoked").await?.len(), 2);
    assert_eq!(count("playbook.ended").await?.len(), 1);
    let mut done: BTreeMap<String, u32> = BTreeMap::new();
    for detail in count("playbook.step").await? {
        if detail["state"] == "DONE" {
            *done.entry(detail["step"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    assert_eq!(done.len(), 14, "{done:?}");
    assert!(done.values().all(|times| *times == 1), "{done:?}");
    let incidents = "{ incidents { totalCount nodes { title origin runs { status } } } }";
    let incidents = client.graphql(incidents, json!({})).await?["incidents"].clone();
    let opened = json!([{ "title": "It opens", "origin": "PLAYBOOK", "runs": [{ "status": "DONE" }] }]);
    assert_eq!((&incidents["totalCount"], &incidents["nodes"]), (&json!(1), &opened));
    let valid = client.graphql("{ auditVerification { valid } }", json!({})).await?;
    assert_eq!(valid["auditVerification"]["valid"], true);
    Ok(())
}

#[tokio::test]
async fn a_server_killed_at_every_step_of_a_playbook_does_each_effect_once() -> Result<()> {
    crash(Victim::Server).await
}

#[tokio::test]
async fn a_database_killed_at_every_step_of_a_playbook_keeps_each_effect_once() -> Result<()> {
    crash(Victim::Database).await
}

#[tokio::test]
async fn a_worker_killed_at_every_step_of_a_playbook_does_each_effect_once() -> Result<()> {
    crash(Victim::Worker).await
}
