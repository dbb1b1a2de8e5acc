use super::*;
use proptest::prelude::*;
use stance_shared::{AssetKind, Layer};

fn combined(risks: &[f64]) -> f64 {
    risks.iter().copied().collect::<Combined>().risk()
}

fn close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} is not within {tolerance} of {b}");
}

#[test]
fn a_finding_by_hand() {
    // HIGH, no score, no rate: .70; internet × high criticality: × 1.15 × 1.15 = .92575.
    close(
        finding_risk(
            finding_base(Severity::High, None, None),
            asset_factor(Exposure::Internet, Criticality::High),
            false,
            false,
        ),
        0.925_75,
        1e-12,
    );
    // A score wins over the severity: 5.5 → .55, success rate .5 → × 1.10 = .605; compensated × .6 = .363.
    close(finding_risk(finding_base(Severity::Critical, Some(5.5), Some(0.5)), 1.0, false, true), 0.363, 1e-12);
    // MEDIUM exploited: .40 × 1.25 = .5.
    close(finding_risk(finding_base(Severity::Medium, None, None), 1.0, true, false), 0.5, 1e-12);
    // Never above .99.
    close(finding_risk(finding_base(Severity::Critical, Some(10.0), Some(1.0)), 2.0, true, false), 0.99, 0.0);
    assert_eq!(finding_base(Severity::High, Some(f64::NAN), Some(f64::NAN)), 0.70);
    assert_eq!(finding_risk(f64::NAN, 1.0, false, false), 0.0);
}

#[test]
fn attack_success_changes_at_its_bounds() {
    let factor = |rate| finding_base(Severity::Medium, None, Some(rate)) / 0.40;
    for (rate, expected) in
        [(-1.0, 0.8), (0.0, 0.8), (0.099, 0.8), (0.1, 1.0), (0.4, 1.1), (0.749, 1.1), (0.75, 1.25), (1.0, 1.25)]
    {
        close(factor(rate), expected, 1e-12);
    }
}

#[test]
fn combining_by_hand() {
    // 1 − (1 − .7⁴)² = 1 − .7599² = .42255199; ^¼ = .80625…
    close(combined(&[0.7, 0.7]), 0.422_551_99_f64.powf(0.25), 1e-12);
    assert_eq!(combined(&[]), 0.0);
}

#[test]
fn a_hundred_lows_do_not_outrank_a_critical() {
    let low = finding_base(Severity::Low, None, None);
    let mut lows = Combined::default();
    lows.add_many(low, 100);
    assert!(lows.risk() < finding_base(Severity::Critical, None, None));
    assert!(lows.risk() < finding_base(Severity::High, None, None));
    close(lows.risk(), combined(&[low; 100]), 1e-12);
}

#[test]
fn shares_add_up_also_when_rounded() {
    let shares = shares(&[0.9, 0.7, 0.4, 0.0]);
    close(shares.iter().sum(), 100.0 * combined(&[0.9, 0.7, 0.4]), 1e-9);
    assert_eq!(shares[3], 0.0);
    assert_eq!(round_shares(&[33.4, 33.4, 33.2], 0), [34.0, 33.0, 33.0]);
    assert_eq!(super::shares(&[0.0, 0.0]), [0.0, 0.0]);
    assert!(round_shares(&[], 1).is_empty());
}

#[test]
fn the_mean_is_weighted_and_absent_without_assets() {
    assert_eq!(aggregate([]), None);
    // (8 × .9⁴ + 1 × 0) / 9 = .5832; ^¼ = .87388…
    close(aggregate([(0.9, Criticality::Critical), (0.0, Criticality::Low)]).unwrap(), 0.5832_f64.powf(0.25), 1e-12);
}

#[test]
fn inheritance_by_hand() {
    // application 0 exposes agent 1, which uses model 2 (.9) and may call tool 3 (.5); the model was trained on dataset 4 (.8).
    let edges = [
        (0, RelationKind::Exposes, 1),
        (1, RelationKind::UsesModel, 2),
        (1, RelationKind::MayCall, 3),
        (2, RelationKind::TrainedOn, 4),
        (7, RelationKind::MayCall, 0),
    ];
    let result = inherit(&[0.0, 0.0, 0.9, 0.5, 0.8], &edges);
    let [application, agent, model] = [0, 1, 2].map(|i| result[i].clone().unwrap());
    close(agent.risk, 0.9 * 0.8, 1e-12);
    assert_eq!(agent.path, [1, 2]);
    close(application.risk, 0.9 * 0.8 * 0.9, 1e-12);
    assert_eq!(application.path, [0, 1, 2]);
    close(model.risk, 0.8 * 0.6, 1e-12);
    assert_eq!((&result[3], &result[4]), (&None, &None));
}

#[test]
fn nothing_inherits_from_itself_over_a_cycle() {
    let edges = [(0, RelationKind::DelegatesTo, 1), (1, RelationKind::DelegatesTo, 0), (0, RelationKind::DependsOn, 0)];
    let result = inherit(&[0.9, 0.1], &edges);
    close(result[0].clone().unwrap().risk, 0.07, 1e-12);
    assert_eq!(result[1].clone().unwrap().path, [1, 0]);
}

#[test]
fn completeness_tells_fresh_stale_and_unknown() {
    let model = completeness(AssetKind::Model, |id| match id {
        "artifact-scanned" => Some(90),
        "red-teamed" => Some(31),
        _ => None,
    });
    let states: Vec<_> = model.checks.iter().map(|check| (check.id, check.state)).collect();
    use CheckState::{Fresh, Stale, Unknown};
    assert_eq!(
        states,
        [("artifact-scanned", Fresh), ("provenance-known", Unknown), ("red-teamed", Stale), ("owner-known", Unknown)]
    );
    assert_eq!((model.known, model.total), (1, 4));
    assert_eq!(model.ratio(Some(Layer::Model)), Some(1.0 / 3.0));
    assert_eq!(model.ratio(Some(Layer::Runtime)), None);
    assert_eq!(model.checks[2].reason, "Last assessed 31 days ago; a result counts for 30 days.");
}

#[test]
fn every_kind_has_checks_and_none_twice() {
    for kind in AssetKind::ALL {
        let mut ids: Vec<_> = completeness(*kind, |_| None).checks.iter().map(|check| check.id).collect();
        assert!(!ids.is_empty(), "{kind}");
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "{kind}");
    }
}

#[test]
fn the_input_hash_ignores_order_but_not_repetition() {
    assert_eq!(input_hash(["a", "b"]), input_hash(["b", "a"]));
    assert_ne!(input_hash(["a", "b"]), input_hash(["ab"]));
    assert_ne!(input_hash(["a"]), input_hash(["a", "a"]));
    assert_eq!(input_hash::<&str>([]).len(), 32);
}

fn risk() -> impl Strategy<Value = f64> {
    0.0..=constants::MAX_FINDING_RISK
}

fn graph() -> impl Strategy<Value = (Vec<f64>, Vec<(usize, RelationKind, usize)>)> {
    let kind = prop::sample::select(RelationKind::ALL);
    (prop::collection::vec(risk(), 1..8), prop::collection::vec((0..8usize, kind, 0..8usize), 0..24))
}

/// The definition, by trying every simple path.
fn best_by_force(
    own: &[f64],
    edges: &[(usize, RelationKind, usize)],
    at: usize,
    factor: f64,
    seen: &mut Vec<usize>,
) -> f64 {
    let mut best = 0.0_f64;
    seen.push(at);
    for &(from, kind, to) in edges {
        if from == at && to < own.len() && !seen.contains(&to) {
            let factor = factor * constants::attenuation(kind);
            best = best.max(factor * own[to]).max(best_by_force(own, edges, to, factor, seen));
        }
    }
    seen.pop();
    best
}

proptest! {
    #[test]
    fn one_finding_gives_its_own_risk(r in risk()) {
        prop_assert!((combined(&[r]) - r).abs() < 1e-9);
        prop_assert!((risk_of_weight(weight(r)) - r).abs() < 1e-9);
    }

    #[test]
    fn bounded_and_monotone(risks in prop::collection::vec(risk(), 0..200), more in risk()) {
        let before = combined(&risks);
        let after = combined(&[risks.as_slice(), &[more]].concat());
        prop_assert!((0.0..=1.0).contains(&before));
        prop_assert!(after >= before - 1e-12 && after >= more - 1e-9);
    }

    #[test]
    fn order_does_not_matter(risks in prop::collection::vec(risk(), 0..50).prop_shuffle(), mut sorted in Just(Vec::<f64>::new())) {
        sorted.extend(&risks);
        sorted.sort_by(f64::total_cmp);
        prop_assert!((combined(&risks) - combined(&sorted)).abs() < 1e-9);
    }

    #[test]
    fn additive_in_weight_space(a in prop::collection::vec(risk(), 0..20), b in prop::collection::vec(risk(), 0..20)) {
        let weight = |risks: &[f64]| risks.iter().copied().collect::<Combined>().weight();
        prop_assert!((weight(&[a.clone(), b.clone()].concat()) - weight(&a) - weight(&b)).abs() < 1e-9);
    }

    #[test]
    fn removing_undoes_adding(risks in prop::collection::vec(risk(), 0..50), other in risk()) {
        let before: Combined = risks.iter().copied().collect();
        let mut after = before;
        after.add(other);
        after.remove(other);
        prop_assert!((after.risk() - before.risk()).abs() < 1e-6);
    }

    #[test]
    fn a_finding_stays_in_bounds_and_follows_its_inputs(score in 0.0..=10.0, better in 0.0..=10.0, rate in prop::option::of(0.0..=1.0), factor in 0.0..=3.0, exploited: bool, compensated: bool) {
        let of = |score| finding_risk(finding_base(Severity::Low, Some(score), rate), factor, exploited, compensated);
        prop_assert!((0.0..=constants::MAX_FINDING_RISK).contains(&of(score)));
        prop_assert!((of(score) >= of(better)) || score < better);
    }

    #[test]
    fn shares_always_add_up(risks in prop::collection::vec(risk(), 1..30), decimals in 0u8..4) {
        let shares = shares(&risks);
        let total: f64 = shares.iter().sum();
        prop_assert!((total - 100.0 * combined(&risks)).abs() < 1e-6);
        let scale = 10f64.powi(decimals.into());
        let rounded: f64 = round_shares(&shares, decimals).iter().sum();
        prop_assert!((rounded - (total * scale).round() / scale).abs() < 1e-6);
    }

    #[test]
    fn the_mean_lies_between_best_and_worst(assets in prop::collection::vec((risk(), prop::sample::select(Criticality::ALL)), 1..30)) {
        let mean = aggregate(assets.iter().copied()).unwrap();
        let worst = assets.iter().map(|a| a.0).fold(0.0, f64::max);
        let best = assets.iter().map(|a| a.0).fold(1.0, f64::min);
        prop_assert!(mean <= worst + 1e-9 && mean >= best - 1e-9);
    }

    #[test]
    fn inheritance_is_the_best_path((own, edges) in graph()) {
        let result = inherit(&own, &edges);
        for (node, inherited) in result.iter().enumerate() {
            let expected = best_by_force(&own, &edges, node, 1.0, &mut Vec::new());
            prop_assert!((inherited.as_ref().map_or(0.0, |i| i.risk) - expected).abs() < 1e-12);
            if let Some(Inherited { risk, path }) = inherited {
                prop_assert_eq!(path[0], node);
                prop_assert!(path.len() >= 2 && *risk <= own[path[path.len() - 1]]);
            }
        }
    }
}
