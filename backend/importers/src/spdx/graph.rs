//! SPDX 3.0: a graph of elements, of which models and data sets are inventory.

use std::cell::RefCell;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use stance_shared::{AssetKind, Layer, RelationKind};

use super::package::said;
use crate::json::{Members, Value, or_default, read_object};
use crate::package::Package;
use crate::report::Report;
use crate::text::{self, Evidence};
use crate::{AssetRef, Hints, ImportError, RunInfo, Sink, Source};

/// How many bytes of elements' ids are kept, to follow relationships.
const MAX_TABLE_BYTES: usize = 24 << 20;

/// How many elements a file may be inside of each other.
const MAX_NESTING: usize = 50;

/// Members of an AI package or a dataset package that become attributes, without the profile's prefix.
const ATTRIBUTES: &[&str] = &[
    "ai_autonomyType",
    "ai_domain",
    "ai_informationAboutApplication",
    "ai_informationAboutTraining",
    "ai_limitation",
    "ai_modelDataPreprocessing",
    "ai_modelExplainability",
    "ai_safetyRiskAssessment",
    "ai_standardCompliance",
    "ai_typeOfModel",
    "ai_useSensitivePersonalInformation",
    "dataset_anonymizationMethodUsed",
    "dataset_confidentialityLevel",
    "dataset_dataCollectionProcess",
    "dataset_datasetAvailability",
    "dataset_datasetSize",
    "dataset_datasetType",
    "dataset_hasSensitivePersonalInformation",
    "dataset_intendedUse",
    "dataset_knownBias",
    "software_downloadLocation",
    "software_packageVersion",
    "software_primaryPurpose",
];

pub(super) fn read(source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
    let graph = RefCell::new(Graph {
        report: Report::new("spdx", hints, sink),
        assets: HashMap::new(),
        inside: HashMap::new(),
        relations: Vec::new(),
        bytes: 0,
        is_unread: false,
    });
    read_object(source, "an SPDX 3 document, an object with “@graph”", &mut Document(&graph))?;
    graph.into_inner().finish()
}

struct Document<'a, 'b>(&'b RefCell<Graph<'a>>);

impl Members for Document<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "@graph" => {
                value.array("an array of elements", |_, element: Element| self.0.borrow_mut().element(element))?;
            }
            _ => value.skip()?,
        }
        Ok(())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Element {
    #[serde(rename = "type", alias = "@type", deserialize_with = "or_default")]
    kind: String,
    #[serde(rename = "spdxId", alias = "@id", deserialize_with = "or_default")]
    id: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    from: String,
    /// One or several.
    to: Json,
    #[serde(rename = "relationshipType", deserialize_with = "or_default")]
    relationship: String,
    #[serde(rename = "software_packageUrl", deserialize_with = "or_default")]
    purl: String,
    description: Option<String>,
    #[serde(flatten)]
    others: Map<String, Json>,
}

struct Graph<'a> {
    report: Report<'a>,
    /// Models and data sets by their ids.
    assets: HashMap<String, AssetRef>,
    /// What an element is a part of.
    inside: HashMap<String, String>,
    relations: Vec<(String, RelationKind, String)>,
    bytes: usize,
    /// Vulnerabilities of the Security profile, which are not taken over.
    is_unread: bool,
}

impl Graph<'_> {
    fn element(&mut self, element: Element) -> Result<(), ImportError> {
        match element.kind.trim_start_matches("spdx:") {
            "ai_AIPackage" => self.asset(AssetKind::Model, element),
            "dataset_DatasetPackage" => self.asset(AssetKind::Dataset, element),
            "Relationship" | "LifecycleScopedRelationship" => self.relationship(&element),
            kind => {
                self.is_unread |= kind == "security_Vulnerability";
                Ok(())
            }
        }
    }

    fn keep(&mut self, bytes: usize) -> Result<(), ImportError> {
        self.bytes += bytes + 100;
        if self.bytes > MAX_TABLE_BYTES {
            let limit = MAX_TABLE_BYTES >> 20;
            return Err(ImportError::TooLarge(format!("the document's relationships need more than {limit} MiB")));
        }
        Ok(())
    }

    fn asset(&mut self, kind: AssetKind, element: Element) -> Result<(), ImportError> {
        let name = text::one_line(&element.name, 300);
        let purl = Package::of_purl(&element.purl).map(|package| package.as_str().to_owned());
        let key = text::truncate(purl.unwrap_or_else(|| name.clone()), 512);
        if key.is_empty() {
            return self.report.gap("not-identified", &element.id, "a model or data set without a name");
        }
        let asset = AssetRef { kind, key };
        let mut attributes = Evidence::default();
        for attribute in ATTRIBUTES {
            if let Some(value) = element.others.get(*attribute).and_then(said) {
                let plain = attribute.split_once('_').map_or(*attribute, |(_, plain)| plain);
                attributes.add(plain, value.clone());
            }
        }
        attributes.add("description", element.description);
        self.report.describe(&asset, &name, attributes.finish().into_map())?;
        let layer = if kind == AssetKind::Model { Layer::Model } else { Layer::Data };
        self.report.assess(&asset, layer, "", Map::new())?;
        self.keep(element.id.len() + asset.key.len())?;
        self.assets.insert(element.id, asset);
        Ok(())
    }

    fn relationship(&mut self, element: &Element) -> Result<(), ImportError> {
        let kind = match element.relationship.as_str() {
            "trainedOn" => Some(RelationKind::TrainedOn),
            "dependsOn" => Some(RelationKind::DependsOn),
            "descendantOf" | "variant" => Some(RelationKind::DerivedFrom),
            "contains" => None,
            _ => return Ok(()),
        };
        let one = std::slice::from_ref(&element.to);
        let ends = element.to.as_array().map_or(one, Vec::as_slice);
        for to in ends.iter().filter_map(Json::as_str) {
            self.keep(element.from.len() + to.len())?;
            match kind {
                Some(kind) => self.relations.push((element.from.clone(), kind, to.to_owned())),
                None => drop(self.inside.insert(to.to_owned(), element.from.clone())),
            }
        }
        Ok(())
    }

    /// The asset that an element is, or is a part of.
    fn asset_of(&self, id: &str) -> Option<&AssetRef> {
        let mut id = id;
        for _ in 0..MAX_NESTING {
            if let Some(asset) = self.assets.get(id) {
                return Some(asset);
            }
            id = self.inside.get(id)?;
        }
        None
    }

    fn finish(mut self) -> Result<RunInfo, ImportError> {
        let relations = std::mem::take(&mut self.relations);
        let ends = |(from, kind, to): &(String, RelationKind, String)| {
            Some((self.asset_of(from)?.clone(), *kind, self.asset_of(to)?.clone()))
        };
        let known: Vec<_> = relations.iter().filter_map(ends).collect();
        let has_provenance = |model: &AssetRef| {
            let traced = [RelationKind::TrainedOn, RelationKind::DerivedFrom];
            known.iter().any(|(from, kind, _)| from == model && traced.contains(kind))
        };
        let mut models = self.assets.values().filter(|asset| asset.kind == AssetKind::Model).peekable();
        if models.peek().is_some() && models.all(has_provenance) {
            self.report.info.checks.push("provenance-known".to_owned());
        }
        for (from, kind, to) in &known {
            self.report.relate(from, *kind, to)?;
        }
        if let Some(hint) = self.report.hint() {
            self.report.assess(hint, Layer::Application, "", Map::new())?;
            let mut parts: Vec<_> = self.assets.values().cloned().collect();
            parts.sort();
            for part in parts.iter().filter(|_| hint.kind != AssetKind::Model && hint.kind != AssetKind::Dataset) {
                let kind =
                    if part.kind == AssetKind::Model { RelationKind::UsesModel } else { RelationKind::DependsOn };
                self.report.relate(hint, kind, part)?;
            }
        }
        if self.is_unread {
            let reason = "the vulnerabilities of SPDX 3's Security profile are not taken over; import them as CycloneDX or OpenVEX";
            self.report.gap("not-taken", "", reason)?;
        }
        self.report.info.complete = false;
        self.report.info.scan_identity = "spdx".to_owned();
        self.report.finish("a valid bill of materials, which has no findings")
    }
}
