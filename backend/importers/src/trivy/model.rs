//! The parts of Trivy's report that are read; everything else is passed over.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::json::or_default;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Vulnerability {
    #[serde(rename = "VulnerabilityID", deserialize_with = "or_default")]
    pub id: String,
    #[serde(rename = "VendorIDs", deserialize_with = "or_default")]
    pub vendor_ids: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub pkg_name: String,
    #[serde(deserialize_with = "or_default")]
    pub pkg_path: String,
    #[serde(deserialize_with = "or_default")]
    pub pkg_identifier: Identifier,
    #[serde(deserialize_with = "or_default")]
    pub installed_version: String,
    #[serde(deserialize_with = "or_default")]
    pub fixed_version: String,
    pub status: Option<String>,
    pub severity_source: Option<String>,
    #[serde(rename = "PrimaryURL", deserialize_with = "or_default")]
    pub primary_url: String,
    #[serde(deserialize_with = "or_default")]
    pub title: String,
    #[serde(deserialize_with = "or_default")]
    pub description: String,
    #[serde(deserialize_with = "or_default")]
    pub severity: String,
    #[serde(rename = "CweIDs", deserialize_with = "or_default")]
    pub cwe_ids: Vec<String>,
    #[serde(rename = "CVSS", deserialize_with = "or_default")]
    pub cvss: BTreeMap<String, Cvss>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Identifier {
    #[serde(rename = "PURL")]
    pub purl: Option<String>,
}

/// Scores of one source.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cvss {
    #[serde(rename = "V40Score")]
    v40: Option<f64>,
    #[serde(rename = "V3Score")]
    v3: Option<f64>,
    #[serde(rename = "V2Score")]
    v2: Option<f64>,
}

impl Cvss {
    /// That of the newest version.
    pub(super) fn score(self) -> Option<f64> {
        self.v40.or(self.v3).or(self.v2)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Misconfiguration {
    #[serde(rename = "ID", deserialize_with = "or_default")]
    pub id: String,
    #[serde(rename = "AVDID")]
    pub avd_id: Option<String>,
    #[serde(rename = "Type", deserialize_with = "or_default")]
    pub kind: String,
    #[serde(deserialize_with = "or_default")]
    pub title: String,
    #[serde(deserialize_with = "or_default")]
    pub description: String,
    #[serde(deserialize_with = "or_default")]
    pub message: String,
    #[serde(deserialize_with = "or_default")]
    pub resolution: String,
    #[serde(deserialize_with = "or_default")]
    pub severity: String,
    #[serde(rename = "PrimaryURL", deserialize_with = "or_default")]
    pub primary_url: String,
    pub status: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub cause_metadata: Cause,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Cause {
    pub resource: Option<String>,
    pub start_line: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Secret {
    #[serde(rename = "RuleID", deserialize_with = "or_default")]
    pub rule_id: String,
    pub category: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub severity: String,
    #[serde(deserialize_with = "or_default")]
    pub title: String,
    pub start_line: Option<u32>,
    /// The line, the secret in it masked by Trivy.
    #[serde(rename = "Match", deserialize_with = "or_default")]
    pub text: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct License {
    #[serde(deserialize_with = "or_default")]
    pub severity: String,
    pub category: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub pkg_name: String,
    #[serde(deserialize_with = "or_default")]
    pub file_path: String,
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub link: String,
}

/// A vulnerability that an ignore file or VEX says does not count.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Modified {
    #[serde(rename = "Type", deserialize_with = "or_default")]
    pub kind: String,
    #[serde(deserialize_with = "or_default")]
    pub status: String,
    pub statement: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub source: String,
    pub finding: Option<Box<serde_json::value::RawValue>>,
}
