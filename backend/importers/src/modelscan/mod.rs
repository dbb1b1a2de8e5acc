//! ModelScan's JSON. What is taken over, field by field: `README.md`.

use std::borrow::Cow;
use std::cell::RefCell;

use serde::Deserialize;
use stance_shared::{AssetKind, Layer, Severity};

use crate::json::{self, Members, Text, Value, or_default, read_object};
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::unsafe_import;
use crate::{
    AssetRecord, AssetRef, FindingRecord, GapRecord, Hints, ImportError, Importer, Position, Record, RunInfo, Sink,
    Source,
};

/// The importer of `format=modelscan`.
pub struct ModelScan;

/// Gaps of one class that are listed one by one; the rest is counted.
const MAX_LISTED_GAPS: u64 = 500;

impl Importer for ModelScan {
    fn format(&self) -> &'static str {
        "modelscan"
    }

    fn title(&self) -> &'static str {
        "ModelScan JSON"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn asset_kind(&self) -> AssetKind {
        AssetKind::Model
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        outline.has("summary.modelscan_version")
            || outline.has("summary.total_issues_by_severity")
            || outline.has("issues[].scanner")
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        const WHAT: &str = "a ModelScan report, an object with “summary” and “issues”";
        let mut import = Import {
            hints,
            sink: RefCell::new(sink),
            info: RunInfo { tool: "modelscan".to_owned(), complete: true, ..RunInfo::default() },
            summary: None,
            asset: None,
            has_issues: false,
            deferred: false,
            again: false,
            findings: 0,
        };
        read_object(source, WHAT, &mut import)?;
        if import.summary.is_none() || !import.has_issues {
            let expected = "not a ModelScan report: it needs “summary” and “issues”".to_owned();
            return Err(ImportError::Malformed { expected, position: Position::default() });
        }
        if import.deferred {
            import.again = true;
            read_object(source, WHAT, &mut import)?;
        }
        import.finish()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Issue<'a> {
    #[serde(deserialize_with = "or_default")]
    description: Text<'a>,
    operator: Option<Text<'a>>,
    module: Option<Text<'a>>,
    #[serde(deserialize_with = "or_default")]
    source: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    scanner: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    severity: Text<'a>,
}

impl json::Record for Issue<'static> {
    type Of<'a> = Issue<'a>;
}

/// An entry of `errors` or of `summary.skipped.skipped_files`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Trouble {
    category: Option<String>,
    #[serde(deserialize_with = "or_default")]
    description: String,
    source: Option<String>,
}

#[derive(Debug, Default)]
struct Summary {
    input_path: String,
    absolute_path: String,
    version: String,
    scanned: Option<u64>,
}

struct Import<'a> {
    hints: &'a Hints,
    sink: RefCell<&'a mut dyn Sink>,
    info: RunInfo,
    summary: Option<Summary>,
    asset: Option<AssetRef>,
    has_issues: bool,
    /// The issues stand before the summary, which names the asset: they are read in a second pass.
    deferred: bool,
    again: bool,
    findings: u64,
}

impl Members for Import<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "issues" if !self.again && self.summary.is_none() && self.hints.asset.is_none() => {
                self.has_issues = true;
                self.deferred = value.count()? > 0;
                Ok(())
            }
            "issues" => {
                self.has_issues = true;
                let asset = self.asset()?;
                value.array_of::<Issue<'static>>("an array of issues", |_, issue: Issue<'_>| {
                    self.findings += 1;
                    Ok(self.sink.borrow_mut().record(Record::Finding(Box::new(finding(&asset, issue)?)))?)
                })?;
                Ok(())
            }
            "summary" if !self.again => {
                let mut summary = SummaryMembers { import: self, summary: Summary::default() };
                value.object("an object", &mut summary)?;
                self.summary = Some(summary.summary);
                Ok(())
            }
            "errors" if !self.again => {
                let errors = self.troubles(value, "tool-error")?;
                self.info.complete &= errors == 0;
                Ok(())
            }
            _ => value.skip(),
        }
    }
}

struct SummaryMembers<'a, 'b> {
    import: &'b mut Import<'a>,
    summary: Summary,
}

impl Members for SummaryMembers<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        let text = |value: Value<'_, '_>| -> Result<String, ImportError> {
            Ok(text::one_line(&value.record::<Option<String>>()?.unwrap_or_default(), 1000))
        };
        match key {
            "input_path" => self.summary.input_path = text(value)?,
            "absolute_path" => self.summary.absolute_path = text(value)?,
            "modelscan_version" => self.summary.version = text(value)?,
            "scanned" => value.object("an object", &mut Counted(&mut self.summary.scanned))?,
            "skipped" => value.object("an object", &mut Skipped(self.import))?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

struct Counted<'a>(&'a mut Option<u64>);

impl Members for Counted<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "total_scanned" => *self.0 = value.record()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

struct Skipped<'a, 'b>(&'b mut Import<'a>);

impl Members for Skipped<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "skipped_files" => self.0.troubles(value, "skipped").map(|_| ()),
            _ => value.skip(),
        }
    }
}

impl Import<'_> {
    /// Gives what could not be assessed as gaps; how many there were.
    fn troubles(&mut self, value: Value<'_, '_>, class: &str) -> Result<u64, ImportError> {
        let mut count = 0;
        let sink = &self.sink;
        let gap = |subject: &str, reason: &str| {
            let gap = GapRecord {
                class: class.to_owned(),
                subject: text::truncate(subject, 500),
                reason: text::evidence_text(reason, 1000),
            };
            sink.borrow_mut().record(Record::Gap(gap))
        };
        value.array("an array of errors or skipped files", |_, trouble: Trouble| {
            count += 1;
            if count <= MAX_LISTED_GAPS {
                let category = trouble.category.map(|category| format!("{category}: ")).unwrap_or_default();
                gap(
                    &text::normalize_uri(trouble.source.as_deref().unwrap_or_default(), None),
                    &format!("{category}{}", trouble.description),
                )?;
            } else if count == MAX_LISTED_GAPS + 1 {
                gap("", &format!("more than {MAX_LISTED_GAPS}; the others are only in the report"))?;
            }
            Ok(())
        })?;
        Ok(count)
    }

    /// The hint, else what was scanned, as it was named on the command line.
    fn asset(&mut self) -> Result<AssetRef, ImportError> {
        if let Some(asset) = self.hints.asset.as_ref().or(self.asset.as_ref()) {
            return Ok(asset.clone());
        }
        let summary = self.summary.as_ref();
        let given = summary.map(|summary| text::normalize_uri(&summary.input_path, None)).unwrap_or_default();
        let given = given.trim_end_matches('/');
        let last = |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        // A path that says nothing: the folder's own name.
        let key = if matches!(given, "" | "." | "..") {
            summary.map(|s| last(&s.absolute_path)).unwrap_or_default()
        } else {
            given.to_owned()
        };
        if key.is_empty() {
            let given = text::one_line(given, 100);
            return Err(ImportError::NeedsAsset(format!("the report names what was scanned only as “{given}”")));
        }
        let asset = AssetRef { kind: AssetKind::Model, key: text::truncate(&key, 512) };
        self.asset = Some(asset.clone());
        Ok(asset)
    }

    fn finish(mut self) -> Result<RunInfo, ImportError> {
        let asset = self.asset()?;
        let summary = self.summary.take().unwrap_or_default();
        let sink = self.sink.get_mut();
        let mut gap = |class: &str, reason: String| {
            sink.record(Record::Gap(GapRecord { class: class.to_owned(), subject: asset.key.clone(), reason }))
        };
        // Whoever found something has scanned something, whatever the summary says.
        let nothing_scanned = summary.scanned == Some(0) && self.findings == 0;
        if nothing_scanned {
            self.info.complete = false;
            gap(
                "empty-report",
                "a valid report, but ModelScan supported none of the files: nothing was assessed".to_owned(),
            )?;
        } else if self.findings == 0 {
            gap("empty-report", "a valid report in which ModelScan found nothing".to_owned())?;
        }
        if self.hints.asset.is_none() {
            let record = AssetRecord {
                asset: asset.clone(),
                name: asset.key.clone(),
                attributes: serde_json::Map::new(),
                tags: Vec::new(),
            };
            sink.record(Record::Asset(record))?;
        }
        if !nothing_scanned {
            self.info.assess(&asset, Layer::Model, "artifact-scanned");
        }
        self.info.tool_version = summary.version;
        Ok(self.info)
    }
}

/// One issue. The rule is the import itself (`posix.system`), so that other pickle scanners' findings can meet with it.
fn finding(asset: &AssetRef, issue: Issue<'_>) -> Result<FindingRecord, ImportError> {
    let severity = issue.severity.trim().to_uppercase().parse::<Severity>().map_err(|error| {
        let expected = format!("severity: {error}");
        ImportError::Malformed { expected, position: Position { path: "severity".to_owned(), ..Position::default() } }
    })?;
    let [module, operator] =
        [&issue.module, &issue.operator].map(|text| text.as_deref().map(str::trim).filter(|text| !text.is_empty()));
    let scanner = issue.scanner.rsplit('.').next().unwrap_or_default();
    let rule = match (module, operator) {
        (Some(module), Some(operator)) => unsafe_import::rule(module, operator),
        (module, operator) => text::one_line(module.or(operator).unwrap_or(scanner), 300),
    };
    let title = match issue.description.trim() {
        "" => Cow::Owned(format!("Unsafe operator {rule}")),
        _ => Cow::from(issue.description),
    };
    let mut evidence = Evidence::default();
    evidence.add("scanner", issue.scanner);
    evidence.add("module", issue.module);
    evidence.add("operator", issue.operator);
    Ok(unsafe_import::finding(asset, &rule, &issue.source, severity, &title, evidence))
}
