//! Which tool call of an answer is which span of a tool: both tell of one call.

use std::collections::{HashMap, HashSet, VecDeque};

use super::dialect::Kind;
use super::message::Call;
use super::node::Nodes;

/// A call that an answer asked for: the answer's span, and the call's place in it.
pub(super) type Asked = (usize, usize);

/// Calls and their spans.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// What a tool's span carries out.
    of_span: HashMap<usize, Asked>,
    carried_out: HashSet<Asked>,
}

impl Calls {
    /// Matches them: by the call's id; a span that has none with the first call of the same tool before it that no other span carries out.
    pub(super) fn of(nodes: &Nodes, wraps: &[bool]) -> Self {
        let mut by_id: HashMap<(&str, &str), Asked> = HashMap::new();
        let mut by_name: HashMap<(&str, &str), VecDeque<Asked>> = HashMap::new();
        let mut answers: Vec<usize> = (0..nodes.all.len()).filter(|i| !wraps[*i]).collect();
        answers.sort_by_key(|i| nodes.all[*i].end);
        for i in answers {
            let trace = nodes.all[i].trace.as_str();
            for (place, call) in asked(nodes, i).enumerate() {
                if let Some(id) = &call.id {
                    by_id.insert((trace, id), (i, place));
                }
                by_name.entry((trace, &call.name)).or_default().push_back((i, place));
            }
        }
        let mut tools: Vec<usize> = (0..nodes.all.len()).filter(|i| nodes.all[*i].kind == Some(Kind::Tool)).collect();
        // Those with an id first: what is left is for the others.
        tools.sort_by_key(|i| (nodes.all[*i].tool.call_id.is_none(), nodes.all[*i].start));
        let mut calls = Self::default();
        for i in tools {
            let node = &nodes.all[i];
            let asked = match (&node.tool.call_id, &node.tool.name) {
                (Some(id), _) => by_id.get(&(node.trace.as_str(), id.as_str())).copied(),
                (None, Some(name)) => by_name.get_mut(&(node.trace.as_str(), name.as_str())).and_then(|waiting| {
                    while waiting.front().is_some_and(|asked| calls.carried_out.contains(asked)) {
                        waiting.pop_front();
                    }
                    waiting.front().copied().filter(|(answer, _)| nodes.all[*answer].end <= node.end)
                }),
                (None, None) => None,
            };
            if let Some(asked) = asked
                && calls.carried_out.insert(asked)
            {
                calls.of_span.insert(i, asked);
            }
        }
        calls
    }

    /// The call that a tool's span carries out.
    pub(super) fn call<'n>(&self, nodes: &'n Nodes, span: usize) -> Option<&'n Call> {
        let (answer, place) = self.of_span.get(&span)?;
        asked(nodes, *answer).nth(*place)
    }

    /// The calls of an answer that no span carries out, each with its place.
    pub(super) fn open<'n>(&self, nodes: &'n Nodes, answer: usize) -> Vec<(usize, &'n Call)> {
        asked(nodes, answer).enumerate().filter(|(place, _)| !self.carried_out.contains(&(answer, *place))).collect()
    }
}

fn asked(nodes: &Nodes, answer: usize) -> impl Iterator<Item = &Call> {
    nodes.all[answer].said.output.iter().flat_map(|message| &message.calls)
}
