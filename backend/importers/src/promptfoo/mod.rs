//! promptfoo's results, as JSON or JSON lines. What is taken over, field by field: `README.md`.

mod mapping;
mod model;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde_json::{Map, Value as Json, json};
use stance_engine::fingerprint::Fingerprint;
use stance_shared::{AssetKind, Layer, Severity};

use self::mapping::Plugin;
use self::model::{Outcome, Provider, Row};
use crate::category::Categories;
use crate::json::{Members, Tree, Value, malformed, parse_line, read_lines, read_object};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, RunInfo, SNIFF_BYTES, Sink, Source};

/// The importer of `format=promptfoo`.
pub struct Promptfoo;

/// Problems, and checks that were made, beyond this are refused; a red team of every plugin has about 150.
const MAX_GROUPS: usize = 5000;

impl Importer for Promptfoo {
    fn format(&self) -> &'static str {
        "promptfoo"
    }

    fn title(&self) -> &'static str {
        "promptfoo results (JSON, JSONL)"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        is_row(&outline)
            || outline.has("results.results")
            || outline.has("evalId") && outline.has("results")
            || outline.has("results") && outline.has("stats.successes")
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let mut import = Import {
            report: Report::new("promptfoo", hints, sink),
            groups: BTreeMap::new(),
            tested: BTreeSet::new(),
            description: String::new(),
            rows: 0,
        };
        let mut head = Vec::new();
        source.open()?.take(SNIFF_BYTES as u64).read_to_end(&mut head)?;
        if is_row(&Outline::of(&head)) {
            read_lines(source, |number, line| import.row(&parse_line(number, line)?))?;
        } else {
            let mut document = Document { import: &mut import, has_results: false };
            read_object(source, "promptfoo's results, an object with “results”", &mut document)?;
            if !document.has_results {
                return Err(malformed("not promptfoo's results: there is no member “results”"));
            }
        }
        import.finish()
    }
}

/// Whether it begins as a line of a JSONL export.
fn is_row(outline: &Outline) -> bool {
    let known = ["gradingResult", "failureReason", "promptIdx", "testIdx", "latencyMs", "namedScores", "testCase"];
    known.iter().filter(|member| outline.has(member)).count() >= 3
}

/// An example of a failure. The first in order of the alphabet is shown, so that the order of the report means nothing.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Example {
    prompt: String,
    output: String,
    reason: String,
    strategy: String,
    provider: String,
}

/// All failures of one check or kind of attack on one asset.
struct Group {
    /// Whether it is a kind of attack.
    plugin: Option<&'static Plugin>,
    rule: String,
    /// What stands in the title behind what it means.
    subject: String,
    severity: Severity,
    failed: u64,
    total: u64,
    /// Failures and attempts by strategy.
    strategies: BTreeMap<String, (u64, u64)>,
    goal: Option<String>,
    example: Option<Example>,
}

/// The asset, and the parts of the fingerprint.
type GroupKey = (AssetRef, [String; 3]);

struct Import<'a> {
    report: Report<'a>,
    groups: BTreeMap<GroupKey, Group>,
    /// Which plugins and kinds of assertions were run.
    tested: BTreeSet<String>,
    description: String,
    rows: u64,
}

struct Document<'a, 'b> {
    import: &'b mut Import<'a>,
    has_results: bool,
}

impl Members for Document<'_, '_> {
    fn member(&mut self, key: &str, mut value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "results" => {
                self.has_results = true;
                if value.is_array()? {
                    return self.import.rows(value);
                }
                value.object("an object or array of results", &mut Results(self.import))
            }
            "config" => value.object("an object", &mut Texts(&mut [("description", &mut self.import.description)])),
            "metadata" => {
                let version = &mut self.import.report.info.tool_version;
                value.object("an object", &mut Texts(&mut [("promptfooVersion", version)]))
            }
            _ => value.skip(),
        }
    }
}

struct Results<'a, 'b>(&'b mut Import<'a>);

impl Members for Results<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        if key == "results" { self.0.rows(value) } else { value.skip() }
    }
}

/// Takes over short texts.
struct Texts<'a>(&'a mut [(&'static str, &'a mut String)]);

impl Members for Texts<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some((_, text)) => **text = text::one_line(&value.record::<Option<String>>()?.unwrap_or_default(), 200),
            None => value.skip()?,
        }
        Ok(())
    }
}

impl Import<'_> {
    fn rows(&mut self, value: Value<'_, '_>) -> Result<(), ImportError> {
        value.array_of::<Row<'static>>("an array of results", |_, row| self.row(&row)).map(drop)
    }

    fn row(&mut self, row: &Row<'_>) -> Result<(), ImportError> {
        if row.success.is_none() && row.failure_reason.is_none() {
            return Err(malformed("a result needs “success”"));
        }
        self.rows += 1;
        let asset = self.asset(row.provider.as_ref())?;
        let outcome = row.outcome();
        let plugin = row.plugin().map(|plugin| text::one_line(plugin, 140));
        self.tested(row, plugin.as_deref());
        let check = if plugin.is_some() { "red-teamed" } else { "" };
        if outcome == Outcome::Error {
            let subject = plugin.as_deref().or(row.test_case.description.as_deref()).unwrap_or("a test");
            let reason =
                row.error.as_deref().or(row.reason()).unwrap_or("promptfoo reports an error without a message");
            self.report.assess(&asset, layer(&asset), "", Map::new())?;
            return self.report.error(subject, reason);
        }
        self.report.assess(&asset, layer(&asset), check, Map::new())?;
        let Some(key) = key(row, plugin.as_deref(), outcome) else { return Ok(()) };
        let key = (asset, key);
        if !self.groups.contains_key(&key) {
            if self.groups.len() >= MAX_GROUPS {
                return Err(ImportError::TooLarge(format!("more than {MAX_GROUPS} different checks in one report")));
            }
            self.groups.insert(key.clone(), Group::new(row, plugin.as_deref()));
        }
        if let Some(group) = self.groups.get_mut(&key) {
            group.add(row, outcome);
        }
        Ok(())
    }

    /// The provider by its label, else by its id.
    fn asset(&self, provider: Option<&Provider<'_>>) -> Result<AssetRef, ImportError> {
        let (id, label) = provider.map_or(("", ""), |provider| (provider.id().trim(), provider.label().trim()));
        let is_model = mapping::is_model(id) && (label.is_empty() || label == id);
        let kind = if is_model { AssetKind::Model } else { AssetKind::Application };
        self.report.asset(kind, if label.is_empty() { id } else { label }, "the results do not name a provider")
    }

    fn tested(&mut self, row: &Row<'_>, plugin: Option<&str>) {
        let mut add = |name: &str| {
            if self.tested.len() < MAX_GROUPS && !self.tested.contains(name) {
                self.tested.insert(text::one_line(name, 140));
            }
        };
        match (plugin, &row.grading_result) {
            (Some(plugin), _) => add(plugin),
            (None, Some(grading)) => {
                grading.component_results.iter().filter_map(|c| c.assertion.as_ref()).for_each(|a| add(&a.kind));
            }
            (None, None) => {}
        }
    }

    fn finish(mut self) -> Result<RunInfo, ImportError> {
        for ((asset, parts), group) in std::mem::take(&mut self.groups) {
            if group.failed > 0 {
                self.report.finding(group.finding(&asset, &parts))?;
            }
        }
        let tested = self.tested.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let scan = if self.description.is_empty() { tested } else { std::mem::take(&mut self.description) };
        // A long list is told apart by its digest.
        self.report.info.scan_identity =
            if scan.len() <= 160 { scan } else { format!("{}-{}", text::truncate(&scan, 100), text::digest(&scan)) };
        if self.rows == 0 {
            self.report.info.complete = false;
            return self.report.finish("valid results without any test: nothing was assessed");
        }
        self.report.finish("a valid report in which every test passed or could not be run")
    }
}

fn layer(asset: &AssetRef) -> Layer {
    if asset.kind == AssetKind::Model { Layer::Model } else { Layer::Application }
}

/// What tells the problem apart: the plugin, else the assertion that failed. `None` for a test that passed and is no attack.
fn key(row: &Row<'_>, plugin: Option<&str>, outcome: Outcome) -> Option<[String; 3]> {
    if let Some(plugin) = plugin {
        return Some(["plugin".to_owned(), plugin.to_owned(), String::new()]);
    }
    if outcome == Outcome::Passed {
        return None;
    }
    let Some(assertion) = row.failed_assertion() else { return Some(Default::default()) };
    let value = assertion.value.as_ref().map(|value| text::digest(&value.to_string())).unwrap_or_default();
    let metric = assertion.metric.as_deref().unwrap_or_default();
    Some([text::one_line(&assertion.kind, 140), text::one_line(metric, 140), value])
}

impl Group {
    fn new(row: &Row<'_>, plugin: Option<&str>) -> Self {
        let assertion = row.failed_assertion().cloned().unwrap_or_default();
        let kind = if assertion.kind.is_empty() { "assertion" } else { &assertion.kind };
        let value =
            assertion.value.as_ref().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let subject = match (plugin, value) {
            (Some(plugin), _) => plugin.to_owned(),
            (None, Some(value)) => format!("{kind} “{}”", text::one_line(&text::redact(&value), 120)),
            (None, None) => kind.to_owned(),
        };
        Self {
            plugin: plugin.map(mapping::plugin_of),
            rule: text::one_line(plugin.unwrap_or(kind), 300),
            subject,
            // Raised by what its failures say.
            severity: Severity::Info,
            failed: 0,
            total: 0,
            strategies: BTreeMap::new(),
            goal: None,
            example: None,
        }
    }

    fn add(&mut self, row: &Row<'_>, outcome: Outcome) {
        let failed = u64::from(outcome == Outcome::Failed);
        self.total += 1;
        self.failed += failed;
        let of = |text: for<'t> fn(&'t model::Metadata<'_>) -> Option<&'t str>| {
            text(&row.metadata).or(text(&row.test_case.metadata)).filter(|text| !text.is_empty())
        };
        let strategy = text::one_line(of(|metadata| metadata.strategy_id.as_deref()).unwrap_or("basic"), 60);
        if self.plugin.is_some() && (self.strategies.len() < 100 || self.strategies.contains_key(&strategy)) {
            let (fails, total) = self.strategies.entry(strategy.clone()).or_default();
            *fails += failed;
            *total += 1;
        }
        if outcome == Outcome::Passed {
            return;
        }
        self.severity =
            self.severity.min(mapping::severity(of(|metadata| metadata.severity.as_deref()).unwrap_or_default()));
        if let Some(goal) = of(|metadata| metadata.goal.as_deref()).map(|goal| text::one_line(goal, 300)) {
            let first = self.goal.take().filter(|known| *known <= goal);
            self.goal = Some(first.unwrap_or(goal));
        }
        let prompt = match &row.prompt.raw {
            Some(raw) => text::evidence_text(raw, 1500),
            None => text::evidence_text(Json::from(&row.vars).to_string(), 1500),
        };
        // The order begins with the prompt: most need no more.
        if self.example.as_ref().is_some_and(|known| known.prompt < prompt) {
            return;
        }
        let output = match &row.response.output {
            None => Cow::Borrowed(""),
            Some(Tree::Text(text)) => text.into(),
            Some(output) => Cow::Owned(Json::from(output).to_string()),
        };
        let provider = row
            .provider
            .as_ref()
            .map_or("", |provider| if provider.label().is_empty() { provider.id() } else { provider.label() });
        let example = Example {
            prompt,
            output: text::evidence_text(output, 1500),
            reason: text::evidence_text(row.reason().unwrap_or_default(), 500),
            strategy,
            provider: text::one_line(provider, 200),
        };
        let first = self.example.take().filter(|known| *known <= example);
        self.example = Some(first.unwrap_or(example));
    }

    fn finding(self, asset: &AssetRef, parts: &[String; 3]) -> FindingRecord {
        let plugin = self.plugin.unwrap_or(&mapping::ASSERTION);
        let mut categories = Categories::default();
        categories.add_all(plugin.categories);
        for (strategy, _) in self.strategies.iter().filter(|(_, (failed, _))| *failed > 0) {
            categories.add_all(mapping::strategy_categories(strategy));
        }
        let mut description = if self.plugin.is_some() {
            format!("{} of {} attacks of promptfoo's plugin `{}` worked.", self.failed, self.total, self.subject)
        } else {
            format!("{} answers failed promptfoo's check {}.", self.failed, self.subject)
        };
        if let Some(goal) = &self.goal {
            description.push_str(&format!(" A goal: {goal}"));
        }
        let mut evidence = Evidence::default();
        evidence.add("failed", self.failed);
        if let Some(example) = self.example {
            evidence.add("prompt", example.prompt);
            evidence.add("output", example.output);
            evidence.add("reason", example.reason);
            evidence.add("strategy", if self.plugin.is_some() { example.strategy } else { String::new() });
            evidence.add("provider", example.provider);
        }
        let strategies: Vec<_> = self
            .strategies
            .iter()
            .map(|(name, (failed, total))| json!({"strategy": name, "failed": failed, "total": total}))
            .collect();
        evidence.add("strategies", strategies);
        #[expect(clippy::cast_precision_loss, reason = "counts of attacks")]
        let rate = self.plugin.map(|_| self.failed as f64 / self.total as f64);
        let [a, b, c] = parts;
        let fingerprint = Fingerprint::of((asset.kind.as_str(), &asset.key), &["promptfoo", a, b, c]);
        FindingRecord {
            severity: self.severity,
            attack_success_rate: rate,
            title: text::one_line(&format!("{}: {}", plugin.title, self.subject), 300),
            description,
            remediation: plugin.remediation.to_owned(),
            categories: categories.into_vec(),
            evidence: evidence.finish(),
            count: self.failed,
            ..FindingRecord::blank(asset, fingerprint, &self.rule, layer(asset))
        }
    }
}
