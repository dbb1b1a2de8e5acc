//! Stance's own JSON and CSV, for tools that have no importer. The format: `README.md` and [`SCHEMA`].

mod csv;
mod model;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Read as _;

use serde::Deserialize;
use stance_shared::Layer;

pub use model::{
    AssetInput, AssetRefInput, FindingInput, GapInput, Invalid, LocationInput, RelationInput, SuppressionInput,
};

use crate::json::{self, Members, Value, read_object};
use crate::sniff::Outline;
use crate::{
    AssetRef, FindingRecord, GapRecord, Hints, ImportError, Importer, Position, Record, RunInfo, Sink, Source,
};

/// The JSON Schema (2020-12) of the format.
pub const SCHEMA: &str = include_str!("schema.json");

/// The format's name and version, the value of the member `stance`.
pub const VERSION: &str = "findings/1";

/// The importer of `format=stance`.
pub struct Stance;

/// Assets that one report may say it assessed.
const MAX_ASSESSED: usize = 10_000;

impl Importer for Stance {
    fn format(&self) -> &'static str {
        "stance"
    }

    fn title(&self) -> &'static str {
        "Stance findings (JSON, CSV)"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        if outline.is_json { outline.has("stance") } else { csv::is(head) }
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        const WHAT: &str = "an object with “stance”, “tool” and “findings”";
        let mut head = Vec::new();
        source.open()?.take(crate::SNIFF_BYTES as u64).read_to_end(&mut head)?;
        if csv::is(&head) {
            return csv::read(source, hints, sink);
        }
        let mut import = Import {
            hints,
            state: RefCell::new(State::new(sink)),
            has_version: false,
            tool: None,
            deferred: false,
            again: false,
        };
        read_object(source, WHAT, &mut import)?;
        for (member, there) in [("stance", import.has_version), ("tool", import.tool.is_some())] {
            if !there {
                let expected = format!("the required member “{member}” is missing");
                return Err(ImportError::Malformed { expected, position: Position::default() });
            }
        }
        if import.deferred {
            import.again = true;
            read_object(source, WHAT, &mut import)?;
        }
        import.finish()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tool {
    name: String,
    #[serde(default)]
    version: String,
}

struct State<'a> {
    sink: &'a mut dyn Sink,
    info: RunInfo,
    findings: u64,
    assessed: BTreeSet<AssetRef>,
    /// Whether the report says which layers it assessed; else they are those of its findings.
    says_layers: bool,
}

struct Import<'a> {
    hints: &'a Hints,
    state: RefCell<State<'a>>,
    has_version: bool,
    tool: Option<String>,
    /// The findings stand before the tool, which is part of their identity: they are read in a second pass.
    deferred: bool,
    again: bool,
}

/// An error of an input, with its path continued by the reader.
fn malformed(error: Invalid) -> ImportError {
    let position = Position { path: error.path.clone(), ..Position::default() };
    ImportError::Malformed { expected: error.to_string(), position }
}

impl Members for Import<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        if self.again && key != "findings" {
            return value.skip();
        }
        let state = &self.state;
        let give = |record: Record| Ok(state.borrow_mut().sink.record(record)?);
        match key {
            "$schema" => value.skip(),
            "stance" => {
                self.has_version = true;
                let version: String = value.record()?;
                let known = version == VERSION;
                known.then_some(()).ok_or_else(|| json::malformed(format!("“stance” must be “{VERSION}”")))
            }
            "tool" => {
                let tool: Tool = value.record()?;
                if tool.name.trim().is_empty() || tool.name.chars().count() > 100 || tool.version.chars().count() > 100
                {
                    return Err(json::malformed("“name” must have 1 to 100 characters, “version” at most 100"));
                }
                let mut state = state.borrow_mut();
                state.info.tool = crate::text::one_line(&tool.name, 100);
                state.info.tool_version = crate::text::one_line(&tool.version, 100);
                self.tool = Some(state.info.tool.clone());
                Ok(())
            }
            "scan" => {
                let scan: String = value.record()?;
                if scan.chars().count() > 200 {
                    return Err(json::malformed("“scan” must be at most 200 characters long"));
                }
                state.borrow_mut().info.scan_identity = crate::text::truncate(&scan, 200);
                Ok(())
            }
            "complete" => {
                state.borrow_mut().info.complete = value.record()?;
                Ok(())
            }
            "layers" => {
                let layers = value.record::<Vec<Layer>>()?;
                let mut state = state.borrow_mut();
                // Findings may stand before; what the report says counts.
                state.info.layers = layers;
                state.says_layers = true;
                Ok(())
            }
            "assessed" => {
                value.array("an array of assets", |_, asset: AssetRefInput| {
                    state.borrow_mut().assess(asset.into_ref().map_err(malformed)?)
                })?;
                Ok(())
            }
            "assets" => {
                value.array("an array of assets", |_, asset: AssetInput| {
                    give(Record::Asset(asset.into_record().map_err(malformed)?))
                })?;
                Ok(())
            }
            "relations" => {
                value.array("an array of relations", |_, relation: RelationInput| {
                    give(Record::Relation(relation.into_record().map_err(malformed)?))
                })?;
                Ok(())
            }
            "gaps" => {
                value.array("an array of gaps", |_, gap: GapInput| {
                    give(Record::Gap(gap.into_record().map_err(malformed)?))
                })?;
                Ok(())
            }
            "findings" => match &self.tool {
                None if !self.again => {
                    self.deferred = value.count()? > 0;
                    Ok(())
                }
                tool => {
                    let tool = tool.as_deref().unwrap_or_default();
                    value.array("an array of findings", |_, finding: FindingInput| {
                        let finding = finding.into_record(tool, self.hints.asset.as_ref()).map_err(malformed)?;
                        state.borrow_mut().finding(finding)
                    })?;
                    Ok(())
                }
            },
            other => {
                let allowed =
                    "$schema, stance, tool, scan, complete, layers, assessed, assets, relations, findings, gaps";
                Err(json::malformed(format!(
                    "unknown member “{}”; allowed are {allowed}",
                    crate::text::one_line(other, 60)
                )))
            }
        }
    }
}

impl<'a> State<'a> {
    fn new(sink: &'a mut dyn Sink) -> Self {
        let info = RunInfo { complete: true, ..RunInfo::default() };
        Self { sink, info, findings: 0, assessed: BTreeSet::new(), says_layers: false }
    }

    fn assess(&mut self, asset: AssetRef) -> Result<(), ImportError> {
        if self.assessed.contains(&asset) {
            return Ok(());
        }
        if self.assessed.len() >= MAX_ASSESSED {
            return Err(ImportError::TooLarge(format!("more than {MAX_ASSESSED} assets assessed in one report")));
        }
        self.info.assessed.push(asset.clone());
        self.assessed.insert(asset);
        Ok(())
    }

    fn finding(&mut self, finding: FindingRecord) -> Result<(), ImportError> {
        self.findings += 1;
        self.assess(finding.asset.clone())?;
        if !self.says_layers && !self.info.layers.contains(&finding.layer) {
            self.info.layers.push(finding.layer);
        }
        Ok(self.sink.record(Record::Finding(Box::new(finding)))?)
    }
}

impl Import<'_> {
    fn finish(self) -> Result<RunInfo, ImportError> {
        Self::ended(self.state.into_inner(), self.hints)
    }

    fn ended(mut state: State<'_>, hints: &Hints) -> Result<RunInfo, ImportError> {
        if let Some(asset) = &hints.asset {
            state.assess(asset.clone())?;
        }
        if state.findings == 0 {
            let reason = "a valid report without findings".to_owned();
            state.sink.record(Record::Gap(GapRecord {
                class: "empty-report".to_owned(),
                subject: String::new(),
                reason,
            }))?;
        }
        Ok(state.info)
    }
}
