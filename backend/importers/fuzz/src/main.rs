//! Gives bytes to one importer, named by `STANCE_FORMAT`; or to the containers around reports, as `container`.
//!
//! What breaks: a panic, and a record that does not keep the contract of `record.rs`.
#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use stance_importers::container::Contained;
use stance_importers::{AssetRef, Hints, ImportError, Importer, Record, Sink, Source, Stopped, by_format};

static FORMAT: LazyLock<String> =
    LazyLock::new(|| std::env::var("STANCE_FORMAT").expect("STANCE_FORMAT names a format"));

/// What an archive may give before it is no longer interesting.
const MAX_UNPACKED: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    if FORMAT.as_str() == "container" {
        unpack(bytes);
        return;
    }
    let importer = by_format(&FORMAT).expect("a known format");
    let _ = importer.sniff(bytes);
    read(importer, bytes, &Hints::default());
    let kind = importer.asset_kind();
    read(importer, bytes, &Hints { asset: Some(AssetRef { kind, key: "named".to_owned() }), filename: None });
});

fn read(importer: &dyn Importer, bytes: &[u8], hints: &Hints) {
    let mut contract = Contract::default();
    match importer.read(&bytes, hints, &mut contract) {
        Ok(info) => {
            assert!(!info.tool.is_empty(), "no tool");
            let forgotten = contract.found_on.iter().find(|asset| !info.assessed.contains(asset));
            assert!(forgotten.is_none(), "a finding on {forgotten:?}, which was not assessed");
        }
        Err(ImportError::Malformed { expected, .. } | ImportError::Truncated { expected, .. }) => {
            assert!(!expected.is_empty(), "an error that says nothing");
        }
        Err(_) => {}
    }
}

fn unpack(bytes: &[u8]) {
    use std::io::Read as _;
    if let Ok(report) = Contained::new(bytes)
        && let Ok(reader) = report.open()
    {
        let _ = std::io::copy(&mut reader.take(MAX_UNPACKED), &mut std::io::sink());
    }
}

/// Holds each record to its contract.
#[derive(Default)]
struct Contract {
    found_on: BTreeSet<AssetRef>,
}

impl Sink for Contract {
    fn record(&mut self, record: Record) -> Result<(), Stopped> {
        let named = |asset: &AssetRef| assert!((1..=512).contains(&asset.key.chars().count()), "a key of {asset:?}");
        match record {
            Record::Finding(finding) => {
                named(&finding.asset);
                if self.found_on.len() < 1000 {
                    self.found_on.insert(finding.asset.clone());
                }
                assert!((1..=300).contains(&finding.title.chars().count()), "title {:?}", finding.title);
                assert!(!finding.title.contains('\n') && finding.count > 0, "{:?}", finding.title);
                assert!((1..=300).contains(&finding.rule.chars().count()), "rule {:?}", finding.rule);
                assert!(finding.description.chars().count() <= 8000 && finding.locations.len() <= 50);
                assert!(finding.score.is_none_or(|score| (0.0..=10.0).contains(&score)), "{:?}", finding.score);
            }
            Record::Asset(asset) => {
                named(&asset.asset);
                assert!((1..=300).contains(&asset.name.chars().count()), "name {:?}", asset.name);
            }
            Record::Relation(relation) => {
                named(&relation.from);
                named(&relation.to);
                assert_ne!(relation.from, relation.to);
            }
            Record::Gap(gap) => assert!(!gap.class.is_empty() && gap.reason.chars().count() <= 1000),
        }
        Ok(())
    }
}
