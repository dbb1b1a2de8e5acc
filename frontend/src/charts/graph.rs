//! What uses a thing, the thing, and what it depends on, from left to right. Boxes are links in HTML, only the lines are drawn.

use std::fmt::Write;

use leptos::prelude::AnyView;
use stance_shared::Grade;

use super::{figure, float, short};
use crate::{
    components::{clean, escape},
    format,
};

/// Boxes of a column; a last one stands for the others.
const LIMIT: usize = 8;

/// Height of a row, as in `assets/css/pages.css`.
const ROW: f64 = 56.0;

/// A box.
#[derive(Clone, Debug)]
pub struct GraphNode {
    /// Where it leads.
    pub href: String,
    /// Inner markup of its icon.
    pub icon: &'static str,
    /// Its name, as others wrote it.
    pub name: String,
    /// The line below, in words of ours.
    pub detail: String,
    /// 0 to 100; `None`: unassessed.
    pub risk: Option<f64>,
}

/// The graph around `center`, and whether it shows every box.
pub fn graph(users: &[GraphNode], center: &GraphNode, used: &[GraphNode]) -> (AnyView, bool) {
    (figure(markup(users, center, used)), users.len().max(used.len()) <= LIMIT)
}

fn markup(users: &[GraphNode], center: &GraphNode, used: &[GraphNode]) -> String {
    let rows = users.len().max(used.len()).clamp(1, LIMIT);
    let middle = float(rows) / 2.0;
    let arrow = if users.is_empty() { "" } else { " to" };
    format!(
        "<div class=\"graph\" style=\"--rows:{rows}\" role=\"group\" aria-label=\"{}\">\
         <h3>Used by</h3><h3>This asset</h3><h3>Depends on</h3>{}{}<div>{}</div>{}{}</div>",
        escape(&format!(
            "Relations of {}, left to right: what uses it, itself, what it depends on",
            clean(&center.name)
        )),
        column(users, rows, ""),
        lines(users.len(), rows, false),
        node(center, middle, &format!("div class=\"node self{arrow}\" aria-current=\"true\""), "div"),
        lines(used.len(), rows, true),
        column(used, rows, " to"),
    )
}

/// The middle of each of `count` boxes, in rows.
fn places(count: usize, rows: usize) -> impl Iterator<Item = f64> {
    let count = count.min(LIMIT);
    (0..count).map(move |i| float(rows - count) / 2.0 + float(i) + 0.5)
}

fn column(nodes: &[GraphNode], rows: usize, arrow: &str) -> String {
    if nodes.is_empty() {
        return format!("<ul><li class=\"none\" style=\"--y:{}\">nothing known</li></ul>", float(rows) / 2.0);
    }
    let mut items = String::new();
    for (i, (shown, y)) in nodes.iter().zip(places(nodes.len(), rows)).enumerate() {
        let rest = nodes.len() - i;
        if i + 1 == LIMIT && rest > 1 {
            let _ = write!(
                items,
                "<li><div class=\"node{arrow}\" style=\"--y:{y}\"><span></span><span>{rest} more, listed below</span></div></li>"
            );
        } else {
            let _ = write!(
                items,
                "<li>{}</li>",
                node(shown, y, &format!("a class=\"node{arrow}\" href=\"{}\"", escape(&shown.href)), "a")
            );
        }
    }
    format!("<ul>{items}</ul>")
}

fn node(node: &GraphNode, y: f64, open: &str, close: &str) -> String {
    let risk = node.risk.map_or_else(
        || "<span class=\"risk\" data-grade=\"?\" title=\"Unknown: never assessed\"><i></i><b>–</b></span>".to_owned(),
        |risk| {
            format!(
                "<span class=\"risk\" data-grade=\"{}\"><i></i><b>{}</b></span>",
                Grade::of(risk).as_str(),
                escape(&format::risk(risk))
            )
        },
    );
    format!(
        "<{open} style=\"--y:{y}\" title=\"{name}\"><svg class=\"i\" viewBox=\"0 0 24 24\" aria-hidden=\"true\">{}</svg>\
         <span><b><bdi>{name}</bdi></b><small>{}</small></span>{risk}</{close}>",
        node.icon,
        escape(&node.detail),
        name = escape(&clean(&node.name)),
    )
}

/// Lines between the middle and each box of a column, on the side where they belong.
fn lines(count: usize, rows: usize, outward: bool) -> String {
    let height = float(rows) * ROW;
    let middle = short(height / 2.0);
    let path: String = places(count, rows)
        .map(|y| {
            let y = short(y * ROW);
            let (from, to) = if outward { (&middle, &y) } else { (&y, &middle) };
            format!("M0 {from}C50 {from} 50 {to} 100 {to}")
        })
        .collect();
    format!(
        "<svg viewBox=\"0 0 100 {}\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><path d=\"{path}\"/></svg>",
        short(height)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(name: &str) -> GraphNode {
        GraphNode {
            href: "/inventory/x".into(),
            icon: "",
            name: name.into(),
            detail: "may call · tool".into(),
            risk: None,
        }
    }

    #[test]
    fn lines_meet_the_middles_of_boxes() {
        let html = markup(&[some("a"), some("b")], &some("c"), &[some("d")]);
        assert!(html.contains("M0 28C50 28 50 56 100 56M0 84C50 84 50 56 100 56"), "{html}");
        assert!(html.contains("M0 56C50 56 50 56 100 56"), "{html}");
    }

    #[test]
    fn many_boxes_end_in_a_number_and_names_are_no_markup() {
        let many = vec![some("<b>"); 12];
        let html = markup(&[], &some("c"), &many);
        assert_eq!(html.matches("<a class").count(), LIMIT - 1);
        assert!(html.contains("5 more") && html.contains("nothing known") && !html.contains("<b><b>"), "{html}");
    }
}
