//! What one tool's real report names is the same asset in another's; skipped where the reports beside the repository are absent.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use stance_importers::{AssetRef, Hints, ImportError, Record, RunInfo, detect};
use stance_shared::{AssetKind, RelationKind};

fn reports() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reports")
}

/// Reads a report; one that names no asset as if it were uploaded with one.
fn read(file: &str, asset: Option<AssetRef>) -> Result<(RunInfo, Vec<Record>), ImportError> {
    let bytes = std::fs::read(reports().join(file))?;
    let importer = detect(&bytes, None)?;
    let named = || Some(AssetRef { kind: AssetKind::Application, key: "portal".to_owned() });
    let with = |asset| {
        let mut records = Vec::new();
        let hints = Hints { asset, filename: Some(file.to_owned()) };
        importer.read(&bytes.as_slice(), &hints, &mut records).map(|info| (info, records))
    };
    match with(asset.clone()) {
        Err(ImportError::NeedsAsset(_)) if asset.is_none() => with(named()),
        other => other,
    }
}

#[test]
fn a_tool_of_a_server_is_one_asset_in_all_reports() {
    if !reports().exists() {
        println!("skipped: no reports at {}", reports().display());
        return;
    }
    let provided = |file: &str| {
        let (_, records) = read(file, None).unwrap();
        let of = |record: &Record| match record {
            Record::Relation(relation) if relation.kind == RelationKind::ProvidedBy => {
                Some((relation.from.key.clone(), relation.to.key.clone()))
            }
            _ => None,
        };
        records.iter().filter_map(of).collect::<BTreeSet<_>>()
    };
    let (inspected, scanned) =
        (provided("snyk_agent_scan/inspect_multi.json"), provided("snyk_agent_scan/scan_v069_stub.json"));
    assert_eq!(inspected, scanned);
    assert!(inspected.contains(&("linejump/send_mail".to_owned(), "linejump".to_owned())), "{inspected:?}");
}
