//! Chromium and its driver, for browser tests and screenshots.

use anyhow::{Context, Result};
use std::path::PathBuf;

use super::debian;
use crate::shell;

/// A browser and the WebDriver server of the same version.
pub struct Browser {
    pub chromium: PathBuf,
    pub driver: PathBuf,
}

/// Named by `CHROMIUM` and `CHROMEDRIVER`, else found in PATH, else installed.
pub fn browser() -> Result<Browser> {
    if find().is_none() {
        debian::install("Chromium", &["chromium", "chromium-driver"])?;
    }
    find().context("Chromium was installed, but `chromium` and `chromedriver` are not in PATH")
}

fn find() -> Option<Browser> {
    let named = |variable: &str, names: &[&str]| {
        std::env::var_os(variable).map(PathBuf::from).or_else(|| names.iter().find_map(|name| shell::which(name)))
    };
    Some(Browser {
        chromium: named("CHROMIUM", &["chromium", "chromium-browser", "google-chrome"])?,
        driver: named("CHROMEDRIVER", &["chromedriver"])?,
    })
}
