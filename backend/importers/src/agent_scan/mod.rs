//! Snyk agent-scan, formerly mcp-scan: its three JSON shapes. What is taken over, field by field: `README.md`.

mod mapping;

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use stance_engine::fingerprint::Fingerprint;
use stance_shared::{AssetKind, Layer, Severity};

use self::mapping::{Code, Meaning};
use crate::category;
use crate::json::{Members, Value, malformed, or_default, read_object, text_of};
use crate::mcp::{self, Server};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, Location, RunInfo, Sink, Source};

/// The importer of `format=agent_scan`.
pub struct AgentScan;

/// Servers, tools, prompts and resources whose names are kept for the issues that refer to them by number.
const MAX_ENTITIES: usize = 50_000;

impl Importer for AgentScan {
    fn format(&self) -> &'static str {
        "agent_scan"
    }

    fn title(&self) -> &'static str {
        "Snyk agent-scan or mcp-scan JSON"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn asset_kind(&self) -> AssetKind {
        AssetKind::Agent
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        outline.has("scan_path_responses") || outline.has_siblings(".servers", ".path")
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        const WHAT: &str = "an agent-scan report, an object of scanned paths or with “scan_path_responses”";
        let mut report = Import {
            out: RefCell::new(Report::new("agent-scan", hints, sink)),
            paths: Vec::new(),
            entities: 0,
            has_issues: false,
            analyzed: false,
            pass: Pass::Inventory,
        };
        read_object(source, WHAT, &mut report)?;
        if report.has_issues {
            report.pass = Pass::Issues(0);
            read_object(source, WHAT, &mut report)?;
        }
        report.finish()
    }
}

/// A report is read for its servers first, then for the issues, which name servers and tools by their numbers.
#[derive(Clone, Copy)]
enum Pass {
    Inventory,
    /// And which path is next.
    Issues(usize),
}

/// A scanned path, for the issues that refer to it.
#[derive(Default)]
struct Scanned {
    agent: Option<AssetRef>,
    path: String,
    servers: Vec<Named>,
}

/// A server with the names of what it offers, in the order that issues count: prompts, resources, templates, tools.
struct Named {
    server: Server,
    entities: Vec<(&'static str, String)>,
}

struct Import<'a> {
    out: RefCell<Report<'a>>,
    paths: Vec<Scanned>,
    entities: usize,
    has_issues: bool,
    /// Whether anything was analyzed, and not only listed (`inspect`).
    analyzed: bool,
    pass: Pass,
}

impl Members for Import<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        if key == "scan_path_responses" {
            self.analyzed = true;
            let out = &self.out;
            let risks = |_| Ok(Risks { out, agent: None, path: String::new(), known: false });
            value.objects("an array of scanned paths", risks, |_, risks| risks.finish())?;
            return Ok(());
        }
        let index = match &mut self.pass {
            Pass::Inventory => None,
            Pass::Issues(next) => {
                *next += 1;
                Some(*next - 1)
            }
        };
        let scanned = Scanned { agent: mcp::client(key), path: key.to_owned(), servers: Vec::new() };
        let mut members = PathMembers { report: self, index, scanned, known: false };
        value.object("a scanned path, an object with “servers”", &mut members)?;
        let PathMembers { scanned, known, .. } = members;
        if !known {
            return Err(malformed("not an agent-scan report: a scanned path needs “servers” or “error”"));
        }
        if index.is_none() {
            self.paths.push(scanned);
        }
        Ok(())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Trouble {
    message: Option<String>,
    exception: Option<String>,
    category: Option<String>,
}

impl Trouble {
    /// Says what could not be assessed. A refused or absent server is skipped, everything else is an error.
    fn tell(&self, report: &mut Report<'_>, subject: &str) -> Result<(), ImportError> {
        let category = self.category.as_deref().unwrap_or("error");
        let class = match category {
            "file_not_found" | "user_declined" | "skipped_by_runtime_config" => "skipped",
            _ => "tool-error",
        };
        let said = [self.message.as_deref(), self.exception.as_deref()];
        let said = said.into_iter().flatten().filter(|said| !said.is_empty()).collect::<Vec<_>>().join(": ");
        report.gap(class, subject, &text::one_line(&format!("{category}: {said}"), 900))
    }
}

#[derive(Debug, Deserialize)]
struct Found {
    name: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    server: Map<String, Json>,
    #[serde(default, deserialize_with = "or_default")]
    signature: Signature,
    error: Option<Trouble>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Signature {
    #[serde(deserialize_with = "or_default")]
    metadata: Map<String, Json>,
    #[serde(deserialize_with = "or_default")]
    prompts: Vec<Map<String, Json>>,
    #[serde(deserialize_with = "or_default")]
    resources: Vec<Map<String, Json>>,
    #[serde(deserialize_with = "or_default")]
    resource_templates: Vec<Map<String, Json>>,
    #[serde(deserialize_with = "or_default")]
    tools: Vec<Map<String, Json>>,
}

#[derive(Debug, Deserialize)]
struct Issue {
    code: String,
    #[serde(default, deserialize_with = "or_default")]
    message: String,
    reference: Option<Vec<Option<usize>>>,
    #[serde(default, deserialize_with = "or_default")]
    extra_data: Map<String, Json>,
}

struct PathMembers<'r, 'a> {
    report: &'r mut Import<'a>,
    /// Which path this is, in the second pass.
    index: Option<usize>,
    scanned: Scanned,
    known: bool,
}

impl Members for PathMembers<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        self.known |= matches!(key, "servers" | "error");
        if let Some(index) = self.index {
            return match key {
                "issues" => {
                    let Some(scanned) = self.report.paths.get(index) else { return value.skip() };
                    let out = &mut *self.report.out.borrow_mut();
                    value.array("an array of issues", |_, issue: Issue| scanned.issue(out, &issue))?;
                    Ok(())
                }
                _ => value.skip(),
            };
        }
        match key {
            "client" => {
                let client: Option<String> = value.record()?;
                self.scanned.agent = client.as_deref().and_then(mcp::client).or(self.scanned.agent.take());
                Ok(())
            }
            "servers" => {
                let (report, scanned) = (&mut *self.report, &mut self.scanned);
                value.array("an array of servers", |_, found: Found| report.server(scanned, found))?;
                Ok(())
            }
            "issues" => {
                self.report.analyzed = true;
                self.report.has_issues |= value.count()? > 0;
                Ok(())
            }
            "skills" => {
                let agent = self.scanned.agent.clone();
                let report = &mut *self.report.out.borrow_mut();
                let agent = mcp::user(report, agent.as_ref())?;
                value.array("an array of skills", |_, skill: Option<Map<String, Json>>| {
                    let skill = skill.unwrap_or_default();
                    let name = text_of(&skill, "name").and_then(mcp::skill);
                    name.map_or(Ok(()), |asset| mcp::have_skill(report, agent.as_ref(), &asset))
                })?;
                Ok(())
            }
            "error" => {
                if let Some(error) = value.record::<Option<Trouble>>()? {
                    let report = &mut *self.report.out.borrow_mut();
                    report.info.complete = false;
                    error.tell(report, &self.scanned.path)?;
                }
                Ok(())
            }
            _ => value.skip(),
        }
    }
}

/// A server that could not be assessed. With its own asset it is just not assessed; under one that the upload named its old
/// findings must not count as gone.
fn failed(report: &mut Report<'_>, error: &Trouble, name: &str) -> Result<(), ImportError> {
    report.info.complete &= report.hint().is_none_or(|hint| hint.kind != AssetKind::McpServer);
    error.tell(report, name)
}

impl Import<'_> {
    fn server(&mut self, scanned: &mut Scanned, found: Found) -> Result<(), ImportError> {
        let report = self.out.get_mut();
        let agent = mcp::user(report, scanned.agent.as_ref())?;
        let url = ["url", "serverUrl", "httpUrl"].iter().find_map(|key| text_of(&found.server, key));
        let path = text_of(&found.server, "path").map(|path| path.trim_end_matches("/SKILL.md"));
        let is_skill = text_of(&found.server, "type") == Some("skill");
        let name = found.name.as_deref().or(if is_skill { path } else { None }).unwrap_or_default();
        let asset = if is_skill { mcp::skill(name) } else { mcp::server(name).or_else(|| mcp::server_at(url?)) };
        let Some(asset) = asset else { return Err(malformed("a server needs a “name” or an address")) };

        let info = found.signature.metadata.get("serverInfo").and_then(Json::as_object);
        let mut attributes = mcp::Connection::of(&found.server).attributes();
        attributes.add("serverName", info.and_then(|info| text_of(info, "name")).map(|name| text::one_line(name, 200)));
        attributes.add("version", info.and_then(|info| text_of(info, "version")).map(|v| text::one_line(v, 60)));
        let server = if is_skill {
            mcp::have_skill(report, agent.as_ref(), &asset)?;
            Server { asset, name: text::one_line(name, 200) }
        } else {
            mcp::declare(report, agent.as_ref(), asset, name, attributes)?
        };
        match &found.error {
            Some(error) => failed(report, error, &server.name)?,
            None => report.assess(&server.asset, Layer::Application, "tools-declared", Map::new())?,
        }
        let signature = &found.signature;
        for tool in signature.tools.iter().filter(|_| !is_skill) {
            mcp::offer(report, agent.as_ref(), &server, tool)?;
        }
        let entities: Vec<_> = [
            ("prompt", &signature.prompts),
            ("resource", &signature.resources),
            ("resource", &signature.resource_templates),
            ("tool", &signature.tools),
        ]
        .into_iter()
        .flat_map(|(kind, items)| items.iter().map(move |item| (kind, item)))
        .map(|(kind, item)| (kind, text::one_line(text_of(item, "name").unwrap_or_default(), 200)))
        .collect();
        self.entities += entities.len() + 1;
        if self.entities > MAX_ENTITIES {
            return Err(ImportError::TooLarge(format!("a report may name at most {MAX_ENTITIES} servers and tools")));
        }
        scanned.servers.push(Named { server, entities });
        Ok(())
    }

    fn finish(self) -> Result<RunInfo, ImportError> {
        let mut report = self.out.into_inner();
        if !self.analyzed {
            report.info.complete = false;
        }
        report.finish(if self.analyzed {
            "a valid report in which agent-scan found nothing"
        } else {
            "a valid report that lists servers but was not analyzed (`inspect`): nothing was assessed for risks"
        })
    }
}

impl Scanned {
    /// An issue of mcp-scan up to 0.4.
    fn issue(&self, out: &mut Report<'_>, issue: &Issue) -> Result<(), ImportError> {
        let code = text::one_line(&issue.code, 60);
        let meaning = match mapping::of_code(&code) {
            Code::Ignored => return Ok(()),
            Code::Trouble => {
                let said = format!("{code}: {}", text::one_line(&issue.message, 900));
                return out.gap("tool-error", &self.path, &said);
            }
            Code::Finding(meaning) => meaning,
        };
        let numbers = issue.reference.as_deref().unwrap_or_default();
        let named = numbers.first().copied().flatten().and_then(|server| self.servers.get(server));
        let entity = named
            .and_then(|named| named.entities.get(numbers.get(1).copied().flatten()?))
            .map(|(k, n)| (*k, n.as_str()));
        let severity =
            text_of(&issue.extra_data, "severity").and_then(|word| word.to_uppercase().parse::<Severity>().ok());
        let (kind, name) = entity.unwrap_or(("server", ""));
        let mut evidence = Evidence::default();
        evidence.add("server", named.map(|named| named.server.name.clone()));
        evidence.add(kind, name);
        evidence.add("message", issue.message.clone());
        evidence.add("configuration", self.path.clone());
        evidence.add("details", Json::Object(issue.extra_data.clone()));
        let said = Said { code: &code, meaning, severity: severity.unwrap_or(meaning.severity), text: &issue.message };
        match named {
            Some(named) => {
                let parts = [named.server.asset.key.as_str(), kind, name];
                let place =
                    if name.is_empty() { named.server.asset.key.clone() } else { named.server.place(kind, name) };
                out.finding_once(said.finding(named.server.asset.clone(), &parts, vec![place], evidence))
            }
            // A toxic flow goes over several servers: it is the client's.
            None => {
                let key = text::truncate(text::normalize_uri(&self.path, None), 512);
                let own = self.agent.clone().unwrap_or(AssetRef { kind: AssetKind::Agent, key });
                let subject = out.hint().cloned().unwrap_or_else(|| own.clone());
                let tools = flow(self, &issue.extra_data);
                out.finding_once(said.finding(subject, &[own.key.as_str(), "flow"], tools, evidence))
            }
        }
    }
}

/// The tools of a toxic flow, which its extra data name by numbers: `{"untrusted_content": [{"reference": [0, 3]}]}`.
fn flow(scanned: &Scanned, extra: &Map<String, Json>) -> Vec<String> {
    let tools = extra.values().filter_map(Json::as_array).flatten().filter_map(|tool| {
        let number = |at: usize| usize::try_from(tool.get("reference")?.get(at)?.as_u64()?).ok();
        let named = scanned.servers.get(number(0)?)?;
        let (kind, name) = named.entities.get(number(1)?)?;
        Some(named.server.place(kind, name))
    });
    let mut tools: Vec<String> = tools.take(50).collect();
    tools.sort();
    tools.dedup();
    tools
}

/// What the scanner says of something.
struct Said<'a> {
    code: &'a str,
    meaning: &'static Meaning,
    severity: Severity,
    text: &'a str,
}

impl Said<'_> {
    fn finding(&self, asset: AssetRef, parts: &[&str], places: Vec<String>, evidence: Evidence) -> FindingRecord {
        let meaning = self.meaning;
        let said = text::evidence_text(self.text, 7000);
        let title = if meaning.title.is_empty() { self.code } else { meaning.title };
        let what = parts.last().filter(|name| parts.len() > 2 && !name.is_empty()).or(parts.first());
        let what = what.map(|name| format!(": {}", text::redact(name))).unwrap_or_default();
        let parts: Vec<&str> = ["agent-scan", self.code].into_iter().chain(parts.iter().copied()).collect();
        FindingRecord {
            fingerprint: Fingerprint::of((asset.kind.as_str(), &asset.key), &parts),
            asset,
            rule: self.code.to_owned(),
            layer: Layer::Application,
            severity: self.severity,
            score: None,
            attack_success_rate: None,
            title: text::one_line(&format!("{title}{what}"), 300),
            description: if said.is_empty() { title.to_owned() } else { said },
            remediation: meaning.remediation.to_owned(),
            categories: category::of_table(meaning.categories),
            locations: places.into_iter().map(|uri| Location { uri, line: None, snippet: None }).collect(),
            evidence: evidence.finish(),
            count: 1,
            suppression: None,
        }
    }
}

/// A path of agent-scan from 0.6, which gives risk indexes and no codes.
struct Risks<'r, 'a> {
    out: &'r RefCell<Report<'a>>,
    agent: Option<AssetRef>,
    path: String,
    known: bool,
}

#[derive(Debug, Deserialize)]
struct Risk {
    name: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    entities: Vec<Map<String, Json>>,
    #[serde(default, deserialize_with = "or_default")]
    files: Vec<Json>,
    #[serde(default, deserialize_with = "or_default")]
    risk_indexes: BTreeMap<String, Index>,
    error: Option<Trouble>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Index {
    score: Option<f64>,
    evidence: Option<Json>,
    #[serde(deserialize_with = "or_default")]
    affected_tools: Vec<usize>,
    locations: Option<Json>,
    malicious_urls: Option<Json>,
}

impl Members for Risks<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        self.known |= matches!(key, "server_risks" | "skill_risks" | "error");
        match key {
            "client" | "path" => {
                let said: Option<String> = value.record()?;
                let said = said.unwrap_or_default();
                self.agent = mcp::client(&said).or(self.agent.take());
                if key == "path" {
                    self.path = said;
                }
                Ok(())
            }
            "server_risks" | "skill_risks" => {
                let is_skill = key == "skill_risks";
                value.array("an array of risks", |_, risk: Risk| self.risk(&risk, is_skill))?;
                Ok(())
            }
            "error" => {
                if let Some(error) = value.record::<Option<Trouble>>()? {
                    let report = &mut *self.out.borrow_mut();
                    report.info.complete = false;
                    error.tell(report, &self.path)?;
                }
                Ok(())
            }
            _ => value.skip(),
        }
    }
}

impl Risks<'_, '_> {
    fn finish(self) -> Result<(), ImportError> {
        if self.known {
            Ok(())
        } else {
            Err(malformed("a scanned path needs “server_risks”, “skill_risks” or “error”"))
        }
    }

    fn risk(&self, risk: &Risk, is_skill: bool) -> Result<(), ImportError> {
        let report = &mut *self.out.borrow_mut();
        let name = risk.name.as_deref().unwrap_or_default();
        let asset = if is_skill { mcp::skill(name) } else { mcp::server(name) };
        let Some(asset) = asset else { return Err(malformed("a server or skill needs a “name”")) };
        let agent = mcp::user(report, self.agent.as_ref())?;
        let server = if is_skill {
            mcp::have_skill(report, agent.as_ref(), &asset)?;
            Server { asset, name: text::one_line(name, 200) }
        } else {
            mcp::declare(report, agent.as_ref(), asset, name, Evidence::default())?
        };
        for entity in risk.entities.iter().filter(|entity| !is_skill && text_of(entity, "type") == Some("tool")) {
            mcp::offer(report, agent.as_ref(), &server, entity)?;
        }
        if let Some(error) = &risk.error {
            return failed(report, error, &server.name);
        }
        report.assess(&server.asset, Layer::Application, "tools-declared", Map::new())?;
        for (name, index) in &risk.risk_indexes {
            let score = index.score.unwrap_or_default();
            let name = text::one_line(name, 100);
            let meaning = mapping::of_index(&name);
            let entity = |at: &usize| {
                let entity = risk.entities.get(*at)?;
                Some((text_of(entity, "type").unwrap_or("tool"), text_of(entity, "name")?))
            };
            let affected: Vec<_> = index.affected_tools.iter().filter_map(entity).take(50).collect();
            let mut places: Vec<String> = affected.iter().map(|(kind, name)| server.place(kind, name)).collect();
            if places.is_empty() {
                places.push(server.asset.key.clone());
            }
            let said = match &index.evidence {
                Some(Json::String(said)) => said.clone(),
                Some(other) if !other.is_null() => other.to_string(),
                _ => String::new(),
            };
            let mut evidence = Evidence::default();
            evidence.add(if is_skill { "skill" } else { "server" }, server.name.clone());
            evidence.add("score", score);
            evidence.add("evidence", said.clone());
            evidence.add("tools", affected.iter().map(|(_, name)| Json::from(*name)).collect::<Vec<_>>());
            evidence.add("configuration", self.path.clone());
            evidence.add("locations", index.locations.clone().unwrap_or_default());
            evidence.add("maliciousUrls", index.malicious_urls.clone().unwrap_or_default());
            evidence.add("files", risk.files.iter().take(50).cloned().collect::<Vec<_>>());
            // Severities are in the order of their gravity, worst first.
            let severity = mapping::score_severity(score).max(meaning.severity);
            let said = Said { code: &name, meaning, severity, text: &said };
            report.finding_once(said.finding(server.asset.clone(), &[server.asset.key.as_str()], places, evidence))?;
        }
        Ok(())
    }
}
