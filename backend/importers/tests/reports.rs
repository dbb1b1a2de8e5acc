//! Real reports beside the repository give the counts that each importer states; skipped where they are absent.

#![expect(clippy::panic, reason = "a test says what is wrong by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stance_importers::{AssetRef, Hints, ImportError, Record, detect, registry};
use stance_shared::AssetKind;

fn reports() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reports")
}

/// What the importers' `expected.tsv` say of the reports: lines of a file's path, a tab, and how many findings, assets,
/// relations and gaps a correct importer extracts, and how often findings were seen (`7 findings, 20 hits, 1 asset`; kinds that are not named are not counted), or
/// `error` and the kind of error. What a kind of record is called may have an `s` or not.
fn expected() -> BTreeMap<String, (&'static str, String)> {
    let mut all = BTreeMap::new();
    for importer in registry() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(importer.format()).join("expected.tsv");
        for line in std::fs::read_to_string(&file).unwrap_or_default().lines().filter(|line| !line.is_empty()) {
            let (report, counts) = line.split_once('\t').unwrap_or_else(|| panic!("{}: {line}", file.display()));
            let before = all.insert(report.to_owned(), (importer.format(), counts.trim().to_owned()));
            assert!(before.is_none(), "{report} is expected twice");
        }
    }
    all
}

/// The counts of what came out, of the kinds that `expected` names, in its words.
fn got(expected: &str, result: Result<(), ImportError>, records: &[Record]) -> String {
    if let Err(error) = result {
        let kind = match error {
            ImportError::Unknown(_) => "Unknown",
            ImportError::Malformed { .. } => "Malformed",
            ImportError::Truncated { .. } => "Truncated",
            ImportError::NeedsAsset(_) => "NeedsAsset",
            ImportError::TooLarge(_) => "TooLarge",
            ImportError::Stopped(_) => "Stopped",
            ImportError::Io(_) => "Io",
        };
        return format!("error {kind}");
    }
    let count = |kind: fn(&Record) -> bool| records.iter().filter(|record| kind(record)).count();
    let part = |part: &str| {
        let word = part.trim().trim_start_matches(|c: char| c.is_ascii_digit()).trim();
        let number = match word.trim_end_matches('s') {
            "finding" => count(|record| matches!(record, Record::Finding(_))),
            "asset" => count(|record| matches!(record, Record::Asset(_))),
            "relation" => count(|record| matches!(record, Record::Relation(_))),
            "gap" => count(|record| matches!(record, Record::Gap(_))),
            "hit" => records.iter().map(|r| if let Record::Finding(f) = r { f.count as usize } else { 0 }).sum(),
            "suppressed" => count(|record| matches!(record, Record::Finding(f) if f.suppression.is_some())),
            other => panic!("“{other}” is not a kind of record"),
        };
        format!("{number} {word}")
    };
    expected.split(',').map(part).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_expected_counts_come_out() {
    let Ok(index) = std::fs::read_to_string(reports().join("index.json")) else {
        println!("skipped: no reports at {}", reports().display());
        return;
    };
    let index: Vec<serde_json::Value> = serde_json::from_str(&index).unwrap();
    let files: Vec<&str> = index.iter().map(|entry| entry["file"].as_str().unwrap()).collect();
    let expected = expected();
    let mut wrong: Vec<&str> = Vec::new();
    for (file, (format, wanted)) in &expected {
        assert!(files.contains(&file.as_str()), "{file} is not in the index");
        let bytes = std::fs::read(reports().join(file)).unwrap();
        let mut records = Vec::new();
        let asset = AssetRef { kind: AssetKind::Application, key: "portal".to_owned() };
        let hints = Hints { asset: Some(asset), filename: Some(file.clone()) };
        let mut note = String::new();
        let result = detect(&bytes, None).and_then(|importer| {
            if importer.format() != *format {
                note = format!("taken for {}", importer.format());
            }
            importer.read(&bytes.as_slice(), &hints, &mut records).map(drop)
        });
        if let Err(error) = &result {
            note.push_str(&error.to_string());
        }
        let got = got(wanted, result, &records);
        let right = got == *wanted && !note.starts_with("taken for");
        println!("{file:55} {wanted:40} {got:40} {} {note}", if right { "" } else { "WRONG" });
        if std::env::var("SHOW").is_ok_and(|part| file.contains(&part)) {
            for record in &records {
                println!("    {}", serde_json::to_string(record).unwrap());
            }
        }
        if !right {
            wrong.push(file);
        }
    }
    for file in files.iter().filter(|file| !expected.contains_key(**file)) {
        println!("{file:55} no importer says what to expect");
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
