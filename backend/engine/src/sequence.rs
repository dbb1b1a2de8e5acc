//! Patterns over the steps of one run, which no step shows by itself.
//!
//! The mechanisms are public knowledge: content that is not the user's steers the agent (indirect prompt injection, OWASP LLM01:2025),
//! private data, untrusted content and a way out in one run (Willison's “lethal trifecta”, 2025), instructions that are written to memory
//! to be read again (ATLAS AML.T0080), asking again and again until something passes. What a tool does is judged by the words of its name,
//! as its maker chose them: a tool that hides what it does is not seen here.

use stance_shared::{EventKind, Severity, Verdict};

/// The version of these patterns; results name it.
pub const VERSION: &str = "stance-sequence/1";
/// Refused steps of one run that make a probe.
const PROBES: usize = 3;

/// A step of a run, in the order of time.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    pub kind: EventKind,
    /// `server.tool`, or `tool` alone.
    pub tool: Option<&'a str>,
    pub verdict: Verdict,
    /// How likely an attack is, 0 to 1.
    pub score: f32,
    /// Of an approval: whether it was granted.
    pub granted: Option<bool>,
}

/// A pattern that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub rule: &'static str,
    pub severity: Severity,
    /// `framework@version:id`
    pub category: &'static str,
    /// One line for a person.
    pub reason: &'static str,
    /// The steps that make it, by their places, in order.
    pub steps: Vec<usize>,
}

/// What a tool does, as far as its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Does {
    /// It reads what is not for everybody.
    pub reads_private: bool,
    /// Data leaves by it.
    pub sends: bool,
}

const READS: [&str; 27] = [
    "read", "get", "search", "query", "list", "fetch", "load", "lookup", "find", "select", "sql", "db", "database",
    "file", "files", "secret", "secrets", "vault", "crm", "mail", "inbox", "email", "emails", "contacts", "calendar",
    "drive", "customer",
];
const PRIVATE: [&str; 32] = [
    "file",
    "files",
    "secret",
    "secrets",
    "vault",
    "credential",
    "credentials",
    "key",
    "keys",
    "token",
    "tokens",
    "sql",
    "db",
    "database",
    "crm",
    "customer",
    "customers",
    "mail",
    "mails",
    "inbox",
    "email",
    "emails",
    "contacts",
    "calendar",
    "drive",
    "document",
    "documents",
    "record",
    "records",
    "payroll",
    "ticket",
    "tickets",
];
const SENDS: [&str; 24] = [
    "send", "post", "upload", "publish", "webhook", "http", "https", "curl", "wget", "email", "reply", "forward",
    "tweet", "slack", "share", "export", "push", "request", "browse", "navigate", "open_url", "fetch", "notify",
    "message",
];
/// Words that say that a tool sends although it is named like one that reads: `fetch` gets a page, and gives the address away.
const BOTH: [&str; 4] = ["fetch", "browse", "navigate", "request"];

/// Judges a tool by the words of its name.
#[must_use]
pub fn does(tool: &str) -> Does {
    let mut words: Vec<String> = Vec::new();
    let mut last = None;
    for char in tool.chars() {
        // `readFile` and `read_file` are two words.
        let new = !char.is_alphanumeric() || (char.is_uppercase() && last.is_some_and(char::is_lowercase));
        if new || words.is_empty() {
            words.push(String::new());
        }
        if char.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(char.to_lowercase());
        }
        last = Some(char);
    }
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let sends = has(&SENDS) && (!has(&["read", "get", "list", "search"]) || has(&BOTH));
    Does { reads_private: has(&PRIVATE) && has(&READS) && !has(&["send", "write", "delete", "create"]), sends }
}

/// Content that comes from outside.
const fn is_outside(kind: EventKind) -> bool {
    matches!(kind, EventKind::ToolResult | EventKind::Retrieval | EventKind::MemoryRead | EventKind::ToolDescription)
}

/// The patterns in a run; each at most once, with its first steps.
#[must_use]
pub fn find(steps: &[Step<'_>]) -> Vec<Found> {
    let mut found = Vec::new();
    let place = |from: usize, fits: &dyn Fn(&Step<'_>) -> bool| {
        steps.iter().enumerate().skip(from).find(|(_, step)| fits(step)).map(|(at, _)| at)
    };
    let flagged = |step: &Step<'_>| is_outside(step.kind) && step.verdict > Verdict::Allow && step.score > 0.0;
    let called = |what: fn(Does) -> bool| {
        move |step: &Step<'_>| {
            step.kind == EventKind::ToolCall
                && step.verdict < Verdict::Block
                && step.tool.is_some_and(|tool| what(does(tool)))
        }
    };
    let (reads, sends) = (called(|does| does.reads_private), called(|does| does.sends));
    if let Some(planted) = place(0, &flagged) {
        let read = place(planted + 1, &reads);
        let sent = read.and_then(|read| place(read + 1, &sends).map(|sent| (read, sent)));
        if let Some((read, sent)) = sent {
            found.push(Found {
                rule: "sequence.exfiltration",
                severity: Severity::Critical,
                category: "owasp-agentic@2026:ASI01",
                reason: "planted instructions were read, then private data, then data left",
                steps: vec![planted, read, sent],
            });
        } else if let Some(obeyed) =
            place(planted + 1, &|step| step.kind == EventKind::ToolCall && step.verdict >= Verdict::Flag)
        {
            found.push(Found {
                rule: "sequence.obeyed",
                severity: Severity::High,
                category: "owasp-agentic@2026:ASI01",
                reason: "planted instructions were read, then a suspicious tool call was tried",
                steps: vec![planted, obeyed],
            });
        }
        if let Some(written) = place(planted + 1, &|step| step.kind == EventKind::MemoryWrite) {
            found.push(Found {
                rule: "sequence.memory-poisoning",
                severity: Severity::High,
                category: "owasp-agentic@2026:ASI06",
                reason: "planted instructions were read, then memory was written",
                steps: vec![planted, written],
            });
        }
    } else if let (Some(outside), Some(read), Some(sent)) =
        (place(0, &|step| is_outside(step.kind)), place(0, &reads), place(0, &sends))
        && sent > outside
        && sent > read
    {
        found.push(Found {
            rule: "sequence.trifecta",
            severity: Severity::Low,
            category: "owasp-llm@2025:LLM06",
            reason: "outside content, private data and a way out met in one run",
            steps: {
                let mut steps = vec![outside, read, sent];
                steps.sort_unstable();
                steps.dedup();
                steps
            },
        });
    }
    let refused = steps.iter().enumerate().find(|(_, step)| step.granted == Some(false));
    if let Some((refused, approval)) = refused
        && let Some(done) = place(refused + 1, &|step| {
            step.kind == EventKind::ToolCall
                && step.tool.is_some()
                && step.tool == approval.tool
                && step.verdict < Verdict::Block
        })
    {
        found.push(Found {
            rule: "sequence.refusal-ignored",
            severity: Severity::Critical,
            category: "owasp-agentic@2026:ASI10",
            reason: "a person refused the call, and it was made all the same",
            steps: vec![refused, done],
        });
    }
    let blocked: Vec<usize> = (steps.iter().enumerate())
        .filter(|(_, step)| step.verdict == Verdict::Block && step.kind == EventKind::Prompt)
        .map(|(at, _)| at)
        .collect();
    if blocked.len() >= PROBES {
        found.push(Found {
            rule: "sequence.probing",
            severity: Severity::Medium,
            category: "owasp-llm@2025:LLM01",
            reason: "one run tried attack after attack",
            steps: blocked.into_iter().take(20).collect(),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step(kind: EventKind, tool: Option<&str>, verdict: Verdict) -> Step<'_> {
        Step { kind, tool, verdict, score: if verdict > Verdict::Allow { 0.9 } else { 0.0 }, granted: None }
    }

    fn rules(steps: &[Step<'_>]) -> Vec<(&'static str, Vec<usize>)> {
        find(steps).into_iter().map(|found| (found.rule, found.steps)).collect()
    }

    #[test]
    fn tools_are_judged_by_the_words_of_their_names() {
        for (tool, private, sends) in [
            ("filesystem.read_file", true, false),
            ("crm.getTicket", true, false),
            ("send_mail", false, true),
            ("http_fetch", false, true),
            ("mail.search", true, false),
            ("slack.post_message", false, true),
            ("calculator.add", false, false),
            ("keyboard", false, false),
        ] {
            assert_eq!(does(tool), Does { reads_private: private, sends }, "{tool}");
        }
    }

    #[test]
    fn planted_instructions_that_lead_to_a_leak_are_one_pattern() {
        let (call, result) = (EventKind::ToolCall, EventKind::ToolResult);
        let run = [
            step(EventKind::Prompt, None, Verdict::Allow),
            step(result, Some("web.search"), Verdict::Flag),
            step(call, Some("filesystem.read_file"), Verdict::Allow),
            step(call, Some("http_post"), Verdict::Allow),
        ];
        assert_eq!(rules(&run), [("sequence.exfiltration", vec![1, 2, 3])]);
        let mut stopped = run.to_vec();
        stopped[3].verdict = Verdict::Block;
        assert_eq!(rules(&stopped), [("sequence.obeyed", vec![1, 3])], "what was blocked did not leave");
        let mut backwards = run.to_vec();
        backwards.reverse();
        assert_eq!(rules(&backwards), [], "the order is what makes it");
        let mut harmless = run.to_vec();
        harmless[1].verdict = Verdict::Allow;
        harmless[1].score = 0.0;
        assert_eq!(rules(&harmless), [("sequence.trifecta", vec![1, 2, 3])]);
    }

    #[test]
    fn refusals_memory_and_probes() {
        let refused = Step { granted: Some(false), ..step(EventKind::Approval, Some("pay"), Verdict::Allow) };
        let run = [refused, step(EventKind::ToolCall, Some("pay"), Verdict::Allow)];
        assert_eq!(rules(&run), [("sequence.refusal-ignored", vec![0, 1])]);
        let run =
            [step(EventKind::Retrieval, None, Verdict::Block), step(EventKind::MemoryWrite, None, Verdict::Allow)];
        assert_eq!(rules(&run), [("sequence.memory-poisoning", vec![0, 1])]);
        let run = vec![step(EventKind::Prompt, None, Verdict::Block); 3];
        assert_eq!(rules(&run), [("sequence.probing", vec![0, 1, 2])]);
        assert_eq!(rules(&run[..2]), []);
    }

    proptest! {
        #[test]
        fn places_are_of_the_run_and_in_order(kinds in prop::collection::vec((0..EventKind::ALL.len(), 0..4_usize, 0..4_usize), 0..40)) {
            let tools = [None, Some("read_file"), Some("send_mail"), Some("x")];
            let run: Vec<Step<'_>> = kinds
                .iter()
                .map(|(kind, tool, verdict)| step(EventKind::ALL[*kind], tools[*tool], Verdict::ALL[*verdict]))
                .collect();
            for found in find(&run) {
                prop_assert!(found.steps.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(found.steps.iter().all(|at| *at < run.len()));
            }
        }
    }
}
