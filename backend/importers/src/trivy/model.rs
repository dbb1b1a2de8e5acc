//! The parts of Trivy's report that are read; everything else is passed over.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::json::{Record, Text, or_default};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, bound(deserialize = "'de: 'a"))]
pub(super) struct Vulnerability<'a> {
    #[serde(rename = "VulnerabilityID", deserialize_with = "or_default")]
    pub id: Text<'a>,
    #[serde(rename = "VendorIDs", deserialize_with = "or_default")]
    pub vendor_ids: Vec<Text<'a>>,
    #[serde(deserialize_with = "or_default")]
    pub pkg_name: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    pub pkg_path: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    pub pkg_identifier: Identifier<'a>,
    #[serde(deserialize_with = "or_default")]
    pub installed_version: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    pub fixed_version: Text<'a>,
    pub status: Option<Text<'a>>,
    pub severity_source: Option<Text<'a>>,
    #[serde(rename = "PrimaryURL", deserialize_with = "or_default")]
    pub primary_url: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    pub title: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    pub description: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    pub severity: Text<'a>,
    #[serde(rename = "CweIDs", deserialize_with = "or_default")]
    pub cwe_ids: Vec<Text<'a>>,
    #[serde(rename = "CVSS", deserialize_with = "or_default")]
    pub cvss: BTreeMap<String, Cvss>,
}

impl Record for Vulnerability<'static> {
    type Of<'a> = Vulnerability<'a>;
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Identifier<'a> {
    #[serde(rename = "PURL")]
    pub purl: Option<Text<'a>>,
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
#[serde(rename_all = "PascalCase", default, bound(deserialize = "'de: 'a"))]
pub(super) struct Misconfiguration<'a> {
    #[serde(rename = "ID", deserialize_with = "or_default")]
    pub id: Text<'a>,
    #[serde(rename = "AVDID")]
    pub avd_id: Option<Text<'a>>,
    #[serde(rename = "Type", deserialize_with = "or_default")]
    pub kind: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    pub title: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    pub description: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    pub message: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    pub resolution: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    pub severity: Text<'a>,
    #[serde(rename = "PrimaryURL", deserialize_with = "or_default")]
    pub primary_url: Text<'a>,
    pub status: Option<Text<'a>>,
    #[serde(deserialize_with = "or_default")]
    pub cause_metadata: Cause<'a>,
}

impl Record for Misconfiguration<'static> {
    type Of<'a> = Misconfiguration<'a>;
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, bound(deserialize = "'de: 'a"))]
pub(super) struct Cause<'a> {
    pub resource: Option<Text<'a>>,
    pub start_line: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, bound(deserialize = "'de: 'a"))]
pub(super) struct Secret<'a> {
    #[serde(rename = "RuleID", deserialize_with = "or_default")]
    pub rule_id: Text<'a>,
    pub category: Option<Text<'a>>,
    #[serde(deserialize_with = "or_default")]
    pub severity: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    pub title: Text<'a>,
    pub start_line: Option<u32>,
    /// The line, the secret in it masked by Trivy.
    #[serde(rename = "Match", deserialize_with = "or_default")]
    pub text: Text<'a>,
}

impl Record for Secret<'static> {
    type Of<'a> = Secret<'a>;
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, bound(deserialize = "'de: 'a"))]
pub(super) struct License<'a> {
    #[serde(deserialize_with = "or_default")]
    pub severity: Text<'a>,
    pub category: Option<Text<'a>>,
    #[serde(deserialize_with = "or_default")]
    pub pkg_name: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    pub file_path: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    pub name: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    pub link: Text<'a>,
}

impl Record for License<'static> {
    type Of<'a> = License<'a>;
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
