//! The parts of promptfoo's results that are read; everything else is passed over.

use serde::Deserialize;
use serde_json::Value;

use crate::json::{Object, Record, Text, Tree, or_default};

/// One answer of one provider to one test.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
pub(super) struct Row<'a> {
    pub success: Option<bool>,
    /// 0 none, 1 an assertion failed, 2 an error; absent in results of old versions.
    pub failure_reason: Option<u8>,
    /// Also the reason of a failed assertion.
    pub error: Option<Text<'a>>,
    pub grading_result: Option<Grading<'a>>,
    #[serde(deserialize_with = "or_default")]
    pub metadata: Metadata<'a>,
    #[serde(deserialize_with = "or_default")]
    pub test_case: TestCase<'a>,
    #[serde(deserialize_with = "or_default")]
    pub vars: Object<'a>,
    #[serde(deserialize_with = "or_default")]
    pub response: Response<'a>,
    pub provider: Option<Provider<'a>>,
    #[serde(deserialize_with = "or_default")]
    pub prompt: Prompt<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
pub(super) struct Grading<'a> {
    pub reason: Option<Text<'a>>,
    pub assertion: Option<Assertion<'a>>,
    #[serde(deserialize_with = "or_default")]
    pub component_results: Vec<Component<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Component<'a> {
    pub pass: Option<bool>,
    pub reason: Option<Text<'a>>,
    pub assertion: Option<Assertion<'a>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Assertion<'a> {
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: Text<'a>,
    pub metric: Option<Text<'a>>,
    pub value: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
pub(super) struct Metadata<'a> {
    pub plugin_id: Option<Text<'a>>,
    pub strategy_id: Option<Text<'a>>,
    pub severity: Option<Text<'a>>,
    pub goal: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct TestCase<'a> {
    pub description: Option<Text<'a>>,
    #[serde(deserialize_with = "or_default")]
    pub metadata: Metadata<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Response<'a> {
    pub output: Option<Tree<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Prompt<'a> {
    pub raw: Option<Text<'a>>,
}

/// Old versions wrote only the id.
#[derive(Debug, Deserialize)]
#[serde(untagged, bound(deserialize = "'de: 'a"))]
pub(super) enum Provider<'a> {
    Id(Text<'a>),
    Named { id: Option<Text<'a>>, label: Option<Text<'a>> },
}

impl Provider<'_> {
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

impl Record for Row<'static> {
    type Of<'a> = Row<'a>;
}

impl Row<'_> {
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
    pub(super) fn failed_assertion(&self) -> Option<&Assertion<'_>> {
        let mut failed = self.failed_components();
        failed.find_map(|component| component.assertion.as_ref()).or(self.grading_result.as_ref()?.assertion.as_ref())
    }

    /// Why it failed.
    pub(super) fn reason(&self) -> Option<&str> {
        let of_component = self.failed_components().find_map(|component| component.reason.as_deref());
        of_component.or_else(|| self.grading_result.as_ref()?.reason.as_deref()).or(self.error.as_deref())
    }

    fn failed_components(&self) -> impl Iterator<Item = &Component<'_>> {
        let components = self.grading_result.iter().flat_map(|grading| &grading.component_results);
        components.filter(|component| component.pass == Some(false))
    }
}
