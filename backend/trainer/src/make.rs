//! From texts to weights, the same bytes every time.

use crate::{
    data::{self, Example, Row},
    evaluate,
    fit::SETTINGS,
    grammar::Grammar,
    mix,
    rotate::{self, Fold, Parts},
};
use anyhow::{Result, anyhow};
use stance_engine::guardrail::{
    lexicon::Lexicon,
    model::{Model, Table},
    rules::Rules,
    text::KnownWords,
};
use std::path::Path;

/// Texts that our own generators make, before doubles are dropped, and their seed.
const OWN: (usize, u64) = (40_000, 7);
/// Named by every detection of the model: change it when the weights change.
pub const VERSION: &str = "2026-11-23";

/// The engine's data that a model is made for.
pub struct Engine {
    pub lexicon: Lexicon,
    pub rules: Rules,
}

impl Engine {
    /// Reads the data in `folder`, the engine's `guardrail/data`.
    ///
    /// # Errors
    /// When a file is missing or wrong.
    pub fn open(folder: &Path) -> Result<Self> {
        let read = |name: &str| std::fs::read_to_string(folder.join(name));
        let lexicon = Lexicon::parse(&read("lexicon.toml")?).map_err(|error| anyhow!("lexicon.toml: {error}"))?;
        let rules = Rules::parse(&read("rules.toml")?, &lexicon).map_err(|error| anyhow!("rules.toml: {error}"))?;
        Ok(Self { lexicon, rules })
    }
}

/// All texts as the model sees them.
pub struct Corpus {
    pub known: KnownWords,
    pub train: Vec<Example>,
    pub held: Vec<Example>,
    pub own: Vec<Example>,
}

impl Corpus {
    /// Reads `train.jsonl` and `dev.jsonl` of a folder and makes our own texts.
    ///
    /// # Errors
    /// When a file is missing or a line is wrong.
    pub fn open(folder: &Path, engine: &Engine) -> Result<Self> {
        let train = data::read(&folder.join("train.jsonl"))?;
        let held = data::read(&folder.join("dev.jsonl"))?;
        let own = Grammar::own().rows(OWN.0, OWN.1);
        let known = data::known_words(&train);
        let examples = |rows: &[Row]| data::examples(rows, &engine.lexicon, &engine.rules, &known);
        let (train, held, own) = (examples(&train), examples(&held), examples(&own));
        Ok(Self { known, train, held, own })
    }

    /// The rotation over the held-out groups.
    pub fn rotate(&self, told: impl Fn(&str) + Sync) -> Vec<Fold<'_>> {
        rotate::rotate(&self.train, &self.held, &self.own, told)
    }
}

/// The weights: mixed and calibrated on the rotation's scores, fitted on all of `train` and our own texts.
#[must_use]
pub fn model(corpus: &Corpus, folds: &[Fold<'_>], engine: &Engine) -> Model {
    let scored = || folds.iter().flat_map(|fold| &fold.scored);
    let mix = mix::fit(&scored().collect::<Vec<_>>(), &engine.rules);
    let sums: Vec<(f32, bool)> = scored()
        .filter(|one| !one.example.source.starts_with("encoded"))
        .map(|one| (rotate::sum(one, &mix, &engine.rules), one.example.attack))
        .collect();
    let parts = Parts::fit(&corpus.train.iter().chain(&corpus.own).collect::<Vec<_>>());
    let table = |part: usize| Table::of(SETTINGS[part].bits, parts.0[part].bias, &parts.0[part].weights);
    Model {
        version: VERSION.to_owned(),
        known: corpus.known.clone(),
        parts: std::array::from_fn(table),
        scale: scale(&sums),
        mix,
    }
}

/// Scores for sums: the shares of harmless texts of unseen sources that reach them. One in a hundred reaches [`FLAG`], one in a thousand
/// [`BLOCK`].
///
/// [`FLAG`]: stance_engine::guardrail::FLAG
/// [`BLOCK`]: stance_engine::guardrail::BLOCK
#[must_use]
pub fn scale(sums: &[(f32, bool)]) -> Vec<(f32, f32)> {
    let at = |share: f64| evaluate::threshold(sums, share);
    let most = sums.iter().map(|s| s.0).fold(f32::MIN, f32::max);
    let least = sums.iter().map(|s| s.0).fold(f32::MAX, f32::min);
    let mut points = vec![
        (least, 0.0),
        (at(0.5), 0.05),
        (at(0.2), 0.15),
        (at(0.05), 0.3),
        (at(0.01), stance_engine::guardrail::FLAG),
        (at(0.001), stance_engine::guardrail::BLOCK),
        (most.max(at(0.001) + 1.0), 1.0),
    ];
    points.dedup_by(|b, a| b.0 <= a.0);
    points
}
