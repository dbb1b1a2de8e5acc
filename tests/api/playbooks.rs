//! Playbooks by the API: written, tried, run.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use stance_tests::{Options, Stance, wait_for};

const SOURCE: &str = "id: look
title: Look
summary: Looks.
version: 1
trigger: { on: manual }
steps:
  - id: gate
    title: Gate
    approval: { role: RESPONDER, question: May it? }
    on-failure: { go-to: after }
  - { id: told, title: Told, action: notify, with: { title: T, text: X } }
  - { id: after, title: After, task: { role: ANALYST, instructions: I, choices: [fine, bad] } }
";

#[tokio::test]
async fn a_playbook_is_written_with_help_tried_and_run() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let library = client
        .graphql("{ playbooks { slug builtIn enabled sources { key } flow { steps { id } } } }", json!({}))
        .await?;
    let library = library["playbooks"].as_array().context("no library")?;
    assert!(
        library.len() >= 12
            && library.iter().all(|playbook| playbook["builtIn"] == true && playbook["enabled"] == false)
    );

    let wrong = SOURCE.replace("role: RESPONDER", "role: NOBODY").replace("version: 1", "version: one");
    let validate =
        "query($s: String!) { validatePlaybook(source: $s) { errors { line column message } flow { title } } }";
    let said = client.graphql(validate, json!({ "s": wrong })).await?;
    let errors = &said["validatePlaybook"]["errors"];
    assert_eq!((&errors[0]["line"], &errors[0]["column"]), (&json!(4), &json!(10)), "{errors}");
    assert_eq!((&errors[1]["line"], &errors[1]["column"]), (&json!(9), &json!(23)), "{errors}");
    let save = "mutation($s: String!) { savePlaybook(source: $s) { id version } }";
    let refused = client.graphql_raw(save, json!({ "s": wrong })).await?;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "BAD_INPUT", "{refused}");
    assert_eq!(refused["errors"][0]["extensions"]["fields"][0]["field"], "source");
    let saved = client.graphql(save, json!({ "s": SOURCE })).await?;
    let id = &saved["savePlaybook"]["id"];

    let steps = "steps { step { id } state plan outcome by can }";
    let start = format!(
        "mutation($id: ID!, $dry: Boolean!) {{ runPlaybook(id: $id, dryRun: $dry) {{ id dryRun status {steps} }} }}"
    );
    let dry = client.graphql(&start, json!({ "id": id, "dry": true })).await?;
    let dry = &dry["runPlaybook"];
    assert_eq!(
        (&dry["status"], &dry["steps"][1]["plan"]),
        (&json!("DONE"), &json!("Tells those whom the notification rules name: “T”."))
    );

    let run = client.graphql(&start, json!({ "id": id, "dry": false })).await?["runPlaybook"]["id"].clone();
    let look = format!("query($id: ID!) {{ playbookRun(id: $id) {{ status {steps} }} }}");
    let until = async |what: &str, fits: fn(&Value) -> bool| {
        wait_for(what, 30, || async {
            let found = client.graphql(&look, json!({ "id": run })).await.ok()?;
            fits(&found["playbookRun"]).then(|| found["playbookRun"].clone())
        })
        .await
    };
    let open = until("the gate is open", |run| run["steps"][0]["state"] == "STARTED").await?;
    assert_eq!(open["steps"][0]["can"], json!(["approve"]));
    let approve = "mutation($r: ID!, $s: String!) { approvePlaybookStep(run: $r, step: $s, approve: false, note: \"no\") { id } }";
    client.graphql(approve, json!({ "r": run, "s": "gate" })).await?;
    let declined = until("it goes where a decline leads", |run| run["steps"][2]["state"] == "STARTED").await?;
    assert_eq!(
        (&declined["steps"][0]["state"], &declined["steps"][1]["state"]),
        (&json!("DECLINED"), &json!("PENDING"))
    );
    let complete =
        "mutation($r: ID!, $a: String) { completePlaybookTask(run: $r, step: \"after\", answer: $a) { id } }";
    let refused = client.graphql_raw(complete, json!({ "r": run, "a": null })).await?;
    assert_eq!(refused["errors"][0]["message"], "answer: must be one of fine, bad");
    client.graphql(complete, json!({ "r": run, "a": "fine" })).await?;
    until("it is done", |run| run["status"] == "DONE").await?;
    let schema: Value = client.get("/api/schemas/playbook.json").await?.error_for_status()?.json().await?;
    assert_eq!(schema["properties"]["steps"]["maxItems"], 60);
    Ok(())
}
