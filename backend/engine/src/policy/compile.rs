//! A policy, checked and ready for use.

use super::{Policy, Preset, Thresholds};
use regex_automata::{meta::Regex, util::syntax};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use stance_shared::{Channel, Verdict};

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path of the field, for example `tools.constraints[2].matches`; empty for the document itself.
    pub field: String,
    /// A sentence that says what is allowed.
    pub message: String,
}

impl Problem {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// A checked policy. Making one compiles its expressions; using it needs no lock.
#[derive(Debug)]
pub struct Compiled {
    pub policy: Policy,
    /// SHA-256 of the document in its canonical form, 64 hexadecimal digits: what enforcement points say they enforce.
    pub hash: String,
    pub(super) rules: Vec<(Pattern, Verdict)>,
    pub(super) allow: Vec<Pattern>,
    pub(super) deny: Vec<Pattern>,
    pub(super) constraints: Vec<Checked>,
    pub(super) egress: Option<Vec<Pattern>>,
    thresholds: [Thresholds; Channel::ALL.len()],
}

/// A constraint on an argument.
#[derive(Debug)]
pub(super) struct Checked {
    pub tool: Pattern,
    pub path: Vec<String>,
    pub argument: String,
    pub matches: Regex,
}

/// Whether a name fits a pattern in which `*` stands for any characters; upper and lower case are one.
#[must_use]
pub fn name_fits(pattern: &str, name: &str) -> bool {
    Pattern::new(pattern).matches(name)
}

/// A name in which `*` stands for any characters; upper and lower case are one.
#[derive(Debug)]
pub(super) struct Pattern(Vec<String>);

impl Pattern {
    fn new(pattern: &str) -> Self {
        Self(pattern.to_ascii_lowercase().split('*').map(str::to_owned).collect())
    }

    pub fn matches(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let [first, middle @ .., last] = self.0.as_slice() else { return self.0.first() == Some(&name) };
        let Some(mut rest) = name.strip_prefix(first.as_str()) else { return false };
        for part in middle {
            let Some(at) = rest.find(part.as_str()) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last.as_str())
    }
}

const MAX_LIST: usize = 500;
const MAX_RULES: usize = 200;
const MAX_NAME: usize = 300;
const MAX_EXPRESSION: usize = 1_000;

impl Compiled {
    /// Reads and checks a document.
    ///
    /// # Errors
    /// All that is wrong with it, each with its field; the first alone when it is not even of the document's shape.
    pub fn read(document: &Value) -> Result<Self, Vec<Problem>> {
        let policy: Policy = serde_path_to_error::deserialize(document).map_err(|error| {
            // A key that is wrong has no path of its own.
            let path = error.path().to_string();
            let path = path.trim_end_matches('?').trim_end_matches('.');
            vec![Problem::new(path, error.inner().to_string())]
        })?;
        Self::new(policy)
    }

    /// # Errors
    /// All that is wrong with the policy.
    pub fn new(policy: Policy) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        for (channel, Thresholds { flag, block }) in &policy.channels {
            let fine = |score: &f64| (0.0..=2.0).contains(score);
            if !(fine(flag) && fine(block) && flag <= block) {
                let message = "flag and block must be 0 to 1 (above 1: never), flag at most block";
                problems.push(Problem::new(format!("channels.{channel}"), message));
            }
        }
        if policy.rules.len() > MAX_RULES {
            problems.push(Problem::new("rules", format!("must be at most {MAX_RULES}")));
        }
        let rules = (policy.rules.iter().enumerate())
            .map(|(at, rule)| (pattern(&mut problems, format!("rules[{at}].rule"), &rule.rule), rule.action))
            .collect();
        let allow = list(&mut problems, "tools.allow", &policy.tools.allow);
        let deny = list(&mut problems, "tools.deny", &policy.tools.deny);
        let egress = policy.egress.as_ref().map(|egress| list(&mut problems, "egress.allow", &egress.allow));
        for (field, verdict) in [
            ("tools.otherwise", policy.tools.otherwise),
            ("egress.otherwise", policy.egress.as_ref().and_then(|egress| egress.otherwise)),
        ] {
            if verdict == Some(Verdict::Redact) {
                problems.push(Problem::new(field, "must be ALLOW, FLAG or BLOCK: there is nothing to redact"));
            }
        }
        if policy.tools.constraints.len() > MAX_RULES {
            problems.push(Problem::new("tools.constraints", format!("must be at most {MAX_RULES}")));
        }
        let mut constraints = Vec::new();
        for (at, constraint) in policy.tools.constraints.iter().enumerate() {
            let field = |name: &str| format!("tools.constraints[{at}].{name}");
            let tool = pattern(&mut problems, field("tool"), &constraint.tool);
            let path: Vec<String> = constraint.argument.split('.').map(str::to_owned).collect();
            if path.iter().any(String::is_empty) || constraint.argument.len() > MAX_NAME {
                problems.push(Problem::new(field("argument"), "must be names with dots between"));
            }
            match expression(&constraint.matches) {
                Ok(matches) => {
                    constraints.push(Checked { tool, path, argument: constraint.argument.clone(), matches });
                }
                Err(message) => problems.push(Problem::new(field("matches"), message)),
            }
        }
        let cost = policy.budgets.cost_usd_per_day;
        if cost.is_some_and(|cost| !(cost.is_finite() && cost >= 0.0)) {
            problems.push(Problem::new("budgets.costUsdPerDay", "must be a number of at least 0"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let preset = policy.preset.thresholds();
        let thresholds = std::array::from_fn(|at| policy.channels.get(&Channel::ALL[at]).copied().unwrap_or(preset));
        // A document's fields have one order and its maps are sorted, so that equal policies have equal bytes.
        let bytes = serde_json::to_vec(&policy).map_err(|error| vec![Problem::new("", error.to_string())])?;
        let hash = hex::encode(Sha256::digest(bytes));
        Ok(Self { policy, hash, rules, allow, deny, constraints, egress, thresholds })
    }

    /// The preset alone.
    ///
    /// # Errors
    /// None that can happen: presets are checked by the tests.
    pub fn preset(preset: Preset) -> Result<Self, Vec<Problem>> {
        Self::new(Policy { preset, ..Policy::default() })
    }

    /// The scores that count on a channel.
    #[must_use]
    pub fn thresholds(&self, channel: Channel) -> Thresholds {
        self.thresholds[channel as usize]
    }
}

fn list(problems: &mut Vec<Problem>, field: &str, names: &[String]) -> Vec<Pattern> {
    if names.len() > MAX_LIST {
        problems.push(Problem::new(field, format!("must be at most {MAX_LIST}")));
    }
    names.iter().enumerate().map(|(at, name)| pattern(problems, format!("{field}[{at}]"), name)).collect()
}

fn pattern(problems: &mut Vec<Problem>, field: String, name: &str) -> Pattern {
    if name.trim().is_empty() || name.len() > MAX_NAME {
        problems.push(Problem::new(field, format!("must be 1 to {MAX_NAME} bytes; * stands for any characters")));
    }
    Pattern::new(name)
}

/// An expression that people wrote: its automaton is bounded, and matching takes time in proportion to the text.
fn expression(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_EXPRESSION {
        return Err(format!("must be at most {MAX_EXPRESSION} bytes"));
    }
    Regex::builder()
        .configure(Regex::config().nfa_size_limit(Some(1 << 20)))
        .syntax(syntax::Config::new())
        .build(pattern)
        .map_err(|error| format!("is no regular expression: {error}"))
}
