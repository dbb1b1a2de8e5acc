//! The records of a bill of materials, as both of its encodings have them.

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use crate::json::or_default;
use crate::xml::TEXT;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Vulnerability {
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    #[serde(deserialize_with = "or_default")]
    pub source: Named,
    #[serde(deserialize_with = "or_default")]
    pub references: Vec<Reference>,
    #[serde(deserialize_with = "or_default")]
    pub ratings: Vec<Rating>,
    /// Numbers; texts in XML.
    #[serde(deserialize_with = "or_default")]
    pub cwes: Vec<Json>,
    #[serde(deserialize_with = "or_default")]
    pub description: String,
    #[serde(deserialize_with = "or_default")]
    pub detail: String,
    #[serde(deserialize_with = "or_default")]
    pub recommendation: String,
    #[serde(deserialize_with = "or_default")]
    pub workaround: String,
    #[serde(deserialize_with = "or_default")]
    pub advisories: Vec<Named>,
    pub published: Option<String>,
    pub rejected: Option<String>,
    pub analysis: Option<Analysis>,
    #[serde(deserialize_with = "or_default")]
    pub affects: Vec<Affected>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    #[serde(alias = "title", deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub url: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Reference {
    #[serde(deserialize_with = "or_default")]
    pub id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rating {
    #[serde(deserialize_with = "or_default")]
    pub source: Named,
    #[serde(deserialize_with = "number")]
    pub score: Option<f64>,
    pub severity: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub method: String,
    pub vector: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Analysis {
    #[serde(deserialize_with = "or_default")]
    pub state: String,
    pub justification: Option<String>,
    #[serde(alias = "responses", deserialize_with = "or_default")]
    pub response: Vec<String>,
    pub detail: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Affected {
    #[serde(rename = "ref", deserialize_with = "or_default")]
    pub reference: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ModelParameters {
    /// In XML and JSON an object with a `type`.
    pub approach: Json,
    pub task: Option<String>,
    #[serde(rename = "architectureFamily")]
    pub architecture_family: Option<String>,
    #[serde(rename = "modelArchitecture")]
    pub model_architecture: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub datasets: Vec<Data>,
}

/// A data set inside a component, or a reference to a component that is one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Data {
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub contents: Contents,
    pub classification: Option<String>,
    #[serde(rename = "sensitiveData")]
    pub sensitive_data: Json,
    pub description: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Contents {
    #[serde(deserialize_with = "or_default")]
    pub url: String,
}

/// What a service exchanges; in XML a classification with its flow.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Flow {
    #[serde(alias = "$text", deserialize_with = "or_default")]
    pub classification: String,
    #[serde(deserialize_with = "or_default")]
    pub flow: String,
}

/// A model that another was made from.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ancestor {
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    #[serde(deserialize_with = "or_default")]
    pub group: String,
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub purl: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pedigree {
    #[serde(deserialize_with = "or_default")]
    pub ancestors: Vec<Ancestor>,
}

/// Who says what of which part (1.7).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Citation {
    pub pointers: Option<Json>,
    pub expressions: Option<Json>,
    #[serde(rename = "attributedTo")]
    pub attributed_to: Option<Json>,
    pub process: Option<Json>,
}

/// A number, which XML writes as text.
fn number<'de, D: Deserializer<'de>>(value: D) -> Result<Option<f64>, D::Error> {
    Ok(match Json::deserialize(value)? {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

/// What may stand once or as an array: the items.
pub(super) fn items(value: Json) -> Vec<Json> {
    match value {
        Json::Array(items) => items,
        Json::Null => Vec::new(),
        one => vec![one],
    }
}

/// Licenses as SPDX ids, names or expressions.
pub(super) fn licenses(value: Json) -> Vec<Json> {
    let named = |license: &Json| -> Option<Json> {
        let license = license.get("license").unwrap_or(license);
        let name = ["expression", "id", "name", TEXT].iter().find_map(|key| license.get(key)?.as_str());
        name.or_else(|| license.as_str()).map(Json::from)
    };
    items(value).iter().take(20).filter_map(named).collect()
}
