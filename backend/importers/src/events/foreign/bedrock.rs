//! Amazon Bedrock Guardrails: answers of `ApplyGuardrail` (API of 2023-09-30). They do not say which side was looked at.

use serde_json::{Map, Value};
use stance_shared::Verdict;

use super::{One, Said};

/// Where assessments have what was found: policy, list, and the member that names it. Words that matched are the user's.
const FOUND: &[(&str, &str, Option<&str>)] = &[
    ("topicPolicy", "topics", Some("name")),
    ("contentPolicy", "filters", Some("type")),
    ("wordPolicy", "customWords", None),
    ("wordPolicy", "managedWordLists", Some("type")),
    ("sensitiveInformationPolicy", "piiEntities", Some("type")),
    ("sensitiveInformationPolicy", "regexes", Some("name")),
    ("contextualGroundingPolicy", "filters", Some("type")),
];

/// Verdicts of one answer that are told one by one.
const MAX_VERDICTS: usize = 100;

pub(super) fn read(line: &Map<String, Value>) -> Option<Said> {
    let intervened = match line.get("action")?.as_str()? {
        "GUARDRAIL_INTERVENED" => true,
        "NONE" => false,
        _ => return None,
    };
    let assessments = line.get("assessments")?.as_array()?;
    let found = assessments.iter().flat_map(|assessment| {
        FOUND.iter().flat_map(|(policy, list, name)| {
            let items = assessment.get(policy).and_then(|policy| policy.get(list)).and_then(Value::as_array);
            items.into_iter().flatten().filter_map(|item| one(policy, list, *name, item))
        })
    });
    let mut verdicts: Vec<One> = found.take(MAX_VERDICTS).collect();
    if verdicts.is_empty() {
        verdicts.push(One::new(if intervened { Verdict::Block } else { Verdict::Allow }, None));
    }
    Some(Said { guardrail: "bedrock-guardrails", verdicts, is_part: false })
}

fn one(policy: &str, list: &str, name: Option<&str>, item: &Value) -> Option<One> {
    let verdict = match item.get("action")?.as_str()? {
        "BLOCKED" => Verdict::Block,
        "ANONYMIZED" => Verdict::Redact,
        // Found, but the guardrail only watches; what is not found is listed when everything was asked for.
        _ if item.get("detected").and_then(Value::as_bool) == Some(true) => Verdict::Flag,
        _ => return None,
    };
    let name = name.and_then(|name| item.get(name)?.as_str()).unwrap_or(list);
    Some(One { rule: Some(format!("{policy}/{name}")), ..One::new(verdict, None) })
}
