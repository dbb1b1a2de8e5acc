//! Traffic of a window, and below it what was not let through, on one axis of time.

use std::fmt::Write;

use leptos::prelude::AnyView;

use super::{figure, float, hidden_table, short};
use crate::{components::escape, format};

/// Events of a span of time.
#[derive(Clone, Copy, Debug)]
pub struct TrafficPoint {
    /// Its start, in seconds since 1970.
    pub at: i64,
    /// Events by their verdict.
    pub allow: i64,
    pub flag: i64,
    pub redact: i64,
    pub block: i64,
}

impl TrafficPoint {
    const fn stopped(&self) -> i64 {
        self.flag + self.redact + self.block
    }
}

/// The chart of spans of `minutes` each, without holes between them; `events` is the address of the events between two times.
pub fn traffic(points: &[TrafficPoint], minutes: i64, events: impl Fn(i64, i64) -> String) -> AnyView {
    figure(markup(points, minutes, &events))
}

#[expect(clippy::cast_precision_loss, reason = "a drawing needs three digits")]
const fn value(n: i64) -> f64 {
    n as f64
}

/// The end of an axis from zero: even, a round number, at least 4.
fn ceiling(largest: i64) -> i64 {
    let mut unit = 1;
    loop {
        if let Some(end) = [4, 6, 10, 20].map(|n| n * unit).into_iter().find(|end| *end >= largest) {
            return end;
        }
        unit *= 10;
    }
}

/// A span of time in the words of an axis.
fn step(minutes: i64) -> String {
    match minutes {
        1440 => "day".to_owned(),
        60 => "hour".to_owned(),
        m if m > 60 && m % 60 == 0 => format!("{} h", m / 60),
        m => format!("{m} min"),
    }
}

fn y_labels(end: i64) -> String {
    [(0, end), (1, end / 2), (2, 0)]
        .map(|(i, n)| format!("<span style=\"--y:{}\">{}</span>", short(float(i) / 2.0), format::count(n)))
        .concat()
}

fn markup(points: &[TrafficPoint], minutes: i64, events: &dyn Fn(i64, i64) -> String) -> String {
    let count = points.len().max(1);
    let slot = 100.0 / float(count);
    let most = ceiling(points.iter().map(|p| p.allow + p.stopped()).max().unwrap_or(0));
    let worst = ceiling(points.iter().map(TrafficPoint::stopped).max().unwrap_or(0));
    let start = points.first().map_or(0, |p| p.at);
    let end = points.last().map_or(0, |p| p.at + minutes * 60);

    let (mut line, mut bars, mut hits) = (String::new(), String::new(), String::new());
    for (i, p) in points.iter().enumerate() {
        let left = slot * float(i);
        let y = short(100.0 - value(p.allow + p.stopped()) / value(most) * 100.0);
        // From edge to edge: the first and the last span reach to theirs.
        let place = if i == 0 {
            0.0
        } else if i + 1 == count {
            100.0
        } else {
            left + slot / 2.0
        };
        let _ = write!(line, "{}{} {y}", if i == 0 { 'M' } else { 'L' }, short(place));
        let mut top = 100.0;
        for (class, n) in [("v-block", p.block), ("v-redact", p.redact), ("v-flag", p.flag)] {
            if n > 0 {
                let height = value(n) / value(worst) * 100.0;
                top -= height;
                let _ = write!(
                    bars,
                    "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                    short(left + slot * 0.18),
                    short(top),
                    short(slot * 0.64),
                    short(height)
                );
            }
        }
        let side = if left > 60.0 { " l" } else { "" };
        let _ = write!(
            hits,
            "<a class=\"hit{side}\" tabindex=\"-1\" aria-hidden=\"true\" href=\"{}\" style=\"--x:{};--w:{}\" data-tip=\"{}\"></a>",
            escape(&events(p.at, p.at + minutes * 60)),
            short(left),
            short(slot),
            escape(&tip(p, end - start)),
        );
    }
    let area = if points.len() > 1 { format!("{line}L100 100L0 100z") } else { String::new() };

    let hours = (end - start) / 3600;
    let marks = match hours {
        ..3 => 4,
        144..=192 => 7,
        _ => 6,
    };
    let x_labels: String = (0..=marks)
        .map(|mark| {
            let class = if mark == 0 {
                " class=\"start\""
            } else if mark == marks {
                " class=\"stop\""
            } else {
                ""
            };
            let at = start + (end - start) * mark / marks;
            let text = if hours > 48 { format::day_month(at) } else { format::clock(at) };
            format!("<span{class} style=\"--x:{}\">{text}</span>", short(value(mark) / value(marks)))
        })
        .collect();

    let sum = |of: fn(&TrafficPoint) -> i64| points.iter().map(of).sum::<i64>();
    let (blocked, redacted, flagged) = (sum(|p| p.block), sum(|p| p.redact), sum(|p| p.flag));
    let per = step(minutes);
    let rows = points.iter().filter(|p| p.allow + p.stopped() > 0).map(|p| {
        vec![
            format::date_time(p.at),
            p.allow.to_string(),
            p.flag.to_string(),
            p.redact.to_string(),
            p.block.to_string(),
        ]
    });
    let head = |class: &str, label: &str, end: i64| {
        format!(
            "<div class=\"chart dense {class}\" style=\"--h:132px;--yw:44px;--rw:0px\" role=\"group\" aria-label=\"{}\">\
             <div class=\"ylab\" aria-hidden=\"true\">{}</div><div class=\"plot\">\
             <svg viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><path class=\"g\" d=\"M0 0H100M0 50H100\"/>",
            escape(label),
            y_labels(end)
        )
    };
    format!(
        "{}<path class=\"v-allow\" d=\"{area}\"/><path class=\"ln2\" d=\"{line}\"/><path class=\"g0\" d=\"M0 100H100\"/></svg>{hits}</div></div>\
         {}{bars}<path class=\"g0\" d=\"M0 100H100\"/></svg>{hits}</div><div class=\"xlab\" aria-hidden=\"true\">{x_labels}</div></div>\
         <p class=\"meta keys-line\" aria-hidden=\"true\"><span>Not let through per {per}:</span><span class=\"key v-flag\">flagged</span>\
         <span class=\"key v-redact\">redacted</span><span class=\"key v-block\">blocked</span></p>{}",
        head("", &format!("Events per {per}: {} in all.", format::count(sum(|p| p.allow + p.stopped()))), most),
        head(
            "below",
            &format!("Not let through per {per}: {flagged} flagged, {redacted} redacted, {blocked} blocked."),
            worst
        ),
        hidden_table("Events by time and verdict", &["From", "Allowed", "Flagged", "Redacted", "Blocked"], rows),
    )
}

fn tip(p: &TrafficPoint, window: i64) -> String {
    let clock = format::clock(p.at);
    let at = if window > 48 * 3600 { format!("{} {clock}", format::day_month(p.at)) } else { clock };
    let all = format::count(p.allow + p.stopped());
    if p.stopped() == 0 {
        return format!("{at}: {all}, all allowed");
    }
    format!("{at}: {all}, {} blocked, {} redacted, {} flagged", p.block, p.redact, p.flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: i64, allow: i64, block: i64) -> TrafficPoint {
        TrafficPoint { at, allow, flag: 0, redact: 0, block }
    }

    #[test]
    fn axes_end_on_round_even_numbers() {
        assert_eq!([0, 4, 5, 7, 11, 21, 49, 999, 1001].map(ceiling), [4, 4, 6, 10, 20, 40, 60, 1000, 2000]);
        assert_eq!([15, 60, 360, 1440].map(step), ["15 min", "hour", "6 h", "day"]);
    }

    #[test]
    fn bars_start_at_zero_and_each_span_opens_its_events() {
        let html = markup(&[point(0, 80, 0), point(900, 0, 10)], 15, &|from, to| format!("/e?from={from}&to={to}"));
        assert!(html.contains("class=\"v-block\" x=\"59\" y=\"0\" width=\"32\" height=\"100\""), "{html}");
        assert!(html.contains("href=\"/e?from=900&amp;to=1800\"") && html.contains("00:15: 10, 10 blocked"), "{html}");
        assert!(html.contains("00:00: 80, all allowed"), "{html}");
        assert!(html.contains("d=\"M0 20L100 90L100 100L0 100z\""), "{html}");
    }

    #[test]
    fn nothing_is_drawn_as_nothing() {
        let html = markup(&[], 15, &|_, _| String::new());
        assert!(!html.contains("NaN") && !html.contains("<rect"), "{html}");
    }
}
