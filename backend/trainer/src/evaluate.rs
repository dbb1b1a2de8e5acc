//! How well scores tell attacks from the rest.

/// Area under the ROC curve of (score, is attack).
#[must_use]
pub fn auc(scores: &[(f32, bool)]) -> f64 {
    let mut sorted: Vec<(f32, bool)> = scores.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut attacks, mut at) = (0.0, 0_usize, 0);
    while at < sorted.len() {
        let ties = sorted[at..].iter().take_while(|s| s.0 == sorted[at].0).count();
        let rank = at as f64 + (ties as f64 + 1.0) / 2.0;
        let hits = sorted[at..at + ties].iter().filter(|s| s.1).count();
        rank_sum += rank * hits as f64;
        attacks += hits;
        at += ties;
    }
    let benign = sorted.len() - attacks;
    (rank_sum - (attacks * (attacks + 1)) as f64 / 2.0) / (attacks * benign).max(1) as f64
}

/// The lowest threshold that at most this share of benign scores reaches.
#[must_use]
pub fn threshold(scores: &[(f32, bool)], share: f64) -> f32 {
    let mut benign: Vec<f32> = scores.iter().filter(|s| !s.1).map(|s| s.0).collect();
    benign.sort_by(|a, b| b.total_cmp(a));
    let allowed = (benign.len() as f64 * share) as usize;
    benign.get(allowed).map_or(f32::INFINITY, |score| f32::from_bits(score.to_bits()) + score.abs().max(1e-6) * 1e-6)
}

/// The share of attacks at or over a threshold.
#[must_use]
pub fn recall(scores: &[(f32, bool)], threshold: f32) -> f64 {
    share(scores.iter().filter(|s| s.1).map(|s| s.0 >= threshold))
}

/// The share of benign texts at or over a threshold.
#[must_use]
pub fn false_positives(scores: &[(f32, bool)], threshold: f32) -> f64 {
    share(scores.iter().filter(|s| !s.1).map(|s| s.0 >= threshold))
}

fn share(hits: impl Iterator<Item = bool>) -> f64 {
    let (mut hit, mut all) = (0_usize, 0_usize);
    for is_hit in hits {
        all += 1;
        hit += usize::from(is_hit);
    }
    hit as f64 / all.max(1) as f64
}
