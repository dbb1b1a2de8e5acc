//! What changed between two texts, line by line.

use leptos::prelude::*;

use crate::components::{self as c, none};

/// Lines around a change that are shown.
const CONTEXT: usize = 3;
/// Lines of each text that are compared; policies are far shorter.
const LIMIT: usize = 2000;

/// A line of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// In both.
    Same(&'a str),
    /// Only in the old text.
    Gone(&'a str),
    /// Only in the new text.
    New(&'a str),
    /// So many same lines are left out.
    Skipped(usize),
}

/// The shortest change from one text to the other, by their longest common subsequence of lines.
pub fn diff<'a>(old: &'a str, new: &'a str) -> Vec<Line<'a>> {
    let old: Vec<&str> = old.lines().take(LIMIT).collect();
    let new: Vec<&str> = new.lines().take(LIMIT).collect();
    let width = new.len() + 1;
    // `longest[i * width + j]`: common lines of what is left from line i of the old and line j of the new text.
    let mut longest = vec![0_u16; (old.len() + 1) * width];
    let get = |longest: &[u16], at: usize| longest.get(at).copied().unwrap_or_default();
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            let best = if a == b {
                get(&longest, (i + 1) * width + j + 1) + 1
            } else {
                get(&longest, (i + 1) * width + j).max(get(&longest, i * width + j + 1))
            };
            if let Some(cell) = longest.get_mut(i * width + j) {
                *cell = best;
            }
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                lines.push(Line::Same(a));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), other)
                if other.is_none() || get(&longest, (i + 1) * width + j) >= get(&longest, i * width + j + 1) =>
            {
                lines.push(Line::Gone(a));
                i += 1;
            }
            (_, Some(b)) => {
                lines.push(Line::New(b));
                j += 1;
            }
            (_, None) => return lines,
        }
    }
}

/// Leaves out the same lines that are far from any change.
fn folded<'a>(lines: &[Line<'a>]) -> Vec<Line<'a>> {
    let changed: Vec<usize> =
        lines.iter().enumerate().filter(|(_, line)| !matches!(line, Line::Same(_))).map(|(i, _)| i).collect();
    let near = |i: usize| changed.iter().any(|at| at.abs_diff(i) <= CONTEXT);
    let mut out: Vec<Line<'a>> = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        match out.last_mut() {
            _ if near(i) => out.push(*line),
            Some(Line::Skipped(count)) => *count += 1,
            _ => out.push(Line::Skipped(1)),
        }
    }
    out
}

/// The comparison as a view; nothing when the texts are the same.
pub fn view(old: &str, new: &str) -> AnyView {
    if old == new {
        return none();
    }
    let lines = diff(old, new);
    let lines = folded(&lines).into_iter().map(|line| match line {
        Line::Same(text) => view! { <span>"  "{c::text(text)}"\n"</span> }.into_any(),
        Line::Gone(text) => view! { <del>"− "{c::text(text)}"\n"</del> }.into_any(),
        Line::New(text) => view! { <ins>"+ "{c::text(text)}"\n"</ins> }.into_any(),
        Line::Skipped(count) => view! { <span class="muted">"  ⋯ "{count}" lines\n"</span> }.into_any(),
    });
    view! { <pre class="code diff" tabindex="0" aria-label="Changes">{lines.collect_view()}</pre> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Line::{Gone, New, Same, Skipped};

    #[test]
    fn a_changed_line_is_gone_and_new() {
        assert_eq!(diff("a\nb\nc", "a\nx\nc"), [Same("a"), Gone("b"), New("x"), Same("c")]);
        assert_eq!(diff("", "a"), [New("a")]);
        assert_eq!(diff("a", ""), [Gone("a")]);
        assert_eq!(diff("a\nb", "a\nb"), [Same("a"), Same("b")]);
        assert_eq!(diff("b\nc", "a\nb\nc"), [New("a"), Same("b"), Same("c")]);
    }

    /// Taking the marks away gives both texts back, and no shorter change exists for these.
    #[test]
    fn both_texts_can_be_read_back() {
        for (old, new, changes) in [("a\nb\nc\na\nb\nb\na", "c\nb\na\nb\na\nc", 5), ("x\ny", "y\nx", 2), ("a", "b", 2)]
        {
            let lines = diff(old, new);
            let back = |skip: fn(&Line<'_>) -> bool| {
                let texts = lines.iter().filter(|line| !skip(line)).map(|line| match line {
                    Same(text) | Gone(text) | New(text) => *text,
                    Skipped(_) => "",
                });
                texts.collect::<Vec<_>>().join("\n")
            };
            assert_eq!(back(|line| matches!(line, New(_))), old);
            assert_eq!(back(|line| matches!(line, Gone(_))), new);
            assert_eq!(lines.iter().filter(|line| !matches!(line, Same(_))).count(), changes, "{old:?} {new:?}");
        }
    }

    #[test]
    fn far_lines_are_folded() {
        let old = (0..20).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
        let new = old.replace("10", "ten");
        let lines = diff(&old, &new);
        let folded = folded(&lines);
        assert_eq!(folded.first(), Some(&Skipped(7)));
        assert_eq!(folded.last(), Some(&Skipped(6)));
        assert_eq!(folded.len(), 2 + 3 + 2 + 3);
    }
}
