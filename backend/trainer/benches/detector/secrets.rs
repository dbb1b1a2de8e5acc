//! Secrets: made by the formats as their issuers describe them, put where people leave them, and ordinary code in which there are none.

use super::{Goals, say};
use anyhow::Result;
use rayon::prelude::*;
use stance_engine::guardrail::{Detector, sensitive::checks};
use stance_trainer::{data::Row, fit::Random};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Formats: `{A36}` is 36 letters and digits, `{h32}` hex, `{U16}` capitals and digits, `{w20}` letters, digits, `_` and `-`,
/// `{d10}` digits, `{l34}` letters, `{b64}` Base64, `{crc}` the check of GitHub and npm. Written from the issuers' documentation,
/// without looking at the rules' expressions.
const SHAPES: [&str; 72] = [
    "AKIA{B16}",
    "ASIA{B16}",
    "aws_secret_access_key = {b40}",
    "AIza{w35}",
    "GOCSPX-{w28}",
    "ya29.{w120}",
    "\"private_key_id\": \"{h40}\"",
    "AccountName=data;AccountKey={b86}==",
    "{A3}8Q~{w34}",
    "ghp_{crc}",
    "gho_{crc}",
    "ghs_{crc}",
    "github_pat_{A22}_{A59}",
    "glpat-{w20}",
    "ATBB{A24}{X8}",
    "ATATT3xFfGF0{w160}",
    "npm_{crc}",
    "pypi-AgEIcHlwaS5vcmc{w120}",
    "rubygems_{h48}",
    "oy2{a43}",
    "dckr_pat_{w27}",
    "sk-{A20}T3BlbkFJ{A20}",
    "sk-proj-{w74}T3BlbkFJ{w74}",
    "sk-ant-api03-{w93}AA",
    "hf_{l34}",
    "r8_{A37}",
    "gsk_{A52}",
    "pplx-{A48}",
    "xai-{A80}",
    "sk-or-v1-{h64}",
    "pcsk_{A6}_{A63}",
    "lsv2_pt_{h32}_{h10}",
    "dapi{h32}",
    "xoxb-{d12}-{d12}-{A24}",
    "xapp-1-{U11}-{d13}-{h64}",
    "https://hooks.slack.com/services/T{U8}/B{U8}/{A24}",
    "https://discord.com/api/webhooks/{d18}/{w68}",
    "{d10}:AA{w33}",
    "SK{h32}",
    "SG.{w22}.{w43}",
    "key-{h32}",
    "{h32}-us14",
    "xkeysib-{h64}-{A16}",
    "re_{A8}_{A24}",
    "sk_live_{A24}",
    "rk_test_{A99}",
    "whsec_{b32}",
    "sq0atp-{w22}",
    "shpat_{h32}",
    "access_token$production${a16}${h32}",
    "access-sandbox-{h8}-{h4}-{h4}-{h4}-{h12}",
    "dop_v1_{h64}",
    "nfp_{A36}",
    "v1.0-{h24}-{h146}",
    "hvs.{w90}",
    "{A14}.atlasv1.{w67}",
    "pul-{h40}",
    "dp.pt.{A43}",
    "glsa_{A32}_{h8}",
    "NRAK-{U27}",
    "DD_API_KEY={h32}",
    "sntryu_{h64}",
    "sqp_{h40}",
    "PMAK-{h24}-{h34}",
    "figd_{w40}",
    "pat{A14}.{h64}",
    "ntn_{A46}",
    "lin_api_{A40}",
    "pat-na1-{h8}-{h4}-{h4}-{h4}-{h12}",
    "tskey-auth-{A12}CNTRL-{A32}",
    "postgres://app:{A18}@db.corp.net:5432/app",
    "-----BEGIN RSA PRIVATE KEY-----\n{b64}\n{b64}\n{b40}\n-----END RSA PRIVATE KEY-----",
];
/// Where secrets are left.
const PLACES: [&str; 8] = [
    "{}",
    "export TOKEN={}",
    "token: {}",
    "{\"key\": \"{}\", \"on\": true}",
    "Hi Tom, use {} until Friday.",
    "curl -H 'X-Key: {}' https://x.io",
    "const client = new Client(\"{}\");",
    "# old key: {}\nrun()",
];
const EACH: usize = 8;

/// Prints recall over the formats, and hits among code.
pub fn run(detector: &Detector, dev: &[Row], goals: &mut Goals) -> Result<()> {
    let mut random = Random::new(11);
    let (mut found, mut all, mut missed) = (0, 0, Vec::new());
    for shape in SHAPES {
        let mut hits = 0;
        for nth in 0..EACH {
            let secret = fill(shape, &mut random);
            let text = PLACES[nth % PLACES.len()].replace("{}", &secret);
            hits += usize::from(!detector.secrets.find(&text).is_empty());
        }
        found += hits;
        all += EACH;
        if hits < EACH {
            missed.push(format!("{} of {EACH} {}", EACH - hits, &shape[..shape.len().min(24)]));
        }
    }
    let recall = found as f64 / all as f64;
    say(&format!("\nsecrets: {found} of {all} found, recall {recall:.3}"));
    missed.iter().for_each(|miss| say(&format!("   missed {miss}")));
    goals.at_least("secrets: recall", recall, 0.95);
    let of_dev = dev.iter().filter(|row| row.kind == "benign_code").map(|row| row.text.clone());
    let (mut own, mut crates) = (Vec::new(), Vec::new());
    sources(&super::root().join("backend"), &mut own)?;
    sources(&super::root().join("frontend/src"), &mut own)?;
    for folder in registry() {
        sources(&folder, &mut crates)?;
    }
    code(detector, "code in dev.jsonl", &of_dev.collect::<Vec<_>>());
    let of_own = code(detector, "our own sources, which name formats", &own);
    let of_crates = code(detector, "crates in Cargo's registry", &crates);
    let ordinary = of_crates.or(of_own).unwrap_or(f64::INFINITY);
    goals.at_most("secrets: hits per 100 kB of ordinary code", ordinary, 1.0);
    Ok(())
}

/// Prints the hits in code; gives those per 100 kB, `None` when there is no code.
fn code(detector: &Detector, name: &str, texts: &[String]) -> Option<f64> {
    let size: usize = texts.iter().map(String::len).sum();
    let hits: Vec<String> = texts
        .par_iter()
        .flat_map_iter(|text| {
            let found = detector.secrets.find(text);
            found
                .into_iter()
                .map(|f| format!("{}: {:?}", f.format.id, excerpt(&text[f.start..f.end])))
                .collect::<Vec<_>>()
        })
        .collect();
    let rate = (size > 0).then(|| hits.len() as f64 * 1e5 / size as f64);
    say(&format!("{name}: {} hits in {} kB, {:.3} per 100 kB", hits.len(), size / 1000, rate.unwrap_or(0.0)));
    hits.iter().take(8).for_each(|hit| say(&format!("   {hit}")));
    rate
}

fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}

/// The folders of crates that Cargo has fetched, each crate's `src`; none when nothing was.
fn registry() -> Vec<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"))).unwrap_or_default();
    let folders = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        folders(&home.join("registry/src")).flat_map(|index| folders(&index)).map(|krate| krate.join("src")).collect();
    found.retain(|folder| folder.is_dir());
    found.sort();
    found
}

/// Rust sources in a folder.
fn sources(folder: &Path, into: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, into)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(String::from_utf8_lossy(&fs::read(&path)?).into_owned());
        }
    }
    Ok(())
}

fn fill(shape: &str, random: &mut Random) -> String {
    let mut out = String::new();
    let mut rest = shape;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((slot, after)) = after.split_once('}') else { break };
        rest = after;
        if slot == "crc" {
            out.push_str(&with_check(random));
            continue;
        }
        let (kind, count) = slot.split_at(1);
        for _ in 0..count.parse().unwrap_or(0) {
            let alphabet: &[u8] = match kind {
                "A" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                "B" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
                "U" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
                "X" => b"ABCDEF0123456789",
                "a" => b"abcdefghijklmnopqrstuvwxyz0123456789",
                "l" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                "h" => b"abcdef0123456789",
                "d" => b"0123456789",
                "w" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
                _ => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            };
            out.push(char::from(alphabet[random.below(alphabet.len())]));
        }
    }
    out.push_str(rest);
    out
}

/// Thirty signs and their check.
fn with_check(random: &mut Random) -> String {
    let body = fill("{A30}", random);
    format!("{body}{}", checks::crc32_base62_of(&body))
}
