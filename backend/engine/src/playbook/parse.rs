//! A YAML tree becomes a playbook, or the list of everything that is wrong with it.

use super::yaml::{At, Node, tree};
use super::{
    Action, Condition, Grade, Kind, MAX_STEPS, OnFailure, Playbook, Problem, ROLES, Retry, STATUSES, Step, Target,
    Trigger,
};
use crate::policy::Preset;
use stance_shared::Severity;
use std::collections::{BTreeMap, BTreeSet};

/// The longest time, in seconds: 90 days.
const MAX_TIME: u64 = 90 * 86_400;
const MAX_PROBLEMS: usize = 50;

/// The fields of each mapping, in the order of the documentation. The schema names the same (a test compares them).
pub(super) const DOCUMENT: [&str; 7] = ["id", "title", "summary", "version", "sources", "trigger", "steps"];
pub(super) const TRIGGER: [&str; 2] = ["on", "when"];
pub(super) const STEP: [&str; 13] = [
    "id",
    "title",
    "task",
    "approval",
    "action",
    "with",
    "branch",
    "parallel",
    "wait",
    "timeout",
    "retry",
    "on-failure",
    "next",
];
pub(super) const TASK: [&str; 4] = ["role", "instructions", "choices", "red-team"];
pub(super) const APPROVAL: [&str; 2] = ["role", "question"];
pub(super) const BRANCH: [&str; 2] = ["arms", "otherwise"];
pub(super) const ARM: [&str; 2] = ["if", "go-to"];
pub(super) const RETRY: [&str; 2] = ["times", "after"];
/// What `with` has for each action.
pub(super) const WITH: [(&str, &[&str]); 11] = [
    ("quarantine", &["grade", "expires-after", "reason"]),
    ("release", &["reason"]),
    ("revoke-tool-grants", &["tools"]),
    ("revoke-tokens", &["names"]),
    ("raise-policy", &["to"]),
    ("notify", &["title", "text"]),
    ("webhook", &["channel"]),
    ("create-ticket", &["channel", "title", "text"]),
    ("open-incident", &["title", "text", "severity"]),
    ("collect-evidence", &[]),
    ("transition", &["to", "reason", "root-cause", "lessons"]),
];

/// Reads a document.
///
/// # Errors
/// Everything that is wrong with it, in the order of the document; at most 50 problems.
pub fn read(source: &str) -> Result<Playbook, Vec<Problem>> {
    let root = tree(source).map_err(|problem| vec![problem])?;
    let mut reader = Reader::default();
    let playbook = reader.document(&root);
    reader.problems.sort_by_key(|problem| (problem.line, problem.column));
    reader.problems.truncate(MAX_PROBLEMS);
    match playbook {
        Some(playbook) if reader.problems.is_empty() => Ok(playbook),
        _ => Err(reader.problems),
    }
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
    /// Ids of all steps, and of those at the top level their place.
    ids: BTreeSet<String>,
    order: BTreeMap<String, usize>,
    /// What earlier tasks can be answered with.
    answers: BTreeMap<String, Vec<String>>,
    steps: usize,
}

/// A mapping whose fields are taken one by one.
struct Fields<'a> {
    path: String,
    /// Where it begins.
    at: At<()>,
    entries: &'a [(At<String>, At<Node>)],
}

impl<'a> Fields<'a> {
    fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn get(&self, name: &str) -> Option<&'a At<Node>> {
        self.entries.iter().find(|(key, _)| key.value == name).map(|(_, value)| value)
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl Reader {
    fn say<T>(&mut self, at: &At<T>, path: &str, message: impl AsRef<str>) {
        self.problems.push(at.problem(path, message.as_ref()));
    }

    fn fields<'a>(&mut self, node: &'a At<Node>, path: &str, allowed: &[&str]) -> Option<Fields<'a>> {
        let Node::Map(entries) = &node.value else {
            let what = if path.is_empty() { "the document must be" } else { "must be" };
            self.say(node, path, format!("{what} a mapping with the fields {}", allowed.join(", ")));
            return None;
        };
        let fields = Fields { path: path.to_owned(), at: node.with(()), entries };
        for (key, _) in entries {
            if !allowed.contains(&key.value.as_str()) {
                let known = if allowed.is_empty() { "there are none".to_owned() } else { allowed.join(", ") };
                let name: String = key.value.chars().take(60).filter(|c| !c.is_control()).collect();
                self.say(key, &fields.path(&name), format!("is no field; allowed are {known}"));
            }
        }
        Some(fields)
    }

    /// A required field.
    fn need<'a>(&mut self, fields: &Fields<'a>, name: &str, what: &str) -> Option<&'a At<Node>> {
        let found = fields.get(name);
        if found.is_none() {
            self.say(&fields.at, &fields.path(name), format!("is missing: {what}"));
        }
        found
    }

    /// Text of 1 to `max` characters; of one line unless `lines`.
    fn text(&mut self, node: &At<Node>, path: &str, max: usize, lines: bool) -> Option<String> {
        let text = match &node.value {
            Node::Text(text) => text.trim(),
            _ => "",
        };
        let bad = |c: char| c.is_control() && !(lines && matches!(c, '\n' | '\t'));
        if text.is_empty() || text.chars().count() > max || text.contains(bad) {
            let what = if lines { "text" } else { "one line" };
            self.say(node, path, format!("must be {what} of 1 to {max} characters"));
            return None;
        }
        Some(text.to_owned())
    }

    fn need_text(&mut self, fields: &Fields<'_>, name: &str, max: usize, lines: bool) -> Option<String> {
        let what = format!("{} of 1 to {max} characters", if lines { "text" } else { "one line" });
        let node = self.need(fields, name, &what)?;
        self.text(node, &fields.path(name), max, lines)
    }

    fn some_text(&mut self, fields: &Fields<'_>, name: &str, max: usize) -> Option<String> {
        let node = fields.get(name)?;
        self.text(node, &fields.path(name), max, true)
    }

    fn word<'w>(&mut self, node: &At<Node>, path: &str, words: &[&'w str]) -> Option<&'w str> {
        let found = match &node.value {
            Node::Text(text) => words.iter().find(|word| *word == text).copied(),
            _ => None,
        };
        if found.is_none() {
            self.say(node, path, format!("must be one of {}", words.join(", ")));
        }
        found
    }

    fn need_word<'w>(&mut self, fields: &Fields<'_>, name: &str, words: &[&'w str]) -> Option<&'w str> {
        let node = self.need(fields, name, &format!("one of {}", words.join(", ")))?;
        self.word(node, &fields.path(name), words)
    }

    fn number(&mut self, node: &At<Node>, path: &str, min: i64, max: i64) -> Option<i64> {
        match node.value {
            Node::Int(number) if (min..=max).contains(&number) => Some(number),
            _ => {
                self.say(node, path, format!("must be a whole number of {min} to {max}"));
                None
            }
        }
    }

    /// `30s`, `15m`, `4h`, `3d`, in seconds.
    fn time(&mut self, node: &At<Node>, path: &str) -> Option<u64> {
        let seconds = match &node.value {
            Node::Text(text) => text.char_indices().last().and_then(|(at, unit)| {
                let factor = match unit {
                    's' => 1,
                    'm' => 60,
                    'h' => 3_600,
                    'd' => 86_400,
                    _ => return None,
                };
                text[..at].parse::<u64>().ok()?.checked_mul(factor)
            }),
            _ => None,
        };
        let seconds = seconds.filter(|seconds| (1..=MAX_TIME).contains(seconds));
        if seconds.is_none() {
            self.say(node, path, "must be a time of 1s to 90d: a whole number and one of s, m, h, d");
        }
        seconds
    }

    fn list<'a>(&mut self, node: &'a At<Node>, path: &str, min: usize, max: usize, of: &str) -> &'a [At<Node>] {
        match &node.value {
            Node::List(items) if (min..=max).contains(&items.len()) => items,
            _ => {
                self.say(node, path, format!("must be a list of {min} to {max} {of}"));
                &[]
            }
        }
    }

    fn texts(&mut self, fields: &Fields<'_>, name: &str, max: usize, length: usize) -> Option<Vec<String>> {
        let node = self.need(fields, name, &format!("a list of 1 to {max} texts"))?;
        let path = fields.path(name);
        let items = self.list(node, &path, 1, max, "texts");
        Some(
            items
                .iter()
                .enumerate()
                .filter_map(|(i, n)| self.text(n, &format!("{path}[{i}]"), length, false))
                .collect(),
        )
    }

    fn document(&mut self, root: &At<Node>) -> Option<Playbook> {
        let fields = self.fields(root, "", &DOCUMENT)?;
        let id = self.need(&fields, "id", "letters a-z, digits and hyphens").and_then(|node| self.id(node, "id"));
        let title = self.need_text(&fields, "title", 120, false);
        let summary = self.need_text(&fields, "summary", 1_000, true);
        let version = self.need(&fields, "version", "a whole number from 1");
        let version = version.and_then(|node| self.number(node, "version", 1, 1_000_000));
        let sources = fields.get("sources").map_or_else(Vec::new, |node| self.sources(node));
        let trigger = match self.need(&fields, "trigger", "`on: manual`, or `on: incident` with `when`") {
            Some(node) => self.trigger(node),
            None => None,
        };
        let steps = match self.need(&fields, "steps", &format!("a list of 1 to {MAX_STEPS} steps")) {
            Some(node) => self.steps(node),
            None => Vec::new(),
        };
        let version = u32::try_from(version?).ok()?;
        Some(Playbook { id: id?, title: title?, summary: summary?, version, sources, trigger: trigger?, steps })
    }

    fn id(&mut self, node: &At<Node>, path: &str) -> Option<String> {
        let text = match &node.value {
            Node::Text(text) => text.as_str(),
            _ => "",
        };
        let letters = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !letters
            || !(1..=60).contains(&text.len())
            || !text.starts_with(|c: char| c.is_ascii_lowercase())
            || text == "end"
        {
            self.say(
                node,
                path,
                "must be 1 to 60 letters a-z, digits and hyphens, begin with a letter, and not be `end`",
            );
            return None;
        }
        Some(text.to_owned())
    }

    fn sources(&mut self, node: &At<Node>) -> Vec<String> {
        let items = self.list(node, "sources", 0, 30, "taxonomy ids");
        let mut sources = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let path = format!("sources[{i}]");
            let text = match &item.value {
                Node::Text(text) if text.len() <= 100 => text.as_str(),
                _ => "",
            };
            if source_parts(text).is_some() {
                sources.push(text.to_owned());
            } else {
                self.say(item, &path, "must be of the form framework@version:id, as owasp-llm@2025:LLM01");
            }
        }
        sources
    }

    fn trigger(&mut self, node: &At<Node>) -> Option<Trigger> {
        let fields = self.fields(node, "trigger", &TRIGGER)?;
        match self.need_word(&fields, "on", &["manual", "incident"])? {
            "manual" => {
                if let Some(when) = fields.get("when") {
                    self.say(when, "trigger.when", "is only for `on: incident`");
                }
                Some(Trigger::Manual)
            }
            _ => {
                let when = self.need(&fields, "when", "a condition, as `severity >= HIGH`")?;
                // Nobody has answered anything yet.
                self.condition(when, "trigger.when").map(Trigger::Incident)
            }
        }
    }

    fn condition(&mut self, node: &At<Node>, path: &str) -> Option<Condition> {
        let text = self.text(node, path, 1_000, true)?;
        match Condition::read(&text, &self.answers) {
            Ok(condition) => Some(condition),
            Err((offset, message)) => {
                // A condition on one line begins where its value does; in a block it is only known which value it is.
                let offset = if text.contains('\n') { 0 } else { offset as u64 };
                let at = At { column: node.column + offset, ..node.with(()) };
                self.say(&at, path, message);
                None
            }
        }
    }

    fn steps(&mut self, node: &At<Node>) -> Vec<Step> {
        let items = self.list(node, "steps", 1, MAX_STEPS, "steps");
        // First what can be jumped to, so that a jump to what comes later can be checked.
        for (i, item) in items.iter().enumerate() {
            let entries = if let Node::Map(entries) = &item.value { entries.as_slice() } else { &[] };
            if let Some((_, At { value: Node::Text(id), .. })) = entries.iter().find(|(key, _)| key.value == "id") {
                self.order.entry(id.clone()).or_insert(i);
            }
        }
        let steps = items.iter().enumerate().filter_map(|(i, item)| self.step(item, &format!("steps[{i}]"), Some(i)));
        let steps: Vec<Step> = steps.collect();
        if self.steps > MAX_STEPS {
            self.say(node, "steps", format!("must be at most {MAX_STEPS} steps, those of parallel groups included"));
        }
        if steps.len() == items.len() {
            self.reached(&steps, items);
        }
        steps
    }

    /// Steps that no way leads to are mistakes.
    fn reached(&mut self, steps: &[Step], items: &[At<Node>]) {
        let mut reached = BTreeSet::from([0]);
        for (i, step) in steps.iter().enumerate() {
            if !reached.contains(&i) {
                let message = format!("is never reached: no step goes on to `{}`", step.id);
                self.say(&items[i], &format!("steps[{i}]"), message);
                continue;
            }
            let mut targets: Vec<Option<&Target>> = Vec::new();
            if let Kind::Branch { arms, otherwise } = &step.kind {
                targets.extend(arms.iter().map(|(_, target)| Some(target)));
                targets.push(Some(otherwise));
            } else {
                targets.push(step.next.as_ref());
            }
            if let OnFailure::GoTo(target) = &step.on_failure {
                targets.push(Some(target));
            }
            for target in targets {
                match target {
                    None => drop(reached.insert(i + 1)),
                    Some(Target::Step(id)) => reached.extend(self.order.get(id)),
                    Some(Target::End) => {}
                }
            }
        }
    }

    /// A step; `place` is its place at the top level, none within a parallel group.
    fn step(&mut self, node: &At<Node>, path: &str, place: Option<usize>) -> Option<Step> {
        const KINDS: [&str; 6] = ["task", "approval", "action", "branch", "parallel", "wait"];
        self.steps += 1;
        let fields = self.fields(node, path, &STEP)?;
        let id = match self.need(&fields, "id", "letters a-z, digits and hyphens") {
            Some(at) => self.id(at, &fields.path("id")).map(|id| (at, id)),
            None => None,
        };
        if let Some((at, id)) = &id
            && !self.ids.insert(id.clone())
        {
            self.say(at, &fields.path("id"), format!("`{id}` is another step's id already"));
        }
        let title = self.need_text(&fields, "title", 120, false);
        let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| fields.has(kind)).collect();
        let kind = match kinds.as_slice() {
            [kind] => self.kind(kind, &fields, place),
            _ => {
                self.say(&fields.at, path, format!("must have exactly one of {}", KINDS.join(", ")));
                None
            }
        };
        if let (false, Some(with)) = (fields.has("action"), fields.get("with")) {
            self.say(with, &fields.path("with"), "is only for an `action`");
        }
        let decides = matches!(kind, Some(Kind::Branch { .. }));
        let timeout = fields.get("timeout").and_then(|node| self.time(node, &fields.path("timeout")));
        let retry = fields.get("retry").map_or_else(Retry::default, |node| self.retry(node, &fields.path("retry")));
        let on_failure = match fields.get("on-failure") {
            Some(node) => self.on_failure(node, &fields.path("on-failure"), place),
            None => OnFailure::Stop,
        };
        let next = fields.get("next").and_then(|node| self.target(node, &fields.path("next"), place));
        let automatic = matches!(kind, Some(Kind::Action(_)));
        for (name, fits, whose) in [
            ("retry", automatic, "an `action`"),
            ("timeout", !decides && !matches!(kind, Some(Kind::Wait(_))), "a task, an approval, an action or a group"),
            ("on-failure", !decides, "steps that can fail; a branch can not"),
            ("next", !decides, "steps that are no branch; a branch says `go-to` and `otherwise`"),
        ] {
            if let (false, Some(_), Some(node)) = (fits, &kind, fields.get(name)) {
                self.say(node, &fields.path(name), format!("is only for {whose}"));
            }
        }
        let (_, id) = id?;
        if let Some(Kind::Task { choices, .. }) = &kind
            && !choices.is_empty()
        {
            self.answers.insert(id.clone(), choices.clone());
        }
        Some(Step { id, title: title?, kind: kind?, timeout, retry, on_failure, next, line: node.line })
    }

    fn kind(&mut self, kind: &str, step: &Fields<'_>, place: Option<usize>) -> Option<Kind> {
        let (node, path) = (step.get(kind)?, step.path(kind));
        if place.is_none() && matches!(kind, "branch" | "parallel") {
            self.say(node, &path, "can not stand in a parallel group; allowed are task, approval, action, wait");
            return None;
        }
        match kind {
            "task" => {
                let fields = self.fields(node, &path, &TASK)?;
                let role = self.need_word(&fields, "role", &ROLES);
                let instructions = self.need_text(&fields, "instructions", 4_000, true);
                let choices = if fields.has("choices") {
                    let choices = self.texts(&fields, "choices", 8, 40)?;
                    if choices.iter().collect::<BTreeSet<_>>().len() < choices.len() || choices.len() < 2 {
                        self.say(fields.get("choices")?, &fields.path("choices"), "must be 2 to 8 different texts");
                    }
                    choices
                } else {
                    Vec::new()
                };
                let red_team = match fields.get("red-team").map(|node| (node, &node.value)) {
                    None => false,
                    Some((_, Node::Bool(value))) => *value,
                    Some((node, _)) => {
                        self.say(node, &fields.path("red-team"), "must be true or false");
                        false
                    }
                };
                Some(Kind::Task { role: role?.to_owned(), instructions: instructions?, choices, red_team })
            }
            "approval" => {
                let fields = self.fields(node, &path, &APPROVAL)?;
                let role = self.need_word(&fields, "role", &["OWNER", "ADMIN", "RESPONDER"]);
                let question = self.need_text(&fields, "question", 1_000, true);
                Some(Kind::Approval { role: role?.to_owned(), question: question? })
            }
            "action" => self.action(node, &path, step).map(Kind::Action),
            "branch" => self.branch(node, &path, place),
            "parallel" => {
                let items = self.list(node, &path, 2, 10, "steps");
                let parts: Vec<Step> = items
                    .iter()
                    .enumerate()
                    .filter_map(|(i, item)| self.step(item, &format!("{path}[{i}]"), None))
                    .collect();
                (parts.len() == items.len() && !items.is_empty()).then_some(Kind::Parallel(parts))
            }
            _ => self.time(node, &path).map(Kind::Wait),
        }
    }

    fn branch(&mut self, node: &At<Node>, path: &str, place: Option<usize>) -> Option<Kind> {
        let fields = self.fields(node, path, &BRANCH)?;
        let mut arms = Vec::new();
        if let Some(list) = self.need(&fields, "arms", "a list of 1 to 10 arms with `if` and `go-to`") {
            let path = fields.path("arms");
            for (i, item) in self.list(list, &path, 1, 10, "arms").iter().enumerate() {
                let Some(arm) = self.fields(item, &format!("{path}[{i}]"), &ARM) else { continue };
                let condition = self.need(&arm, "if", "a condition, as `severity >= HIGH`");
                let condition = condition.and_then(|node| self.condition(node, &arm.path("if")));
                let target = self.need(&arm, "go-to", "the id of a later step, or `end`");
                let target = target.and_then(|node| self.target(node, &arm.path("go-to"), place));
                arms.extend(condition.zip(target));
            }
        }
        let otherwise = self.need(&fields, "otherwise", "the id of a later step, or `end`")?;
        let otherwise = self.target(otherwise, &fields.path("otherwise"), place)?;
        Some(Kind::Branch { arms, otherwise })
    }

    fn target(&mut self, node: &At<Node>, path: &str, place: Option<usize>) -> Option<Target> {
        let Some(place) = place else {
            self.say(node, path, "can not stand in a parallel group, which goes on when all of its steps are over");
            return None;
        };
        let word = match &node.value {
            Node::Text(word) => word.as_str(),
            _ => "",
        };
        if word == "end" {
            return Some(Target::End);
        }
        if self.order.get(word).is_some_and(|later| *later > place) {
            return Some(Target::Step(word.to_owned()));
        }
        let mut later: Vec<_> = self.order.iter().filter(|(_, at)| **at > place).collect();
        later.sort_by_key(|(_, at)| **at);
        let words: Vec<&str> = later.into_iter().map(|(id, _)| id.as_str()).chain(["end"]).take(20).collect();
        self.say(node, path, format!("must be the id of a later step, or end; here: {}", words.join(", ")));
        None
    }

    fn retry(&mut self, node: &At<Node>, path: &str) -> Retry {
        let Some(fields) = self.fields(node, path, &RETRY) else { return Retry::default() };
        let times = self.need(&fields, "times", "a whole number of 1 to 10");
        let times = times.and_then(|node| self.number(node, &fields.path("times"), 1, 10)).unwrap_or(1);
        let after = fields.get("after").and_then(|node| self.time(node, &fields.path("after"))).unwrap_or(10);
        Retry { times: u16::try_from(times).unwrap_or(1), after }
    }

    fn on_failure(&mut self, node: &At<Node>, path: &str, place: Option<usize>) -> OnFailure {
        match &node.value {
            Node::Text(word) if word == "stop" => OnFailure::Stop,
            Node::Text(word) if word == "continue" => OnFailure::Continue,
            Node::Map(entries) if entries.len() == 1 && entries[0].0.value == "go-to" => {
                self.target(&entries[0].1, &format!("{path}.go-to"), place).map_or(OnFailure::Stop, OnFailure::GoTo)
            }
            _ => {
                self.say(node, path, "must be stop, continue, or `go-to:` with the id of a later step");
                OnFailure::Stop
            }
        }
    }

    fn action(&mut self, node: &At<Node>, path: &str, step: &Fields<'_>) -> Option<Action> {
        let word = self.word(node, path, &Action::WORDS)?;
        let allowed = WITH.iter().find(|(name, _)| *name == word).map_or(&[][..], |(_, fields)| fields);
        let empty = At { value: Node::Map(Vec::new()), line: node.line, column: node.column };
        let path = step.path("with");
        let fields = self.fields(step.get("with").unwrap_or(&empty), &path, allowed)?;
        match word {
            "quarantine" => {
                let grade = self.need_word(&fields, "grade", &Grade::ALL.map(Grade::as_str));
                let reason = self.need_text(&fields, "reason", 500, true);
                let expires = fields.get("expires-after");
                let expires_after = expires.and_then(|node| self.time(node, &fields.path("expires-after")));
                let grade = Grade::ALL.into_iter().find(|known| Some(known.as_str()) == grade)?;
                Some(Action::Quarantine { grade, expires_after, reason: reason? })
            }
            "release" => Some(Action::Release { reason: self.need_text(&fields, "reason", 500, true)? }),
            "revoke-tool-grants" => Some(Action::RevokeToolGrants { tools: self.texts(&fields, "tools", 50, 200)? }),
            "revoke-tokens" => Some(Action::RevokeTokens { names: self.texts(&fields, "names", 20, 100)? }),
            "raise-policy" => {
                let to = self.need_word(&fields, "to", &["balanced", "strict"])?;
                Some(Action::RaisePolicy { to: if to == "strict" { Preset::Strict } else { Preset::Balanced } })
            }
            "notify" => {
                let (title, text) =
                    (self.need_text(&fields, "title", 120, false), self.need_text(&fields, "text", 2_000, true));
                Some(Action::Notify { title: title?, text: text? })
            }
            "webhook" => Some(Action::Webhook { channel: self.need_text(&fields, "channel", 100, false)? }),
            "create-ticket" => {
                let channel = self.need_text(&fields, "channel", 100, false);
                let (title, text) =
                    (self.need_text(&fields, "title", 120, false), self.need_text(&fields, "text", 4_000, true));
                Some(Action::CreateTicket { channel: channel?, title: title?, text: text? })
            }
            "open-incident" => {
                let (title, text) =
                    (self.need_text(&fields, "title", 120, false), self.need_text(&fields, "text", 2_000, true));
                let severity = self.need_word(&fields, "severity", Severity::WORDS)?.to_owned();
                Some(Action::OpenIncident { title: title?, text: text?, severity })
            }
            "collect-evidence" => Some(Action::CollectEvidence),
            _ => {
                let to = self.need_word(&fields, "to", &STATUSES[1..]);
                let reason = self.need_text(&fields, "reason", 1_000, true);
                let root_cause = self.some_text(&fields, "root-cause", 2_000);
                let lessons = self.some_text(&fields, "lessons", 2_000);
                let to = to?.to_owned();
                Some(Action::Transition { to, reason: reason?, root_cause, lessons })
            }
        }
    }
}

/// The parts of `framework@version:id`. (`stance_shared::taxonomy` has the data, which the core goes without.)
fn source_parts(text: &str) -> Option<(&str, &str, &str)> {
    let (framework, rest) = text.split_once('@')?;
    let (version, id) = rest.split_once(':')?;
    let fine = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
    (fine(framework) && fine(version) && fine(id)).then_some((framework, version, id))
}
