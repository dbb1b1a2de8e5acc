//! What a policy says of one step.

use super::{Compiled, Preset, Thresholds};
use crate::guardrail::{Detection, counts};
use serde_json::Value;
use stance_shared::{Channel, Verdict};
use std::{borrow::Cow, ops::Range};

/// The version of the policy's own detections.
const VERSION: &str = "stance-policy/1";
const AGENCY: &str = "owasp-llm@2025:LLM06";
const MISUSE: &str = "owasp-agentic@2026:ASI02";
const DISCLOSURE: &str = "owasp-llm@2025:LLM02";
const CONSUMPTION: &str = "owasp-llm@2025:LLM10";
/// Addresses looked at in one text, and arguments in one call; the rest of a text made of thousands says nothing new.
const MAX_ADDRESSES: usize = 200;
const MAX_ARGUMENTS: usize = 200;

/// The step that is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub channel: Channel,
    /// What was inspected; for a tool call its arguments as JSON.
    pub text: &'a str,
    pub tool: Option<ToolCall<'a>>,
}

/// The tool that is to be called.
#[derive(Clone, Copy, Debug)]
pub struct ToolCall<'a> {
    pub server: Option<&'a str>,
    pub name: &'a str,
    pub arguments: &'a Value,
}

impl<'a> ToolCall<'a> {
    /// `server.tool`, or `tool` alone: what policies call it.
    #[must_use]
    pub fn full_name(&self) -> Cow<'a, str> {
        match self.server {
            Some(server) => Cow::Owned(format!("{server}.{}", self.name)),
            None => Cow::Borrowed(self.name),
        }
    }
}

/// What the agent consumed before this step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Inspections in the last minute.
    pub requests: u64,
    /// Tokens since midnight UTC.
    pub tokens: u64,
    /// US dollars since midnight UTC.
    pub cost_usd: f64,
}

/// What is done about the step.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub verdict: Verdict,
    /// How likely an attack is, 0 to 1, without what the policy takes out of account.
    pub score: f32,
    /// The detectors' and the policy's own, the surest first. Those with a `redaction` are taken out when the verdict is REDACT.
    pub detections: Vec<Detection>,
}

impl Compiled {
    /// Judges a step: the detectors' score by the channel's thresholds, single detections by the rules, and what the detectors do not
    /// know of: tools, addresses and budgets. The strictest counts.
    #[must_use]
    pub fn decide(&self, call: &Call<'_>, score: f32, detections: Vec<Detection>, spent: &Spent) -> Decision {
        let (mut judged, score) = self.judge(call.channel, score, detections);
        if let Some(tool) = &call.tool {
            self.tool(tool, &mut judged);
        }
        if matches!(call.channel, Channel::ToolInput | Channel::ModelOutput) {
            self.egress(call.text, &mut judged);
        }
        self.budgets(spent, &mut judged);
        self.conclude(judged, score)
    }

    /// Judges a step again from what was stored of it: verdict, score and detections. What a policy said of tools, addresses and budgets
    /// keeps the verdict, since it can not be judged anew without the text.
    #[must_use]
    pub fn again(&self, channel: Channel, verdict: Verdict, score: f32, detections: Vec<Detection>) -> Decision {
        let (mut judged, score) = self.judge(channel, score, detections);
        if judged.detections.iter().any(|found| found.rule.starts_with("policy.") || found.rule == "containment") {
            judged.verdict = judged.verdict.max(verdict);
        }
        self.conclude(judged, score)
    }

    /// What is done about each detection, and the score without those that are taken out of account.
    fn judge(&self, channel: Channel, score: f32, detections: Vec<Detection>) -> (Judged, f32) {
        let Thresholds { flag, block } = self.thresholds(channel);
        let by_score = |score: f32| match f64::from(score) {
            score if score >= block => Verdict::Block,
            score if score >= flag => Verdict::Flag,
            _ => Verdict::Allow,
        };
        let mut judged = Judged { verdict: Verdict::Allow, detections: Vec::new() };
        let (mut left, mut dropped) = (0.0_f32, false);
        for mut detection in detections {
            let counts = counts(&detection.rule, channel);
            let action = match self.action(&detection.rule) {
                Some(Verdict::Allow) => {
                    dropped |= counts;
                    continue;
                }
                Some(action) => action,
                None if counts => by_score(detection.score),
                None if detection.redaction.is_some() || self.redacts(&detection.rule) => Verdict::Redact,
                None => Verdict::Allow,
            };
            if action == Verdict::Redact && detection.redaction.is_none() {
                let kind = detection.rule.rsplit('.').next().unwrap_or_default();
                detection.redaction = Some(format!("[{}]", kind.to_uppercase()));
            }
            if counts {
                left = left.max(detection.score);
            }
            judged.add(action, detection);
        }
        // The score may come from a model that found too little for a detection of its own.
        let score = if dropped { left } else { score };
        judged.verdict = judged.verdict.max(by_score(score));
        (judged, score)
    }

    /// What the document says of a rule.
    fn action(&self, rule: &str) -> Option<Verdict> {
        self.rules.iter().find(|(pattern, _)| pattern.matches(rule)).map(|(_, action)| *action)
    }

    fn redacts(&self, rule: &str) -> bool {
        self.policy.preset == Preset::Strict && rule.starts_with("personal.")
    }

    fn tool(&self, tool: &ToolCall<'_>, judged: &mut Judged) {
        let name = tool.full_name();
        let own = |rule: &str, reason: &str| Detection::of(rule, VERSION, AGENCY, 1.0, reason);
        if self.deny.iter().any(|pattern| pattern.matches(&name)) {
            judged.add(Verdict::Block, own("policy.tool-denied", "the policy denies this tool"));
        } else if !self.allow.is_empty() && !self.allow.iter().any(|pattern| pattern.matches(&name)) {
            let action = self.policy.tools.otherwise.unwrap_or(self.policy.preset.unlisted());
            judged.add(action, own("policy.tool-not-listed", "the policy does not list this tool"));
        }
        for constraint in self.constraints.iter().filter(|constraint| constraint.tool.matches(&name)) {
            let mut values = Vec::new();
            collect(tool.arguments, &constraint.path, &mut values);
            let fits = |value: &&Value| match value {
                Value::String(text) => constraint.matches.is_match(text),
                other => constraint.matches.is_match(&other.to_string()),
            };
            if !values.iter().all(fits) {
                let reason = format!("the argument {} is not as the policy wants it", constraint.argument);
                judged.add(Verdict::Block, Detection::of("policy.argument", VERSION, MISUSE, 1.0, &reason));
            }
        }
    }

    fn egress(&self, text: &str, judged: &mut Judged) {
        let Some(allow) = &self.egress else { return };
        let otherwise = self.policy.egress.as_ref().and_then(|egress| egress.otherwise);
        let action = otherwise.unwrap_or(self.policy.preset.unlisted());
        for (host, span) in hosts(text).take(MAX_ADDRESSES) {
            if !allow.iter().any(|pattern| pattern.matches(host)) {
                let reason = "leads to a host that the policy does not list";
                let found = Detection::of("policy.egress", VERSION, DISCLOSURE, 1.0, reason);
                judged.add(action, found.at(span));
            }
        }
    }

    fn budgets(&self, spent: &Spent, judged: &mut Judged) {
        let budgets = &self.policy.budgets;
        let over = [
            (budgets.requests_per_minute.is_some_and(|most| spent.requests >= most), "requests a minute"),
            (budgets.tokens_per_day.is_some_and(|most| spent.tokens >= most), "tokens a day"),
            (budgets.cost_usd_per_day.is_some_and(|most| spent.cost_usd >= most), "cost a day"),
        ];
        for (_, what) in over.into_iter().filter(|(over, _)| *over) {
            let reason = format!("the agent used up its budget of {what}");
            judged.add(Verdict::Block, Detection::of("policy.budget", VERSION, CONSUMPTION, 1.0, &reason));
        }
    }

    fn conclude(&self, judged: Judged, score: f32) -> Decision {
        let Judged { verdict, mut detections } = judged;
        let verdict = match self.policy.preset {
            Preset::Monitor => verdict.min(Verdict::Flag),
            Preset::Balanced | Preset::Strict => verdict,
        };
        detections.sort_by(|a, b| b.score.total_cmp(&a.score));
        Decision { verdict, score, detections }
    }
}

struct Judged {
    verdict: Verdict,
    detections: Vec<Detection>,
}

impl Judged {
    fn add(&mut self, action: Verdict, detection: Detection) {
        self.verdict = self.verdict.max(action);
        self.detections.push(detection);
    }
}

/// The values at a path; arrays on the way stand for their elements.
fn collect<'a>(value: &'a Value, path: &[String], out: &mut Vec<&'a Value>) {
    if out.len() >= MAX_ARGUMENTS {
        return;
    }
    match (value, path) {
        (Value::Array(elements), _) => elements.iter().for_each(|element| collect(element, path, out)),
        (value, []) => out.push(value),
        (Value::Object(fields), [name, rest @ ..]) => {
            if let Some(value) = fields.get(name) {
                collect(value, rest, out);
            }
        }
        _ => {}
    }
}

/// The hosts of the addresses (`scheme://…` and `//…`) in a text, with their places; user names, ports and brackets left out.
pub(super) fn hosts(text: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    text.match_indices("//").filter_map(move |(at, slashes)| {
        let from = at + slashes.len();
        let rest = &text[from..];
        let end = rest
            .find(|c: char| c.is_whitespace() || c.is_control() || "/?#\\\"'<>()[]{}|,;`".contains(c))
            .unwrap_or(rest.len());
        let authority = &rest[..end];
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default().trim_end_matches('.');
        let start = from + authority.len() - authority.rsplit('@').next().unwrap_or_default().len();
        // A comment's slashes lead nowhere: a host has a dot, or is the machine itself.
        let leads = (host.contains('.') || host.eq_ignore_ascii_case("localhost"))
            && host.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '-' || c == '_');
        leads.then_some((host, start..start + host.len()))
    })
}
