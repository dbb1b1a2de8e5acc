//! The attributes of a span, whichever of their forms they have.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::wire::{Any, AnyValue, KeyValue};

/// How deep a flattened name may go.
const MAX_STEPS: usize = 16;

/// Attributes by name; of two with one name the last.
#[derive(Debug, Default)]
pub(super) struct Attributes(BTreeMap<String, Value>);

impl From<Vec<KeyValue>> for Attributes {
    fn from(attributes: Vec<KeyValue>) -> Self {
        Self(attributes.into_iter().map(|a| (a.key, plain(a.value))).collect())
    }
}

fn plain(value: Option<AnyValue>) -> Value {
    match value.and_then(|value| value.value) {
        None => Value::Null,
        Some(Any::Text(text)) => Value::String(text),
        Some(Any::Bool(yes)) => Value::Bool(yes),
        Some(Any::Int(number)) => Value::from(number),
        Some(Any::Double(number)) => Value::from(number),
        Some(Any::Array(items)) => items.values.into_iter().map(|item| plain(Some(item))).collect(),
        Some(Any::Map(members)) => members.values.into_iter().map(|m| (m.key, plain(m.value))).collect(),
    }
}

impl Attributes {
    /// The attribute as it is.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The first of these attributes that is a text and not blank.
    pub(super) fn text(&self, names: &[&str]) -> Option<&str> {
        let texts = names.iter().filter_map(|name| self.0.get(*name)?.as_str());
        texts.map(str::trim).find(|text| !text.is_empty())
    }

    /// The first of these attributes that is a whole number, 0 or more.
    pub(super) fn count(&self, names: &[&str]) -> Option<u64> {
        names.iter().find_map(|name| self.0.get(*name)?.as_u64())
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.as_f64()
    }

    /// The first of these attributes that is there; a text that is JSON as what it says.
    pub(super) fn json(&self, names: &[&str]) -> Option<Value> {
        let value = names.iter().find_map(|name| self.0.get(*name).filter(|value| !value.is_null()))?;
        Some(parsed(value))
    }

    /// What was flattened to `prefix.0.a.b`, `prefix.1.…` (the prefix without its last dot), in the order of the numbers.
    pub(super) fn list(&self, prefix: &str) -> Vec<Value> {
        let mut tree = Value::Object(Map::new());
        for (name, value) in self.0.range(prefix.to_owned()..) {
            let Some(path) = name.strip_prefix(prefix) else { break };
            if let Some(path) = path.strip_prefix('.') {
                plant(&mut tree, path, value);
            }
        }
        match grown(tree) {
            Value::Array(items) => items,
            _ => Vec::new(),
        }
    }
}

/// A text that holds a JSON object or array, as that.
pub(super) fn parsed(value: &Value) -> Value {
    let json = value.as_str().filter(|text| text.trim_start().starts_with(['{', '[']));
    json.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| value.clone())
}

/// Puts the value at its path; what does not fit is left out.
fn plant(tree: &mut Value, path: &str, value: &Value) {
    let mut at = tree;
    for (step, name) in path.split('.').enumerate() {
        let Value::Object(members) = at else { return };
        if step == MAX_STEPS {
            return;
        }
        at = members.entry(name.to_owned()).or_insert_with(|| Value::Object(Map::new()));
    }
    if at.as_object().is_some_and(Map::is_empty) {
        *at = value.clone();
    }
}

/// Objects whose members are numbered, as arrays.
fn grown(tree: Value) -> Value {
    let Value::Object(members) = tree else { return tree };
    let numbers: Option<Vec<usize>> = members.keys().map(|name| name.parse().ok()).collect();
    let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) else {
        return members.into_iter().map(|(name, value)| (name, grown(value))).collect::<Map<_, _>>().into();
    };
    let mut items: Vec<_> = numbers.into_iter().zip(members.into_iter().map(|(_, value)| grown(value))).collect();
    items.sort_by_key(|(number, _)| *number);
    items.into_iter().map(|(_, value)| value).collect()
}
