//! The pages to read and try the API on, in a real browser and under the content security policy.

use anyhow::{Context as _, Result};
use stance_tests::{Client, Options, PASSWORD, Stance, browser::Browser, wait_for};

/// What a page loads: the values of `src` and `href`.
fn loaded(html: &str) -> Vec<&str> {
    let values = html.split(['<', ' ']).filter_map(|part| part.strip_prefix("src=\"").or(part.strip_prefix("href=\"")));
    values.filter_map(|rest| rest.split('"').next()).filter(|value| !value.starts_with("data:")).collect()
}

fn inline_scripts(html: &str) -> Vec<&str> {
    html.split("<script").skip(1).filter(|tag| !tag.split('>').next().unwrap_or_default().contains("src=")).collect()
}

#[tokio::test]
async fn the_pages_files_are_ours_and_no_script_stands_in_a_page() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let owner = stance.bootstrap("Acme", "owner@acme.test").await?.client;
    for (path, kinds) in [("/api/docs/", 4), ("/graphql", 2)] {
        let page = owner.get(path).await?.error_for_status()?;
        let policy = page.headers()["content-security-policy"].to_str()?.to_owned();
        let scripts =
            policy.split(';').map(str::trim).find(|part| part.starts_with("script-src")).context("no script-src")?;
        assert!(
            !scripts.contains("'unsafe-inline'") && !scripts.contains("'unsafe-eval'") && !scripts.contains("http"),
            "{policy}"
        );
        let html = page.text().await?;
        assert!(inline_scripts(&html).is_empty(), "{path}: {:?}", inline_scripts(&html));
        let files = loaded(&html);
        assert!(files.len() >= kinds, "{path} loads {files:?}");
        for file in files.iter().filter(|file| **file != "/") {
            assert!(!file.contains("//"), "{path} loads {file} from elsewhere");
            let address = match file.strip_prefix("./") {
                Some(name) => format!("{path}{name}"),
                None if file.starts_with('/') => (*file).to_owned(),
                None => format!("{path}{file}"),
            };
            let answer = owner.get(&address).await?;
            assert_eq!(answer.status(), 200, "{address}");
            let kind = answer.headers()["content-type"].to_str()?.to_owned();
            let wanted = if address.ends_with(".js") {
                "javascript"
            } else if address.ends_with(".css") {
                "css"
            } else {
                "image"
            };
            assert!(kind.contains(wanted), "{address} is {kind}");
            assert!(!answer.bytes().await?.is_empty(), "{address} is empty");
        }
    }
    // The explorer is for people who are in.
    let stranger = Client::anonymous(&stance.url)?.get("/graphql").await?;
    assert!(stranger.status() == 401 || stranger.status().is_redirection(), "{}", stranger.status());
    Ok(())
}

#[tokio::test]
async fn the_pages_work_under_the_policy() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    stance.bootstrap("Acme", "owner@acme.test").await?;
    let browser = Browser::open(1440, 900, false).await?;
    let seen = pages(&stance, &browser).await;
    let page = browser.page_text().await.unwrap_or_default();
    browser.client.clone().close().await?;
    seen.with_context(|| format!("the page was: {page}"))
}

async fn pages(stance: &Stance, browser: &Browser) -> Result<()> {
    browser.client.goto(&format!("{}/api/docs/", stance.url)).await?;
    browser.text("/api/v1/reports").await?;
    browser.text("/api/v1/findings/export").await?;
    browser.quiet_console(&[]).await?;

    browser.sign_in(&stance.url, "owner@acme.test", PASSWORD).await?;
    browser.client.goto(&format!("{}/graphql", stance.url)).await?;
    // The schema is asked for by the page itself.
    browser.text("FindingSummary").await?;
    browser.element("#run").await?.click().await?;
    let answer = wait_for("an answer", 20, || async {
        let text = browser.element("#answer").await.ok()?.text().await.ok()?;
        (!text.is_empty()).then_some(text)
    })
    .await?;
    let answer: serde_json::Value = serde_json::from_str(&answer)?;
    assert_eq!(answer["data"]["findings"]["totalCount"], 0, "{answer}");
    browser.quiet_console(&[]).await
}
