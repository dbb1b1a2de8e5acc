//! From texts to weights, the same bytes every time.

use crate::{
    data::{self, Example, Row},
    evaluate,
    fit::SETTINGS,
    grammar::Grammar,
    rotate::{self, Parts, Trials},
};
use anyhow::{Result, anyhow};
use sha2::{Digest as _, Sha256};
use stance_engine::guardrail::{
    lexicon::Lexicon,
    model::{Model, Table},
    rules::Rules,
    text::KnownWords,
};
use std::path::Path;

/// Texts that our own generators make, before doubles are dropped, and their seed.
const OWN: (usize, u64) = (40_000, 7);
/// The first part of the version that every detection of the model names; the second says what the weights were made from.
const DAY: &str = "2026-11-24";
/// The model in small, by which a change of the code is seen, is made from one text in so many.
const SAMPLE: usize = 80;

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

/// All texts.
pub struct Texts {
    pub train: Vec<Row>,
    pub held: Vec<Row>,
    pub own: Vec<Row>,
}

impl Texts {
    /// Reads `train.jsonl` and `dev.jsonl` of a folder and makes our own texts.
    ///
    /// # Errors
    /// When a file is missing or a line is wrong.
    pub fn open(folder: &Path) -> Result<Self> {
        Ok(Self {
            train: data::read(&folder.join("train.jsonl"))?,
            held: data::read(&folder.join("dev.jsonl"))?,
            own: Grammar::own().rows(OWN.0, OWN.1),
        })
    }

    /// The version of the weights that these texts and this code make: the day, and twelve digits of a SHA-256 over all texts and over a
    /// small model that the same code makes from a few of them. Seconds instead of the minutes that the weights themselves take. What
    /// changes no result, such as a comment, does not change it; nor does what shows in none of those few texts.
    #[must_use]
    pub fn version(&self, engine: &Engine) -> String {
        let mut hash = Sha256::new();
        for row in self.train.iter().chain(&self.held).chain(&self.own) {
            let label = if row.is_attack() { "attack" } else { "benign" };
            for field in [row.text.as_str(), &row.kind, &row.source, label] {
                hash.update(field.len().to_le_bytes());
                hash.update(field);
            }
        }
        let few = |rows: &[Row]| rows.iter().step_by(SAMPLE).cloned().collect::<Vec<_>>();
        let few = Self { train: few(&self.train), held: few(&self.held), own: few(&self.own) };
        let corpus = Corpus::of(&few, engine);
        hash.update(model(&corpus, &corpus.trials(|_| ()), engine, String::new()).to_bytes());
        format!("{DAY}.{}", &hex::encode(hash.finalize())[..12])
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
    /// The features of texts.
    #[must_use]
    pub fn of(texts: &Texts, engine: &Engine) -> Self {
        let known = data::known_words(&texts.train);
        let examples = |rows: &[Row]| data::examples(rows, &engine.lexicon, &engine.rules, &known);
        let (train, held, own) = (examples(&texts.train), examples(&texts.held), examples(&texts.own));
        Self { known, train, held, own }
    }

    /// The rotation over the held-out groups, and texts held out of groups that are known.
    pub fn trials(&self, told: impl Fn(&str) + Sync) -> Trials<'_> {
        let folds = rotate::rotate(&self.train, &self.held, &self.own, told);
        Trials { folds, known: rotate::known(&self.train, &self.own) }
    }
}

/// The weights: mixed and calibrated on the trials' scores, fitted on all of `train` and our own texts.
#[must_use]
pub fn model(corpus: &Corpus, trials: &Trials<'_>, engine: &Engine, version: String) -> Model {
    let mix = trials.mix(&engine.rules);
    let sums = trials.folds.iter().zip(trials.sums(&engine.rules)).filter(|(fold, _)| fold.is_natural());
    let sums: Vec<(f32, bool)> = sums.flat_map(|(_, sums)| sums).collect();
    let parts = Parts::fit(&corpus.train.iter().chain(&corpus.own).collect::<Vec<_>>());
    let table = |part: usize| Table::of(SETTINGS[part].bits, parts.0[part].bias, &parts.0[part].weights);
    Model { version, known: corpus.known.clone(), parts: std::array::from_fn(table), scale: scale(&sums), mix }
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
