//! A card: metadata as YAML between lines of `---`, then text for people, which is not read.

use std::io::{BufRead as _, BufReader, Read as _};

use serde_json::{Map, Value as Json};
use stance_shared::{AssetKind, Layer, RelationKind, Severity};

use super::{Problem, REMOTE_CODE, UNDOCUMENTED, about, finding, hub_dataset, hub_model};
use crate::report::Report;
use crate::text::{self, Evidence};
use crate::{AssetRef, Hints, ImportError, Position, RunInfo, Sink, Source};

/// The largest metadata.
const MAX_METADATA_BYTES: usize = 1 << 20;

/// Base models and data sets that one card may name; the rest is passed over.
const MAX_NAMED: usize = 1000;

/// Metadata that only a data set has.
const OF_DATASETS: &[&str] = &["annotations_creators", "dataset_info", "size_categories", "task_categories"];

/// What becomes attributes as it is.
const ATTRIBUTES: &[&str] = &[
    "base_model_relation",
    "language",
    "library_name",
    "license",
    "license_name",
    "model_type",
    "pipeline_tag",
    "tags",
];

/// Whether a text begins with metadata of a card.
pub(super) fn is(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    head.starts_with(b"---\n") || head.starts_with(b"---\r\n")
}

pub(super) fn read(source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
    let metadata = metadata(source)?;
    let mut report = Report::new("huggingface", hints, sink);
    report.info.scan_identity = "card".to_owned();
    let get = |key: &str| metadata.get(key).cloned().unwrap_or_default();
    let is_dataset = OF_DATASETS.iter().any(|key| metadata.contains_key(*key));
    let kind = if is_dataset { AssetKind::Dataset } else { AssetKind::Model };
    let results = entries(get("model-index"));
    let named = [
        get("model_name"),
        get("pretty_name"),
        results.first().and_then(|model| model.get("name")).cloned().unwrap_or_default(),
    ];
    let name = named.iter().find_map(Json::as_str).unwrap_or_default();
    // A name with its owner is the hub's, as other cards and bills of materials name it.
    let key = match name.split_once('/') {
        Some((owner, plain)) if !owner.is_empty() && !plain.is_empty() => match kind {
            AssetKind::Dataset => hub_dataset(name).key,
            _ => hub_model(name).key,
        },
        _ => name.to_owned(),
    };
    let asset = report.asset(kind, &key, "the card does not name its model")?;
    about(&mut report, &asset, name, attributes(&metadata, &results))?;

    let (bases, datasets) = (ids(get("base_model")), ids(get("datasets")));
    for base in &bases {
        relate(&mut report, &asset, RelationKind::DerivedFrom, &hub_model(base), base)?;
    }
    for dataset in &datasets {
        relate(&mut report, &asset, RelationKind::TrainedOn, &hub_dataset(dataset), dataset)?;
    }
    if !bases.is_empty() || !datasets.is_empty() {
        report.info.checks.push("provenance-known".to_owned());
    }
    for model in &results {
        let without = entries(model.get("results").cloned().unwrap_or_default());
        if without.iter().any(|result| result.get("dataset").is_none()) {
            report.gap(
                "not-valid",
                "model-index",
                "a result of the model index does not say on which data set it was measured",
            )?;
        }
    }
    let is_tagged = entries(get("tags")).iter().any(|tag| tag.as_str() == Some("custom_code"));
    if is_tagged {
        report.finding(custom_code(&asset))?;
    }
    let mut missing = Vec::new();
    if entries(get("license")).is_empty() {
        missing.push("a license");
    }
    if !is_dataset && bases.is_empty() && datasets.is_empty() {
        missing.push("what it was trained on or derived from");
    }
    if !missing.is_empty() {
        report.finding(undocumented(&asset, &missing))?;
    }
    report.finish("the card has what a card should say, and names no code from its repository")
}

/// The card's metadata; empty for a card without any.
fn metadata(source: &dyn Source) -> Result<Map<String, Json>, ImportError> {
    let mut lines = BufReader::new(source.open()?.take(MAX_METADATA_BYTES as u64 + 1));
    let (mut yaml, mut line, mut number) = (Vec::new(), Vec::new(), 0_u64);
    loop {
        line.clear();
        let is_end = lines.read_until(b'\n', &mut line)? == 0;
        number += 1;
        let text = line.strip_prefix(b"\xEF\xBB\xBF").filter(|_| number == 1).unwrap_or(&line);
        let is_rule = text.trim_ascii_end() == b"---";
        if number == 1 && !is_rule {
            return Ok(Map::new());
        }
        if is_end && yaml.len() + 4 >= MAX_METADATA_BYTES {
            let limit = MAX_METADATA_BYTES >> 20;
            return Err(ImportError::TooLarge(format!("the card's metadata are larger than {limit} MiB")));
        }
        if is_end {
            let expected = "the card's metadata have no end, a line of “---”".to_owned();
            return Err(ImportError::Truncated { expected, position: at(number, None) });
        }
        if number > 1 && is_rule {
            break;
        }
        if number > 1 {
            yaml.extend_from_slice(text);
        }
    }
    let yaml = std::str::from_utf8(&yaml).map_err(|_| malformed("the card's metadata are not UTF-8", at(2, None)))?;
    if yaml.trim().is_empty() {
        return Ok(Map::new());
    }
    let value: Json = serde_saphyr::from_str(yaml).map_err(|error| {
        // The first line of the metadata is the card's second.
        let place = error.location().filter(|place| place.line() > 0);
        let position = place.map_or_else(|| at(2, None), |place| at(place.line() + 1, Some(place.column())));
        let message = error.without_snippet().to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        malformed(&format!("the card's metadata are not YAML: {}", text::one_line(message, 300)), position)
    })?;
    match value {
        Json::Object(metadata) => Ok(metadata),
        Json::Null => Ok(Map::new()),
        _ => Err(malformed("the card's metadata must be names with values", at(2, None))),
    }
}

const fn at(line: u64, column: Option<u64>) -> Position {
    Position { line: Some(line), column, path: String::new() }
}

fn malformed(expected: &str, position: Position) -> ImportError {
    ImportError::Malformed { expected: expected.to_owned(), position }
}

/// What may stand once or as a list.
fn entries(value: Json) -> Vec<Json> {
    match value {
        Json::Null => Vec::new(),
        Json::Array(items) => items,
        Json::String(text) if text.trim().is_empty() => Vec::new(),
        one => vec![one],
    }
}

/// Names of models or data sets, each once.
fn ids(value: Json) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for id in entries(value).iter().take(MAX_NAMED).filter_map(Json::as_str) {
        let id = text::one_line(id, 300);
        if !id.is_empty() && !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

fn relate(
    report: &mut Report<'_>,
    asset: &AssetRef,
    kind: RelationKind,
    to: &AssetRef,
    name: &str,
) -> Result<(), ImportError> {
    report.describe(to, name, Map::new())?;
    report.relate(asset, kind, to)
}

fn attributes(metadata: &Map<String, Json>, models: &[Json]) -> Map<String, Json> {
    let mut attributes = Evidence::default();
    for key in ATTRIBUTES {
        attributes.add(*key, metadata.get(*key).cloned().unwrap_or_default());
    }
    let mut measured = Vec::new();
    for result in models.iter().flat_map(|model| entries(model.get("results").cloned().unwrap_or_default())).take(50) {
        let dataset = result.get("dataset").and_then(|dataset| dataset.get("name")).and_then(Json::as_str);
        for metric in entries(result.get("metrics").cloned().unwrap_or_default()).iter().take(20) {
            let kind = metric.get("type").and_then(Json::as_str).unwrap_or("metric");
            let value = metric.get("value").map(Json::to_string).unwrap_or_default();
            let on = dataset.map(|dataset| format!(" on {dataset}")).unwrap_or_default();
            measured.push(Json::from(text::one_line(&format!("{kind} {value}{on}"), 200)));
        }
    }
    attributes.add("performance", Json::Array(measured));
    attributes.finish().into_map()
}

fn custom_code(asset: &AssetRef) -> crate::FindingRecord {
    let problem = Problem {
        rule: "custom-code",
        layer: Layer::Model,
        severity: Severity::Medium,
        title: "The model runs code from its repository".to_owned(),
        description: "The card has the tag `custom_code`: the model loads only with `trust_remote_code=True`, which runs Python files of its repository.".to_owned(),
        remediation: "Read the repository's code, load it at a pinned revision, and run it without secrets and without a network; or choose a model that needs no code.",
        categories: REMOTE_CODE,
        mark: String::new(),
    };
    finding(asset, problem, crate::Evidence::default())
}

fn undocumented(asset: &AssetRef, missing: &[&str]) -> crate::FindingRecord {
    let mut evidence = Evidence::default();
    evidence.add("missing", missing.to_vec());
    let problem = Problem {
        rule: "card-incomplete",
        layer: Layer::Data,
        severity: Severity::Low,
        title: format!("The card does not say {}", missing.join(" and ")),
        description:
            "Without it nobody can tell which data and which models this one depends on, or whether it may be used."
                .to_owned(),
        remediation: "Add `license`, `base_model` and `datasets` to the metadata of the card.",
        categories: UNDOCUMENTED,
        mark: String::new(),
    };
    finding(asset, problem, evidence.finish())
}
