//! Pictures of every page of a running Stance: `screenshots URL FOLDER`, with `STANCE_EMAIL` and `STANCE_PASSWORD` in the environment.
//! `cargo xtask screenshots` runs it on the demo organization.

use anyhow::{Context as _, Result};
use stance_tests::browser::Browser;
use std::path::{Path, PathBuf};

const SCREENS: [(&str, u32, u32); 2] = [("desktop", 1440, 900), ("phone", 390, 844)];
const SCHEMES: [(&str, bool); 2] = [("light", false), ("dark", true)];

/// A page's name and address.
const PAGES: [(&str, &str); 13] = [
    ("overview", "/"),
    ("findings", "/findings"),
    ("inventory", "/inventory"),
    ("imports", "/imports"),
    ("formats", "/formats"),
    ("format", "/formats/garak"),
    ("settings-organization", "/settings/organization"),
    ("settings-members", "/settings/members"),
    ("settings-tokens", "/settings/tokens"),
    ("settings-sessions", "/settings/sessions"),
    ("settings-jobs", "/settings/jobs"),
    ("audit", "/audit"),
    ("not-found", "/no-such-page"),
];

/// Pages of one thing: its name, the list, and what leads there from the list's first row.
const DETAILS: [(&str, &str, &str); 3] = [
    ("finding", "/findings", "main tr[data-id]"),
    ("asset", "/inventory", "main tr a[href^='/inventory/']"),
    ("report", "/imports", "main tr a[href^='/imports/']"),
];

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().context("usage: screenshots URL FOLDER")?;
    let folder = PathBuf::from(arguments.next().context("usage: screenshots URL FOLDER")?);
    std::fs::create_dir_all(&folder)?;
    for (screen, width, height) in SCREENS {
        for (scheme, dark) in SCHEMES {
            let browser = Browser::open(width, height, dark).await?;
            let suffix = format!("{screen}-{scheme}");
            walk(&browser, &url, &folder, &suffix).await.with_context(|| suffix)?;
            browser.client.close().await?;
        }
    }
    Ok(())
}

/// Takes each page once, in one browser.
async fn walk(browser: &Browser, url: &str, folder: &Path, suffix: &str) -> Result<()> {
    let save = async |name: &str| -> Result<()> {
        // Fonts arrive after the text; a picture without them shows another design.
        browser.client.execute_async("document.fonts.ready.then(arguments[0])", vec![]).await?;
        Ok(std::fs::write(folder.join(format!("{name}-{suffix}.png")), browser.screenshot().await?)?)
    };
    browser.goto(&format!("{url}/sign-in")).await?;
    save("sign-in").await?;
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    browser.sign_in(url, &variable("STANCE_EMAIL")?, &variable("STANCE_PASSWORD")?).await?;
    for (name, path) in PAGES {
        browser.goto(&format!("{url}{path}")).await.with_context(|| path)?;
        save(name).await?;
    }
    for (name, list, link) in DETAILS {
        browser.goto(&format!("{url}{list}")).await.with_context(|| list)?;
        let row = browser.element(link).await?;
        let path = match row.attr("data-id").await? {
            Some(id) => format!("{list}/{id}"),
            None => row.attr("href").await?.with_context(|| format!("{list} links to no {name}"))?,
        };
        browser.goto(&format!("{url}{path}")).await.with_context(|| path)?;
        save(name).await?;
    }
    Ok(())
}
