//! What every importer has to keep, whatever its format.

mod agents;
mod bom;
mod formats;
mod reports;
mod scanners;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value;
use stance_engine::fingerprint::Fingerprint;

use super::*;

/// What every importer's folder has in `fixtures/`. A format with several encodings has a set for each, told apart by what
/// stands behind a dash: `many.json`, `many-xml.xml`.
///
/// * `none`: a valid report without findings; `one`: with one; `many`: with at least four records;
/// * `malformed`, `truncated`: broken in the middle, and cut off;
/// * `huge`: a template of a report of any size, see [`generate::Template`].
const REQUIRED: [&str; 6] = ["none", "one", "many", "malformed", "truncated", "huge"];

/// The reports among an importer's fixtures, by their names without extension.
fn fixtures(importer: &dyn Importer) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(importer.format()).join("fixtures");
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let all: Vec<_> = files.map(|path| (stem(&path), std::fs::read(&path).unwrap())).collect();
    for required in REQUIRED {
        assert!(all.iter().any(|(name, _)| name == required), "{}: no fixture “{required}”", importer.format());
    }
    let known = all.len();
    let reports: BTreeMap<_, _> = all.into_iter().filter(|(name, _)| kind(name) != "huge").collect();
    assert!(reports.len() < known && known - reports.len() < 5, "{}: two fixtures of one name", importer.format());
    reports
}

/// `many` of `many-xml`.
fn kind(fixture: &str) -> &str {
    fixture.split('-').next().unwrap()
}

/// An importer's fixtures of a kind, in all encodings.
fn of_kind(importer: &dyn Importer, wanted: &str) -> Vec<(String, Vec<u8>)> {
    fixtures(importer).into_iter().filter(|(name, _)| kind(name) == wanted).collect()
}

/// Reads a report; one that does not name its asset as if it were uploaded with one.
fn read(importer: &dyn Importer, bytes: &[u8]) -> Result<(RunInfo, Vec<Record>), ImportError> {
    read_source(importer, &bytes)
}

fn read_source(importer: &dyn Importer, source: &dyn Source) -> Result<(RunInfo, Vec<Record>), ImportError> {
    read_with(importer, source, &Hints::default()).or_else(|error| match error {
        ImportError::NeedsAsset(_) => read_with(importer, source, &named()),
        other => Err(other),
    })
}

fn read_with(
    importer: &dyn Importer,
    source: &dyn Source,
    hints: &Hints,
) -> Result<(RunInfo, Vec<Record>), ImportError> {
    let mut records = Vec::new();
    let info = importer.read(source, hints, &mut records)?;
    Ok((info, records))
}

/// An upload that names its asset.
fn named() -> Hints {
    let asset = AssetRef { kind: stance_shared::AssetKind::Agent, key: "support-bot".to_owned() };
    Hints { asset: Some(asset), filename: Some("x.json".to_owned()) }
}

fn findings(records: &[Record]) -> Vec<&FindingRecord> {
    records
        .iter()
        .filter_map(|record| if let Record::Finding(finding) = record { Some(&**finding) } else { None })
        .collect()
}

fn gaps<'a>(records: &'a [Record], class: &str) -> Vec<&'a GapRecord> {
    let of_class = |record: &'a Record| if let Record::Gap(gap) = record { Some(gap) } else { None };
    records.iter().filter_map(of_class).filter(|gap| gap.class == class).collect()
}

fn fingerprints(records: &[Record]) -> Vec<Fingerprint> {
    let mut all: Vec<_> = findings(records).iter().map(|finding| finding.fingerprint).collect();
    all.sort();
    all
}

fn format(name: &str) -> &'static dyn Importer {
    by_format(name).unwrap()
}

fn fixture(importer: &str, name: &str) -> (RunInfo, Vec<Record>) {
    read(format(importer), &fixtures(format(importer))[name]).unwrap()
}

#[test]
fn formats_are_unique_and_documented() {
    for importer in registry() {
        assert_eq!(registry().iter().filter(|other| other.format() == importer.format()).count(), 1);
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(importer.format()).join("README.md");
        let readme = std::fs::read_to_string(readme).unwrap();
        for part in ["## How to make the report", "## What is taken over", "## What is not", "## Identity"] {
            assert!(readme.contains(part), "{}: {part}", importer.format());
        }
    }
}

#[test]
fn exactly_one_importer_knows_each_fixture() {
    for importer in registry() {
        for (name, bytes) in fixtures(*importer) {
            let knowing: Vec<_> = registry().iter().filter(|i| i.sniff(&bytes)).map(|i| i.format()).collect();
            assert_eq!(knowing, [importer.format()], "{name}");
            assert_eq!(detect(&bytes, Some("auto")).unwrap().format(), importer.format());
        }
    }
}

#[test]
fn an_unknown_file_is_an_error_that_says_what_is_known() {
    for (bytes, says) in
        [(&b"hello"[..], "text that begins “hello”"), (b"{\"a\":1}", "JSON with the members a"), (b"", "an empty file")]
    {
        let error = detect(bytes, None).err().unwrap().to_string();
        assert!(error.contains(says) && error.contains("sarif (SARIF 2.1.0)"), "{error}");
    }
    let error = detect(b"{}", Some("word")).err().unwrap().to_string();
    assert!(error.contains("“word” is not a format"), "{error}");
}

#[test]
fn none_one_and_many() {
    for importer in registry() {
        for (name, bytes) in fixtures(*importer) {
            let what = format!("{} {name}", importer.format());
            let records = || read(*importer, &bytes).unwrap_or_else(|error| panic!("{what}: {error:?}")).1;
            match kind(&name) {
                "none" => {
                    let records = records();
                    assert!(findings(&records).is_empty(), "{what}");
                    assert_eq!(gaps(&records, "empty-report").len(), 1, "{what}: an empty report says so");
                }
                "one" => assert_eq!(findings(&records()).len(), 1, "{what}"),
                "many" => assert!(records().len() >= 4, "{what}"),
                _ => {}
            }
        }
    }
}

#[test]
fn broken_reports_are_errors_with_a_position() {
    for importer in registry() {
        for (name, bytes) in of_kind(*importer, "malformed") {
            match read(*importer, &bytes).unwrap_err() {
                ImportError::Malformed { position, expected } => {
                    assert!(position.line.is_some(), "{} {name}: {expected} {position:?}", importer.format());
                }
                other => panic!("{} {name}: {other:?}", importer.format()),
            }
        }
        for (name, bytes) in of_kind(*importer, "truncated") {
            match read(*importer, &bytes).unwrap_err() {
                ImportError::Truncated { position, .. } => assert!(position.line.is_some(), "{}", importer.format()),
                other => panic!("{} {name}: {other:?}", importer.format()),
            }
        }
    }
}

#[test]
fn errors_name_the_path_and_what_was_expected() {
    let error = |importer: &str| match read(format(importer), &fixtures(format(importer))["malformed"]).unwrap_err() {
        ImportError::Malformed { position, expected } => (position.path, expected),
        other => panic!("{other:?}"),
    };
    let (path, expected) = error("sarif");
    assert_eq!(path, "runs[0].results[0]");
    assert!(expected.contains("expected a whole number"), "{expected}");
    assert_eq!(error("modelscan").0, "issues[1].severity");
    let (path, expected) = error("stance");
    assert_eq!(path, "findings[1]");
    assert!(expected.contains("SEVERE") && expected.contains("CRITICAL"), "{expected}");
    assert!(error("garak").1.starts_with("line 3 "));
}

#[test]
fn records_keep_the_contract() {
    for importer in registry() {
        for (name, bytes) in fixtures(*importer) {
            let Ok((info, records)) = read(*importer, &bytes) else { continue };
            assert!(!info.tool.is_empty(), "{name}");
            for record in &records {
                match record {
                    Record::Asset(record) => {
                        assert!((1..=512).contains(&record.asset.key.chars().count()), "{name}: {record:?}");
                        assert!((1..=300).contains(&record.name.chars().count()), "{name}: {record:?}");
                        assert!(serde_json::to_string(&record.attributes).unwrap().len() <= 16 << 10, "{name}");
                    }
                    Record::Relation(relation) => assert_ne!(relation.from, relation.to, "{name}"),
                    Record::Gap(gap) => {
                        assert!(!gap.class.is_empty() && gap.reason.chars().count() <= 1000, "{name}: {gap:?}");
                    }
                    Record::Finding(_) => {}
                }
            }
            for finding in findings(&records) {
                assert!(!finding.asset.key.is_empty() && finding.asset.key.chars().count() <= 512);
                assert!(
                    !finding.title.is_empty() && finding.title.chars().count() <= 300 && !finding.title.contains('\n')
                );
                assert!(
                    finding.description.chars().count() <= 8000 && finding.count >= 1 && finding.locations.len() <= 50
                );
                assert!(serde_json::to_string(&finding.evidence).unwrap().len() <= 16 << 10);
                assert!(info.assessed.contains(&finding.asset), "{name}: absence is judged on the assessed assets");
                for category in &finding.categories {
                    assert!(stance_shared::taxonomy::lookup(category).is_some(), "{category}");
                }
            }
            for check in &info.checks {
                assert!(stance_engine::risk::CHECKS.iter().any(|known| known.id == check), "{check}");
            }
        }
    }
}

/// Tables of categories stand in the sources as texts, and are not checked again for each finding.
#[test]
fn every_category_that_a_source_file_names_is_known() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut named = 0;
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() && !path.ends_with("fixtures") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let is_name = |c: char| c.is_ascii_alphanumeric() || "@.:-".contains(c);
                let literals = text.split('"').filter(|text| text.chars().all(is_name));
                let frameworks = stance_shared::taxonomy::frameworks();
                let is_category = |text: &&str| {
                    let framework = text.split_once('@').map(|(framework, _)| framework);
                    text.contains(':') && frameworks.iter().any(|known| Some(known.framework.as_str()) == framework)
                };
                for category in literals.filter(is_category) {
                    named += 1;
                    assert!(stance_shared::taxonomy::lookup(category).is_some(), "{}: {category}", path.display());
                }
            }
        }
    }
    assert!(named > 300, "{named}");
}

/// Arrays of JSON formats whose order means nothing.
const UNORDERED: &[&str] = &[
    "results",
    "issues",
    "findings",
    "errors",
    "runs",
    "matches",
    "Results",
    "Vulnerabilities",
    "dependencies",
    "vulns",
    "items",
    "components",
    "services",
    "vulnerabilities",
    "affects",
    "statements",
    "packages",
    "@graph",
    "major",
    "medium",
    "minor",
    "tools",
    "prompts",
    "resources",
    "resourceTemplates",
    "scan_results",
    "nodes",
    "edges",
    "agents",
    "externalRefs",
    "relationships",
    "taxa",
    "suppressions",
];

/// The same report with its records in another order, and for JSON also its members.
fn shuffled(bytes: &[u8]) -> Option<Vec<u8>> {
    fn reverse(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(reverse),
            Value::Object(members) => {
                // agent-scan refers to what stands in a signature by its place.
                for (key, value) in members.iter_mut().filter(|(key, _)| *key != "signature") {
                    reverse(value);
                    if let (true, Value::Array(items)) = (UNORDERED.contains(&key.as_str()), value) {
                        items.reverse();
                    }
                }
            }
            _ => {}
        }
    }
    let text = std::str::from_utf8(bytes).unwrap().trim_start_matches('\u{FEFF}');
    let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    let mut documents = documents.ok()?;
    for document in &mut documents {
        reverse(document);
        if let Value::Array(items) = document {
            items.reverse();
        }
    }
    // JSON lines: the set-up stays first.
    if let Some(records) = documents.get_mut(1..) {
        records.reverse();
    }
    Some(documents.iter().map(|document| format!("{document}\n")).collect::<String>().into_bytes())
}

#[test]
fn order_changes_nothing() {
    for importer in registry() {
        let all = fixtures(*importer);
        for (name, bytes) in &all {
            let Ok((info, records)) = read(*importer, bytes) else { continue };
            // What can not be shuffled by rule comes as a fixture: `many-xml-shuffled`.
            let by_hand = all.get(&format!("{name}-shuffled")).cloned();
            let reordered = by_hand.or_else(|| shuffled(bytes));
            let Some(reordered) = reordered else { continue };
            let (again, reordered) = read(*importer, &reordered).unwrap();
            assert_eq!(fingerprints(&records), fingerprints(&reordered), "{} {name}", importer.format());
            assert_eq!((info.scan_identity, info.complete), (again.scan_identity, again.complete), "{name}");
        }
    }
}

#[test]
fn the_hint_names_the_asset() {
    let asset = named().asset.unwrap();
    for importer in registry().iter().filter(|importer| importer.format() != "stance") {
        for (name, many) in of_kind(*importer, "many") {
            let (info, records) = read_with(*importer, &many.as_slice(), &named()).unwrap();
            let what = format!("{} {name}", importer.format());
            assert!(info.assessed.contains(&asset), "{what}: the named asset was assessed");
            // Parts of it (a server's tools, a system's models) are assets of their own, which the report describes.
            let described: Vec<_> =
                records.iter().filter_map(|r| if let Record::Asset(a) = r { Some(&a.asset) } else { None }).collect();
            for other in findings(&records).iter().map(|finding| &finding.asset).chain(&info.assessed) {
                assert!(*other == asset || described.contains(&other), "{what}: {other:?} is not described");
            }
        }
    }
}

#[test]
fn a_stopped_receiver_stops_the_importer() {
    struct Full;
    impl Sink for Full {
        fn record(&mut self, _: Record) -> Result<(), Stopped> {
            Err(Stopped("full".to_owned()))
        }
    }
    for importer in registry() {
        let error = importer.read(&fixtures(*importer)["many"].as_slice(), &named(), &mut Full).unwrap_err();
        assert!(matches!(&error, ImportError::Stopped(Stopped(why)) if why == "full"), "{error:?}");
    }
}

#[test]
fn a_record_without_end_is_refused() {
    struct Endless(&'static str);
    impl Source for Endless {
        fn open(&self) -> std::io::Result<Box<dyn Read + '_>> {
            Ok(Box::new(self.0.as_bytes().chain(std::io::repeat(b'x'))))
        }
    }
    let sources = [
        ("sarif", "{\"runs\":[{\"tool\":{\"driver\":{\"name\":\""),
        ("garak", "{\"entry_type\":\""),
        ("stance", "{\"stance\":\""),
    ];
    for (importer, source) in sources {
        let error = format(importer).read(&Endless(source), &Hints::default(), &mut Vec::new()).unwrap_err();
        assert!(matches!(&error, ImportError::TooLarge(why) if why.contains("8 MiB")), "{importer}: {error:?}");
    }
}

/// Gives at most so many bytes at a time.
struct Drops<'a>(&'a [u8], usize);

impl Read for Drops<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(self.1);
        self.0.read(&mut buffer[..length])
    }
}

impl Source for Drops<'_> {
    fn open(&self) -> std::io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(Drops(self.0, self.1)))
    }
}

#[test]
fn it_does_not_matter_how_the_bytes_come() {
    for importer in registry() {
        for (name, bytes) in fixtures(*importer) {
            let whole = format!("{:?}", read(*importer, &bytes));
            for size in [1, 7] {
                let result = read_source(*importer, &Drops(&bytes, size));
                assert_eq!(format!("{result:?}"), whole, "{} {name} by {size}", importer.format());
            }
        }
    }
}

#[test]
fn what_is_no_json_is_refused_where_it_stops_being_json() {
    for (text, line, column, says) in [
        ("[]", 1, 1, "expected a SARIF log, an object with “runs”, found an array"),
        ("{\"runs\": []}\n}", 2, 1, "goes on behind the end"),
        ("{\"runs\": [] \"x\": 1}", 1, 13, "expected “,” or “}”, found a text"),
        ("{\"runs\": [],}", 1, 13, "expected a member's name"),
        ("{\n\"x\": {\"a\": tru}, \"runs\": []}", 2, 14, "in x.a: "),
        ("{\"x\": [1, 2}", 1, 12, "expected “,” or “]”"),
        ("{\"x\": [[1, 2}]}", 1, 13, "expected a value, found “}”"),
        ("{\"runs\": 5}", 1, 10, "in runs: expected an array of runs, found a number"),
    ] {
        match read(format("sarif"), text.as_bytes()).unwrap_err() {
            ImportError::Malformed { expected, position } => {
                assert!(expected.contains(says), "{text}: {expected}");
                assert_eq!((position.line, position.column), (Some(line), Some(column)), "{text}: {expected}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let deep = "[".repeat(200);
    let error = read(format("sarif"), format!("{{\"x\": [{deep}").as_bytes()).unwrap_err();
    assert!(error.to_string().contains("nested deeper than 127 levels"), "{error}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = detect(&bytes, None);
        for importer in registry() {
            let _ = importer.sniff(&bytes);
            let _ = read(*importer, &bytes);
        }
    }

    #[test]
    fn damaged_reports_never_panic(at in 0.0..1.0f64, byte: u8, cut: bool) {
        for importer in registry() {
          for (_, mut bytes) in of_kind(*importer, "many") {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
            let at = (at * bytes.len() as f64) as usize;
            bytes[at] = byte;
            if cut {
                bytes.truncate(at);
            }
            let _ = importer.sniff(&bytes);
            let _ = read(*importer, &bytes);
          }
        }
    }
}
