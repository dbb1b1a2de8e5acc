//! Risk over days with the scale of grades at its right.

use std::fmt::Write;

use leptos::prelude::AnyView;
use stance_shared::Grade;

use super::{figure, float, hidden_table, short};
use crate::{components::escape, format};

/// Risk of a day.
#[derive(Clone, Copy, Debug)]
pub struct TrendPoint {
    /// Any second of the day, since 1970.
    pub day: i64,
    /// 0 to 100; `None` when nothing was assessed.
    pub risk: Option<f64>,
    /// 0 to 1.
    pub completeness: f64,
}

/// The trend; `None` with no assessed day at all.
pub fn trend(points: &[TrendPoint], name: &str) -> Option<AnyView> {
    markup(points, name).map(figure)
}

/// Bounds of the axis: a margin around the values, on multiples of five, never narrower than 25 points.
fn bounds(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut min = (((low - 4.0) / 5.0).floor() * 5.0).max(0.0);
    let mut max = (((high + 4.0) / 5.0).ceil() * 5.0).min(100.0);
    while max - min < 25.0 {
        max = (max + 5.0).min(100.0);
        if max - min < 25.0 {
            min = (min - 5.0).max(0.0);
        }
    }
    (min, max)
}

fn markup(points: &[TrendPoint], name: &str) -> Option<String> {
    let values: Vec<f64> = points.iter().filter_map(|point| point.risk).collect();
    let last = *values.last()?;
    let (min, max) = bounds(&values);
    let y = |value: f64| (max - value) / (max - min);
    let count = points.len();
    let x = |i: usize| if count > 1 { float(i) / float(count - 1) } else { 1.0 };
    let end = points.iter().rposition(|point| point.risk.is_some()).map_or(1.0, x);

    let mut line = String::new();
    let mut pen_up = true;
    for (i, point) in points.iter().enumerate() {
        if let Some(risk) = point.risk {
            let _ =
                write!(line, "{}{} {}", if pen_up { 'M' } else { 'L' }, short(x(i) * 100.0), short(y(risk) * 100.0));
        }
        pen_up = point.risk.is_none();
    }

    let step = if max - min > 60.0 {
        25.0
    } else if max - min > 30.0 {
        20.0
    } else {
        10.0
    };
    let first_line = (min / step).ceil() * step;
    let grid: Vec<f64> = std::iter::successors(Some(first_line), |v| (v + step <= max).then_some(v + step)).collect();
    let lines: String = grid.iter().map(|v| format!("M0 {}H100", short(y(*v) * 100.0))).collect();
    let y_labels: String = grid.iter().map(|v| format!("<span style=\"--y:{}\">{v:.0}</span>", short(y(*v)))).collect();

    let mut bands = String::new();
    for (grade, from, to) in
        [("A", 0.0, 10.0), ("B", 10.0, 30.0), ("C", 30.0, 50.0), ("D", 50.0, 75.0), ("F", 75.0, 100.0)]
    {
        let (low, high) = (f64::max(from, min), f64::min(to, max));
        if high > low {
            let _ = write!(
                bands,
                "<i class=\"gs\" data-grade=\"{grade}\" style=\"--a:{};--b:{}\"></i>",
                short(y(high)),
                short(y(low))
            );
            let middle = f64::midpoint(y(high), y(low));
            if (middle - y(last)).abs() > 0.14 && y(low) - y(high) > 0.12 {
                let _ = write!(bands, "<span style=\"--y:{}\">{grade}</span>", short(middle));
            }
        }
    }

    let width = 100.0 / float(count.max(2) - 1);
    let mut hits = String::new();
    for (i, point) in points.iter().enumerate() {
        let at = x(i) * 100.0;
        let side = if at > 60.0 { " l" } else { "" };
        let _ = write!(
            hits,
            "<i class=\"hit{side}\" style=\"--x:{};--w:{}\" data-tip=\"{}\"></i>",
            short(at - width / 2.0),
            short(width),
            escape(&tip(point))
        );
    }

    let marks = if count > 1 { 4 } else { 0 };
    let x_labels: String = (0..=marks)
        .filter_map(|mark| {
            let i = (mark * (count - 1)).checked_div(marks).unwrap_or(0);
            let class = if mark == marks {
                " class=\"stop\""
            } else if mark == 0 {
                " class=\"start\""
            } else {
                ""
            };
            Some(format!("<span{class} style=\"--x:{}\">{}</span>", short(x(i)), format::day_month(points.get(i)?.day)))
        })
        .collect();

    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let label = format!(
        "{name}, {count} days, axis {min:.0} to {max:.0}: lowest {lowest:.0}, now {last:.0}, grade {}.",
        Grade::of(last).as_str()
    );
    let grade = Grade::of(last).as_str();
    let (dot_x, dot_y) = (short(end * 100.0), short(y(last) * 100.0));
    let rows = points.iter().map(|p| {
        vec![format::day(p.day), p.risk.map_or_else(|| "unknown".into(), format::risk), format::percent(p.completeness)]
    });
    Some(format!(
        "<div class=\"chart dense\" style=\"--h:136px;--yw:20px;--rw:32px\" role=\"group\" aria-label=\"{}\">\
         <div class=\"ylab\" aria-hidden=\"true\">{y_labels}</div>\
         <div class=\"plot\"><svg viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <path class=\"g\" d=\"{lines}\"/><path class=\"g0\" d=\"M0 100H100\"/><path class=\"ln\" d=\"{line}\"/>\
         <path class=\"dot-halo\" d=\"M{dot_x} {dot_y}h0\"/><path class=\"dot\" data-grade=\"{grade}\" d=\"M{dot_x} {dot_y}h0\"/></svg>{hits}</div>\
         <div class=\"rlab\" aria-hidden=\"true\">{bands}<b style=\"--y:{}\">{}</b></div>\
         <div class=\"xlab\" aria-hidden=\"true\">{x_labels}</div></div>{}",
        escape(&label),
        short(y(last)),
        format::risk(last),
        hidden_table(&format!("{name} by day"), &["Day", "Risk", "Known"], rows),
    ))
}

fn tip(point: &TrendPoint) -> String {
    let day = format::day_month(point.day);
    let known = format::percent(point.completeness);
    match point.risk {
        Some(risk) => format!("{day}: {}, {}, {known} known", format::risk(risk), Grade::of(risk).as_str()),
        None => format!("{day}: unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(risks: &[Option<f64>]) -> Vec<TrendPoint> {
        risks
            .iter()
            .enumerate()
            .map(|(i, risk)| TrendPoint { day: 86_400 * i as i64, risk: *risk, completeness: 0.5 })
            .collect()
    }

    #[test]
    fn the_axis_holds_all_values() {
        for values in [vec![0.0], vec![100.0], vec![41.0, 34.0], vec![2.0, 98.0]] {
            let (min, max) = bounds(&values);
            assert!(
                min >= 0.0 && max <= 100.0 && max - min >= 25.0 && values.iter().all(|v| (min..=max).contains(v)),
                "{values:?}: {min} {max}"
            );
        }
    }

    #[test]
    fn unknown_days_break_the_line_and_are_never_zero() {
        let html = markup(&points(&[Some(40.0), None, Some(42.0)]), "Risk").unwrap();
        assert_eq!(html.matches("class=\"ln\"").count(), 1);
        assert!(html.contains("unknown"));
        let line = html.split("class=\"ln\" d=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        assert_eq!(line.matches('M').count(), 2, "{line}");
        assert!(markup(&points(&[None, None]), "Risk").is_none());
    }
}
