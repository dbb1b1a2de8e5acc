//! Memory stays bounded, whatever the size of a report. Alone in its program, as it measures the program's peak.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read;
use std::path::Path;

use stance_importers::generate::{self, Order, Template};
use stance_importers::{AssetRef, Hints, ImportError, Record, Sink, Source, Stopped, registry};
use stance_shared::AssetKind;

/// A report that is made while it is read.
struct Huge(Template, u64);

impl Source for Huge {
    fn open(&self) -> std::io::Result<Box<dyn Read + '_>> {
        Ok(self.0.stream(self.1))
    }
}

/// An importer's templates of huge reports: one for each encoding of the format.
fn templates(format: &str) -> Vec<(String, Template)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(format).join("fixtures");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let huge = files.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("huge")));
    let name = |path: &Path| format!("{format}/{}", path.file_name().unwrap().to_string_lossy());
    let parse = |path: &Path| Template::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    huge.map(|path| (name(&path), parse(&path))).collect()
}

struct Count(u64);

impl Sink for Count {
    fn record(&mut self, record: Record) -> Result<(), Stopped> {
        self.0 += u64::from(matches!(record, Record::Finding(_)));
        Ok(())
    }
}

/// The reports' size; `HUGE_MB=1024` for the real thing.
fn megabytes() -> u64 {
    std::env::var("HUGE_MB").map_or(10, |text| text.parse().unwrap())
}

/// What reading a report may need beyond the program, whatever the report's size: one record of 8 MiB as text and as values,
/// and tables that the records refer to.
const MAX_KB: u64 = 64 << 10;

/// Begins a new peak at what is in use now (proc_pid_clear_refs(5)); without that a peak says nothing of later reports.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The program's peak memory in kB, where the system says.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

#[test]
fn memory_stays_bounded_on_huge_reports() {
    let asset = AssetRef { kind: AssetKind::Application, key: "portal".to_owned() };
    let hints = Hints { asset: Some(asset), filename: None };
    for importer in registry() {
        for (name, template) in templates(importer.format()) {
            let run = |items: u64| {
                let mut count = Count(0);
                match importer.read(&Huge(template.clone(), items), &hints, &mut count) {
                    Ok(_) => assert_eq!(count.0, template.findings(items), "{name}"),
                    // A gigabyte of assets is more than an inventory takes.
                    Err(ImportError::TooLarge(limit)) if megabytes() > 10 => println!("{name}: {limit}"),
                    Err(error) => panic!("{name}: {error}"),
                }
            };
            // What a first run loads once is not the report's.
            run(10);
            forget_peak();
            let before = peak();
            run((megabytes() << 20) / template.item_bytes());
            if let (Some(before), Some(after)) = (before, peak()) {
                println!("{name:40} {:6} kB more, peak {after} kB", after.saturating_sub(before));
                let max = if megabytes() > 10 { MAX_KB } else { 5000 };
                assert!(after.saturating_sub(before) < max, "{name}: {} kB more", after.saturating_sub(before));
            }
        }
    }
}

#[test]
fn both_orders_give_the_same_results() {
    let fingerprints = |order| {
        let mut text = Vec::new();
        generate::sarif(500, 3, order).read_to_end(&mut text).unwrap();
        assert!((1000..1300).contains(&(text.len() / 500)), "{} bytes each", text.len() / 500);
        let mut records = Vec::new();
        registry()[0].read(&text.as_slice(), &Hints::default(), &mut records).unwrap();
        let of = |record: &Record| if let Record::Finding(finding) = record { Some(finding.fingerprint) } else { None };
        records.iter().filter_map(of).collect::<Vec<_>>()
    };
    let (mut natural, mut shuffled) = (fingerprints(Order::Natural), fingerprints(Order::Shuffled));
    assert_ne!(natural, shuffled);
    natural.sort();
    shuffled.sort();
    natural.dedup();
    assert_eq!((natural.len(), &natural), (500, &shuffled));
}
