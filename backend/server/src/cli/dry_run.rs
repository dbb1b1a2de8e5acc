//! `stance import --dry-run`: what a report says, without a server.

use super::{plain, print, say};
use crate::inventory;
use serde_json::json;
use stance_importers::{
    AssetRef, Hints, ImportError, Record, SNIFF_BYTES, Sink, Source as _, Stopped,
    container::{Contained, Stored},
    detect,
};
use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

/// Prints the records of a report, one JSON object a line, the run last; the exit code of `stance import`.
pub fn read(file: &Path, format: &str, asset: Option<&str>) -> u8 {
    let name = plain(&file.display().to_string());
    let size = match file.metadata() {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        // A report may be read twice.
        _ => {
            say(&format!("{name}: --dry-run reads files only"));
            return 2;
        }
    };
    match records(OnDisk { path: file.to_owned(), size }, format, asset) {
        Ok(summary) => say(&format!("{name}: {summary}")),
        Err(ImportError::Io(error)) => {
            say(&format!("{name}: {error}"));
            return 2;
        }
        Err(error) => {
            say(&format!("{name}: {}{}", plain(&error.to_string()), place(&error)));
            return 1;
        }
    }
    0
}

/// Reads the report once to see that it is whole, and once to print it.
fn records(file: OnDisk, format: &str, asset: Option<&str>) -> Result<String, ImportError> {
    let filename = file.path.file_name().map(|name| name.to_string_lossy().into_owned());
    let report = Contained::new(file)?;
    let mut head = Vec::new();
    report.open()?.take(SNIFF_BYTES as u64).read_to_end(&mut head)?;
    let importer = detect(&head, Some(format))?;
    let asset = asset.map(|asset| inventory::parse_ref("asset", asset, importer.asset_kind())).transpose();
    let asset = asset.map_err(|error| ImportError::Stopped(Stopped(error.public)))?;
    let mut hints = Hints { asset, filename };
    let mut tally = Tally::default();
    match (importer.read(&report, &hints, &mut tally), hints.key_from_filename()) {
        (Err(ImportError::NeedsAsset(_)), Some(key)) => {
            hints.asset = Some(AssetRef { kind: importer.asset_kind(), key });
        }
        (result, _) => drop(result?),
    }
    tally = Tally { prints: true, ..Tally::default() };
    let info = importer.read(&report, &hints, &mut tally)?;
    tally.print(&json!({ "record": "run", "format": importer.format(), "run": info }));
    let Tally { findings, assets, relations, gaps, .. } = tally;
    let tool = plain(&format!("{} {}", info.tool, info.tool_version));
    Ok(format!("{}: {findings} findings, {assets} assets, {relations} relations, {gaps} gaps", tool.trim_end()))
}

/// Counts the records, and prints them when it is told to.
#[derive(Default)]
struct Tally {
    prints: bool,
    findings: u64,
    assets: u64,
    relations: u64,
    gaps: u64,
}

impl Tally {
    fn print(&self, record: &impl serde::Serialize) {
        if let (true, Ok(line)) = (self.prints, serde_json::to_string(record)) {
            print(&line);
        }
    }
}

impl Sink for Tally {
    fn record(&mut self, record: Record) -> Result<(), Stopped> {
        *match &record {
            Record::Finding(_) => &mut self.findings,
            Record::Asset(_) => &mut self.assets,
            Record::Relation(_) => &mut self.relations,
            Record::Gap(_) => &mut self.gaps,
        } += 1;
        self.print(&record);
        Ok(())
    }
}

struct OnDisk {
    path: PathBuf,
    size: u64,
}

impl Stored for OnDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + '_>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}

/// Where a report is broken, for the end of a sentence.
fn place(error: &ImportError) -> String {
    let (ImportError::Malformed { position, .. } | ImportError::Truncated { position, .. }) = error else {
        return String::new();
    };
    let number = |name: &str, value: Option<u64>| value.map(|value| format!("{name} {value}"));
    let path = Some(plain(&position.path)).filter(|path| !path.is_empty());
    let parts: Vec<String> =
        [number("line", position.line), number("column", position.column), path].into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}
