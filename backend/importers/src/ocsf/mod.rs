//! Findings in the Open Cybersecurity Schema Framework (classes 2001 to 2004), of Prowler and others. What is taken over, field by
//! field: `README.md`.

mod mapping;

use serde_json::Value as Json;
use stance_engine::fingerprint::Fingerprint;
use stance_shared::Layer;

use self::mapping::Outcome;
use crate::category::Categories;
use crate::json::{Object, Tree, malformed, read_documents};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, Location, RunInfo, Sink, Source, Suppression};

/// The importer of `format=ocsf`.
pub struct Ocsf;

impl Importer for Ocsf {
    fn format(&self) -> &'static str {
        "ocsf"
    }

    fn title(&self) -> &'static str {
        "OCSF findings (Prowler and others), JSON or JSON lines"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        let is_event = |at: &str| outline.has(&format!("{at}class_uid")) || outline.has(&format!("{at}finding_info"));
        // What Prowler writes when it found nothing.
        let is_empty = head.len() < 100 && head.iter().filter(|byte| !byte.is_ascii_whitespace()).eq(b"[]");
        is_event("") || is_event("[].") || is_empty
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let mut events = Events { report: Report::new("ocsf", hints, sink), seen: 0, checks: 0 };
        read_documents(source, "OCSF events, an array of objects or one object a line", |mut value| {
            if value.is_array()? {
                value.array_of::<Object<'static>>("an array of events", |_, event| events.event(&event)).map(|_| ())
            } else {
                value.record_of::<Object<'static>, _>(|event| events.event(&event))
            }
        })?;
        // A posture scan says the outcome of each check; a stream of detections shows only what happened in its time.
        events.report.info.complete &= events.seen > 0 && events.checks == events.seen;
        let nothing =
            if events.seen == 0 { "a valid report without events" } else { "a valid report in which no check failed" };
        events.report.finish(nothing)
    }
}

struct Events<'a> {
    report: Report<'a>,
    seen: u64,
    /// Events that say whether a check was passed.
    checks: u64,
}

/// What a finding is about.
struct Resource<'e> {
    uid: &'e str,
    name: &'e str,
    kind: &'e str,
    region: &'e str,
}

impl<'e> Resource<'e> {
    fn of(resource: &'e Object<'_>) -> Self {
        let text = |key| resource.text(key).unwrap_or_default();
        Self { uid: text("uid"), name: text("name"), kind: text("type"), region: text("region") }
    }

    fn key(&self) -> &'e str {
        if self.uid.is_empty() { self.name } else { self.uid }
    }
}

impl Events<'_> {
    fn event(&mut self, event: &Object<'_>) -> Result<(), ImportError> {
        let Some(class) = event.number("class_uid") else {
            return Err(malformed("an OCSF event needs “class_uid”, a number"));
        };
        self.seen += 1;
        if !(2001..=2004).contains(&class) {
            let name = event.text("class_name").unwrap_or_default();
            return self.report.gap("skipped", "", &format!("an event of class {class} {name} is no finding"));
        }
        self.product(event);
        let all: Vec<Resource<'_>> =
            event.objects("resources").chain(event.object("resource")).map(Resource::of).collect();
        let asset = self.asset(event, all.first())?;
        let compliance = event.object("compliance").and_then(|compliance| compliance.text("status"));
        let (code, status) = (event.text("status_code"), event.text("status"));
        self.checks += u64::from(code.or(compliance).is_some());
        let mut attributes = Evidence::default();
        if let Some(resource) = all.first() {
            attributes.add("type", text::one_line(resource.kind, 100));
            attributes.add("region", text::one_line(resource.region, 100));
        }
        let cloud = event.object("cloud");
        attributes.add("provider", cloud.and_then(|cloud| cloud.text("provider")));
        let account = cloud.and_then(|cloud| cloud.object("account"));
        attributes.add("account", account.and_then(|account| account.text("uid")));
        self.report.assess(&asset, Layer::Application, "", attributes.finish().into_map())?;
        match mapping::outcome(code, compliance, status) {
            Outcome::Failed => self.finding(event, class, &asset, &all),
            Outcome::Passed | Outcome::Closed => Ok(()),
            Outcome::Manual => {
                let what = title(event).unwrap_or("a check");
                self.report.gap("needs-review", &asset.key, &format!("a person has to look at it: {what}"))
            }
        }
    }

    /// The tool is the product of the first event.
    fn product(&mut self, event: &Object<'_>) {
        let product = event.object("metadata").and_then(|metadata| metadata.object("product"));
        if let Some(product) = product.filter(|_| self.report.info.tool == "ocsf") {
            if let Some(name) = product.text("name") {
                self.report.info.tool = text::one_line(&name.to_lowercase().replace(' ', "-"), 60);
            }
            self.report.info.tool_version = text::one_line(product.text("version").unwrap_or_default(), 60);
        }
    }

    /// The asset that the upload named, else the first resource, else the account.
    fn asset(&self, event: &Object<'_>, resource: Option<&Resource<'_>>) -> Result<AssetRef, ImportError> {
        let says = "an event names neither a resource nor an account";
        let kind = mapping::kind(resource.map_or("", |resource| resource.kind));
        let key = resource.map(Resource::key).unwrap_or_default();
        if !key.is_empty() {
            return self.report.asset(kind, key, says);
        }
        let cloud = event.object("cloud");
        let account = cloud.and_then(|cloud| cloud.object("account")?.text("uid"));
        let provider = cloud.and_then(|cloud| cloud.text("provider")).unwrap_or("cloud");
        let key = account.map(|account| format!("{}:{account}", provider.to_lowercase())).unwrap_or_default();
        self.report.asset(kind, &key, says)
    }

    fn finding(
        &mut self,
        event: &Object<'_>,
        class: u64,
        asset: &AssetRef,
        resources: &[Resource<'_>],
    ) -> Result<(), ImportError> {
        let info = event.object("finding_info").or(event.object("finding"));
        let analytic = info.and_then(|info| info.object("analytic"));
        let code = event.object("metadata").and_then(|metadata| metadata.text("event_code"));
        let rule = code.or_else(|| analytic.and_then(|analytic| analytic.text("uid").or(analytic.text("name"))));
        let title = title(event);
        let mut categories = Categories::default();
        let attacks = info.into_iter().flat_map(|info| info.objects("attacks")).chain(event.objects("attacks"));
        for technique in attacks.take(20).filter_map(|attack| attack.object("technique")?.text("uid")) {
            categories.add_named_in(technique);
        }
        let weaknesses = event.objects("vulnerabilities").flat_map(|found| {
            let one = found.object("cwe").into_iter();
            one.chain(found.objects("related_cwes")).filter_map(|cwe| cwe.text("uid"))
        });
        weaknesses.take(20).for_each(|cwe| categories.add_named_in(cwe));
        // The advisories tell vulnerability findings apart, whose rule is the scanner.
        let advisory = |found: &Object<'_>| {
            let uid = |key| found.object(key).and_then(|advisory| advisory.text("uid"));
            uid("cve").or_else(|| uid("advisory")).map(|uid| text::one_line(uid, 100))
        };
        let mut advisories: Vec<String> = event.objects("vulnerabilities").take(50).filter_map(advisory).collect();
        advisories.sort();
        advisories.dedup();
        let listed = advisories.join(", ");
        let rule = rule.or((!listed.is_empty()).then_some(listed.as_str())).or(title).unwrap_or("finding");
        let rule = text::one_line(&text::redact(rule), 300);
        let rule = if rule.is_empty() { "finding".to_owned() } else { rule };
        let title = text::one_line(&text::redact(title.unwrap_or(&rule)), 300);

        let severity_id = event.number("severity_id");
        let severity = mapping::severity(severity_id, event.text("severity").unwrap_or_default());
        let told = [
            event.text("status_detail").or(event.text("message")),
            info.and_then(|info| info.text("desc")),
            event.text("risk_details"),
        ];
        let mut told: Vec<&str> = told.into_iter().flatten().collect();
        told.dedup();
        let remediation = event.object("remediation");
        let references = remediation.map_or(&[][..], |remediation| remediation.array("references"));
        let references = references.iter().filter_map(Tree::as_str).filter(|url| url.starts_with("http"));
        let advice = remediation.and_then(|remediation| remediation.text("desc")).into_iter();
        let advice = advice.chain(references.take(5)).collect::<Vec<_>>().join("\n\n");
        let suppressed = event.text("status").is_some_and(|status| status.eq_ignore_ascii_case("suppressed"));

        let mut evidence = Evidence::default();
        evidence.add("class", class);
        evidence.add("product", self.report.info.tool.clone());
        evidence.add("severity", event.text("severity"));
        evidence.add("statusCode", event.text("status_code"));
        evidence.add("advisories", advisories.clone());
        evidence.add("types", info.and_then(|info| info.get("types")).map(Json::from));
        evidence.add("resources", resources.iter().take(20).map(|r| Json::from(r.key())).collect::<Vec<_>>());
        evidence.add("compliance", event.get("compliance").map(Json::from));
        evidence.add("frameworks", event.object("unmapped").and_then(|more| more.get("compliance")).map(Json::from));

        let first = resources.first();
        let (key, region) = (first.map_or("", Resource::key), first.map_or("", |resource| resource.region));
        let parts = ["ocsf", &rule, key, region, &listed];
        let fingerprint = Fingerprint::of((asset.kind.as_str(), &asset.key), &parts);
        let locations = resources.iter().take(50).map(Resource::key).filter(|key| !key.is_empty());
        self.report.finding(FindingRecord {
            severity,
            title: if title.is_empty() { rule.clone() } else { title },
            description: text::evidence_text(told.join("\n\n"), 8000),
            remediation: text::evidence_text(&advice, 8000),
            categories: categories.into_vec(),
            locations: locations
                .map(|key| Location { uri: text::one_line(&text::redact(key), 500), line: None, snippet: None })
                .collect(),
            evidence: evidence.finish(),
            suppression: suppressed.then(|| Suppression {
                origin: "OCSF status".to_owned(),
                justification: text::evidence_text(event.text("comment").unwrap_or("suppressed in its tool"), 1000),
            }),
            ..FindingRecord::blank(asset, fingerprint, &rule, Layer::Application)
        })
    }
}

fn title<'a>(event: &'a Object<'_>) -> Option<&'a str> {
    let info = event.object("finding_info").or(event.object("finding"));
    info.and_then(|info| info.text("title")).or(event.text("message"))
}
