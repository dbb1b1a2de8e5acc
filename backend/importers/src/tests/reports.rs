//! Every real report beside the repository gives the counts that its importer states, twice and in any order; skipped where they
//! are absent.

use stance_shared::AssetKind;

use super::*;

fn reports() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reports")
}

/// The paths of all reports; `None`, and a notice, where there are none.
fn index() -> Option<Vec<String>> {
    let Ok(index) = std::fs::read_to_string(reports().join("index.json")) else {
        println!("skipped: no reports at {}", reports().display());
        return None;
    };
    let index: Vec<serde_json::Value> = serde_json::from_str(&index).unwrap();
    Some(index.iter().map(|entry| entry["file"].as_str().unwrap().to_owned()).collect())
}

/// What is expected of a report.
enum Expected {
    /// By its importer's `expected.tsv`: lines of a file's path, a tab, and how many findings, assets, relations and gaps a
    /// correct importer extracts, and how often findings were seen (`7 findings, 20 hits, 1 asset`; kinds that are not named are
    /// not counted), or `error` and the kind of error. What a kind of record is called may have an `s` or not.
    Counts { format: &'static str, counts: String },
    /// By `no_reports.tsv`: lines of a file's path, what the error says that it is, and why it is not imported.
    Refused { says: String, why: String },
}

fn expected() -> BTreeMap<String, Expected> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = BTreeMap::new();
    let mut add = |report: &str, expected| {
        assert!(all.insert(report.to_owned(), expected).is_none(), "{report} is expected twice");
    };
    for importer in registry() {
        let file = folder.join("src").join(importer.format()).join("expected.tsv");
        for line in std::fs::read_to_string(&file).unwrap_or_default().lines().filter(|line| !line.is_empty()) {
            let (report, counts) = line.split_once('\t').unwrap_or_else(|| panic!("{}: {line}", file.display()));
            add(report, Expected::Counts { format: importer.format(), counts: counts.trim().to_owned() });
        }
    }
    for line in std::fs::read_to_string(folder.join("src/tests/no_reports.tsv")).unwrap().lines() {
        let [report, says, why] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        add(report, Expected::Refused { says: says.to_owned(), why: why.to_owned() });
    }
    all
}

/// The format it is taken for, and what comes out.
struct Import {
    format: &'static str,
    result: Result<RunInfo, ImportError>,
    records: Vec<Record>,
}

/// Imports as if with an asset named at the upload.
fn import(file: &str, bytes: &[u8]) -> Import {
    let asset = AssetRef { kind: AssetKind::Application, key: "portal".to_owned() };
    let hints = Hints { asset: Some(asset), filename: Some(file.to_owned()) };
    let mut records = Vec::new();
    match detect(bytes, None) {
        Ok(importer) => {
            let result = importer.read(&bytes, &hints, &mut records);
            Import { format: importer.format(), result, records }
        }
        Err(error) => Import { format: "", result: Err(error), records },
    }
}

/// The counts of what came out, of the kinds that `expected` names, in its words.
fn counts(expected: &str, import: &Import) -> String {
    if let Err(error) = &import.result {
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
    let records = &import.records;
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
fn every_report_of_the_index_gives_what_is_expected() {
    let Some(index) = index() else { return };
    let expected = expected();
    let mut wrong = Vec::new();
    println!("{:65} {:36} got", "file", "expected");
    for file in &index {
        let bytes = std::fs::read(reports().join(file)).unwrap();
        let import = import(file, &bytes);
        let (wanted, got, note) = match expected.get(file) {
            Some(Expected::Counts { format, counts: wanted }) => {
                let note = match &import.result {
                    _ if !import.format.is_empty() && import.format != *format => {
                        format!("taken for {}", import.format)
                    }
                    Err(error) => error.to_string(),
                    Ok(_) => String::new(),
                };
                let taken = if note.starts_with("taken") { note.clone() } else { counts(wanted, &import) };
                (wanted.clone(), taken, note)
            }
            Some(Expected::Refused { says, why }) => match &import.result {
                Err(ImportError::Unknown(error)) if error.contains(says.as_str()) => {
                    ("refused".to_owned(), "refused".to_owned(), format!("{says}: {why}"))
                }
                other => ("refused".to_owned(), format!("{other:?}"), says.clone()),
            },
            None => ("nothing is stated".to_owned(), String::new(), String::new()),
        };
        let mark = if wanted == got { "" } else { "WRONG" };
        println!("{file:65} {wanted:36} {got:36} {mark} {note}");
        if std::env::var("SHOW").is_ok_and(|part| file.contains(&part)) {
            import.records.iter().for_each(|record| println!("    {}", serde_json::to_string(record).unwrap()));
        }
        if wanted != got {
            wrong.push(file);
        }
    }
    let gone: Vec<_> = expected.keys().filter(|file| !index.contains(file)).collect();
    println!(
        "{} files, {} of them imported",
        index.len(),
        index.len() - expected.values().filter(|e| matches!(e, Expected::Refused { .. })).count()
    );
    assert!(wrong.is_empty(), "not as expected: {wrong:?}");
    assert!(gone.is_empty(), "expected, but not in the index: {gone:?}");
}

/// A report's records and what its run says of itself, in an order of their own.
fn normalized(import: Import) -> Vec<String> {
    let Import { result, records, .. } = import;
    let mut all: Vec<_> = records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
    let mut info = result.unwrap();
    info.assessed.sort();
    info.layers.sort();
    info.checks.sort();
    info.rules.sort();
    all.push(serde_json::to_string(&info).unwrap());
    all.sort();
    all
}

#[test]
fn a_report_gives_the_same_again_and_in_any_order() {
    let (mut reordered, mut different) = (0, Vec::new());
    for file in index().unwrap_or_default() {
        let bytes = std::fs::read(reports().join(&file)).unwrap();
        let first = import(&file, &bytes);
        if first.result.is_err() {
            continue;
        }
        for category in findings(&first.records).iter().flat_map(|finding| &finding.categories) {
            assert!(stance_shared::taxonomy::lookup(category).is_some(), "{file}: {category}");
        }
        let first = normalized(first);
        assert_eq!(first, normalized(import(&file, &bytes)), "{file}: again");
        let Some(shuffled) = shuffled(&bytes) else { continue };
        reordered += 1;
        let shuffled = normalized(import(&file, &shuffled));
        let missing: Vec<_> = first.iter().filter(|record| !shuffled.contains(record)).collect();
        if !missing.is_empty() || shuffled.len() != first.len() {
            for record in missing {
                println!("{file} -\n    {record}");
            }
            for record in shuffled.iter().filter(|record| !first.contains(record)) {
                println!("{file} +\n    {record}");
            }
            different.push(file);
        }
    }
    println!("{reordered} reports in another order");
    assert!(different.is_empty(), "another order changes {different:?}");
}
