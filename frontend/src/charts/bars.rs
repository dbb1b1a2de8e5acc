//! New above the line, closed below it, by day.

use std::fmt::Write;

use leptos::prelude::AnyView;

use super::{figure, float, hidden_table, short};
use crate::{components::escape, format};

/// Findings of a day.
#[derive(Clone, Copy, Debug)]
pub struct DayBars {
    /// Any second of the day, since 1970.
    pub day: i64,
    /// New and reopened.
    pub opened: i64,
    /// Resolved, accepted and false positive.
    pub closed: i64,
}

/// The chart of a few days.
pub fn bars(days: &[DayBars]) -> AnyView {
    figure(markup(days))
}

fn markup(days: &[DayBars]) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a drawing needs three digits")]
    let value = |n: i64| n as f64;
    // Zero based; both sides share one scale, and there is room for the figure beside the longest bar.
    let scale = 38.0 / days.iter().map(|d| value(d.opened.max(d.closed))).fold(4.0, f64::max);
    let slot = 100.0 / float(days.len().max(1));
    let (mut rects, mut labels, mut x_labels) = (String::new(), String::new(), String::new());
    for (i, day) in days.iter().enumerate() {
        let (up, down) = (value(day.opened) * scale, value(day.closed) * scale);
        let (left, width) = (slot * float(i) + slot * 0.3, slot * 0.4);
        let middle = short((float(i) + 0.5) / float(days.len()));
        let _ = write!(
            rects,
            "<rect x=\"{l}\" y=\"{}\" width=\"{w}\" height=\"{}\" class=\"bar-1\"/><rect x=\"{l}\" y=\"50\" width=\"{w}\" height=\"{}\" class=\"bar-2\"/>",
            short(50.0 - up),
            short(up),
            short(down),
            l = short(left),
            w = short(width),
        );
        let _ = write!(
            labels,
            "<span class=\"mark-lab over\" style=\"--x:{middle};--y:{}\">{}</span><span class=\"mark-lab under\" style=\"--x:{middle};--y:{}\">{}</span>",
            short((50.0 - up) / 100.0),
            format::count(day.opened),
            short((50.0 + down) / 100.0),
            format::count(day.closed),
        );
        let _ = write!(x_labels, "<span style=\"--x:{middle}\">{}</span>", format::weekday(day.day));
    }
    let (opened, closed) = days.iter().fold((0, 0), |(o, c), d| (o + d.opened, c + d.closed));
    let rows = days.iter().map(|d| vec![format::day(d.day), d.opened.to_string(), d.closed.to_string()]);
    format!(
        "<div class=\"chart\" style=\"--h:112px;--yw:44px;--rw:0px\" role=\"group\" aria-label=\"{}\">\
         <div class=\"ylab\" aria-hidden=\"true\"><span class=\"name\" style=\"--y:.32\">New</span><span class=\"name\" style=\"--y:.68\">Closed</span></div>\
         <div class=\"plot\"><svg viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{rects}<path class=\"g0\" d=\"M0 50H100\"/></svg>{labels}</div>\
         <div class=\"xlab\" aria-hidden=\"true\">{x_labels}</div></div>{}",
        escape(&format!("New and closed findings per day: {opened} new, {closed} closed.")),
        hidden_table("New and closed findings by day", &["Day", "New", "Closed"], rows),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_in_the_plot_and_start_at_zero() {
        let html =
            markup(&[DayBars { day: 0, opened: 1_000_000, closed: 0 }, DayBars { day: 86_400, opened: 0, closed: 3 }]);
        assert!(html.contains("y=\"12\" width=\"20\" height=\"38\""), "{html}");
        assert!(html.contains("height=\"0\""), "{html}");
    }
}
