use super::*;
use stance_shared::taxonomy;

#[test]
fn the_rules_are_sound_and_every_category_is_known() {
    assert_eq!(version(), "stance-correlation/1");
    assert!(rules().len() >= 8, "{}", rules().len());
    assert_eq!(check(rules(), taxonomy::is_known), Vec::<String>::new());
    assert_eq!(rule("guardrail-bypass").map(|rule| rule.version), Some(1));
    assert!(rule("no-such-rule").is_none());
}

#[test]
fn sequences_are_those_that_are_looked_for() {
    let source = include_str!("../sequence.rs");
    for rule in rules() {
        if let Fits::Runs(runs) = &rule.fits {
            for sequence in &runs.sequences {
                assert!(source.contains(&format!("rule: \"{sequence}\"")), "{}: {sequence}", rule.id);
            }
        }
    }
}

fn read(text: &str) -> Result<Vec<Rule>, toml::de::Error> {
    toml::from_str::<File>(&format!("set = \"test/1\"\n{text}")).map(|file| file.rule)
}

const RULE: &str = r#"
[[rule]]
id = "a"
version = 1
title = "A"
description = "A"
severity = "HIGH"
categories = ["owasp-llm@2025:LLM01"]
group = "AGENT"
window_minutes = 5
threshold = 2
"#;

#[test]
fn what_is_wrong_with_a_rule_is_said() {
    let events = "events = { verdicts = [\"BLOCK\"] }\n";
    let good = format!("{RULE}{events}");
    assert_eq!(check(&read(&good).unwrap(), taxonomy::is_known), Vec::<String>::new());
    assert!(read(RULE).is_err(), "it must look at something");
    assert!(read(&format!("{good}runs = {{ sequences = [] }}\n")).is_err(), "at one thing only");
    for (from, to, says) in [
        ("LLM01", "LLM99", "a: the category owasp-llm@2025:LLM99 is unknown"),
        ("threshold = 2", "threshold = 0", "a: version, threshold"),
        ("window_minutes = 5", "window_minutes = 50000", "the window 1 to 43,200"),
        ("\"AGENT\"", "\"ASSET\"", "a: what it looks at"),
        ("verdicts = [\"BLOCK\"]", "min_score = 0.5", "lets everything through"),
        ("id = \"a\"", "id = \"A b\"", "the id must be"),
    ] {
        let problems = check(&read(&good.replace(from, to)).unwrap(), taxonomy::is_known);
        assert!(problems.len() == 1 && problems[0].contains(says), "{from}: {problems:?}");
    }
    let twice = check(&read(&format!("{good}{good}")).unwrap(), taxonomy::is_known);
    assert_eq!(twice, ["a: the id is there twice"]);
}

#[test]
fn facts_are_ripe_when_enough_of_them_lie_within_the_window() {
    let minutes = |minutes: &[i64]| minutes.iter().map(|minute| minute * 60).collect::<Vec<_>>();
    assert_eq!(ripe(&minutes(&[0, 10, 20, 24]), 15, 3), Some(3), "10, 20 and 24");
    assert_eq!(ripe(&minutes(&[0, 10, 20, 30]), 15, 3), None);
    assert_eq!(ripe(&minutes(&[7]), 1, 1), Some(0));
    assert_eq!(ripe(&minutes(&[0, 15]), 15, 2), Some(1), "the window's end belongs to it");
    assert_eq!(ripe(&[], 15, 1), None);
}
