//! What MCP servers say of themselves: `tools/list`, `prompts/list`, `resources/list` and their kin. What is taken over, field by
//! field: `README.md`.

mod mapping;

use serde_json::{Map, Value as Json};
use stance_engine::fingerprint::Fingerprint;
use stance_shared::{AssetKind, Layer, Severity};

use self::mapping::Sign;
use crate::category::Categories;
use crate::json::{Members, Value, malformed, read_documents, text_of};
use crate::mcp::{self, Server};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, Location, RunInfo, Sink, Source};

/// The importer of `format=mcp_manifest`.
pub struct McpManifest;

/// Members that hold lists, and what one of them is called.
const LISTS: &[(&str, &str)] = &[
    ("tools", "tool"),
    ("prompts", "prompt"),
    ("resources", "resource"),
    ("resourceTemplates", "resource"),
    ("resource_templates", "resource"),
];

/// Members of a manifest that stands alone, without JSON-RPC around it.
const PLAIN: &[&str] =
    &["nextCursor", "_meta", "metadata", "serverInfo", "protocolVersion", "capabilities", "instructions", "skills"];

/// What is looked at of one item's texts.
const MAX_TEXTS: usize = 2000;
const MAX_TEXT_BYTES: usize = 256 << 10;

fn list(key: &str) -> Option<&'static str> {
    LISTS.iter().find(|(known, _)| *known == key).map(|(_, kind)| *kind)
}

impl Importer for McpManifest {
    fn format(&self) -> &'static str {
        "mcp_manifest"
    }

    fn title(&self) -> &'static str {
        "MCP manifest (tools/list, prompts/list, resources/list)"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn asset_kind(&self) -> AssetKind {
        AssetKind::McpServer
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        let members = outline.members();
        let answers = LISTS.iter().map(|(key, _)| *key).chain(["serverInfo", "protocolVersion"]);
        let answer = answers.into_iter().any(|key| outline.has(&format!("result.{key}")));
        let plain = members.iter().all(|key| list(key).is_some() || PLAIN.contains(key))
            && members.iter().any(|key| list(key).is_some() || *key == "serverInfo");
        let tool = outline.has("name") && outline.has("inputSchema");
        answer || plain || tool || outline.has("[].inputSchema")
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        const WHAT: &str = "an MCP server's answer, an object with “result” or with “tools”, “prompts” or “resources”";
        let mut about = About::default();
        read_documents(
            source,
            WHAT,
            |mut value| {
                if value.is_array()? { value.skip() } else { value.object(WHAT, &mut about) }
            },
        )?;
        let mut report = Report::new("mcp-manifest", hints, sink);
        let name = text_of(&about.info, "name").unwrap_or_default().to_owned();
        let asset = mcp::subject(&report, mcp::server(&name), "the manifest does not name its server")?;
        let agent = mcp::user(&mut report, None)?.filter(|agent| *agent != asset);
        let mut attributes = Evidence::default();
        attributes.add("serverName", text::one_line(&name, 200));
        for (member, attribute) in [("version", "version"), ("title", "title"), ("websiteUrl", "website")] {
            attributes.add(attribute, text_of(&about.info, member).map(|text| text::one_line(text, 200)));
        }
        let instructions = about.instructions.as_deref().unwrap_or_default();
        attributes.add("instructions", text::evidence_text(instructions, 1000));
        let name = if name.is_empty() { asset.key.clone() } else { name };
        let server = mcp::declare(&mut report, agent.as_ref(), asset, &name, attributes)?;
        let mut manifest = Manifest { report, server, agent, lists: Vec::new(), known: about.known };
        if !instructions.is_empty() {
            let mut item = Map::new();
            item.insert("description".to_owned(), instructions.into());
            manifest.item("instructions", &item)?;
        }
        read_documents(source, WHAT, |mut value| {
            if value.is_array()? {
                manifest.list("tools", "tool", value)
            } else if about.is_tool {
                let tool: Map<String, Json> = value.record()?;
                manifest.heard("tools");
                manifest.item("tool", &tool)
            } else {
                value.object(WHAT, &mut manifest)
            }
        })?;
        manifest.finish()
    }
}

/// What has to be known before the items are read: whose they are.
#[derive(Default)]
struct About {
    info: Map<String, Json>,
    instructions: Option<String>,
    /// The document is one tool's definition.
    is_tool: bool,
    known: bool,
}

impl Members for About {
    fn member(&mut self, key: &str, mut value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "result" | "metadata" if value.is_object()? => return value.object("an object", self),
            "serverInfo" if value.is_object()? => {
                self.known = true;
                self.info = value.record()?;
            }
            "instructions" => self.instructions = value.record::<Json>()?.as_str().map(str::to_owned),
            "inputSchema" => {
                self.is_tool = true;
                value.skip()?;
            }
            "protocolVersion" | "error" => {
                self.known = true;
                value.skip()?;
            }
            _ => value.skip()?,
        }
        Ok(())
    }
}

struct Manifest<'a> {
    report: Report<'a>,
    server: Server,
    agent: Option<AssetRef>,
    /// Which lists the manifest has.
    lists: Vec<&'static str>,
    known: bool,
}

impl Members for Manifest<'_> {
    fn member(&mut self, key: &str, mut value: Value<'_, '_>) -> Result<(), ImportError> {
        if let Some((list, kind)) = LISTS.iter().find(|(list, _)| *list == key) {
            return self.list(list, kind, value);
        }
        match key {
            "result" if value.is_object()? => value.object("an object", self),
            "nextCursor" => {
                if value.record::<Json>()?.as_str().is_some_and(|cursor| !cursor.is_empty()) {
                    self.report.info.complete = false;
                    let reason =
                        "the list goes on: the server gave a “nextCursor”, and what follows it is not in the report";
                    self.report.gap("incomplete-run", &self.server.name, reason)?;
                }
                Ok(())
            }
            "error" if value.is_object()? => {
                let error: Map<String, Json> = value.record()?;
                let said = text_of(&error, "message").unwrap_or("without a message");
                self.report.error(&self.server.name, &format!("the server answered with an error: {said}"))
            }
            _ => value.skip(),
        }
    }
}

impl Manifest<'_> {
    fn heard(&mut self, list: &'static str) {
        let list = if list.starts_with("resource") { "resources" } else { list };
        if !self.lists.contains(&list) {
            self.lists.push(list);
        }
    }

    fn list(&mut self, list: &'static str, kind: &'static str, value: Value<'_, '_>) -> Result<(), ImportError> {
        self.heard(list);
        value.array("an array of definitions", |_, item: Map<String, Json>| self.item(kind, &item))?;
        Ok(())
    }

    /// Puts an item into the inventory and looks for signs of poisoning in all of its texts.
    fn item(&mut self, kind: &str, item: &Map<String, Json>) -> Result<(), ImportError> {
        let name = ["uri", "uriTemplate", "name"].iter().find_map(|key| text_of(item, key));
        let name = match (kind, name) {
            ("instructions", _) => "",
            ("resource", Some(name)) => name,
            (_, _) => text_of(item, "name").ok_or_else(|| malformed(format!("a {kind} needs a “name”")))?,
        };
        if kind == "tool" {
            mcp::offer(&mut self.report, self.agent.as_ref(), &self.server, item)?;
        }
        let mut texts = Texts { all: Vec::new(), bytes: 0, cut: false };
        item.iter().for_each(|(key, value)| texts.add(key, value));
        let place =
            if name.is_empty() { format!("{}/{kind}", self.server.asset.key) } else { self.server.place(kind, name) };
        if texts.cut {
            self.report.gap("skipped", &place, "its definition is so large that only a part of it was looked at")?;
        }
        let signs = texts.signs();
        if signs.is_empty() { Ok(()) } else { self.poisoned(kind, name, place, &signs) }
    }

    fn poisoned(&mut self, kind: &str, name: &str, place: String, signs: &[Seen]) -> Result<(), ImportError> {
        let mut categories = Categories::default();
        signs.iter().for_each(|seen| categories.add_all(seen.sign.categories));
        let worst = signs.iter().map(|seen| seen.sign.severity).min().unwrap_or(Severity::Low);
        let speaks = signs.iter().any(|seen| seen.sign.id == mapping::INSTRUCTIONS);
        let grave = signs.iter().filter(|seen| seen.sign.severity == Severity::High).count();
        // An instruction together with what it is for.
        let severity = if speaks && grave > 1 { Severity::Critical } else { worst };
        let told = signs.iter().map(|seen| seen.sign.title).collect::<Vec<_>>().join(", ");
        let examples = signs.iter().map(|seen| {
            serde_json::json!({"sign": seen.sign.id, "where": seen.path, "text": text::evidence_text(&seen.excerpt, 300)})
        });
        let mut evidence = Evidence::default();
        evidence.add("server", self.server.name.clone());
        evidence.add(kind.to_owned(), name);
        evidence.add("signs", examples.collect::<Vec<_>>());
        let asset = &self.server.asset;
        let parts = ["mcp-manifest", &asset.key, kind, name];
        let fingerprint = Fingerprint::of((asset.kind.as_str(), &asset.key), &parts);
        let shown = text::redact(name);
        self.report.finding(FindingRecord {
            severity,
            title: text::one_line(&[kind, " ", &shown, ": ", &told].concat(), 300),
            description: format!(
                "The text of `{place}` holds what has no place in a description: {told}. An agent reads it as part of its instructions."
            ),
            remediation: "Take the server out of use until its owner has explained the text, and pin the version that was reviewed."
                .to_owned(),
            categories: categories.into_vec(),
            locations: vec![Location { uri: place, line: None, snippet: None }],
            evidence: evidence.finish(),
            ..FindingRecord::blank(asset, fingerprint, &format!("suspicious-{kind}"), Layer::Application)
        })
    }

    fn finish(mut self) -> Result<RunInfo, ImportError> {
        if self.lists.is_empty() && !self.known {
            return Err(malformed("not an MCP manifest: it has neither a server's answer nor a list"));
        }
        let check = if self.lists.contains(&"tools") { "tools-declared" } else { "" };
        let asset = self.server.asset.clone();
        self.report.assess(&asset, Layer::Application, check, Map::new())?;
        // Lists come one by one: the prompts say nothing of the tools.
        self.lists.sort_unstable();
        self.report.info.scan_identity = self.lists.join(",");
        self.report.finish("a valid manifest without anything suspicious in its texts")
    }
}

/// A sign and where it was seen.
struct Seen {
    sign: &'static Sign,
    path: String,
    excerpt: String,
}

/// The texts of a definition, at any depth.
struct Texts {
    all: Vec<(String, String)>,
    bytes: usize,
    cut: bool,
}

impl Texts {
    fn add(&mut self, path: &str, value: &Json) {
        match value {
            Json::String(text) => {
                if self.all.len() >= MAX_TEXTS || self.bytes + text.len() > MAX_TEXT_BYTES {
                    self.cut = true;
                    return;
                }
                self.bytes += text.len();
                self.all.push((text::one_line(path, 200), text.clone()));
            }
            Json::Array(items) => items.iter().for_each(|item| self.add(&format!("{path}[]"), item)),
            Json::Object(members) => {
                for (key, value) in members {
                    // A parameter's name is a text like any other.
                    self.add(&format!("{path}.{key}"), value);
                    if path.ends_with("properties") {
                        self.add(&format!("{path}.{key}"), &Json::String(key.clone()));
                    }
                }
            }
            _ => {}
        }
    }

    /// Each sign once, at its first place.
    fn signs(&self) -> Vec<Seen> {
        let mut seen: Vec<Seen> = Vec::new();
        for (path, text) in &self.all {
            let normal = mapping::normal(text);
            let places = mapping::places(&normal);
            let is_name = matches!(path.as_str(), "name" | "title" | "uri" | "uriTemplate");
            for sign in mapping::SIGNS.iter() {
                if seen.iter().any(|known| known.sign.id == sign.id) {
                    continue;
                }
                let excerpt = if sign.id == mapping::CHARACTERS {
                    let hidden = mapping::hidden(text);
                    (hidden > 0).then(|| format!("{hidden} hidden characters"))
                } else {
                    sign.find(&places, is_name).map(|at| excerpt(&normal, at))
                };
                if let Some(excerpt) = excerpt {
                    seen.push(Seen { sign, path: path.clone(), excerpt });
                }
            }
        }
        seen
    }
}

/// Some words around a place.
fn excerpt(text: &str, at: usize) -> String {
    let before: String = text[..at].chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
    let after: String = text[at..].chars().take(160).collect();
    format!("{before}{after}")
}
