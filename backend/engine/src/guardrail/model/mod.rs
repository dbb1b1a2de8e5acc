//! The model.
pub mod features;

use features::Grouped;
use std::ops::Range;

/// Words of a window, and how far the next one begins.
const WINDOWS: [(usize, usize); 2] = [(32, 8), (96, 24)];
/// Features beneath this count say little: the norm does not fall below it.
const FLOOR: usize = 40;

/// What a sum of `count` features is multiplied by.
#[must_use]
pub fn norm(count: usize) -> f32 {
    (count.max(knob("FLOOR", FLOOR as f32) as usize) as f32).powf(-knob("POW", 0.5))
}

/// The window of words with the highest normalized sum of weights.
pub fn best_window(grouped: &Grouped, weight: impl Fn(u32) -> f32) -> (f32, Range<usize>) {
    let n = grouped.len();
    let mut sums = Vec::with_capacity(n + 1);
    let mut counts = Vec::with_capacity(n + 1);
    let (mut sum, mut count) = (0.0_f32, 0_usize);
    sums.push(sum);
    counts.push(count);
    for word in 0..n {
        let hashes = grouped.of(word..word + 1);
        sum += hashes.iter().map(|&h| weight(h)).sum::<f32>();
        count += hashes.len();
        sums.push(sum);
        counts.push(count);
    }
    let score = |r: &Range<usize>| (sums[r.end] - sums[r.start]) * norm(counts[r.end] - counts[r.start]);
    let mut best = (score(&(0..n)), 0..n);
    for (size, stride) in WINDOWS {
        if knob("WIN", 1.0) < 0.5 || (size == 32 && knob("WIN", 1.0) < 0.9) { continue; }
        if n <= size + stride {
            continue;
        }
        for start in (0..).map(|i| i * stride).take_while(|s| s + stride < n) {
            let window = start..(start + size).min(n);
            let s = score(&window);
            if s > best.0 {
                best = (s, window);
            }
        }
    }
    best
}

use std::sync::OnceLock;
fn knob(name: &str, d: f32) -> f32 {
    static K: OnceLock<[f32; 3]> = OnceLock::new();
    let g = |n: &str| std::env::var(n).ok().and_then(|v| v.parse().ok()).unwrap_or(-1.0);
    let k = K.get_or_init(|| [g("FLOOR"), g("POW"), g("WIN")]);
    let v = match name { "FLOOR" => k[0], "POW" => k[1], _ => k[2] };
    if v < 0.0 { d } else { v }
}
