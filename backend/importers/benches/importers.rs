//! Reading large reports: MB/s, findings/s and memory of every importer, against `serde_json` passing over the same bytes without
//! keeping anything. Run by `cargo xtask bench importers [FORMAT…]`.
//!
//! One thread, of which the time on a processor counts and not the time spent waiting for one, so that what else the machine does
//! changes little.

#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "prints figures for a person")]

use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;
use stance_importers::generate::{self, Order, Template};
use stance_importers::{AssetRef, Hints, ImportError, Importer, Record, Sink, Source, Stopped, registry};
use stance_shared::AssetKind;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How large the reports are whose reading is timed, and the one whose memory is.
const TIMED_BYTES: u64 = 200_000_000;
const STREAMED_BYTES: u64 = 1 << 30;

/// What reading a report may need, whatever its size.
const MAX_MEMORY_KB: u64 = 64 << 10;

/// The best of so many counts.
const ROUNDS: usize = 3;

/// A report that is made while it is read.
struct Generated {
    name: String,
    item_bytes: u64,
    stream: Box<dyn Fn(u64) -> Box<dyn Read>>,
}

struct Endless<'a>(&'a Generated, u64);

impl Source for Endless<'_> {
    fn open(&self) -> std::io::Result<Box<dyn Read + '_>> {
        Ok((self.0.stream)(self.1))
    }
}

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if let Some(unknown) = wanted.iter().find(|name| registry().iter().all(|importer| importer.format() != **name)) {
        let known: Vec<_> = registry().iter().map(|importer| importer.format()).collect();
        return Err(format!("“{unknown}” is not a format; known are {}", known.join(", ")).into());
    }
    println!("{} MB, best of {ROUNDS}, one thread; memory of {} MB", TIMED_BYTES / 1_000_000, STREAMED_BYTES >> 20);
    println!(
        "{:32} {:>9} {:>12} {:>11} {:>6} {:>10}",
        "report", "importer", "findings/s", "serde_json", "share", "memory"
    );
    let mut excessive = Vec::new();
    for importer in registry().iter().filter(|i| wanted.is_empty() || wanted.iter().any(|name| name == i.format())) {
        for report in reports(importer.format())? {
            if measure(*importer, &report)? > MAX_MEMORY_KB {
                excessive.push(report.name);
            }
        }
    }
    if excessive.is_empty() { Ok(()) } else { Err(format!("more than 64 MiB for {}", excessive.join(", ")).into()) }
}

/// An importer's large reports: the templates among its fixtures, one for each encoding, and for some what is like a tool's own.
fn reports(format: &str) -> Result<Vec<Generated>> {
    let mut reports = Vec::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(format).join("fixtures"))? {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if file.starts_with("huge") {
            let template = Template::parse(&std::fs::read_to_string(&path)?)?;
            let item_bytes = template.item_bytes();
            let stream = Box::new(move |count| template.stream(count));
            reports.push(Generated { name: format!("{format} {file}"), item_bytes, stream });
        }
    }
    let mut add =
        |item_bytes, stream| reports.push(Generated { name: format!("{format} like the tool's"), item_bytes, stream });
    match format {
        "sarif" => add(1180, Box::new(|count| Box::new(generate::sarif(count, 7, Order::Natural)))),
        "garak" => add(3550, Box::new(|count| Box::new(generate::garak(count)))),
        "modelscan" => add(200, Box::new(|count| Box::new(generate::modelscan(count)))),
        _ => {}
    }
    reports.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(reports)
}

/// Prints what reading the report takes; its memory in kB.
fn measure(importer: &dyn Importer, report: &Generated) -> Result<u64> {
    let mut bytes = Vec::new();
    (report.stream)(TIMED_BYTES / report.item_bytes).read_to_end(&mut bytes)?;
    let mut findings = 0;
    let reading = best(|| {
        findings = read(importer, &bytes.as_slice())?;
        Ok(())
    })?;
    let is_json = matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['));
    let floor = is_json.then(|| best(|| pass_over(&bytes))).transpose()?;
    let length = bytes.len() as f64;
    drop(bytes);
    forget_peak();
    read(importer, &Endless(report, STREAMED_BYTES / report.item_bytes))?;
    // Of the whole program, with what earlier reports left behind in its heap.
    let memory = peak();
    if reading < Duration::from_millis(1) {
        println!("{:32} only its beginning is read {:>38.1} MB", report.name, memory as f64 / 1024.0);
        return Ok(memory);
    }
    let rate = |time: Duration| length / 1e6 / time.as_secs_f64();
    println!(
        "{:32} {:>4.0} MB/s {:>12.0} {:>11} {:>6} {:>7.1} MB",
        report.name,
        rate(reading),
        findings as f64 / reading.as_secs_f64(),
        floor.map_or_else(String::new, |floor| format!("{:.0} MB/s", rate(floor))),
        floor.map_or_else(String::new, |floor| format!("{:.2}", floor.as_secs_f64() / reading.as_secs_f64())),
        memory as f64 / 1024.0,
    );
    Ok(memory)
}

/// How many findings come out; a limit on what a report may name ends it early.
fn read(importer: &dyn Importer, source: &dyn Source) -> Result<u64> {
    let hints =
        Hints { asset: Some(AssetRef { kind: AssetKind::Application, key: "portal".to_owned() }), filename: None };
    let mut count = Count(0);
    match importer.read(source, &hints, &mut count) {
        Ok(_) | Err(ImportError::TooLarge(_)) => Ok(count.0),
        Err(error) => Err(error.into()),
    }
}

fn pass_over(bytes: &[u8]) -> Result<()> {
    for value in serde_json::Deserializer::from_slice(bytes).into_iter::<IgnoredAny>() {
        value?;
    }
    Ok(())
}

/// Counts findings and drops them.
struct Count(u64);

impl Sink for Count {
    fn record(&mut self, record: Record) -> std::result::Result<(), Stopped> {
        self.0 += u64::from(matches!(record, Record::Finding(_)));
        Ok(())
    }
}

fn best(mut work: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let (begin, on_processor) = (Instant::now(), time_on_processor());
        work()?;
        let spent = time_on_processor().zip(on_processor).map(|(after, before)| after.saturating_sub(before));
        best = best.min(spent.unwrap_or_else(|| begin.elapsed()));
    }
    Ok(best)
}

/// Of this thread; Linux says (proc_pid_schedstat(5)).
fn time_on_processor() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Begins a new peak at what is in use now (proc_pid_clear_refs(5)).
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The program's peak memory in kB; 0 where the system does not say.
fn peak() -> u64 {
    let told = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = told.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
