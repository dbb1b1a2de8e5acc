//! How well the guardrail does, beside the goals. Run by `cargo xtask bench detector`; the texts lie in `../shared/detect`.

mod goals;
mod secrets;

use anyhow::{Context as _, Result, anyhow, ensure};
use goals::Goals;
use rayon::prelude::*;
use serde::Deserialize;
use stance_engine::guardrail::Detector;
use stance_shared::Channel;
use stance_trainer::{
    data::{self, Row},
    evaluate::{auc, false_positives, recall, threshold},
    make::{Corpus, Engine, Texts},
    rotate,
};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};

type Scores = Vec<(f32, bool)>;

fn main() -> Result<()> {
    let texts = root().join("../shared/detect");
    if !texts.join("dev.jsonl").is_file() {
        say(&format!("skipped: {} is not there", texts.display()));
        return Ok(());
    }
    let begin = Instant::now();
    let mut goals = Goals::default();
    let detector = Detector::new().map_err(|error| anyhow!(error))?;
    say(&format!("weights {}", detector.model.version));
    let dev = data::read(&texts.join("dev.jsonl"))?;
    development(&detector, &dev, &mut goals);
    latency(&detector, &dev, &mut goals)?;
    let weights = root().join("backend/engine/src/guardrail/data/weights.bin").metadata()?.len();
    goals.at_most("size of the weights, MB", weights as f64 / 1e6, 5.0);
    personal(&detector, &texts.join("pii.jsonl"), &mut goals)?;
    secrets::run(&detector, &dev, &mut goals)?;
    say(&format!(
        "\n{:.0} s up to here; now the model is fitted once for each group of sources",
        begin.elapsed().as_secs_f64()
    ));
    rotation(&texts, &mut goals)?;
    goals.print();
    say(&format!("{:.0} s in all", begin.elapsed().as_secs_f64()));
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Writes a line; a closed pipe is no error.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// The whole engine with the committed weights, every text as user input: the channel is not told either.
fn development(detector: &Detector, dev: &[Row], goals: &mut Goals) {
    let scores: Scores =
        dev.par_iter().map(|row| (detector.inspect(&row.text, Channel::UserInput).score, row.is_attack())).collect();
    say("dev.jsonl, sources that were learned from      AUC   recall at 1 %   at 0.1 % false positives");
    line("all", &scores, &scores);
    let at_one = threshold(&scores, 0.01);
    goals.at_least("dev: recall at 1 % false positives", recall(&scores, at_one), 0.93);
    let flagged = false_positives(&scores, stance_engine::guardrail::FLAG);
    say(&format!(
        "{:<44} {:>5.2} % of harmless texts, {:.3} of attacks",
        "flagged at the fixed threshold",
        flagged * 100.0,
        recall(&scores, stance_engine::guardrail::FLAG)
    ));
    for (name, of) in
        [("kind", (|row: &Row| row.kind.clone()) as fn(&Row) -> String), ("language", |row| row.language.clone())]
    {
        let mut groups: BTreeMap<String, Scores> = BTreeMap::new();
        for (row, score) in dev.iter().zip(&scores) {
            groups.entry(of(row)).or_default().push(*score);
        }
        for (group, own) in groups {
            line(&format!("{name} {group}"), &own, &scores);
            match group.as_str() {
                "encoding" => goals.at_least("dev: encoded attacks at 1 %", recall(&own, at_one), 0.95),
                "tool_poisoning" => goals.at_least("dev: tool poisoning at 1 %", recall(&own, at_one), 0.65),
                _ => {}
            }
        }
    }
}

/// A group's figures at the thresholds of all.
fn line(name: &str, own: &Scores, all: &Scores) {
    let (one, tenth) = (threshold(all, 0.01), threshold(all, 0.001));
    let attacks = own.iter().filter(|s| s.1).count();
    let mut text = format!("{name:<28} {:>6} texts   ", own.len());
    let _ = match (attacks, own.len() - attacks) {
        (0, _) => write!(text, "false positives {:.4}, {:.4}", false_positives(own, one), false_positives(own, tenth)),
        (_, 0) => write!(text, "       {:.3}           {:.3}", recall(own, one), recall(own, tenth)),
        _ => write!(text, "{:.4}   {:.3}           {:.3}", auc(own), recall(own, one), recall(own, tenth)),
    };
    say(&text);
}

/// How often each piece is read. Its best time counts: what else runs on the machine is not the detector's time.
const ROUNDS: usize = 7;

/// Pieces of 1 and 8 KB of attacks and harmless texts one after the other.
fn latency(detector: &Detector, dev: &[Row], goals: &mut Goals) -> Result<()> {
    say("\none core, best of 7 rounds         p50        p99");
    let all: String = dev.iter().flat_map(|row| [row.text.as_str(), "\n"]).collect();
    for (name, size, count) in [("1 KB", 1024, 1500), ("8 KB", 8192, 180)] {
        let pieces = pieces(&all, size);
        ensure!(pieces.len() >= count, "too few texts");
        let mut micros = vec![f64::MAX; count];
        for _ in 0..ROUNDS {
            for (best, piece) in micros.iter_mut().zip(&pieces) {
                let begin = Instant::now();
                let report = detector.inspect(piece, Channel::UserInput);
                *best = best.min(begin.elapsed().as_secs_f64() * 1e6);
                ensure!(report.score.is_finite(), "no score");
            }
        }
        micros.sort_by(f64::total_cmp);
        let quantile = |q: f64| micros[((micros.len() - 1) as f64 * q) as usize];
        say(&format!("{name:<24} {:>9.0} µs {:>7.0} µs", quantile(0.5), quantile(0.99)));
        if size == 1024 {
            goals.at_most("p99 of 1 KB, ms", quantile(0.99) / 1e3, 1.0);
        }
    }
    Ok(())
}

/// A text in pieces of at most so many bytes.
fn pieces(mut text: &str, size: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let (piece, rest) = text.split_at(text.floor_char_boundary(size));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

#[derive(Deserialize)]
struct Sentence {
    text: String,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    #[serde(rename = "type")]
    kind: String,
    start: usize,
    end: usize,
}

/// Spans that agree exactly, per type; the data counts in characters.
fn personal(detector: &Detector, path: &Path, goals: &mut Goals) -> Result<()> {
    const KINDS: [(&str, &[&str]); 8] = [
        ("EMAIL_ADDRESS", &["EMAIL"]),
        ("CREDIT_CARD", &["CARD"]),
        ("IBAN_CODE", &["IBAN"]),
        ("PHONE_NUMBER", &["PHONE"]),
        ("US_SSN", &["NATIONAL_ID"]),
        ("IP_ADDRESS", &["IP"]),
        ("PERSON", &["NAME"]),
        ("STREET_ADDRESS", &["ADDRESS"]),
    ];
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let sentence: Sentence = serde_json::from_str(line).context("pii.jsonl")?;
        let bytes: Vec<usize> = sentence.text.char_indices().map(|(at, _)| at).chain([sentence.text.len()]).collect();
        let found = detector.personal.find(&sentence.text);
        for (kind, labels) in KINDS {
            let found: Vec<(usize, usize)> =
                found.iter().filter(|f| labels.contains(&f.format.label.as_str())).map(|f| (f.start, f.end)).collect();
            let wanted: Vec<(usize, usize)> =
                sentence.spans.iter().filter(|s| s.kind == kind).map(|s| (bytes[s.start], bytes[s.end])).collect();
            let right = found.iter().filter(|span| wanted.contains(span)).count();
            let [all_right, all_found, all_wanted] = counts.entry(kind).or_default();
            *all_right += right;
            *all_found += found.len();
            *all_wanted += wanted.len();
        }
    }
    say("\npii.jsonl, exact spans   precision   recall      F1   spans");
    for (kind, [right, found, wanted]) in counts {
        let share = |n: usize| right as f64 / n.max(1) as f64;
        let (precision, recall) = (share(found), share(wanted));
        let f1 = 2.0 * precision * recall / (precision + recall).max(1e-9);
        say(&format!("{kind:<24} {precision:>9.3} {recall:>8.3} {f1:>7.3} {wanted:>7}"));
        if ["EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE", "PHONE_NUMBER"].contains(&kind) {
            goals.at_least(&format!("pii: F1 of {kind}"), f1, 0.95);
        }
    }
    Ok(())
}

/// Sources that were held out of training by rotation: their scores come from parts, and from a mix of the parts, that never saw them.
fn rotation(texts: &Path, goals: &mut Goals) -> Result<()> {
    let begin = Instant::now();
    let engine = Engine::open(&root().join("backend/engine/src/guardrail/data"))?;
    let corpus = Corpus::of(&Texts::open(texts)?, &engine);
    say(&format!("{:.0} s to read the texts", begin.elapsed().as_secs_f64()));
    let trials = corpus.trials(|_| ());
    let folds = &trials.folds;
    say(&format!("{:.0} s until {} models are fitted", begin.elapsed().as_secs_f64(), folds.len() + rotate::KNOWN));
    let scores = trials.sums(&engine.rules);
    let plain = || folds.iter().zip(&scores).filter(|(fold, _)| fold.is_natural());
    let pooled: Scores = plain().flat_map(|(_, scores)| scores.iter().copied()).collect();
    say("\nsources held out by rotation                   AUC   recall at 1 %   at 0.1 %");
    line("all", &pooled, &pooled);
    goals.at_least("held-out sources: AUC", auc(&pooled), 0.93);
    for (share, goal) in [(0.01, 0.55), (0.001, 0.30)] {
        let name = format!("held-out sources: recall at {} %", share * 100.0);
        goals.at_least(&name, recall(&pooled, threshold(&pooled, share)), goal);
    }
    let mut sources: BTreeMap<&str, Scores> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, Scores> = BTreeMap::new();
    for (fold, scores) in folds.iter().zip(&scores).filter(|(fold, _)| fold.is_natural() || fold.group == ["encoded"]) {
        for (one, score) in fold.scored.iter().zip(scores) {
            sources.entry(&one.example.source).or_default().push(*score);
            kinds.entry(&one.example.kind).or_default().push(*score);
        }
    }
    kinds.iter().for_each(|(kind, own)| line(&format!("kind {kind}"), own, &pooled));
    sources.iter().for_each(|(source, own)| line(source, own, &pooled));
    // For each group the threshold that gives 1 % on the others.
    let (mut reached, mut harmless, mut hit, mut attacks) = (0_usize, 0_usize, 0_usize, 0_usize);
    for (fold, own) in plain() {
        let others: Scores = plain()
            .filter(|(other, _)| other.group != fold.group)
            .flat_map(|(_, scores)| scores.iter().copied())
            .collect();
        let fixed = threshold(&others, 0.01);
        for (score, attack) in own {
            let counts = if *attack { (&mut hit, &mut attacks) } else { (&mut reached, &mut harmless) };
            *counts.0 += usize::from(*score >= fixed);
            *counts.1 += 1;
        }
    }
    let reached = reached as f64 * 100.0 / harmless.max(1) as f64;
    let hit = hit as f64 / attacks.max(1) as f64;
    say(&format!("threshold fixed beforehand for 1 %: {reached:.2} % of harmless texts, {hit:.3} of attacks"));
    goals.at_most("held-out sources: % over the fixed threshold", reached, 1.5);
    Ok(())
}
