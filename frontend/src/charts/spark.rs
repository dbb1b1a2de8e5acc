//! A line in a card or table cell.

use leptos::prelude::*;
use stance_shared::Grade;

use super::{float, short};

/// Risk over days as a line with its last point in the colour of its grade. Unknown days are left out.
pub fn spark(risks: &[Option<f64>], name: &str) -> AnyView {
    let values: Vec<f64> = risks.iter().copied().flatten().collect();
    let Some(last) = values.last().copied() else { return ().into_any() };
    let mean = values.iter().sum::<f64>() / float(values.len());
    let spread = values.iter().map(|v| (v - mean).abs()).fold(7.0, f64::max);
    let y = |value: f64| short((mean + spread - value) / (2.0 * spread) * 100.0);
    let steps = float(values.len().max(2) - 1);
    let path: String = values
        .iter()
        .enumerate()
        .map(|(i, v)| format!("{}{} {}", if i == 0 { 'M' } else { 'L' }, short(float(i) / steps * 100.0), y(*v)))
        .collect();
    let end = if values.len() > 1 { "100" } else { "0" };
    let inner = format!("<path class=\"ln2\" d=\"{path}\"/><path class=\"dot\" d=\"M{end} {}h0\"/>", y(last));
    let label = format!("{name}, {} days, now {last:.0}", risks.len());
    view! { <svg class="spark" viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label=label data-grade=Grade::of(last).as_str() inner_html=inner></svg> }.into_any()
}
