//! Configurations of MCP clients: Claude, Cursor, Windsurf, VS Code and their kin, with comments and trailing commas. What is taken
//! over, field by field: `README.md`. Secrets are reported and never given away: no value of a configuration reaches a record.

mod jsonc;
mod mapping;
mod secrets;

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};
use stance_engine::fingerprint::Fingerprint;
use stance_shared::{AssetKind, Layer};

use self::jsonc::Jsonc;
use self::mapping::Rule;
use crate::category;
use crate::json::{Members, Value, malformed, read_object};
use crate::mcp::{self, Connection, Server};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, Location, RunInfo, Sink, Source};

/// The importer of `format=mcp_config`.
pub struct McpConfig;

/// Members of a server's entry that say how to start or reach it.
const ENTRY: &[&str] = &["command", "url", "serverUrl", "httpUrl"];

/// Members that name the tools which run without asking, and whether they may be `*` or true for all.
const APPROVALS: &[&str] = &["autoApprove", "alwaysAllow", "autoAllow", "trust"];

/// Settings of VS Code that let every tool run without asking.
const ALL_APPROVED: &[&str] = &["chat.tools.autoApprove", "chat.tools.global.autoApprove"];

impl Importer for McpConfig {
    fn format(&self) -> &'static str {
        "mcp_config"
    }

    fn title(&self) -> &'static str {
        "MCP client configuration (Claude, Cursor, Windsurf, VS Code)"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn asset_kind(&self) -> AssetKind {
        AssetKind::Agent
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(&jsonc::plain(head));
        let entry = |object: &str| ENTRY.iter().any(|member| outline.has_below(object, &format!(".{member}")));
        let members = outline.members();
        let is_entry = |name: &&str| ENTRY.iter().any(|member| outline.has(&format!("{name}.{member}")));
        outline.has("mcpServers")
            || outline.has("mcp.servers")
            || outline.has("context_servers")
            || outline.has_below("projects.", ".mcpServers")
            || (outline.has("servers") && (outline.has("inputs") || entry("servers.")))
            || entry("mcp.")
            || outline.has_below("chat.mcp.", "")
            || ALL_APPROVED.iter().any(|setting| outline.has(setting))
            || (!members.is_empty() && members.iter().all(is_entry))
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        const WHAT: &str = "a client's configuration, an object with “mcpServers”, “servers” or “mcp”";
        let report = Report::new("mcp-config", hints, sink);
        let client = report.filename().and_then(mcp::client);
        let mut config = Config { report, client, servers: 0, known: false };
        read_object(&Jsonc(source), WHAT, &mut config)?;
        if !config.known {
            return Err(malformed("not an MCP client's configuration: it has no “mcpServers”, “servers” or “mcp”"));
        }
        let nothing = match config.servers {
            0 => "a valid configuration without MCP servers",
            _ => "a valid configuration; nothing is wrong with how its servers are set up",
        };
        config.report.finish(nothing)
    }
}

struct Config<'a> {
    report: Report<'a>,
    /// The agent that is configured: by the file's name, else by the shape of the file.
    client: Option<AssetRef>,
    servers: u64,
    known: bool,
}

impl Config<'_> {
    fn is_of(&mut self, client: &str) {
        self.known = true;
        self.client.get_or_insert_with(|| AssetRef { kind: AssetKind::Agent, key: client.to_owned() });
    }

    fn servers(&mut self, value: Value<'_, '_>) -> Result<(), ImportError> {
        self.known = true;
        value.object("an object of servers by their names", &mut Servers(self))
    }
}

impl Members for Config<'_> {
    fn member(&mut self, key: &str, mut value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "mcpServers" => self.servers(value),
            "servers" => {
                self.is_of("vscode");
                self.servers(value)
            }
            "context_servers" => {
                self.is_of("zed");
                self.servers(value)
            }
            "mcp" => {
                self.known = true;
                value.object("an object with “servers”, or of servers by their names", &mut Mcp(self))
            }
            "projects" if value.is_object()? => value.object("an object of projects", &mut Projects(self)),
            key if ALL_APPROVED.contains(&key) => {
                self.is_of("vscode");
                let on = value.record::<Json>()? == Json::Bool(true);
                if on { self.all_approved(key) } else { Ok(()) }
            }
            key if key.starts_with("chat.mcp.") => {
                self.is_of("vscode");
                value.skip()
            }
            // A plugin's file: the servers themselves.
            name if value.is_object()? => {
                let mut entry = Entry::default();
                value.object("an object", &mut entry)?;
                if entry.0.keys().any(|member| ENTRY.contains(&member.as_str())) {
                    self.known = true;
                    self.server(name, &entry.0)?;
                }
                Ok(())
            }
            _ => value.skip(),
        }
    }
}

/// A member that may be a server's entry, of which only the members that an entry has are kept.
#[derive(Default)]
struct Entry(Map<String, Json>);

impl Members for Entry {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        let of_entry = ["args", "env", "environment", "headers", "type", "transport", "disabled", "enabled"];
        if ENTRY.contains(&key) || APPROVALS.contains(&key) || of_entry.contains(&key) {
            self.0.insert(key.to_owned(), value.record()?);
            return Ok(());
        }
        value.skip()
    }
}

struct Servers<'c, 'a>(&'c mut Config<'a>);

impl Members for Servers<'_, '_> {
    fn member(&mut self, name: &str, mut value: Value<'_, '_>) -> Result<(), ImportError> {
        if !value.is_object()? {
            return Err(malformed("a server's entry must be an object with “command” or “url”"));
        }
        self.0.server(name, &value.record()?)
    }
}

/// VS Code's settings have `mcp.servers`; opencode has the servers in `mcp` itself.
struct Mcp<'c, 'a>(&'c mut Config<'a>);

impl Members for Mcp<'_, '_> {
    fn member(&mut self, key: &str, mut value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "servers" => {
                self.0.is_of("vscode");
                self.0.servers(value)
            }
            "inputs" => value.skip(),
            name if value.is_object()? => {
                self.0.is_of("opencode");
                self.0.server(name, &value.record()?)
            }
            _ => value.skip(),
        }
    }
}

/// Claude Code keeps the servers of each project.
struct Projects<'c, 'a>(&'c mut Config<'a>);

impl Members for Projects<'_, '_> {
    fn member(&mut self, _: &str, mut value: Value<'_, '_>) -> Result<(), ImportError> {
        struct Project<'c, 'a>(&'c mut Config<'a>);
        impl Members for Project<'_, '_> {
            fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
                if key != "mcpServers" {
                    return value.skip();
                }
                self.0.is_of("claude-code");
                self.0.servers(value)
            }
        }
        if value.is_object()? { value.object("a project", &mut Project(self.0)) } else { value.skip() }
    }
}

impl Config<'_> {
    fn server(&mut self, name: &str, entry: &Map<String, Json>) -> Result<(), ImportError> {
        self.servers += 1;
        let connection = Connection::of(entry);
        let Some(asset) = mcp::server(name).or_else(|| mcp::server_at(connection.url?)) else {
            return Err(malformed("a server needs a name"));
        };
        let agent = mcp::user(&mut self.report, self.client.as_ref())?;
        let mut attributes = connection.attributes();
        attributes.add("tools", approved(entry));
        let server = mcp::declare(&mut self.report, agent.as_ref(), asset, name, attributes)?;
        if connection.is_empty() {
            let reason = "the entry has neither “command” nor “url”, so nothing is known of the server";
            return self.report.gap("skipped", &server.name, reason);
        }
        self.report.assess(&server.asset, Layer::Application, "", Map::new())?;
        for (rule, what, told) in problems(&connection, entry) {
            let client = agent.as_ref().map(|agent| agent.key.as_str());
            self.report.finding_once(finding(&server, client, rule, &what, &told, &connection))?;
        }
        Ok(())
    }

    /// A setting of the client itself.
    fn all_approved(&mut self, setting: &str) -> Result<(), ImportError> {
        let Some(agent) = self.report.hint().cloned().or_else(|| self.client.clone()) else { return Ok(()) };
        let rule = &mapping::APPROVAL;
        let fingerprint = Fingerprint::of((agent.kind.as_str(), &agent.key), &["mcp-config", rule.id]);
        self.report.finding_once(FindingRecord {
            severity: rule.severity,
            title: text::one_line(&format!("{}: {}", agent.key, rule.title), 300),
            description: format!("The setting `{setting}` lets every tool of every server run without asking."),
            remediation: rule.remediation.to_owned(),
            categories: category::of_table(rule.categories),
            locations: vec![Location { uri: setting.to_owned(), line: None, snippet: None }],
            ..FindingRecord::blank(&agent, fingerprint, rule.id, Layer::Application)
        })
    }
}

/// The tools that run without asking, as an attribute.
fn approved(entry: &Map<String, Json>) -> Option<Json> {
    let lists = APPROVALS.iter().filter_map(|member| entry.get(*member)?.as_array());
    let tools = lists.flatten().filter_map(Json::as_str).take(50).map(|tool| text::one_line(&text::redact(tool), 100));
    let tools: Vec<String> = tools.collect();
    (!tools.is_empty()).then(|| serde_json::json!({ "approved": tools }))
}

/// What is wrong with an entry: the rule, what tells it from others of the same rule, and what is said of it. No values.
fn problems(connection: &Connection<'_>, entry: &Map<String, Json>) -> Vec<(&'static Rule, String, String)> {
    let mut found = Vec::new();
    for secret in secrets::of(connection) {
        let told = format!("A secret stands in the {} “{}”.", secret.place, secret.name);
        found.push((&mapping::SECRET, format!("{}: {}", secret.place, secret.name), told));
    }
    if let Some(url) = connection.url.and_then(mcp::address)
        && (url.starts_with("http://") || url.starts_with("ws://"))
        && !mcp::is_local(&url)
    {
        found.push((&mapping::TRANSPORT, String::new(), format!("It is reached at `{url}`.")));
    }
    if let Some(package) = connection.package.as_ref().filter(|package| !package.pinned) {
        let bare = package.purl.split(['@', '?']).next().unwrap_or_default().to_owned();
        let told =
            format!("`{}` fetches `{}` without an exact version at every start.", connection.program, package.name);
        found.push((&mapping::UNPINNED, bare, told));
    }
    if let Some(script) = script(connection) {
        match downloads(script) {
            Some(programs) => found.push((&mapping::DOWNLOAD, String::new(), format!("A shell runs `{programs}`."))),
            None => found.push((&mapping::SHELL, String::new(), format!("`{}` runs a script.", connection.program))),
        }
    }
    let is_root = |argument: &&str| {
        matches!(*argument, "/" | "C:\\" | "C:/" | "c:\\" | "c:/")
            || argument.starts_with("/:")
            || argument.contains("src=/,")
    };
    if connection.arguments.iter().any(is_root) {
        found.push((&mapping::ROOT, String::new(), "It is given the root of the disk.".to_owned()));
    }
    let all = |member: &&str| match entry.get(*member) {
        Some(Json::Array(tools)) => tools.iter().any(|tool| tool == "*"),
        other => other == Some(&Json::Bool(true)) || other == Some(&Json::from("*")),
    };
    if let Some(member) = APPROVALS.iter().find(|member| all(member)) {
        found.push((&mapping::APPROVAL, String::new(), format!("“{member}” stands for all tools.")));
    }
    found
}

/// The script that a shell is given.
fn script<'a>(connection: &Connection<'a>) -> Option<&'a str> {
    let flags: &[&str] = match connection.program.as_str() {
        "sh" | "bash" | "zsh" | "dash" | "fish" => &["-c", "-lc", "-ic", "-lic"],
        "cmd" => &["/c", "/C", "/k"],
        "powershell" | "pwsh" => &["-c", "-Command", "-command"],
        _ => return None,
    };
    let at = connection.arguments.iter().position(|argument| flags.contains(argument))?;
    connection.arguments.get(at + 1).copied()
}

/// The programs of a script that runs what it downloads, without their arguments.
fn downloads(script: &str) -> Option<String> {
    const FETCH: &[&str] = &["curl", "wget", "iwr", "invoke-webrequest", "irm", "invoke-restmethod", "fetch"];
    const RUN: &[&str] = &[
        "sh",
        "bash",
        "zsh",
        "dash",
        "python",
        "python3",
        "node",
        "perl",
        "ruby",
        "iex",
        "invoke-expression",
        "eval",
        "source",
    ];
    let word = |word: &str| {
        let name = word.rsplit('/').next().unwrap_or_default().to_lowercase();
        [FETCH, RUN].concat().into_iter().find(|known| *known == name)
    };
    let split = |c: char| c.is_whitespace() || matches!(c, '|' | ';' | '&' | '(' | ')' | '`' | '"' | '\'' | '<' | '>');
    let programs: BTreeSet<&str> = script.split(split).filter_map(word).collect();
    let of = |all: &[&str]| programs.iter().copied().find(|program| all.contains(program));
    Some(format!("{} … {}", of(FETCH)?, of(RUN)?))
}

fn finding(
    server: &Server,
    client: Option<&str>,
    rule: &Rule,
    what: &str,
    told: &str,
    connection: &Connection<'_>,
) -> FindingRecord {
    let mut evidence = Evidence::default();
    evidence.add("server", server.name.clone());
    evidence.add("client", client);
    evidence.add("what", what);
    if connection.is_disabled() {
        evidence.add("disabled", true);
    }
    let asset = &server.asset;
    let fingerprint = Fingerprint::of((asset.kind.as_str(), &asset.key), &["mcp-config", &asset.key, rule.id, what]);
    let name = if what.is_empty() { String::new() } else { format!(" ({what})") };
    FindingRecord {
        severity: rule.severity,
        title: text::one_line(&format!("Server {}: {}{name}", server.name, rule.title), 300),
        description: told.to_owned(),
        remediation: rule.remediation.to_owned(),
        categories: category::of_table(rule.categories),
        locations: vec![Location { uri: format!("mcpServers/{}", server.name), line: None, snippet: None }],
        evidence: evidence.finish(),
        ..FindingRecord::blank(asset, fingerprint, rule.id, Layer::Application)
    }
}
