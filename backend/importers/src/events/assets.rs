//! Which assets events are about, by the keys that importers give them too.

use stance_shared::AssetKind;

use super::ToolUse;
use crate::{AssetRef, mcp, text};

/// The agent with an external key.
#[must_use]
pub fn agent(key: &str) -> AssetRef {
    AssetRef { kind: AssetKind::Agent, key: text::one_line(key, 512) }
}

/// The model with a provider's name.
#[must_use]
pub fn model(name: &str) -> AssetRef {
    AssetRef { kind: AssetKind::Model, key: text::one_line(name, 512) }
}

/// A tool: of an MCP server as its manifest names it (`filesystem/read_file`), else the agent's own (`support-bot/read_file`).
#[must_use]
pub fn tool(agent: &str, tool: &ToolUse) -> AssetRef {
    let server = tool.server.as_deref().and_then(mcp::server);
    mcp::tool(&server.unwrap_or_else(|| self::agent(agent)), &tool.name)
}
