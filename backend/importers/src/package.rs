//! A known vulnerability of a package, as every scanner of packages names it.
//!
//! Trivy, Grype, pip-audit and CycloneDX report the same advisory for the same package under different ids and in different
//! words. This is the one place that says when two of them mean the same: the same asset, the same [`Package`] and the same
//! [`advisory`].

use std::fmt::Write as _;

use stance_engine::fingerprint::Fingerprint;
use stance_shared::{Layer, Severity};

use crate::category::Categories;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Location};

/// Packages through which models and agents are built or served, by the last part of their purl.
const AI_PACKAGES: &[&str] = &[
    "accelerate",
    "ai",
    "anthropic",
    "autogen",
    "bentoml",
    "chromadb",
    "crewai",
    "datasets",
    "deepspeed",
    "diffusers",
    "fastmcp",
    "gguf",
    "gradio",
    "h5py",
    "huggingface-hub",
    "jax",
    "joblib",
    "keras",
    "langchain",
    "langchain-community",
    "langchain-core",
    "langchain-experimental",
    "langflow",
    "langgraph",
    "langsmith",
    "litellm",
    "llama-cpp-python",
    "llama-index",
    "llama-index-core",
    "llamaindex",
    "mcp",
    "mlflow",
    "modelcontextprotocol",
    "numpy",
    "ollama",
    "onnx",
    "onnxruntime",
    "open-webui",
    "openai",
    "openai-agents",
    "optimum",
    "peft",
    "pydantic-ai",
    "pytorch",
    "pytorch-lightning",
    "qdrant-client",
    "ray",
    "safetensors",
    "scikit-learn",
    "semantic-kernel",
    "sentence-transformers",
    "sglang",
    "skops",
    "smolagents",
    "spacy",
    "streamlit",
    "tensorflow",
    "tensorflow-serving",
    "text-generation",
    "tokenizers",
    "torch",
    "torchaudio",
    "torchserve",
    "torchvision",
    "transformers",
    "triton",
    "trl",
    "vllm",
    "weaviate-client",
    "xgboost",
];

/// What a vulnerable package means for an AI system: in one through which models and agents are built, a compromised supply.
const AI_MEANING: &[&str] = &["owasp-llm@2025:LLM03", "atlas@5.6.0:AML.T0010.001"];
const ANY_MEANING: &[&str] = &["cwe@4:CWE-1395"];

/// What scanners call an ecosystem or a distribution, as type and namespace of a purl.
const ECOSYSTEMS: &[(&str, &str)] = &[
    ("pip", "pypi"),
    ("pipenv", "pypi"),
    ("poetry", "pypi"),
    ("uv", "pypi"),
    ("python", "pypi"),
    ("python-pkg", "pypi"),
    ("conda-pkg", "conda"),
    ("conda", "conda"),
    ("npm", "npm"),
    ("node-pkg", "npm"),
    ("yarn", "npm"),
    ("pnpm", "npm"),
    ("bun", "npm"),
    ("gomod", "golang"),
    ("gobinary", "golang"),
    ("go-module", "golang"),
    ("jar", "maven"),
    ("pom", "maven"),
    ("gradle", "maven"),
    ("sbt", "maven"),
    ("java-archive", "maven"),
    ("cargo", "cargo"),
    ("rustbinary", "cargo"),
    ("rust-crate", "cargo"),
    ("bundler", "gem"),
    ("gemspec", "gem"),
    ("gem", "gem"),
    ("composer", "composer"),
    ("php-composer", "composer"),
    ("nuget", "nuget"),
    ("dotnet-core", "nuget"),
    ("dotnet", "nuget"),
    ("pub", "pub"),
    ("hex", "hex"),
    ("swift", "swift"),
    ("cocoapods", "cocoapods"),
    ("conan", "conan"),
    ("alpine", "apk/alpine"),
    ("wolfi", "apk/wolfi"),
    ("chainguard", "apk/chainguard"),
    ("debian", "deb/debian"),
    ("ubuntu", "deb/ubuntu"),
    ("redhat", "rpm/redhat"),
    ("centos", "rpm/centos"),
    ("fedora", "rpm/fedora"),
    ("rocky", "rpm/rocky"),
    ("alma", "rpm/alma"),
    ("oracle", "rpm/oracle"),
    ("amazon", "rpm/amazon"),
    ("photon", "rpm/photon"),
    ("azurelinux", "rpm/azurelinux"),
    ("cbl-mariner", "rpm/cbl-mariner"),
    ("suse linux enterprise server", "rpm/suse"),
    ("opensuse.leap", "rpm/opensuse"),
    ("apk", "apk"),
    ("deb", "deb"),
    ("rpm", "rpm"),
];

/// A package whatever its version: a purl of type, namespace and name, `pkg:pypi/torch`, as its type spells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Package(String);

impl Package {
    /// Of a package URL, whose version, qualifiers and subpath are left out.
    pub(crate) fn of_purl(purl: &str) -> Option<Self> {
        let rest = purl.trim().strip_prefix("pkg:")?.trim_start_matches('/');
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        // The version follows the last @, unless that is a scope's.
        let rest = match rest.rsplit_once('@') {
            Some((before, version)) if !version.contains('/') && !before.is_empty() && !before.ends_with('/') => before,
            _ => rest,
        };
        let (kind, path) = rest.split_once('/').filter(|(kind, path)| !kind.is_empty() && !path.is_empty())?;
        Some(Self::new(kind, path))
    }

    /// Of a name in what a scanner calls its ecosystem (`pip`, `go-module`, `debian`).
    pub(crate) fn of(ecosystem: &str, name: &str) -> Self {
        let ecosystem = ecosystem.trim().to_lowercase();
        let known = ECOSYSTEMS.iter().find(|(word, _)| *word == ecosystem).map(|(_, kind)| *kind);
        let kind = known.unwrap_or(if ecosystem.is_empty() { "generic" } else { &ecosystem });
        match kind.split_once('/') {
            Some((kind, namespace)) => Self::new(kind, &[namespace, "/", name].concat()),
            // Maven's group:artifact.
            None if kind == "maven" => Self::new(kind, &name.replace(':', "/")),
            None => Self::new(kind, name),
        }
    }

    /// As the purl specification has each type spell its names.
    fn new(kind: &str, path: &str) -> Self {
        let kind = kind.to_lowercase();
        let path = text::one_line(path, 300);
        let path = text::percent_decode(&path);
        let path = match kind.as_str() {
            "pypi" => path.to_lowercase().replace(['_', '.'], "-"),
            "maven" | "cargo" | "gem" | "generic" | "conan" | "cocoapods" | "cran" => path.into_owned(),
            _ => path.to_lowercase(),
        };
        Self(["pkg:", &kind, "/", &path].concat())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn is_for_ai(&self) -> bool {
        let name = self.0.rsplit('/').next().unwrap_or_default();
        AI_PACKAGES.binary_search(&name).is_ok()
            || self.0.contains("/@modelcontextprotocol/")
            || self.0.contains("/@langchain/")
    }
}

/// The one id of an advisory that has several: its CVE; without exactly one, its GHSA; else the tool's own. In upper case.
pub(crate) fn advisory<'a>(id: &'a str, aliases: impl IntoIterator<Item = &'a str>) -> String {
    let own = text::one_line(id, 100).to_uppercase();
    if own.starts_with("CVE-") {
        return own;
    }
    let mut all: Vec<String> =
        aliases.into_iter().take(1000).map(|alias| text::one_line(alias, 100).to_uppercase()).collect();
    all.push(own.clone());
    all.sort_unstable();
    all.dedup();
    // An erratum that mends several CVEs is none of them.
    let only = |prefix: &str| match &all.iter().filter(|id| id.starts_with(prefix)).collect::<Vec<_>>()[..] {
        [one] => Some((*one).clone()),
        _ => None,
    };
    only("CVE-").or_else(|| only("GHSA-")).unwrap_or(own)
}

/// `vulnerable-package` | package | advisory, on the asset, without the tool's name and the package's version: an update that does
/// not mend the vulnerability does not make it another one.
pub(crate) fn fingerprint(asset: &AssetRef, package: &Package, advisory: &str) -> Fingerprint {
    Fingerprint::of((asset.kind.as_str(), &asset.key), &["vulnerable-package", package.as_str(), advisory])
}

/// A scanner's word; MEDIUM where it does not know (`UNKNOWN`, nothing, pip-audit).
pub(crate) fn severity(word: &str) -> Severity {
    match word.trim().to_lowercase().as_str() {
        "critical" => Severity::Critical,
        "high" | "important" => Severity::High,
        "low" => Severity::Low,
        "negligible" | "none" | "info" | "informational" => Severity::Info,
        _ => Severity::Medium,
    }
}

/// What a scanner says of one vulnerability of one package.
pub(crate) struct Vulnerability<'a> {
    pub package: Package,
    /// The package's name as the scanner writes it.
    pub name: &'a str,
    pub version: &'a str,
    /// See [`advisory`].
    pub advisory: String,
    pub severity: Severity,
    /// CVSS base score of 0.0 to 10.0 by who gave the severity; `None` where only somebody else gives one.
    pub score: Option<f64>,
    pub title: &'a str,
    pub description: &'a str,
    /// Versions that mend it, as the scanner lists them; empty when there is none.
    pub fixed: String,
    pub url: &'a str,
    /// Texts that may name weaknesses (`CWE-502`).
    pub weaknesses: &'a [&'a str],
    /// Files that say that the package is there.
    pub files: &'a [&'a str],
}

/// The finding of a vulnerability.
pub(crate) fn finding(asset: &AssetRef, found: Vulnerability<'_>, evidence: Evidence) -> FindingRecord {
    let Vulnerability { package, name, version, advisory, severity, score, title, description, fixed, url, .. } = found;
    let mut categories = Categories::default();
    found.weaknesses.iter().take(20).for_each(|weakness| categories.add_named_in(weakness));
    categories.add_all(ANY_MEANING);
    if package.is_for_ai() {
        categories.add_all(AI_MEANING);
    }
    let name = text::one_line(name, 150);
    let version = text::one_line(version, 80);
    let first_line = description.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let title = [title, first_line].into_iter().map(str::trim).find(|text| !text.is_empty());
    let title = match title {
        None => [&advisory, " in ", &name].concat(),
        Some(title) => [&advisory, " in ", &name, ": ", title].concat(),
    };
    let mut remediation = if fixed.is_empty() {
        format!(
            "No version of {name} is known to mend it. Check whether the vulnerable part is used, and limit what reaches it."
        )
    } else {
        ["Update ", &name, " from ", &version, " to ", &fixed, "."].concat()
    };
    if url.starts_with("http") {
        let _ = write!(remediation, "\n\n{}", text::one_line(url, 500));
    }
    let rule = [&advisory, " ", package.as_str()].concat();
    FindingRecord {
        severity,
        score: score.filter(|score| (0.0..=10.0).contains(score)),
        title: text::one_line(&title, 300),
        description: text::evidence_text(description.trim(), 8000),
        remediation: text::truncate(remediation, 8000),
        categories: categories.into_vec(),
        locations: found
            .files
            .iter()
            .take(50)
            .map(|file| Location { uri: text::normalize_uri(file, None), line: None, snippet: None })
            .filter(|location| !location.uri.is_empty())
            .collect(),
        evidence: evidence.finish(),
        ..FindingRecord::blank(
            asset,
            fingerprint(asset, &package, &advisory),
            &text::truncate(&rule, 300),
            Layer::Application,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_is_known_and_the_list_is_sorted() {
        for reference in AI_MEANING.iter().chain(ANY_MEANING) {
            assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{reference}");
        }
        assert!(
            AI_PACKAGES.iter().all(|name| *name == name.to_lowercase().replace('_', "-")) && AI_PACKAGES.is_sorted()
        );
    }

    #[test]
    fn one_package_has_one_name() {
        let purl = |purl: &str| Package::of_purl(purl).map(|package| package.0);
        for (url, expected) in [
            ("pkg:pypi/Flask_SQLAlchemy@3.0?arch=any#x", Some("pkg:pypi/flask-sqlalchemy")),
            ("pkg:npm/%40angular/core@1.2.3", Some("pkg:npm/@angular/core")),
            ("pkg:npm/@angular/core", Some("pkg:npm/@angular/core")),
            (
                "pkg:maven/org.apache.tomcat/tomcat-catalina@9.0.109",
                Some("pkg:maven/org.apache.tomcat/tomcat-catalina"),
            ),
            ("pkg:deb/debian/libc6@2.28-10?arch=amd64", Some("pkg:deb/debian/libc6")),
            ("pkg:golang/github.com/Acme/x@v1.0.0", Some("pkg:golang/github.com/acme/x")),
            ("pkg:pypi", None),
            ("torch", None),
        ] {
            assert_eq!(purl(url).as_deref(), expected, "{url}");
        }
        for (ecosystem, name, expected) in [
            ("pip", "PyYAML", "pkg:pypi/pyyaml"),
            ("jar", "org.apache.tomcat:tomcat-catalina", "pkg:maven/org.apache.tomcat/tomcat-catalina"),
            ("debian", "libc6", "pkg:deb/debian/libc6"),
            ("", "thing", "pkg:generic/thing"),
            ("Brew", "Thing", "pkg:brew/thing"),
        ] {
            assert_eq!(Package::of(ecosystem, name).0, expected);
        }
    }

    #[test]
    fn one_advisory_has_one_id() {
        for (id, aliases, expected) in [
            ("cve-2024-1", vec!["GHSA-aaaa"], "CVE-2024-1"),
            ("GHSA-aaaa-bbbb-cccc", vec!["CVE-2024-1"], "CVE-2024-1"),
            ("PYSEC-2024-7", vec!["GHSA-aaaa-bbbb-cccc", "CVE-2024-1"], "CVE-2024-1"),
            ("PYSEC-2024-7", vec!["ghsa-aaaa-bbbb-cccc"], "GHSA-AAAA-BBBB-CCCC"),
            ("RHSA-2024:1", vec!["CVE-2024-1", "CVE-2024-2"], "RHSA-2024:1"),
            ("GHSA-aaaa-bbbb-cccc", vec!["CVE-2024-1", "CVE-2024-2"], "GHSA-AAAA-BBBB-CCCC"),
            ("TEMP-1", vec![], "TEMP-1"),
        ] {
            assert_eq!(advisory(id, aliases), expected);
        }
    }
}
