use anyhow::Result;
use stance_engine::guardrail::{lexicon::Lexicon, model::features::Grouped};
use stance_trainer::{data::{self, Example}, evaluate, fit::{self, Settings}, rotate};
use std::{collections::BTreeMap, path::Path, time::Instant};

fn main() -> Result<()> {
    let t = Instant::now();
    let args: Vec<String> = std::env::args().collect();
    let get = |k: &str, d: f32| args.iter().find_map(|a| a.strip_prefix(&format!("{k}="))).and_then(|v| v.parse().ok()).unwrap_or(d);
    let src = std::fs::read_to_string("backend/engine/src/guardrail/data/lexicon.toml")?;
    let lexicon = Lexicon::parse(&src).map_err(|e| anyhow::anyhow!(e))?;
    let shared = Path::new("/work/shared/detect");
    let train = data::read(&shared.join("train.jsonl"))?;
    let dev = data::read(&shared.join("dev.jsonl"))?;
    let known = data::known_words(&train, &[]);
    let ex = data::examples(&train, &lexicon, &known);
    let dx = data::examples(&dev, &lexicon, &known);
    let own = stance_trainer::grammar::Grammar::own().rows(get("own", 20000.0) as usize, 7);
    if get("show", 0.0) > 0.0 { for r in own.iter().step_by(own.len() / 150) { println!("{:?} {} {:?}", r.label, r.source, r.text); } return Ok(()); }
    let ox = data::examples(&own, &lexicon, &known);
    eprintln!("own {} features {:?}", own.len(), t.elapsed());
    let gs = Settings { bits: get("bits", 19.0) as u32, epochs: get("ep", 4.0) as usize, rate: get("rate", 0.05), decay: get("decay", 1e-5), dropout: get("drop", 0.3), seed: 1 };
    let cs = Settings { bits: 16, epochs: get("cep", 4.0) as usize, rate: get("crate", 0.05), decay: get("cdecay", 1e-4), dropout: get("cdrop", 0.1), seed: 2 };
    let power = get("power", 0.5);
    let mix = get("mix", 1.0);
    let all: Vec<&Example> = ex.iter().chain(&dx).collect();
    let mut pooled: [Vec<(f32, bool)>; 3] = Default::default();
    let mut per_fold: Vec<Vec<(f32, bool)>> = Vec::new();
    let mut per_source: BTreeMap<String, Vec<(f32, bool)>> = BTreeMap::new();
    for group in rotate::GROUPS {
        let t = Instant::now();
        let tr: Vec<&Example> = ex.iter().filter(|e| !group.contains(&e.source.as_str()) && !e.source.starts_with("encoded")).chain(&ox).collect();
        let w = balance(&tr, power);
        let g = fit::fit(&tr, &w, |e: &Example| -> &Grouped { &e.features.grams }, gs);
        let c = fit::fit(&tr, &w, |e: &Example| -> &Grouped { &e.features.concepts }, cs);
        let mut fold = Vec::new();
        for e in all.iter().filter(|e| group.contains(&e.source.as_str())) {
            let (a, b) = (g.score(&e.features.grams), c.score(&e.features.concepts));
            let s = a + mix * b;
            for (p, s) in pooled.iter_mut().zip([a, b, s]) { p.push((s, e.attack)); }
            fold.push((s, e.attack));
            per_source.entry(e.source.clone()).or_default().push((s, e.attack));
        }
        println!("{:<40} auc {:.3} r@1 {:.3} n {} {:?}", group[0], evaluate::auc(&fold), evaluate::recall(&fold, evaluate::threshold(&fold, 0.01)), fold.len(), t.elapsed());
        per_fold.push(fold);
    }
    for (name, p) in ["grams", "concepts", "sum"].iter().zip(&pooled) {
        println!("{name:<10} POOLED auc {:.4} r@1 {:.3} r@.1 {:.3}", evaluate::auc(p), evaluate::recall(p, evaluate::threshold(p, 0.01)), evaluate::recall(p, evaluate::threshold(p, 0.001)));
    }
    let th = evaluate::threshold(&pooled[2], 0.01);
    for (s, v) in &per_source {
        let att = v.iter().any(|x| x.1); let ben = v.iter().any(|x| !x.1);
        println!("   {s:<36} {} {}", if att { format!("recall {:.3}", evaluate::recall(v, th)) } else { "            ".into() }, if ben { format!("fp {:.4}", evaluate::false_positives(v, th)) } else { String::new() });
    }
    if get("dev", 0.0) > 0.0 {
        let tr: Vec<&Example> = ex.iter().chain(&ox).collect();
        let w = balance(&tr, power);
        let g = fit::fit(&tr, &w, |e: &Example| -> &Grouped { &e.features.grams }, gs);
        let c = fit::fit(&tr, &w, |e: &Example| -> &Grouped { &e.features.concepts }, cs);
        let s: Vec<_> = dx.iter().map(|e| (g.score(&e.features.grams) + mix * c.score(&e.features.concepts), e.attack)).collect();
        let th = evaluate::threshold(&s, 0.01);
        println!("DEV auc {:.4} r@1 {:.3} r@.1 {:.3}", evaluate::auc(&s), evaluate::recall(&s, th), evaluate::recall(&s, evaluate::threshold(&s, 0.001)));
        let mut kinds: BTreeMap<&str, Vec<(f32, bool)>> = BTreeMap::new();
        for (e, s) in dx.iter().zip(&s) { kinds.entry(&e.kind).or_default().push(*s); }
        for (k, v) in kinds { println!("   {k:<20} recall {:.3} fp {:.4} n {}", evaluate::recall(&v, th), evaluate::false_positives(&v, th), v.len()); }
    }
    Ok(())
}

fn balance(tr: &[&Example], power: f32) -> Vec<f32> {
    let mut n: BTreeMap<(&str, bool), f32> = BTreeMap::new();
    for e in tr { *n.entry((&e.source, e.attack)).or_default() += 1.0; }
    let mut class = [0.0_f32; 2];
    for ((_, a), c) in &n { class[usize::from(*a)] += c.powf(power); }
    let total = tr.len() as f32 / 2.0;
    tr.iter().map(|e| { let c = n[&(e.source.as_str(), e.attack)]; c.powf(power - 1.0) * total / class[usize::from(e.attack)] }).collect()
}
