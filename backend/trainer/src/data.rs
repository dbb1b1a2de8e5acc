//! Texts to learn from: the data card's rows and the generators' own.

use crate::fit::SETTINGS;
use anyhow::{Context as _, Result};
use rayon::prelude::*;
use serde::Deserialize;
use stance_engine::guardrail::{
    lexicon::Lexicon,
    model::{
        LISTS,
        features::{Features, features},
        places,
    },
    rules::Rules,
    text::KnownWords,
};
use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

/// A text and what is known about it.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    pub text: String,
    pub label: Label,
    pub kind: String,
    pub source: String,
    pub language: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    Attack,
    Benign,
}

impl Row {
    #[must_use]
    pub fn is_attack(&self) -> bool {
        self.label == Label::Attack
    }

    /// An organization's own prompt is trusted: nothing is detected in it, so it counts nowhere.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.kind != "system_prompt"
    }
}

/// Rows of a JSON Lines file, without trusted system prompts.
///
/// # Errors
/// When the file can not be read, with the line that is wrong.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let file = File::open(path).with_context(|| format!("{}", path.display()))?;
    let mut rows = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let row: Row = serde_json::from_str(&line?).with_context(|| format!("{}:{}", path.display(), number + 1))?;
        rows.push(row);
    }
    rows.retain(Row::counts);
    Ok(rows)
}

/// A row as the model sees it.
pub struct Example {
    pub features: Features,
    /// The places of each list's features in the table of the part for whole texts: sorted once, read in every epoch of every fold.
    pub places: [Vec<u32>; LISTS],
    /// Rules that hold, as indices.
    pub rules: Vec<usize>,
    pub attack: bool,
    pub source: String,
    pub kind: String,
    pub language: String,
}

/// The features of rows.
#[must_use]
pub fn examples(rows: &[Row], lexicon: &Lexicon, rules: &Rules, known: &KnownWords) -> Vec<Example> {
    let example = |row: &Row| {
        let reading = lexicon.read(&row.text, known);
        let features = features(&reading);
        let places = std::array::from_fn(|list| {
            let mut at = Vec::new();
            places(features.lists[list].all(), SETTINGS[list].bits, &mut at);
            at.shrink_to_fit();
            at
        });
        Example {
            features,
            places,
            rules: rules.find(&reading).iter().map(|hit| hit.rule).collect(),
            attack: row.is_attack(),
            source: row.source.clone(),
            kind: row.kind.clone(),
            language: row.language.clone(),
        }
    };
    rows.par_iter().map(example).collect()
}

/// Words of letters only that at least three rows hold; rows that hide their text do not count.
#[must_use]
pub fn known_words(rows: &[Row]) -> KnownWords {
    use stance_engine::guardrail::text::{Kind, read, words};
    let mut counts: std::collections::HashMap<String, u32> = std::collections::HashMap::new();
    for row in rows.iter().filter(|row| !row.source.starts_with("encoded") && row.kind != "encoding") {
        let (lower, list) = words(read(&row.text, &KnownWords::default()).glyphs());
        let mut seen: Vec<&str> = list
            .iter()
            .filter(|word| word.kind == Kind::Word)
            .map(|word| &lower[word.text.clone()])
            .filter(|word| word.len() >= 2 && word.chars().all(char::is_alphabetic))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        for word in seen {
            *counts.entry(word.to_owned()).or_default() += 1;
        }
    }
    let frequent = counts.iter().filter(|(_, count)| **count >= 3).map(|(word, _)| word.as_str());
    KnownWords::of(frequent.chain(["a", "i"]))
}
