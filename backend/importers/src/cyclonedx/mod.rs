//! CycloneDX bills of materials and VEX documents, JSON and XML. What is taken over, field by field: `README.md`.

mod component;
mod mapping;
mod model;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Read as _;

use serde_json::{Map, Value as Json};
use stance_shared::{AssetKind, Layer, RelationKind};

use self::component::{Described, Part, asset_kind, full_name, key};
use self::model::{Citation, Data, Vulnerability, items};
use crate::json::{self, Members, Value};
use crate::package::{self, Package};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, Hints, ImportError, Importer, Position, RunInfo, Sink, Source, xml};

/// The importer of `format=cyclonedx`.
pub struct CycloneDx;

/// How many bytes of components are kept, which vulnerabilities refer to.
const MAX_TABLE_BYTES: usize = 24 << 20;

/// Relations of models to data sets that are named by a reference.
const MAX_REFERENCES: usize = 50_000;

impl Importer for CycloneDx {
    fn format(&self) -> &'static str {
        "cyclonedx"
    }

    fn title(&self) -> &'static str {
        "CycloneDX 1.4–1.7 (JSON, XML)"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        if is_xml(head) {
            let head = &head[..head.len().min(4096)];
            return memchr::memmem::find(head, b"cyclonedx.org/schema/bom").is_some();
        }
        let outline = Outline::of(head);
        let says_so = |path: &str| outline.text(path).is_some_and(|text| text.to_lowercase().contains("cyclonedx"));
        says_so("bomFormat") || says_so("$schema") || outline.has("components[].bom-ref")
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let mut head = Vec::new();
        source.open()?.take(64).read_to_end(&mut head)?;
        let is_xml = is_xml(&head);
        let import = RefCell::new(Import {
            report: Report::new("cyclonedx", hints, sink),
            main: None,
            table: HashMap::new(),
            bytes: 0,
            parts: Vec::new(),
            trained_on: Vec::new(),
            models: 0,
            with_provenance: 0,
            again: false,
            deferred: None,
            has_vulnerabilities: false,
        });
        let read = |document: &mut Document<'_, '_>| {
            if is_xml {
                xml::read_root(source, "bom", mapping::ARRAYS, document)
            } else {
                json::read_object(source, "a CycloneDX document, an object with “bomFormat”", document)
            }
        };
        let mut document = Document { import: &import, is_bom: is_xml };
        read(&mut document)?;
        if !document.is_bom {
            let expected = "not a CycloneDX document: it has no “bomFormat” of “CycloneDX”".to_owned();
            return Err(ImportError::Malformed { expected, position: Position::default() });
        }
        import.borrow_mut().described()?;
        if import.borrow().deferred.is_some() {
            import.borrow_mut().again = true;
            read(&mut document)?;
        }
        import.into_inner().finish()
    }
}

fn is_xml(head: &[u8]) -> bool {
    head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start().first() == Some(&b'<')
}

/// A component that vulnerabilities may refer to.
#[derive(Clone)]
struct Known {
    package: Package,
    name: String,
    version: String,
    /// When it is an asset of its own.
    asset: Option<AssetRef>,
}

struct Import<'a> {
    report: Report<'a>,
    /// What the document is about.
    main: Option<AssetRef>,
    /// By `bom-ref`.
    table: HashMap<String, Known>,
    bytes: usize,
    /// Assets that are parts of what the document is about.
    parts: Vec<AssetRef>,
    /// Models, and the `bom-ref` of what they were trained on.
    trained_on: Vec<(AssetRef, String)>,
    models: usize,
    with_provenance: usize,
    /// The second pass, which reads only vulnerabilities.
    again: bool,
    /// The first vulnerability that stands before what it refers to: from there on they are read in the second pass.
    deferred: Option<usize>,
    has_vulnerabilities: bool,
}

struct Document<'a, 'b> {
    import: &'b RefCell<Import<'a>>,
    is_bom: bool,
}

impl Members for Document<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        let import = self.import;
        match key {
            "vulnerabilities" => {
                import.borrow_mut().has_vulnerabilities = true;
                if !import.borrow().again && import.borrow().main.is_none() {
                    import.borrow_mut().deferred = (value.count()? > 0).then_some(0);
                    return Ok(());
                }
                value.array("an array of vulnerabilities", |index, vulnerability: Vulnerability| {
                    import.borrow_mut().vulnerability(index, vulnerability)
                })?;
            }
            _ if import.borrow().again => value.skip()?,
            "bomFormat" => {
                let format = value.record::<Option<String>>()?.unwrap_or_default();
                if format != "CycloneDX" {
                    return Err(json::malformed("“bomFormat” must be “CycloneDX”"));
                }
                self.is_bom = true;
            }
            "specVersion" => {
                let version = value.record::<Option<String>>()?.unwrap_or_default();
                if !version.is_empty() && !version.starts_with("1.") {
                    let version = text::one_line(&version, 40);
                    return Err(json::malformed(format!("CycloneDX {version} is not supported, only 1.4 to 1.7")));
                }
            }
            "metadata" => value.object("an object", &mut Metadata(import))?,
            "components" => {
                value.objects(
                    "an array of components",
                    |_| Ok(Part::new(import)),
                    |_, part| import.borrow_mut().component(part.described).map(drop),
                )?;
            }
            "services" => {
                value.objects(
                    "an array of services",
                    |_| Ok(Part::new(import)),
                    |_, part| {
                        let mut import = import.borrow_mut();
                        let service = import.service(part)?;
                        import.parts.extend(service);
                        Ok(())
                    },
                )?;
            }
            "citations" => {
                value.array("an array of citations", |index, citation: Citation| {
                    import.borrow_mut().citation(index, &citation)
                })?;
            }
            _ => value.skip()?,
        }
        Ok(())
    }
}

struct Metadata<'a, 'b>(&'b RefCell<Import<'a>>);

impl Members for Metadata<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "component" => {
                let mut part = Part::new(self.0);
                value.object("a component", &mut part)?;
                self.0.borrow_mut().main(part.described)
            }
            "tools" => {
                self.0.borrow_mut().tools(value.record()?);
                Ok(())
            }
            _ => value.skip(),
        }
    }
}

impl Import<'_> {
    /// The program that wrote the document: an array of tools, or an object of components (1.5).
    fn tools(&mut self, tools: Json) {
        let tools = match tools {
            Json::Object(mut members) => {
                members.remove("tool").or_else(|| members.remove("components")).unwrap_or_default()
            }
            other => other,
        };
        let Some(tool) = items(tools).into_iter().next() else { return };
        let text = |key: &str, max| text::one_line(tool.get(key).and_then(Json::as_str).unwrap_or_default(), max);
        let name = text("name", 100);
        if !name.is_empty() {
            self.report.info.tool = name;
            self.report.info.tool_version = text("version", 60);
        }
    }

    /// What the document is about: the upload's word, else `metadata.component`, unless it only names a folder.
    fn main(&mut self, mut part: Described) -> Result<(), ImportError> {
        let name = text::normalize_uri(&part.name, None);
        part.name = name.trim_matches(['.', '/']).to_owned();
        let asset = match self.report.hint() {
            Some(hint) => hint.clone(),
            None if part.name.is_empty() => return Ok(()),
            None => {
                let kind = mapping::kind(&part.kind).unwrap_or(AssetKind::Application);
                AssetRef { kind, key: text::truncate(part.key(), 512) }
            }
        };
        self.main = Some(asset.clone());
        self.know(&part, Some(asset.clone()))?;
        self.asset(&asset, part)
    }

    fn know(&mut self, part: &Described, asset: Option<AssetRef>) -> Result<(), ImportError> {
        if part.reference.is_empty() {
            return Ok(());
        }
        let known = Known {
            package: part.package(),
            name: part.full_name(),
            version: text::one_line(&part.version, 80),
            asset,
        };
        self.bytes +=
            part.reference.len() + known.package.as_str().len() + known.name.len() + known.version.len() + 150;
        if self.bytes > MAX_TABLE_BYTES {
            let limit = MAX_TABLE_BYTES >> 20;
            return Err(ImportError::TooLarge(format!("the document's components need more than {limit} MiB")));
        }
        self.table.insert(part.reference.clone(), known);
        Ok(())
    }

    /// A component: an asset if it is a model or data, else a package that vulnerabilities may name.
    fn component(&mut self, part: Described) -> Result<Option<AssetRef>, ImportError> {
        self.not_valid(&part)?;
        let key = part.key();
        let asset = asset_kind(&part).filter(|_| !key.is_empty());
        let asset = asset.map(|kind| AssetRef { kind, key: text::truncate(&key, 512) });
        self.know(&part, asset.clone())?;
        if let Some(asset) = &asset {
            self.asset(asset, part)?;
            self.parts.push(asset.clone());
        }
        Ok(asset)
    }

    /// Describes an asset and what it was made from.
    fn asset(&mut self, asset: &AssetRef, mut part: Described) -> Result<(), ImportError> {
        let (datasets, pedigree) = (std::mem::take(&mut part.parameters.datasets), std::mem::take(&mut part.pedigree));
        let name = part.full_name();
        let attributes = part.attributes();
        self.report.describe(asset, &name, attributes)?;
        let layer = match asset.kind {
            AssetKind::Model => Layer::Model,
            AssetKind::Dataset | AssetKind::KnowledgeBase => Layer::Data,
            _ => Layer::Application,
        };
        self.report.assess(asset, layer, "", Map::new())?;
        if asset.kind != AssetKind::Model {
            return Ok(());
        }
        self.models += 1;
        self.with_provenance += usize::from(!datasets.is_empty() || !pedigree.ancestors.is_empty());
        for data in datasets {
            self.trained_on(asset, data)?;
        }
        for ancestor in pedigree.ancestors.into_iter().take(100) {
            let key = text::truncate(key(&ancestor.purl, &full_name(&ancestor.group, &ancestor.name)), 512);
            let kind = mapping::kind(&ancestor.kind).unwrap_or(AssetKind::Model);
            if !key.is_empty() {
                let base = AssetRef { kind, key };
                self.report.describe(&base, &ancestor.name, Map::new())?;
                self.report.relate(asset, RelationKind::DerivedFrom, &base)?;
            }
        }
        Ok(())
    }

    fn trained_on(&mut self, model: &AssetRef, data: Data) -> Result<(), ImportError> {
        if let Some(reference) = data.reference {
            if self.trained_on.len() >= MAX_REFERENCES {
                return Err(ImportError::TooLarge(format!("more than {MAX_REFERENCES} references to data sets")));
            }
            self.trained_on.push((model.clone(), text::truncate(&reference, 1000)));
            return Ok(());
        }
        let key = if data.contents.url.is_empty() { &data.name } else { &data.contents.url };
        let key = text::one_line(key, 512);
        if key.is_empty() {
            return Ok(());
        }
        let dataset = AssetRef { kind: AssetKind::Dataset, key };
        let mut attributes = Evidence::default();
        attributes.add("classification", data.classification);
        attributes.add("sensitiveData", data.sensitive_data);
        attributes.add("description", data.description);
        self.report.describe(&dataset, &data.name, attributes.finish().into_map())?;
        self.report.relate(model, RelationKind::TrainedOn, &dataset)
    }

    fn service(&mut self, mut part: Part<'_, '_>) -> Result<Option<AssetRef>, ImportError> {
        self.not_valid(&part.described)?;
        let key = text::truncate(part.described.key(), 512);
        if key.is_empty() {
            return Ok(None);
        }
        let asset = AssetRef { kind: AssetKind::Application, key };
        self.know(&part.described, Some(asset.clone()))?;
        let name = part.described.full_name();
        let attributes = part.described.attributes();
        self.report.describe(&asset, &name, attributes)?;
        for inner in part.inner {
            self.report.relate(&asset, RelationKind::DependsOn, &inner)?;
        }
        Ok(Some(asset))
    }

    fn not_valid(&mut self, part: &Described) -> Result<(), ImportError> {
        part.not_valid.iter().try_for_each(|reason| self.report.gap("not-valid", &part.name, reason))
    }

    fn citation(&mut self, index: usize, citation: &Citation) -> Result<(), ImportError> {
        let subject = format!("citations[{index}]");
        if citation.attributed_to.is_none() && citation.process.is_none() {
            self.report.gap("not-valid", &subject, "a citation needs “attributedTo” or “process”")?;
        }
        if citation.pointers.is_some() == citation.expressions.is_some() {
            self.report.gap("not-valid", &subject, "a citation needs “pointers” or “expressions”, and not both")?;
        }
        Ok(())
    }

    /// Everything but vulnerabilities is known.
    fn described(&mut self) -> Result<(), ImportError> {
        if self.main.is_none()
            && let Some(hint) = self.report.hint()
        {
            self.main = Some(hint.clone());
            self.report.assess(hint, Layer::Application, "", Map::new())?;
        }
        let parts = std::mem::take(&mut self.parts);
        // What a document about a model has beside it is not in it.
        if let Some(main) = self.main.clone().filter(|main| main.kind != AssetKind::Model) {
            for part in parts {
                let kind =
                    if part.kind == AssetKind::Model { RelationKind::UsesModel } else { RelationKind::DependsOn };
                self.report.relate(&main, kind, &part)?;
            }
        }
        for (model, reference) in std::mem::take(&mut self.trained_on) {
            if let Some(dataset) = self.table.get(&reference).and_then(|known| known.asset.clone()) {
                self.report.relate(&model, RelationKind::TrainedOn, &dataset)?;
            }
        }
        Ok(())
    }

    /// One vulnerability: a finding for each part that it affects.
    fn vulnerability(&mut self, index: usize, vulnerability: Vulnerability) -> Result<(), ImportError> {
        let refers_ahead = || vulnerability.affects.iter().any(|part| !self.table.contains_key(&part.reference));
        if self.again {
            if self.deferred.is_some_and(|first| index < first) {
                return Ok(());
            }
        } else if self.deferred.is_some() || refers_ahead() {
            self.deferred.get_or_insert(index);
            return Ok(());
        }
        let ids = vulnerability.references.iter().map(|reference| reference.id.as_str());
        let advisory = package::advisory(&vulnerability.id, ids);
        if advisory.is_empty() {
            return Err(json::malformed("a vulnerability needs an “id”"));
        }
        if vulnerability.affects.is_empty() {
            return self.affected(&vulnerability, &advisory, None, "");
        }
        for affected in vulnerability.affects.iter().take(10_000) {
            // A BOM-Link names the document, then the part of it.
            let reference = match affected.reference.strip_prefix("urn:cdx:").and_then(|link| link.split_once('#')) {
                Some((_, reference)) => text::percent_decode(reference).into_owned(),
                None => affected.reference.clone(),
            };
            let known = self.table.get(&reference).cloned();
            self.affected(&vulnerability, &advisory, known, &reference)?;
        }
        Ok(())
    }

    fn affected(
        &mut self,
        vulnerability: &Vulnerability,
        advisory: &str,
        known: Option<Known>,
        reference: &str,
    ) -> Result<(), ImportError> {
        let asset = known.as_ref().and_then(|known| known.asset.clone()).or_else(|| self.main.clone());
        let Some(asset) = asset else {
            return Err(ImportError::NeedsAsset(
                "the document lists vulnerabilities and does not say of what, in “metadata.component”".to_owned(),
            ));
        };
        self.report.assess(&asset, Layer::Application, "", Map::new())?;
        // Of another document: its reference is all that is known.
        let known = known.unwrap_or_else(|| {
            let package = Package::of_purl(reference)
                .unwrap_or_else(|| Package::of("", if reference.is_empty() { &asset.key } else { reference }));
            let name = package.as_str().rsplit('/').next().unwrap_or_default().to_owned();
            Known { package, name, version: String::new(), asset: None }
        });
        let (severity, score) = mapping::severity(&vulnerability.ratings);
        let weaknesses: Vec<String> = vulnerability.cwes.iter().take(20).filter_map(weakness).collect();
        let weaknesses: Vec<&str> = weaknesses.iter().map(String::as_str).collect();
        let description = match (vulnerability.description.trim(), vulnerability.detail.trim()) {
            ("", detail) => detail.to_owned(),
            (description, "") => description.to_owned(),
            (description, detail) => format!("{description}\n\n{detail}"),
        };
        let url =
            vulnerability.advisories.iter().map(|advisory| advisory.url.as_str()).find(|url| url.starts_with("http"));
        let url = url.unwrap_or(&vulnerability.source.url);
        let mut evidence = Evidence::default();
        evidence.add("id", vulnerability.id.clone());
        evidence.add("component", known.package.as_str());
        evidence.add("version", known.version.clone());
        evidence.add("source", vulnerability.source.name.clone());
        let rating =
            vulnerability.ratings.iter().find_map(|rating| Some((rating.vector.clone()?, rating.source.name.clone())));
        if let Some((vector, source)) = rating {
            evidence.add("vector", vector);
            evidence.add("ratedBy", source);
        }
        if let Some(analysis) = &vulnerability.analysis {
            evidence.add("analysis", analysis.state.clone());
            evidence.add("analysisJustification", analysis.justification.clone());
            evidence.add("analysisDetail", analysis.detail.clone());
            evidence.add("response", analysis.response.clone());
        }
        evidence.add("published", vulnerability.published.clone());
        evidence.add("rejected", vulnerability.rejected.clone());
        let found = package::Vulnerability {
            name: &known.name,
            version: &known.version,
            package: known.package,
            advisory: advisory.to_owned(),
            severity,
            score,
            title: "",
            description: &description,
            fixed: String::new(),
            url: "",
            weaknesses: &weaknesses,
            files: &[],
        };
        let mut finding = package::finding(&asset, found, evidence);
        finding.remediation = remediation(vulnerability, url);
        finding.suppression = vulnerability.analysis.as_ref().and_then(mapping::suppression);
        self.report.finding(finding)
    }

    fn finish(mut self) -> Result<RunInfo, ImportError> {
        // A bill of materials alone proves no absence. It is another scan than the tool's own reports.
        self.report.info.complete = self.has_vulnerabilities;
        self.report.info.scan_identity = "cyclonedx".to_owned();
        if self.models > 0 && self.models == self.with_provenance {
            self.report.info.checks.push("provenance-known".to_owned());
        }
        self.report.finish("a valid bill of materials that names no vulnerability")
    }
}

/// `79` as `CWE-79`.
fn weakness(cwe: &Json) -> Option<String> {
    let number = cwe.as_u64().or_else(|| cwe.as_str()?.trim().parse().ok())?;
    Some(format!("CWE-{number}"))
}

fn remediation(vulnerability: &Vulnerability, url: &str) -> String {
    let parts = [vulnerability.recommendation.trim(), vulnerability.workaround.trim()];
    let mut said: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if url.starts_with("http") {
        said.push(text::one_line(url, 500));
    }
    text::evidence_text(said.join("\n\n"), 8000)
}
