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
    let source = async |text: &str| {
        browser.element("#f-source").await?;
        browser.script("document.querySelector('#f-source').value = arguments[0]", vec![text.into()]).await?;
        click(browser, "form[data-act] .btn.primary").await
    };
    source(&SOURCE.replace("role: ANALYST", "role: NOBODY")).await?;
    browser.text("line 9, column 19: steps[0].task.role: must be one of OWNER, ADMIN, ANALYST, RESPONDER").await?;
    let selected =
        "const t = document.querySelector('#f-source'); return t.value.slice(t.selectionStart, t.selectionEnd)";
    let selected = browser.script(selected, vec![]).await?;
    ensure!(selected.as_str().is_some_and(|line| line.contains("role: NOBODY")), "the line is not shown: {selected}");
    browser.accessible("playbook editor with a mistake").await?;
    source(SOURCE).await?;
    until_address(browser, "playbook%3A").await?;
    browser.text("Started by hand only.").await?;
    browser.accessible("playbook").await?;
    click(browser, ".top [data-act]:not([data-then='/playbooks'])").await?;
    browser.text("A dry run: nothing was done.").await?;
    ensure!(address(browser).await?.contains("/playbooks/runs/"), "a dry run is a run");
    browser.accessible("a run").await?;
    browser.quiet_console(&[]).await
}
