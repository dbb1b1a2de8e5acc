//! MCP servers, their tools, the agents that use them, and skills: one key each, whichever tool names them.
//!
//! | asset | key | example |
//! | --- | --- | --- |
//! | `MCP_SERVER` | [`server_key`] of the name that it has in the configuration, else in its own answer | `filesystem` |
//! | `MCP_SERVER` without a name | its address, normalized by [`address`] | `https://mcp.example.com/mcp` |
//! | `TOOL` | the server's key, `/`, the tool's name as the server spells it | `filesystem/read_file` |
//! | `TOOL` that is a skill | `skill/`, the skill's name by the rule for servers | `skill/pdf-forms` |
//! | `AGENT` that is an MCP client | the client's name, see [`client`] | `claude-desktop` |
//!
//! A configuration calls a server `git`, its package `mcp-server-git`, and the server itself `mcp-git`: the key is `git` for
//! all three. Commands and their arguments are never part of a key and never stored, since they hold secrets and differ
//! between machines; the package, the address and the names of variables are attributes.

mod connection;

use serde_json::{Map, Value};
use stance_shared::{AssetKind, Layer, RelationKind};

pub(crate) use connection::Connection;

use crate::json::text_of;
use crate::report::Report;
use crate::text::{self, Evidence};
use crate::{AssetRef, ImportError};

/// Words at either end of a server's name that say only that it is one.
const AFFIXES: &[&str] = &["mcp", "server", "servers"];

/// The normalized name of a server: lower case, words joined by `-`, without scope and without the words “mcp” and “server” at its ends.
pub(crate) fn server_key(name: &str) -> String {
    let name = text::one_line(&text::redact(name), 400).to_lowercase();
    let name = name.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let words: Vec<&str> =
        name.split(|c: char| !c.is_alphanumeric() && c != '.').filter(|word| !word.is_empty()).collect();
    let mut rest = words.as_slice();
    while let [first, more @ ..] = rest
        && !more.is_empty()
        && AFFIXES.contains(first)
    {
        rest = more;
    }
    while let [more @ .., last] = rest
        && !more.is_empty()
        && AFFIXES.contains(last)
    {
        rest = more;
    }
    text::truncate(rest.join("-"), 200)
}

/// The server with this name; `None` for a name without letters and digits.
pub(crate) fn server(name: &str) -> Option<AssetRef> {
    let key = server_key(name);
    (!key.is_empty()).then_some(AssetRef { kind: AssetKind::McpServer, key })
}

/// The server at an address, where a report gives no name.
pub(crate) fn server_at(url: &str) -> Option<AssetRef> {
    let key = text::truncate(&address(url)?, 512);
    Some(AssetRef { kind: AssetKind::McpServer, key })
}

/// A tool of a server.
pub(crate) fn tool(server: &AssetRef, name: &str) -> AssetRef {
    let key = text::truncate(format!("{}/{}", server.key, text::one_line(&text::redact(name), 200)), 512);
    AssetRef { kind: AssetKind::Tool, key }
}

/// A skill: instructions and scripts that an agent loads.
pub(crate) fn skill(name: &str) -> Option<AssetRef> {
    let key = server_key(name);
    (!key.is_empty()).then(|| AssetRef { kind: AssetKind::Tool, key: format!("skill/{key}") })
}

/// Clients by the names that tools give them, in lower case: (name, key).
const CLIENT_NAMES: &[(&str, &str)] = &[
    ("claude", "claude-desktop"),
    ("claude desktop", "claude-desktop"),
    ("claude code", "claude-code"),
    ("cursor", "cursor"),
    ("windsurf", "windsurf"),
    ("vscode", "vscode"),
    ("vs code", "vscode"),
    ("visual studio code", "vscode"),
    ("gemini", "gemini-cli"),
    ("gemini cli", "gemini-cli"),
    ("opencode", "opencode"),
    ("codex", "codex"),
    ("kiro", "kiro"),
    ("antigravity", "antigravity"),
    ("amazon q", "amazon-q"),
];

/// Clients by a part of the path of their configuration, in lower case: (part, key).
const CLIENT_PATHS: &[(&str, &str)] = &[
    ("claude_desktop_config", "claude-desktop"),
    (".claude.json", "claude-code"),
    (".claude/", "claude-code"),
    (".cursor/", "cursor"),
    (".codeium/", "windsurf"),
    ("windsurf/", "windsurf"),
    (".vscode/", "vscode"),
    ("code/user/", "vscode"),
    (".gemini/", "gemini-cli"),
    ("opencode.json", "opencode"),
    ("cline_mcp_settings", "cline"),
    (".kiro/", "kiro"),
    (".codex/", "codex"),
    (".aws/amazonq/", "amazon-q"),
];

/// The client whose name or configuration file this is, as an agent: the same on every machine, as nothing in a report
/// names the machine. `None` for a client that is not known.
pub(crate) fn client(name_or_path: &str) -> Option<AssetRef> {
    let path = name_or_path.replace('\\', "/").to_lowercase();
    let name = path.replace(['-', '_'], " ");
    let named = CLIENT_NAMES.iter().find(|(known, _)| *known == name.trim());
    let (_, key) = named.or_else(|| CLIENT_PATHS.iter().find(|(part, _)| path.contains(part)))?;
    Some(AssetRef { kind: AssetKind::Agent, key: (*key).to_owned() })
}

/// A server as a report describes it.
pub(crate) struct Server {
    pub(crate) asset: AssetRef,
    /// What a person calls it.
    pub(crate) name: String,
}

impl Server {
    /// Where in the server something is, for a location: `filesystem/read_file`, `filesystem/prompts/review`.
    pub(crate) fn place(&self, item: &str, name: &str) -> String {
        let folder = if item == "tool" { String::new() } else { format!("{item}s/") };
        format!("{}/{folder}{}", self.asset.key, text::one_line(&text::redact(name), 200))
    }
}

/// The server of a report that has one: as the report names it, else the asset that the upload named, whatever its kind.
///
/// # Errors
/// [`ImportError::NeedsAsset`] when neither does; `says` is what the report says instead, without a full stop.
pub(crate) fn subject(report: &Report<'_>, named: Option<AssetRef>, says: &str) -> Result<AssetRef, ImportError> {
    named.or_else(|| report.hint().cloned()).ok_or_else(|| ImportError::NeedsAsset(says.to_owned()))
}

/// The agent that uses the servers of a report: the asset that the upload named, else the client. An upload that names an MCP
/// server is about the server itself.
pub(crate) fn user(report: &mut Report<'_>, client: Option<&AssetRef>) -> Result<Option<AssetRef>, ImportError> {
    match report.hint() {
        Some(hint) if hint.kind == AssetKind::McpServer => Ok(None),
        Some(hint) => {
            report.assess(hint, Layer::Application, "tools-declared", Map::new())?;
            Ok(Some(hint.clone()))
        }
        None => {
            if let Some(client) = client {
                let mut attributes = Map::new();
                attributes.insert("type".to_owned(), "MCP client".into());
                report.describe(client, &client.key, attributes)?;
            }
            Ok(client.cloned())
        }
    }
}

/// Puts a server into the inventory, used by `agent`. An upload that names an MCP server means this one.
pub(crate) fn declare(
    report: &mut Report<'_>,
    agent: Option<&AssetRef>,
    asset: AssetRef,
    name: &str,
    attributes: Evidence,
) -> Result<Server, ImportError> {
    let asset = report.hint().filter(|hint| hint.kind == AssetKind::McpServer).cloned().unwrap_or(asset);
    report.describe(&asset, name, attributes.finish().into_map())?;
    if let Some(agent) = agent {
        report.relate(agent, RelationKind::DependsOn, &asset)?;
    }
    Ok(Server { asset, name: text::one_line(&text::redact(name), 200) })
}

/// Puts a tool of a server into the inventory, which `agent` may call.
pub(crate) fn offer(
    report: &mut Report<'_>,
    agent: Option<&AssetRef>,
    server: &Server,
    definition: &Map<String, Value>,
) -> Result<(), ImportError> {
    let Some(name) = text_of(definition, "name") else { return Ok(()) };
    let tool = tool(&server.asset, name);
    let mut attributes = Evidence::default();
    attributes.add("title", text_of(definition, "title").map(|title| text::evidence_text(title, 300)));
    attributes.add("description", text_of(definition, "description").map(|text| text::evidence_text(text, 1000)));
    // What the server claims of its tool, not what is so.
    attributes.add("annotations", definition.get("annotations").cloned().unwrap_or_default());
    if definition.len() > 2 {
        attributes.add("definition", definition_hash(definition));
    }
    report.describe(&tool, name, attributes.finish().into_map())?;
    if server.asset.kind == AssetKind::McpServer {
        report.relate(&tool, RelationKind::ProvidedBy, &server.asset)?;
    } else {
        // The upload named what the report does not: something that has the tool.
        report.relate(&server.asset, RelationKind::MayCall, &tool)?;
    }
    agent.map_or(Ok(()), |agent| report.relate(agent, RelationKind::MayCall, &tool))
}

/// Puts a skill into the inventory, which `agent` may use.
pub(crate) fn have_skill(
    report: &mut Report<'_>,
    agent: Option<&AssetRef>,
    skill: &AssetRef,
) -> Result<(), ImportError> {
    let mut attributes = Map::new();
    attributes.insert("type".to_owned(), "skill".into());
    report.describe(skill, skill.key.trim_start_matches("skill/"), attributes)?;
    agent.map_or(Ok(()), |agent| report.relate(agent, RelationKind::MayCall, skill))
}

/// The hash of a tool's definition, without members that are null: a change of it after approval is a rug pull. Members are in
/// the order of their names, so the order in which a server writes them makes no difference.
pub(crate) fn definition_hash(definition: &Map<String, Value>) -> String {
    fn without_nulls(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let members = members.iter().filter(|(_, value)| !value.is_null());
                members.map(|(key, value)| (key.clone(), without_nulls(value))).collect()
            }
            Value::Array(items) => items.iter().map(without_nulls).collect(),
            other => other.clone(),
        }
    }
    let definition = definition.iter().filter(|(_, value)| !value.is_null());
    let canonical: Map<String, Value> = definition.map(|(key, value)| (key.clone(), without_nulls(value))).collect();
    format!("sha256:{}", text::digest(&Value::Object(canonical).to_string()))
}

/// Whether a part of a path is so long and mixed that it may be a key: some servers take the address for the password.
pub(crate) fn is_random(part: &str) -> bool {
    let is_mixed = |run: &str| {
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        run.len() >= 20 && digits >= 2 && run.len() - digits >= 4
    };
    let is_uuid = part.len() == 36 && part.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    is_uuid || part.split(|c: char| !c.is_ascii_alphanumeric()).any(is_mixed)
}

/// An address without user, password, query, fragment, keys in its path and a slash at its end; scheme and host in lower case. `None` when it has no host.
pub(crate) fn address(url: &str) -> Option<String> {
    let url = url.trim();
    let (scheme, rest) = url.split_once("://")?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default().to_lowercase();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if host.is_empty() || scheme.is_empty() || !scheme.chars().all(plain) {
        return None;
    }
    let path = path.trim_end_matches('/').split('/').map(|part| if is_random(part) { "…" } else { part });
    let path = path.collect::<Vec<_>>().join("/");
    let path = text::redact(&path);
    Some(text::one_line(&format!("{}://{host}{path}", scheme.to_lowercase()), 400))
}

/// Whether an address, as [`address`] gives it, stays on the machine.
pub(crate) fn is_local(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    matches!(host, "localhost" | "::1" | "0.0.0.0" | "host.docker.internal")
        || host.starts_with("127.")
        || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_has_one_key() {
        for (names, key) in [
            (&["git", "mcp-git", "mcp-server-git", "Git MCP Server"][..], "git"),
            (&["@modelcontextprotocol/server-filesystem", "server-filesystem"], "filesystem"),
            (&["mcp-servers/everything", "everything"], "everything"),
            (&["postgres_prod", "postgres-prod", "Postgres  Prod"], "postgres-prod"),
            (&["mcp-server", "Server"][..1], "server"),
            (&["größe", "Größe"], "größe"),
        ] {
            for name in names {
                assert_eq!(server_key(name), key, "{name}");
            }
        }
        assert!(server(" -- ").is_none() && skill("").is_none());
        assert_eq!(tool(&server("Git MCP").unwrap(), "git_Status").key, "git/git_Status");
    }

    #[test]
    fn addresses_lose_what_is_secret_or_accidental() {
        for (url, expected) in [
            ("HTTPS://user:pass@MCP.Example.com/mcp/?token=x#y", Some("https://mcp.example.com/mcp")),
            ("https://x/s/Zm9vYmFyMTIzNDU2Nzg5MGFi/mcp", Some("https://x/s/…/mcp")),
            ("http://localhost:8080", Some("http://localhost:8080")),
            ("not a url", None),
            ("http:///x", None),
        ] {
            assert_eq!(address(url).as_deref(), expected);
        }
    }

    #[test]
    fn clients_are_known_by_name_and_by_path() {
        for (text, key) in [
            ("/Users/a/Library/Application Support/Claude/claude_desktop_config.json", Some("claude-desktop")),
            ("Claude", Some("claude-desktop")),
            ("Claude-Code", Some("claude-code")),
            ("/root/mcp.json", None),
            ("C:\\Users\\a\\AppData\\Roaming\\Code\\User\\mcp.json", Some("vscode")),
            ("~/.cursor/mcp.json", Some("cursor")),
            ("/srv/x/mcp.json", None),
        ] {
            assert_eq!(client(text).map(|agent| agent.key).as_deref(), key, "{text}");
        }
    }

    #[test]
    fn a_definition_is_the_same_in_any_order_and_with_nulls() {
        let hash = |json: &str| definition_hash(serde_json::from_str::<Value>(json).unwrap().as_object().unwrap());
        assert_eq!(hash(r#"{"a":1,"b":{"c":null,"d":[2]},"e":null}"#), hash(r#"{"b":{"d":[2]},"a":1}"#));
        assert_ne!(hash(r#"{"a":1}"#), hash(r#"{"a":2}"#));
    }
}
