//! pip-audit's JSON, and the array of old versions. What is taken over, field by field: `README.md`.

use serde::Deserialize;
use serde_json::Map;
use stance_shared::{AssetKind, Layer};

use crate::json::{Members, Value, malformed, or_default, read_documents};
use crate::package::{self, Package};
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, Hints, ImportError, Importer, RunInfo, Sink, Source};

/// The importer of `format=pip_audit`.
pub struct PipAudit;

const WHAT: &str = "a pip-audit report, an object with “dependencies”";

impl Importer for PipAudit {
    fn format(&self) -> &'static str {
        "pip_audit"
    }

    fn title(&self) -> &'static str {
        "pip-audit JSON"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        let of = |list: &str| {
            outline.has(&format!("{list}[].name"))
                && (outline.has(&format!("{list}[].vulns")) || outline.has(&format!("{list}[].skip_reason")))
        };
        of("dependencies") || of("") || outline.has("dependencies") && outline.has("fixes")
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let mut report = Report::new("pip-audit", hints, sink);
        let asset = report.asset(
            AssetKind::Application,
            "",
            "pip-audit names packages, but not the application that has them",
        )?;
        report.assess(&asset, Layer::Application, "", Map::new())?;
        let mut import = Import { report, asset, has_dependencies: false, audited: 0 };
        let mut documents = 0;
        read_documents(source, WHAT, |mut value| {
            documents += 1;
            if documents > 1 {
                return Err(malformed("the report goes on behind the end of its JSON document"));
            }
            if value.is_array()? { import.dependencies(value) } else { value.object(WHAT, &mut import) }
        })?;
        if !import.has_dependencies {
            return Err(malformed("not a pip-audit report: there is no member “dependencies”"));
        }
        if import.audited == 0 {
            import.report.info.complete = false;
            return import.report.finish("a valid report, but pip-audit could audit no package: nothing was assessed");
        }
        import.report.finish("a valid report in which pip-audit found nothing")
    }
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    version: String,
    #[serde(default, deserialize_with = "or_default")]
    vulns: Vec<Vulnerability>,
    skip_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Vulnerability {
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    fix_versions: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    aliases: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    description: String,
}

struct Import<'a> {
    report: Report<'a>,
    asset: AssetRef,
    has_dependencies: bool,
    audited: u64,
}

impl Members for Import<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        if key == "dependencies" { self.dependencies(value) } else { value.skip() }
    }
}

impl Import<'_> {
    fn dependencies(&mut self, value: Value<'_, '_>) -> Result<(), ImportError> {
        self.has_dependencies = true;
        value.array("an array of dependencies", |_, dependency: Dependency| self.dependency(&dependency)).map(drop)
    }

    fn dependency(&mut self, dependency: &Dependency) -> Result<(), ImportError> {
        if let Some(reason) = &dependency.skip_reason {
            return self.report.gap("skipped", &dependency.name, reason);
        }
        self.audited += 1;
        for found in &dependency.vulns {
            let mut evidence = Evidence::default();
            let package = Package::of("pip", &dependency.name);
            evidence.add("package", package.as_str());
            evidence.add("id", found.id.clone());
            evidence.add("otherIds", found.aliases.clone());
            evidence.add("installed", dependency.version.clone());
            evidence.add("fixed", found.fix_versions.clone());
            let advisory = package::advisory(&found.id, found.aliases.iter().map(String::as_str));
            let url = format!("https://osv.dev/vulnerability/{}", text::one_line(&found.id, 100));
            let vulnerability = package::Vulnerability {
                name: &dependency.name,
                version: &dependency.version,
                severity: package::severity(""),
                score: None,
                title: "",
                description: &found.description,
                fixed: text::one_line(&found.fix_versions.join(", "), 300),
                url: &url,
                weaknesses: &[],
                files: &[],
                package,
                advisory,
            };
            self.report.finding(package::finding(&self.asset, vulnerability, evidence))?;
        }
        Ok(())
    }
}
