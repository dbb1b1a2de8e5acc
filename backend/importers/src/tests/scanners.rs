//! What the reports of scanners of models, packages and code mean, and where different tools meet.

use super::*;

#[test]
fn scanners_of_pickles_meet_in_one_finding() {
    let asset = AssetRef { kind: stance_shared::AssetKind::Model, key: "org/acme".to_owned() };
    let of = |importer: &str, filename: &str, report: &str| {
        let hints = Hints { asset: Some(asset.clone()), filename: Some(filename.to_owned()) };
        let (_, records) = read_with(format(importer), &report.as_bytes(), &hints).unwrap();
        findings(&records).into_iter().cloned().collect::<Vec<_>>()
    };
    let modelscan = of(
        "modelscan",
        "modelscan.json",
        r#"{"summary":{"input_path":"x"},"issues":[{"operator":"system","module":"posix","source":"two.pkl","scanner":"s","severity":"CRITICAL"}]}"#,
    );
    let picklescan = of("picklescan", "p.txt", include_str!("../picklescan/fixtures/many.txt"));
    let fickling = of("fickling", "out/two.pkl.json", include_str!("../fickling/fixtures/many.json"));
    let modelaudit = of("modelaudit", "m.json", include_str!("../modelaudit/fixtures/many.json"));
    let in_two = |all: &[FindingRecord]| {
        let found = all.iter().find(|f| f.rule == "posix.system" && f.locations[0].uri.ends_with("two.pkl"));
        found.unwrap().fingerprint
    };
    assert_eq!(in_two(&modelscan), in_two(&picklescan));
    assert_eq!(in_two(&modelscan), in_two(&fickling));
    assert_eq!(in_two(&modelscan), in_two(&modelaudit));
    let shared = |all: &[FindingRecord]| {
        let known = |finding: &&FindingRecord| modelaudit.iter().any(|other| other.fingerprint == finding.fingerprint);
        all.iter().filter(known).count()
    };
    assert_eq!((shared(&picklescan), picklescan.len()), (12, 12), "ModelAudit finds all that picklescan finds");
    // ModelAudit's SARIF is the same report.
    let sarif = of("sarif", "m.sarif", include_str!("../sarif/fixtures/modelaudit.sarif"));
    assert_eq!((shared(&sarif), sarif.len(), modelaudit.len()), (20, 22, 20), "all but what could not be analyzed");
    // The same import in other files is another finding.
    assert_eq!(picklescan.iter().filter(|finding| finding.fingerprint == in_two(&modelscan)).count(), 1);
    let nested = picklescan.iter().find(|finding| finding.locations[0].uri.contains("unet")).unwrap();
    assert_eq!(nested.fingerprint, unsafe_import::fingerprint(&asset, "subprocess.Popen", "unet/weights.pkl"));
}

#[test]
fn picklescan_says_what_it_could_not_read() {
    use stance_shared::Severity;
    let (info, records) = fixture("picklescan", "many");
    assert_eq!((info.complete, gaps(&records, "tool-error")[0].subject.as_str()), (false, "/srv/models/acme/cut.pkl"));
    let all = findings(&records);
    let of = |rule: &str| all.iter().find(|finding| finding.rule == rule).unwrap();
    assert_eq!([of("webbrowser.open").severity, of("posix.system").severity], [Severity::High, Severity::Critical]);
    assert!(
        all.iter().any(|f| f.rule == "builtins.eval" && f.locations[0].uri == "/srv/models/acme/evil.zip:a/eval.pkl")
    );
    let text = "* torch.load - suspicious\n* torch.load - suspicious\n* os.x - innocuous\nDangerous globals: 3\n";
    let (info, records) = read(format("picklescan"), text.as_bytes()).unwrap();
    let suspicious = findings(&records)[0];
    assert_eq!((suspicious.rule.as_str(), suspicious.severity, suspicious.count), ("torch.load", Severity::Medium, 2));
    assert!(!info.complete && gaps(&records, "incomplete-run").len() == 1);
}

#[test]
fn fickling_judges_each_import_of_all_pickles_in_the_file() {
    use stance_shared::Severity;
    let (info, records) = fixture("fickling", "many");
    let all: Vec<_> = findings(&records).into_iter().map(|f| (f.rule.as_str(), f.severity, f.count)).collect();
    assert_eq!(
        all,
        [
            ("UnusedVariables", Severity::Low, 1),
            ("builtins.eval", Severity::Critical, 2),
            ("posix.system", Severity::High, 1),
            ("socket.create_connection", Severity::High, 1),
            ("subprocess.Popen", Severity::High, 1),
        ]
    );
    assert!(info.complete);
    let cut =
        r#"{"severity":"LIKELY_UNSAFE","analysis":"The file has invalid opcode(s). It is","detailed_results":{}}"#;
    let (info, records) = read(format("fickling"), cut.as_bytes()).unwrap();
    assert_eq!((info.complete, gaps(&records, "tool-error").len(), findings(&records).len()), (false, 1, 1));
}

#[test]
fn promptfoo_groups_attacks_by_plugin_and_checks_by_assertion() {
    use stance_shared::{Layer, Severity};
    let (info, records) = fixture("promptfoo", "many");
    let all = findings(&records);
    let of = |rule: &str| all.iter().find(|finding| finding.rule == rule).unwrap();
    assert_eq!((info.tool_version.as_str(), info.scan_identity.as_str()), ("0.121.20", "Weekly red team"));
    let pii = of("pii:direct");
    assert_eq!((pii.count, pii.attack_success_rate, pii.severity), (2, Some(2.0 / 3.0), Severity::High));
    assert_eq!(
        pii.categories,
        ["owasp-llm@2025:LLM02", "atlas@5.6.0:AML.T0057", "owasp-llm@2025:LLM01", "atlas@5.6.0:AML.T0054"]
    );
    assert_eq!(pii.evidence["strategies"][0], serde_json::json!({"strategy": "base64", "failed": 1, "total": 1}));
    assert_eq!(
        (of("sql-injection").asset.key.as_str(), of("excessive-agency").severity),
        ("acme-support-bot", Severity::Medium)
    );
    // The same check failed twice; its model is another asset.
    let check = of("not-contains");
    assert_eq!((check.count, check.attack_success_rate, check.layer), (2, None, Layer::Model));
    assert_eq!(
        (check.title.as_str(), check.asset.key.as_str()),
        ("Check failed: not-contains “SELECT”", "openai:chat:acme-7b")
    );
    // An error is neither a finding nor a pass.
    assert!(all.iter().all(|finding| finding.rule != "harmful:hate") && !info.complete);
    assert_eq!(gaps(&records, "tool-error")[0].subject, "harmful:hate");
    let (_, lines) = fixture("promptfoo", "many-lines");
    assert_eq!(fingerprints(&records), fingerprints(&lines));
    assert_eq!(all.iter().map(|f| f.count).sum::<u64>(), 7);
}

#[test]
fn modelaudit_tells_problems_from_what_it_could_not_analyze() {
    let (info, records) = fixture("modelaudit", "many");
    let all = findings(&records);
    assert!(!info.complete && gaps(&records, "tool-error").iter().all(|gap| gap.subject.ends_with("/acme/cut.pkl")));
    let url = all.iter().find(|finding| finding.rule == "S309").unwrap();
    assert_eq!(
        (url.locations[0].uri.as_str(), url.evidence["details"]["url"].as_str()),
        ("/srv/models/acme/browser.pkl", Some("http://127.0.0.1/x"))
    );
    assert!(!serde_json::to_string(&all).unwrap().contains(" (pos "), "positions move");
    let error =
        read(format("modelaudit"), br#"{"bytes_scanned":1,"issues":[],"files_scanned":1,"has_errors":true}"#).unwrap();
    assert!(!error.0.complete);
}

#[test]
fn both_forms_of_one_analyzers_report_give_the_same_findings() {
    let of = |importer: &str, name: &str| {
        let (info, records) =
            read_with(format(importer), &fixtures(format(importer))[name].as_slice(), &named()).unwrap();
        let secrets = serde_json::to_string(&findings(&records)).unwrap();
        assert!(!secrets.contains("hunter2"), "{importer} {name}: a hard-coded password is not kept");
        // What is ignored in the code stands only in SARIF.
        let suppressed = |record: &Record| matches!(record, Record::Finding(finding) if finding.suppression.is_some());
        let records: Vec<_> = records.into_iter().filter(|record| !suppressed(record)).collect();
        (info.tool, info.complete, fingerprints(&records), gaps(&records, "tool-error").len(), records)
    };
    let (json, sarif) = (of("bandit", "many"), of("sarif", "bandit"));
    assert_eq!((&json.0, json.1, &json.2, json.3), (&sarif.0, sarif.1, &sarif.2, sarif.3));
    // The same line in two places is one problem twice; the merge tells them apart by number.
    assert_eq!((json.2.len(), json.2.iter().collect::<std::collections::BTreeSet<_>>().len(), json.3), (9, 8, 1));
    let (json, sarif) = (of("semgrep", "many"), of("sarif", "semgrep"));
    assert_eq!((&json.0, &json.2), (&sarif.0, &sarif.2));
    let severities = |records: &[Record]| {
        let mut all: Vec<_> = findings(records).iter().map(|f| (f.rule.clone(), f.layer)).collect();
        all.sort();
        all
    };
    assert_eq!(severities(&json.4), severities(&sarif.4));
}

#[test]
fn bandit_and_semgrep_say_what_each_result_means() {
    use stance_shared::{Layer, Severity};
    let (info, records) = fixture("bandit", "many");
    let all = findings(&records);
    let load = all.iter().find(|finding| finding.rule == "B614").unwrap();
    assert_eq!((info.tool_version.as_str(), load.severity, load.layer), ("1.9.4", Severity::Medium, Layer::Model));
    assert_eq!(load.categories, ["cwe@4:CWE-502", "owasp-llm@2025:LLM03", "atlas@5.6.0:AML.T0011.000"]);
    let place = &load.locations[0];
    assert_eq!(
        (place.uri.as_str(), place.line, place.snippet.as_deref()),
        ("app.py", Some(12), Some("    return torch.load("))
    );
    let (_, records) = fixture("semgrep", "many");
    let all = findings(&records);
    let of = |rule: &str| all.iter().find(|finding| finding.rule == rule).unwrap();
    assert_eq!(of("llm-output-to-shell").severity, Severity::Critical);
    assert!(of("llm-output-to-shell").categories.iter().any(|category| category == "owasp-llm@2025:LLM05"));
    assert_eq!(of("torch-load-without-weights-only").remediation, "https://acme.example/rules/torch-load");
    assert_eq!(gaps(&records, "partly-scanned")[0].subject, "partly.py");
}

#[test]
fn scanners_of_packages_meet_in_one_finding() {
    let of = |importer: &str| {
        let (_, records) =
            read_with(format(importer), &fixtures(format(importer))["many"].as_slice(), &named()).unwrap();
        findings(&records).into_iter().cloned().collect::<Vec<_>>()
    };
    let (trivy, grype, pip) = (of("trivy"), of("grype"), of("pip_audit"));
    let find = |all: &[FindingRecord], rule: &str| all.iter().find(|f| f.rule.starts_with(rule)).unwrap().fingerprint;
    for rule in ["CVE-2026-2002 pkg:pypi/torch", "CVE-2026-4004 pkg:pypi/requests"] {
        assert_eq!(find(&trivy, rule), find(&grype, rule), "{rule}");
        assert_eq!(find(&trivy, rule), find(&pip, rule), "{rule}");
    }
    assert_eq!(find(&grype, "CVE-2026-3003 pkg:pypi/pyyaml"), find(&pip, "CVE-2026-3003 pkg:pypi/pyyaml"));
    assert_eq!(find(&trivy, "CVE-2026-1001 pkg:deb/debian/libc6"), find(&grype, "CVE-2026-1001 pkg:deb/debian/libc6"));
}

#[test]
fn trivy_says_what_each_result_means() {
    use stance_shared::Severity;
    let (info, records) = fixture("trivy", "many");
    let all = findings(&records);
    let of = |rule: &str| all.iter().find(|finding| finding.rule.starts_with(rule)).unwrap();
    assert_eq!(
        (info.tool_version.as_str(), of("CVE-2026-2002").asset.key.as_str(), all.len()),
        ("0.69.1", "acme/support-bot:1.4", 7)
    );
    let torch = of("CVE-2026-2002");
    assert_eq!(
        (torch.severity, torch.score, torch.locations[0].uri.as_str()),
        (Severity::Critical, Some(9.8), "app/requirements.txt")
    );
    assert_eq!(
        torch.categories,
        ["cwe@4:CWE-502", "cwe@4:CWE-1395", "owasp-llm@2025:LLM03", "atlas@5.6.0:AML.T0010.001"]
    );
    assert_eq!(
        torch.remediation,
        "Update torch from 2.0.0 to 2.6.0.\n\nhttps://avd.aquasec.com/nvd/ghsa-aaaa-bbbb-cccc"
    );
    // The distribution's severity is not overruled by another source's score; unknown is not harmless.
    assert_eq!(
        (of("CVE-2026-1001").severity, of("CVE-2026-1001").score, of("CVE-2026-1001").locations.len()),
        (Severity::Low, None, 0)
    );
    assert_eq!(of("CVE-2026-3003").severity, Severity::Medium);
    let suppression = of("CVE-2026-4004").suppression.as_ref().unwrap();
    assert_eq!(suppression.origin, "Trivy not_affected (openvex.json)");
    assert_eq!(
        (of("AVD-DS-0002").severity, of("github-pat").locations[0].line, of("license AGPL").severity),
        (Severity::High, Some(3), Severity::High)
    );
    // A cluster's resources are assets of their own.
    let (info, records) = fixture("trivy", "many-cluster");
    let keys: Vec<_> = info.assessed.iter().map(|asset| asset.key.as_str()).collect();
    assert_eq!(keys, ["prod/ai/Deployment/support-bot", "prod/ai/Deployment/gateway"]);
    assert!(!info.complete && gaps(&records, "tool-error")[0].subject == "vector-db");
    let (_, legacy) = fixture("trivy", "many-legacy");
    assert!(findings(&legacy).iter().any(|finding| finding.rule == "(NO ID) pkg:golang/github.com/acme/x"));
    for unnamed in [r#"{"SchemaVersion":2,"ArtifactName":".","Results":[]}"#, "[]", "null"] {
        let error = read_with(format("trivy"), &unnamed.as_bytes(), &Hints::default()).unwrap_err();
        assert!(matches!(error, ImportError::NeedsAsset(_)), "{error}");
    }
}

#[test]
fn grype_says_what_each_match_means() {
    use stance_shared::Severity;
    let (info, records) = fixture("grype", "many");
    let all = findings(&records);
    let of = |rule: &str| all.iter().find(|finding| finding.rule.starts_with(rule)).unwrap();
    assert_eq!(
        (info.tool_version.as_str(), all[0].asset.key.as_str(), all.len()),
        ("0.104.0", "acme/support-bot:1.4", 5)
    );
    let torch = of("CVE-2026-2002");
    assert_eq!(
        (torch.severity, torch.score, torch.evidence["knownExploited"].as_bool()),
        (Severity::Critical, Some(9.3), Some(true))
    );
    assert_eq!(of("CVE-2026-1001").severity, Severity::Info);
    let suppression = of("CVE-2026-4004").suppression.as_ref().unwrap();
    assert_eq!(
        (suppression.origin.as_str(), suppression.justification.as_str()),
        ("Grype VEX not_affected", "vulnerable_code_not_present")
    );
    let (_, none) = fixture("grype", "none");
    assert!(none.iter().any(|record| matches!(record, Record::Asset(asset) if asset.asset.key == "/srv/app")));
}

#[test]
fn pyrit_groups_results_by_attack_and_objective() {
    use stance_shared::{AssetKind, Severity};
    let (info, records) = fixture("pyrit", "many");
    let all = findings(&records);
    let of = |objective: &str| all.iter().find(|finding| finding.evidence["objective"] == objective).unwrap();
    assert_eq!((info.tool_version.as_str(), info.complete, all.len()), ("1.1.0", false, 4));
    let prompt = of("Reveal the system prompt");
    assert_eq!((prompt.count, prompt.attack_success_rate, prompt.severity), (1, Some(0.5), Severity::High));
    assert_eq!(prompt.evidence["output"], "My prompt: be kind. key sk-…[redacted]");
    assert_eq!((of("Write an insult").severity, of("Write an insult").categories.len()), (Severity::Medium, 0));
    assert_eq!(of("Leak record 740").rule, "CrescendoAttack");
    // The target without a model is its endpoint, without credentials.
    let target = &of("Leak record 741").asset;
    assert_eq!((target.kind, target.key.as_str()), (AssetKind::Application, "http://127.0.0.1:8080/v1"));
    assert_eq!(gaps(&records, "not-evaluated")[0].subject, "Explain lock picking");
    assert_eq!(gaps(&records, "tool-error")[0].reason, "Target returned 503");
    assert_eq!(fingerprints(&records), fingerprints(&fixture("pyrit", "many-array").1));
}

#[test]
fn giskard_identifies_slices_and_not_numbers() {
    use stance_shared::{Layer, Severity};
    let of = |sentence: &str| {
        let report = serde_json::json!({"PerformanceBiasDetector": {"major": [sentence]}}).to_string();
        fingerprints(&read(format("giskard"), report.as_bytes()).unwrap().1)
    };
    assert_eq!(
        of("where `age` >= 61.5, the Recall is 10% lower"),
        of("where `age` >= 60.25, the Recall is 9.5% lower")
    );
    assert_ne!(of("where `age` >= 61.5, the Recall is 10% lower"), of("where `age` < 61.5, the Recall is 10% lower"));
    let (info, records) = fixture("giskard", "many");
    let injection =
        findings(&records).into_iter().find(|finding| finding.rule == "LLMPromptInjection").unwrap().clone();
    assert_eq!((injection.severity, injection.layer, info.complete), (Severity::High, Layer::Application, true));
    assert!(!fixture("giskard", "none").0.complete, "nothing found is no proof");
}

#[test]
fn openreports_names_resources_and_what_failed_on_them() {
    use stance_shared::Severity;
    let (info, records) = fixture("openreports", "many");
    let keys: Vec<_> = info.assessed.iter().map(|asset| asset.key.as_str()).collect();
    assert_eq!(keys, ["ai/Deployment/support-bot", "ai/Deployment/gateway", "ai/Pod/vector-db"]);
    assert_eq!((info.scan_identity.as_str(), info.complete), ("image-scanner,kyverno,other", false));
    let all: Vec<_> = findings(&records).iter().map(|finding| (finding.rule.as_str(), finding.severity)).collect();
    assert_eq!(
        all,
        [
            ("CVE-2026-2002 pkg:generic/torch", Severity::Critical),
            ("require-non-root/check-runasnonroot", Severity::Low),
            ("CVE-2026-2002 pkg:generic/torch", Severity::Low),
            ("require-non-root/check-runasnonroot", Severity::High),
        ]
    );
    assert_eq!((gaps(&records, "skipped").len(), gaps(&records, "tool-error")[0].subject.as_str()), (1, "scan"));
}

#[test]
fn generic_findings_keep_what_their_fields_say() {
    use stance_shared::Severity;
    let (info, records) = fixture("defectdojo", "many");
    assert_eq!((info.tool.as_str(), info.tool_version.as_str(), info.complete), ("acme-probe", "3.1", true));
    let [pickle, component, chat, archive] = findings(&records)[..] else { panic!("four findings") };
    assert_eq!(
        (pickle.rule.as_str(), pickle.severity, pickle.score, pickle.count),
        ("ACME-7", Severity::Critical, Some(9.8), 3)
    );
    assert_eq!((pickle.locations[0].uri.as_str(), pickle.locations[0].line), ("portal/models.py", Some(41)));
    assert!(pickle.categories.contains(&"cwe@4:CWE-502".into()) && pickle.layer == stance_shared::Layer::Model);
    assert_eq!(pickle.remediation, "Load safetensors.\n\nhttps://acme.example/rules/7");
    assert_eq!(component.rule, "CVE-2023-46229");
    assert!(component.suppression.is_none() && component.evidence["risk accepted"] == true, "a person accepts risks");
    assert!(["cwe@4:CWE-918", "cwe@4:CWE-20"].iter().all(|cwe| component.categories.iter().any(|has| has == cwe)));
    let places: Vec<_> = chat.locations.iter().map(|location| location.uri.as_str()).collect();
    assert_eq!(places, ["https://portal.acme.example/chat", "https://portal.acme.example:8443/api"]);
    assert_eq!(chat.suppression.as_ref().unwrap().origin, "DefectDojo false_p");
    assert_ne!(chat.fingerprint, archive.fingerprint);
    for (report, says) in
        [("unknown", "“colour” is not a member"), ("missing", "missing field `title`"), ("malformed", "Critical, High")]
    {
        match read(format("defectdojo"), &fixtures(format("defectdojo"))[report]).unwrap_err() {
            ImportError::Malformed { expected, position } => {
                assert!(expected.contains(says), "{expected}");
                assert!(position.path.starts_with("findings["), "{position:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_finding_without_words_is_called_by_its_rule() {
    let report = r#"{"SchemaVersion":2,"ArtifactName":"x","Results":[{"Target":"t","Class":"config","Misconfigurations":[
        {"ID":"\u0001","Title":"\u0002","Severity":"LOW","Status":"FAIL"}]}]}"#;
    let (_, records) = read(format("trivy"), report.as_bytes()).unwrap();
    assert_eq!((findings(&records)[0].title.as_str(), findings(&records)[0].rule.as_str()), ("(no rule)", "(no rule)"));
}
