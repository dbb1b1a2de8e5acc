//! What a contained agent may still do.

use super::{Call, decide::hosts};
use stance_shared::{Channel, ContainmentGrade};
use std::net::IpAddr;

/// Why a contained agent may not take the step; `None` when it may. `approved` says whether a person let this very tool call pass.
#[must_use]
pub fn contain(grade: ContainmentGrade, call: &Call<'_>, approved: bool) -> Option<&'static str> {
    match grade {
        ContainmentGrade::BlockAll => Some("nothing of it passes"),
        ContainmentGrade::ToolsOnly => call.tool.map(|_| "it may not call tools"),
        ContainmentGrade::EgressOnly => (matches!(call.channel, Channel::ToolInput | Channel::ModelOutput)
            && leads_outside(call.text))
        .then_some("it may not send anything to an address outside"),
        ContainmentGrade::HumanApproval => {
            (call.tool.is_some() && !approved).then_some("a person has to approve its tool calls")
        }
    }
}

/// Whether a text names an address that is not of the organization's own network: of the web or of a mailbox.
fn leads_outside(text: &str) -> bool {
    hosts(text).any(|(host, _)| is_outside(host)) || mailboxes(text).any(is_outside)
}

/// The domains of mail addresses.
fn mailboxes(text: &str) -> impl Iterator<Item = &str> {
    let named = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    text.match_indices('@').filter_map(move |(at, _)| {
        let domain = &text[at + 1..];
        let end = domain.find(|c: char| !c.is_alphanumeric() && c != '.' && c != '-').unwrap_or(domain.len());
        let domain = domain[..end].trim_end_matches('.');
        (text[..at].ends_with(named) && domain.contains('.')).then_some(domain)
    })
}

fn is_outside(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    if let Ok(address) = host.parse::<IpAddr>() {
        // The cloud's metadata, which is link-local, is nobody's own.
        return match address {
            IpAddr::V4(address) => !(address.is_private() || address.is_loopback()),
            IpAddr::V6(address) => !(address.is_unique_local() || address.is_loopback()),
        };
    }
    !(host == "localhost" || [".localhost", ".local", ".internal", ".lan"].iter().any(|suffix| host.ends_with(suffix)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::ToolCall;
    use ContainmentGrade::{BlockAll, EgressOnly, HumanApproval, ToolsOnly};
    use serde_json::json;

    #[test]
    fn each_grade_blocks_what_it_names_and_no_more() {
        let arguments = json!({});
        let says = Call { channel: Channel::ModelOutput, text: "good morning", tool: None };
        let links = Call { text: "see https://evil.example/x", ..says };
        let tool = Some(ToolCall { server: None, name: "search", arguments: &arguments });
        let calls = Call { channel: Channel::ToolInput, text: "{}", tool };
        let blocked = |grade, call: &Call<'_>| contain(grade, call, false).is_some();
        for (grade, expected) in [
            (BlockAll, [true, true, true]),
            (ToolsOnly, [false, false, true]),
            (EgressOnly, [false, true, false]),
            (HumanApproval, [false, false, true]),
        ] {
            assert_eq!([&says, &links, &calls].map(|call| blocked(grade, call)), expected, "{grade}");
        }
        assert_eq!(contain(HumanApproval, &calls, true), None, "approved");
        assert!(contain(BlockAll, &calls, true).is_some(), "approval is only for that grade");
        let given = Call { channel: Channel::UserInput, ..links };
        assert!(!blocked(EgressOnly, &given), "what comes in does not leave");
    }

    #[test]
    fn addresses_outside_are_told_from_those_inside() {
        for outside in [
            r#"{"url": "https://evil.example/x"}"#,
            r#"{"to": "eve@evil.example"}"#,
            "http://169.254.169.254/latest",
            "https://10.0.0.7.evil.example",
            "//8.8.8.8/x",
        ] {
            assert!(leads_outside(outside), "{outside}");
        }
        for inside in
            ["http://localhost:8080/", "http://10.0.0.7/", "https://wiki.internal/a", "a @ b", "x@y", "1 // 2", "{}"]
        {
            assert!(!leads_outside(inside), "{inside}");
        }
    }
}
