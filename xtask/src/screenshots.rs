//! Pictures of every page on the demo organization, in docs/screenshots.

use anyhow::Result;
use std::net::TcpListener;
use std::process::Command;

use crate::provision;
use crate::shell::{self, step};
use crate::up::{self, Demo};

/// Starts a demo of its own, so that the pictures do not depend on what a person did in theirs.
pub fn run() -> Result<()> {
    let browser = step("Chromium", provision::browser)?;
    up::build()?;
    // In the system's temporary folder, which PostgreSQL's unprivileged user can reach.
    let data = std::env::temp_dir().join(format!("stance-screenshots-{}", std::process::id()));
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let demo = Demo::start(&data, &address.to_string())?;
    let result = step("screenshots", || {
        let mut walk = Command::new(shell::binary()?.with_file_name("screenshots"));
        walk.arg(&demo.url).arg(shell::root().join("docs/screenshots"));
        walk.env("STANCE_EMAIL", &demo.email).env("STANCE_PASSWORD", &demo.password);
        shell::run(walk.env("CHROMIUM", &browser.chromium).env("CHROMEDRIVER", &browser.driver))
    });
    drop(demo);
    std::fs::remove_dir_all(&data)?;
    result
}
