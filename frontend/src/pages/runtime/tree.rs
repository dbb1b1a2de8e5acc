//! The steps of a session as a tree of spans.

use std::collections::HashMap;

/// What of an event says where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    pub span: Option<&'a str>,
    pub parent: Option<&'a str>,
}

/// The deepest level that is drawn further in.
const DEEPEST: usize = 8;

/// The steps in the order of a tree, each with its depth: a step stands below the first step of the span that it names as its parent,
/// after those that came before it. A step whose parent is not among the steps, or is itself or below itself, is a root. Each step
/// appears once. `steps` are in the order of time.
pub fn tree(steps: &[Step<'_>]) -> Vec<(usize, usize)> {
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (i, step) in steps.iter().enumerate() {
        if let Some(span) = step.span {
            first.entry(span).or_insert(i);
        }
    }
    let parent = |i: usize| {
        let step = steps.get(i)?;
        first.get(step.parent?).copied().filter(|at| *at != i && step.parent != step.span)
    };
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    let mut roots = Vec::new();
    for i in 0..steps.len() {
        match parent(i).and_then(|at| children.get_mut(at)) {
            Some(list) => list.push(i),
            None => roots.push(i),
        }
    }
    let mut order = Vec::with_capacity(steps.len());
    let mut seen = vec![false; steps.len()];
    // What only hangs in a circle has no root above it: its first step in time is one.
    for start in roots.into_iter().chain(0..steps.len()) {
        let mut open = vec![(start, 0)];
        while let Some((i, depth)) = open.pop() {
            match seen.get_mut(i) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            order.push((i, depth));
            let below = children.get(i).map(Vec::as_slice).unwrap_or_default();
            open.extend(below.iter().rev().map(|child| (*child, (depth + 1).min(DEEPEST))));
        }
    }
    order
}

/// Where a step lies on the session's axis of time: from where and how wide, in per cent. Times in milliseconds.
pub fn place(first: i64, last: i64, at: i64, duration: Option<f64>) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "a drawing needs three digits")]
    let (whole, from) = ((last - first).max(1) as f64, (at - first).max(0) as f64);
    let left = (from / whole * 100.0).min(100.0);
    (left, (duration.unwrap_or_default() / whole * 100.0).clamp(0.0, 100.0 - left))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(pairs: &[(&'static str, &'static str)]) -> Vec<(usize, usize)> {
        let some = |text: &'static str| (!text.is_empty()).then_some(text);
        let steps: Vec<_> =
            pairs.iter().map(|(span, parent)| Step { span: some(span), parent: some(parent) }).collect();
        tree(&steps)
    }

    #[test]
    fn steps_stand_below_their_parents() {
        // A turn, its model call, the tool call of the model, and a second turn.
        assert_eq!(
            steps(&[("a", ""), ("b", "a"), ("c", "b"), ("d", ""), ("e", "a")]),
            [(0, 0), (1, 1), (2, 2), (4, 1), (3, 0)]
        );
        // Prompt and response of one span are neighbors; what follows hangs at the first of them.
        assert_eq!(steps(&[("a", ""), ("a", ""), ("b", "a")]), [(0, 0), (2, 1), (1, 0)]);
        // Without spans: a list.
        assert_eq!(steps(&[("", ""), ("", "")]), [(0, 0), (1, 0)]);
    }

    #[test]
    fn broken_traces_lose_no_step() {
        assert_eq!(steps(&[("a", "gone")]), [(0, 0)]);
        assert_eq!(steps(&[("a", "a")]), [(0, 0)]);
        assert_eq!(steps(&[("a", "b"), ("b", "a"), ("c", "b")]), [(0, 0), (1, 1), (2, 2)]);
        let chain: Vec<(String, String)> = (0..500).map(|n| (n.to_string(), (n - 1).to_string())).collect();
        let chain: Vec<_> =
            chain.iter().map(|(span, parent)| Step { span: Some(span), parent: Some(parent) }).collect();
        let order = tree(&chain);
        assert_eq!(order.len(), 500);
        assert_eq!(order.last(), Some(&(499, DEEPEST)));
    }

    #[test]
    fn bars_stay_on_the_axis() {
        assert_eq!(place(0, 1000, 250, Some(500.0)), (25.0, 50.0));
        assert_eq!(place(0, 1000, 900, Some(5000.0)), (90.0, 10.0));
        assert_eq!(place(0, 0, 0, None), (0.0, 0.0));
        assert_eq!(place(0, 1000, 5000, None), (100.0, 0.0));
    }
}
