//! Components and services, read member by member, however deep they are nested.

use std::cell::RefCell;

use serde_json::{Map, Value as Json};
use stance_shared::AssetKind;

use super::model::{Data, Flow, ModelParameters, Pedigree, items, licenses};
use super::{Import, mapping};
use crate::json::{Members, Value};
use crate::package::Package;
use crate::text::{self, Evidence};
use crate::{AssetRef, ImportError, xml};

/// What a component or a service says of itself.
#[derive(Default)]
pub(super) struct Described {
    pub kind: String,
    pub reference: String,
    pub group: String,
    pub name: String,
    pub version: String,
    pub purl: String,
    pub parameters: ModelParameters,
    pub data: Vec<Data>,
    pub pedigree: Pedigree,
    said: Vec<(&'static str, Json)>,
    /// What is wrong with it; told when its name is known.
    pub not_valid: Vec<String>,
}

impl Described {
    pub fn package(&self) -> Package {
        Package::of_purl(&self.purl).unwrap_or_else(|| Package::of("", &self.full_name()))
    }

    pub fn full_name(&self) -> String {
        full_name(&self.group, &self.name)
    }

    /// The same for every report that names it: its package URL without the version, else its group and name.
    pub fn key(&self) -> String {
        key(&self.purl, &self.full_name())
    }

    /// What is known of it, for the inventory.
    pub fn attributes(&mut self) -> Map<String, Json> {
        let mut attributes = Evidence::default();
        for (name, value) in [("version", &self.version), ("purl", &self.purl), ("group", &self.group)] {
            attributes.add(name, value.clone());
        }
        let parameters = std::mem::take(&mut self.parameters);
        let approach = parameters.approach.get("type").cloned().unwrap_or_default();
        attributes.add("approach", approach);
        attributes.add("task", parameters.task);
        attributes.add("architectureFamily", parameters.architecture_family);
        attributes.add("modelArchitecture", parameters.model_architecture);
        for data in self.data.iter().take(20) {
            attributes.add("classification", data.classification.clone());
            attributes.add("sensitiveData", data.sensitive_data.clone());
        }
        self.said.drain(..).for_each(|(name, value)| attributes.add(name, value));
        attributes.finish().into_map()
    }
}

/// A group and a name in it.
pub(super) fn full_name(group: &str, name: &str) -> String {
    let (group, name) = (text::one_line(group, 200), text::one_line(name, 300));
    if group.is_empty() || name.is_empty() { name } else { format!("{group}/{name}") }
}

pub(super) fn key(purl: &str, full_name: &str) -> String {
    Package::of_purl(purl).map_or_else(|| full_name.to_owned(), |package| package.as_str().to_owned())
}

/// Reads one component or service, and gives those inside of it to the import.
pub(super) struct Part<'a, 'b> {
    import: &'b RefCell<Import<'a>>,
    pub described: Described,
    /// Parts inside of it that are assets.
    pub inner: Vec<AssetRef>,
}

impl<'a, 'b> Part<'a, 'b> {
    pub fn new(import: &'b RefCell<Import<'a>>) -> Self {
        Self { import, described: Described::default(), inner: Vec::new() }
    }
}

impl Members for Part<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        let import = self.import;
        let line = |value: Value<'_, '_>| {
            Ok::<_, ImportError>(text::one_line(&value.record::<Option<String>>()?.unwrap_or_default(), 500))
        };
        let part = &mut self.described;
        match key {
            "type" => part.kind = line(value)?,
            "bom-ref" => part.reference = text::truncate(value.record::<Option<String>>()?.unwrap_or_default(), 1000),
            "group" => part.group = line(value)?,
            "name" => part.name = line(value)?,
            "version" => part.version = line(value)?,
            "purl" => part.purl = line(value)?,
            "description" | "publisher" | "trustZone" => {
                let name = match key {
                    "description" => "description",
                    "publisher" => "publisher",
                    _ => "trustZone",
                };
                let text = value.record::<Option<String>>()?.unwrap_or_default();
                part.said.push((name, Json::from(text::truncate(&text, 2000))));
            }
            "authenticated" | "x-trust-boundary" => {
                let name = if key == "authenticated" { "authenticated" } else { "crossesTrustBoundary" };
                part.said.push((name, value.record()?));
            }
            "licenses" => part.said.push(("licenses", Json::Array(licenses(value.record()?)))),
            "endpoints" => part.said.push(("endpoints", value.record()?)),
            "modelCard" => value.object("an object", &mut ModelCard(part))?,
            "pedigree" => part.pedigree = value.record::<Option<_>>()?.unwrap_or_default(),
            "data" => self.data(value.record()?)?,
            "components" => {
                let inner = &mut self.inner;
                value.objects(
                    "an array of components",
                    |_| Ok(Part::new(import)),
                    |_, part| {
                        inner.extend(import.borrow_mut().component(part.described)?);
                        inner.extend(part.inner);
                        Ok(())
                    },
                )?;
            }
            "services" => {
                let inner = &mut self.inner;
                value.objects(
                    "an array of services",
                    |_| Ok(Part::new(import)),
                    |_, part| {
                        inner.extend(import.borrow_mut().service(part)?);
                        Ok(())
                    },
                )?;
            }
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl Part<'_, '_> {
    /// `data` of a component are its contents, those of a service what it exchanges.
    fn data(&mut self, value: Json) -> Result<(), ImportError> {
        let flows = match value {
            // XML: <data><classification flow="…">PII</classification></data>, or a <dataflow>.
            Json::Object(mut data) => match data.remove("classification").or_else(|| data.remove("dataflow")) {
                Some(flows) if !data.contains_key("type") => flows,
                classification => {
                    data.extend(classification.map(|value| ("classification".to_owned(), value)));
                    Json::Object(data)
                }
            },
            other => other,
        };
        let mut exchanged = Vec::new();
        for item in items(flows).into_iter().take(1000) {
            if item.get("flow").is_none() {
                self.described.data.push(xml::known(&item)?);
                continue;
            }
            let flow: Flow = xml::known(&item)?;
            if !mapping::FLOWS.contains(&flow.flow.as_str()) {
                let flow = text::one_line(&flow.flow, 60);
                let reason =
                    format!("a service's data have the flow “{flow}”; allowed are {}", mapping::FLOWS.join(", "));
                self.described.not_valid.push(reason);
            }
            let said = Json::from(format!("{} ({})", flow.classification, flow.flow));
            if !exchanged.contains(&said) {
                exchanged.push(said);
            }
        }
        if !exchanged.is_empty() {
            self.described.said.push(("data", Json::Array(exchanged)));
        }
        Ok(())
    }
}

struct ModelCard<'a>(&'a mut Described);

impl Members for ModelCard<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "modelParameters" => self.0.parameters = value.record::<Option<_>>()?.unwrap_or_default(),
            "considerations" => self.0.said.push(("considerations", value.record()?)),
            // Its graphics are pictures.
            "quantitativeAnalysis" => value.object("an object", &mut Analysis(self.0))?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

struct Analysis<'a>(&'a mut Described);

impl Members for Analysis<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "performanceMetrics" => self.0.said.push(("performance", value.record()?)),
            _ => value.skip()?,
        }
        Ok(())
    }
}

/// The kind of asset that a data component is, if it is one.
pub(super) fn asset_kind(described: &Described) -> Option<AssetKind> {
    let kind = mapping::kind(&described.kind)?;
    let has_dataset = described.data.is_empty() || described.data.iter().any(|data| mapping::is_dataset(&data.kind));
    (kind != AssetKind::Dataset || has_dataset).then_some(kind)
}
