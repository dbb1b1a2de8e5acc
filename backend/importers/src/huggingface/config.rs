//! `config.json` of a model.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use stance_shared::{AssetKind, Layer, Severity};

use super::{Problem, REMOTE_CODE, about, finding};
use crate::json::{self, Members, Value, read_object};
use crate::report::Report;
use crate::text::{self, Evidence};
use crate::{Hints, ImportError, RunInfo, Sink, Source};

/// Classes that a configuration may name; the rest is passed over.
const MAX_CLASSES: usize = 200;

pub(super) fn read(source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
    let mut config = Config::default();
    read_object(source, "a model's configuration, an object with “model_type” or “architectures”", &mut config)?;
    if config.model_type.is_none() && config.architectures.is_empty() {
        return Err(ImportError::Malformed {
            expected: "not a model's configuration: it has neither “model_type” nor “architectures”".to_owned(),
            position: crate::Position::default(),
        });
    }
    let mut report = Report::new("huggingface", hints, sink);
    report.info.scan_identity = "config".to_owned();
    // `_name_or_path` is where it was loaded from: another model, or a folder.
    let asset = report.asset(AssetKind::Model, "", "a config.json does not name its model")?;
    let mut attributes = Evidence::default();
    attributes.add("architectures", config.architectures);
    attributes.add("modelType", config.model_type);
    attributes.add("dtype", config.dtype);
    attributes.add("quantization", config.quantization);
    attributes.add("transformersVersion", config.transformers);
    about(&mut report, &asset, "", attributes.finish().into_map())?;
    for (repository, classes) in config.code {
        let elsewhere = !repository.is_empty();
        let from = if elsewhere { format!("the repository {repository}") } else { "its repository".to_owned() };
        let mut evidence = Evidence::default();
        evidence.add("repository", repository.clone());
        evidence.add("classes", classes.clone());
        let problem = Problem {
            rule: if elsewhere { "custom-code-elsewhere" } else { "custom-code" },
            layer: Layer::Model,
            // Whoever owns the other repository changes what runs here.
            severity: if elsewhere { Severity::High } else { Severity::Medium },
            title: format!("The model runs code from {from}"),
            description: format!(
                "`auto_map` has the model load {} from {from}: with `trust_remote_code=True` its Python files run.",
                classes.iter().take(10).map(|class| format!("`{class}`")).collect::<Vec<_>>().join(", ")
            ),
            remediation: "Read that code, load it at a pinned revision, and run it without secrets and without a network; or choose a model that needs no code.",
            categories: REMOTE_CODE,
            mark: repository,
        };
        report.finding(finding(&asset, problem, evidence.finish()))?;
    }
    report.finish("a valid configuration that names no code from a repository")
}

#[derive(Default)]
struct Config {
    architectures: Vec<String>,
    model_type: Option<String>,
    dtype: Option<Json>,
    quantization: Option<Json>,
    transformers: Option<String>,
    /// Classes that are loaded as code, by the repository; the model's own is empty.
    code: BTreeMap<String, Vec<String>>,
}

impl Members for Config {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "architectures" => self.architectures = value.record::<Option<Vec<String>>>()?.unwrap_or_default(),
            "model_type" => self.model_type = value.record()?,
            "dtype" | "torch_dtype" => self.dtype = value.record()?,
            "transformers_version" => self.transformers = value.record()?,
            "quantization_config" => {
                let config: Option<Json> = value.record()?;
                self.quantization = config.as_ref().and_then(|config| config.get("quant_method")).cloned();
            }
            "auto_map" => {
                let Some(map) = value.record::<Option<Json>>()? else { return Ok(()) };
                self.classes(&map)?;
            }
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl Config {
    /// `other/repo--module.Class` is of another repository, `module.Class` of the model's own.
    fn classes(&mut self, map: &Json) -> Result<(), ImportError> {
        let Json::Object(map) = map else { return Err(json::malformed("“auto_map” must be an object")) };
        let said = map.values().flat_map(|value| match value {
            Json::Array(classes) => classes.iter().collect(),
            one => vec![one],
        });
        for class in said.filter_map(Json::as_str).take(MAX_CLASSES) {
            let (repository, class) = class.split_once("--").unwrap_or(("", class));
            let class = text::one_line(class, 200);
            let classes = self.code.entry(text::one_line(repository, 200)).or_default();
            if !classes.contains(&class) {
                classes.push(class);
            }
        }
        Ok(())
    }
}
