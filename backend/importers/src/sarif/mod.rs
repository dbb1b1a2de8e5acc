//! SARIF 2.1.0 of any tool. What is taken over, field by field: `README.md`.

mod context;
pub(crate) mod mapping;
mod model;
mod result;

use std::cell::RefCell;
use std::collections::BTreeMap;

use stance_shared::{AssetKind, Layer};

use self::context::RunContext;
use self::model::{Notification, SarifResult};
use crate::json::{self, Members, Value, read_object};
use crate::sniff::Outline;
use crate::{
    AssetRecord, AssetRef, GapRecord, Hints, ImportError, Importer, Position, Record, RunInfo, Sink, Source, text,
};

/// The importer of `format=sarif`.
pub struct Sarif;

/// Runs in one file beyond this are refused.
const MAX_RUNS: usize = 1000;

impl Importer for Sarif {
    fn format(&self) -> &'static str {
        "sarif"
    }

    fn title(&self) -> &'static str {
        "SARIF 2.1.0"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        let says_so = outline.text("$schema").is_some_and(|schema| schema.to_lowercase().contains("sarif"));
        let version = outline.text("version").is_some_and(|version| version.starts_with("2."));
        outline.has("runs") && (says_so || version || outline.has("runs[].tool") || outline.has("runs[].results"))
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let import = RefCell::new(Import {
            hints,
            sink,
            info: RunInfo { complete: true, ..RunInfo::default() },
            deferred: BTreeMap::new(),
            again: false,
            runs: 0,
            findings: 0,
            tools: Vec::new(),
            scans: Vec::new(),
        });
        let mut document = Document { import: &import, has_runs: false };
        read_object(source, "a SARIF log, an object with “runs”", &mut document)?;
        if !document.has_runs {
            let expected = "not a SARIF log: it has no member “runs”".to_owned();
            return Err(ImportError::Malformed { expected, position: Position::default() });
        }
        if !import.borrow().deferred.is_empty() {
            import.borrow_mut().again = true;
            read_object(source, "a SARIF log, an object with “runs”", &mut document)?;
        }
        import.into_inner().finish()
    }
}

/// What is known over all runs of the file.
///
/// Results are read as they stream by when all that they refer to stands before them. Where something may stand behind them,
/// the run is *deferred*: the first pass collects its context, a second pass reads its results from the first such one on.
struct Import<'a> {
    hints: &'a Hints,
    sink: &'a mut dyn Sink,
    info: RunInfo,
    deferred: BTreeMap<usize, (RunContext, usize)>,
    again: bool,
    runs: usize,
    findings: u64,
    tools: Vec<(String, String)>,
    scans: Vec<String>,
}

struct Document<'a, 'b> {
    import: &'b RefCell<Import<'a>>,
    has_runs: bool,
}

impl Members for Document<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "runs" => {
                self.has_runs = true;
                let import = self.import;
                let runs =
                    value.objects("an array of runs", |index| RunMembers::new(import, index), |_, run| run.done())?;
                import.borrow_mut().runs = runs;
                Ok(())
            }
            "version" if !self.import.borrow().again => {
                let version = value.record::<Option<String>>()?.unwrap_or_default();
                if version.is_empty() || version.starts_with("2.1") {
                    return Ok(());
                }
                let version = text::one_line(&version, 40);
                Err(json::malformed(format!("SARIF version {version} is not supported, only 2.1.0")))
            }
            _ => value.skip(),
        }
    }
}

struct RunMembers<'a, 'b> {
    import: &'b RefCell<Import<'a>>,
    index: usize,
    run: RunContext,
    /// In the second pass: whether this run was deferred by the first.
    wanted: bool,
    /// The first result to read.
    first: usize,
    /// The first result that is left to the second pass.
    defer: Option<usize>,
    baseline: Baseline,
}

/// Which states against a baseline the results had.
#[derive(Default)]
struct Baseline {
    changed: bool,
    unchanged: bool,
}

impl<'a, 'b> RunMembers<'a, 'b> {
    fn new(import: &'b RefCell<Import<'a>>, index: usize) -> Result<Self, ImportError> {
        if index >= MAX_RUNS {
            return Err(ImportError::TooLarge(format!("more than {MAX_RUNS} runs in one file")));
        }
        let again = import.borrow().again;
        let deferred = if again { import.borrow_mut().deferred.remove(&index) } else { None };
        let wanted = deferred.is_some() || !again;
        let (run, first) = deferred.unwrap_or_default();
        Ok(Self { import, index, run, wanted, first, defer: None, baseline: Baseline::default() })
    }

    fn results(&mut self, value: Value<'_, '_>) -> Result<(), ImportError> {
        let (again, hinted) = (self.import.borrow().again, self.import.borrow().hints.asset.is_some());
        let known = self.run.has_tool && (hinted || self.run.has_repository);
        if !again && !known {
            self.defer = (value.count()? > 0).then_some(0);
            return Ok(());
        }
        self.run.connect();
        let mut asset = None;
        value.array_of::<SarifResult<'static>>("an array of results", |index, result: SarifResult<'_>| {
            self.baseline.changed |= matches!(result.baseline_state.as_deref(), Some("absent" | "updated"));
            self.baseline.unchanged |= result.baseline_state.as_deref() == Some("unchanged");
            if !again && self.defer.is_none() && result::refers_ahead(&self.run, &result) {
                self.defer = Some(index);
            }
            if self.defer.is_some() || index < self.first {
                return Ok(());
            }
            if !result::is_problem(&result) {
                return Ok(());
            }
            let mut import = self.import.borrow_mut();
            let asset = match &asset {
                Some(asset) => asset,
                None => asset.insert(import.asset(&self.run)?),
            };
            import.findings += 1;
            import.sink.record(Record::Finding(Box::new(result::finding(&self.run, asset, result))))?;
            Ok(())
        })?;
        Ok(())
    }

    /// The run is read: what it says of itself, once.
    fn done(self) -> Result<(), ImportError> {
        let mut import = self.import.borrow_mut();
        if self.baseline.changed && !self.baseline.unchanged && self.wanted && self.defer.is_none() {
            import.info.complete = false;
            import.gap(
                "incomplete-run",
                "",
                "the run lists only changes against a baseline, so what it does not list may still be there",
            )?;
        }
        if import.again {
            return Ok(());
        }
        import.run_ended(&self.run)?;
        if let Some(first) = self.defer {
            import.deferred.insert(self.index, (self.run, first));
        }
        Ok(())
    }
}

impl Members for RunMembers<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            _ if !self.wanted => value.skip(),
            "results" => self.results(value),
            _ if self.import.borrow().again => value.skip(),
            _ => self.run.member(key, value),
        }
    }
}

impl Import<'_> {
    fn gap(&mut self, class: &str, subject: &str, reason: &str) -> Result<(), ImportError> {
        let gap = GapRecord {
            class: class.to_owned(),
            subject: text::one_line(subject, 500),
            reason: text::evidence_text(reason, 1000),
        };
        Ok(self.sink.record(Record::Gap(gap))?)
    }

    /// The asset that a run is about: the hint, else its repository.
    fn asset(&mut self, run: &RunContext) -> Result<AssetRef, ImportError> {
        if let Some(asset) = &self.hints.asset {
            let asset = asset.clone();
            return Ok(self.assess(asset, run));
        }
        let kind = if mapping::is_model_scanner(&run.tool) { AssetKind::Model } else { AssetKind::Application };
        let repository = run.repository.as_ref().and_then(|vcs| vcs.repository_uri.as_deref()).map(repository_key);
        let Some(key) = repository.filter(|key| !key.is_empty()) else {
            let tool = text::one_line(&run.tool, 60);
            return Err(ImportError::NeedsAsset(format!("a run of “{tool}” does not say what it scanned")));
        };
        let asset = AssetRef { kind, key: text::truncate(&key, 512) };
        if !self.info.assessed.contains(&asset) {
            let mut attributes = serde_json::Map::new();
            if let Some(branch) = run.repository.as_ref().and_then(|vcs| vcs.branch.as_deref()) {
                attributes.insert("branch".to_owned(), text::truncate(branch, 200).into());
            }
            let record = AssetRecord { asset: asset.clone(), name: asset.key.clone(), attributes, tags: Vec::new() };
            self.sink.record(Record::Asset(record))?;
        }
        Ok(self.assess(asset, run))
    }

    fn assess(&mut self, asset: AssetRef, run: &RunContext) -> AssetRef {
        let layer = if mapping::is_model_scanner(&run.tool) { Layer::Model } else { Layer::Application };
        let check = if layer == Layer::Model { "artifact-scanned" } else { "code-scanned" };
        self.info.assess(&asset, layer, check);
        asset
    }

    fn run_ended(&mut self, run: &RunContext) -> Result<(), ImportError> {
        self.asset(run)?;
        let tool = (run.tool.clone(), run.version.clone());
        if !self.tools.contains(&tool) {
            self.tools.push(tool);
        }
        // The part after the last slash names the single run, what stands before it the series (SARIF 3.17.3).
        let scan = run.automation_id.rsplit_once('/').map_or("", |(series, _)| series).to_owned();
        if !scan.is_empty() && !self.scans.contains(&scan) {
            self.scans.push(scan);
        }
        if run.external_results > 0 {
            self.info.complete = false;
            self.gap(
                "skipped",
                &run.tool,
                "the run's results stand in files of their own, which the report only names; let the tool write them into it",
            )?;
        }
        for invocation in &run.invocations {
            if invocation.execution_successful == Some(false) {
                self.info.complete = false;
                let why =
                    invocation.exit_code_description.as_deref().unwrap_or("the tool says that its run did not succeed");
                self.gap("tool-error", &run.tool, why)?;
            }
            let notifications =
                invocation.tool_execution_notifications.iter().chain(&invocation.tool_configuration_notifications);
            for notification in notifications.filter(|n| n.level.as_deref() == Some("error")).take(100) {
                self.info.complete = false;
                self.notification(notification)?;
            }
        }
        Ok(())
    }

    fn notification(&mut self, notification: &Notification) -> Result<(), ImportError> {
        let subject = notification.locations.iter().find_map(|l| l.physical_location.artifact_location.uri.as_deref());
        let reason = notification.message.text().unwrap_or("the tool reports an error without a message");
        self.gap("tool-error", &text::normalize_uri(subject.unwrap_or_default(), None), reason)
    }

    fn finish(mut self) -> Result<RunInfo, ImportError> {
        if self.runs == 0 {
            self.info.complete = false;
            self.gap("empty-report", "", "a valid SARIF file without any run: no tool has assessed anything")?;
        } else if self.findings == 0 {
            self.gap("empty-report", "", "a valid report in which the tool found nothing")?;
        }
        self.tools.sort();
        self.scans.sort();
        let names = |of: fn(&(String, String)) -> &str| {
            let mut names: Vec<_> = self.tools.iter().map(of).filter(|name| !name.is_empty()).collect();
            names.dedup();
            text::truncate(names.join(", "), 200)
        };
        self.info.tool = names(|tool| &tool.0);
        self.info.tool_version = names(|tool| &tool.1);
        self.info.scan_identity = text::truncate(self.scans.join(", "), 200);
        if self.info.tool.is_empty() {
            self.info.tool = "sarif".to_owned();
        }
        Ok(self.info)
    }
}

/// A repository's URI without credentials and `.git`, so that every checkout names the same asset.
fn repository_key(uri: &str) -> String {
    let uri = uri.trim().trim_end_matches('/');
    let uri = uri.strip_suffix(".git").unwrap_or(uri);
    match uri.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit('@').next().unwrap_or(host);
            format!("{scheme}://{host}/{path}").trim_end_matches('/').to_owned()
        }
        None => uri.to_owned(),
    }
}
