//! Grype's JSON. What is taken over, field by field: `README.md`.

use serde::Deserialize;
use serde_json::Map;
use stance_shared::{AssetKind, Layer};

use crate::json::{Members, Value, malformed, or_default, read_object};
use crate::package::{self, Package};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, RunInfo, Sink, Source, Suppression};

/// The importer of `format=grype`.
pub struct Grype;

const WHAT: &str = "a Grype report, an object with “matches”";

impl Importer for Grype {
    fn format(&self) -> &'static str {
        "grype"
    }

    fn title(&self) -> &'static str {
        "Grype JSON"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        outline.has("matches")
            && (outline.has("matches[].vulnerability")
                || outline.has("descriptor")
                || outline.has("source")
                || outline.has("distro"))
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let mut import = Import {
            report: Report::new("grype", hints, sink),
            scanned: String::new(),
            asset: None,
            deferred: false,
            again: false,
            has_matches: false,
        };
        if import.report.is_named() {
            import.name()?;
        }
        read_object(source, WHAT, &mut import)?;
        if !import.has_matches {
            return Err(malformed("not a Grype report: there is no member “matches”"));
        }
        import.name()?;
        if import.deferred {
            import.again = true;
            read_object(source, WHAT, &mut import)?;
        }
        import.finish()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Match {
    #[serde(deserialize_with = "or_default")]
    vulnerability: Vulnerability,
    #[serde(deserialize_with = "or_default")]
    related_vulnerabilities: Vec<Vulnerability>,
    #[serde(deserialize_with = "or_default")]
    artifact: Artifact,
    /// Only of ignored matches.
    #[serde(deserialize_with = "or_default")]
    applied_ignore_rules: Vec<IgnoreRule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Vulnerability {
    #[serde(deserialize_with = "or_default")]
    id: String,
    #[serde(deserialize_with = "or_default")]
    data_source: String,
    namespace: Option<String>,
    #[serde(deserialize_with = "or_default")]
    severity: String,
    #[serde(deserialize_with = "or_default")]
    description: String,
    #[serde(deserialize_with = "or_default")]
    cvss: Vec<Cvss>,
    #[serde(deserialize_with = "or_default")]
    cwes: Vec<Cwe>,
    #[serde(deserialize_with = "or_default")]
    fix: Fix,
    #[serde(deserialize_with = "or_default")]
    epss: Vec<Epss>,
    #[serde(deserialize_with = "or_default")]
    known_exploited: Vec<serde::de::IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Cvss {
    #[serde(deserialize_with = "or_default")]
    version: String,
    #[serde(deserialize_with = "or_default")]
    metrics: Metrics,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metrics {
    base_score: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cwe {
    cwe: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Epss {
    epss: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fix {
    #[serde(deserialize_with = "or_default")]
    versions: Vec<String>,
    state: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Artifact {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    version: String,
    #[serde(rename = "type", deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    purl: String,
    #[serde(deserialize_with = "or_default")]
    locations: Vec<Place>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Place {
    #[serde(deserialize_with = "or_default")]
    path: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct IgnoreRule {
    reason: Option<String>,
    vulnerability: Option<String>,
    vex_status: Option<String>,
    vex_justification: Option<String>,
}

struct Import<'a> {
    report: Report<'a>,
    /// What was scanned, as it was named on the command line.
    scanned: String,
    asset: Option<AssetRef>,
    /// The matches stand before what was scanned, which names the asset: they are read in a second pass.
    deferred: bool,
    again: bool,
    has_matches: bool,
}

impl Members for Import<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "matches" | "ignoredMatches" => {
                self.has_matches |= key == "matches";
                let Some(asset) = self.asset.clone().filter(|_| self.deferred == self.again) else {
                    self.deferred |= value.count()? > 0;
                    return Ok(());
                };
                let suppressed = key == "ignoredMatches";
                value
                    .array("an array of matches", |_, found: Match| {
                        self.report.finding(finding(&asset, found, suppressed))
                    })
                    .map(drop)
            }
            "source" if !self.again => {
                value.object("an object", &mut Scanned(&mut self.scanned))?;
                if self.deferred { Ok(()) } else { self.name() }
            }
            "descriptor" if !self.again => {
                value.object("an object", &mut Descriptor(&mut self.report.info.tool_version))
            }
            _ => value.skip(),
        }
    }
}

struct Scanned<'a>(&'a mut String);

impl Members for Scanned<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        /// The path of a folder or file, or what is known of an image.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Target {
            Path(String),
            Image {
                #[serde(rename = "userInput", default)]
                user_input: Option<String>,
            },
        }
        if key != "target" {
            return value.skip();
        }
        *self.0 = match value.record::<Option<Target>>()? {
            Some(Target::Path(path)) => path,
            Some(Target::Image { user_input }) => user_input.unwrap_or_default(),
            None => String::new(),
        };
        Ok(())
    }
}

struct Descriptor<'a>(&'a mut String);

impl Members for Descriptor<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        if key != "version" {
            return value.skip();
        }
        *self.0 = text::one_line(&value.record::<Option<String>>()?.unwrap_or_default(), 40);
        Ok(())
    }
}

impl Import<'_> {
    fn name(&mut self) -> Result<(), ImportError> {
        if self.asset.is_none() {
            let named = if matches!(self.scanned.trim(), "." | "./" | "/" | "..") { "" } else { &self.scanned };
            let says = format!("Grype names what it scanned only as “{}”", text::one_line(&self.scanned, 100));
            let asset = self.report.asset(AssetKind::Application, named, &says)?;
            self.report.assess(&asset, Layer::Application, "", Map::new())?;
            self.asset = Some(asset);
        }
        Ok(())
    }

    fn finish(self) -> Result<RunInfo, ImportError> {
        self.report.finish("a valid report in which Grype found nothing")
    }
}

fn finding(asset: &AssetRef, found: Match, suppressed: bool) -> FindingRecord {
    let Match { vulnerability: own, related_vulnerabilities: related, artifact, applied_ignore_rules: rules } = found;
    let package = Package::of_purl(&artifact.purl).unwrap_or_else(|| Package::of(&artifact.kind, &artifact.name));
    // The newest version's; other sources' scores are not the one that the severity stands for.
    let newest =
        own.cvss.iter().filter(|cvss| cvss.metrics.base_score.is_some()).max_by(|a, b| a.version.cmp(&b.version));
    let related_ids: Vec<String> = related.iter().take(50).map(|other| other.id.clone()).collect();
    let mut evidence = Evidence::default();
    evidence.add("package", package.as_str());
    evidence.add("id", own.id.clone());
    evidence.add("otherIds", related_ids.clone());
    evidence.add("installed", artifact.version.clone());
    evidence.add("fixed", own.fix.versions.clone());
    evidence.add("fixState", own.fix.state);
    evidence.add("severity", own.severity.clone());
    evidence.add("namespace", own.namespace);
    evidence.add("epss", own.epss.first().and_then(|epss| epss.epss));
    evidence.add("knownExploited", (!own.known_exploited.is_empty()).then_some(true));
    let described = related.iter().map(|other| other.description.as_str()).find(|text| !text.trim().is_empty());
    let description =
        Some(own.description.as_str()).filter(|text| !text.trim().is_empty()).or(described).unwrap_or_default();
    let weaknesses: Vec<String> = own.cwes.into_iter().filter_map(|cwe| cwe.cwe).collect();
    let vulnerability = package::Vulnerability {
        name: &artifact.name,
        version: &artifact.version,
        advisory: package::advisory(&own.id, related_ids.iter().map(String::as_str)),
        severity: package::severity(&own.severity),
        score: newest.and_then(|cvss| cvss.metrics.base_score),
        title: "",
        description,
        fixed: text::one_line(&own.fix.versions.join(", "), 300),
        url: &own.data_source,
        weaknesses: &weaknesses,
        files: artifact.locations.into_iter().take(50).map(|place| place.path).collect(),
        package,
    };
    let suppression = suppressed.then(|| suppression(&rules));
    FindingRecord { suppression, ..package::finding(asset, vulnerability, evidence) }
}

/// Why Grype ignores a match: a rule of its configuration, or a VEX document.
fn suppression(rules: &[IgnoreRule]) -> Suppression {
    let vex = rules.iter().find_map(|rule| Some((rule.vex_status.as_deref()?, rule.vex_justification.as_deref())));
    if let Some((status, justification)) = vex {
        return Suppression {
            origin: format!("Grype VEX {}", text::one_line(status, 60)),
            justification: text::truncate(justification.unwrap_or("the document gives no justification"), 1000),
        };
    }
    let reason = rules.iter().find_map(|rule| rule.reason.as_deref().or(rule.vulnerability.as_deref()));
    Suppression {
        origin: "Grype ignore rule".to_owned(),
        justification: text::truncate(
            reason.unwrap_or("ignored by the tool's configuration, which gives no reason"),
            1000,
        ),
    }
}
