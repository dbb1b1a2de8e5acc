//! Text that somebody else wrote. It comes out of reports, so it may be hostile: Leptos escapes markup, this module shows what would be invisible.

use leptos::prelude::*;

/// Whether a character changes how others are shown, or is not shown itself: controls, bidirectional overrides and isolates,
/// zero-width spaces and the tag block, in which prompts are smuggled.
fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

/// The text for an attribute: hidden characters stand as code points in angle brackets.
#[must_use]
pub fn clean(text: &str) -> String {
    if !text.contains(is_hidden) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if is_hidden(c) {
            out.push('⟨');
            out.push_str(&code_point(c));
            out.push('⟩');
        } else {
            out.push(c);
        }
        out
    })
}

/// Text for markup and for attributes in double quotes.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text from outside, isolated from the direction of its surroundings, hidden characters shown as code points.
pub fn text(text: &str) -> AnyView {
    if !text.contains(is_hidden) {
        return view! { <bdi>{text.to_owned()}</bdi> }.into_any();
    }
    let mut parts = Vec::new();
    let mut plain = String::new();
    for c in text.chars() {
        if is_hidden(c) {
            parts.push(std::mem::take(&mut plain).into_any());
            parts.push(view! { <span class="cp">{code_point(c)}</span> }.into_any());
        } else {
            plain.push(c);
        }
    }
    parts.push(plain.into_any());
    view! { <bdi>{parts}</bdi> }.into_any()
}

/// Text from outside on one line, cut at its end; the whole text is its title.
pub fn cut(content: &str) -> AnyView {
    view! { <span class="cut" title=clean(content)>{text(content)}</span> }.into_any()
}

/// An identifier, cut in its middle when there is no room; the whole text is its title.
pub fn mid(id: &str) -> AnyView {
    let at = id.char_indices().rev().nth(5).map_or(0, |(i, _)| i);
    let (head, tail) = id.split_at(at);
    view! { <span class="mid" title=clean(id)><span>{clean(head)}</span><span>{clean(tail)}</span></span> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_invisible_is_shown() {
        assert_eq!(clean("invoice\u{202e}fdp.exe"), "invoice⟨U+202E⟩fdp.exe");
        assert_eq!(clean("a\u{0}b\u{7f}"), "a⟨U+0000⟩b⟨U+007F⟩");
        assert_eq!(clean("\u{e0041}"), "⟨U+E0041⟩");
        assert_eq!(clean("تسريب 客服 two\nlines"), "تسريب 客服 two\nlines");
    }

    #[cfg(feature = "ssr")]
    #[test]
    fn markup_from_outside_stays_text() {
        // `<!>` are the marks by which the browser finds its place.
        let html = text("<script>alert(1)</script>").to_html().replace("<!>", "");
        assert_eq!(html, "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>");
        let html = text("a\u{202e}<b>").to_html();
        assert!(html.contains("U+202E") && html.contains("&lt;b&gt;") && !html.contains('\u{202e}'), "{html}");
        assert!(mid("\"><img src=x>").to_html().contains("&quot;"), "attributes are escaped");
    }
}
