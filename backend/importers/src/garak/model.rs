//! The lines of garak's JSONL files, of 0.9 to 0.17. One struct for all: a line is parsed once, whatever it turns out to be.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Debug, Deserialize)]
pub(super) struct Line<'a> {
    /// What the line of a report is; a hitlog's lines have none.
    pub entry_type: Option<String>,

    // The set-up, flattened.
    #[serde(rename = "_config.version")]
    pub config_version: Option<String>,
    #[serde(rename = "plugins.target_type")]
    pub target_type: Option<String>,
    #[serde(rename = "plugins.target_name")]
    pub target_name: Option<String>,
    /// The names until 0.13.
    #[serde(rename = "plugins.model_type")]
    pub model_type: Option<String>,
    #[serde(rename = "plugins.model_name")]
    pub model_name: Option<String>,
    #[serde(rename = "plugins.probe_spec")]
    pub probe_spec: Option<Value>,
    #[serde(rename = "run.spec")]
    pub spec: Option<Value>,
    pub garak_version: Option<String>,

    // An evaluation, a hit.
    pub probe: Option<String>,
    pub detector: Option<String>,
    pub passed: Option<u64>,
    pub fails: Option<u64>,
    pub nones: Option<u64>,
    /// Until 0.10.
    pub total: Option<u64>,
    /// Since 0.13.
    pub total_evaluated: Option<u64>,

    // An attempt, a hit.
    pub status: Option<i64>,
    pub probe_classname: Option<String>,
    pub goal: Option<String>,
    #[serde(borrow)]
    pub prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    pub outputs: Option<&'a RawValue>,
    #[serde(borrow)]
    pub output: Option<&'a RawValue>,
    #[serde(borrow)]
    pub detector_results: Option<&'a RawValue>,
    pub trigger: Option<Value>,
    /// The name since 0.11.
    pub triggers: Option<Value>,
    pub score: Option<f64>,
    /// `type name`, in a hit.
    pub generator: Option<String>,
}

/// The text of a prompt or output: a plain string until 0.10, later a message or a conversation, whose last message counts.
pub(super) fn text_of(raw: Option<&RawValue>) -> Option<String> {
    fn of(value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Object(members) => {
                let turns = members.get("turns").and_then(Value::as_array);
                let last = turns.and_then(|turns| turns.last()?.get("content"));
                last.or_else(|| members.get("text")).or_else(|| members.get("content")).and_then(of)
            }
            _ => None,
        }
    }
    of(&serde_json::from_str(raw?.get()).ok()?)
}

/// The text of one of an attempt's outputs.
pub(super) fn output_of(raw: Option<&RawValue>, index: usize) -> Option<String> {
    let outputs: Vec<Box<RawValue>> = serde_json::from_str(raw?.get()).ok()?;
    text_of(outputs.get(index).map(AsRef::as_ref))
}
