//! What an export says of agents, models and tools beside what they did.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::node::{Service, line};
use crate::events::{ToolUse, assets};
use crate::text::{self, Evidence};
use crate::{AssetRecord, AssetRef, mcp};

/// Assets that one export may describe; the others are only seen.
const MAX_ASSETS: usize = 2000;

/// Descriptions in one definition of a tool.
const MAX_DESCRIPTIONS: usize = 1000;

/// The assets, each described by what came first.
#[derive(Debug, Default)]
pub(super) struct Inventory(BTreeMap<AssetRef, AssetRecord>);

impl Inventory {
    fn describe(&mut self, asset: AssetRef, name: &str, attributes: impl FnOnce() -> Evidence) {
        if self.0.len() == MAX_ASSETS || self.0.contains_key(&asset) {
            return;
        }
        let (name, attributes) = (text::one_line(&text::redact(name), 300), attributes().finish().into_map());
        self.0.insert(asset.clone(), AssetRecord { asset, name, attributes, tags: Vec::new() });
    }

    pub(super) fn agent(&mut self, key: &str, service: Option<&Service>) {
        self.describe(assets::agent(key), key, || {
            let mut attributes = Evidence::default();
            for (name, value) in service.into_iter().flat_map(|service| {
                [
                    ("service", &service.name),
                    ("version", &service.version),
                    ("environment", &service.environment),
                    ("sdk", &service.sdk),
                ]
            }) {
                attributes.add(name, value.clone());
            }
            attributes
        });
    }

    pub(super) fn model(&mut self, name: &str, provider: Option<&str>) {
        self.describe(assets::model(name), name, || {
            let mut attributes = Evidence::default();
            attributes.add("provider", provider.map(|provider| text::one_line(provider, 200)));
            attributes
        });
    }

    /// A tool whose span describes it.
    pub(super) fn described(&mut self, agent: &str, tool: &ToolUse, description: &str) {
        self.describe(assets::tool(agent, tool), &tool.name, || {
            let mut attributes = Evidence::default();
            attributes.add("description", text::evidence_text(description, 1000));
            attributes
        });
    }

    /// A tool as the model is told of it: the tool, all descriptions in its definition, and the definition's hash. None for what has no
    /// name.
    pub(super) fn defined(
        &mut self,
        agent: &str,
        definition: &Map<String, Value>,
    ) -> Option<(ToolUse, String, String)> {
        let name = line(crate::json::text_of(definition, "name")?, 200)?;
        let tool = ToolUse { server: None, name, arguments: Value::Null };
        let hash = mcp::definition_hash(definition);
        self.describe(assets::tool(agent, &tool), &tool.name, || {
            let mut attributes = Evidence::default();
            let description = crate::json::text_of(definition, "description");
            attributes.add("description", description.map(|text| text::evidence_text(text, 1000)));
            attributes.add("definition", hash.clone());
            attributes
        });
        let mut descriptions = Vec::new();
        describing(&Value::Object(definition.clone()), &mut descriptions);
        Some((tool, descriptions.join("\n"), hash))
    }

    pub(super) fn records(self) -> Vec<AssetRecord> {
        self.0.into_values().collect()
    }
}

/// The descriptions in a definition, of the tool first: instructions may hide in that of a parameter.
fn describing(value: &Value, all: &mut Vec<String>) {
    let own = value.get("description").and_then(Value::as_str);
    all.extend(own.filter(|_| all.len() < MAX_DESCRIPTIONS).map(str::to_owned));
    match value {
        Value::Object(members) => members.values().for_each(|member| describing(member, all)),
        Value::Array(items) => items.iter().for_each(|item| describing(item, all)),
        _ => {}
    }
}
