//! What the server gives to a page and what a page tells the server: the only seam between this crate and the web server.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc};

use serde_json::Value;

/// The future of a GraphQL reply, `{"data": …, "errors": […]}`.
pub type ReplyFuture = Pin<Box<dyn Future<Output = Value> + Send>>;

/// Runs a GraphQL request body (`{"query", "operationName", "variables"}`) as the person whose page is rendered.
///
/// The server provides it as Leptos context for each request.
#[derive(Clone)]
pub struct Executor(pub Arc<dyn Fn(Value) -> ReplyFuture + Send + Sync>);

/// Replies that the page finds without asking, by name, as JSON: for pages of visitors, who may not use the API.
#[derive(Clone, Default)]
pub struct Given(pub BTreeMap<&'static str, Value>);

impl Given {
    /// The invitation whose page it is: `{"organization", "email", "role", "hasAccount"}`; absent when it is not open.
    pub const INVITATION: &'static str = "invitation";
}

/// Sets the HTTP status of the page that is being rendered; without a call it is 200.
#[derive(Clone)]
pub struct StatusSetter(pub Arc<dyn Fn(u16) + Send + Sync>);

/// Light, dark, or what the system says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system says.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Theme {
    /// Reads the value of the cookie `theme`; anything unknown is [`Theme::System`].
    #[must_use]
    pub fn from_cookie(value: &str) -> Self {
        match value {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }

    /// The attribute `data-theme` of the document, absent for the system's choice.
    #[must_use]
    pub const fn attribute(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Light => Some("light"),
            Self::Dark => Some("dark"),
        }
    }
}

/// Where the browser finds the files of the dashboard. The server may put a digest into each path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assets {
    /// Style sheets in the order of their cascade layers.
    pub stylesheets: Vec<String>,
    /// The sans font, loaded ahead.
    pub font: String,
    /// The icon of the browser tab.
    pub icon: String,
    /// The script made by wasm-bindgen.
    pub script: String,
    /// The WebAssembly module.
    pub wasm: String,
}

impl Default for Assets {
    fn default() -> Self {
        Self {
            stylesheets: ["tokens", "base", "components", "pages"].map(|name| format!("/css/{name}.css")).into(),
            font: "/fonts/inter-latin-wght-normal.woff2".into(),
            icon: "/icon.svg".into(),
            script: "/pkg/stance.js".into(),
            wasm: "/pkg/stance_bg.wasm".into(),
        }
    }
}
