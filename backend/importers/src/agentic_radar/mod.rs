//! Agentic Radar's graph of an agentic system, as exported or with its weaknesses mapped. What is taken over, field by field:
//! `README.md`.

mod mapping;

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use stance_engine::fingerprint::Fingerprint;
use stance_shared::{AssetKind, Layer, RelationKind};

use crate::json::{Members, Value, malformed, or_default, read_object, text_of};
use crate::mcp::{self, Connection};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, Location, RunInfo, Sink, Source};

/// The importer of `format=agentic_radar`.
pub struct AgenticRadar;

/// Nodes of one graph.
const MAX_NODES: usize = 20_000;

impl Importer for AgenticRadar {
    fn format(&self) -> &'static str {
        "agentic_radar"
    }

    fn title(&self) -> &'static str {
        "Agentic Radar graph JSON"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        let all = ["nodes", "edges", "agents", "tools"].iter().all(|member| outline.has(member));
        all || outline.has("nodes[].node_type")
            || outline.has("tools[].node_type")
            || outline.has("agents[].is_guardrail")
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        const WHAT: &str = "an Agentic Radar graph, an object with “nodes” and “edges”";
        // Edges name nodes, and everything belongs to the system, whose name may stand last.
        let mut shape = Shape::default();
        read_object(source, WHAT, &mut shape)?;
        if !shape.has_nodes {
            return Err(malformed("not an Agentic Radar graph: it needs “nodes”"));
        }
        let mut report = Report::new("agentic-radar", hints, sink);
        let says = "the graph does not name the system";
        let system = report.asset(AssetKind::Application, &mcp::server_key(&shape.name), says)?;
        let mut attributes = Map::new();
        attributes.insert("source".to_owned(), "Agentic Radar graph".into());
        report.assess(&system, Layer::Application, "tools-declared", attributes)?;
        let mut graph = Graph { report, system, shape, assets: HashMap::new(), weaknesses: 0 };
        graph.nodes()?;
        read_object(source, WHAT, &mut graph)?;
        // Without any weakness it was exported before they were mapped: that proves no absence.
        graph.report.info.complete = graph.weaknesses > 0;
        graph
            .report
            .finish("a graph without weaknesses: Agentic Radar exports it before it maps them, so nothing was assessed")
    }
}

#[derive(Clone, Debug, Deserialize)]
struct Node {
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    node_type: String,
    description: Option<String>,
    category: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    vulnerabilities: Vec<Weakness>,
}

#[derive(Clone, Debug, Deserialize)]
struct Weakness {
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    description: String,
    #[serde(default, deserialize_with = "or_default")]
    security_framework_mapping: BTreeMap<String, Json>,
    #[serde(default, deserialize_with = "or_default")]
    remediation: String,
}

#[derive(Debug, Deserialize)]
struct Edge {
    start: String,
    end: String,
    condition: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Agent {
    name: String,
    llm: Option<String>,
    system_prompt: Option<String>,
    is_guardrail: Option<bool>,
    #[serde(default, deserialize_with = "or_default")]
    vulnerabilities: Vec<Weakness>,
}

/// What is read first: the system's name, its nodes, and whether edges say what they are.
#[derive(Default)]
struct Shape {
    name: String,
    nodes: Vec<Node>,
    has_nodes: bool,
    has_conditions: bool,
}

impl Members for Shape {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "name" => self.name = value.record::<Option<String>>()?.unwrap_or_default(),
            "nodes" => {
                self.has_nodes = true;
                value.array("an array of nodes", |_, mut node: Node| {
                    if self.nodes.len() == MAX_NODES {
                        return Err(ImportError::TooLarge(format!("a graph may have at most {MAX_NODES} nodes")));
                    }
                    // Those of tools are repeated in “tools”.
                    node.vulnerabilities.clear();
                    node.name = text::one_line(&node.name, 200);
                    node.description = node.description.map(|description| text::truncate(&description, 4000));
                    if node.node_type != "basic" {
                        self.nodes.push(node);
                    }
                    Ok(())
                })?;
            }
            "edges" => {
                value.array("an array of edges", |_, edge: Edge| {
                    self.has_conditions |= edge.condition.is_some();
                    Ok(())
                })?;
            }
            _ => value.skip()?,
        }
        Ok(())
    }
}

struct Graph<'a> {
    report: Report<'a>,
    system: AssetRef,
    shape: Shape,
    assets: HashMap<String, AssetRef>,
    weaknesses: u64,
}

impl Members for Graph<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "edges" => value.array("an array of edges", |_, edge: Edge| self.edge(&edge)).map(|_| ()),
            "agents" => value.array("an array of agents", |_, agent: Agent| self.agent(agent)).map(|_| ()),
            "tools" => value
                .array("an array of tools", |_, tool: Node| {
                    let asset = self.node(&tool)?;
                    tool.vulnerabilities
                        .into_iter()
                        .try_for_each(|weakness| self.weakness(&asset, &tool.name, weakness))
                })
                .map(|_| ()),
            _ => value.skip(),
        }
    }
}

impl Graph<'_> {
    fn nodes(&mut self) -> Result<(), ImportError> {
        let mut nodes = std::mem::take(&mut self.shape.nodes);
        // Two nodes may be one server: which of them names it must not depend on their order.
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        for node in nodes {
            self.node(&node)?;
        }
        Ok(())
    }

    /// An agent, model, tool or server of the system, described at its first mention. Names are unique within a graph.
    fn node(&mut self, node: &Node) -> Result<AssetRef, ImportError> {
        let name = text::one_line(&node.name, 200);
        if let Some(asset) = self.assets.get(&name) {
            return Ok(asset.clone());
        }
        let own = |kind| AssetRef { kind, key: text::truncate(format!("{}/{name}", self.system.key), 512) };
        let mut attributes = Evidence::default();
        let asset = match (node.node_type.as_str(), node.category.as_deref()) {
            ("agent", _) => own(AssetKind::Agent),
            // A node in a workflow, named by its author: not a model's name.
            (_, Some("llm")) => own(AssetKind::Model),
            ("mcp_server", _) => {
                let entry = node.description.as_deref().map(unescape).unwrap_or_default();
                let entry: Map<String, Json> = serde_json::from_str(&entry).unwrap_or_default();
                let connection = Connection::of(&entry);
                attributes = connection.attributes();
                server(&entry, &connection, &name).unwrap_or_else(|| own(AssetKind::McpServer))
            }
            _ => own(AssetKind::Tool),
        };
        if asset.kind != AssetKind::McpServer {
            attributes.add("description", node.description.as_deref().map(unescape));
            attributes.add("category", node.category.as_deref().map(|category| text::one_line(category, 60)));
        }
        self.report.describe(&asset, &name, attributes.finish().into_map())?;
        match asset.kind {
            AssetKind::Agent if self.system.kind == AssetKind::Application => {
                self.report.relate(&self.system, RelationKind::Exposes, &asset)?;
            }
            _ => self.report.relate(&self.system, RelationKind::DependsOn, &asset)?,
        }
        self.assets.insert(name, asset.clone());
        Ok(asset)
    }

    fn edge(&mut self, edge: &Edge) -> Result<(), ImportError> {
        let node = |name: &str| self.assets.get(&text::one_line(name, 200)).cloned();
        let (Some(mut from), Some(mut to)) = (node(&edge.start), node(&edge.end)) else { return Ok(()) };
        // In a graph whose edges say nothing, a workflow's, a tool points to the agent that has it.
        if !self.shape.has_conditions && from.kind != AssetKind::Agent && to.kind == AssetKind::Agent {
            (from, to) = (to, from);
        }
        let said = edge.condition.as_deref().unwrap_or_default().to_lowercase();
        let kind = match (from.kind, to.kind) {
            (AssetKind::Agent, AssetKind::Tool) => RelationKind::MayCall,
            (AssetKind::Agent, AssetKind::Model) => RelationKind::UsesModel,
            (AssetKind::Agent, AssetKind::McpServer) => RelationKind::DependsOn,
            (AssetKind::Agent, AssetKind::Agent) if said.contains("handoff") || said.contains("delegat") => {
                RelationKind::DelegatesTo
            }
            // The order of steps is no relation.
            _ => return Ok(()),
        };
        self.report.relate(&from, kind, &to)
    }

    fn agent(&mut self, agent: Agent) -> Result<(), ImportError> {
        let node = Node {
            name: agent.name.clone(),
            node_type: "agent".to_owned(),
            description: None,
            category: agent.is_guardrail.filter(|is| *is).map(|_| "guardrail".to_owned()),
            vulnerabilities: Vec::new(),
        };
        let asset = self.node(&node)?;
        if let Some(model) = agent.llm.map(|model| text::one_line(&model, 300)).filter(|model| !model.is_empty()) {
            let model = AssetRef { kind: AssetKind::Model, key: model };
            self.report.describe(&model, &model.key, Map::new())?;
            self.report.relate(&asset, RelationKind::UsesModel, &model)?;
        }
        if let Some(prompt) = agent.system_prompt.filter(|prompt| !prompt.trim().is_empty()) {
            let key = text::truncate(format!("{}/prompt", asset.key), 512);
            let own = AssetRef { kind: AssetKind::Prompt, key };
            let mut attributes = Evidence::default();
            // The text itself may be confidential.
            attributes.add("digest", text::digest(&prompt));
            attributes.add("characters", prompt.chars().count());
            self.report.describe(&own, &format!("System prompt of {}", agent.name), attributes.finish().into_map())?;
            self.report.relate(&asset, RelationKind::PromptedBy, &own)?;
        }
        agent.vulnerabilities.into_iter().try_for_each(|weakness| self.weakness(&asset, &agent.name, weakness))
    }

    fn weakness(&mut self, asset: &AssetRef, of: &str, weakness: Weakness) -> Result<(), ImportError> {
        self.weaknesses += 1;
        let name = text::one_line(&weakness.name, 200);
        let mappings = weakness.security_framework_mapping.values().filter_map(Json::as_str);
        let categories = mapping::categories(&name, mappings);
        let mut evidence = Evidence::default();
        evidence.add("of", of);
        evidence.add("mapping", weakness.security_framework_mapping.into_iter().collect::<Map<_, _>>());
        let parts = ["agentic-radar", &asset.key, &name];
        let fingerprint = Fingerprint::of((asset.kind.as_str(), &asset.key), &parts);
        self.report.finding_once(FindingRecord {
            severity: mapping::severity(&name),
            title: text::one_line(&format!("{}: {name}", text::redact(of)), 300),
            description: text::evidence_text(&weakness.description, 8000),
            remediation: text::evidence_text(&weakness.remediation, 8000),
            categories: categories.into_vec(),
            locations: vec![Location { uri: asset.key.clone(), line: None, snippet: None }],
            evidence: evidence.finish(),
            ..FindingRecord::blank(asset, fingerprint, &name, Layer::Application)
        })
    }
}

/// An MCP server by its label, its package or its name; one that is called after a variable (`server_params`) by its address.
fn server(entry: &Map<String, Json>, connection: &Connection<'_>, name: &str) -> Option<AssetRef> {
    let labeled = text_of(entry, "server_label").and_then(mcp::server);
    let packaged = || {
        let purl = &connection.package.as_ref()?.purl;
        mcp::server(purl.split('?').next()?.split('@').next()?)
    };
    let named = || if name.to_lowercase().contains("param") { None } else { mcp::server(name) };
    let address = || connection.url.and_then(mcp::address).filter(|address| !mcp::is_local(address));
    labeled.or_else(packaged).or_else(named).or_else(|| mcp::server_at(&address()?))
}

/// Descriptions are escaped for HTML.
fn unescape(text: &str) -> String {
    let entities = [("&quot;", "\""), ("&#x27;", "'"), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    entities.iter().fold(text::truncate(text, 4000), |text, (entity, plain)| text.replace(entity, plain))
}
