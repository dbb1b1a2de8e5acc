//! A real Chromium, driven over WebDriver.

use anyhow::{Context as _, Result, ensure};
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::{ClientBuilder, Locator, wd::Capabilities};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A browser window of its own profile.
pub struct Browser {
    pub client: fantoccini::Client,
    driver_url: String,
    _driver: Child,
    _profile: TempDir,
}

impl Browser {
    /// Starts chromedriver (`CHROMEDRIVER`, default from PATH) and a headless window of this size, in CSS pixels.
    ///
    /// # Errors
    /// When either does not start.
    pub async fn open(width: u32, height: u32, dark: bool) -> Result<Self> {
        let profile = tempfile::Builder::new().prefix("stance-chromium").tempdir_in("/tmp")?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let program = std::env::var("CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".to_owned());
        let driver = Command::new(&program)
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{program} does not start; `cargo xtask test` installs it"))?;
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-quic".into(),
            "--disable-dev-shm-usage".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            "--hide-scrollbars".into(),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        if dark {
            arguments.push("--blink-settings=preferredColorScheme=0".into());
        }
        let mut options = json!({ "args": arguments });
        if let Ok(chromium) = std::env::var("CHROMIUM") {
            options["binary"] = chromium.into();
        }
        // A window's size includes its frame, and phones are narrower than a window may be: emulate the screen.
        let phone = width < 500;
        options["mobileEmulation"] = json!({ "deviceMetrics": { "width": width, "height": height, "pixelRatio": 1.0, "touch": phone, "mobile": phone } });
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".into(), options);
        capabilities.insert("goog:loggingPrefs".into(), json!({ "browser": "ALL" }));
        let driver_url = format!("http://127.0.0.1:{port}");
        let client = crate::wait_for("chromedriver", 20, || async {
            ClientBuilder::new(HttpConnector::new()).capabilities(capabilities.clone()).connect(&driver_url).await.ok()
        })
        .await?;
        Ok(Self { client, driver_url, _driver: driver, _profile: profile })
    }

    /// Opens a page and waits until it is hydrated.
    ///
    /// # Errors
    /// When the marker does not appear within 20 s.
    pub async fn goto(&self, url: &str) -> Result<()> {
        self.client.goto(url).await?;
        self.hydrated().await
    }

    /// Signs in through the form.
    ///
    /// # Errors
    /// When the overview does not come.
    pub async fn sign_in(&self, url: &str, email: &str, password: &str) -> Result<()> {
        self.client.goto(&format!("{url}/sign-in")).await?;
        self.element("input[name=email]").await?.send_keys(email).await?;
        self.element("input[name=password]").await?.send_keys(password).await?;
        self.element("form button.primary").await?.click().await?;
        self.element(".app").await?;
        self.hydrated().await
    }

    /// Waits for the marker that hydration sets.
    ///
    /// # Errors
    /// When it does not appear within 20 s.
    pub async fn hydrated(&self) -> Result<()> {
        self.element("html[data-hydrated=true]").await.map(drop)
    }

    /// Presses and releases a key where the focus is, as a person would. Keys without a character: WebDriver's table, for
    /// example `'\u{E007}'` for Enter.
    ///
    /// # Errors
    /// When the window is gone.
    pub async fn press(&self, key: char) -> Result<()> {
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Up { value: key });
        Ok(self.client.perform_actions(keys).await?)
    }

    /// Waits for an element.
    ///
    /// # Errors
    /// When it does not appear within 20 s.
    pub async fn element(&self, css: &str) -> Result<fantoccini::elements::Element> {
        crate::wait_for(css, 20, || async { self.client.find(Locator::Css(css)).await.ok() }).await
    }

    /// Waits until the page's text contains something.
    ///
    /// # Errors
    /// When it does not within 20 s; then with the text that was there.
    pub async fn text(&self, wanted: &str) -> Result<()> {
        let found =
            crate::wait_for(wanted, 20, || async { self.page_text().await.ok()?.contains(wanted).then_some(()) }).await;
        if found.is_err() {
            let text = self.page_text().await?;
            ensure!(text.contains(wanted), "«{wanted}» is not in: {text}");
        }
        Ok(())
    }

    /// All visible text.
    ///
    /// # Errors
    /// When the window is gone.
    pub async fn page_text(&self) -> Result<String> {
        Ok(self.client.find(Locator::Css("body")).await?.text().await?)
    }

    /// Runs JavaScript and gives its result.
    ///
    /// # Errors
    /// When the script fails.
    pub async fn script(&self, script: &str, arguments: Vec<Value>) -> Result<Value> {
        Ok(self.client.execute(script, arguments).await?)
    }

    /// Sends a command of the Chrome DevTools protocol, for what a page's script can not do.
    ///
    /// # Errors
    /// When the browser refuses it.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Result<()> {
        let session = self.client.session_id().await?.context("no session")?;
        let answer = reqwest::Client::builder()
            .build()?
            .post(format!("{}/session/{session}/goog/cdp/execute", self.driver_url))
            .json(&json!({ "cmd": command, "params": parameters }))
            .send()
            .await?;
        ensure!(answer.status().is_success(), "{command}: {}", answer.text().await?);
        Ok(())
    }

    /// Fails when the console has an error line since the last call. `allowed` names texts that are expected.
    ///
    /// # Errors
    /// With the lines.
    pub async fn quiet_console(&self, allowed: &[&str]) -> Result<()> {
        let session = self.client.session_id().await?.context("no session")?;
        let answer: Value = reqwest::Client::builder()
            .build()?
            .post(format!("{}/session/{session}/se/log", self.driver_url))
            .json(&json!({ "type": "browser" }))
            .send()
            .await?
            .json()
            .await?;
        let lines = answer["value"].as_array().with_context(|| format!("no log: {answer}"))?;
        let severe: Vec<&Value> = lines
            .iter()
            .filter(|line| {
                line["level"] == "SEVERE"
                    && !allowed.iter().any(|a| line["message"].as_str().is_some_and(|m| m.contains(a)))
            })
            .collect();
        ensure!(severe.is_empty(), "the console has errors: {severe:#?}");
        Ok(())
    }

    /// Runs axe-core on the page; fails with what is serious or critical.
    ///
    /// # Errors
    /// With the violations.
    pub async fn accessible(&self, page: &str) -> Result<()> {
        let path =
            std::env::var("STANCE_AXE").context("STANCE_AXE names no axe.min.js; `cargo xtask test` installs it")?;
        let axe = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        self.script(&axe, vec![]).await?;
        let found = self
            .client
            .execute_async(
                "const done = arguments[0]; axe.run(document, { resultTypes: ['violations'] }).then(r => done(r.violations.filter(v => v.impact === 'serious' || v.impact === 'critical').map(v => v.id + ': ' + v.nodes.slice(0, 5).map(n => n.html + ' ' + n.failureSummary).join(' | '))));",
                vec![],
            )
            .await?;
        let found = found.as_array().context("axe gave no list")?;
        ensure!(found.is_empty(), "axe on {page}: {found:#?}");
        Ok(())
    }

    /// A picture of the window as PNG.
    ///
    /// # Errors
    /// When the window is gone.
    pub async fn screenshot(&self) -> Result<Vec<u8>> {
        Ok(self.client.screenshot().await?)
    }
}
