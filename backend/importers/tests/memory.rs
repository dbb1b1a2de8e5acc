//! Memory stays bounded, whatever the size of a report. Alone in its program, as it measures the program's peak.

use std::io::Read;

use stance_importers::generate::{self, Order, Stream};
use stance_importers::{Hints, Record, Sink, Source, Stopped, registry};

/// A report that is made while it is read.
struct Huge(fn() -> Box<dyn Read>);

impl Source for Huge {
    fn open(&self) -> std::io::Result<Box<dyn Read + '_>> {
        Ok((self.0)())
    }
}

struct Count(u64);

impl Sink for Count {
    fn record(&mut self, record: Record) -> Result<(), Stopped> {
        self.0 += u64::from(matches!(record, Record::Finding(_)));
        Ok(())
    }
}

const RECORDS: u64 = 10_000;

/// About 10 MB; the members that the records refer to stand last where the format allows it.
fn huge(importer: &str) -> Huge {
    Huge(match importer {
        "sarif" => || Box::new(generate::sarif(RECORDS, 7, Order::Shuffled)),
        "garak" => || {
            let head = "{\"entry_type\":\"start_run setup\",\"plugins.target_type\":\"test\",\"plugins.target_name\":\"big\"}\n".to_owned();
            let attempt = |i| {
                let prompt = "p".repeat(800);
                format!(
                    "{{\"entry_type\":\"attempt\",\"status\":2,\"probe_classname\":\"dan.D\",\"prompt\":\"{prompt}{i}\",\"outputs\":[\"no\"],\"detector_results\":{{\"dan.DAN\":[1.0]}}}}"
                )
            };
            let tail = "\n{\"entry_type\":\"eval\",\"probe\":\"dan.D\",\"detector\":\"dan.DAN\",\"passed\":0,\"total\":9}\n{\"entry_type\":\"completion\"}";
            Box::new(Stream::new(head, attempt, RECORDS, "\n", tail.to_owned()))
        },
        "modelscan" => || {
            let issue = |i| {
                let text = "d".repeat(800);
                format!(
                    "{{\"description\":\"{text}\",\"operator\":\"system\",\"module\":\"posix\",\"source\":\"f{i}.pkl\",\"scanner\":\"s\",\"severity\":\"HIGH\"}}"
                )
            };
            Box::new(Stream::new(
                "{\"issues\":[".to_owned(),
                issue,
                RECORDS,
                ",",
                "],\"summary\":{\"input_path\":\"m\"}}".to_owned(),
            ))
        },
        // Stance's own, the last of the registry; a new importer needs its own report here.
        _ => || {
            let finding = |i| {
                let text = "d".repeat(800);
                format!(
                    "{{\"asset\":{{\"kind\":\"AGENT\",\"key\":\"a{}\"}},\"rule\":\"r\",\"title\":\"t{i}\",\"severity\":\"LOW\",\"description\":\"{text}\"}}",
                    i % 100
                )
            };
            Box::new(Stream::new(
                "{\"findings\":[".to_owned(),
                finding,
                RECORDS,
                ",",
                "],\"stance\":\"findings/1\",\"tool\":{\"name\":\"t\"}}".to_owned(),
            ))
        },
    })
}

/// The program's peak memory in kB, where the system says.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

#[test]
fn memory_stays_bounded_on_huge_reports() {
    // What a first run loads once is not the report's.
    registry()[0].read(&huge("sarif"), &Hints::default(), &mut Count(0)).unwrap();
    for importer in registry() {
        let before = peak();
        let mut count = Count(0);
        importer.read(&huge(importer.format()), &Hints::default(), &mut count).unwrap();
        assert_eq!(count.0, if importer.format() == "garak" { 1 } else { RECORDS }, "{}", importer.format());
        if let (Some(before), Some(after)) = (before, peak()) {
            println!("{:10} {:6} kB more", importer.format(), after - before);
            assert!(after - before < 5000, "{}: {} kB more for a report of 10 MB", importer.format(), after - before);
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
