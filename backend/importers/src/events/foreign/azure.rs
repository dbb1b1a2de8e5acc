//! Azure AI Content Safety: answers of Prompt Shields (`text:shieldPrompt`, API of 2024-09-01). It says what it detected; what is done
//! about it the caller decides.

use serde_json::{Map, Value};
use stance_shared::{Channel, Verdict};

use super::{One, Said};

/// Documents of one answer; the service takes five.
const MAX_DOCUMENTS: usize = 100;

pub(super) fn read(line: &Map<String, Value>) -> Option<Said> {
    let prompt = line.get("userPromptAnalysis").and_then(|analysis| one("userPrompt", Channel::UserInput, analysis));
    let documents = line.get("documentsAnalysis").and_then(Value::as_array).into_iter().flatten();
    let documents = documents.filter_map(|analysis| one("documents", Channel::Document, analysis)).take(MAX_DOCUMENTS);
    let verdicts: Vec<One> = prompt.into_iter().chain(documents).collect();
    (!verdicts.is_empty()).then_some(Said { guardrail: "azure-prompt-shields", verdicts, is_part: false })
}

fn one(rule: &str, channel: Channel, analysis: &Value) -> Option<One> {
    let verdict = if analysis.get("attackDetected")?.as_bool()? { Verdict::Flag } else { Verdict::Allow };
    Some(One { rule: Some(rule.to_owned()), ..One::new(verdict, Some(channel)) })
}
