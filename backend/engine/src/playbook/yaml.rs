//! YAML as a tree that remembers where each thing stands.

use super::{MAX_SOURCE, Problem};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value with its place in the document, both from 1.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub value: T,
    pub line: u64,
    pub column: u64,
}

impl<T> At<T> {
    fn of(spanned: Spanned<T>) -> Self {
        let place = spanned.referenced;
        Self { value: spanned.value, line: place.line().max(1), column: place.column().max(1) }
    }

    pub const fn with<U>(&self, value: U) -> At<U> {
        At { value, line: self.line, column: self.column }
    }

    pub fn problem(&self, path: &str, message: &str) -> Problem {
        let message = if path.is_empty() { message.to_owned() } else { format!("{path}: {message}") };
        Problem { line: self.line, column: self.column, message }
    }
}

/// A YAML value.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Float,
    Text(String),
    List(Vec<At<Node>>),
    Map(Vec<(At<String>, At<Node>)>),
}

/// Reads a document of at most [`MAX_SOURCE`] bytes. Nesting, nodes and aliases are limited, so that a small document stays small.
pub(super) fn tree(source: &str) -> Result<At<Node>, Problem> {
    if source.len() > MAX_SOURCE {
        let message = format!("the document must be at most {} KiB", MAX_SOURCE / 1024);
        return Err(Problem { line: 1, column: 1, message });
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 24,
            max_nodes: 4_000,
            max_events: 12_000,
            max_aliases: 100,
            max_anchors: 100,
            max_documents: 1,
            max_merge_keys: 50,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 4_000, max_replay_stack_depth: 8 },
        with_snippet: false,
        // As in YAML 1.2: `yes`, `no`, `on` and `off` are words, which people answer tasks with.
        strict_booleans: true,
    };
    serde_saphyr::from_str_with_options::<Spanned<Node>>(source, options).map(At::of).map_err(|error| {
        let place = error.location();
        let message = error.without_snippet().to_string();
        let message = message.split(" at line ").next().unwrap_or_default().split('\n').next().unwrap_or_default();
        let (line, column) = place.map_or((1, 1), |place| (place.line().max(1), place.column().max(1)));
        Problem { line, column, message: format!("the document is not YAML: {message}") }
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        Ok(i64::try_from(value).map_or(Node::Float, Node::Int))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Float)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Node>>()? {
            list.push(At::of(item));
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            map.push((At::of(key), At::of(entries.next_value::<Spanned<Node>>()?)));
        }
        Ok(Node::Map(map))
    }
}
