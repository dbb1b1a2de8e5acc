//! Spans as events.

use std::collections::HashSet;

use chrono::{DateTime, NaiveTime, Utc};
use serde_json::Value;
use stance_shared::{Channel, EventKind};

use super::MAX_EVENTS;
use super::calls::Calls;
use super::dialect::Kind;
use super::inventory::Inventory;
use super::message::{Outcome, Role};
use super::node::{Node, Nodes, line};
use crate::events::{self, Event, MAX_ARGUMENT_BYTES, MAX_TEXT_BYTES, Told, ToolUse};
use crate::{GapRecord, text};

/// Gaps of these classes, see [`super::read`].
const UNREADABLE: &str = "unreadable-span";
const LIMIT: &str = "limit";
const CUT: &str = "cut";

/// Tells what the spans say, in the order of time.
pub(super) fn tell(mut nodes: Nodes, now: DateTime<Utc>) -> Told {
    nodes.join();
    let wraps = nodes.wraps();
    let calls = Calls::of(&nodes, &wraps);
    let mut teller = Teller::new(&nodes, calls, now);
    teller.note_results();
    for (i, node) in nodes.all.iter().enumerate() {
        match node.kind {
            Some(Kind::Model) if !wraps[i] => teller.exchange(i),
            Some(Kind::Agent) => {
                teller.delegation(i);
                // An agent elsewhere is called like a model; one in this process has spans of its models.
                if node.is_client && !wraps[i] {
                    teller.exchange(i);
                }
            }
            Some(Kind::Tool) => teller.tool(i),
            Some(Kind::Embedding) => teller.embedding(i),
            Some(Kind::Retrieval) => teller.texts(i, EventKind::Retrieval, "retrieval"),
            Some(Kind::MemoryRead) => teller.texts(i, EventKind::MemoryRead, "memory"),
            Some(Kind::MemoryWrite) => teller.texts(i, EventKind::MemoryWrite, "memory"),
            Some(Kind::Model) | None => {}
        }
    }
    teller.finish()
}

struct Teller<'n> {
    nodes: &'n Nodes,
    calls: Calls,
    now: DateTime<Utc>,
    events: Vec<Event>,
    ids: HashSet<String>,
    /// Calls whose results spans tell: trace and id.
    results: HashSet<(&'n str, &'n str)>,
    inventory: Inventory,
    cut: u64,
    beyond_limit: u64,
    refused: Option<(String, u64)>,
}

impl<'n> Teller<'n> {
    fn new(nodes: &'n Nodes, calls: Calls, now: DateTime<Utc>) -> Self {
        Self {
            nodes,
            calls,
            now,
            events: Vec::new(),
            ids: HashSet::new(),
            results: HashSet::new(),
            inventory: Inventory::default(),
            cut: 0,
            beyond_limit: 0,
            refused: None,
        }
    }

    /// Notes of which calls spans tell the result, so that messages do not tell it again.
    fn note_results(&mut self) {
        for (i, node) in self.nodes.all.iter().enumerate() {
            let is_told = node.kind == Some(Kind::Tool) && node.tool.result.is_some();
            let id = node.tool.call_id.as_ref().or_else(|| self.calls.call(self.nodes, i)?.id.as_ref());
            self.results.extend(id.filter(|_| is_told).map(|id| (node.trace.as_str(), id.as_str())));
        }
    }

    /// An event of a span that says nothing yet beside where it belongs.
    fn event(&mut self, i: usize, part: &str, kind: EventKind, at: DateTime<Utc>) -> Event {
        let node = &self.nodes.all[i];
        let agent = self.nodes.agent(i).map(str::to_owned);
        if let Some(agent) = &agent {
            self.inventory.agent(agent, self.nodes.services.get(node.service));
        }
        Event {
            id: format!("{}.{}.{part}", node.trace, node.id),
            agent,
            session: Some(self.nodes.session(i).to_owned()),
            span: Some(events::Span { trace: node.trace.clone(), id: node.id.clone(), parent: node.parent.clone() }),
            ..Event::blank(kind, at)
        }
    }

    fn push(&mut self, event: Event) {
        if self.events.len() == MAX_EVENTS {
            self.beyond_limit += 1;
            return;
        }
        if let Err(error) = events::check(&event, self.now) {
            self.refused.get_or_insert((error.to_string(), 0)).1 += 1;
        } else if self.ids.insert(event.id.clone()) {
            self.events.push(event);
        }
    }

    /// A call of a model: what is new for it, what it answered, which tools it wants called.
    fn exchange(&mut self, i: usize) {
        let node = &self.nodes.all[i];
        self.offered(i);
        let model = node.model.clone();
        if let (Some(model), Some(_)) = (&model, node.kind.filter(|kind| *kind == Kind::Model)) {
            self.inventory.model(model, node.said.provider.as_deref());
        }
        for (place, message) in &node.fresh {
            for (n, outcome) in message.results.iter().enumerate() {
                self.result_message(i, *place, n, outcome);
            }
            if message.role == Role::Tool || (message.text.is_none() && !message.results.is_empty()) {
                continue;
            }
            let mut event = self.event(i, &format!("prompt.{place}"), EventKind::Prompt, node.start);
            event.channel = (message.role == Role::System).then_some(Channel::SystemPrompt);
            event.text = self.cut(message.text.as_deref());
            event.model.clone_from(&model);
            self.push(event);
        }
        // Contents are not always recorded.
        if node.fresh.is_empty() {
            let mut event = self.event(i, "prompt", EventKind::Prompt, node.start);
            event.model.clone_from(&model);
            self.push(event);
        }
        let texts: Vec<&str> = node.said.output.iter().filter_map(|message| message.text.as_deref()).collect();
        let mut event = self.event(i, "response", EventKind::Response, node.end);
        event.text = self.cut(Some(&texts.join("\n")));
        event.model = model;
        event.usage.clone_from(&node.said.usage);
        event.duration_ms = duration(node);
        event.error.clone_from(&node.error);
        self.push(event);
        for (place, call) in self.calls.open(self.nodes, i) {
            let Some(name) = line(&call.name, 200) else { continue };
            let mut event = self.event(i, &format!("call.{place}"), EventKind::ToolCall, node.end);
            if let Some(id) = call_id(node, call.id.as_deref(), &name, &call.arguments) {
                event.id = id;
            }
            event.tool = Some(ToolUse { server: None, name, arguments: self.arguments(&call.arguments) });
            self.push(event);
        }
    }

    /// The result of a tool as the next call of the model is told it.
    fn result_message(&mut self, i: usize, place: usize, n: usize, outcome: &Outcome) {
        let node = &self.nodes.all[i];
        if outcome.id.as_ref().is_some_and(|id| self.results.contains(&(node.trace.as_str(), id.as_str()))) {
            return;
        }
        let mut event = self.event(i, &format!("result.{place}.{n}"), EventKind::ToolResult, node.start);
        if let Some(id) = result_id(node, outcome.id.as_deref(), outcome.text.as_deref()) {
            event.id = id;
        }
        event.text = self.cut(outcome.text.as_deref());
        let name = outcome.name.as_deref().and_then(|name| line(name, 200));
        event.tool = name.map(|name| ToolUse { server: None, name, arguments: Value::Null });
        self.push(event);
    }

    fn tool(&mut self, i: usize) {
        let node = &self.nodes.all[i];
        let tool = &node.tool;
        let Some(name) = tool.name.clone() else { return };
        let call = self.calls.call(self.nodes, i);
        let given = call.map(|call| &call.arguments).filter(|_| tool.arguments.is_null()).unwrap_or(&tool.arguments);
        let id = tool.call_id.as_deref().or_else(|| call?.id.as_deref());
        let mut event = self.event(i, "call", EventKind::ToolCall, node.start);
        if let Some(id) = call_id(node, id, &name, given) {
            event.id = id;
        }
        let mut used = ToolUse { server: tool.server.clone(), name, arguments: Value::Null };
        if let (Some(agent), Some(description)) = (&event.agent, &tool.description) {
            self.inventory.described(agent, &used, description);
        }
        event.tool = Some(ToolUse { arguments: self.arguments(given), ..used.clone() });
        event.duration_ms = duration(node);
        event.error.clone_from(&node.error);
        self.push(event);
        let Some(result) = tool.result.as_deref() else { return };
        let mut event = self.event(i, "result", EventKind::ToolResult, node.end);
        if let Some(id) = result_id(node, id, Some(result)) {
            event.id = id;
        }
        event.text = self.cut(Some(result));
        used.arguments = Value::Null;
        event.tool = Some(used);
        self.push(event);
    }

    /// Another agent's span below an agent's: work was handed over.
    fn delegation(&mut self, i: usize) {
        let node = &self.nodes.all[i];
        let above = self.nodes.above(i).find(|above| self.nodes.all[*above].kind == Some(Kind::Agent));
        let from = above.and_then(|above| self.nodes.agent(above));
        let (Some(from), Some(to)) = (from, self.nodes.agent(i)) else { return };
        if from == to {
            return;
        }
        let mut event = self.event(i, "delegation", EventKind::Delegation, node.start);
        event.agent = Some(from.to_owned());
        event.to = Some(to.to_owned());
        let asked = node.fresh.iter().rev().find_map(|(_, m)| m.text.as_deref().filter(|_| m.role == Role::User));
        event.text = self.cut(asked);
        event.duration_ms = duration(node);
        self.push(event);
    }

    /// Texts that are embedded go to a model too, mostly documents.
    fn embedding(&mut self, i: usize) {
        let node = &self.nodes.all[i];
        if let Some(model) = &node.model {
            self.inventory.model(model, node.said.provider.as_deref());
        }
        let mut event = self.event(i, "embedding", EventKind::Prompt, node.start);
        event.channel = Some(Channel::Document);
        let messages = node.fresh.iter().filter_map(|(_, message)| message.text.as_deref());
        let texts: Vec<&str> = node.said.texts.iter().map(String::as_str).chain(messages).collect();
        event.text = self.cut(Some(&texts.join("\n")));
        event.model.clone_from(&node.model);
        event.usage.clone_from(&node.said.usage);
        event.duration_ms = duration(node);
        event.error.clone_from(&node.error);
        self.push(event);
    }

    fn texts(&mut self, i: usize, kind: EventKind, part: &str) {
        let node = &self.nodes.all[i];
        let mut event = self.event(i, part, kind, node.end);
        event.text = self.cut(Some(&node.said.texts.join("\n\n")));
        event.duration_ms = duration(node);
        event.error.clone_from(&node.error);
        self.push(event);
    }

    /// The tools that an agent's model is told of. One definition is one event a day: it stands in every call.
    fn offered(&mut self, i: usize) {
        let node = &self.nodes.all[i];
        let Some(agent) = self.nodes.agent(i) else { return };
        for definition in &node.said.definitions {
            let Some((tool, description, hash)) = self.inventory.defined(agent, definition) else { continue };
            let day = node.start.date_naive().and_time(NaiveTime::MIN).and_utc();
            let text = self.cut(Some(&description));
            self.push(Event {
                id: format!("tool.{}", text::digest(&format!("{agent}\n{}\n{hash}\n{day}", tool.name))),
                agent: Some(agent.to_owned()),
                text,
                tool: Some(tool),
                ..Event::blank(EventKind::ToolDescription, day)
            });
        }
    }

    /// The text, cut where it is too long; None when it is empty.
    fn cut(&mut self, text: Option<&str>) -> Option<String> {
        let text = text.filter(|text| !text.trim().is_empty())?;
        let kept = text.floor_char_boundary(MAX_TEXT_BYTES - 8);
        if text.len() <= MAX_TEXT_BYTES {
            return Some(text.to_owned());
        }
        self.cut += 1;
        Some(format!("{}…", &text[..kept]))
    }

    /// The arguments; their JSON, cut, where they are too large.
    fn arguments(&mut self, given: &Value) -> Value {
        let json = given.to_string();
        if json.len() <= MAX_ARGUMENT_BYTES {
            return given.clone();
        }
        self.cut += 1;
        // Quotes are escaped once more.
        Value::from(&json[..json.floor_char_boundary(MAX_ARGUMENT_BYTES / 8)])
    }

    fn finish(mut self) -> Told {
        self.events.sort_by_key(|event| event.at);
        let mut gaps = Vec::new();
        let mut gap = |class: &str, count: u64, reason: String| {
            if count > 0 {
                gaps.push(GapRecord { class: class.to_owned(), subject: format!("{count} times"), reason });
            }
        };
        for (class, refused) in [(UNREADABLE, &self.nodes.unreadable), (LIMIT, &self.refused)] {
            refused.iter().for_each(|(reason, count)| gap(class, *count, reason.clone()));
        }
        gap(LIMIT, self.nodes.beyond_limit, format!("spans of one export beyond {}", super::MAX_SPANS));
        gap(LIMIT, self.beyond_limit, format!("events of one export beyond {MAX_EVENTS}"));
        gap(CUT, self.cut, format!("a text or the arguments of a tool are larger than {} KiB", MAX_TEXT_BYTES >> 10));
        let unreadable = self.nodes.unreadable.as_ref().map_or(0, |(_, count)| *count);
        let rejected_spans = unreadable + self.nodes.beyond_limit;
        Told { events: self.events, assets: self.inventory.records(), gaps, rejected_spans }
    }
}

/// In milliseconds.
fn duration(node: &Node) -> Option<f64> {
    let nanos = (node.end - node.start).num_nanoseconds()?;
    Some(nanos as f64 / 1e6)
}

/// The id of a call that the model's answer and the tool's span may tell in different exports. Some providers count their calls' ids
/// anew in every answer, so what is called is part of it.
fn call_id(node: &Node, id: Option<&str>, name: &str, arguments: &Value) -> Option<String> {
    Some(format!("{}.call.{}", node.trace, text::digest(&format!("{}\n{name}\n{arguments}", id?))))
}

/// The id of a result that the tool's span and the next call's messages may tell in different exports.
fn result_id(node: &Node, id: Option<&str>, result: Option<&str>) -> Option<String> {
    Some(format!("{}.result.{}", node.trace, text::digest(&format!("{}\n{}", id?, result.unwrap_or_default()))))
}
