//! Hugging Face model and data set cards (README.md) and `config.json`. What is taken over, field by field: `README.md`.

mod card;
mod config;

use serde_json::{Map, Value as Json};
use stance_shared::{AssetKind, Layer, Severity};

use crate::category::Categories;
use crate::package::Package;
use crate::report::Report;
use crate::sniff::Outline;
use crate::text;
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, RunInfo, Sink, Source};
use stance_engine::fingerprint::Fingerprint;
use std::io::Read as _;

/// The importer of `format=huggingface`.
pub struct HuggingFace;

/// What code from a model's repository means.
const REMOTE_CODE: &[&str] =
    &["owasp-llm@2025:LLM03", "atlas@5.6.0:AML.T0010.003", "atlas@5.6.0:AML.T0011.000", "cwe@4:CWE-94"];

/// What it means not to know what a model was made from.
const UNDOCUMENTED: &[&str] = &["owasp-llm@2025:LLM04", "atlas@5.6.0:AML.T0010.002"];

impl Importer for HuggingFace {
    fn format(&self) -> &'static str {
        "huggingface"
    }

    fn title(&self) -> &'static str {
        "Hugging Face model card, config.json"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn asset_kind(&self) -> AssetKind {
        AssetKind::Model
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        if outline.is_json {
            // garak 0.9 has a model type among its arguments.
            let named = outline.has("model_type") && !outline.has("entry_type");
            return named || (outline.has("architectures") && outline.has("transformers_version"));
        }
        card::is(head)
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let mut head = Vec::new();
        source.open()?.take(64).read_to_end(&mut head)?;
        if Outline::of(&head).is_json { config::read(source, hints, sink) } else { card::read(source, hints, sink) }
    }
}

/// What a model or a data set on the hub is called here, and by every report that names it by a package URL.
fn hub_model(id: &str) -> AssetRef {
    let package = Package::of("huggingface", &text::one_line(id, 300));
    AssetRef { kind: AssetKind::Model, key: text::truncate(package.as_str(), 512) }
}

fn hub_dataset(id: &str) -> AssetRef {
    let key = format!("https://huggingface.co/datasets/{}", text::one_line(id, 300));
    AssetRef { kind: AssetKind::Dataset, key: text::truncate(&key, 512) }
}

/// Describes the asset that a file is about, and notes that it was assessed.
fn about(
    report: &mut Report<'_>,
    asset: &AssetRef,
    name: &str,
    attributes: Map<String, Json>,
) -> Result<(), ImportError> {
    let layer = if asset.kind == AssetKind::Dataset { Layer::Data } else { Layer::Model };
    report.describe(asset, name, attributes)?;
    report.assess(asset, layer, "", Map::new())
}

struct Problem {
    rule: &'static str,
    layer: Layer,
    severity: Severity,
    title: String,
    description: String,
    remediation: &'static str,
    categories: &'static [&'static str],
    /// What tells it from others of its rule; empty when there is one at most.
    mark: String,
}

fn finding(asset: &AssetRef, problem: Problem, evidence: crate::Evidence) -> FindingRecord {
    let mut categories = Categories::default();
    categories.add_all(problem.categories);
    let identity = Fingerprint::of((asset.kind.as_str(), &asset.key), &["huggingface", problem.rule, &problem.mark]);
    FindingRecord {
        severity: problem.severity,
        title: text::one_line(&problem.title, 300),
        description: text::evidence_text(&problem.description, 8000),
        remediation: problem.remediation.to_owned(),
        categories: categories.into_vec(),
        evidence,
        ..FindingRecord::blank(asset, identity, problem.rule, problem.layer)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_category_is_known() {
        for reference in super::REMOTE_CODE.iter().chain(super::UNDOCUMENTED) {
            assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{reference}");
        }
    }
}
