//! The playbooks section: one is written with a mistake that is shown at its line, saved, tried, run and answered.

use super::{address, click, until_address};
use anyhow::{Result, ensure};
use stance_tests::browser::Browser;

const SOURCE: &str = "id: look
title: Look into it
summary: Looks.
version: 1
trigger: { on: manual }
steps:
  - id: look
    title: Look
    task: { role: ANALYST, instructions: Look., choices: [fine, bad] }
";

pub async fn walk(url: &str, browser: &Browser) -> Result<()> {
    browser.goto(&format!("{url}/findings")).await?;
    click(browser, ".nav a[href='/playbooks']").await?;
    browser.text("Direct prompt injection").await?;
    browser.accessible("playbooks").await?;
    click(browser, "a[href='/playbooks/new']").await?;
    let write = async |text: &str| {
        browser.element("#f-source").await?;
        let write = "const t = document.querySelector('#f-source'); t.value = arguments[0]; t.dispatchEvent(new Event('input', { bubbles: true }))";
        browser.script(write, vec![text.into()]).await.map(drop)
    };
    let save = async || click(browser, "form[data-act] .btn.primary").await;
    // While it is written.
    let wrong = SOURCE.replace("role: ANALYST", "role: NOBODY");
    let mistake = "line 9, column 19: steps[0].task.role: must be one of OWNER, ADMIN, ANALYST, RESPONDER";
    write(&wrong).await?;
    browser.text(mistake).await?;
    write(SOURCE).await?;
    browser.text("No mistakes.").await?;
    ensure!(!browser.page_text().await?.contains(mistake), "the mistake is still shown");
    // And when it is saved.
    write(&wrong).await?;
    save().await?;
    browser.text(mistake).await?;
    let selected =
        "const t = document.querySelector('#f-source'); return t.value.slice(t.selectionStart, t.selectionEnd)";
    let selected = browser.script(selected, vec![]).await?;
    ensure!(selected.as_str().is_some_and(|line| line.contains("role: NOBODY")), "the line is not shown: {selected}");
    browser.accessible("playbook editor with a mistake").await?;
    write(SOURCE).await?;
    save().await?;
    until_address(browser, "playbook%3A").await?;
    browser.text("Started by hand only.").await?;
    browser.accessible("playbook").await?;
    click(browser, ".top [data-act]:not([data-then='/playbooks'])").await?;
    browser.text("A dry run: nothing was done.").await?;
    ensure!(address(browser).await?.contains("/playbooks/runs/"), "a dry run is a run");
    browser.accessible("a run").await?;
    browser.quiet_console(&[]).await
}
