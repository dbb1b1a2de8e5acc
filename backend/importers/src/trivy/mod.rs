//! Trivy's JSON: of an artifact, of a cluster, and the array of old versions. What is taken over, field by field: `README.md`.

mod finding;
mod model;

use std::collections::BTreeMap;

use serde_json::Map;
use stance_shared::{AssetKind, Layer};

use self::finding::Target;
use self::model::{License, Misconfiguration, Modified, Secret, Vulnerability};
use crate::json::{self, Members, Value, malformed, read_documents};
use crate::report::Report;
use crate::sniff::Outline;
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, RunInfo, Sink, Source, text};

/// The importer of `format=trivy`.
pub struct Trivy;

const WHAT: &str = "a Trivy report, an object with “Results”";

impl Importer for Trivy {
    fn format(&self) -> &'static str {
        "trivy"
    }

    fn title(&self) -> &'static str {
        "Trivy JSON"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        let artifact = outline.has("SchemaVersion")
            && (outline.has("ArtifactName") || outline.has("ArtifactType") || outline.has("Results"));
        let cluster = outline.has("ClusterName")
            && ["Resources", "Vulnerabilities", "Misconfigurations"].iter().any(|list| outline.has(list));
        let legacy = outline.has("[].Target") && (outline.has("[].Vulnerabilities") || outline.has("[].Type"));
        // Old versions wrote this when they found nothing.
        artifact || cluster || legacy || outline.has("Results[].Target") || head.trim_ascii() == b"null"
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let mut import = Import {
            report: Report::new("trivy", hints, sink),
            asset: None,
            cluster: String::new(),
            results: 0,
            deferred: BTreeMap::new(),
            again: false,
            known: false,
        };
        import.pass(source)?;
        if !import.deferred.is_empty() {
            import.again = true;
            import.results = 0;
            import.pass(source)?;
        }
        import.finish()
    }
}

/// What is found is given at once when all that it refers to stands before it: the asset, and its `Result`'s target. Where that
/// stands behind it, the `Result` is *deferred* to a second pass.
struct Import<'a> {
    report: Report<'a>,
    /// The artifact, or the resource of a cluster.
    asset: Option<AssetRef>,
    cluster: String,
    /// `Result`s so far, over the whole report.
    results: usize,
    deferred: BTreeMap<usize, (Target, Vec<String>)>,
    again: bool,
    /// Whether anything of a Trivy report was there.
    known: bool,
}

impl Import<'_> {
    fn pass(&mut self, source: &dyn Source) -> Result<(), ImportError> {
        let mut documents = 0;
        read_documents(source, WHAT, |mut value| {
            documents += 1;
            if documents > 1 {
                return Err(malformed("the report goes on behind the end of its JSON document"));
            }
            if value.is_array()? {
                self.known = true;
                return self.results(value);
            }
            if value.is_object()? {
                return value.object(WHAT, &mut Document(self));
            }
            // `null`: nothing was found.
            self.known = true;
            value.record::<()>()
        })
    }

    fn results(&mut self, value: Value<'_, '_>) -> Result<(), ImportError> {
        if self.asset.is_none() && self.report.is_named() {
            self.name("")?;
        }
        let this = std::cell::RefCell::new(&mut *self);
        value
            .objects(
                "an array of results",
                |_| {
                    let mut import = this.borrow_mut();
                    import.results += 1;
                    let index = import.results - 1;
                    let known = import.deferred.get(&index).cloned();
                    drop(import);
                    Ok(ResultMembers { import: &this, index, known, target: Target::default(), deferred: Vec::new() })
                },
                |_, result| result.done(),
            )
            .map(drop)
    }

    /// The asset that what follows is about.
    fn name(&mut self, name: &str) -> Result<(), ImportError> {
        let named = if matches!(name.trim(), "." | "./" | "/" | "..") { "" } else { name };
        let says = format!("Trivy names what it scanned only as “{}”", text::one_line(name, 100));
        self.asset = Some(self.report.asset(AssetKind::Application, named, &says)?);
        Ok(())
    }

    fn finding(&mut self, finding: FindingRecord) -> Result<(), ImportError> {
        self.report.assess(&finding.asset, Layer::Application, "", Map::new())?;
        self.report.finding(finding)
    }

    fn finish(mut self) -> Result<RunInfo, ImportError> {
        if !self.known {
            return Err(malformed("not a Trivy report: there are no “Results”, “Resources” or “ArtifactName”"));
        }
        if self.asset.is_none() {
            self.name("")?;
        }
        if let Some(asset) = self.asset.take() {
            self.report.assess(&asset, Layer::Application, "", Map::new())?;
        }
        self.report.finish("a valid report in which Trivy found nothing")
    }
}

struct Document<'a, 'b>(&'b mut Import<'a>);

impl Members for Document<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        let import = &mut *self.0;
        match key {
            "ArtifactName" => {
                import.known = true;
                let name = value.record::<Option<String>>()?.unwrap_or_default();
                import.name(&name)
            }
            "ClusterName" => {
                import.cluster = text::one_line(&value.record::<Option<String>>()?.unwrap_or_default(), 100);
                Ok(())
            }
            "Results" => {
                import.known = true;
                import.results(value)
            }
            // The resources of a cluster; old versions had them in two lists.
            "Resources" | "Vulnerabilities" | "Misconfigurations" => {
                import.known = true;
                let this = std::cell::RefCell::new(import);
                value
                    .objects(
                        "an array of resources",
                        |_| Ok(Resource { import: &this, parts: <[String; 3]>::default() }),
                        |_, _| Ok(()),
                    )
                    .map(drop)
            }
            "Trivy" => value.object("an object", &mut Version(&mut import.report.info.tool_version)),
            _ => value.skip(),
        }
    }
}

struct Version<'a>(&'a mut String);

impl Members for Version<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        if key != "Version" {
            return value.skip();
        }
        *self.0 = text::one_line(&value.record::<Option<String>>()?.unwrap_or_default(), 40);
        Ok(())
    }
}

/// A resource of a cluster.
struct Resource<'a, 'b, 'c> {
    import: &'c std::cell::RefCell<&'b mut Import<'a>>,
    /// Namespace, kind, name.
    parts: [String; 3],
}

impl Members for Resource<'_, '_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        let place = match key {
            "Namespace" => 0,
            "Kind" => 1,
            "Name" => 2,
            "Results" => {
                let mut import = self.import.borrow_mut();
                let parts = [&import.cluster, &self.parts[0], &self.parts[1], &self.parts[2]];
                let name = parts.into_iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("/");
                import.name(&name)?;
                return import.results(value);
            }
            "Error" => {
                let error = value.record::<Option<String>>()?.unwrap_or_default();
                let mut import = self.import.borrow_mut();
                return if error.is_empty() || import.again {
                    Ok(())
                } else {
                    import.report.error(&self.parts[2], &error)
                };
            }
            _ => return value.skip(),
        };
        self.parts[place] = text::one_line(&value.record::<Option<String>>()?.unwrap_or_default(), 150);
        Ok(())
    }
}

struct ResultMembers<'a, 'b, 'c> {
    import: &'c std::cell::RefCell<&'b mut Import<'a>>,
    index: usize,
    /// In the second pass: the target, and the lists that the first left out.
    known: Option<(Target, Vec<String>)>,
    target: Target,
    deferred: Vec<String>,
}

impl ResultMembers<'_, '_, '_> {
    /// Gives what `make` makes of each element, or leaves the list to the second pass.
    fn list<R: json::Record>(
        &mut self,
        key: &str,
        value: Value<'_, '_>,
        make: impl Fn(&AssetRef, &Target, R::Of<'_>) -> Result<Option<FindingRecord>, ImportError>,
    ) -> Result<(), ImportError> {
        let mut import = self.import.borrow_mut();
        let ready = match &self.known {
            Some((target, lists)) if lists.iter().any(|list| list == key) => {
                self.target = target.clone();
                true
            }
            _ if import.again => false,
            _ => {
                self.target.name.is_some()
                    && (self.target.kind.is_some() || key != "Vulnerabilities")
                    && import.asset.is_some()
            }
        };
        if !ready {
            if value.count()? > 0 && !import.again {
                self.deferred.push(key.to_owned());
            }
            return Ok(());
        }
        if import.asset.is_none() {
            import.name("")?;
        }
        let Some(asset) = import.asset.clone() else { return value.skip() };
        value
            .array_of::<R>("an array", |_, element| match make(&asset, &self.target, element)? {
                Some(finding) => import.finding(finding),
                None => Ok(()),
            })
            .map(drop)
    }

    fn done(self) -> Result<(), ImportError> {
        if !self.deferred.is_empty() {
            self.import.borrow_mut().deferred.insert(self.index, (self.target, self.deferred));
        }
        Ok(())
    }
}

impl Members for ResultMembers<'_, '_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        let text = |value: Value<'_, '_>| -> Result<Option<String>, ImportError> {
            Ok(Some(text::one_line(&value.record::<Option<String>>()?.unwrap_or_default(), 1000)))
        };
        match key {
            "Target" => self.target.name = text(value)?,
            "Class" => self.target.class = text(value)?,
            "Type" => self.target.kind = text(value)?,
            "Vulnerabilities" => self.list::<Vulnerability<'static>>(key, value, |asset, target, found| {
                Ok(Some(finding::vulnerability(asset, target, found)))
            })?,
            "Misconfigurations" => self.list::<Misconfiguration<'static>>(key, value, |asset, target, found| {
                let failed = found.status.as_deref().is_none_or(|status| status == "FAIL");
                Ok(failed.then(|| finding::misconfiguration(asset, target, found)))
            })?,
            "Secrets" => {
                self.list::<Secret<'static>>(key, value, |asset, target, found| {
                    Ok(Some(finding::secret(asset, target, found)))
                })?;
            }
            "Licenses" => {
                self.list::<License<'static>>(key, value, |asset, target, found| {
                    Ok(Some(finding::license(asset, target, found)))
                })?;
            }
            "ExperimentalModifiedFindings" => self.list::<json::Owned<Modified>>(key, value, modified)?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

/// A finding that an ignore file or VEX says does not count: it is kept, with who says so.
fn modified(asset: &AssetRef, target: &Target, modified: Modified) -> Result<Option<FindingRecord>, ImportError> {
    let Some(found) = &modified.finding else { return Ok(None) };
    let error = |error: serde_json::Error| malformed(format!("Finding: {}", text::one_line(&error.to_string(), 200)));
    let finding = match modified.kind.as_str() {
        "vulnerability" => finding::vulnerability(asset, target, serde_json::from_str(found.get()).map_err(error)?),
        "misconfiguration" => {
            finding::misconfiguration(asset, target, serde_json::from_str(found.get()).map_err(error)?)
        }
        "secret" => finding::secret(asset, target, serde_json::from_str(found.get()).map_err(error)?),
        "license" => finding::license(asset, target, serde_json::from_str(found.get()).map_err(error)?),
        _ => return Ok(None),
    };
    Ok(Some(FindingRecord { suppression: Some(finding::suppression(&modified)), ..finding }))
}
