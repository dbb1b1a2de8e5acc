//! LLM Guard: answers of its API and lines of its log, which the importer of its reports knows.

use serde::Deserialize;
use serde_json::{Map, Value};
use stance_shared::{Channel, Verdict};

use super::{One, Said};
use crate::llm_guard::Line;

pub(super) fn read(line: &Map<String, Value>) -> Option<Said> {
    let verdicts = Line::deserialize(line).ok()?.verdicts()?;
    let at = verdicts.time.parse().ok();
    let channel = match verdicts.side {
        "prompt" => Some(Channel::UserInput),
        "output" => Some(Channel::ModelOutput),
        _ => None,
    };
    let mut all: Vec<One> = Vec::new();
    for (scanner, _, score) in verdicts.scanners.into_iter().filter(|(_, hit, _)| *hit) {
        let score = score.map(|score| score.clamp(0.0, 1.0));
        all.push(One { rule: Some(scanner), score, at, ..One::new(Verdict::Block, channel) });
    }
    if all.is_empty() {
        all.push(One { at, ..One::new(Verdict::Allow, channel) });
    }
    Some(Said { guardrail: "llm-guard", verdicts: all, is_part: !verdicts.is_scan })
}
