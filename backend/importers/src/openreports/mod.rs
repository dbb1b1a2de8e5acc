//! Reports of the OpenReports API, and of the policy reports that it comes from. What is taken over, field by field: `README.md`.

use std::collections::BTreeSet;
use std::io::Read;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use stance_engine::fingerprint::Fingerprint;
use stance_shared::{AssetKind, Layer, Severity};

use crate::category::Categories;
use crate::json::{Members, Value, malformed, or_default, read_documents};
use crate::package::{self, Package};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, Location, RunInfo, SNIFF_BYTES, Sink, Source};

/// The importer of `format=openreports`.
pub struct OpenReports;

const WHAT: &str = "a Report or a list of Reports";

impl Importer for OpenReports {
    fn format(&self) -> &'static str {
        "openreports"
    }

    fn title(&self) -> &'static str {
        "OpenReports (JSON)"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        ["apiVersion", "items[].apiVersion"].iter().any(|member| {
            outline
                .text(member)
                .is_some_and(|api| ["openreports.io/", "wgpolicyk8s.io/"].iter().any(|own| api.starts_with(own)))
        })
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let mut import = Import {
            report: Report::new("openreports", hints, sink),
            scans: BTreeSet::new(),
            is_list: false,
            reports: 0,
        };
        let mut head = Vec::new();
        source.open()?.take(SNIFF_BYTES as u64).read_to_end(&mut head)?;
        import.is_list = Outline::of(&head).has("items");
        read_documents(source, WHAT, |value| {
            if import.is_list {
                return value.object(WHAT, &mut List(&mut import));
            }
            let report = value.record()?;
            import.report(report)
        })?;
        import.finish()
    }
}

/// One object of the cluster, which holds at most 1.5 MiB.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Object {
    #[serde(deserialize_with = "or_default")]
    metadata: Metadata,
    scope: Option<Subject>,
    #[serde(deserialize_with = "or_default")]
    results: Vec<Outcome>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    namespace: String,
    #[serde(deserialize_with = "or_default")]
    labels: Map<String, Json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Subject {
    #[serde(deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    namespace: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Outcome {
    #[serde(deserialize_with = "or_default")]
    source: String,
    #[serde(deserialize_with = "or_default")]
    policy: String,
    #[serde(deserialize_with = "or_default")]
    rule: String,
    category: Option<String>,
    severity: Option<String>,
    result: Option<String>,
    #[serde(alias = "description", deserialize_with = "or_default")]
    message: String,
    #[serde(alias = "resources", deserialize_with = "or_default")]
    subjects: Vec<Subject>,
    #[serde(deserialize_with = "or_default")]
    properties: Map<String, Json>,
}

struct Import<'a> {
    report: Report<'a>,
    /// Who wrote the reports: scans of different tools on one resource.
    scans: BTreeSet<String>,
    is_list: bool,
    reports: u64,
}

struct List<'a, 'b>(&'b mut Import<'a>);

impl Members for List<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "items" => value.array("an array of Reports", |_, object: Object| self.0.report(object)).map(drop),
            _ => value.skip(),
        }
    }
}

impl Import<'_> {
    fn report(&mut self, object: Object) -> Result<(), ImportError> {
        self.reports += 1;
        let by = object.metadata.labels.get("app.kubernetes.io/managed-by").and_then(Json::as_str);
        let scan = by.or((!self.is_list).then_some(object.metadata.name.as_str())).unwrap_or_default();
        if self.scans.len() < 100 && !scan.is_empty() {
            self.scans.insert(text::one_line(scan, 100));
        }
        let own = object.scope.as_ref().map(|scope| scope.key(&object.metadata.namespace)).unwrap_or_default();
        let of_report = || if own.is_empty() { &object.metadata.name } else { &own };
        if !own.is_empty() || object.results.is_empty() {
            let asset = self.asset(of_report())?;
            self.report.assess(&asset, Layer::Application, "", Map::new())?;
        }
        for outcome in &object.results {
            // A report without a scope says with each result what it is about.
            let subject =
                outcome.subjects.first().map(|subject| subject.key(&object.metadata.namespace)).unwrap_or_default();
            let asset = self.asset(if own.is_empty() && !subject.is_empty() { &subject } else { of_report() })?;
            self.report.assess(&asset, Layer::Application, "", Map::new())?;
            self.outcome(&asset, outcome)?;
        }
        Ok(())
    }

    fn asset(&self, named: &str) -> Result<AssetRef, ImportError> {
        self.report.asset(AssetKind::Application, named, "the report names neither a scope nor itself")
    }

    fn outcome(&mut self, asset: &AssetRef, outcome: &Outcome) -> Result<(), ImportError> {
        let subject = if outcome.policy.is_empty() { &outcome.rule } else { &outcome.policy };
        match outcome.result.as_deref().unwrap_or_default().trim().to_lowercase().as_str() {
            "pass" => Ok(()),
            "skip" => self.report.gap("skipped", subject, &outcome.message),
            "error" => self.report.error(subject, &outcome.message),
            result @ ("fail" | "warn") => self.report.finding(finding(asset, outcome, result == "warn")),
            _ => Err(malformed("result: must be one of pass, fail, warn, error, skip")),
        }
    }

    fn finish(mut self) -> Result<RunInfo, ImportError> {
        let scans = self.scans.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        self.report.info.scan_identity = if scans.len() <= 160 {
            scans
        } else {
            format!("{}-{}", text::truncate(&scans, 100), text::digest(&scans))
        };
        if self.reports == 0 {
            self.report.info.complete = false;
            return self.report.finish("a valid list without any report: nothing was assessed");
        }
        self.report.finish("a valid report in which no policy failed")
    }
}

impl Subject {
    /// `NAMESPACE/KIND/NAME`, as in Trivy's reports on clusters; empty without a name.
    fn key(&self, namespace: &str) -> String {
        if self.name.trim().is_empty() {
            return String::new();
        }
        let namespace = if self.namespace.is_empty() { namespace } else { &self.namespace };
        let parts = [namespace, &self.kind, &self.name];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
    }
}

fn finding(asset: &AssetRef, outcome: &Outcome, is_warning: bool) -> FindingRecord {
    let property = |key: &str| outcome.properties.get(key).and_then(Json::as_str).unwrap_or_default();
    let severity = match outcome.severity.as_deref().map(str::trim).filter(|word| !word.is_empty()) {
        Some(word) => package::severity(word),
        None if is_warning => Severity::Low,
        None => Severity::Medium,
    };
    let mut evidence = Evidence::default();
    evidence.add("source", outcome.source.clone());
    evidence.add("category", outcome.category.clone());
    evidence.add("result", outcome.result.clone());
    evidence.add("rule", outcome.rule.clone());
    evidence.add("properties", Json::Object(outcome.properties.clone()));
    let policy = text::one_line(&outcome.policy, 200);
    let is_advisory = ["CVE-", "GHSA-"].iter().any(|prefix| policy.to_uppercase().starts_with(prefix));
    if is_advisory && !property("pkgName").is_empty() {
        let vulnerability = package::Vulnerability {
            // The report does not say of which ecosystem.
            package: Package::of("", property("pkgName")),
            name: property("pkgName"),
            version: property("installedVersion"),
            advisory: package::advisory(&policy, []),
            severity,
            score: None,
            title: &outcome.message,
            description: &outcome.message,
            fixed: text::one_line(property("fixedVersion"), 300),
            url: property("primaryURL"),
            weaknesses: &[],
            files: &[],
        };
        return package::finding(asset, vulnerability, evidence);
    }
    let rule = [policy.as_str(), outcome.rule.trim()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    let rule = if rule.is_empty() { "(no policy)".to_owned() } else { text::one_line(&rule.join("/"), 300) };
    let subjects: Vec<String> =
        outcome.subjects.iter().take(50).map(|subject| subject.key("")).filter(|key| !key.is_empty()).collect();
    let place = subjects.first().map_or_else(|| text::one_line(property("pkgName"), 300), Clone::clone);
    let fingerprint = Fingerprint::of(
        (asset.kind.as_str(), &asset.key),
        &["openreports", &text::one_line(&outcome.source, 140), &rule, &place],
    );
    let mut categories = Categories::default();
    categories.add_named_in(outcome.category.as_deref().unwrap_or_default());
    let title = if outcome.message.trim().is_empty() { &rule } else { &outcome.message };
    FindingRecord {
        severity,
        title: text::one_line(&text::redact(title), 300),
        description: text::evidence_text(outcome.message.trim(), 8000),
        remediation: text::evidence_text([property("fixedVersion"), property("primaryURL")].join("\n\n").trim(), 2000),
        categories: categories.into_vec(),
        locations: subjects.into_iter().map(|uri| Location { uri, line: None, snippet: None }).collect(),
        evidence: evidence.finish(),
        ..FindingRecord::blank(asset, fingerprint, &rule, Layer::Application)
    }
}
