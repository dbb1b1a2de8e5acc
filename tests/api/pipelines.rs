//! The pipelines in `docs/ci` as they stand there: their commands run, in a shell, against a server.

use anyhow::{Context as _, Result};
use serde_json::Value;
use stance_tests::{Options, Stance};
use std::process::Stdio;

/// The `stance` commands of a pipeline's gate, in order.
fn commands(file: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(stance_tests::root().join("docs/ci").join(file))?;
    let pipeline: Value = serde_saphyr::from_str(&text)?;
    let job = if pipeline["jobs"].is_object() { &pipeline["jobs"]["gate"] } else { &pipeline["gate"] };
    let steps = job["steps"].as_array().or(job["script"].as_array()).context("a job without steps")?;
    let lines = steps.iter().filter_map(|step| step.as_str().or(step["run"].as_str()));
    Ok(lines.filter(|line| line.starts_with("stance ")).map(str::to_owned).collect())
}

#[tokio::test]
async fn the_documented_pipelines_import_and_gate() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let token = stance.bootstrap("Acme", "owner@acme.test").await?.client.token.context("no token")?;
    let folder = tempfile::tempdir()?;
    let report = |level: &str| {
        format!(
            r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"bandit"}}}},"results":[
            {{"ruleId":"R1","level":"{level}","message":{{"text":"Model output reaches eval"}},"properties":{{"security-severity":"9.8"}}}}]}}]}}"#
        )
    };
    let run = async |line: String| -> Result<(Option<i32>, String)> {
        let tool = stance.tool()?;
        let binary = std::path::Path::new(tool.as_std().get_program());
        let path = format!("{}:{}", binary.parent().context("no folder")?.display(), std::env::var("PATH")?);
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-c", &line]).current_dir(folder.path()).stdin(Stdio::null());
        shell.env("PATH", path).env("STANCE_SERVER", &stance.url).env("STANCE_TOKEN", &token);
        let output = shell.output().await?;
        Ok((output.status.code(), String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?))
    };
    for file in ["github-actions.yml", "gitlab-ci.yml"] {
        let commands = commands(file)?;
        assert_eq!(commands.len(), 2, "{file}: {commands:?}");
        // A critical finding closes the gate; mended, it opens.
        for (level, wanted) in [("error", Some(1)), ("none", Some(0))] {
            let text = report(level);
            let text = if level == "none" {
                text.replace(r#""level":"none""#, r#""kind":"pass","level":"none""#)
            } else {
                text
            };
            std::fs::write(folder.path().join("bandit.sarif"), text)?;
            let (code, text) = run(commands[0].clone()).await?;
            assert_eq!(code, Some(0), "{file}: {text}");
            let (code, text) = run(commands[1].clone()).await?;
            assert_eq!(code, wanted, "{file}: {text}");
        }
    }
    Ok(())
}
