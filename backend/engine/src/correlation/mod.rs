//! Which findings and events belong to one incident: versioned rules, `assets/correlation/rules.toml`.
//!
//! A rule says what fits it (events, runs, findings, labels or spending: one of them), by what these are grouped, and how many within
//! which window make an incident. It decides nothing by itself: that the same facts open one incident is the caller's part.

use serde::Deserialize;
use stance_shared::{AssetKind, EventKind, Layer, Severity, Verdict};
use std::{collections::BTreeSet, sync::LazyLock};

#[cfg(test)]
mod tests;

const FILE: &str = include_str!("../../assets/correlation/rules.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    set: String,
    rule: Vec<Rule>,
}

/// By what facts are grouped: those with the same one belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Group {
    Agent,
    /// A run of an agent.
    Session,
    /// The model's name, as events give it.
    Model,
    /// What a finding is on.
    Asset,
    /// One pattern, whichever agent it hits: the surest detection of an event, all findings of a rule.
    Campaign,
}

impl Group {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "AGENT",
            Self::Session => "SESSION",
            Self::Model => "MODEL",
            Self::Asset => "ASSET",
            Self::Campaign => "CAMPAIGN",
        }
    }
}

/// A correlation rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub id: String,
    /// Of this rule, 1 and up.
    pub version: i32,
    /// Of the incident; `{name}` stands for what the group is about.
    pub title: String,
    pub description: String,
    pub severity: Severity,
    /// `framework@version:id`
    pub categories: Vec<String>,
    pub group: Group,
    /// Facts further apart are not added up; 1 to 43,200.
    pub window_minutes: i32,
    /// Facts (for `spend`: tokens) that make an incident.
    pub threshold: i64,
    /// Different agents that must be among them.
    #[serde(default = "one")]
    pub agents: i64,
    #[serde(flatten)]
    pub fits: Fits,
}

const fn one() -> i64 {
    1
}

/// What a rule looks at. Within a field one of the list must hold, and all fields must; an empty list lets everything through.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fits {
    Events(Events),
    Runs(Runs),
    Findings(Findings),
    Labels(Labels),
    Spend(Spend),
}

/// Events of agents' runs: by what was detected in them, or by verdicts other than `ALLOW`. Of the others there are too many to look at.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    #[serde(default)]
    pub kinds: Vec<EventKind>,
    #[serde(default)]
    pub verdicts: Vec<Verdict>,
    /// Rules of detections, exact, or a family with a dot and a star: `secret.*`.
    #[serde(default)]
    pub detections: Vec<String>,
    /// The least score, 0 to 1.
    #[serde(default)]
    pub min_score: f32,
}

/// Runs as a whole.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runs {
    /// Patterns of [`crate::sequence`].
    pub sequences: Vec<String>,
}

/// Open findings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    #[serde(default)]
    pub rules: Vec<String>,
    #[serde(default)]
    pub severities: Vec<Severity>,
    #[serde(default)]
    pub layers: Vec<Layer>,
    #[serde(default)]
    pub asset_kinds: Vec<AssetKind>,
    #[serde(default)]
    pub categories: Vec<String>,
}

/// What analysts say of events.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// `ATTACK` or `HARMLESS`.
    pub label: String,
    pub verdicts: Vec<Verdict>,
}

/// Tokens that an agent uses.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spend {
    /// How many times what it used in a window of the week before; an agent without a week before fits by the threshold alone.
    pub times_usual: i32,
}

static RULES: LazyLock<File> =
    LazyLock::new(|| toml::from_str(FILE).unwrap_or(File { set: String::new(), rule: Vec::new() }));

/// The name of the set of rules.
#[must_use]
pub fn version() -> &'static str {
    &RULES.set
}

/// Whether so many of these times, in seconds and in order, lie within one window; gives the place of the last of the first that do.
#[must_use]
pub fn ripe(times: &[i64], window_minutes: i32, threshold: i64) -> Option<usize> {
    let threshold = usize::try_from(threshold).ok()?.max(1);
    let window = i64::from(window_minutes) * 60;
    (threshold - 1..times.len()).find(|last| {
        let first = times.get(last + 1 - threshold).copied().unwrap_or_default();
        times.get(*last).is_some_and(|last| last - first <= window)
    })
}

/// All rules, in the order of the file.
#[must_use]
pub fn rules() -> &'static [Rule] {
    &RULES.rule
}

/// The rule with this id.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.rule.iter().find(|rule| rule.id == id)
}

/// What is wrong with a set of rules, each as a sentence; `known` says whether a category is.
#[must_use]
pub fn check(rules: &[Rule], known: impl Fn(&str) -> bool) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ids = BTreeSet::new();
    for rule in rules {
        let mut wrong = |what: String| problems.push(format!("{}: {what}", rule.id));
        if !ids.insert(&rule.id) {
            wrong("the id is there twice".to_owned());
        }
        if rule.id.is_empty() || !rule.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
            wrong("the id must be lower-case words with hyphens".to_owned());
        }
        if rule.version < 1 || rule.threshold < 1 || rule.agents < 1 || !(1..=43_200).contains(&rule.window_minutes) {
            wrong("version, threshold and agents must be 1 or more, the window 1 to 43,200 minutes".to_owned());
        }
        if rule.title.is_empty() || rule.title.chars().count() > 120 || rule.description.is_empty() {
            wrong("title (at most 120 characters) and description must be there".to_owned());
        }
        if rule.categories.is_empty() {
            wrong("it names no category".to_owned());
        }
        let of_findings: &[String] = match &rule.fits {
            Fits::Findings(findings) => &findings.categories,
            _ => &[],
        };
        for category in rule.categories.iter().chain(of_findings).filter(|category| !known(category)) {
            wrong(format!("the category {category} is unknown"));
        }
        let fits = match (&rule.fits, rule.group) {
            (Fits::Events(events), group) => {
                group != Group::Asset
                    && (0.0..=1.0).contains(&events.min_score)
                    && (!events.detections.is_empty()
                        || !events.verdicts.is_empty() && !events.verdicts.contains(&Verdict::Allow))
            }
            (Fits::Runs(runs), Group::Agent | Group::Session) => !runs.sequences.is_empty(),
            (Fits::Findings(_), Group::Asset | Group::Campaign) | (Fits::Spend(_), Group::Agent) => true,
            (Fits::Labels(labels), Group::Agent) => ["ATTACK", "HARMLESS"].contains(&labels.label.as_str()),
            _ => false,
        };
        if !fits {
            wrong("what it looks at can not be grouped so, or lets everything through".to_owned());
        }
    }
    problems
}
