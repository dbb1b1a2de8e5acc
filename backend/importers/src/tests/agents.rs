//! What the reports about agents, their servers, tools and skills mean.

use stance_shared::{AssetKind, RelationKind, Severity};

use super::*;

fn assets(records: &[Record]) -> Vec<&AssetRecord> {
    records
        .iter()
        .filter_map(|record| if let Record::Asset(described) = record { Some(described) } else { None })
        .collect()
}

fn keys(records: &[Record], kind: AssetKind) -> Vec<&str> {
    let all = assets(records).into_iter().map(|described| &described.asset).filter(|asset| asset.kind == kind);
    let mut keys: Vec<&str> = all.map(|asset| asset.key.as_str()).collect();
    keys.sort_unstable();
    keys
}

fn related(records: &[Record], kind: RelationKind) -> Vec<(&str, &str)> {
    let mut all = Vec::new();
    for record in records {
        if let Record::Relation(relation) = record
            && relation.kind == kind
        {
            all.push((relation.from.key.as_str(), relation.to.key.as_str()));
        }
    }
    all.sort_unstable();
    all
}

fn described<'a>(records: &'a [Record], key: &str) -> &'a AssetRecord {
    assets(records).into_iter().find(|described| described.asset.key == key).unwrap()
}

fn by_rule<'a>(records: &'a [Record], rule: &str) -> &'a FindingRecord {
    findings(records).into_iter().find(|finding| finding.rule == rule).unwrap_or_else(|| panic!("no {rule}"))
}

#[test]
fn agent_scan_issues_find_their_server_and_tool() {
    let (info, records) = fixture("agent_scan", "many");
    let all: Vec<_> = findings(&records)
        .iter()
        .map(|f| (f.rule.as_str(), f.asset.key.as_str(), f.severity, f.locations[0].uri.as_str()))
        .collect();
    assert_eq!(
        all,
        [
            ("E001", "mail", Severity::Critical, "mail/send_mail"),
            // Counted over prompts and resources first.
            ("W020", "notes", Severity::Low, "notes/delete_note"),
            ("W015", "notes", Severity::Medium, "notes"),
            ("TF001", "cursor", Severity::High, "mail/send_mail"),
            ("W021", "notes", Severity::High, "notes/prompts/review"),
            // The same problem of the same server in a second client is one finding; an unknown code is kept.
            ("E099", "mail", Severity::High, "mail/send_mail"),
        ]
    );
    assert_eq!(keys(&records, AssetKind::McpServer), ["dead", "mail", "notes"]);
    assert_eq!(keys(&records, AssetKind::Tool), ["mail/send_mail", "notes/delete_note", "notes/search"]);
    assert_eq!(related(&records, RelationKind::ProvidedBy)[0], ("mail/send_mail", "mail"));
    assert!(related(&records, RelationKind::MayCall).contains(&("windsurf", "mail/send_mail")));
    assert!(related(&records, RelationKind::DependsOn).contains(&("cursor", "notes")));
    let (notes, mail) = (&described(&records, "notes").attributes, &described(&records, "mail").attributes);
    assert_eq!(
        (notes["package"].as_str(), mail["url"].as_str()),
        (Some("pkg:npm/%40acme/mcp-server-notes@1.4.0"), Some("https://mail.acme.example/mcp"))
    );
    assert_eq!(
        (&notes["environment"], &mail["headers"]),
        (&serde_json::json!(["NOTES_TOKEN"]), &serde_json::json!(["Authorization"]))
    );
    // What did not start is a gap, and is not assessed.
    let troubles: Vec<_> = gaps(&records, "tool-error").iter().map(|gap| gap.subject.as_str()).collect();
    assert_eq!(troubles, ["dead", "/home/ada/.cursor/mcp.json"]);
    assert!(info.complete && info.assessed.iter().all(|asset| asset.key != "dead"));
}

#[test]
fn agent_scan_risk_indexes_and_inspections() {
    let (info, records) = fixture("agent_scan", "risks");
    let of = |rule| (by_rule(&records, rule).asset.key.as_str(), by_rule(&records, rule).severity);
    assert_eq!(of("private_data"), ("notes", Severity::Low));
    assert_eq!(of("destructive_capabilities"), ("notes", Severity::Medium));
    assert_eq!(of("prompt_injection_tool_desc"), ("mail", Severity::Critical));
    assert_eq!(of("new_index"), ("skill/pdf-forms", Severity::Low));
    assert_eq!((info.complete, gaps(&records, "tool-error").len()), (true, 1));
    // Nothing was analyzed, so nothing is proven absent.
    let (info, records) = fixture("agent_scan", "inspect");
    assert_eq!((info.complete, gaps(&records, "skipped").len()), (false, 1));
    assert!(gaps(&records, "empty-report")[0].reason.contains("not analyzed"));
}

#[test]
fn mcp_scanner_gives_one_finding_per_item_and_analyzer() {
    let (info, records) = fixture("mcp_scanner", "many");
    let all: Vec<_> = findings(&records)
        .iter()
        .map(|f| (f.locations[0].uri.as_str(), f.rule.as_str(), f.severity, f.count))
        .collect();
    assert_eq!(
        all,
        [
            ("notes/export", "yara: CREDENTIAL HARVESTING, PROMPT INJECTION", Severity::High, 3),
            ("mail/export", "llm", Severity::Medium, 1),
            // Whatever the readiness analyzer says.
            ("mail/export", "readiness: unknown", Severity::Low, 4),
            ("mail/export", "yara: PROMPT INJECTION", Severity::High, 1),
            ("mail/prompts/review", "yara: TOOL POISONING", Severity::High, 1),
            ("mail/resources/acme://handbook", "yara: CODE EXECUTION", Severity::Low, 1),
        ]
    );
    assert!(by_rule(&records, "readiness: unknown").categories.is_empty());
    assert!(by_rule(&records, "yara: TOOL POISONING").categories.contains(&"owasp-mcp@0.1:MCP03".into()));
    assert_eq!(related(&records, RelationKind::MayCall), [("cursor", "notes/export"), ("cursor", "notes/search")]);
    assert_eq!((info.complete, gaps(&records, "tool-error")[0].subject.as_str()), (false, "mail/slow"));
    // The three shapes say the same.
    for shape in ["many-array", "many-configs"] {
        assert_eq!(fingerprints(&records), fingerprints(&fixture("mcp_scanner", shape).1), "{shape}");
    }
    let error = read_with(format("mcp_scanner"), &&fixtures(format("mcp_scanner"))["unnamed"][..], &Hints::default());
    assert!(matches!(error, Err(ImportError::NeedsAsset(_))));
    assert_eq!(findings(&fixture("mcp_scanner", "one").1)[0].asset.key, "https://notes.acme.example/mcp");
}

#[test]
fn skill_scanner_maps_another_year_by_name() {
    let (info, records) = fixture("skill_scanner", "many");
    assert_eq!(findings(&records).len(), 5);
    let vague = by_rule(&records, "VAGUE_DESCRIPTION");
    assert_eq!(vague.asset.key, "skill/pdf-forms");
    assert_eq!(
        vague.categories,
        ["owasp-llm@2025:LLM06", "owasp-agentic@2026:ASI03", "atlas@5.6.0:AML.T0053", "owasp-agentic@2026:ASI09"]
    );
    let text = serde_json::to_string(by_rule(&records, "SECRET_IN_CODE")).unwrap();
    assert!(text.contains("sk-…[redacted]") && !text.contains("a1b2a1b2"), "{text}");
    let mut shell: Vec<_> = findings(&records).into_iter().filter(|f| f.rule == "SHELL_FROM_INPUT").collect();
    let other = shell.pop().unwrap();
    assert_ne!(shell[0].fingerprint, other.fingerprint);
    assert_eq!((info.complete, gaps(&records, "tool-error")[0].subject.as_str()), (false, "llm_analyzer"));
    let (_, records) = fixture("skill_scanner", "many-several");
    assert_eq!(keys(&records, AssetKind::Tool), ["skill/mail-merge", "skill/pdf-forms"]);
    assert_eq!(gaps(&records, "skipped")[0].subject, "broken");
    // What is over several skills is their agent's.
    let cross = fixtures(format("skill_scanner"))["cross"].clone();
    let error = read_with(format("skill_scanner"), &cross.as_slice(), &Hints::default()).unwrap_err();
    assert!(matches!(error, ImportError::NeedsAsset(_)));
    let (_, records) = fixture("skill_scanner", "cross");
    assert_eq!(findings(&records)[0].asset.key, "support-bot");
    assert_eq!(related(&records, RelationKind::MayCall), [("support-bot", "skill/pdf-forms")]);
}

#[test]
fn manifests_are_searched_to_their_depth() {
    let (info, records) = fixture("mcp_manifest", "many");
    let all: Vec<_> =
        findings(&records).iter().map(|f| (f.locations[0].uri.as_str(), f.severity, f.asset.key.as_str())).collect();
    assert_eq!(
        all,
        [
            ("acme-notes/export", Severity::Critical, "acme-notes"),
            ("acme-notes/share", Severity::Medium, "acme-notes"),
            ("acme-notes/summarize", Severity::High, "acme-notes"),
            ("acme-notes/tag", Severity::High, "acme-notes"),
            ("acme-notes/prompts/review", Severity::High, "acme-notes"),
            ("acme-notes/resources/notes://malicious.html", Severity::Low, "acme-notes"),
        ]
    );
    assert_eq!(findings(&records)[1].evidence["signs"][0]["where"], "inputSchema.properties.to.description");
    assert_eq!((info.complete, info.scan_identity.as_str()), (true, "prompts,resources,tools"));
    assert_eq!(related(&records, RelationKind::ProvidedBy).len(), 6);
    let search = &described(&records, "acme-notes/search").attributes;
    assert!(
        search["definition"].as_str().unwrap().starts_with("sha256:") && search["annotations"]["readOnlyHint"] == true
    );
    // A list alone does not name its server, and a page of it proves no absence.
    let list = fixtures(format("mcp_manifest"))["many-list"].clone();
    let error = read_with(format("mcp_manifest"), &list.as_slice(), &Hints::default()).unwrap_err();
    assert!(matches!(error, ImportError::NeedsAsset(_)));
    let server = AssetRef { kind: AssetKind::McpServer, key: "notes".to_owned() };
    let hints = Hints { asset: Some(server.clone()), filename: None };
    let (info, records) = read_with(format("mcp_manifest"), &list.as_slice(), &hints).unwrap();
    assert!(!info.complete && info.assessed == [server] && keys(&records, AssetKind::McpServer).is_empty());
    assert_eq!(related(&records, RelationKind::ProvidedBy)[0], ("notes/delete_note", "notes"));
    assert_eq!(gaps(&fixture("mcp_manifest", "error").1, "tool-error").len(), 1);
}

#[test]
fn configurations_say_what_is_wrong_and_keep_their_secrets() {
    let (_, records) = fixture("mcp_config", "many");
    let all: Vec<_> = findings(&records)
        .iter()
        .map(|f| {
            (f.asset.key.as_str(), f.rule.as_str(), f.evidence.get("what").and_then(Value::as_str).unwrap_or_default())
        })
        .collect();
    assert_eq!(
        all,
        [
            ("files", "unpinned-package", "pkg:npm/%40acme/server-files"),
            ("files", "whole-disk", ""),
            ("crm", "literal-secret", "argument: api-key"),
            ("crm", "literal-secret", "argument: password in the address"),
            ("crm", "auto-approve", ""),
            ("mail", "literal-secret", "address: part of the path"),
            ("mail", "literal-secret", "address: token"),
            ("mail", "literal-secret", "header: X-API-Key"),
            ("mail", "insecure-transport", ""),
            ("setup", "literal-secret", "argument: key"),
            ("setup", "literal-secret", "environment variable: PASSWORD"),
            ("setup", "download-and-run", ""),
        ]
    );
    assert_eq!(gaps(&records, "skipped")[0].subject, "empty");
    assert_eq!(described(&records, "mail").attributes["url"], "http://mail.acme.example/s/…/mcp");
    // The same servers with comments and trailing commas; the shape shows that they are VS Code's.
    let (_, with_comments) = fixture("mcp_config", "many-jsonc");
    assert_eq!(fingerprints(&records), fingerprints(&with_comments));
    assert_eq!(keys(&with_comments, AssetKind::Agent), ["vscode"]);
    // Not in findings, attributes, relations, gaps, errors.
    for (name, bytes) in fixtures(format("mcp_config")) {
        let given = format!("{:?}", read(format("mcp_config"), &bytes));
        for secret in
            ["hunter2", "Swordfish", "pa55", "sesame", "Opensesame", "Zm9vYmFy", "Plover", "xyzzy", "Frotz", "a1b2c3d4"]
        {
            assert!(!given.contains(secret), "{name}: {secret}");
        }
    }
    let (_, records) = fixture("mcp_config", "settings");
    assert_eq!((findings(&records)[0].asset.key.as_str(), findings(&records).len()), ("vscode", 1));
    // One server in two projects is one server with one problem of each kind.
    assert_eq!(findings(&fixture("mcp_config", "projects").1).len(), 2);
    let (_, records) = fixture("mcp_config", "opencode");
    assert_eq!(related(&records, RelationKind::DependsOn), [("opencode", "notes")]);
}

#[test]
fn radar_graphs_become_agents_tools_and_models() {
    let (info, records) = fixture("agentic_radar", "many");
    assert_eq!(keys(&records, AssetKind::Application), ["support-desk"]);
    assert_eq!(keys(&records, AssetKind::Agent), ["support-desk/Researcher", "support-desk/Router"]);
    assert_eq!(keys(&records, AssetKind::Model), ["gpt-4o", "gpt-4o-mini"]);
    assert_eq!(keys(&records, AssetKind::McpServer), ["files", "https://crm.acme.example/mcp"]);
    assert_eq!(related(&records, RelationKind::DelegatesTo), [("support-desk/Router", "support-desk/Researcher")]);
    assert!(related(&records, RelationKind::UsesModel).contains(&("support-desk/Router", "gpt-4o")));
    // Only what an agent calls, not where the results go.
    let calls = related(&records, RelationKind::MayCall);
    assert!(calls.len() == 3 && calls.iter().all(|(agent, _)| *agent == "support-desk/Researcher"), "{calls:?}");
    assert_eq!(described(&records, "files").attributes["package"], "pkg:npm/%40acme/server-files@1.0.0");
    assert!(!serde_json::to_string(&records).unwrap().contains("hunter2"));
    // Those of nodes are the same as those of tools.
    let all: Vec<_> = findings(&records).iter().map(|f| (f.asset.key.as_str(), f.rule.as_str(), f.severity)).collect();
    assert_eq!(
        all,
        [
            ("support-desk/Researcher", "Misinformation", Severity::Low),
            ("support-desk/WebSearch", "Indirect Prompt Injection", Severity::Medium),
            ("support-desk/WebSearch", "Misinformation", Severity::Low),
            ("support-desk/Interpreter", "Arbitrary Code Execution (ACE)", Severity::High),
        ]
    );
    assert!(info.complete && !fixture("agentic_radar", "none").0.complete);
    let (_, records) = fixture("agentic_radar", "workflow");
    assert_eq!(related(&records, RelationKind::MayCall), [("calendar/Planner", "calendar/Calendar")]);
    assert_eq!(related(&records, RelationKind::UsesModel), [("calendar/Planner", "calendar/OpenAI Model")]);
}

#[test]
fn ai_infra_guard_names_what_it_filed_under_the_last_number() {
    let (_, records) = fixture("ai_infra_guard", "many");
    let all: Vec<_> = findings(&records).iter().map(|f| (f.rule.as_str(), f.severity, &*f.categories[0])).collect();
    assert_eq!(
        all,
        [
            ("agent-goal-hijack", Severity::High, "owasp-agentic@2026:ASI01"),
            ("tool-misuse-&-exploitation", Severity::Critical, "owasp-agentic@2026:ASI02"),
            ("memory-&-context-poisoning", Severity::Medium, "owasp-agentic@2026:ASI06"),
            ("information-disclosure", Severity::Low, "owasp-llm@2025:LLM02"),
            ("rogue-agents", Severity::Medium, "owasp-agentic@2026:ASI10"),
        ]
    );
    assert!(!by_rule(&records, "information-disclosure").categories.iter().any(|c| c.ends_with("ASI10")));
    let text = serde_json::to_string(&records).unwrap();
    assert!(text.contains("sk-…[redacted]") && !text.contains("a1b2a1b2"));
    assert_eq!(related(&records, RelationKind::UsesModel), [("travel-desk", "acme-chat-7b")]);
    let unnamed = fixtures(format("ai_infra_guard"))["unnamed"].clone();
    let error = read_with(format("ai_infra_guard"), &unnamed.as_slice(), &Hints::default()).unwrap_err();
    assert!(matches!(error, ImportError::NeedsAsset(_)));
    let (info, records) = fixture("ai_infra_guard", "unnamed");
    assert_eq!((info.complete, gaps(&records, "incomplete-run").len()), (false, 1));
}

#[test]
fn llm_guard_counts_hits_by_scanner_and_side_without_the_texts() {
    let (info, records) = fixture("llm_guard", "many");
    let all: Vec<_> = findings(&records).iter().map(|f| (f.title.as_str(), f.severity, f.count)).collect();
    assert_eq!(
        all,
        [
            ("Sensitive stopped output", Severity::High, 1),
            ("BanSubstrings stopped prompt", Severity::Medium, 1),
            ("InvisibleText stopped prompt", Severity::Medium, 1),
            // The library's event of the single scanner is not counted again.
            ("Secrets stopped prompt", Severity::High, 2),
        ]
    );
    let secrets = &by_rule(&records, "Secrets").evidence;
    assert_eq!(
        (&secrets["highestScore"], &secrets["first"]),
        (&serde_json::json!(0.9), &serde_json::json!("2026-11-23T07:00:00Z"))
    );
    assert!(!info.complete && info.checks == ["guardrail-attached"]);
    assert!(!serde_json::to_string(&records).unwrap().contains("hunter2"));
    assert_eq!(findings(&fixture("llm_guard", "debug").1)[0].rule, "PromptInjection");
    let many = fixtures(format("llm_guard"))["many"].clone();
    let error = read_with(format("llm_guard"), &many.as_slice(), &Hints::default()).unwrap_err();
    assert!(matches!(error, ImportError::NeedsAsset(_)));
}

#[test]
fn ocsf_tells_failed_from_passed_and_unseen() {
    let (info, records) = fixture("ocsf", "many");
    let all: Vec<_> = findings(&records).iter().map(|f| (f.rule.as_str(), f.severity, f.asset.kind)).collect();
    assert_eq!(
        all,
        [
            ("bedrock_agent_guardrail_enabled", Severity::High, AssetKind::Agent),
            ("s3_public", Severity::Critical, AssetKind::Application),
            ("kb_encryption", Severity::Low, AssetKind::KnowledgeBase),
            ("muted", Severity::Medium, AssetKind::Agent),
            ("CVE-2026-0001", Severity::Critical, AssetKind::Agent),
            ("old", Severity::Info, AssetKind::Application),
        ]
    );
    assert_eq!(by_rule(&records, "muted").suppression.as_ref().unwrap().justification, "accepted in May");
    assert_eq!(by_rule(&records, "CVE-2026-0001").categories, ["cwe@4:CWE-502"]);
    assert_eq!(by_rule(&records, "old").asset.key, "aws:000000000000");
    assert_eq!((info.tool.as_str(), info.tool_version.as_str(), info.complete), ("prowler", "5.1.0", true));
    assert_eq!(gaps(&records, "needs-review").len(), 1);
    assert_eq!(fingerprints(&records), fingerprints(&fixture("ocsf", "many-lines").1));
    let (info, records) = fixture("ocsf", "detections");
    assert_eq!((info.complete, gaps(&records, "skipped").len()), (false, 1));
    assert_eq!(findings(&records)[0].categories, ["atlas@5.6.0:AML.T0053"]);
}
