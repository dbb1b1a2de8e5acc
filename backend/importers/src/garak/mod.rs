//! garak's report and hitlog (JSONL, 0.9 to 0.17). What is taken over, field by field: `README.md`.

mod mapping;
mod model;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stance_engine::fingerprint::Fingerprint;
use stance_shared::{AssetKind, Layer};

use self::model::{Line, output_of, text_of};
use crate::category::Categories;
use crate::json::{parse_line, read_lines};
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{
    AssetRecord, AssetRef, FindingRecord, GapRecord, Hints, ImportError, Importer, Position, Record, RunInfo, Sink,
    Source,
};

/// The importer of `format=garak`.
pub struct Garak;

/// Pairs of probe and detector beyond this are refused; a run of every probe has about 400.
const MAX_PAIRS: usize = 5000;

/// Characters of an example's prompt and output.
const MAX_EXAMPLE: usize = 1500;

/// Bytes of them that are kept: more than are shown, so that a secret at the end of what is shown is seen as one.
const MAX_EXAMPLE_BYTES: usize = 4000;

/// A score from which garak counts an output as a hit, unless its configuration says otherwise.
const HIT: f64 = 0.5;

impl Importer for Garak {
    fn format(&self) -> &'static str {
        "garak"
    }

    fn title(&self) -> &'static str {
        "garak report or hitlog (JSONL)"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn asset_kind(&self) -> AssetKind {
        AssetKind::Model
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let line = Outline::of(head);
        line.has("entry_type") || (line.has("probe") && line.has("detector") && line.has("generator"))
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let mut import = Import {
            hints,
            sink,
            info: RunInfo { tool: "garak".to_owned(), ..RunInfo::default() },
            target: Target::default(),
            spec: String::new(),
            completed: false,
            entries: 0,
            findings: 0,
            evaluations: Vec::new(),
            goals: BTreeMap::new(),
            examples: BTreeMap::new(),
            hits: BTreeMap::new(),
        };
        read_lines(source, |number, line| import.line(number, parse_line(number, line)?))?;
        import.finish()
    }
}

/// What was attacked: garak's generator type and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    kind: String,
    name: String,
}

impl Target {
    fn new(kind: &str, name: &str) -> Self {
        let known = |text: &str| text::one_line(text, 240).trim_matches(|c| c == ' ').to_owned();
        Self { kind: known(kind), name: if name == "None" { String::new() } else { known(name) } }
    }

    /// From a hit's `generator`, which is “type name”.
    fn of_generator(generator: &str) -> Self {
        let (kind, name) = generator.split_once(' ').unwrap_or((generator, ""));
        Self::new(kind, name)
    }

    /// Whether it is an endpoint or a function of an application, not a model by name.
    fn is_application(&self) -> bool {
        let family = self.kind.split('.').next().unwrap_or_default();
        matches!(family, "rest" | "function" | "websocket")
    }
}

/// An output that shows the problem: of all that do, the first by the alphabet, so that their order does not matter.
struct Example {
    /// As they stand in the report, up to [`MAX_EXAMPLE_BYTES`].
    prompt: String,
    output: String,
    trigger: Option<String>,
}

impl Example {
    /// This output, unless `known` stands before it, which the prompt says for most.
    fn better(known: Option<&Self>, line: &Line<'_>, output: impl FnOnce() -> Option<String>) -> Option<Self> {
        let head = |text: Option<String>| {
            let mut text = text.unwrap_or_default();
            text.truncate(text.floor_char_boundary(MAX_EXAMPLE_BYTES));
            text
        };
        let prompt = head(text_of(line.prompt));
        if known.is_some_and(|known| known.prompt < prompt) {
            return None;
        }
        let output = head(output());
        if known.is_some_and(|known| known.prompt == prompt && known.output <= output) {
            return None;
        }
        let trigger = line.triggers.as_ref().or(line.trigger.as_ref()).map(|trigger| head(Some(trigger.to_string())));
        Some(Self { prompt, output, trigger })
    }
}

/// Hits of one probe and detector, of a hitlog.
struct Hits {
    count: u64,
    highest: f64,
    goal: String,
    example: Option<Example>,
}

/// How one probe fared with one detector.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Evaluation {
    pair: (String, String),
    target: Target,
    fails: u64,
    total: Option<u64>,
    /// Outputs that could not be judged.
    nones: u64,
}

/// One finding's numbers, from an evaluation or from hits.
struct Outcome<'a> {
    target: &'a Target,
    probe: &'a str,
    detector: &'a str,
    fails: u64,
    total: Option<u64>,
    goal: String,
    example: Option<Example>,
    highest: Option<f64>,
}

struct Import<'a> {
    hints: &'a Hints,
    sink: &'a mut dyn Sink,
    info: RunInfo,
    target: Target,
    /// Which probes the run was asked for.
    spec: String,
    completed: bool,
    /// Lines of a report, as opposed to a hitlog's.
    entries: u64,
    findings: u64,
    /// They become findings at the end: attempts may stand behind them.
    evaluations: Vec<Evaluation>,
    goals: BTreeMap<String, String>,
    /// A failing output of each probe and detector.
    examples: BTreeMap<(String, String), Example>,
    hits: BTreeMap<(Target, String, String), Hits>,
}

impl Import<'_> {
    fn line(&mut self, number: u64, line: Line<'_>) -> Result<(), ImportError> {
        let Some(entry) = line.entry_type.as_deref() else { return self.hit(number, &line) };
        self.entries += 1;
        match entry {
            "start_run setup" | "config" => self.set_up(&line),
            "init" => self.info.tool_version = text::one_line(line.garak_version.as_deref().unwrap_or_default(), 60),
            "attempt" => self.attempt(&line),
            "eval" => self.evaluation(number, &line)?,
            "completion" | "completed" => self.completed = true,
            _ => {}
        }
        Ok(())
    }

    fn set_up(&mut self, line: &Line<'_>) {
        if let Some(version) = &line.config_version {
            self.info.tool_version = text::one_line(version, 60);
        }
        let kinds = [&line.target_type, &line.model_type, &line.argument_type];
        if let Some(kind) = kinds.into_iter().flatten().next() {
            let names = [&line.target_name, &line.model_name, &line.argument_name];
            self.target = Target::new(kind, names.into_iter().flatten().next().map_or("", String::as_str));
        }
        let mut probes: Vec<String> = Vec::new();
        let included = line.spec.as_ref().and_then(|spec| spec.get("include")).and_then(Value::as_array);
        match (included, line.probe_spec.as_ref().or(line.argument_probes.as_ref())) {
            (Some(included), _) => probes.extend(included.iter().filter_map(Value::as_str).map(str::to_owned)),
            (None, Some(Value::String(spec))) => probes.extend(spec.split(',').map(str::to_owned)),
            _ => {}
        }
        let mut probes: Vec<&str> = probes.iter().map(|probe| plain(probe.trim(), "probes.")).collect();
        probes.sort_unstable();
        probes.dedup();
        self.spec = probes.join(",");
    }

    /// Remembers a failing output for each detector. An attempt stands in the report twice, sent (1) and evaluated (2).
    fn attempt(&mut self, line: &Line<'_>) {
        let (Some(2), Some(probe), Some(results)) = (line.status, &line.probe_classname, line.detector_results) else {
            return;
        };
        let probe = plain(probe, "probes.");
        if let Some(goal) = &line.goal {
            self.goal(probe, goal);
        }
        let Ok(results) = serde_json::from_str::<BTreeMap<String, Vec<Option<f64>>>>(results.get()) else { return };
        for (detector, scores) in results {
            let hit = scores.iter().position(|score| score.is_some_and(|score| score >= HIT));
            let Some(index) = hit else { continue };
            let pair = (name(probe), name(plain(&detector, "detector.")));
            let known = self.examples.get(&pair);
            if known.is_none() && self.examples.len() >= MAX_PAIRS {
                continue;
            }
            if let Some(example) = Example::better(known, line, || output_of(line.outputs, index)) {
                self.examples.insert(pair, example);
            }
        }
    }

    /// Remembers what a probe wants; of several goals the first by the alphabet.
    fn goal(&mut self, probe: &str, goal: &str) {
        if self.goals.get(probe).is_some_and(|known| known == goal) {
            return;
        }
        let (goal, is_full) = (text::one_line(goal, 300), self.goals.len() >= MAX_PAIRS);
        match self.goals.get_mut(probe) {
            Some(known) if goal < *known => *known = goal,
            None if !is_full => drop(self.goals.insert(name(probe), goal)),
            _ => {}
        }
    }

    fn evaluation(&mut self, number: u64, line: &Line<'_>) -> Result<(), ImportError> {
        let (Some(probe), Some(detector)) = (&line.probe, &line.detector) else {
            return Err(malformed(number, "an “eval” entry needs “probe” and “detector”"));
        };
        let (probe, detector) = (name(plain(probe, "probes.")), name(plain(detector, "detector.")));
        let total = line.total_evaluated.or(line.total);
        let fails = line.fails.or_else(|| Some(total?.saturating_sub(line.passed?)));
        let Some(fails) = fails else {
            return Err(malformed(
                number,
                "an “eval” entry needs “fails”, or “passed” with “total” or “total_evaluated”",
            ));
        };
        if self.evaluations.len() >= MAX_PAIRS {
            return Err(ImportError::TooLarge(format!("more than {MAX_PAIRS} evaluations in one report")));
        }
        let (target, nones) = (self.target.clone(), line.nones.unwrap_or_default());
        self.evaluations.push(Evaluation { pair: (probe, detector), target, fails, total, nones });
        Ok(())
    }

    fn hit(&mut self, number: u64, line: &Line<'_>) -> Result<(), ImportError> {
        let (Some(probe), Some(detector)) = (&line.probe, &line.detector) else {
            return Err(malformed(
                number,
                "neither an entry of a garak report (with “entry_type”) nor a hit (with “probe” and “detector”)",
            ));
        };
        let target = line.generator.as_deref().map_or_else(|| self.target.clone(), Target::of_generator);
        let key = (target, name(plain(probe, "probes.")), name(plain(detector, "detector.")));
        if self.hits.len() >= MAX_PAIRS && !self.hits.contains_key(&key) {
            return Err(ImportError::TooLarge(format!("hits of more than {MAX_PAIRS} pairs of probe and detector")));
        }
        let goal = text::one_line(line.goal.as_deref().unwrap_or_default(), 300);
        let hits =
            self.hits.entry(key).or_insert_with(|| Hits { count: 0, highest: 0.0, goal: goal.clone(), example: None });
        let better = Example::better(hits.example.as_ref(), line, || text_of(line.output));
        hits.example = better.or(hits.example.take());
        if goal < hits.goal {
            hits.goal = goal;
        }
        hits.count += 1;
        hits.highest = hits.highest.max(line.score.unwrap_or_default());
        Ok(())
    }

    /// The asset of a target: the hint, else garak's type and name.
    fn asset(&self, target: &Target) -> Result<AssetRef, ImportError> {
        if let Some(asset) = &self.hints.asset {
            return Ok(asset.clone());
        }
        let kind = if target.is_application() { AssetKind::Application } else { AssetKind::Model };
        let key = match (target.kind.as_str(), target.name.as_str()) {
            ("", "") => return Err(ImportError::NeedsAsset("the report does not name its target".to_owned())),
            // An endpoint or a function, and nothing says whose.
            (kind, "") if target.is_application() => {
                return Err(ImportError::NeedsAsset(format!("the report names its target only as “{kind}”")));
            }
            (kind, "") => kind.to_owned(),
            ("", name) => name.to_owned(),
            (kind, name) => format!("{kind}:{name}"),
        };
        Ok(AssetRef { kind, key: text::truncate(&key, 512) })
    }

    /// Notes that the target was attacked, and describes it at its first mention.
    fn assess(&mut self, target: &Target) -> Result<(), ImportError> {
        let asset = self.asset(target)?;
        if !self.info.assessed.contains(&asset) && self.hints.asset.is_none() {
            let mut attributes = serde_json::Map::new();
            attributes.insert("generator".to_owned(), target.kind.clone().into());
            let name = if target.name.is_empty() { asset.key.clone() } else { target.name.clone() };
            self.sink.record(Record::Asset(AssetRecord {
                asset: asset.clone(),
                name,
                attributes,
                tags: Vec::new(),
            }))?;
        }
        self.info.assess(&asset, layer(&asset), "red-teamed");
        Ok(())
    }

    fn finding(&mut self, outcome: Outcome<'_>) -> Result<(), ImportError> {
        let Outcome { probe, detector, fails, total, .. } = outcome;
        let family = mapping::of_probe(probe);
        let asset = self.asset(outcome.target)?;
        let mut categories = Categories::default();
        categories.add_all(family.categories);
        let mut description = match total {
            Some(total) => {
                format!("{fails} of {total} outputs failed garak's detector `{detector}` under the probe `{probe}`.")
            }
            None => format!("{fails} outputs failed garak's detector `{detector}` under the probe `{probe}`."),
        };
        if !outcome.goal.is_empty() {
            description.push_str(&format!(" The probe's goal: {}.", outcome.goal));
        }
        let mut evidence = Evidence::default();
        evidence.add("fails", fails);
        evidence.add("total", total);
        evidence.add("highestScore", outcome.highest);
        if let Some(example) = outcome.example {
            evidence.add("prompt", text::evidence_text(&example.prompt, MAX_EXAMPLE));
            evidence.add("output", text::evidence_text(&example.output, MAX_EXAMPLE));
            evidence.add("trigger", example.trigger.map(|trigger| text::evidence_text(&trigger, 300)));
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of outputs")]
        let rate = total.filter(|total| *total > 0).map(|total| (fails as f64 / total as f64).min(1.0));
        self.findings += 1;
        Ok(self.sink.record(Record::Finding(Box::new(FindingRecord {
            fingerprint: Fingerprint::of((asset.kind.as_str(), &asset.key), &["garak", probe, detector]),
            layer: layer(&asset),
            asset,
            rule: rule(probe, detector),
            severity: mapping::severity(family, detector),
            score: None,
            attack_success_rate: rate,
            title: text::one_line(&format!("{}: {probe} ({detector})", family.title), 300),
            description,
            remediation: family.remediation.to_owned(),
            categories: categories.into_vec(),
            locations: Vec::new(),
            evidence: evidence.finish(),
            count: fails.max(1),
            suppression: None,
        })))?)
    }

    fn gap(&mut self, class: &str, subject: &str, reason: &str) -> Result<(), ImportError> {
        let gap = GapRecord {
            class: class.to_owned(),
            subject: text::one_line(subject, 500),
            reason: text::truncate(reason, 1000),
        };
        Ok(self.sink.record(Record::Gap(gap))?)
    }

    fn finish(mut self) -> Result<RunInfo, ImportError> {
        if self.entries == 0 && self.hits.is_empty() {
            let expected = "the file has no line of a garak report or hitlog".to_owned();
            return Err(ImportError::Malformed { expected, position: Position::default() });
        }
        let evaluated = self.emit_evaluations()?;
        self.emit_hits(&evaluated)?;
        if self.entries > 0 {
            self.info.complete = self.completed && !evaluated.is_empty();
            if !self.completed {
                self.gap("incomplete-run", "", "the report has no completion entry: garak was stopped or crashed, and probes that are missing were not run; garak before 0.9.0.14 never writes one, so that its reports prove no absence")?;
            } else if evaluated.is_empty() {
                self.gap("empty-report", "", "a valid report without any evaluation: nothing was assessed")?;
            } else if self.findings == 0 {
                self.gap("empty-report", "", "a valid report in which every probe was withstood")?;
            }
        }
        let mut probes: Vec<&str> = evaluated.iter().map(|(probe, _)| probe.as_str()).collect();
        probes.dedup();
        let probes = probes.join(",");
        let scan = match self.entries {
            0 => "hitlog".to_owned(),
            _ if self.spec.is_empty() => probes,
            _ => std::mem::take(&mut self.spec),
        };
        // A long list is told apart by its digest.
        self.info.scan_identity =
            if scan.len() <= 160 { scan } else { format!("{}-{}", text::truncate(&scan, 100), text::digest(&scan)) };
        Ok(self.info)
    }

    /// The findings of a report. Gives the pairs of probe and detector that were evaluated.
    fn emit_evaluations(&mut self) -> Result<BTreeSet<(String, String)>, ImportError> {
        let mut evaluations = std::mem::take(&mut self.evaluations);
        evaluations.sort();
        let mut evaluated = BTreeSet::new();
        for Evaluation { pair, target, fails, total, nones } in evaluations {
            self.assess(&target)?;
            if nones > 0 {
                let reason = format!("{nones} outputs were missing or could not be judged");
                self.gap("not-evaluated", &rule(&pair.0, &pair.1), &reason)?;
            }
            if total != Some(0) {
                self.info.rules.push(rule(&pair.0, &pair.1));
            }
            if fails > 0 {
                let goal = self.goals.get(&pair.0).cloned().unwrap_or_default();
                let example = self.examples.remove(&pair);
                let (target, probe, detector) = (&target, pair.0.as_str(), pair.1.as_str());
                self.finding(Outcome { target, probe, detector, fails, total, goal, example, highest: None })?;
            }
            evaluated.insert(pair);
        }
        Ok(evaluated)
    }

    /// The findings of a hitlog. It says only what was hit, so nothing can be concluded from what it does not mention.
    fn emit_hits(&mut self, evaluated: &BTreeSet<(String, String)>) -> Result<(), ImportError> {
        let hits = std::mem::take(&mut self.hits);
        if !hits.is_empty() && self.entries == 0 {
            self.gap("hits-only", "", "a hitlog lists only attacks that worked. Import the report of the same run to see what was tested and what is gone")?;
        }
        for ((target, probe, detector), hits) in hits {
            if evaluated.contains(&(probe.clone(), detector.clone())) {
                continue;
            }
            self.assess(&target)?;
            let (example, highest) = (hits.example, Some(hits.highest));
            let outcome = Outcome {
                target: &target,
                probe: &probe,
                detector: &detector,
                fails: hits.count,
                total: None,
                goal: hits.goal,
                example,
                highest,
            };
            self.finding(outcome)?;
        }
        Ok(())
    }
}

fn rule(probe: &str, detector: &str) -> String {
    format!("{probe}/{detector}")
}

fn layer(asset: &AssetRef) -> Layer {
    if asset.kind == AssetKind::Model { Layer::Model } else { Layer::Application }
}

/// A plugin's name without the prefix that some versions write.
fn plain<'a>(plugin: &'a str, prefix: &str) -> &'a str {
    plugin.strip_prefix(prefix).unwrap_or(plugin)
}

fn name(plugin: &str) -> String {
    text::one_line(plugin, 140)
}

fn malformed(line: u64, expected: &str) -> ImportError {
    let position = Position { line: Some(line), column: None, path: String::new() };
    ImportError::Malformed { expected: format!("line {line} is not what a garak file has: {expected}"), position }
}
