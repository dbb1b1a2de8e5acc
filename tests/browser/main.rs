//! A person's way through the dashboard, in a real Chromium: set-up, sign-in, import by drag-and-drop, filter, triage by keyboard, dark
//! mode, every page, sign-out; a phone; and pages without script.

mod incidents;
mod playbooks;
mod runtime;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use stance_tests::{Options, PASSWORD, Stance, browser::Browser, wait_for};

const ENTER: char = '\u{E007}';
const ESCAPE: char = '\u{E00C}';
const EMAIL: &str = "owner@acme.test";

/// A report with a hostile title among its findings.
fn report() -> String {
    let result = |rule: &str, level: &str, file: &str, text: &str| {
        json!({ "ruleId": rule, "level": level, "message": { "text": text },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": file }, "region": { "startLine": 3 } } }] })
    };
    let mut results = vec![
        result("R-eval", "error", "a.py", "Model output reaches eval"),
        result("R-xss", "warning", "b.py", "<script>document.title='owned'</script> \u{202e}reversed\u{0007}"),
        result("R-long", "note", "c.py", &"a very long title ".repeat(20)),
    ];
    results.extend(
        (0..40).map(|n| result(&format!("R-{n}"), "warning", &format!("src/f{n}.py"), &format!("Problem {n}"))),
    );
    json!({ "version": "2.1.0", "runs": [{
        "tool": { "driver": { "name": "probe", "version": "1.0" } },
        "versionControlProvenance": [{ "repositoryUri": "https://git.acme.test/portal" }],
        "results": results }] })
    .to_string()
}

async fn fill(browser: &Browser, name: &str, value: &str) -> Result<()> {
    Ok(browser.element(&format!("input[name={name}]")).await?.send_keys(value).await?)
}

/// Clicks by script, so that what covers an element for a moment does not matter.
async fn click(browser: &Browser, css: &str) -> Result<()> {
    browser.element(css).await?;
    browser.script("document.querySelector(arguments[0]).click()", vec![css.into()]).await.map(drop)
}

async fn address(browser: &Browser) -> Result<String> {
    Ok(browser.client.current_url().await?.to_string())
}

async fn count(browser: &Browser, css: &str) -> Result<i64> {
    let found = browser.script("return document.querySelectorAll(arguments[0]).length", vec![css.into()]).await?;
    found.as_i64().context("no number")
}

async fn until_address(browser: &Browser, part: &str) -> Result<()> {
    wait_for(part, 20, || async { address(browser).await.ok()?.contains(part).then_some(()) }).await
}

#[tokio::test]
async fn from_set_up_to_sign_out() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let browser = Browser::open(1440, 900, false).await?;
    let walk = walk(&stance.url, &browser).await;
    let page = browser.page_text().await.unwrap_or_default();
    browser.client.clone().close().await?;
    walk.with_context(|| format!("the page was: {page}\n{}", stance.log()))
}

async fn walk(url: &str, browser: &Browser) -> Result<()> {
    // Set-up, on an installation without organizations.
    browser.client.goto(url).await?;
    until_address(browser, "/setup").await?;
    browser.accessible("set-up").await?;
    for (name, value) in [("organization", "Acme"), ("name", "Owner"), ("email", EMAIL), ("password", PASSWORD)] {
        fill(browser, name, value).await?;
    }
    click(browser, "form button.primary").await?;
    browser.element(".app").await?;
    browser.hydrated().await?;
    browser.accessible("empty overview").await?;

    // Sign-out and sign-in.
    click(browser, "form[action='/auth/sign-out'] button").await?;
    until_address(browser, "/sign-in").await?;
    browser.accessible("sign-in").await?;
    fill(browser, "email", EMAIL).await?;
    fill(browser, "password", "not the password").await?;
    click(browser, "form button.primary").await?;
    browser.text("E-mail or password is not right").await?;
    fill(browser, "email", EMAIL).await?;
    fill(browser, "password", PASSWORD).await?;
    click(browser, "form button.primary").await?;
    browser.element(".app").await?;
    browser.quiet_console(&[]).await?;

    // Import by drag-and-drop.
    browser.goto(&format!("{url}/imports")).await?;
    let drop = "const transfer = new DataTransfer();
        transfer.items.add(new File([arguments[0]], 'scan.sarif', { type: 'application/json' }));
        document.querySelector('.drop').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));";
    browser.script(drop, vec![report().into()]).await?;
    browser.text("43 new").await?;
    browser.accessible("imports").await?;
    browser.quiet_console(&[]).await?;

    // Filter by the address.
    browser.goto(&format!("{url}/findings?severity=HIGH")).await?;
    wait_for("one row", 20, || async { (count(browser, "tr[data-id]").await.ok()? == 1).then_some(()) }).await?;
    browser.goto(&format!("{url}/findings")).await?;
    ensure!(count(browser, "tr[data-id]").await? > 30, "the list is short");
    ensure!(browser.client.title().await?.contains("Findings"), "a report's text ran as script");

    triage(browser).await?;
    dark_mode(url, browser).await?;
    runtime::walk(url, browser).await?;
    playbooks::walk(url, browser).await?;
    every_page(url, browser).await?;

    click(browser, "form[action='/auth/sign-out'] button").await?;
    until_address(browser, "/sign-in").await?;
    browser.client.goto(&format!("{url}/findings")).await?;
    until_address(browser, "/sign-in").await
}

/// Opens a finding with the keys, decides, and takes it back.
async fn triage(browser: &Browser) -> Result<()> {
    for key in ['j', 'j', 'k', ENTER] {
        browser.press(key).await?;
    }
    until_address(browser, "finding=").await?;
    browser.element(".decide").await?;
    browser.accessible("findings with drawer").await?;
    let rows = count(browser, "tr[data-id]").await?;
    click(browser, ".decide input[value=FALSE_POSITIVE]").await?;
    browser.element(".decide input[name=reason]").await?.send_keys("only in a test").await?;
    browser.press(ENTER).await?;
    browser.text("False positive").await?;
    // A decided finding leaves the list of open ones; taken back, it returns.
    let shown = async |wanted: i64| {
        wait_for("the list", 20, || async { (count(browser, "tr[data-id]").await.ok()? == wanted).then_some(()) }).await
    };
    shown(rows - 1).await?;
    click(browser, ".toast button").await?;
    browser.text("Taken back").await?;
    shown(rows).await?;
    browser.press('?').await?;
    browser.element(".sheet").await?;
    browser.accessible("keys").await?;
    browser.press(ESCAPE).await?;
    browser.quiet_console(&[]).await
}

/// The choice of light or dark stays over a reload.
async fn dark_mode(url: &str, browser: &Browser) -> Result<()> {
    click(browser, "button[aria-label='Switch between light and dark']").await?;
    let theme = || browser.script("return document.documentElement.dataset.theme ?? ''", vec![]);
    let chosen = theme().await?;
    ensure!(chosen == "dark", "a light page switched to {chosen}");
    browser.accessible("dark findings").await?;
    browser.goto(&format!("{url}/")).await?;
    ensure!(theme().await? == chosen, "the theme is forgotten");
    Ok(())
}

/// Every page, also for somebody who depends on assistive technology; none says something in the console.
async fn every_page(url: &str, browser: &Browser) -> Result<()> {
    let mut pages: Vec<String> = [
        "/",
        "/findings",
        "/inventory",
        "/imports",
        "/audit",
        "/settings/organization",
        "/settings/members",
        "/formats",
        "/formats/garak",
        "/settings/tokens",
        "/settings/sessions",
        "/settings/jobs",
        "/settings/runtime",
        "/runtime",
        "/runtime/events",
        "/runtime/sessions",
        "/runtime/sensors",
        "/runtime/policies",
        "/runtime/policies/new",
        "/incidents",
        "/incidents/board",
        "/incidents/rules",
        "/incidents/new",
        "/playbooks",
        "/playbooks/new",
        "/playbooks/runs",
        "/runtime/quality?flag=0.5&block=0.8",
        "/runtime/playground?text=Ignore%20all%20previous%20instructions",
    ]
    .map(str::to_owned)
    .to_vec();
    // A page of one thing, by the first link of its list.
    for (list, link) in [
        ("/findings", "main tr[data-id]"),
        ("/inventory", "main a[href^='/inventory/']"),
        ("/imports", "main a[href^='/imports/']"),
    ] {
        browser.goto(&format!("{url}{list}")).await?;
        let element = browser.element(link).await?;
        let id = element.attr("data-id").await?.map(|id| format!("/findings/{id}"));
        pages.push(id.or(element.attr("href").await?).with_context(|| format!("{list} links to no page"))?);
    }
    for path in &pages {
        browser.goto(&format!("{url}{path}")).await.with_context(|| path.clone())?;
        browser.accessible(path).await?;
        browser.quiet_console(&[]).await.with_context(|| path.clone())?;
    }
    browser.goto(&format!("{url}/no-such-page")).await?;
    browser.text("Nothing is here").await?;
    browser.accessible("404").await?;
    browser.quiet_console(&["404"]).await
}

#[tokio::test]
async fn a_phone_shows_everything_without_sideways_scrolling() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let acme = stance.bootstrap("Acme", EMAIL).await?;
    let id = acme.client.upload(report(), stance_tests::Import { asset: Some("portal"), ..Default::default() }).await?;
    acme.client.finished(&id).await?;
    let browser = Browser::open(390, 844, true).await?;
    browser.sign_in(&stance.url, EMAIL, PASSWORD).await?;
    let open = "mutation($title: String!) { openIncident(input: { title: $title, severity: HIGH }) { id } }";
    let title = format!("{}{}", "an incident of many words ".repeat(4), "x".repeat(80));
    let incident = acme.client.graphql(open, json!({ "title": title })).await?;
    let incident = format!("/incidents/{}", incident["openIncident"]["id"].as_str().context("no id")?);
    let report = format!("{incident}/report");
    let mut wide = Vec::new();
    for path in [
        incident.as_str(),
        &report,
        "/",
        "/findings",
        "/inventory",
        "/imports",
        "/audit",
        "/settings/members",
        "/incidents",
        "/incidents/board",
        "/incidents/rules",
        "/runtime",
        "/runtime/events",
        "/runtime/sensors",
        "/runtime/playground",
    ] {
        browser.goto(&format!("{}{path}", stance.url)).await?;
        let widths = browser.script("return [document.documentElement.scrollWidth, innerWidth]", vec![]).await?;
        if widths[0].as_i64() > widths[1].as_i64() {
            wide.push(format!("{path}: {widths}"));
        }
        browser.accessible(path).await?;
    }
    browser.client.close().await?;
    ensure!(wide.is_empty(), "pages scroll sideways: {wide:?}");
    Ok(())
}

#[tokio::test]
async fn pages_can_be_read_without_javascript() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let acme = stance.bootstrap("Acme", EMAIL).await?;
    let id = acme.client.upload(report(), stance_tests::Import { asset: Some("portal"), ..Default::default() }).await?;
    acme.client.finished(&id).await?;
    let anonymous = stance_tests::Client::anonymous(&stance.url)?;
    let cookie = anonymous.sign_in(EMAIL, PASSWORD).await?;
    for (path, wanted) in
        [("/", "portal"), ("/findings", "Model output reaches eval"), ("/inventory", "portal"), ("/imports", "probe")]
    {
        let page = anonymous
            .request(reqwest::Method::GET, path)
            .header("Cookie", &cookie)
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?;
        ensure!(page.contains(wanted), "«{wanted}» is not in {path}");
        ensure!(!page.contains("<script>document.title"), "{path} does not escape");
    }
    let missing = anonymous.request(reqwest::Method::GET, "/no-such-page").header("Cookie", &cookie).send().await?;
    ensure!(missing.status() == 404, "{}", missing.status());
    Ok(())
}
