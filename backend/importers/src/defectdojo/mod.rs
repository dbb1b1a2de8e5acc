//! DefectDojo's generic findings as JSON, which many home-made tools write. What is taken over, field by field: `README.md`.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Map;
use stance_shared::{AssetKind, Layer, Severity};

use crate::category::Categories;
use crate::code::{self, Mark, Weakness};
use crate::json::{Members, Value, malformed, or_default, read_object};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, Hints, ImportError, Importer, Location, Position, RunInfo, Sink, Source, Suppression};

/// The importer of `format=defectdojo`.
pub struct DefectDojo;

/// DefectDojo's words.
const SEVERITIES: &[(&str, Severity)] = &[
    ("critical", Severity::Critical),
    ("high", Severity::High),
    ("medium", Severity::Medium),
    ("low", Severity::Low),
    ("info", Severity::Info),
];

/// Members of the document.
const MEMBERS: &[&str] = &["findings", "name", "type", "version", "description", "static_tool", "dynamic_tool", "soc"];

/// Members of a finding that are allowed and not taken.
const NOT_TAKEN: &[&str] = &[
    "date",
    "dynamic_finding",
    "effort_for_fixing",
    "epss_percentile",
    "files",
    "fix_available",
    "kev_date",
    "mitigated",
    "numerical_severity",
    "payload",
    "planned_remediation_date",
    "planned_remediation_version",
    "publish_date",
    "ransomware_used",
    "sast_sink_object",
    "sast_source_file_path",
    "sast_source_line",
    "sast_source_object",
    "scanner_confidence",
    "static_finding",
    "thread_id",
    "under_review",
];

/// Places of one finding.
const MAX_LOCATIONS: usize = 50;

impl Importer for DefectDojo {
    fn format(&self) -> &'static str {
        "defectdojo"
    }

    fn title(&self) -> &'static str {
        "DefectDojo generic findings (JSON)"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        let says = |member: &str| outline.has(&format!("findings[].{member}"));
        // Others have findings with titles too, but also members of their own.
        outline.has("findings")
            && outline.members().iter().all(|name| MEMBERS.contains(name))
            && !["asset", "rule", "rule_id"].into_iter().any(says)
            && (["title", "severity", "description"].into_iter().all(says) || !outline.has_below("findings[].", ""))
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let report = Report::new("DefectDojo generic findings", hints, sink);
        let says = "DefectDojo's generic findings name files and hosts, but not the application that they belong to";
        let asset = report.asset(AssetKind::Application, "", says)?;
        let mut import = Import { report, asset, has_findings: false };
        read_object(source, "generic findings, an object with “findings”", &mut import)?;
        if !import.has_findings {
            return Err(malformed("no generic findings: there is no member “findings”"));
        }
        import.report.assess(&import.asset, Layer::Application, "", Map::new())?;
        import.report.finish("a valid report without findings")
    }
}

/// A finding; members that the format does not have are refused, as it demands.
#[derive(Debug, Deserialize)]
struct Item {
    title: String,
    severity: String,
    description: String,
    #[serde(default, deserialize_with = "number")]
    cwe: Option<f64>,
    #[serde(default, deserialize_with = "or_default")]
    cwes: Vec<serde_json::Value>,
    #[serde(default)]
    cve: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    vulnerability_ids: Vec<String>,
    #[serde(default, deserialize_with = "number")]
    epss_score: Option<f64>,
    #[serde(default)]
    cvssv3: Option<String>,
    #[serde(default, deserialize_with = "number")]
    cvssv3_score: Option<f64>,
    #[serde(default)]
    cvssv4: Option<String>,
    #[serde(default, deserialize_with = "number")]
    cvssv4_score: Option<f64>,
    #[serde(default)]
    mitigation: Option<String>,
    #[serde(default)]
    impact: Option<String>,
    #[serde(default)]
    steps_to_reproduce: Option<String>,
    #[serde(default)]
    severity_justification: Option<String>,
    #[serde(default)]
    references: Option<String>,
    #[serde(default)]
    active: Option<bool>,
    #[serde(default)]
    verified: Option<bool>,
    #[serde(default)]
    false_p: Option<bool>,
    #[serde(default)]
    out_of_scope: Option<bool>,
    #[serde(default)]
    risk_accepted: Option<bool>,
    #[serde(default)]
    is_mitigated: Option<bool>,
    #[serde(default)]
    param: Option<String>,
    #[serde(default, deserialize_with = "number")]
    line: Option<f64>,
    #[serde(default)]
    file_path: Option<String>,
    #[serde(default)]
    component_name: Option<String>,
    #[serde(default)]
    component_version: Option<String>,
    #[serde(default)]
    unique_id_from_tool: Option<String>,
    #[serde(default)]
    vuln_id_from_tool: Option<String>,
    #[serde(default, deserialize_with = "number")]
    nb_occurences: Option<f64>,
    #[serde(default)]
    service: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    endpoints: Vec<Endpoint>,
    #[serde(default, deserialize_with = "or_default")]
    tags: Vec<String>,
    #[serde(default)]
    known_exploited: Option<bool>,
    #[serde(default)]
    fix_version: Option<String>,
    #[serde(flatten)]
    _not_taken: NotTaken,
}

/// Passes over what is allowed, refuses the rest.
#[derive(Debug)]
struct NotTaken;

impl<'de> Deserialize<'de> for NotTaken {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = NotTaken;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<NotTaken, A::Error> {
                while let Some(name) = members.next_key::<String>()? {
                    if !NOT_TAKEN.contains(&name.as_str()) {
                        return Err(A::Error::custom(format!("“{name}” is not a member of a generic finding")));
                    }
                    members.next_value::<IgnoredAny>()?;
                }
                Ok(NotTaken)
            }
        }
        json.deserialize_map(Names)
    }
}

/// A number, also as a text; what is neither (`N/A`) counts as absent.
fn number<'de, D: Deserializer<'de>>(json: D) -> Result<Option<f64>, D::Error> {
    let number = match serde_json::Value::deserialize(json)? {
        serde_json::Value::Number(number) => number.as_f64(),
        serde_json::Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    Ok(number.filter(|number: &f64| number.is_finite()))
}

/// A host with what belongs to it, or its address.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Endpoint {
    Address(String),
    Parts(Parts),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Parts {
    protocol: Option<String>,
    host: Option<String>,
    #[serde(deserialize_with = "number")]
    port: Option<f64>,
    path: Option<String>,
}

impl Endpoint {
    /// Its address, without what may be secret: user, password, query.
    fn address(self) -> String {
        let whole = match self {
            Self::Address(address) => address,
            Self::Parts(parts) => {
                let protocol = parts.protocol.map(|protocol| protocol + "://").unwrap_or_default();
                let port = parts.port.map(|port| format!(":{port}")).unwrap_or_default();
                let path = parts.path.map(|path| format!("/{}", path.trim_start_matches('/'))).unwrap_or_default();
                format!("{protocol}{}{port}{path}", parts.host.unwrap_or_default())
            }
        };
        let whole = whole.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = whole.split_once("://").unwrap_or(("", whole));
        let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
        let host = host.rsplit('@').next().unwrap_or_default();
        let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
        let path = path.map(|path| format!("/{path}")).unwrap_or_default();
        text::normalize_uri(&format!("{scheme}{host}{path}"), None)
    }
}

struct Import<'a> {
    report: Report<'a>,
    asset: AssetRef,
    has_findings: bool,
}

impl Members for Import<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "findings" => {
                self.has_findings = true;
                value.array("an array of findings", |_, item: Item| self.item(item)).map(drop)
            }
            // The type names the tool, the name may be the run's.
            "type" | "name" => {
                let name = text::one_line(&value.record::<Option<String>>()?.unwrap_or_default(), 100);
                let unnamed = self.report.info.tool == "DefectDojo generic findings";
                if !name.is_empty() && (key == "type" || unnamed) {
                    self.report.info.tool = name;
                }
                Ok(())
            }
            "version" => {
                let version = value.record::<Option<String>>()?.unwrap_or_default();
                self.report.info.tool_version = text::one_line(&version, 100);
                Ok(())
            }
            _ => value.skip(),
        }
    }
}

impl Import<'_> {
    fn item(&mut self, item: Item) -> Result<(), ImportError> {
        let word = item.severity.trim().to_lowercase();
        let Some((_, severity)) = SEVERITIES.iter().find(|(known, _)| *known == word) else {
            let position = Position { path: "severity".to_owned(), ..Position::default() };
            let expected = "severity: must be one of Critical, High, Medium, Low, Info".to_owned();
            return Err(ImportError::Malformed { expected, position });
        };
        let mut categories = Categories::default();
        let cwes = item.cwes.iter().map(|cwe| cwe.as_str().map_or_else(|| cwe.to_string(), str::to_owned));
        for cwe in item.cwe.map(|cwe| cwe.to_string()).into_iter().chain(cwes) {
            categories.add_named_in(&format!("CWE-{}", cwe.to_uppercase().trim_start_matches("CWE-")));
        }
        let advisories: Vec<String> = item.cve.into_iter().chain(item.vulnerability_ids).collect();
        let title = item.title.trim();
        let rule = [item.vuln_id_from_tool.as_deref(), advisories.first().map(String::as_str), Some(title)];
        let rule = rule.into_iter().flatten().find(|rule| !rule.trim().is_empty()).unwrap_or_default();
        let component = item.component_name.as_deref().unwrap_or_default();
        let endpoints: Vec<String> = item.endpoints.into_iter().map(Endpoint::address).collect();
        let mark = format!("{title} {component} {} {}", item.param.as_deref().unwrap_or_default(), endpoints.join(" "));
        let own = item.unique_id_from_tool.as_deref().and_then(code::usable_fingerprint);
        let mut evidence = Evidence::default();
        evidence.add("advisories", advisories.clone());
        evidence.add("component", component);
        evidence.add("component version", item.component_version);
        evidence.add("fixed in", item.fix_version);
        evidence.add("impact", item.impact);
        evidence.add("steps to reproduce", item.steps_to_reproduce);
        evidence.add("severity justification", item.severity_justification);
        evidence.add("CVSS", item.cvssv4.or(item.cvssv3));
        evidence.add("EPSS", item.epss_score);
        evidence.add("known exploited", item.known_exploited.filter(|is| *is));
        evidence.add("parameter", item.param);
        evidence.add("service", item.service);
        evidence.add("tags", item.tags);
        evidence.add("active", item.active);
        evidence.add("verified", item.verified);
        // Whether a risk is accepted is a person's decision here, so this is told and not followed.
        evidence.add("risk accepted", item.risk_accepted.filter(|is| *is));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and 0 is not taken")]
        let whole = |number: f64| (number >= 1.0).then_some(number as u32);
        let weakness = Weakness {
            tool: "DefectDojo",
            rule: &text::one_line(rule, 300),
            severity: *severity,
            message: title,
            path: item.file_path.as_deref().unwrap_or_default(),
            line: item.line.and_then(whole),
            mark: Mark { own, message: &mark, ..Mark::default() },
            remediation: "",
            categories,
        };
        let mut finding = code::finding(&self.asset, weakness, evidence);
        let advice = [item.mitigation, item.references].into_iter().flatten().filter(|text| !text.trim().is_empty());
        finding.remediation = text::evidence_text(advice.collect::<Vec<_>>().join("\n\n"), 8000);
        finding.description = text::evidence_text(item.description.trim(), 8000);
        finding.score = item.cvssv4_score.or(item.cvssv3_score).filter(|score| (0.0..=10.0).contains(score));
        finding.count = item.nb_occurences.and_then(whole).map_or(1, u64::from);
        let places = endpoints.into_iter().filter(|uri| !uri.is_empty());
        finding.locations.extend(places.map(|uri| Location { uri, ..Location::default() }));
        finding.locations.truncate(MAX_LOCATIONS);
        let says =
            [("false_p", item.false_p), ("out_of_scope", item.out_of_scope), ("is_mitigated", item.is_mitigated)];
        finding.suppression = says
            .into_iter()
            .find(|(_, is)| *is == Some(true))
            .map(|(member, _)| Suppression { origin: format!("DefectDojo {member}"), justification: String::new() });
        self.report.finding(finding)
    }
}
