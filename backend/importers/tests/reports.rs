//! Real reports beside the repository give the counts that their index states; skipped where they are absent.

use std::path::{Path, PathBuf};

use stance_importers::{AssetRef, Hints, Record, detect};
use stance_shared::AssetKind;

fn reports() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reports")
}

/// How many findings the index expects of a report.
fn expected(tool: &str, file: &str, text: &str) -> Option<usize> {
    let number = |text: &str| text.split_whitespace().next()?.parse::<usize>().ok();
    match tool {
        "garak" if file.contains(".report.") => number(text.split(", ").nth(1)?),
        "garak" => text.split("-> ").nth(1).map_or_else(|| number(text), number),
        "modelscan" if file.ends_with(".json") => number(text),
        _ if text.contains(" results (effective level") => number(text),
        _ => None,
    }
}

#[test]
fn the_expected_counts_come_out() {
    let Ok(index) = std::fs::read_to_string(reports().join("index.json")) else {
        println!("skipped: no reports at {}", reports().display());
        return;
    };
    let index: Vec<serde_json::Value> = serde_json::from_str(&index).unwrap();
    let mut wrong = Vec::new();
    println!("{:55} {:>8} {:>5}  gaps", "file", "expected", "got");
    for entry in &index {
        let text = |key: &str| entry[key].as_str().unwrap();
        let Some(expected) = expected(text("tool"), text("file"), text("expected")) else { continue };
        let bytes = std::fs::read(reports().join(text("file"))).unwrap();
        let mut records = Vec::new();
        let asset = AssetRef { kind: AssetKind::Application, key: "portal".to_owned() };
        let hints = Hints { asset: Some(asset), filename: Some(text("file").to_owned()) };
        let result = detect(&bytes, None).and_then(|importer| importer.read(&bytes.as_slice(), &hints, &mut records));
        let findings = records.iter().filter(|record| matches!(record, Record::Finding(_))).count();
        let gaps = records.iter().filter(|record| matches!(record, Record::Gap(_))).count();
        let right = result.is_ok() && findings == expected;
        let note = result.as_ref().map_or_else(ToString::to_string, |info| {
            format!("{} {} {}", info.tool, info.tool_version, if info.complete { "" } else { "(partial)" })
        });
        println!("{:55} {expected:8} {findings:5}  {gaps:4} {note} {}", text("file"), if right { "" } else { "WRONG" });
        if std::env::var_os("SHOW").is_some() {
            for record in &records {
                println!("    {}", serde_json::to_string(record).unwrap());
            }
        }
        if !right {
            wrong.push(text("file"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
