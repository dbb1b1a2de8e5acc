//! SPDX 2: packages with references to advisories.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use stance_shared::{AssetKind, Layer, Severity};

use crate::json::{self, Members, Value, or_default, read_object};
use crate::package::{self as packages, Package};
use crate::report::Report;
use crate::text::{self, Evidence};
use crate::{AssetRef, Hints, ImportError, RunInfo, Sink, Source};

/// References of one package beyond this are passed over.
const MAX_REFERENCES: usize = 10_000;

pub(super) fn read(source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
    const WHAT: &str = "an SPDX document, an object with “spdxVersion” and “packages”";
    let document = RefCell::new(Packages::new(hints, sink));
    let mut members = Document { document: &document, deferred: false, again: false, is_spdx: false };
    read_object(source, WHAT, &mut members)?;
    if !members.is_spdx {
        let expected = "not an SPDX document: it has no “spdxVersion”".to_owned();
        return Err(ImportError::Malformed { expected, position: crate::Position::default() });
    }
    if members.deferred {
        members.again = true;
        document.borrow_mut().asset()?;
        read_object(source, WHAT, &mut members)?;
    }
    document.into_inner().finish()
}

struct Document<'a, 'b> {
    document: &'b RefCell<Packages<'a>>,
    is_spdx: bool,
    /// Packages stand before the document's name: they are read in a second pass.
    deferred: bool,
    again: bool,
}

impl Members for Document<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        let document = self.document;
        match key {
            "packages" if !self.again && !document.borrow().is_named() => self.deferred = value.count()? > 0,
            "packages" => {
                value
                    .array("an array of packages", |_, package: SpdxPackage| document.borrow_mut().package(&package))?;
            }
            _ if self.again => value.skip()?,
            "spdxVersion" => {
                let version = value.record::<Option<String>>()?.unwrap_or_default();
                self.is_spdx = true;
                if !version.starts_with("SPDX-2.") {
                    let version = text::one_line(&version, 40);
                    return Err(json::malformed(format!(
                        "the SPDX version “{version}” is not supported here; use SPDX-2.3, or SPDX 3.0 as JSON-LD"
                    )));
                }
            }
            "name" => document.borrow_mut().name(&value.record::<Option<String>>()?.unwrap_or_default()),
            "creationInfo" => {
                let info = value.record::<Option<CreationInfo>>()?.unwrap_or_default();
                info.creators.iter().for_each(|creator| document.borrow_mut().creator(creator));
            }
            _ => value.skip()?,
        }
        Ok(())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CreationInfo {
    #[serde(deserialize_with = "or_default")]
    creators: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SpdxPackage {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(rename = "versionInfo", deserialize_with = "or_default")]
    pub version: String,
    #[serde(rename = "externalRefs", deserialize_with = "or_default")]
    pub references: Vec<ExternalReference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ExternalReference {
    #[serde(rename = "referenceCategory", deserialize_with = "or_default")]
    pub category: String,
    #[serde(rename = "referenceType", deserialize_with = "or_default")]
    pub kind: String,
    #[serde(rename = "referenceLocator", deserialize_with = "or_default")]
    pub locator: String,
    #[serde(deserialize_with = "or_default")]
    pub comment: String,
}

/// An advisory that a package refers to.
#[derive(Default)]
struct Advisory {
    url: String,
    comment: String,
    fix: String,
    /// Something says that it affects the package; not only that it is mended.
    affects: bool,
}

/// What both encodings of SPDX 2 give.
pub(super) struct Packages<'a> {
    report: Report<'a>,
    name: String,
    asset: Option<AssetRef>,
    advisories: u64,
}

impl<'a> Packages<'a> {
    pub(super) fn new(hints: &'a Hints, sink: &'a mut dyn Sink) -> Self {
        Self { report: Report::new("spdx", hints, sink), name: String::new(), asset: None, advisories: 0 }
    }

    pub(super) fn is_named(&self) -> bool {
        self.report.hint().is_some() || !self.name.is_empty()
    }

    /// The document's name, which is that of what it describes, unless it is only a place.
    pub(super) fn name(&mut self, name: &str) {
        self.name = text::one_line(text::normalize_uri(name, None).trim_matches(['.', '/']), 512);
    }

    /// `Tool: syft-1.50.0`; the first one counts.
    pub(super) fn creator(&mut self, creator: &str) {
        let Some(tool) = creator.trim().strip_prefix("Tool:") else { return };
        if self.report.info.tool != "spdx" {
            return;
        }
        let tool = text::one_line(tool, 100);
        let version =
            tool.rsplit_once('-').filter(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit() || c == 'v'));
        let (name, version) = version.unwrap_or((&tool, ""));
        if !name.is_empty() {
            self.report.info.tool_version = version.to_owned();
            self.report.info.tool = name.to_owned();
        }
    }

    pub(super) fn asset(&mut self) -> Result<AssetRef, ImportError> {
        if let Some(asset) = &self.asset {
            return Ok(asset.clone());
        }
        let needs = "the document has no name";
        let asset = self.report.asset(AssetKind::Application, &self.name, needs)?;
        self.report.assess(&asset, Layer::Application, "", Map::new())?;
        Ok(self.asset.insert(asset).clone())
    }

    /// A package: a finding for each advisory that it refers to.
    pub(super) fn package(&mut self, spdx: &SpdxPackage) -> Result<(), ImportError> {
        let mut purl = None;
        let mut advisories: BTreeMap<String, Advisory> = BTreeMap::new();
        for reference in spdx.references.iter().take(MAX_REFERENCES) {
            match (reference.category.replace('_', "-").to_uppercase().as_str(), reference.kind.as_str()) {
                ("PACKAGE-MANAGER", "purl") => purl = Package::of_purl(&reference.locator).or(purl),
                ("SECURITY", kind @ ("advisory" | "fix" | "url")) => {
                    let ids = ids(&reference.locator);
                    if ids.is_empty() && kind == "advisory" {
                        let subject = text::one_line(&reference.locator, 300);
                        self.report.gap(
                            "not-identified",
                            &subject,
                            "an advisory without the id of a vulnerability in its address",
                        )?;
                    }
                    for id in ids {
                        let advisory = advisories.entry(id).or_default();
                        if kind == "fix" {
                            advisory.fix.clone_from(&reference.locator);
                        } else {
                            advisory.affects = true;
                            advisory.url.clone_from(&reference.locator);
                        }
                        if advisory.comment.is_empty() {
                            advisory.comment.clone_from(&reference.comment);
                        }
                    }
                }
                _ => {}
            }
        }
        let package = purl.unwrap_or_else(|| Package::of("", &spdx.name));
        for (id, advisory) in advisories.into_iter().filter(|(_, advisory)| advisory.affects) {
            self.finding(spdx, package.clone(), id, &advisory)?;
        }
        Ok(())
    }

    fn finding(
        &mut self,
        spdx: &SpdxPackage,
        package: Package,
        id: String,
        said: &Advisory,
    ) -> Result<(), ImportError> {
        let asset = self.asset()?;
        self.advisories += 1;
        let mut evidence = Evidence::default();
        evidence.add("component", package.as_str());
        evidence.add("version", spdx.version.clone());
        evidence.add("advisory", said.url.clone());
        evidence.add("fix", said.fix.clone());
        evidence.add("comment", said.comment.clone());
        let found = packages::Vulnerability {
            package,
            name: &spdx.name,
            version: &spdx.version,
            advisory: id,
            // SPDX gives none.
            severity: Severity::Medium,
            score: None,
            title: "",
            description: &said.comment,
            fixed: String::new(),
            url: "",
            weaknesses: &[],
            files: &[],
        };
        let mut finding = packages::finding(&asset, found, evidence);
        let pages = [&said.fix, &said.url];
        let pages: Vec<String> =
            pages.iter().filter(|url| url.starts_with("http")).map(|url| text::one_line(url, 500)).collect();
        finding.remediation = pages.join("\n\n");
        self.report.finding(finding)
    }

    pub(super) fn finish(mut self) -> Result<RunInfo, ImportError> {
        self.asset()?;
        // Packages without advisories may never have been looked up.
        self.report.info.complete = self.advisories > 0;
        self.report.info.scan_identity = "spdx".to_owned();
        self.report.finish("a valid bill of materials that refers to no advisory")
    }
}

/// The ids of vulnerabilities in an address: CVE, GHSA and OSV's.
fn ids(locator: &str) -> Vec<String> {
    const PREFIXES: [&str; 7] = ["CVE-", "GHSA-", "PYSEC-", "RUSTSEC-", "GO-", "OSV-", "DSA-"];
    let locator = text::truncate(locator, 2000).to_uppercase();
    let words = locator.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let is_id = |word: &&str| {
        PREFIXES.iter().any(|prefix| word.starts_with(prefix))
            && word.len() > 8
            && word.bytes().any(|b| b.is_ascii_digit())
    };
    let mut ids: Vec<String> = words.filter(is_id).take(20).map(|word| packages::advisory(word, [])).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// What a field says, if it says something.
pub(super) fn said(value: &Json) -> Option<&Json> {
    Some(value).filter(|value| !matches!(value.as_str(), Some("" | "noAssertion" | "NOASSERTION")) && !value.is_null())
}
