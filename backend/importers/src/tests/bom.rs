//! What bills of materials, VEX documents and model cards mean.

use stance_shared::{AssetKind, Severity};

use super::*;

fn assets(records: &[Record]) -> Vec<&AssetRecord> {
    records.iter().filter_map(|record| if let Record::Asset(asset) = record { Some(asset) } else { None }).collect()
}

/// Relations as “from KIND to”, by key.
fn relations(records: &[Record]) -> Vec<String> {
    let of = |record: &Record| match record {
        Record::Relation(r) => Some(format!("{} {} {}", r.from.key, r.kind, r.to.key)),
        _ => None,
    };
    let mut all: Vec<_> = records.iter().filter_map(of).collect();
    all.sort();
    all
}

#[test]
fn cyclonedx_gives_inventory_and_findings_in_both_encodings() {
    let (info, records) = fixture("cyclonedx", "many");
    assert_eq!((info.tool.as_str(), info.tool_version.as_str(), info.complete), ("acme-bom", "2.1.0", true));
    assert_eq!(info.checks, ["provenance-known"]);
    let named: Vec<_> =
        assets(&records).iter().map(|a| (a.asset.kind, a.asset.key.as_str(), a.name.as_str())).collect();
    for expected in [
        (AssetKind::Application, "acme/support-portal", "acme/support-portal"),
        (AssetKind::Model, "pkg:huggingface/acme/support-ft", "acme/support-ft"),
        (AssetKind::Model, "pkg:huggingface/meta-llama/meta-llama-3-8b", "llama-3-8b"),
        (AssetKind::Dataset, "support-tickets", "support-tickets"),
        (AssetKind::Dataset, "https://data.acme.example/faq", "public-faq"),
        (AssetKind::Application, "acme/search", "acme/search"),
        (AssetKind::Application, "index", "index"),
    ] {
        assert!(named.contains(&expected), "{expected:?} in {named:?}");
    }
    assert_eq!(named.len(), 7, "a configuration is no data set: {named:?}");
    assert_eq!(
        relations(&records),
        [
            "acme/search DEPENDS_ON index",
            "acme/support-portal DEPENDS_ON acme/search",
            "acme/support-portal DEPENDS_ON support-tickets",
            "acme/support-portal USES_MODEL pkg:huggingface/acme/support-ft",
            "pkg:huggingface/acme/support-ft DERIVED_FROM pkg:huggingface/meta-llama/meta-llama-3-8b",
            "pkg:huggingface/acme/support-ft TRAINED_ON https://data.acme.example/faq",
            "pkg:huggingface/acme/support-ft TRAINED_ON support-tickets",
        ]
    );
    let model = assets(&records).into_iter().find(|a| a.asset.key.ends_with("support-ft")).unwrap();
    assert_eq!(
        (&model.attributes["task"], &model.attributes["licenses"][0]),
        (&"text-generation".into(), &"Apache-2.0".into())
    );
    let search = assets(&records).into_iter().find(|a| a.name == "acme/search").unwrap();
    assert_eq!(
        (&search.attributes["data"][0], &search.attributes["authenticated"]),
        (&"PII (bi-directional)".into(), &false.into())
    );

    let all = findings(&records);
    let [torch, yaml, model, linked] = all[..] else { panic!("{}", all.len()) };
    assert_eq!((torch.severity, torch.score), (Severity::High, Some(7.5)), "CVSS 3.1 before 2");
    assert_eq!(torch.rule, "CVE-2024-31580 pkg:pypi/torch");
    for category in ["cwe@4:CWE-1395", "owasp-llm@2025:LLM03"] {
        assert!(torch.categories.iter().any(|known| known == category), "{:?}", torch.categories);
    }
    assert!(torch.remediation.starts_with("Update torch to 2.2.0 or newer."), "{}", torch.remediation);
    assert_eq!((yaml.rule.as_str(), yaml.severity), ("CVE-2020-14343 pkg:pypi/pyyaml", Severity::Critical));
    let suppression = yaml.suppression.as_ref().unwrap();
    assert_eq!(suppression.origin, "CycloneDX analysis.state not_affected");
    assert_eq!(suppression.justification, "not_affected: code_not_reachable: Only safe_load is used.");
    assert_eq!((model.asset.kind, model.severity, &model.suppression), (AssetKind::Model, Severity::Medium, &None));
    assert_eq!(linked.rule, "CVE-2023-00001 pkg:pypi/jinja2");

    // The same in XML, but for what only one of the two fixtures has.
    let (xml_info, xml) = fixture("cyclonedx", "many-xml");
    assert_eq!((xml_info.tool.as_str(), xml_info.checks.clone()), ("acme-bom", info.checks.clone()));
    assert_eq!(relations(&xml), relations(&records));
    let xml = findings(&xml);
    for (one, other) in [(torch, xml[0]), (yaml, xml[1])] {
        assert_eq!((one.fingerprint, one.severity, one.score), (other.fingerprint, other.severity, other.score));
        assert_eq!((&one.suppression, &one.categories), (&other.suppression, &other.categories));
    }
    assert_eq!(xml[0].description, "Heap buffer overflow in the <runtime>.");
    assert_eq!(xml[1].description, "Code runs while YAML is loaded – by its tags.");
    assert_eq!(fingerprints(&fixture("cyclonedx", "vulnerabilities-first").1).len(), 2);
}

#[test]
fn cyclonedx_that_is_not_valid_says_so_and_xml_has_no_entities_of_its_own() {
    let (info, records) = fixture("cyclonedx", "invalid");
    assert!(!info.complete, "without vulnerabilities it proves no absence");
    let reasons: Vec<_> = gaps(&records, "not-valid").iter().map(|gap| gap.reason.as_str()).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons[0].contains("“sideways”; allowed are inbound"), "{reasons:?}");
    let report = &fixtures(format("cyclonedx"))["malformed-xml-doctype"];
    let error = read(format("cyclonedx"), report).unwrap_err().to_string();
    assert!(error.contains("document type declaration is not accepted"), "{error}");
    let unnamed = br#"{"bomFormat":"CycloneDX","vulnerabilities":[{"id":"CVE-1","affects":[{"ref":"x"}]}]}"#;
    let error = read_with(format("cyclonedx"), &unnamed.as_slice(), &Hints::default()).unwrap_err();
    assert!(matches!(error, ImportError::NeedsAsset(_)), "{error:?}");
}

#[test]
fn xml_is_refused_where_it_stops_being_xml() {
    let deep = format!("<bom xmlns='http://cyclonedx.org/schema/bom/1.6'>{}", "<a>".repeat(200));
    for (text, says, line) in [
        ("<html></html>", "expected the element “bom”, found “html”", 1),
        ("<bom>\n<components><component></components></bom>", "not the expected XML", 2),
        ("<bom>\n\n<components>&evil;</components></bom>", "the entity “evil” is not known", 3),
        ("<?xml version='1.0' encoding='UTF-16'?><bom/>", "the encoding UTF-16 is not supported", 1),
        ("<bom/>\n<bom/>", "goes on behind the end", 2),
        (deep.as_str(), "nested deeper than 100 levels", 1),
    ] {
        match read(format("cyclonedx"), text.as_bytes()).unwrap_err() {
            ImportError::Malformed { expected, position } => {
                assert!(expected.contains(says) && position.line == Some(line), "{text}: {expected} {position:?}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn openvex_decides_on_the_findings_that_it_speaks_of() {
    let (info, records) = fixture("openvex", "many");
    assert_eq!((info.tool_version.as_str(), info.complete), ("vexctl 0.3.0", false));
    assert_eq!(assets(&records)[0].asset.key, "pkg:oci/support-portal");
    let all = findings(&records);
    let [yaml, torch, pytorch, fixed, old] = all[..] else { panic!("{}", all.len()) };
    let suppression = yaml.suppression.as_ref().unwrap();
    assert_eq!(
        (suppression.origin.as_str(), suppression.justification.as_str()),
        ("OpenVEX status not_affected", "not_affected: vulnerable_code_not_in_execute_path: Only safe_load is used.")
    );
    assert_eq!((torch.rule.as_str(), &torch.suppression), ("CVE-2024-31580 pkg:pypi/torch", &None));
    assert_eq!(
        (torch.remediation.as_str(), pytorch.rule.as_str()),
        ("Update torch to 2.2.0.", "CVE-2024-31580 pkg:conda/pytorch")
    );
    assert_eq!(fixed.suppression.as_ref().unwrap().justification, "fixed: the statement gives no reason");
    assert_eq!((old.rule.as_str(), &old.suppression), ("CVE-2023-0001 pkg:npm/@acme/chat", &None));

    // On the asset that a scanner's report is about, a statement meets the scanner's finding.
    let with_asset = |importer: &str, name: &str| {
        let report = &fixtures(format(importer))[name];
        fingerprints(&read_with(format(importer), &report.as_slice(), &named()).unwrap().1)
    };
    let (bom, vex) = (with_asset("cyclonedx", "many"), with_asset("openvex", "many"));
    assert_eq!(vex.iter().filter(|fingerprint| bom.contains(fingerprint)).count(), 2, "PyYAML's and torch's");
    let error = read(format("openvex"), &fixtures(format("openvex"))["malformed"]).unwrap_err().to_string();
    assert!(error.contains("“maybe” must be one of not_affected, affected"), "{error}");
}

#[test]
fn spdx_2_gives_a_finding_for_each_advisory_in_both_encodings() {
    let (info, records) = fixture("spdx", "many");
    assert_eq!((info.tool.as_str(), info.tool_version.as_str(), info.complete), ("acme-bom", "2.1.0", true));
    assert_eq!(info.assessed[0].key, "support-portal");
    let rules: Vec<_> = findings(&records).iter().map(|finding| finding.rule.clone()).collect();
    assert_eq!(
        rules,
        ["CVE-2024-31580 pkg:pypi/torch", "CVE-2020-14343 pkg:pypi/pyyaml", "GHSA-8Q59-Q68H-6HV4 pkg:pypi/pyyaml"]
    );
    assert!(findings(&records)[0].remediation.starts_with("https://git.acme.example/torch/"));
    assert_eq!(gaps(&records, "not-identified").len(), 1);
    let (info, tags) = fixture("spdx", "many-tags");
    assert_eq!((info.tool.as_str(), findings(&tags).len()), ("acme-bom", 4));
    assert_eq!(findings(&tags)[0].fingerprint, findings(&records)[0].fingerprint);
    assert_eq!(findings(&fixture("spdx", "packages-first").1).len(), 3, "whatever stands first");
}

#[test]
fn spdx_3_gives_models_data_sets_and_what_was_trained_on_what() {
    let (info, records) = fixture("spdx", "many-graph");
    assert!(info.checks.is_empty(), "of the base model nothing is known");
    assert_eq!(
        relations(&records),
        [
            "pkg:huggingface/acme/support-ft DERIVED_FROM llama-3-8b",
            "pkg:huggingface/acme/support-ft TRAINED_ON support-tickets"
        ]
    );
    let all = assets(&records);
    assert_eq!(all.len(), 3);
    assert_eq!(all[0].attributes["useSensitivePersonalInformation"], "yes");
    assert!(!all[0].attributes.contains_key("autonomyType"), "nothing asserted is nothing said");
    assert_eq!(all[2].attributes["confidentialityLevel"], "amber");
    assert_eq!(gaps(&fixture("spdx", "security-graph").1, "not-taken").len(), 1);
}

#[test]
fn cards_and_configurations_give_lineage_and_what_is_wrong_with_them() {
    let (info, records) = fixture("huggingface", "many");
    assert_eq!(info.checks, ["provenance-known"]);
    assert_eq!(
        relations(&records),
        [
            "support-ft DERIVED_FROM pkg:huggingface/meta-llama/meta-llama-3-8b",
            "support-ft TRAINED_ON https://huggingface.co/datasets/acme/faq",
            "support-ft TRAINED_ON https://huggingface.co/datasets/acme/support-tickets",
        ]
    );
    let model = assets(&records)[0];
    assert_eq!(
        (&model.attributes["license"], &model.attributes["performance"][0]),
        (&"apache-2.0".into(), &"accuracy 0.91 on tickets".into())
    );
    assert_eq!((findings(&records)[0].rule.as_str(), gaps(&records, "not-valid").len()), ("custom-code", 1));
    let (_, one) = fixture("huggingface", "one");
    assert_eq!(findings(&one)[0].title, "The card does not say what it was trained on or derived from");
    let (info, dataset) = fixture("huggingface", "dataset");
    assert_eq!((info.assessed[0].kind, findings(&dataset).len()), (AssetKind::Dataset, 0));

    let config = &fixtures(format("huggingface"))["code-config"];
    let error = read_with(format("huggingface"), &config.as_slice(), &Hints::default()).unwrap_err();
    assert!(matches!(error, ImportError::NeedsAsset(_)), "{error:?}");
    let (_, records) = read_with(format("huggingface"), &config.as_slice(), &named()).unwrap();
    let said: Vec<_> = findings(&records).iter().map(|f| (f.rule.as_str(), f.severity, f.title.as_str())).collect();
    assert_eq!(
        said,
        [
            ("custom-code", Severity::Medium, "The model runs code from its repository"),
            ("custom-code-elsewhere", Severity::High, "The model runs code from the repository other/tok"),
            ("custom-code-elsewhere", Severity::High, "The model runs code from the repository third/proc"),
        ]
    );
    let (_, card) =
        read_with(format("huggingface"), &fixtures(format("huggingface"))["many"].as_slice(), &named()).unwrap();
    assert_eq!(findings(&card)[0].fingerprint, findings(&records)[0].fingerprint, "card and configuration meet");

    let place = |name: &str| match read(format("huggingface"), &fixtures(format("huggingface"))[name]).unwrap_err() {
        ImportError::Malformed { position, .. } | ImportError::Truncated { position, .. } => position.line.unwrap(),
        other => panic!("{other:?}"),
    };
    assert!((3..=5).contains(&place("malformed")), "{}", place("malformed"));
    // Aliases of aliases do not grow beyond measure.
    let bomb: String =
        (1..20).map(|i| format!("a{i}: &a{i} [*a{0},*a{0},*a{0},*a{0},*a{0},*a{0},*a{0},*a{0}]\n", i - 1)).collect();
    let bomb = format!("---\na0: &a0 x\n{bomb}---\n");
    assert!(matches!(read(format("huggingface"), bomb.as_bytes()), Err(ImportError::Malformed { .. })));
    let (_, plain) = read(format("huggingface"), b"# tiny model\n\nNo metadata here.\n").unwrap();
    assert_eq!(findings(&plain).len(), 1, "a card without metadata says nothing");
}

#[test]
fn stance_csv_is_as_strict_as_stance_json() {
    let (info, records) = fixture("stance", "many-csv");
    assert_eq!((info.tool.as_str(), info.complete, info.assessed.len()), ("acme-review", true, 2));
    let all = findings(&records);
    assert_eq!((all[0].score, all[0].locations[0].line, all[0].categories.len()), (Some(7.5), Some(14), 2));
    assert_eq!(all[0].description, "Says \"yes\", always.\nTo everybody.");
    assert_eq!((all[1].count, all[1].suppression.as_ref().unwrap().justification.as_str()), (2, "known to its owner"));
    assert_ne!(all[2].fingerprint, all[3].fingerprint);
    let error = |text: &str| read(format("stance"), text.as_bytes()).unwrap_err().to_string();
    for (text, says) in [
        ("rule,title,severity,wat\n", "line 1: unknown column “wat”; allowed are asset_kind"),
        ("rule,title,severity,rule\n", "“rule” stands there twice"),
        ("rule,title,severity\nr,t,LOW\n", "line 2: asset: is required"),
        (
            "rule,title,severity,asset_kind,asset_key\nr,t,SEVERE,AGENT,a\n",
            "line 2: severity: Severity must be one of CRITICAL",
        ),
        ("rule,title,severity,asset_kind,asset_key\nr,t,LOW,AGENT,\n", "line 2: asset_key: must not be empty"),
        ("rule,title,severity,asset_kind,asset_key\nr,t,LOW,AGENT,a,b\nr,t,LOW,AGENT,a\n", "has 6 fields instead of 5"),
        (
            "tool,rule,title,severity,asset_kind,asset_key\na,r,t,LOW,AGENT,a\nb,r,t,LOW,AGENT,a\n",
            "line 3: tool: must be the same",
        ),
    ] {
        assert!(error(text).contains(says), "{}", error(text));
    }
}
