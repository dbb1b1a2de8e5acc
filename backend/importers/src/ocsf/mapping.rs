//! OCSF's numbers and words as Stance's.

use stance_shared::{AssetKind, Severity};

/// `severity_id`, else the word beside it, which may have blanks around it. Unknown and other are MEDIUM.
pub(super) fn severity(id: Option<u64>, word: &str) -> Severity {
    let by_id = match id {
        Some(1) => Some(Severity::Info),
        Some(2) => Some(Severity::Low),
        Some(3) => Some(Severity::Medium),
        Some(4) => Some(Severity::High),
        // Critical and fatal.
        Some(5 | 6) => Some(Severity::Critical),
        _ => None,
    };
    let by_word = || match word.trim().to_lowercase().as_str() {
        "informational" | "info" => Some(Severity::Info),
        "low" => Some(Severity::Low),
        "high" => Some(Severity::High),
        "critical" | "fatal" => Some(Severity::Critical),
        _ => None,
    };
    by_id.or_else(by_word).unwrap_or(Severity::Medium)
}

/// Resource types that are more to an AI inventory than an application, by a part of the type in lower case without separators.
const KINDS: &[(&str, AssetKind)] = &[
    ("bedrockagent", AssetKind::Agent),
    ("bedrockknowledgebase", AssetKind::KnowledgeBase),
    ("bedrockcustommodel", AssetKind::Model),
    ("bedrockmodel", AssetKind::Model),
    ("sagemakermodel", AssetKind::Model),
    ("sagemakerendpoint", AssetKind::Model),
    ("aiplatform.googleapis.com/model", AssetKind::Model),
    ("cognitiveservices/accounts/deployments", AssetKind::Model),
];

pub(super) fn kind(resource_type: &str) -> AssetKind {
    let plain = resource_type.to_lowercase().replace(['_', '-', ' ', ':'], "");
    KINDS.iter().find(|(part, _)| plain.contains(part)).map_or(AssetKind::Application, |(_, kind)| *kind)
}

/// What an event says of its check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Failed,
    Passed,
    /// Somebody has to look.
    Manual,
    /// A finding that its tool has closed.
    Closed,
}

/// By Prowler's `status_code`, else the compliance status, else the finding's own status; without any it is a finding.
pub(super) fn outcome(code: Option<&str>, compliance: Option<&str>, status: Option<&str>) -> Outcome {
    let word = |word: &str| word.trim().to_lowercase();
    match code.or(compliance).map(word).as_deref() {
        Some("pass" | "passed") => return Outcome::Passed,
        Some("manual") => return Outcome::Manual,
        _ => {}
    }
    match status.map(word).as_deref() {
        Some("resolved" | "closed" | "archived" | "deleted") => Outcome::Closed,
        _ => Outcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words() {
        assert_eq!(severity(Some(6), "x"), Severity::Critical);
        assert_eq!(severity(Some(99), "Informational "), Severity::Info);
        assert_eq!(severity(None, ""), Severity::Medium);
        assert_eq!(kind("AWS::Bedrock::Agent"), AssetKind::Agent);
        assert_eq!(kind("AwsIamRole"), AssetKind::Application);
        assert_eq!(outcome(Some("PASS"), None, Some("New")), Outcome::Passed);
        assert_eq!(outcome(None, Some("Fail"), Some("Resolved")), Outcome::Closed);
    }
}
