//! Grype's JSON. What is taken over, field by field: `README.md`.

use serde::Deserialize;
use serde_json::Map;
use stance_shared::{AssetKind, Layer};

use crate::json::{Members, Record, Text, Value, malformed, or_default, read_object};
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
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Match<'a> {
    #[serde(deserialize_with = "or_default")]
    vulnerability: Vulnerability<'a>,
    #[serde(deserialize_with = "or_default")]
    related_vulnerabilities: Vec<Vulnerability<'a>>,
    #[serde(deserialize_with = "or_default")]
    artifact: Artifact<'a>,
    /// Only of ignored matches.
    #[serde(deserialize_with = "or_default")]
    applied_ignore_rules: Vec<IgnoreRule<'a>>,
}

impl Record for Match<'static> {
    type Of<'a> = Match<'a>;
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Vulnerability<'a> {
    #[serde(deserialize_with = "or_default")]
    id: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    data_source: Text<'a>,
    namespace: Option<Text<'a>>,
    #[serde(deserialize_with = "or_default")]
    severity: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    description: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    cvss: Vec<Cvss<'a>>,
    #[serde(deserialize_with = "or_default")]
    cwes: Vec<Cwe<'a>>,
    #[serde(deserialize_with = "or_default")]
    fix: Fix<'a>,
    #[serde(deserialize_with = "or_default")]
    epss: Vec<Epss>,
    #[serde(deserialize_with = "or_default")]
    known_exploited: Vec<serde::de::IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Cvss<'a> {
    #[serde(deserialize_with = "or_default")]
    version: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    metrics: Metrics,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metrics {
    base_score: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Cwe<'a> {
    cwe: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Epss {
    epss: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Fix<'a> {
    #[serde(deserialize_with = "or_default")]
    versions: Vec<Text<'a>>,
    state: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Artifact<'a> {
    #[serde(deserialize_with = "or_default")]
    name: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    version: Text<'a>,
    #[serde(rename = "type", deserialize_with = "or_default")]
    kind: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    purl: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    locations: Vec<Place<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Place<'a> {
    #[serde(deserialize_with = "or_default")]
    path: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, bound(deserialize = "'de: 'a"))]
struct IgnoreRule<'a> {
    reason: Option<Text<'a>>,
    vulnerability: Option<Text<'a>>,
    vex_status: Option<Text<'a>>,
    vex_justification: Option<Text<'a>>,
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
                    .array_of::<Match<'static>>("an array of matches", |_, found| {
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

fn finding(asset: &AssetRef, found: Match<'_>, suppressed: bool) -> FindingRecord {
    let Match { vulnerability: own, related_vulnerabilities: related, artifact, applied_ignore_rules: rules } = found;
    let package = Package::of_purl(&artifact.purl).unwrap_or_else(|| Package::of(&artifact.kind, &artifact.name));
    // The newest version's; other sources' scores are not the one that the severity stands for.
    let newest =
        own.cvss.iter().filter(|cvss| cvss.metrics.base_score.is_some()).max_by(|a, b| a.version.cmp(&b.version));
    let related_ids: Vec<&str> = related.iter().take(50).map(|other| other.id.as_str()).collect();
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
    let weaknesses: Vec<&str> = own.cwes.iter().filter_map(|cwe| cwe.cwe.as_deref()).collect();
    let fixed: Vec<&str> = own.fix.versions.iter().map(Text::as_str).collect();
    let files: Vec<&str> = artifact.locations.iter().take(50).map(|place| place.path.as_str()).collect();
    let vulnerability = package::Vulnerability {
        name: &artifact.name,
        version: &artifact.version,
        advisory: package::advisory(&own.id, related_ids.iter().copied()),
        severity: package::severity(&own.severity),
        score: newest.and_then(|cvss| cvss.metrics.base_score),
        title: "",
        description,
        fixed: text::one_line(&fixed.join(", "), 300),
        url: &own.data_source,
        weaknesses: &weaknesses,
        files: &files,
        package,
    };
    let suppression = suppressed.then(|| suppression(&rules));
    FindingRecord { suppression, ..package::finding(asset, vulnerability, evidence) }
}

/// Why Grype ignores a match: a rule of its configuration, or a VEX document.
fn suppression(rules: &[IgnoreRule<'_>]) -> Suppression {
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
