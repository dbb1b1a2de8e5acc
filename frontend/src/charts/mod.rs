//! Charts: pure functions from data to markup. The drawing stretches, every text is HTML over it (`assets/css/components.css`),
//! hover is a column per point by CSS alone, and each chart carries its data as a table for screen readers.
//!
//! The markup is made as text because none of it reacts: that keeps the browser's module small. Everything that goes in is a
//! number or a text of ours; [`escape`] is applied to labels all the same.

mod bars;
mod graph;
mod spark;
mod stack;
#[cfg(not(feature = "hydrate"))]
mod traffic;
mod trend;

pub use bars::{DayBars, bars};
pub use graph::{GraphNode, graph};
pub use spark::spark;
pub use stack::stack;
#[cfg(not(feature = "hydrate"))]
pub use traffic::{TrafficPoint, traffic};
pub use trend::{TrendPoint, trend};

use leptos::prelude::*;

use crate::components::escape;

/// A chart as a view.
fn figure(markup: String) -> AnyView {
    view! { <figure inner_html=markup></figure> }.into_any()
}

/// Two decimals at most: enough for a drawing of 100 units.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a chart are small")]
const fn float(n: usize) -> f64 {
    n as f64
}

/// A table that only screen readers see.
fn hidden_table(caption: &str, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let heads: String = heads.iter().map(|head| format!("<th scope=\"col\">{}</th>", escape(head))).collect();
    let rows: String = rows
        .map(|row| {
            format!("<tr>{}</tr>", row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect::<String>())
        })
        .collect();
    format!(
        "<div class=\"vh\"><table><caption>{}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>",
        escape(caption)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_become_markup() {
        assert_eq!(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
        assert!(hidden_table("<b>", &["<i>"], std::iter::once(vec!["<u>".to_owned()])).contains("&lt;u&gt;"));
    }

    #[test]
    fn drawings_use_short_numbers() {
        assert_eq!([short(3.0), short(3.333_33), short(0.5), short(100.0)], ["3", "3.33", "0.5", "100"]);
    }
}
