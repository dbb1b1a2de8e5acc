//! The dashboard: bytes over the wire, server time per page at 100,000 findings, time to hydration.

use crate::quantile;
use anyhow::{Context as _, Result, ensure};
use reqwest::header;
use stance_importers::generate::{Order, sarif};
use stance_tests::{Client, Import, Options, PASSWORD, Stance, browser::Browser};
use std::{io::Read as _, time::Instant};

const FINDINGS: u64 = 100_000;
const PAGES: [&str; 7] =
    ["/", "/findings", "/findings?severity=HIGH", "/inventory", "/imports", "/settings/members", "/audit"];
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
    for path in PAGES {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            page(path).send().await?.error_for_status()?.bytes().await?;
            times.push(begin.elapsed().as_secs_f64() * 1000.0);
        }
        println!(
            "{path:<26} p50 {:>6.1} ms   p95 {:>6.1} ms   (goal: below 50 ms)",
            quantile(&mut times, 0.5),
            quantile(&mut times, 0.95)
        );
    }
    let browser = Browser::open(1440, 900, false).await?;
    browser.sign_in(&stance.url, "bench@stance.test", PASSWORD).await?;
    for path in ["/", "/findings"] {
        browser.goto(&format!("{}{path}", stance.url)).await?;
        let at =
            browser.script("return performance.getEntriesByName('hydrated')[0]?.startTime ?? null", vec![]).await?;
        println!(
            "{path:<26} hydrated after {:>6.0} ms   (goal: below 1000 ms)",
            at.as_f64().context("the page sets no mark `hydrated`")?
        );
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
