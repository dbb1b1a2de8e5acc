//! The playbooks that come with Stance: documents as everybody else's, in `assets/playbooks`.

use super::{Playbook, read};
use std::sync::LazyLock;

/// A playbook that comes with Stance.
#[derive(Debug)]
pub struct BuiltIn {
    pub source: &'static str,
    pub playbook: Playbook,
}

macro_rules! documents {
    ($($name:literal),+ $(,)?) => {
        /// Name and text of each.
        pub(super) const DOCUMENTS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../assets/playbooks/", $name, ".yaml")))),+];
    };
}

documents![
    "direct-prompt-injection",
    "indirect-prompt-injection",
    "data-leak-in-output",
    "secret-exposure",
    "tool-misuse",
    "poisoned-model-or-dataset",
    "mcp-rug-pull",
    "guardrail-bypass",
    "harmful-output-at-scale",
    "denial-of-service-and-cost",
    "shadow-ai",
    "rogue-agent",
];

static LIBRARY: LazyLock<Vec<BuiltIn>> = LazyLock::new(|| {
    // One that can not be read is caught by a test, never at run time.
    DOCUMENTS.iter().filter_map(|(_, source)| Some(BuiltIn { source, playbook: read(source).ok()? })).collect()
});

/// All of them, in the order in which people see them.
#[must_use]
pub fn library() -> &'static [BuiltIn] {
    &LIBRARY
}
