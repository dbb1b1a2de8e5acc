//! The lines of garak's JSONL files, of 0.9 to 0.17. One struct for all: a line is parsed once, whatever it turns out to be.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
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
    /// The names until 0.9.0.9, in an entry “config” of the command's arguments.
    #[serde(rename = "model_type")]
    pub argument_type: Option<String>,
    #[serde(rename = "model_name")]
    pub argument_name: Option<String>,
    #[serde(rename = "probes")]
    pub argument_probes: Option<Value>,
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
    serde_json::from_str::<Words>(raw?.get()).ok()?.0
}

/// The text of one of an attempt's outputs.
pub(super) fn output_of(raw: Option<&RawValue>, index: usize) -> Option<String> {
    let outputs: Vec<Words> = serde_json::from_str(raw?.get()).ok()?;
    outputs.into_iter().nth(index)?.0
}

/// The words of a string, a message (`text` or `content`) or a conversation (`turns`, of which the last counts).
struct Words(Option<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(WordsOf)
    }
}

struct WordsOf;

impl<'de> Visitor<'de> for WordsOf {
    type Value = Words;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a prompt or an output")
    }

    fn visit_str<E>(self, text: &str) -> Result<Words, E> {
        Ok(Words(Some(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Words, E> {
        Ok(Words(Some(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Words, A::Error> {
        let (mut last, mut text, mut content) = (None, None, None);
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            match &*name {
                "turns" => last = members.next_value::<Words>()?.0,
                "text" => text = members.next_value::<Words>()?.0,
                "content" => content = members.next_value::<Words>()?.0,
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Words(last.or(text).or(content)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Words, A::Error> {
        let mut last = Words(None);
        while let Some(item) = items.next_element()? {
            last = item;
        }
        Ok(last)
    }

    fn visit_unit<E>(self) -> Result<Words, E> {
        Ok(Words(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Words, E> {
        Ok(Words(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Words, E> {
        Ok(Words(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Words, E> {
        Ok(Words(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Words, E> {
        Ok(Words(None))
    }
}
