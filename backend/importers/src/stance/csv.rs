//! Stance's own findings as a table: one line of names, then one finding in each line.

use std::cell::Cell;
use std::io::Read;
use std::rc::Rc;

use csv::{ErrorKind, ReaderBuilder, StringRecord};

use super::model::{AssetRefInput, FindingInput, Invalid, LocationInput, SuppressionInput};
use super::{Import, State};
use crate::container::LimitPassed;
use crate::json::MAX_RECORD_BYTES;
use crate::{Hints, ImportError, Position, RunInfo, Sink, Source, text};

/// The columns, in any order. Those of [`REQUIRED`] must be there.
const COLUMNS: &[&str] = &[
    "asset_kind",
    "asset_key",
    "rule",
    "title",
    "severity",
    "layer",
    "score",
    "attack_success_rate",
    "description",
    "remediation",
    "categories",
    "location",
    "line",
    "snippet",
    "identity",
    "count",
    "suppression",
    "tool",
];

const REQUIRED: &[&str] = &["rule", "title", "severity"];

/// Stands between the entries of `categories` and of `identity`.
const SEPARATOR: char = ';';

/// Whether a text's first line names the required columns.
pub(super) fn is(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let names: Vec<&str> = line.split(',').map(|name| name.trim().trim_matches('"')).collect();
    REQUIRED.iter().all(|required| names.contains(required))
}

pub(super) fn read(source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
    let left = Rc::new(Cell::new(MAX_RECORD_BYTES));
    let bytes = Limited { inner: source.open()?, left: left.clone() };
    let mut reader = ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(bytes);
    let names = reader.headers().map_err(|error| broken(&error, false))?.clone();
    let columns = columns(&names)?;
    let mut state = State::new(sink);
    let mut tool: Option<String> = None;
    let mut row = StringRecord::new();
    loop {
        left.set(MAX_RECORD_BYTES);
        match reader.read_record(&mut row) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                let is_end = matches!(reader.read_record(&mut row), Ok(false));
                return Err(broken(&error, is_end));
            }
        }
        let line = row.position().map_or(1, csv::Position::line);
        let row = Row { row: &row, columns: &columns };
        let said = row.get("tool").unwrap_or("csv");
        let tool = match &tool {
            Some(first) if first != said => {
                return Err(malformed(line, "tool", "must be the same in every line"));
            }
            Some(first) => first,
            None => tool.insert(text::one_line(said, 100)),
        };
        let finding = row.finding().and_then(|input| input.into_record(tool, hints.asset.as_ref()));
        state.finding(finding.map_err(|error| malformed(line, &error.path, &error.message))?)?;
    }
    state.info.tool = tool.unwrap_or_else(|| "csv".to_owned());
    Import::ended(state, hints)
}

/// The place of each known column.
fn columns(names: &StringRecord) -> Result<Vec<(&'static str, usize)>, ImportError> {
    let mut columns = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let name = name.trim_start_matches('\u{FEFF}');
        let Some(known) = COLUMNS.iter().find(|known| **known == name) else {
            let name = text::one_line(name, 60);
            return Err(malformed(1, "", &format!("unknown column “{name}”; allowed are {}", COLUMNS.join(", "))));
        };
        if columns.iter().any(|(other, _)| other == known) {
            return Err(malformed(1, "", &format!("the column “{known}” stands there twice")));
        }
        columns.push((*known, place));
    }
    match REQUIRED.iter().find(|required| columns.iter().all(|(name, _)| name != *required)) {
        Some(missing) => Err(malformed(1, "", &format!("the column “{missing}” is required"))),
        None => Ok(columns),
    }
}

struct Row<'a> {
    row: &'a StringRecord,
    columns: &'a [(&'static str, usize)],
}

impl<'a> Row<'a> {
    /// What stands in a column, if anything does.
    fn get(&self, column: &str) -> Option<&'a str> {
        let (_, place) = self.columns.iter().find(|(name, _)| *name == column)?;
        self.row.get(*place).map(str::trim).filter(|text| !text.is_empty())
    }

    fn text(&self, column: &str) -> String {
        self.get(column).unwrap_or_default().to_owned()
    }

    fn word<T: std::str::FromStr<Err: std::fmt::Display>>(&self, column: &str) -> Result<Option<T>, Invalid> {
        let parse = |text: &str| {
            text.parse().map_err(|error: T::Err| Invalid { path: column.to_owned(), message: error.to_string() })
        };
        self.get(column).map(parse).transpose()
    }

    fn list(&self, column: &str) -> Vec<String> {
        let entries = self.get(column).into_iter().flat_map(|text| text.split(SEPARATOR));
        entries.map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect()
    }

    fn finding(&self) -> Result<FindingInput, Invalid> {
        let required = |column: &str| Invalid { path: column.to_owned(), message: "must not be empty".to_owned() };
        let asset = match (self.word("asset_kind")?, self.get("asset_key")) {
            (None, None) => None,
            (Some(kind), Some(key)) => Some(AssetRefInput { kind, key: key.to_owned() }),
            (None, Some(_)) => return Err(required("asset_kind")),
            (Some(_), None) => return Err(required("asset_key")),
        };
        let location = self.get("location").map(|uri| -> Result<_, Invalid> {
            Ok(LocationInput {
                uri: uri.to_owned(),
                line: self.word("line")?,
                snippet: self.get("snippet").map(str::to_owned),
            })
        });
        let identity = self.list("identity");
        Ok(FindingInput {
            asset,
            rule: self.text("rule"),
            title: self.text("title"),
            severity: self.word("severity")?.ok_or_else(|| required("severity"))?,
            layer: self.word("layer")?,
            score: self.word("score")?,
            attack_success_rate: self.word("attack_success_rate")?,
            description: self.text("description"),
            remediation: self.text("remediation"),
            categories: self.list("categories"),
            locations: location.transpose()?.into_iter().collect(),
            evidence: serde_json::Map::new(),
            identity: (!identity.is_empty()).then_some(identity),
            count: self.word("count")?,
            suppression: self.get("suppression").map(|said| SuppressionInput { justification: said.to_owned() }),
        })
    }
}

fn malformed(line: u64, path: &str, message: &str) -> ImportError {
    let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
    ImportError::Malformed {
        expected: format!("line {line}: {place}{message}"),
        position: Position { line: Some(line), column: None, path: path.to_owned() },
    }
}

/// What the reader says is wrong; a line that is too short is cut off when nothing follows it.
fn broken(error: &csv::Error, is_end: bool) -> ImportError {
    let position = Position { line: Some(error.position().map_or(1, csv::Position::line)), ..Position::default() };
    match error.kind() {
        ErrorKind::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<LimitPassed>()) {
            Some(LimitPassed(limit)) => ImportError::TooLarge(limit.clone()),
            None => std::io::Error::new(error.kind(), error.to_string()).into(),
        },
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let expected = format!("a line has {len} fields instead of {expected_len}");
            if is_end && len < expected_len {
                ImportError::Truncated { expected, position }
            } else {
                ImportError::Malformed { expected, position }
            }
        }
        ErrorKind::Utf8 { .. } => ImportError::Malformed { expected: "the table is not UTF-8".to_owned(), position },
        _ => ImportError::Malformed { expected: text::one_line(&error.to_string(), 300), position },
    }
}

/// Refuses lines that are too large.
struct Limited<R> {
    inner: R,
    left: Rc<Cell<usize>>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        match self.left.get().checked_sub(n) {
            Some(left) => self.left.set(left),
            None => {
                let limit = MAX_RECORD_BYTES >> 20;
                let passed = format!("a line is larger than {limit} MiB, the limit for one record");
                return Err(std::io::Error::other(LimitPassed(passed)));
            }
        }
        Ok(n)
    }
}
