//! The importers' documentation for readers of GraphQL that have no Markdown of their own.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

fn events(markdown: &str) -> impl Iterator<Item = Event<'_>> {
    Parser::new_ext(markdown, Options::ENABLE_TABLES)
}

/// The text as HTML, without its title (the heading of level 1). Markup in the text stays text.
pub fn html(markdown: &str) -> String {
    let mut in_title = false;
    let body = events(markdown).filter_map(|event| {
        match event {
            Event::Start(Tag::Heading { level: HeadingLevel::H1, .. }) => in_title = true,
            Event::End(TagEnd::Heading(HeadingLevel::H1)) => in_title = false,
            Event::Html(text) | Event::InlineHtml(text) => return Some(Event::Text(text)),
            event => return (!in_title).then_some(event),
        }
        None
    });
    let mut html = String::with_capacity(markdown.len() * 2);
    html::push_html(&mut html, body);
    html
}

/// The first paragraph as plain text.
pub fn summary(markdown: &str) -> String {
    events(markdown)
        .skip_while(|event| !matches!(event, Event::Start(Tag::Paragraph)))
        .take_while(|event| !matches!(event, Event::End(TagEnd::Paragraph)))
        .filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(text.into_string()),
            Event::SoftBreak | Event::HardBreak => Some(" ".to_owned()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "# T\n\nReads [x](https://x.test) and\n`y`.\n\nMore <b>.\n\n## H\n\n| a |\n| --- |\n| 1 |\n";

    #[test]
    fn the_title_is_left_out_and_markup_stays_text() {
        let html = html(README);
        assert!(html.starts_with("<p>Reads <a href=\"https://x.test\">x</a> and\n<code>y</code>.</p>"), "{html}");
        assert!(
            html.contains("<h2>H</h2>") && html.contains("<td>1</td>") && html.contains("More &lt;b&gt;."),
            "{html}"
        );
    }

    #[test]
    fn the_first_paragraph_is_the_summary() {
        assert_eq!(summary(README), "Reads x and y.");
        assert_eq!(summary("# Only a title"), "");
    }

    #[test]
    fn every_importer_says_how_to_make_its_report_and_what_is_taken_over() {
        for importer in stance_importers::registry() {
            let (name, html) = (importer.format(), html(importer.help()));
            assert!(!summary(importer.help()).is_empty(), "{name} has no summary");
            for part in ["<h2>How to make the report</h2>", "<h2>What is taken over</h2>", "<table>"] {
                assert!(html.contains(part), "{name} has no {part}");
            }
            // Relative links would lead nowhere in the dashboard.
            assert!(!html.replace("href=\"http", "").contains("href="), "{name} links to a file");
        }
    }
}
