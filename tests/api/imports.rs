//! Reports go in: counts, repetition, errors, the command line.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use stance_tests::{Import, Options, Stance, shared_reports};
use std::process::Stdio;

fn sarif(results: &[(&str, &str, u32)]) -> String {
    let results: Vec<Value> = results
        .iter()
        .map(|(rule, file, line)| {
            json!({ "ruleId": rule, "level": "error", "message": { "text": format!("{rule} in {file}") },
                "locations": [{ "physicalLocation": { "artifactLocation": { "uri": file }, "region": { "startLine": line, "snippet": { "text": format!("{rule}()") } } } }] })
        })
        .collect();
    json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "probe", "version": "1.0", "rules": [] } }, "results": results }] }).to_string()
}

fn counts(report: &Value) -> [i64; 5] {
    ["new", "updated", "reopened", "resolved", "unchanged"].map(|key| report["counts"][key].as_i64().unwrap_or(-1))
}

#[tokio::test]
async fn a_changed_report_is_told_apart_from_the_one_before() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let import = async |body: String, asset: &str| -> Result<Value> {
        let id = client
            .upload(body, Import { asset: Some(asset), filename: Some("scan.sarif"), ..Import::default() })
            .await?;
        client.finished(&id).await
    };
    let first = import(sarif(&[("R1", "a.py", 1), ("R2", "b.py", 2), ("R3", "c.py", 3)]), "portal").await?;
    assert_eq!(first["status"], "DONE", "{first}");
    assert_eq!(counts(&first), [3, 0, 0, 0, 0]);
    assert_eq!(first["tool"], "probe");
    assert_eq!(first["format"], "sarif");
    let again = import(sarif(&[("R3", "c.py", 3), ("R1", "a.py", 1), ("R2", "b.py", 2)]), "portal").await?;
    assert_eq!(counts(&again), [0, 0, 0, 0, 3], "the same findings in another order");
    let changed = import(sarif(&[("R1", "a.py", 1), ("R4", "d.py", 4)]), "portal").await?;
    assert_eq!(counts(&changed), [1, 0, 0, 2, 1]);
    let back = import(sarif(&[("R1", "a.py", 1), ("R2", "b.py", 9), ("R4", "d.py", 4)]), "portal").await?;
    assert_eq!(counts(&back), [0, 0, 1, 0, 2]);
    // Another asset's scan by the same tool is another scope.
    let elsewhere = import(sarif(&[("R1", "a.py", 1)]), "other").await?;
    assert_eq!(counts(&elsewhere), [1, 0, 0, 0, 0]);
    let unchanged = import(sarif(&[("R1", "a.py", 1), ("R2", "b.py", 9), ("R4", "d.py", 4)]), "portal").await?;
    assert_eq!(counts(&unchanged), [0, 0, 0, 0, 3]);
    Ok(())
}

#[tokio::test]
async fn identical_results_in_one_report_stay_apart() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let body = sarif(&[("R1", "a.py", 1), ("R1", "a.py", 7), ("R1", "a.py", 9)]);
    for expected in [[3, 0, 0, 0, 0], [0, 0, 0, 0, 3]] {
        let id = client.upload(body.clone(), Import { asset: Some("portal"), ..Import::default() }).await?;
        assert_eq!(counts(&client.finished(&id).await?), expected);
    }
    Ok(())
}

#[tokio::test]
async fn broken_and_unknown_files_say_what_was_expected() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let whole = sarif(&[("R1", "a.py", 1)]);
    for (body, word) in
        [("hello", "format"), (&whole[..whole.len() / 2], "end"), ("{\"version\":\"2.1.0\",\"runs\":17}", "runs")]
    {
        let id = client
            .upload(body.to_owned(), Import { asset: Some("portal"), filename: Some("x.sarif"), ..Import::default() })
            .await?;
        let report = client.finished(&id).await?;
        assert_eq!(report["status"], "FAILED", "{report}");
        let message = report["error"]["message"].as_str().context("no message")?.to_lowercase();
        assert!(message.contains(word), "«{word}» is not in: {message}");
    }
    let data = client.graphql("{ findings { nodes { id } } }", json!({})).await?;
    assert_eq!(data["findings"]["nodes"], json!([]));
    Ok(())
}

#[tokio::test]
async fn an_empty_report_says_that_it_is_valid_and_empty() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let id = client.upload(sarif(&[]), Import { asset: Some("portal"), ..Import::default() }).await?;
    let report = client.finished(&id).await?;
    assert_eq!(report["status"], "DONE");
    assert_eq!(counts(&report), [0, 0, 0, 0, 0]);
    assert!(
        report["gaps"].as_array().is_some_and(|gaps| gaps.iter().any(|gap| gap["class"] == "empty-report")),
        "{report}"
    );
    Ok(())
}

#[tokio::test]
async fn an_idempotency_key_uploads_once() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let upload = || {
        client.upload(
            sarif(&[("R1", "a.py", 1)]),
            Import { asset: Some("portal"), idempotency_key: Some("k1"), ..Import::default() },
        )
    };
    assert_eq!(upload().await?, upload().await?);
    Ok(())
}

/// How many findings `index.json` says a correct importer extracts, for the formats of this project so far.
fn expected(entry: &Value) -> Option<(String, i64)> {
    let file = entry["file"].as_str()?;
    let text = entry["expected"].as_str()?;
    let number = |text: &str| text.trim().split(|c: char| !c.is_ascii_digit()).next()?.parse::<i64>().ok();
    let is_sarif = file.ends_with(".sarif") || file.starts_with("sarif/");
    let count = match entry["tool"].as_str()? {
        _ if is_sarif => number(text)?,
        "garak" => match (text.split_once("-> "), text.split_once("with failures = ")) {
            (Some((_, rest)), _) | (_, Some((_, rest))) => number(rest)?,
            _ => number(text)?,
        },
        "modelscan" if file.ends_with(".json") => number(text)?,
        _ => return None,
    };
    Some((file.to_owned(), count))
}

#[tokio::test]
async fn real_reports_give_their_counts_and_a_second_time_nothing() -> Result<()> {
    let Some(reports) = shared_reports() else { return Ok(()) };
    let index: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(reports.join("index.json"))?)?;
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let token = client.token.clone().context("no token")?;
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (file, wanted) in index.iter().filter_map(expected) {
        seen += 1;
        for time in [1, 2] {
            let mut command = stance.tool()?;
            command.arg("import").arg(reports.join(&file)).args(["--server", &stance.url, "--token", &token, "--json"]);
            // A hitlog is of the same run as its report: an asset of its own keeps the two apart here.
            if file.contains("hitlog") {
                command.args(["--asset", &file]);
            }
            let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await?;
            let report: Value = serde_json::from_slice(&output.stdout).with_context(|| {
                format!(
                    "{file}: {} {}",
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr)
                )
            })?;
            let expected = if time == 1 { [wanted, 0, 0, 0, 0] } else { [0, 0, 0, 0, wanted] };
            println!("{file:<50} expected {expected:?} got {:?}", counts(&report));
            if counts(&report) != expected || !output.status.success() {
                wrong.push(format!("{file}, time {time}: expected {expected:?}, got {report}"));
            }
        }
    }
    assert!(seen > 20, "only {seen} reports in the index");
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[tokio::test]
async fn the_command_line_keeps_its_exit_codes() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let client = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    let token = client.token.clone().context("no token")?;
    let folder = tempfile::tempdir()?;
    let (good, nameless) = (folder.path().join("good.sarif"), folder.path().join("results.sarif"));
    let bad = folder.path().join("bad.sarif");
    std::fs::write(&good, sarif(&[("R1", "a.py", 1)]))?;
    std::fs::write(&bad, "not a report")?;
    std::fs::copy(&good, &nameless)?;
    let run = async |arguments: &[&str]| -> Result<(Option<i32>, String)> {
        let output = stance.tool()?.arg("import").args(arguments).stdin(Stdio::null()).output().await?;
        Ok((output.status.code(), String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?))
    };
    let (good, bad) = (good.to_str().context("path")?, bad.to_str().context("path")?);
    let nameless = nameless.to_str().context("path")?;
    let (code, text) = run(&[good, "--server", &stance.url, "--token", &token, "--asset", "portal"]).await?;
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = run(&[nameless, "--server", &stance.url, "--token", &token]).await?;
    assert!(code == Some(1) && text.contains("Name the asset"), "a report that names no asset: {text}");
    let (code, text) = run(&[good, "--json", "--server", &stance.url, "--token", &token]).await?;
    assert!(code == Some(0) && text.contains("asset-from-filename"), "the file's name says which: {text}");
    let (code, text) = run(&[bad, "--server", &stance.url, "--token", &token]).await?;
    assert_eq!(code, Some(1), "{text}");
    let (code, text) = run(&[good, "--server", &stance.url, "--token", "stance_wrong"]).await?;
    assert_eq!(code, Some(1), "{text}");
    assert!(!text.contains("stance_wrong"), "a token is never printed");
    let folder = folder.path().to_str().context("path")?;
    let pattern = format!("{folder}/*.sarif");
    let (code, text) = run(&[&pattern, "--asset", "portal", "--server", &stance.url, "--token", &token]).await?;
    assert!(code == Some(1) && text.matches("probe").count() == 2, "two of three by a pattern, as a table: {text}");
    let (code, text) = run(&[&format!("{folder}/*.none"), "--dry-run"]).await?;
    assert!(code == Some(2) && text.contains("no file matches"), "{text}");

    // The gate, with the risk of what was imported a moment ago.
    let gate = async |arguments: &[&str]| -> Result<(Option<i32>, String)> {
        let mut command = stance.tool()?;
        command.args(["gate", "--server", &stance.url, "--token", &token]).args(arguments).stdin(Stdio::null());
        let output = command.output().await?;
        Ok((output.status.code(), String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?))
    };
    let (code, text) = gate(&["--asset", "portal", "--max-risk", "0", "--fail-on", "info"]).await?;
    assert!(
        code == Some(1) && text.contains("is above 0") && text.contains("1 open finding of severity INFO"),
        "{text}"
    );
    let (code, text) = gate(&["--asset", "portal", "--max-risk", "100", "--fail-on", "critical"]).await?;
    assert!(code == Some(0) && text.starts_with("portal passes: risk "), "{text}");
    let (code, text) = gate(&["--asset", "nothing", "--max-risk", "50"]).await?;
    assert!(code == Some(2) && text.contains("no asset"), "{text}");
    assert_eq!(gate(&["--asset", "portal"]).await?.0, Some(2), "a gate without a limit lets everything pass");

    // Without a server.
    let (code, text) = run(&[good, "--dry-run"]).await?;
    let records: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!((&records[0]["record"], &records[0]["rule"]), (&"finding".into(), &"R1".into()), "{text}");
    assert_eq!(records.last().map(|run| run["format"].clone()), Some("sarif".into()), "{text}");
    let (code, text) = run(&[bad, "--dry-run"]).await?;
    assert!(code == Some(1) && text.contains("not recognized"), "{text}");
    let (code, text) = run(&["--no-such-flag"]).await?;
    assert_eq!(code, Some(2), "{text}");
    Ok(())
}
