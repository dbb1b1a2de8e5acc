//! From records to rows: what the parser's thread does with each record, in PostgreSQL's binary COPY format.
//!
//! The encoding happens on the parser's thread, so that the connection only passes buffers on.

use super::domain::MAX_GAPS;
use crate::kernel::Clock;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use stance_engine::risk::finding_base;
use stance_importers::{AssetRecord, AssetRef, FindingRecord, GapRecord, Record, RelationRecord, Sink, Stopped};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
};
use tokio::sync::mpsc;

/// The table that the buffers are for.
pub const CREATE: &str = "create temporary table stage (
    id uuid not null, asset_no int4 not null, fp uuid not null, line int4 not null, content uuid not null,
    rule text not null, layer text not null, severity int2 not null, score float8, asr float8,
    title text not null, description text not null, remediation text not null, categories text not null,
    base float8 not null, count int8 not null, locations jsonb not null, evidence jsonb not null,
    origin text, reason text
) on commit drop";
pub const COPY: &str = "copy stage from stdin (format binary)";
const COLUMNS: i16 = 20;

const MAX_ASSETS: usize = 20_000;
const MAX_RELATIONS: usize = 50_000;
const MAX_FINDINGS: i32 = 5_000_000;
const BUFFER: usize = 256 * 1024;

/// What a report says beside its findings; bounded.
#[derive(Debug, Default)]
pub struct Staged {
    /// Assets in the order of their numbers in `stage.asset_no`.
    pub assets: Vec<AssetRef>,
    pub described: BTreeMap<AssetRef, AssetRecord>,
    pub relations: BTreeSet<(AssetRef, stance_shared::RelationKind, AssetRef)>,
    pub gaps: Vec<GapRecord>,
    pub gap_count: i32,
    pub findings: i32,
}

/// Takes records and sends buffers of COPY data.
pub struct Stager {
    buffers: mpsc::Sender<Vec<u8>>,
    clock: Clock,
    numbers: HashMap<AssetRef, i32>,
    buffer: Vec<u8>,
    /// A row's fields that its content hash covers.
    content: Vec<u8>,
    json: Vec<u8>,
    pub staged: Staged,
}

impl Stager {
    pub fn new(buffers: mpsc::Sender<Vec<u8>>, clock: Clock) -> Self {
        let mut buffer = Vec::with_capacity(BUFFER + 64 * 1024);
        buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
        buffer.extend_from_slice(&[0; 8]);
        Self {
            buffers,
            clock,
            numbers: HashMap::new(),
            buffer,
            content: Vec::new(),
            json: Vec::new(),
            staged: Staged::default(),
        }
    }

    /// Ends the data and gives what was gathered.
    pub fn finish(mut self) -> Result<Staged, Stopped> {
        self.buffer.extend_from_slice(&(-1_i16).to_be_bytes());
        self.flush()?;
        Ok(self.staged)
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        let buffer = std::mem::replace(&mut self.buffer, Vec::with_capacity(BUFFER + 64 * 1024));
        self.buffers.blocking_send(buffer).map_err(|_| Stopped("the import was stopped".to_owned()))
    }

    /// The asset's number.
    pub fn asset(&mut self, asset: &AssetRef) -> Result<i32, Stopped> {
        if let Some(number) = self.numbers.get(asset) {
            return Ok(*number);
        }
        if self.numbers.len() == MAX_ASSETS {
            return Err(Stopped(format!("a report may name at most {MAX_ASSETS} assets")));
        }
        let number = i32::try_from(self.numbers.len()).unwrap_or(i32::MAX);
        self.numbers.insert(asset.clone(), number);
        self.staged.assets.push(clean_ref(asset));
        Ok(number)
    }

    fn finding(&mut self, finding: &FindingRecord) -> Result<(), Stopped> {
        if self.staged.findings == MAX_FINDINGS {
            return Err(Stopped(format!("a report may hold at most {MAX_FINDINGS} findings")));
        }
        self.staged.findings += 1;
        let number = self.asset(&finding.asset)?;
        let score = finding.score.filter(|score| (0.0..=10.0).contains(score));
        let asr = finding.attack_success_rate.filter(|rate| (0.0..=1.0).contains(rate));

        self.content.clear();
        let row = &mut self.content;
        text(row, &finding.rule);
        text(row, finding.layer.as_str());
        field(row, &finding.severity.rank().to_be_bytes());
        float(row, score);
        float(row, asr);
        text(row, &finding.title);
        text(row, &finding.description);
        text(row, &finding.remediation);
        text(row, &finding.categories.join(" "));
        float(row, Some(finding_base(finding.severity, score, asr)));
        field(row, &i64::try_from(finding.count.max(1)).unwrap_or(i64::MAX).to_be_bytes());
        json(row, &mut self.json, &finding.locations);
        json(row, &mut self.json, &finding.evidence);
        let hash = Sha256::digest(&self.content);

        let row = &mut self.buffer;
        row.extend_from_slice(&COLUMNS.to_be_bytes());
        field(row, self.clock.new_id().as_bytes());
        field(row, &number.to_be_bytes());
        field(row, &finding.fingerprint.as_bytes());
        let line = finding.locations.first().and_then(|location| location.line).unwrap_or_default();
        field(row, &i32::try_from(line).unwrap_or(i32::MAX).to_be_bytes());
        field(row, &hash[..16]);
        row.extend_from_slice(&self.content);
        match &finding.suppression {
            None => row.extend_from_slice(&[0xff; 8]),
            Some(suppression) => {
                text(row, &suppression.origin);
                let reason: String = suppression.justification.trim().chars().take(4000).collect();
                text(row, if reason.is_empty() { "Suppressed in the source, without a reason." } else { &reason });
            }
        }
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn gap(&mut self, gap: GapRecord) {
        self.staged.gap_count = self.staged.gap_count.saturating_add(1);
        if self.staged.gaps.len() < MAX_GAPS {
            let clip = |text: &str| clean(text).chars().take(1000).collect();
            let GapRecord { class, subject, reason } = gap;
            self.staged.gaps.push(GapRecord { class: clip(&class), subject: clip(&subject), reason: clip(&reason) });
        }
    }

    fn relation(&mut self, relation: &RelationRecord) -> Result<(), Stopped> {
        if self.staged.relations.len() >= MAX_RELATIONS {
            return Err(Stopped(format!("a report may hold at most {MAX_RELATIONS} relations")));
        }
        self.asset(&relation.from)?;
        self.asset(&relation.to)?;
        self.staged.relations.insert((clean_ref(&relation.from), relation.kind, clean_ref(&relation.to)));
        Ok(())
    }
}

impl Sink for Stager {
    fn record(&mut self, record: Record) -> Result<(), Stopped> {
        match record {
            Record::Finding(finding) => self.finding(&finding),
            Record::Asset(asset) => {
                self.asset(&asset.asset)?;
                self.staged.described.insert(clean_ref(&asset.asset), clean_asset(asset));
                Ok(())
            }
            Record::Relation(relation) => self.relation(&relation),
            Record::Gap(gap) => {
                self.gap(gap);
                Ok(())
            }
        }
    }
}

/// Text that PostgreSQL takes: it has no place for U+0000, which is shown as U+FFFD.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

fn clean_ref(asset: &AssetRef) -> AssetRef {
    AssetRef { kind: asset.kind, key: clean(&asset.key).into_owned() }
}

fn clean_asset(asset: AssetRecord) -> AssetRecord {
    let attributes = match clean_json(Value::Object(asset.attributes)) {
        Value::Object(attributes) => attributes,
        _ => serde_json::Map::new(),
    };
    AssetRecord {
        asset: clean_ref(&asset.asset),
        name: clean(&asset.name).into_owned(),
        attributes,
        tags: asset.tags.iter().map(|tag| clean(tag).into_owned()).collect(),
    }
}

fn clean_json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(&text).into_owned()),
        Value::Array(items) => items.into_iter().map(clean_json).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (clean(&key).into_owned(), clean_json(value))).collect()
        }
        other => other,
    }
}

fn field(row: &mut Vec<u8>, bytes: &[u8]) {
    row.extend_from_slice(&i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
    row.extend_from_slice(bytes);
}

fn text(row: &mut Vec<u8>, value: &str) {
    field(row, clean(value).as_bytes());
}

fn float(row: &mut Vec<u8>, value: Option<f64>) {
    match value {
        Some(value) => field(row, &value.to_be_bytes()),
        None => row.extend_from_slice(&(-1_i32).to_be_bytes()),
    }
}

/// A `jsonb`: version 1, then the text.
fn json(row: &mut Vec<u8>, scratch: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    scratch.clear();
    scratch.push(1);
    let written = serde_json::to_writer(&mut *scratch, value);
    // Rare, so the value is only taken apart when the text may hold an escaped U+0000.
    if scratch.windows(6).any(|window| window == b"\\u0000") || written.is_err() {
        let value = serde_json::to_value(value).map(clean_json).unwrap_or_default();
        scratch.truncate(1);
        scratch.extend_from_slice(value.to_string().as_bytes());
    }
    field(row, scratch);
}
