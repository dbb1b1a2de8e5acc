//! The parts of promptfoo's results that are read; everything else is passed over.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::json::or_default;

/// One answer of one provider to one test.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Row {
    pub success: Option<bool>,
    /// 0 none, 1 an assertion failed, 2 an error; absent in results of old versions.
    pub failure_reason: Option<u8>,
    /// Also the reason of a failed assertion.
    pub error: Option<String>,
    pub grading_result: Option<Grading>,
    #[serde(deserialize_with = "or_default")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    pub test_case: TestCase,
    #[serde(deserialize_with = "or_default")]
    pub vars: Map<String, Value>,
    #[serde(deserialize_with = "or_default")]
    pub response: Response,
    pub provider: Option<Provider>,
    #[serde(deserialize_with = "or_default")]
    pub prompt: Prompt,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Grading {
    pub reason: Option<String>,
    pub assertion: Option<Assertion>,
    #[serde(deserialize_with = "or_default")]
    pub component_results: Vec<Component>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Component {
    pub pass: Option<bool>,
    pub reason: Option<String>,
    pub assertion: Option<Assertion>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Assertion {
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    pub metric: Option<String>,
    pub value: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub plugin_id: Option<String>,
    pub strategy_id: Option<String>,
    pub severity: Option<String>,
    pub goal: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TestCase {
    pub description: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Response {
    pub output: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Prompt {
    pub raw: Option<String>,
}

/// Old versions wrote only the id.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Provider {
    Id(String),
    Named { id: Option<String>, label: Option<String> },
}

impl Provider {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Id(id) => id,
            Self::Named { id, .. } => id.as_deref().unwrap_or_default(),
        }
    }

    /// What its configuration calls it.
    pub(super) fn label(&self) -> &str {
        match self {
            Self::Id(_) => "",
            Self::Named { label, .. } => label.as_deref().unwrap_or_default(),
        }
    }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed,
    Error,
}

impl Row {
    pub(super) fn outcome(&self) -> Outcome {
        match (self.success, self.failure_reason) {
            (_, Some(2)) => Outcome::Error,
            (Some(true), _) => Outcome::Passed,
            (_, None) if self.grading_result.is_none() => Outcome::Error,
            _ => Outcome::Failed,
        }
    }

    /// The plugin that made the test, when it is an attack.
    pub(super) fn plugin(&self) -> Option<&str> {
        let own = self.metadata.plugin_id.as_deref().or(self.test_case.metadata.plugin_id.as_deref());
        let of_assertion = || self.failed_assertion()?.kind.strip_prefix("promptfoo:redteam:");
        own.filter(|plugin| !plugin.is_empty()).or_else(of_assertion)
    }

    /// The first assertion that failed; a set of assertions is named by its first one.
    pub(super) fn failed_assertion(&self) -> Option<&Assertion> {
        let mut failed = self.failed_components();
        failed.find_map(|component| component.assertion.as_ref()).or(self.grading_result.as_ref()?.assertion.as_ref())
    }

    /// Why it failed.
    pub(super) fn reason(&self) -> Option<&str> {
        let of_component = self.failed_components().find_map(|component| component.reason.as_deref());
        of_component.or_else(|| self.grading_result.as_ref()?.reason.as_deref()).or(self.error.as_deref())
    }

    fn failed_components(&self) -> impl Iterator<Item = &Component> {
        let components = self.grading_result.iter().flat_map(|grading| &grading.component_results);
        components.filter(|component| component.pass == Some(false))
    }
}
