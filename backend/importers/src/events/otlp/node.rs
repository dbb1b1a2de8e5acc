//! The spans of an export, each as far as events need it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::attributes::Attributes;
use super::dialect::{self, Kind, Said};
use super::message::{Message, Role};
use super::wire::{Receiver, Resource, Span};
use super::{MAX_SPANS, dialect::ToolSaid};
use crate::{ImportError, text};

/// `SPAN_KIND_CLIENT`
const CLIENT: i32 = 3;

/// `STATUS_CODE_ERROR`
const ERROR: i32 = 2;

/// How far up a trace it is looked for what a span does not say itself.
const MAX_DEPTH: usize = 128;

/// Who sent spans.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// None for one that nobody named.
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    pub(super) environment: Option<String>,
    /// `opentelemetry python 1.45.2`
    pub(super) sdk: Option<String>,
}

/// A span.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) parent: Option<String>,
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
    /// The place of its service.
    pub(super) service: usize,
    /// Whether it waits for another process.
    pub(super) is_client: bool,
    /// What went wrong, as a class.
    pub(super) error: Option<String>,
    /// What it says itself; [`Nodes::agent`] and [`Nodes::session`] know better.
    agent: Option<String>,
    session: Option<String>,
    pub(super) kind: Option<Kind>,
    pub(super) model: Option<String>,
    pub(super) said: Said,
    /// What is new in the conversation, each with its place in it.
    pub(super) fresh: Vec<(usize, Message)>,
    pub(super) tool: ToolSaid,
}

/// All spans of an export.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    pub(super) services: Vec<Service>,
    pub(super) all: Vec<Node>,
    /// The place of each one's parent, as far as it is there; see [`Self::join`].
    parents: Vec<Option<usize>>,
    resources: usize,
    /// Those that can not be read too.
    spans: usize,
    /// Why spans could not be read, and how many.
    pub(super) unreadable: Option<(String, u64)>,
    pub(super) beyond_limit: u64,
}

impl Receiver for Nodes {
    fn resource(&mut self, resource: Resource) -> Result<(), ImportError> {
        self.resources += 1;
        if self.resources > MAX_SPANS {
            return Err(ImportError::TooLarge(format!("an export may have at most {MAX_SPANS} resources")));
        }
        let a = Attributes::from(resource.attributes);
        let named = |names: &[&str]| a.text(names).and_then(|name| line(name, 512));
        let sdk: Vec<&str> = ["telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version"]
            .iter()
            .filter_map(|name| a.text(&[name]))
            .collect();
        // Resources without spans are not kept.
        if self.all.last().is_none_or(|last| last.service + 1 < self.services.len()) {
            self.services.pop();
        }
        self.services.push(Service {
            // What an SDK calls a service that nobody named.
            name: named(&["service.name"]).filter(|name| !name.starts_with("unknown_service")),
            version: named(&["service.version"]),
            environment: named(&["deployment.environment.name", "deployment.environment"]),
            sdk: line(&sdk.join(" "), 200),
        });
        Ok(())
    }

    fn span(&mut self, read: &dyn Fn() -> Result<Span, String>) {
        self.spans += 1;
        if self.spans > MAX_SPANS {
            self.beyond_limit += 1;
            return;
        }
        match read().and_then(|span| node(span, self.services.len().saturating_sub(1))) {
            Ok(node) => self.all.push(node),
            Err(reason) => self.unreadable.get_or_insert((text::one_line(&reason, 300), 0)).1 += 1,
        }
    }
}

fn node(span: Span, service: usize) -> Result<Node, String> {
    let id = |bytes: &[u8], length: usize, what: &str| {
        let is_one = bytes.len() == length && bytes.iter().any(|byte| *byte != 0);
        if is_one { Ok(hex::encode(bytes)) } else { Err(format!("{what} is not {length} bytes, not all of them 0")) }
    };
    let (trace, own) = (id(&span.trace_id, 16, "a trace id")?, id(&span.span_id, 8, "a span id")?);
    let time =
        |nanos: u64| i64::try_from(nanos).map(DateTime::from_timestamp_nanos).map_err(|_| "a time is after 2262");
    let (start, end) = match (span.start_time_unix_nano, span.end_time_unix_nano) {
        (0, 0) => return Err("a span has no time".to_owned()),
        (start, 0) => (time(start)?, time(start)?),
        (0, end) => (time(end)?, time(end)?),
        (start, end) => (time(start)?, time(end.max(start))?),
    };
    let mut span = span;
    let attributes = Attributes::from(std::mem::take(&mut span.attributes));
    let mut said = dialect::read(&span, &attributes);
    let exceptions = span.events.iter_mut().filter(|event| event.name == "exception");
    let thrown = exceptions.last().map(|event| Attributes::from(std::mem::take(&mut event.attributes)));
    let error = attributes
        .text(&["error.type"])
        .or_else(|| thrown.as_ref()?.text(&["exception.type"]))
        .or_else(|| span.status.as_ref().filter(|status| status.code == ERROR).map(|_| "error"));
    Ok(Node {
        parent: id(&span.parent_span_id, 8, "").ok(),
        is_client: span.kind == CLIENT,
        error: error.and_then(|error| line(error, 200)),
        agent: dialect::agent(&span, &attributes, said.kind).and_then(|name| line(name, 512)),
        session: dialect::session(&attributes).and_then(|name| line(name, 200)),
        kind: said.kind,
        model: said.model.as_deref().and_then(|name| line(name, 512)),
        fresh: fresh(std::mem::take(&mut said.input)),
        tool: tool(std::mem::take(&mut said.tool), &span.name),
        trace,
        id: own,
        start,
        end,
        service,
        said,
    })
}

/// One line of at most `max` characters; None when nothing is left of it.
pub(super) fn line(name: &str, max: usize) -> Option<String> {
    Some(text::one_line(name, max)).filter(|name| !name.trim().is_empty())
}

fn tool(tool: ToolSaid, span: &str) -> ToolSaid {
    let name = tool.name.as_deref().unwrap_or(span);
    ToolSaid {
        name: line(name.strip_prefix("execute_tool ").unwrap_or(name), 200),
        server: tool.server.as_deref().and_then(|server| line(server, 200)),
        ..tool
    }
}

/// The messages that no earlier call has sent: those behind the model's last answer. An answer that the request itself begins
/// stands at the end.
fn fresh(input: Vec<Message>) -> Vec<(usize, Message)> {
    let is_answer = |message: &Message| message.role == Role::Assistant;
    let end = input.iter().rposition(|message| !is_answer(message)).map_or(0, |last| last + 1);
    let start = input[..end].iter().rposition(is_answer).map_or(0, |last| last + 1);
    let called = input.iter().flat_map(|message| &message.calls);
    let names: HashMap<String, String> =
        called.filter_map(|call| Some((call.id.clone()?, call.name.clone()))).collect();
    let mut fresh: Vec<_> = input.into_iter().enumerate().take(end).skip(start).collect();
    for outcome in fresh.iter_mut().flat_map(|(_, message)| &mut message.results) {
        if outcome.name.is_none() {
            outcome.name = outcome.id.as_ref().and_then(|id| names.get(id)).cloned();
        }
    }
    fresh
}

impl Nodes {
    /// Finds out how the spans belong together: who is whose parent, and which of two spans of one tool call only wraps the other.
    pub(super) fn join(&mut self) {
        let places: HashMap<(&str, &str), usize> =
            self.all.iter().enumerate().map(|(i, node)| ((node.trace.as_str(), node.id.as_str()), i)).collect();
        let parent = |node: &Node| places.get(&(node.trace.as_str(), node.parent.as_deref()?)).copied();
        self.parents = self.all.iter().map(parent).collect();
        for i in 0..self.all.len() {
            let outer = self.above(i).find(|above| self.all[*above].kind == Some(Kind::Tool));
            let Some(outer) = outer.filter(|_| self.all[i].kind == Some(Kind::Tool)) else { continue };
            if self.all[outer].tool.name == self.all[i].tool.name {
                self.all[i].kind = None;
                let inner = std::mem::take(&mut self.all[i].tool);
                let tool = &mut self.all[outer].tool;
                tool.server = tool.server.take().or(inner.server);
                tool.call_id = tool.call_id.take().or(inner.call_id);
                tool.result = tool.result.take().or(inner.result);
                tool.description = tool.description.take().or(inner.description);
                if tool.arguments == Value::Null {
                    tool.arguments = inner.arguments;
                }
            }
        }
    }

    /// What a span stands in, the nearest first.
    pub(super) fn above(&self, node: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.parents[node], |above| self.parents[*above]).take(MAX_DEPTH)
    }

    fn with_above(&self, node: usize) -> impl Iterator<Item = &Node> {
        std::iter::once(node).chain(self.above(node)).map(|place| &self.all[place])
    }

    /// Whose step a span is: the agent named nearest above in the same service, else the service, else an agent of another one.
    pub(super) fn agent(&self, node: usize) -> Option<&str> {
        let service = self.all[node].service;
        let own =
            self.with_above(node).filter(|above| above.service == service).find_map(|above| above.agent.as_deref());
        let other = || self.with_above(node).find_map(|above| above.agent.as_deref());
        own.or_else(|| self.services.get(service)?.name.as_deref()).or_else(other)
    }

    /// The session that a span names, or the nearest above; else the trace.
    pub(super) fn session(&self, node: usize) -> &str {
        self.with_above(node).find_map(|above| above.session.as_deref()).unwrap_or(&self.all[node].trace)
    }

    /// Whether each span has a call of a model below it, whose contents and usage it may repeat.
    pub(super) fn wraps(&self) -> Vec<bool> {
        let mut wraps = vec![false; self.all.len()];
        let models = (0..self.all.len()).filter(|i| self.all[*i].kind == Some(Kind::Model));
        models.for_each(|model| self.above(model).for_each(|above| wraps[above] = true));
        wraps
    }
}
