//! PyRIT's harm categories in Stance's words, as a table.

use stance_shared::Severity;

use crate::category::Categories;

/// What an attack achieved, by words in its score's categories, its targeted harms or its class's name.
pub(super) struct Harm {
    words: &'static [&'static str],
    /// For a title.
    pub title: &'static str,
    pub severity: Severity,
    categories: &'static [&'static str],
}

const fn harm(
    words: &'static [&'static str],
    title: &'static str,
    severity: Severity,
    categories: &'static [&'static str],
) -> Harm {
    Harm { words, title, severity, categories }
}

use Severity::{High, Medium};

/// The first that fits gives the title and the severity; all that fit give categories.
const HARMS: &[Harm] = &[
    harm(
        &["xpia", "indirect"],
        "Indirect prompt injection worked",
        High,
        &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0051.001"],
    ),
    harm(&["injection"], "Prompt injection worked", High, &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0051.000"]),
    harm(
        &["system_prompt", "system prompt", "metaprompt"],
        "System prompt extraction worked",
        Medium,
        &["owasp-llm@2025:LLM07", "atlas@5.6.0:AML.T0056"],
    ),
    harm(
        &["leak", "privacy", "pii", "credential", "secret"],
        "Disclosure of sensitive data",
        High,
        &["owasp-llm@2025:LLM02", "atlas@5.6.0:AML.T0057"],
    ),
    harm(&["malware", "cyber"], "Help with cybercrime", High, &["atlas@5.6.0:AML.T0102"]),
    harm(
        &["jailbreak", "crescendo", "skeleton", "tree_of_attacks", "treeofattacks", "tap", "pair", "redteaming"],
        "Jailbreak worked",
        High,
        &["owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0054"],
    ),
    harm(&["misinformation", "hallucination"], "Misinformation", Medium, &["owasp-llm@2025:LLM09"]),
];

const OTHER: Harm = harm(&[], "Attack worked", Medium, &[]);

/// What the words say; the categories of all that fit.
pub(super) fn of_words(words: &[String]) -> (&'static Harm, Categories) {
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    // Short words are whole ones only.
    let says = |text: &str, word: &str| if word.len() > 4 { text.contains(word) } else { text == word };
    let fits = |harm: &&Harm| harm.words.iter().any(|word| words.iter().any(|text| says(text, word)));
    let mut categories = Categories::default();
    HARMS.iter().filter(fits).for_each(|harm| categories.add_all(harm.categories));
    (HARMS.iter().find(fits).unwrap_or(&OTHER), categories)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_in_the_table_is_known() {
        for reference in HARMS.iter().flat_map(|harm| harm.categories) {
            assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{reference}");
        }
    }

    #[test]
    fn words_say_what_was_achieved() {
        let of = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            of_words(&words).0.title
        };
        assert_eq!(of(&["Jailbreak"]), "Jailbreak worked");
        assert_eq!(of(&["hate", "CrescendoAttack"]), "Jailbreak worked");
        assert_eq!(of(&["hate", "PromptSendingAttack"]), "Attack worked");
        assert_eq!(of(&["taps"]), "Attack worked");
    }
}
