//! Incidents by keyboard alone: one is opened, answered with a playbook, taken along its path until it is closed, and its report read.

use super::{EMAIL, ENTER, address, until_address};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use stance_tests::{Options, PASSWORD, Stance, browser::Browser, wait_for};

const TAB: char = '\u{E004}';

const PLAYBOOK: &str = "id: ask-the-owner
title: Ask the owner
summary: Asks.
version: 1
trigger: { on: manual }
steps:
  - id: ask
    title: Ask who runs the agent
    task: { role: ANALYST, instructions: Ask whether the call was meant. }
";

#[tokio::test]
async fn an_incident_is_triaged_to_closed_by_keyboard() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let acme = stance.bootstrap("Acme", EMAIL).await?;
    let save = "mutation($source: String!) { savePlaybook(source: $source) { id } }";
    acme.client.graphql(save, json!({ "source": PLAYBOOK })).await?;
    let browser = Browser::open(1440, 900, false).await?;
    browser.sign_in(&stance.url, EMAIL, PASSWORD).await?;
    let walk = walk(&stance.url, &browser).await;
    let page = browser.page_text().await.unwrap_or_default();
    browser.client.clone().close().await?;
    walk.with_context(|| format!("the page was: {page}\n{}", stance.log()))?;

    let query = "{ incidents(first: 5) { nodes { status rootCause lessons assignee { email } } } playbookRuns(first: 5) { nodes { status dryRun } } }";
    let found = acme.client.graphql(query, json!({})).await?;
    let closed = json!([{ "status": "CLOSED", "rootCause": "No allow-list.", "lessons": "Review tools.", "assignee": { "email": EMAIL } }]);
    ensure!(found["incidents"]["nodes"] == closed, "{found}");
    ensure!(found["playbookRuns"]["nodes"] == json!([{ "status": "DONE", "dryRun": false }]), "{found}");
    Ok(())
}

/// Types where the focus is.
async fn write(browser: &Browser, text: &str) -> Result<()> {
    for key in text.chars() {
        browser.press(key).await?;
    }
    Ok(())
}

/// Waits until the focus is on what matches.
async fn focused(browser: &Browser, css: &str) -> Result<()> {
    let matches = "return document.activeElement?.matches(arguments[0]) ?? false";
    wait_for(&format!("the focus on {css}"), 20, || async {
        (browser.script(matches, vec![css.into()]).await.ok()? == true).then_some(())
    })
    .await
}

/// Goes on with the Tab key until the focus is on a button with this label.
async fn tab_to(browser: &Browser, label: &str) -> Result<()> {
    for _ in 0..150 {
        browser.press(TAB).await?;
        let name = browser.script("return document.activeElement?.textContent?.trim() ?? ''", vec![]).await?;
        if name == label {
            return Ok(());
        }
    }
    anyhow::bail!("the Tab key never comes to «{label}»")
}

/// Waits until the path of the incident is at this status.
async fn at(browser: &Browser, status: &str) -> Result<()> {
    let current = "return document.querySelector('.path [aria-current=step] b')?.textContent ?? ''";
    wait_for(status, 20, || async { (browser.script(current, vec![]).await.ok()? == status).then_some(()) }).await
}

async fn walk(url: &str, browser: &Browser) -> Result<()> {
    browser.goto(&format!("{url}/incidents")).await?;
    browser.text("Nothing has gone wrong so far").await?;
    browser.accessible("no incidents").await?;
    // Only counts: a mouse that was used would show.
    browser.script("window.mouse = 0; addEventListener('pointerdown', () => window.mouse++, true)", vec![]).await?;

    browser.press('n').await?;
    focused(browser, "#f-title").await?;
    browser.accessible("opening an incident").await?;
    write(browser, "The agent called a tool that nobody knows").await?;
    browser.press(ENTER).await?;
    until_address(browser, "/incidents/incident%3A").await?;
    at(browser, "Open").await?;
    browser.accessible("an incident").await?;

    // From the list, by its first row.
    tab_to(browser, "Incidents").await?;
    browser.press(ENTER).await?;
    browser.text("1 incident is open").await?;
    browser.accessible("incidents").await?;
    browser.press('j').await?;
    focused(browser, "tr[data-id] a").await?;
    browser.press(ENTER).await?;
    until_address(browser, "/incidents/incident%3A").await?;
    at(browser, "Open").await?;

    browser.press('a').await?;
    focused(browser, ".pop .item").await?;
    browser.press(ENTER).await?;
    browser.text("gave it to").await?;

    // The playbook, found by its first letters, and its task.
    browser.press('b').await?;
    focused(browser, "select#f-id").await?;
    write(browser, "Ask").await?;
    browser.accessible("choosing a playbook").await?;
    tab_to(browser, "Run").await?;
    browser.press(ENTER).await?;
    browser.text("Ask whether the call was meant.").await?;
    browser.accessible("a playbook's task").await?;
    tab_to(browser, "Complete").await?;
    browser.press(ENTER).await?;
    wait_for("the task's form to go", 20, || async {
        (!browser.page_text().await.ok()?.contains("Ask whether the call was meant.")).then_some(())
    })
    .await?;

    for (key, status) in [('t', "Triaged"), ('c', "Contained"), ('r', "Eradicated"), ('v', "Recovered")] {
        browser.press(key).await?;
        focused(browser, "#f-reason").await?;
        write(browser, "seen").await?;
        browser.press(ENTER).await?;
        at(browser, status).await?;
    }
    // A step is taken back, and made again.
    browser.press('u').await?;
    at(browser, "Eradicated").await?;
    browser.press('v').await?;
    focused(browser, "#f-reason").await?;
    browser.press(ENTER).await?;
    at(browser, "Recovered").await?;

    browser.press('x').await?;
    focused(browser, "#f-rootCause").await?;
    browser.accessible("closing an incident").await?;
    write(browser, "No allow-list.").await?;
    browser.press(TAB).await?;
    write(browser, "Review tools.").await?;
    browser.press(TAB).await?;
    browser.press(ENTER).await?;
    at(browser, "Closed").await?;

    browser.press('p').await?;
    until_address(browser, "/report").await?;
    browser.text("No allow-list.").await?;
    browser.accessible("an incident's report").await?;
    let mouse = browser.script("return window.mouse", vec![]).await?;
    ensure!(mouse == 0, "a mouse was used {mouse} times, or the page was loaded anew");
    ensure!(address(browser).await?.contains("/incidents/"), "the report is the incident's");
    browser.quiet_console(&[]).await
}
