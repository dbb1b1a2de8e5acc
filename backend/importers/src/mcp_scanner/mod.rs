//! Cisco's mcp-scanner, its raw JSON. What is taken over, field by field: `README.md`.

mod mapping;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use stance_engine::fingerprint::Fingerprint;
use stance_shared::{AssetKind, Layer};

use crate::json::{Members, Value, malformed, or_default, read_documents};
use crate::mcp::{self, Server};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, Location, RunInfo, Sink, Source};

/// The importer of `format=mcp_scanner`.
pub struct McpScanner;

/// The address that the scanner writes when it was given none: then it was not scanned.
const DEFAULT_URL: &str = "https://mcp.deepwiki.com/mcp";

impl Importer for McpScanner {
    fn format(&self) -> &'static str {
        "mcp_scanner"
    }

    fn title(&self) -> &'static str {
        "Cisco mcp-scanner JSON"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn asset_kind(&self) -> AssetKind {
        AssetKind::McpServer
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        (outline.has("scan_results") && (outline.has("server_url") || outline.has("scan_results[].is_safe")))
            || (outline.has("[].is_safe") && outline.has("[].item_type"))
            || outline.has_siblings("[].is_safe", "[].item_type")
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        const WHAT: &str = "an mcp-scanner report, an object with “scan_results” or an array of scanned items";
        let mut import = Import {
            report: Report::new("mcp-scanner", hints, sink),
            url: None,
            is_first: true,
            known: false,
            items: 0,
        };
        // The address stands behind the items or before them.
        for is_first in [true, false] {
            import.is_first = is_first;
            read_documents(source, WHAT, |mut value| {
                if value.is_array()? {
                    import.known = true;
                    import.items(value, "")
                } else {
                    value.object(WHAT, &mut import)
                }
            })?;
            if !import.known {
                return Err(malformed("not an mcp-scanner report: it needs “scan_results” or arrays of items"));
            }
        }
        let nothing = if import.items == 0 {
            import.report.info.complete = false;
            "a valid report in which nothing was scanned"
        } else {
            "a valid report in which mcp-scanner found nothing"
        };
        import.report.finish(nothing)
    }
}

struct Import<'a> {
    report: Report<'a>,
    url: Option<String>,
    is_first: bool,
    known: bool,
    items: u64,
}

impl Members for Import<'_> {
    fn member(&mut self, key: &str, mut value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "server_url" => {
                self.url = value.record()?;
                Ok(())
            }
            "requested_analyzers" => value.skip(),
            "scan_results" => {
                self.known = true;
                self.items(value, "")
            }
            // Of known configurations: items by the configuration's path.
            path if value.is_array()? => {
                self.known = true;
                self.items(value, path)
            }
            _ => value.skip(),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Item {
    #[serde(default, deserialize_with = "or_default")]
    status: String,
    item_type: Option<String>,
    tool_name: Option<String>,
    tool_description: Option<String>,
    prompt_name: Option<String>,
    prompt_description: Option<String>,
    resource_uri: Option<String>,
    resource_name: Option<String>,
    server_name: Option<String>,
    server_source: Option<String>,
    findings: BTreeMap<String, Analyzer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Analyzer {
    #[serde(deserialize_with = "or_default")]
    severity: String,
    #[serde(deserialize_with = "or_default")]
    threat_names: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    threat_summary: String,
    #[serde(deserialize_with = "or_default")]
    total_findings: u64,
    #[serde(deserialize_with = "or_default")]
    mcp_taxonomies: Vec<Map<String, Json>>,
}

impl Import<'_> {
    fn items(&mut self, value: Value<'_, '_>, configuration: &str) -> Result<(), ImportError> {
        if self.is_first {
            return value.skip();
        }
        value.array("an array of scanned items", |_, item: Item| {
            self.items += 1;
            self.item(&item, configuration)
        })?;
        Ok(())
    }

    /// The server of an item: by its name, by the address that was scanned, else the asset that the upload named.
    fn server(&mut self, item: &Item, configuration: &str) -> Result<(Server, Option<AssetRef>), ImportError> {
        let source = item.server_source.as_deref().unwrap_or(configuration);
        let url = self.url.as_deref().filter(|url| url.trim_end_matches('/') != DEFAULT_URL);
        let named = item.server_name.as_deref().and_then(mcp::server);
        let named = named.or_else(|| mcp::server_at(url?));
        let asset = mcp::subject(&self.report, named, "the report does not name the MCP server that was scanned")?;
        let agent = mcp::user(&mut self.report, mcp::client(source).as_ref())?;
        let agent = agent.filter(|agent| *agent != asset);
        let mut attributes = Evidence::default();
        attributes.add("url", url.and_then(mcp::address));
        let name = item.server_name.clone().unwrap_or_else(|| asset.key.clone());
        Ok((mcp::declare(&mut self.report, agent.as_ref(), asset, &name, attributes)?, agent))
    }

    fn item(&mut self, item: &Item, configuration: &str) -> Result<(), ImportError> {
        let (server, agent) = self.server(item, configuration)?;
        let (kind, name) = match (&item.tool_name, &item.prompt_name, &item.resource_uri) {
            (Some(tool), ..) => ("tool", tool.as_str()),
            (_, Some(prompt), _) => ("prompt", prompt.as_str()),
            (.., Some(uri)) => ("resource", uri.as_str()),
            _ => (item.item_type.as_deref().unwrap_or("instructions"), ""),
        };
        if kind == "tool" {
            let mut definition = Map::new();
            definition.insert("name".to_owned(), name.into());
            definition.insert("description".to_owned(), item.tool_description.clone().into());
            mcp::offer(&mut self.report, agent.as_ref(), &server, &definition)?;
        }
        let place = if name.is_empty() { format!("{}/{kind}", server.asset.key) } else { server.place(kind, name) };
        if !matches!(item.status.as_str(), "completed" | "") {
            let status = text::one_line(&item.status, 60);
            self.report.info.complete = false;
            let class = if status == "skipped" { "skipped" } else { "tool-error" };
            return self.report.gap(class, &place, &format!("the scan of this {kind} ended as “{status}”"));
        }
        self.report.assess(&server.asset, Layer::Application, "tools-declared", Map::new())?;
        for (analyzer, found) in &item.findings {
            let analyzer = text::one_line(analyzer.strip_suffix("_analyzer").unwrap_or(analyzer), 60);
            let Some(severity) = mapping::severity(&analyzer, &found.severity, found.total_findings) else { continue };
            let mut threats: Vec<String> =
                found.threat_names.iter().take(50).map(|name| text::one_line(name, 100)).collect();
            threats.sort();
            threats.dedup();
            let quality = analyzer == mapping::QUALITY;
            let listed = threats.join(", ");
            let what = match listed.as_str() {
                _ if quality => "not ready for production".to_owned(),
                "" | "unknown" => "a threat".to_owned(),
                listed => listed.to_lowercase().replace('_', " "),
            };
            let mut evidence = Evidence::default();
            evidence.add("server", server.name.clone());
            evidence.add(kind.to_owned(), name);
            evidence.add("analyzer", analyzer.clone());
            evidence.add("severity", found.severity.clone());
            evidence.add("threats", Json::from(threats.clone()));
            evidence.add("summary", found.threat_summary.clone());
            let described = item.tool_description.as_deref().or(item.prompt_description.as_deref());
            evidence.add("description", described.or(item.resource_name.as_deref()));
            evidence
                .add("taxonomies", found.mcp_taxonomies.iter().take(20).cloned().map(Json::Object).collect::<Vec<_>>());
            evidence.add("configuration", item.server_source.as_deref().unwrap_or(configuration));
            let parts = ["mcp-scanner", &server.asset.key, kind, name, &analyzer, &listed];
            let fingerprint = Fingerprint::of((server.asset.kind.as_str(), &server.asset.key), &parts);
            let rule = if listed.is_empty() { analyzer.clone() } else { format!("{analyzer}: {listed}") };
            let summary = text::evidence_text(&found.threat_summary, 1000);
            self.report.finding(FindingRecord {
                severity,
                title: text::one_line(&format!("{kind} {}: {what}", text::redact(name)), 300),
                description: format!("mcp-scanner's {analyzer} analyzer on `{}`: {summary}", text::redact(&place)),
                remediation: if quality {
                    "Give the tool time-outs, limits and clear errors.".to_owned()
                } else {
                    format!("Look at the text of this {kind} and take it out of use until its owner has explained it.")
                },
                categories: if quality {
                    Vec::new()
                } else {
                    mapping::categories(threats.iter().map(String::as_str)).into_vec()
                },
                locations: vec![Location { uri: place.clone(), line: None, snippet: None }],
                evidence: evidence.finish(),
                count: found.total_findings.max(1),
                ..FindingRecord::blank(&server.asset, fingerprint, &text::truncate(&rule, 300), Layer::Application)
            })?;
        }
        Ok(())
    }
}
