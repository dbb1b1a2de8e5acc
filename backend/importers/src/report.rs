//! What every importer does alike with what it reads: names the asset, hands records on, keeps gaps bounded.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use serde_json::{Map, Value};
use stance_shared::{AssetKind, Layer, RelationKind};

use crate::{
    AssetRecord, AssetRef, FindingRecord, GapRecord, Hints, ImportError, Record, RelationRecord, RunInfo, Sink, text,
};

/// What one report may name; the server has the same limits.
const MAX_ASSETS: usize = 20_000;
const MAX_RELATIONS: usize = 50_000;

/// Gaps of one class that are listed one by one; the rest is counted.
const MAX_LISTED_GAPS: u64 = 500;

/// A report that is being read.
pub(crate) struct Report<'a> {
    hints: &'a Hints,
    sink: &'a mut dyn Sink,
    pub(crate) info: RunInfo,
    assessed: HashSet<AssetRef>,
    described: HashSet<AssetRef>,
    related: HashSet<(AssetRef, RelationKind, AssetRef)>,
    /// The first half of each fingerprint that [`Self::finding_once`] has seen, which tells millions apart.
    known: HashSet<u64, BuildHasherDefault<AsIs>>,
    findings: u64,
    gaps: BTreeMap<&'static str, u64>,
}

impl<'a> Report<'a> {
    /// A report of `tool` that is complete until something says otherwise.
    pub(crate) fn new(tool: &str, hints: &'a Hints, sink: &'a mut dyn Sink) -> Self {
        let info = RunInfo { tool: tool.to_owned(), complete: true, ..RunInfo::default() };
        Self {
            hints,
            sink,
            info,
            assessed: HashSet::new(),
            described: HashSet::new(),
            related: HashSet::new(),
            known: HashSet::default(),
            findings: 0,
            gaps: BTreeMap::new(),
        }
    }

    /// Whether the upload named the asset, so that the report need not.
    pub(crate) fn is_named(&self) -> bool {
        self.hints.asset.is_some()
    }

    /// The asset that the upload named.
    pub(crate) fn hint(&self) -> Option<&'a AssetRef> {
        self.hints.asset.as_ref()
    }

    /// The name of the uploaded file.
    pub(crate) fn filename(&self) -> Option<&str> {
        self.hints.filename.as_deref()
    }

    /// The asset that the upload named, else the one that the report names.
    ///
    /// # Errors
    /// [`ImportError::NeedsAsset`] when neither does; `says` is what the report says instead, without a full stop.
    pub(crate) fn asset(&self, kind: AssetKind, named: &str, says: &str) -> Result<AssetRef, ImportError> {
        let key = text::one_line(named, 512);
        match &self.hints.asset {
            Some(asset) => Ok(asset.clone()),
            None if key.is_empty() => Err(ImportError::NeedsAsset(says.to_owned())),
            None => Ok(AssetRef { kind, key }),
        }
    }

    /// Notes that the run assessed `asset` in `layer`, which makes `check` fresh (none when empty). At its first mention an asset
    /// that the report named is described, by `attributes`.
    pub(crate) fn assess(
        &mut self,
        asset: &AssetRef,
        layer: Layer,
        check: &str,
        attributes: Map<String, Value>,
    ) -> Result<(), ImportError> {
        if !self.info.layers.contains(&layer) {
            self.info.layers.push(layer);
        }
        if !check.is_empty() && !self.info.checks.iter().any(|known| known == check) {
            self.info.checks.push(check.to_owned());
        }
        if self.assessed.contains(asset) {
            return Ok(());
        }
        within(self.assessed.len(), MAX_ASSETS, "assets")?;
        self.assessed.insert(asset.clone());
        self.info.assessed.push(asset.clone());
        self.describe(asset, &asset.key, attributes)
    }

    /// Describes an asset at its first mention. What the upload named is described by the inventory, not by the report.
    pub(crate) fn describe(
        &mut self,
        asset: &AssetRef,
        name: &str,
        attributes: Map<String, Value>,
    ) -> Result<(), ImportError> {
        if self.hint() == Some(asset) || self.described.contains(asset) {
            return Ok(());
        }
        within(self.described.len(), MAX_ASSETS, "assets")?;
        self.described.insert(asset.clone());
        let name = text::one_line(&text::redact(name), 300);
        let name = if name.is_empty() { text::truncate(&asset.key, 300) } else { name };
        let record = AssetRecord { asset: asset.clone(), name, attributes, tags: Vec::new() };
        Ok(self.sink.record(Record::Asset(record))?)
    }

    /// Says how two assets belong together, once; nothing when they are the same.
    pub(crate) fn relate(&mut self, from: &AssetRef, kind: RelationKind, to: &AssetRef) -> Result<(), ImportError> {
        let relation = (from.clone(), kind, to.clone());
        if from == to || self.related.contains(&relation) {
            return Ok(());
        }
        within(self.related.len(), MAX_RELATIONS, "relations")?;
        self.related.insert(relation);
        let relation = RelationRecord { from: from.clone(), kind, to: to.clone() };
        Ok(self.sink.record(Record::Relation(relation))?)
    }

    /// Gives a finding. One whose words are nothing but white space and control characters is called by its rule.
    pub(crate) fn finding(&mut self, mut finding: FindingRecord) -> Result<(), ImportError> {
        if finding.title.is_empty() {
            finding.title = text::one_line(&finding.rule, 300);
        }
        self.findings += 1;
        Ok(self.sink.record(Record::Finding(Box::new(finding)))?)
    }

    /// Gives a finding on an asset that it says was assessed, unless the report has said it already: one server may stand in
    /// several configurations.
    pub(crate) fn finding_once(&mut self, finding: FindingRecord) -> Result<(), ImportError> {
        let [half @ .., _, _, _, _, _, _, _, _] = finding.fingerprint.as_bytes();
        if !self.known.insert(u64::from_ne_bytes(half)) {
            return Ok(());
        }
        self.assess(&finding.asset, finding.layer, "", Map::new())?;
        self.finding(finding)
    }

    /// Whether something was found, whatever the report says of how much was scanned.
    pub(crate) const fn has_findings(&self) -> bool {
        self.findings > 0
    }

    /// Something that could not be assessed. After the first 500 of a class, one gap says that there are more.
    pub(crate) fn gap(&mut self, class: &'static str, subject: &str, reason: &str) -> Result<(), ImportError> {
        let count = self.gaps.entry(class).or_default();
        *count += 1;
        let (subject, reason) = match *count {
            0..=MAX_LISTED_GAPS => (text::one_line(subject, 500), text::evidence_text(reason, 1000)),
            n if n == MAX_LISTED_GAPS + 1 => {
                (String::new(), format!("more than {MAX_LISTED_GAPS}; the others are only in the report"))
            }
            _ => return Ok(()),
        };
        Ok(self.sink.record(Record::Gap(GapRecord { class: class.to_owned(), subject, reason }))?)
    }

    /// An error of the tool: what it could not assess, so that this report proves no absence.
    pub(crate) fn error(&mut self, subject: &str, reason: &str) -> Result<(), ImportError> {
        self.info.complete = false;
        self.gap("tool-error", subject, reason)
    }

    /// The end of the report. A report without findings says so, as `nothing`.
    pub(crate) fn finish(mut self, nothing: &str) -> Result<RunInfo, ImportError> {
        if self.findings == 0 {
            self.gap("empty-report", "", nothing)?;
        }
        Ok(self.info)
    }
}

/// Fingerprints are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn within(count: usize, max: usize, what: &str) -> Result<(), ImportError> {
    if count < max { Ok(()) } else { Err(ImportError::TooLarge(format!("a report may name at most {max} {what}"))) }
}
