//! Where in a text something was detected.

use leptos::prelude::*;

use crate::components as c;

/// A piece of a text, and the number of the detection that marks it.
type Piece<'a> = (&'a str, Option<usize>);

/// Cuts a text at spans of UTF-8 bytes. Where spans overlap, the shorter has the place, since it says more; of two as long the first one
/// given. Spans that are outside the text or inside a character are no spans of this text and are left out.
fn pieces<'a>(text: &'a str, spans: &[(usize, usize)]) -> Vec<Piece<'a>> {
    let mut marks: Vec<(usize, usize, usize)> = Vec::new();
    let mut shortest: Vec<(usize, (usize, usize))> = spans.iter().copied().enumerate().collect();
    shortest.sort_by_key(|(_, (start, end))| end.saturating_sub(*start));
    for (i, (start, end)) in shortest {
        let fits = start < end && text.get(start..end).is_some();
        if fits && marks.iter().all(|&(from, to, _)| end <= from || start >= to) {
            marks.push((start, end, i));
        }
    }
    marks.sort_unstable();
    let mut pieces = Vec::new();
    let mut at = 0;
    for (start, end, i) in marks {
        pieces.extend(text.get(at..start).filter(|plain| !plain.is_empty()).map(|plain| (plain, None)));
        pieces.extend(text.get(start..end).map(|marked| (marked, Some(i))));
        at = end;
    }
    pieces.extend(text.get(at..).filter(|plain| !plain.is_empty()).map(|plain| (plain, None)));
    pieces
}

/// Whether a stored text is what was inspected: as long, and nothing in it redacted. Only then offsets fit.
pub fn is_original(text: &str, bytes: Option<i64>, redacted: bool) -> bool {
    !redacted && bytes.and_then(|bytes| usize::try_from(bytes).ok()) == Some(text.len())
}

/// A text with its detections marked; `spans` as `(start, end, reason)`.
pub fn highlighted(text: &str, spans: &[(i64, i64, &str)]) -> AnyView {
    let offsets: Vec<(usize, usize)> = spans
        .iter()
        .map(|&(start, end, _)| {
            (usize::try_from(start).unwrap_or(usize::MAX), usize::try_from(end).unwrap_or_default())
        })
        .collect();
    let pieces = pieces(text, &offsets).into_iter().map(|(piece, mark)| match mark.and_then(|i| spans.get(i)) {
        Some((_, _, reason)) => view! { <mark title=c::clean(reason)>{c::text(piece)}</mark> }.into_any(),
        None => c::text(piece),
    });
    view! { <pre class="code" tabindex="0">{pieces.collect_view()}</pre> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_its_spans() {
        assert_eq!(pieces("say no now", &[(4, 6)]), [("say ", None), ("no", Some(0)), (" now", None)]);
        assert_eq!(pieces("abc", &[(2, 3), (0, 1)]), [("a", Some(1)), ("b", None), ("c", Some(0))]);
        assert_eq!(pieces("abc", &[]), [("abc", None)]);
        assert!(pieces("", &[(0, 1)]).is_empty());
    }

    #[test]
    fn overlaps_and_foreign_spans_are_left_out() {
        assert_eq!(pieces("abcd", &[(1, 3), (0, 2)]), [("a", None), ("bc", Some(0)), ("d", None)]);
        assert_eq!(pieces("abcd", &[(0, 4), (1, 2)]), [("a", None), ("b", Some(1)), ("cd", None)]);
        for span in [(1, 2), (0, 9), (2, 1), (1, 1), (usize::MAX, 0)] {
            assert_eq!(pieces("ä!", &[span]), [("ä!", None)], "{span:?}");
        }
        assert_eq!(pieces("ä!", &[(0, 2)]), [("ä", Some(0)), ("!", None)]);
    }

    #[test]
    fn only_the_original_is_marked() {
        assert!(is_original("ä", Some(2), false));
        assert!(
            !is_original("ä", Some(1), false) && !is_original("ä", None, false) && !is_original("ä", Some(2), true)
        );
    }
}
