//! OpenVEX documents: what somebody says of vulnerabilities. What is taken over, field by field: `README.md`.

use std::cell::RefCell;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};
use stance_shared::{AssetKind, Layer, Severity};

use crate::json::{self, Members, Value, or_default, read_object};
use crate::package::{self, Package};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, Hints, ImportError, Importer, Position, RunInfo, Sink, Source, Suppression};

/// The importer of `format=openvex`.
pub struct OpenVex;

/// Products of a statement, and parts of a product, beyond this are refused.
const MAX_PRODUCTS: usize = 10_000;

const STATUSES: &[&str] = &["not_affected", "affected", "fixed", "under_investigation"];

impl Importer for OpenVex {
    fn format(&self) -> &'static str {
        "openvex"
    }

    fn title(&self) -> &'static str {
        "OpenVEX"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        outline.text("@context").is_some_and(|context| context.contains("openvex"))
            || (outline.has("statements[].status") && outline.has("statements[].vulnerability"))
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let mut document =
            Document { report: RefCell::new(Report::new("openvex", hints, sink)), has_statements: false };
        read_object(source, "an OpenVEX document, an object with “statements”", &mut document)?;
        if !document.has_statements {
            let expected = "not an OpenVEX document: it has no member “statements”".to_owned();
            return Err(ImportError::Malformed { expected, position: Position::default() });
        }
        let mut report = document.report.into_inner();
        if let (Some(hint), true) = (report.hint(), report.info.assessed.is_empty()) {
            report.assess(hint, Layer::Application, "", Map::new())?;
        }
        // It speaks of what somebody looked into, and proves no absence of anything else.
        report.info.complete = false;
        report.finish("a valid OpenVEX document without statements")
    }
}

struct Document<'a> {
    report: RefCell<Report<'a>>,
    has_statements: bool,
}

impl Members for Document<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "tooling" => {
                let tooling = value.record::<Option<String>>()?.unwrap_or_default();
                self.report.borrow_mut().info.tool_version = text::one_line(&tooling, 100);
            }
            "statements" => {
                self.has_statements = true;
                let report = &self.report;
                value.array("an array of statements", |_, statement: Statement| {
                    statement_says(&mut report.borrow_mut(), &statement)
                })?;
            }
            _ => value.skip()?,
        }
        Ok(())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Statement {
    vulnerability: Vulnerability,
    #[serde(deserialize_with = "or_default")]
    products: Vec<Product>,
    /// Of the first edition, where products had none.
    #[serde(deserialize_with = "or_default")]
    subcomponents: Vec<Product>,
    #[serde(deserialize_with = "or_default")]
    status: String,
    justification: Option<String>,
    impact_statement: Option<String>,
    action_statement: Option<String>,
    #[serde(alias = "statusNotes")]
    status_notes: Option<String>,
}

/// An object; in the first edition its name alone.
#[derive(Debug, Default)]
struct Vulnerability {
    name: String,
    description: String,
    aliases: Vec<String>,
}

impl<'de> Deserialize<'de> for Vulnerability {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Object {
            #[serde(rename = "@id", deserialize_with = "or_default")]
            id: String,
            #[serde(deserialize_with = "or_default")]
            name: String,
            #[serde(deserialize_with = "or_default")]
            description: String,
            #[serde(deserialize_with = "or_default")]
            aliases: Vec<String>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Said {
            Name(String),
            Object(Object),
        }
        Ok(match Option::<Said>::deserialize(value)? {
            None => Self::default(),
            Some(Said::Name(name)) => Self { name, ..Self::default() },
            Some(Said::Object(Object { id, name, description, aliases })) => {
                let name = if name.is_empty() { id.rsplit('/').next().unwrap_or_default().to_owned() } else { name };
                Self { name, description, aliases }
            }
        })
    }
}

/// A product or a part of one: an object; in the first edition its id alone.
#[derive(Debug, Default)]
struct Product {
    id: String,
    parts: Vec<Product>,
}

impl<'de> Deserialize<'de> for Product {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Object {
            #[serde(rename = "@id", deserialize_with = "or_default")]
            id: String,
            #[serde(deserialize_with = "or_default")]
            identifiers: Map<String, Json>,
            #[serde(deserialize_with = "or_default")]
            subcomponents: Vec<Product>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Said {
            Id(String),
            Object(Object),
        }
        Ok(match Said::deserialize(value)? {
            Said::Id(id) => Self { id, parts: Vec::new() },
            Said::Object(Object { id, identifiers, subcomponents }) => {
                let purl = identifiers.get("purl").and_then(Json::as_str);
                let id = if id.starts_with("pkg:") { id } else { purl.map_or(id, str::to_owned) };
                Self { id, parts: subcomponents }
            }
        })
    }
}

impl Product {
    fn package(&self) -> Package {
        Package::of_purl(&self.id).unwrap_or_else(|| Package::of("", &self.id))
    }

    /// What stands behind the last `@` of a package URL.
    fn version(&self) -> &str {
        let plain = self.id.split(['?', '#']).next().unwrap_or_default();
        plain.rsplit_once('@').map(|(_, version)| version).filter(|version| !version.contains('/')).unwrap_or_default()
    }
}

fn statement_says(report: &mut Report<'_>, statement: &Statement) -> Result<(), ImportError> {
    let Vulnerability { name, aliases, .. } = &statement.vulnerability;
    let advisory = package::advisory(name, aliases.iter().map(String::as_str));
    if advisory.is_empty() {
        return Err(json::malformed("a statement needs a “vulnerability” with a “name”"));
    }
    if !STATUSES.contains(&statement.status.as_str()) {
        let status = text::one_line(&statement.status, 60);
        return Err(json::malformed(format!("the status “{status}” must be one of {}", STATUSES.join(", "))));
    }
    if statement.products.len() > MAX_PRODUCTS {
        return Err(ImportError::TooLarge(format!("a statement has more than {MAX_PRODUCTS} products")));
    }
    if statement.products.is_empty() {
        return says(report, statement, &advisory, &Product::default(), &statement.subcomponents);
    }
    for product in &statement.products {
        let parts = if product.parts.is_empty() { &statement.subcomponents } else { &product.parts };
        says(report, statement, &advisory, product, parts)?;
    }
    Ok(())
}

/// What a statement says of one product: of each of its parts, or of itself when it names none.
fn says(
    report: &mut Report<'_>,
    statement: &Statement,
    advisory: &str,
    product: &Product,
    parts: &[Product],
) -> Result<(), ImportError> {
    let key = Package::of_purl(&product.id).map_or_else(|| product.id.clone(), |package| package.as_str().to_owned());
    let needs = "a statement names no product";
    let asset = report.asset(AssetKind::Application, &key, needs)?;
    report.assess(&asset, Layer::Application, "", Map::new())?;
    if parts.is_empty() {
        return say(report, statement, advisory, &asset, product);
    }
    if parts.len() > MAX_PRODUCTS {
        return Err(ImportError::TooLarge(format!("a product has more than {MAX_PRODUCTS} parts")));
    }
    parts.iter().try_for_each(|part| say(report, statement, advisory, &asset, part))
}

fn say(
    report: &mut Report<'_>,
    statement: &Statement,
    advisory: &str,
    asset: &AssetRef,
    part: &Product,
) -> Result<(), ImportError> {
    let package = if part.id.is_empty() { Package::of("", &asset.key) } else { part.package() };
    let name = package.as_str().rsplit('/').next().unwrap_or_default().to_owned();
    let mut evidence = Evidence::default();
    evidence.add("status", statement.status.clone());
    evidence.add("vulnerability", statement.vulnerability.name.clone());
    evidence.add("component", part.id.clone());
    evidence.add("justification", statement.justification.clone());
    evidence.add("impactStatement", statement.impact_statement.clone());
    evidence.add("statusNotes", statement.status_notes.clone());
    let found = package::Vulnerability {
        name: &name,
        version: part.version(),
        package,
        advisory: advisory.to_owned(),
        // A statement gives none; a scanner's report of the same finding does.
        severity: Severity::Medium,
        score: None,
        title: "",
        description: &statement.vulnerability.description,
        fixed: String::new(),
        url: "",
        weaknesses: &[],
        files: &[],
    };
    let mut finding = package::finding(asset, found, evidence);
    finding.remediation = text::evidence_text(statement.action_statement.as_deref().unwrap_or_default(), 8000);
    finding.suppression = suppression(statement);
    report.finding(finding)
}

/// The decision that a statement is: that the vulnerability is none here, or none any more.
fn suppression(statement: &Statement) -> Option<Suppression> {
    let status = statement.status.as_str();
    if !matches!(status, "not_affected" | "fixed") {
        return None;
    }
    let why = [&statement.justification, &statement.impact_statement, &statement.status_notes];
    let why: Vec<&str> = why.into_iter().flatten().map(|why| why.trim()).filter(|why| !why.is_empty()).collect();
    let why = if why.is_empty() { "the statement gives no reason".to_owned() } else { why.join(": ") };
    Some(Suppression {
        origin: format!("OpenVEX status {status}"),
        justification: text::evidence_text(format!("{status}: {why}"), 1000),
    })
}
