//! The parts of SARIF 2.1.0 that are read; everything else is passed over. Members may be `null` wherever they may be absent.
//! Texts are of type `T`: a result's stay in the report, a run's are kept.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::json::{Record, Text, or_default};

pub(crate) type Properties = Map<String, Value>;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
pub(super) struct SarifResult<'a> {
    pub rule_id: Option<Text<'a>>,
    pub rule_index: Option<i64>,
    pub rule: Option<DescriptorReference>,
    pub level: Option<Text<'a>>,
    pub kind: Option<Text<'a>>,
    #[serde(deserialize_with = "or_default")]
    pub message: Message<Text<'a>>,
    #[serde(deserialize_with = "or_default")]
    pub locations: Vec<SarifLocation<Text<'a>>>,
    pub suppressions: Option<Vec<SarifSuppression<Text<'a>>>>,
    pub baseline_state: Option<Text<'a>>,
    #[serde(deserialize_with = "or_default")]
    pub fingerprints: Properties,
    #[serde(deserialize_with = "or_default")]
    pub partial_fingerprints: Properties,
    #[serde(deserialize_with = "or_default")]
    pub properties: Properties,
    #[serde(deserialize_with = "or_default")]
    pub taxa: Vec<DescriptorReference>,
    #[serde(deserialize_with = "or_default")]
    pub fixes: Vec<Fix<Text<'a>>>,
    pub occurrence_count: Option<u64>,
    pub hosted_viewer_uri: Option<Text<'a>>,
}

impl Record for SarifResult<'static> {
    type Of<'a> = SarifResult<'a>;
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub(super) struct Message<T = String> {
    pub text: Option<T>,
    pub markdown: Option<T>,
    pub id: Option<T>,
    #[serde(deserialize_with = "or_default")]
    pub arguments: Vec<T>,
}

impl<T: Deref<Target = str>> Message<T> {
    /// Its plain text, else its Markdown.
    pub(super) fn text(&self) -> Option<&str> {
        self.text.as_deref().or(self.markdown.as_deref())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub(super) struct Fix<T = String> {
    #[serde(deserialize_with = "or_default")]
    pub description: Message<T>,
}

/// A reference to a rule or taxon.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DescriptorReference {
    pub id: Option<String>,
    pub index: Option<i64>,
    pub tool_component: Option<ComponentReference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ComponentReference {
    pub name: Option<String>,
    pub index: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub(super) struct SarifLocation<T = String> {
    #[serde(deserialize_with = "or_default")]
    pub physical_location: PhysicalLocation<T>,
    #[serde(deserialize_with = "or_default")]
    pub logical_locations: Vec<LogicalLocation<T>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub(super) struct PhysicalLocation<T = String> {
    #[serde(deserialize_with = "or_default")]
    pub artifact_location: ArtifactLocation<T>,
    #[serde(deserialize_with = "or_default")]
    pub region: Region<T>,
    #[serde(deserialize_with = "or_default")]
    pub context_region: ContextRegion<T>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub(super) struct ArtifactLocation<T = String> {
    pub uri: Option<T>,
    pub uri_base_id: Option<T>,
    pub index: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub(super) struct Region<T = String> {
    pub start_line: Option<i64>,
    pub end_line: Option<i64>,
    pub start_column: Option<i64>,
    pub end_column: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    pub snippet: Snippet<T>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub(super) struct ContextRegion<T = String> {
    #[serde(deserialize_with = "or_default")]
    pub snippet: Snippet<T>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub(super) struct Snippet<T = String> {
    pub text: Option<T>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub(super) struct LogicalLocation<T = String> {
    pub fully_qualified_name: Option<T>,
    pub name: Option<T>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub(super) struct SarifSuppression<T = String> {
    pub kind: Option<T>,
    /// `state` in drafts of the standard.
    #[serde(alias = "state")]
    pub status: Option<T>,
    pub justification: Option<T>,
}

/// A rule as the tool describes it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Descriptor {
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    pub name: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub short_description: Message,
    #[serde(deserialize_with = "or_default")]
    pub full_description: Message,
    #[serde(deserialize_with = "or_default")]
    pub help: Message,
    pub help_uri: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub default_configuration: Configuration,
    #[serde(deserialize_with = "or_default")]
    pub message_strings: BTreeMap<String, Message>,
    #[serde(deserialize_with = "or_default")]
    pub properties: Properties,
    #[serde(deserialize_with = "or_default")]
    pub relationships: Vec<Relationship>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Configuration {
    pub level: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Relationship {
    #[serde(deserialize_with = "or_default")]
    pub target: DescriptorReference,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Taxonomy {
    pub name: Option<String>,
    pub version: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub taxa: Vec<Taxon>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Taxon {
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    pub name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Artifact {
    #[serde(deserialize_with = "or_default")]
    pub location: ArtifactLocation,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AutomationDetails {
    #[serde(deserialize_with = "or_default")]
    pub id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct VersionControl {
    pub repository_uri: Option<String>,
    pub branch: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Invocation {
    pub execution_successful: Option<bool>,
    pub exit_code_description: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub rule_configuration_overrides: Vec<ConfigurationOverride>,
    #[serde(deserialize_with = "or_default")]
    pub working_directory: ArtifactLocation,
    #[serde(deserialize_with = "or_default")]
    pub tool_execution_notifications: Vec<Notification>,
    #[serde(deserialize_with = "or_default")]
    pub tool_configuration_notifications: Vec<Notification>,
}

/// What the run's user made of a rule (SARIF 3.51).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ConfigurationOverride {
    #[serde(deserialize_with = "or_default")]
    pub descriptor: DescriptorReference,
    #[serde(deserialize_with = "or_default")]
    pub configuration: Configuration,
}

/// Files of their own in which parts of a run stand (SARIF 3.15).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ExternalFiles {
    #[serde(deserialize_with = "or_default")]
    pub results: Vec<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Notification {
    pub level: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub message: Message,
    #[serde(deserialize_with = "or_default")]
    pub locations: Vec<SarifLocation>,
}
