//! The dashboard: bytes over the wire, server time per page at 100,000 findings, time to hydration.

use crate::quantile;
use anyhow::{Context as _, Result, ensure};
use reqwest::header;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};
use stance_importers::generate::{Order, sarif};
use stance_tests::{Client, Import, Options, PASSWORD, Stance, browser::Browser};
use std::{io::Read as _, time::Instant};

const FINDINGS: u64 = 100_000;
const ROUNDS: usize = 30;

#[expect(clippy::print_stdout, reason = "a benchmark prints")]
pub async fn run() -> Result<()> {
    let stance = Stance::start(Options { embedded: true, ..Options::default() }).await?;
    let organization = stance.bootstrap("Bench", "bench@stance.test").await?;
    let mut body = Vec::new();
    sarif(FINDINGS, 7, Order::Natural).read_to_end(&mut body)?;
    let id = organization.client.upload(body, Import { asset: Some("APPLICATION:bench"), ..Import::default() }).await?;
    let report = organization.client.finished(&id).await?;
    ensure!(report["counts"]["new"] == FINDINGS, "{report}");
    // What autovacuum does within a minute: pages are opened all day, and imports are now and then.
    PgConnection::connect(&stance.database_url()).await?.execute("vacuum analyze").await?;
    stance_tests::wait_for("the risk", 60, || async {
        let answer = organization.client.graphql("{ posture { openFindings } }", json!({})).await.ok()?;
        (answer["posture"]["openFindings"] == FINDINGS).then_some(())
    })
    .await?;

    let anonymous = Client::anonymous(&stance.url)?;
    let cookie = anonymous.sign_in("bench@stance.test", PASSWORD).await?;
    let page = |path: &str| anonymous.request(reqwest::Method::GET, path).header(header::COOKIE, &cookie);

    let html = page("/").send().await?.error_for_status()?.text().await?;
    let mut total = 0;
    for asset in assets(&html) {
        let answer = page(&asset).header(header::ACCEPT_ENCODING, "br").send().await?.error_for_status()?;
        let encoding = answer.headers().get(header::CONTENT_ENCODING).is_some_and(|e| e == "br");
        let bytes = answer.bytes().await?.len();
        println!("{asset:<60} {:>7.1} kB{}", bytes as f64 / 1000.0, if encoding { " brotli" } else { "" });
        if asset.contains(".js") || asset.contains(".wasm") {
            total += bytes;
        }
    }
    println!("wasm + js                  {:>8.1} kB   (goal: below 350 kB)", total as f64 / 1000.0);
    for path in paths(&organization.client).await? {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            // As browsers ask for it: compressing is part of the server's time.
            let request = page(&path).header(header::ACCEPT_ENCODING, "br");
            request.send().await?.error_for_status()?.bytes().await?;
            times.push(begin.elapsed().as_secs_f64() * 1000.0);
        }
        println!(
            "{:<44} p50 {:>6.1} ms   p95 {:>6.1} ms   (goal: below 50 ms)",
            path.split_inclusive(':').next().unwrap_or_default(),
            quantile(&mut times, 0.5),
            quantile(&mut times, 0.95)
        );
    }
    hydration(&stance).await
}

/// Every page of the dashboard for people who are signed in, and the lists with filters that find little, nothing and by text.
async fn paths(client: &Client) -> Result<Vec<String>> {
    const IDS: &str = "{ findings(first: 1) { nodes { id asset { id } } } reports(first: 1) { nodes { id } } }";
    let ids = client.graphql(IDS, json!({})).await?;
    let (finding, report) = (&ids["findings"]["nodes"][0], &ids["reports"]["nodes"][0]["id"]);
    let mut paths: Vec<String> = [
        "/",
        "/findings",
        "/findings?status=ALL",
        "/findings?severity=LOW",
        "/findings?status=FALSE_POSITIVE",
        "/findings?search=handler_77",
        "/inventory",
        "/imports",
        "/settings/organization",
        "/settings/members",
        "/settings/tokens",
        "/settings/sessions",
        "/settings/jobs",
        "/audit",
    ]
    .map(str::to_owned)
    .into();
    for (list, id) in [("findings", &finding["id"]), ("inventory", &finding["asset"]["id"]), ("imports", report)] {
        paths.push(format!("/{list}/{}", id.as_str().context("no id")?));
    }
    Ok(paths)
}

/// Milliseconds from the click to a page that answers, with an empty and with a filled cache.
#[expect(clippy::print_stdout, reason = "a benchmark prints")]
async fn hydration(stance: &Stance) -> Result<()> {
    let browser = Browser::open(1440, 900, false).await?;
    let mark = "new MutationObserver((_, observer) => {
        if (document.documentElement?.dataset.hydrated) { performance.mark('hydrated'); observer.disconnect(); }
    }).observe(document, { subtree: true, childList: true, attributes: true })";
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": mark })).await?;
    browser.sign_in(&stance.url, "bench@stance.test", PASSWORD).await?;
    for path in ["/", "/findings"] {
        for cache in ["empty", "filled"] {
            let mut times = Vec::new();
            for _ in 0..10 {
                if cache == "empty" {
                    browser.devtools("Network.clearBrowserCache", json!({})).await?;
                }
                browser.goto(&format!("{}{path}", stance.url)).await?;
                let at = "return performance.getEntriesByName('hydrated')[0]?.startTime ?? null";
                times.push(browser.script(at, vec![]).await?.as_f64().context("hydration was not seen")?);
            }
            println!(
                "{path:<12} hydrated, {cache:<6} cache           p50 {:>6.0} ms   max {:>6.0} ms   (goal: below 1000 ms)",
                quantile(&mut times, 0.5),
                quantile(&mut times, 1.0)
            );
        }
    }
    browser.client.close().await?;
    Ok(())
}

/// Scripts, WebAssembly, styles and fonts that the page's head names.
fn assets(html: &str) -> Vec<String> {
    let mut found: Vec<String> = html
        .split(['"', '\''])
        .filter(|word| word.starts_with('/') && [".js", ".wasm", ".css", ".woff2"].iter().any(|end| word.contains(end)))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}
