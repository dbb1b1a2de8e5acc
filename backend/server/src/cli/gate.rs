//! `stance gate`: fails a pipeline whose asset is riskier than its team agreed on.

use super::{plain, print, say};
use crate::app;
use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use stance_shared::Severity;
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

/// How long a computation of the asset's risk may take after an import.
const PATIENCE: Duration = Duration::from_secs(120);
/// Findings that the reason names.
const NAMED: usize = 5;

/// `stance gate`.
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("limit").required(true).multiple(true))]
pub struct GateArgs {
    #[arg(long, value_name = "URL", env = "STANCE_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// An API token that holds asset:read, finding:read and posture:read.
    #[arg(long, value_name = "TOKEN", env = "STANCE_TOKEN", hide_env_values = true)]
    token: String,
    /// The asset, by its key in the inventory.
    #[arg(long, value_name = "KEY")]
    asset: String,
    /// The highest risk that passes, 0 to 100. An asset that nobody assessed does not pass.
    #[arg(long, value_name = "N", group = "limit", value_parser = clap::value_parser!(u8).range(0..=100))]
    max_risk: Option<u8>,
    /// The lowest severity of which no finding may be open: info, low, medium, high or critical.
    #[arg(long, value_name = "SEVERITY", group = "limit", value_parser = severity)]
    fail_on: Option<Severity>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn severity(text: &str) -> Result<Severity, String> {
    text.to_uppercase().parse().map_err(|_| "use info, low, medium, high or critical".to_owned())
}

/// Exit code 0: the asset passes; 1: it does not, with the reasons; 2: it can not be judged.
pub async fn run(args: GateArgs) -> ExitCode {
    let asset = match asset(&args).await {
        Ok(asset) => asset,
        Err(error) => {
            say(&format!("stance gate: {error:#}"));
            return ExitCode::from(2);
        }
    };
    let reasons = judge(&args, &asset);
    let risk = asset["risk"]["risk"].as_f64();
    if args.json {
        let verdict = json!({ "asset": asset["externalKey"], "risk": risk, "grade": asset["risk"]["grade"],
            "openFindings": asset["findings"]["totalCount"], "passed": reasons.is_empty(), "reasons": reasons });
        print(&verdict.to_string());
    } else {
        let name = plain(&args.asset);
        let figure = risk.map_or("unassessed".to_owned(), |risk| format!("risk {risk:.0} of 100"));
        let verdict = if reasons.is_empty() { "passes" } else { "does not pass" };
        print(&format!("{name} {verdict}: {figure}"));
        reasons.iter().for_each(|reason| print(&format!("  {reason}")));
    }
    ExitCode::from(u8::from(!reasons.is_empty()))
}

/// Why the asset does not pass.
fn judge(args: &GateArgs, asset: &Value) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(limit) = args.max_risk {
        match asset["risk"]["risk"].as_f64() {
            None => reasons.push("nothing assessed it yet: its risk is unknown".to_owned()),
            Some(risk) if risk > f64::from(limit) => reasons.push(format!("risk {risk:.1} is above {limit}")),
            Some(_) => {}
        }
    }
    let open = asset["findings"]["totalCount"].as_u64().unwrap_or_default();
    if let Some(lowest) = args.fail_on.filter(|_| open > 0) {
        let findings = if open == 1 { "finding" } else { "findings" };
        reasons.push(format!("{open} open {findings} of severity {lowest} or higher:"));
        for finding in asset["findings"]["nodes"].as_array().into_iter().flatten() {
            let text = |member: &str| plain(finding[member].as_str().unwrap_or_default());
            reasons.push(format!("  {} {} ({})", text("severity"), text("title"), text("rule")));
        }
        if open > NAMED as u64 {
            reasons.push(format!("  and {} more", open - NAMED as u64));
        }
    }
    reasons
}

/// The asset with its current risk: what an import changed a moment ago is waited for.
async fn asset(args: &GateArgs) -> anyhow::Result<Value> {
    const QUERY: &str = "query Gate($key: String!, $severity: [Severity!], $first: Int!) {
        posture { pending }
        assets(first: 2, filter: { externalKey: $key }) { nodes {
            externalKey kind risk { risk grade }
            findings(first: $first, filter: { status: [OPEN, IN_PROGRESS], severity: $severity }, sort: { key: SEVERITY, direction: DESC }) {
                totalCount nodes { severity title rule } } } } }";
    let client = app::http_client()?;
    let severities: Option<Vec<&str>> = args
        .fail_on
        .map(|lowest| Severity::ALL.iter().filter(|one| one.rank() <= lowest.rank()).map(|one| one.as_str()).collect());
    let body = json!({ "query": QUERY, "variables": { "key": args.asset, "severity": severities, "first": NAMED } });
    let begin = Instant::now();
    loop {
        let request = client.post(format!("{}/graphql", args.server.trim_end_matches('/'))).json(&body);
        let response = request.bearer_auth(&args.token).timeout(Duration::from_secs(20)).send().await;
        let response = response.with_context(|| format!("can not reach {}", args.server))?;
        let status = response.status();
        let answer: Value =
            response.json().await.with_context(|| format!("{} is no Stance ({status})", args.server))?;
        if let Some(error) = answer["errors"][0]["message"].as_str().or(answer["detail"].as_str()) {
            bail!("refused: {}", plain(error));
        }
        let assets = answer["data"]["assets"]["nodes"].as_array().context("the server's answer has no assets")?;
        ensure!(!assets.is_empty(), "there is no asset “{}”", plain(&args.asset));
        ensure!(assets.len() == 1, "more than one asset has the key “{}”", plain(&args.asset));
        if answer["data"]["posture"]["pending"] == false {
            return Ok(assets[0].clone());
        }
        ensure!(begin.elapsed() < PATIENCE, "the risk is still being computed; is a worker running?");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes() {
        let args = |max_risk, fail_on| GateArgs {
            server: String::new(),
            token: String::new(),
            asset: "portal".into(),
            max_risk,
            fail_on,
            json: false,
        };
        let finding = json!({ "severity": "HIGH", "title": "a\u{1b}[31mb", "rule": "R" });
        let asset = json!({ "risk": { "risk": 60.04 }, "findings": { "totalCount": 7, "nodes": [finding] } });
        assert_eq!(judge(&args(Some(61), None), &asset), Vec::<String>::new());
        assert_eq!(judge(&args(Some(60), None), &asset), ["risk 60.0 is above 60"]);
        let reasons = judge(&args(None, Some(Severity::High)), &asset);
        assert_eq!(reasons, ["7 open findings of severity HIGH or higher:", "  HIGH a[31mb (R)", "  and 2 more"]);
        let unknown = json!({ "risk": { "risk": null }, "findings": { "totalCount": 0, "nodes": [] } });
        assert!(judge(&args(Some(100), None), &unknown)[0].contains("unknown"));
        assert!(judge(&args(None, Some(Severity::Info)), &unknown).is_empty());
        assert!(severity("high").is_ok() && severity("severe").is_err());
    }
}
