//! Reading reports: MB/s of each importer, against `serde_json` passing over the same bytes without keeping anything.

use anyhow::{Context as _, Result, ensure};
use serde::de::IgnoredAny;
use stance_importers::{
    Hints, Record, Sink, Stopped, detect,
    generate::{Order, garak, modelscan, sarif},
};
use std::{
    io::Read,
    time::{Duration, Instant},
};

const ROUNDS: usize = 5;

#[expect(clippy::print_stdout, reason = "a benchmark prints")]
pub fn run() -> Result<()> {
    println!("best of {ROUNDS}, one core            report   importer   serde_json   share   findings");
    let reports: [(&str, Box<dyn Read>); 3] = [
        ("sarif", Box::new(sarif(100_000, 7, Order::Natural))),
        ("garak", Box::new(garak(100_000))),
        ("modelscan", Box::new(modelscan(200_000))),
    ];
    for (format, mut report) in reports {
        let mut bytes = Vec::new();
        report.read_to_end(&mut bytes)?;
        let importer = detect(bytes.get(..64 * 1024).unwrap_or(&bytes), None).context("no importer knows it")?;
        ensure!(importer.format() == format, "{format} is taken for {}", importer.format());
        let mut findings = 0;
        let read = best(|| {
            let mut count = Count(0);
            importer.read(&bytes.as_slice(), &Hints::default(), &mut count).map_err(|e| anyhow::anyhow!("{e}"))?;
            findings = count.0;
            Ok(())
        })?;
        let floor = best(|| {
            for value in serde_json::Deserializer::from_slice(&bytes).into_iter::<IgnoredAny>() {
                value?;
            }
            Ok(())
        })?;
        #[expect(clippy::cast_precision_loss, reason = "rates for a person")]
        let rate = |time: Duration| bytes.len() as f64 / 1e6 / time.as_secs_f64();
        println!(
            "{format:<24} {:>9} MB {:>5.0} MB/s {:>7.0} MB/s {:>7.2} {findings:>10}",
            bytes.len() / 1_000_000,
            rate(read),
            rate(floor),
            floor.as_secs_f64() / read.as_secs_f64()
        );
    }
    Ok(())
}

fn best(mut work: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        work()?;
        best = best.min(begin.elapsed());
    }
    Ok(best)
}

/// Counts findings and drops them.
struct Count(u64);

impl Sink for Count {
    fn record(&mut self, record: Record) -> Result<(), Stopped> {
        self.0 += u64::from(matches!(record, Record::Finding(_)));
        Ok(())
    }
}
