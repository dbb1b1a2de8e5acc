//! PyRIT's attack results, JSON lines or an array. What is taken over, field by field: `README.md`.

mod mapping;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use stance_engine::fingerprint::Fingerprint;
use stance_shared::{AssetKind, Layer};

use crate::json::{malformed, or_default, read_documents};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, RunInfo, Sink, Source};

/// The importer of `format=pyrit`.
pub struct PyRit;

/// Objectives that were reached beyond this are refused.
const MAX_GROUPS: usize = 5000;

/// Objectives that are counted to tell how many attempts each had; data sets have some thousands.
const MAX_OBJECTIVES: usize = 100_000;

impl Importer for PyRit {
    fn format(&self) -> &'static str {
        "pyrit"
    }

    fn title(&self) -> &'static str {
        "PyRIT attack results (JSONL)"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        ["", "[]."].iter().any(|at| {
            let has = |member: &str| outline.has(&format!("{at}{member}"));
            has("conversation_id") && has("objective")
                || has("atomic_attack_identifier") && (has("outcome") || has("objective"))
        })
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let mut import = Import {
            report: Report::new("PyRIT", hints, sink),
            groups: BTreeMap::new(),
            attempts: HashMap::new(),
            attacks: BTreeSet::new(),
        };
        read_documents(
            source,
            "PyRIT's attack results, objects with “objective” and “outcome”",
            |mut value| {
                if value.is_array()? {
                    return value
                        .array("an array of attack results", |_, attack: Attack| import.attack(attack))
                        .map(drop);
                }
                let attack = value.record()?;
                import.attack(attack)
            },
        )?;
        import.finish()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Attack {
    #[serde(deserialize_with = "or_default")]
    objective: String,
    outcome: String,
    outcome_reason: Option<String>,
    /// Deeply nested; `attack_identifier` and `objective_target_identifier` in versions before 1.0.
    #[serde(alias = "attack_identifier", deserialize_with = "or_default")]
    atomic_attack_identifier: Json,
    last_response: Option<Response>,
    last_score: Option<Score>,
    executed_turns: Option<u64>,
    #[serde(deserialize_with = "or_default")]
    targeted_harm_categories: Vec<String>,
    error_message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Response {
    converted_value: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Score {
    score_value: Option<Json>,
    score_category: Option<Json>,
    score_rationale: Option<String>,
    scorer_class_identifier: Option<Json>,
}

/// An objective that was reached on one asset by one class of attacks.
struct Group {
    reached: u64,
    words: Vec<String>,
    /// The first in order of the alphabet is shown, so that the order of the report means nothing.
    example: Example,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Example {
    output: String,
    reason: String,
    score: String,
    scorer: String,
    turns: Option<u64>,
}

/// The asset, the class of attack, the objective.
type GroupKey = (AssetRef, String, String);

struct Import<'a> {
    report: Report<'a>,
    groups: BTreeMap<GroupKey, Group>,
    /// Judged attempts by digest of asset, attack and objective.
    attempts: HashMap<String, u64>,
    attacks: BTreeSet<String>,
}

impl Import<'_> {
    fn attack(&mut self, attack: Attack) -> Result<(), ImportError> {
        let class = class(&attack.atomic_attack_identifier);
        let asset = self.asset(&attack.atomic_attack_identifier)?;
        let objective = text::one_line(&text::redact(&attack.objective), 1000);
        if self.report.info.tool_version.is_empty()
            && let Some(version) = find(&attack.atomic_attack_identifier, "pyrit_version", 0)
        {
            self.report.info.tool_version = text::one_line(version, 40);
        }
        if self.attacks.len() < 100 {
            self.attacks.insert(class.clone());
        }
        match attack.outcome.trim().to_lowercase().as_str() {
            "success" | "failure" => {}
            "undetermined" => {
                let reason = attack.outcome_reason.as_deref().unwrap_or("no scorer could judge the answer");
                self.report.assess(&asset, layer(&asset), "", Map::new())?;
                return self.report.gap("not-evaluated", &objective, reason);
            }
            "error" => {
                let reason = attack.error_message.or(attack.outcome_reason);
                self.report.assess(&asset, layer(&asset), "", Map::new())?;
                return self.report.error(&objective, reason.as_deref().unwrap_or("the attack ended in an error"));
            }
            _ => return Err(malformed("outcome: must be one of success, failure, undetermined, error")),
        }
        self.report.assess(&asset, layer(&asset), "red-teamed", Map::new())?;
        let key = (asset, class, objective);
        let digest = digest(&key);
        if self.attempts.len() < MAX_OBJECTIVES || self.attempts.contains_key(&digest) {
            *self.attempts.entry(digest).or_default() += 1;
        }
        if attack.outcome.trim().eq_ignore_ascii_case("failure") {
            return Ok(());
        }
        let example = Example::of(&attack);
        let words = words(&attack, &key.1);
        if let Some(group) = self.groups.get_mut(&key) {
            group.reached += 1;
            group.words.extend(words);
            group.words.sort_unstable();
            group.words.dedup();
            group.words.truncate(50);
            if example < group.example {
                group.example = example;
            }
        } else if self.groups.len() < MAX_GROUPS {
            self.groups.insert(key, Group { reached: 1, words, example });
        } else {
            return Err(ImportError::TooLarge(format!("more than {MAX_GROUPS} objectives were reached in one report")));
        }
        Ok(())
    }

    /// The target's model, else its endpoint.
    fn asset(&self, identifier: &Json) -> Result<AssetRef, ImportError> {
        let target = member(identifier, "objective_target", 0).unwrap_or(identifier);
        let known = |key: &str| find(target, key, 0).map(str::trim).filter(|text| !text.is_empty());
        let says = "the results name neither the target's model nor its endpoint";
        match known("model_name").or_else(|| known("underlying_model_name")) {
            Some(model) => self.report.asset(AssetKind::Model, model, says),
            None => {
                self.report.asset(AssetKind::Application, &known("endpoint").map(plain_url).unwrap_or_default(), says)
            }
        }
    }

    fn finish(mut self) -> Result<RunInfo, ImportError> {
        // Runs with other objectives are other scans: they say nothing of these.
        let mut objectives: Vec<&str> = self.attempts.keys().map(String::as_str).collect();
        objectives.sort_unstable();
        let attacks = self.attacks.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        self.report.info.scan_identity =
            format!("{} {}", text::truncate(&attacks, 120), text::digest(&objectives.join(",")));
        for (key, group) in std::mem::take(&mut self.groups) {
            let attempts = self.attempts.get(&digest(&key)).copied();
            self.report.finding(group.finding(&key, attempts))?;
        }
        if self.attempts.is_empty() {
            self.report.info.complete = false;
            return self.report.finish("valid results without any attack that was judged: nothing was assessed");
        }
        self.report.finish("a valid report in which every attack was withstood")
    }
}

fn layer(asset: &AssetRef) -> Layer {
    if asset.kind == AssetKind::Model { Layer::Model } else { Layer::Application }
}

fn digest((asset, class, objective): &GroupKey) -> String {
    text::digest(&format!("{}\0{}\0{class}\0{objective}", asset.kind.as_str(), asset.key))
}

/// Members deeper than this are not looked at.
const MAX_DEPTH: usize = 12;

/// The first member of this name, at any depth.
fn member<'a>(value: &'a Json, key: &str, depth: usize) -> Option<&'a Json> {
    let members = value.as_object().filter(|_| depth < MAX_DEPTH)?;
    members.get(key).or_else(|| members.values().find_map(|value| member(value, key, depth + 1)))
}

fn find<'a>(value: &'a Json, key: &str, depth: usize) -> Option<&'a str> {
    member(value, key, depth)?.as_str()
}

/// The class of the attack, without what it was wrapped into.
fn class(identifier: &Json) -> String {
    let attack = member(identifier, "attack", 0).unwrap_or(identifier);
    let name = find(attack, "class_name", 0).or_else(|| find(attack, "__type__", 0)).unwrap_or("attack");
    text::one_line(name, 140)
}

/// A URL without credentials and query.
fn plain_url(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit('@').next().unwrap_or(host);
            format!("{scheme}://{host}/{path}").trim_end_matches('/').to_owned()
        }
        None => url.to_owned(),
    }
}

/// Words that say what the attack achieved.
fn words(attack: &Attack, class: &str) -> Vec<String> {
    let mut words = attack.targeted_harm_categories.clone();
    match attack.last_score.as_ref().and_then(|score| score.score_category.as_ref()) {
        Some(Json::String(word)) => words.push(word.clone()),
        Some(Json::Array(all)) => words.extend(all.iter().filter_map(Json::as_str).map(str::to_owned)),
        _ => {}
    }
    words.push(class.to_owned());
    words.truncate(20);
    words.iter_mut().for_each(|word| *word = text::one_line(word, 100));
    words.sort_unstable();
    words.dedup();
    words
}

impl Example {
    fn of(attack: &Attack) -> Self {
        let score = attack.last_score.as_ref();
        let value = score.and_then(|score| score.score_value.as_ref());
        let rationale = score.and_then(|score| score.score_rationale.as_deref()).filter(|text| !text.trim().is_empty());
        let reason = rationale.or(attack.outcome_reason.as_deref()).unwrap_or_default();
        let output = attack.last_response.as_ref().and_then(|response| response.converted_value.as_deref());
        let scorer = score.and_then(|score| find(score.scorer_class_identifier.as_ref()?, "class_name", 0));
        Self {
            output: text::evidence_text(output.unwrap_or_default(), 1500),
            reason: text::evidence_text(reason, 500),
            score: value
                .map(|value| value.as_str().map_or_else(|| value.to_string(), |text| text::one_line(text, 40)))
                .unwrap_or_default(),
            scorer: text::one_line(scorer.unwrap_or_default(), 100),
            turns: attack.executed_turns,
        }
    }
}

impl Group {
    fn finding(self, key: &GroupKey, attempts: Option<u64>) -> FindingRecord {
        let (asset, class, objective) = key;
        let (harm, categories) = mapping::of_words(&self.words);
        let fingerprint = Fingerprint::of((asset.kind.as_str(), &asset.key), &["pyrit", class, objective]);
        let mut evidence = Evidence::default();
        evidence.add("objective", objective.clone());
        evidence.add("output", self.example.output);
        evidence.add("reason", self.example.reason);
        evidence.add("score", self.example.score);
        evidence.add("scorer", self.example.scorer);
        evidence.add("turns", self.example.turns);
        evidence.add("attempts", attempts);
        evidence.add("words", self.words);
        let of = attempts.map(|attempts| format!(" of {attempts}")).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "counts of attacks")]
        let rate = attempts.map(|attempts| (self.reached as f64 / attempts as f64).min(1.0));
        FindingRecord {
            severity: harm.severity,
            attack_success_rate: rate,
            title: text::one_line(&format!("{}: {objective}", harm.title), 300),
            description: format!("{}{of} attacks of PyRIT's `{class}` reached the objective “{objective}”.", self.reached),
            remediation: "Check inputs and outputs with a guardrail, and prefer a model or system prompt that holds against this attack.".to_owned(),
            categories: categories.into_vec(),
            evidence: evidence.finish(),
            count: self.reached,
            ..FindingRecord::blank(asset, fingerprint, class, layer(asset))
        }
    }
}
