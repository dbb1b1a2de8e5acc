//! What Trivy found, as findings.

use stance_engine::fingerprint::Fingerprint;
use stance_shared::Layer;

use super::model::{License, Misconfiguration, Modified, Secret, Vulnerability};
use crate::category;
use crate::category::Categories;
use crate::json::Text;
use crate::package::{self, Package};
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Location, Suppression};

/// What a `Result` says of all that was found in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    /// A file, or an image with its distribution: `app/requirements.txt`, `acme/bot:1 (debian 12.5)`.
    pub name: Option<String>,
    /// `os-pkgs`, `lang-pkgs`, `config`, `secret`, `license`.
    pub class: Option<String>,
    /// The ecosystem, distribution or kind of file.
    pub kind: Option<String>,
}

impl Target {
    /// The file that it is, if it is one.
    fn file(&self) -> &str {
        let name = self.name.as_deref().unwrap_or_default();
        let is_image = self.class.as_deref() == Some("os-pkgs") || name.ends_with(')') && name.contains(" (");
        if is_image { "" } else { name }
    }
}

/// What a hard-coded secret means.
pub(super) const SECRET: &[&str] = &["owasp-llm@2025:LLM02", "atlas@5.6.0:AML.T0055", "cwe@4:CWE-798"];

pub(super) fn vulnerability(asset: &AssetRef, target: &Target, found: Vulnerability<'_>) -> FindingRecord {
    let kind = target.kind.as_deref().unwrap_or_default();
    let package = found.pkg_identifier.purl.as_deref().and_then(Package::of_purl);
    let aliases = found.vendor_ids.iter().map(Text::as_str);
    let weaknesses: Vec<&str> = found.cwe_ids.iter().map(Text::as_str).collect();
    let id = if found.id.trim().is_empty() { "(no id)" } else { &found.id };
    // Of several sources' scores only the one counts that Trivy took the severity from.
    let source = found.severity_source.as_deref().unwrap_or("nvd");
    let score = found.cvss.get(source).and_then(|cvss| cvss.score());
    let mut evidence = Evidence::default();
    evidence.add("package", package.as_ref().map(|package| package.as_str().to_owned()));
    evidence.add("id", found.id.clone());
    evidence.add("otherIds", found.vendor_ids.clone());
    evidence.add("installed", found.installed_version.clone());
    evidence.add("fixed", found.fixed_version.clone());
    evidence.add("status", found.status);
    evidence.add("severity", found.severity.clone());
    evidence.add("severitySource", found.severity_source.clone());
    evidence.add("weaknesses", found.cwe_ids.clone());
    for (source, cvss) in found.cvss.iter().take(20) {
        evidence.add(["cvss.", &text::one_line(source, 40)].concat(), cvss.score());
    }
    let file = if found.pkg_path.is_empty() { target.file() } else { &found.pkg_path };
    let vulnerability = package::Vulnerability {
        package: package.unwrap_or_else(|| Package::of(kind, &found.pkg_name)),
        name: &found.pkg_name,
        version: &found.installed_version,
        advisory: package::advisory(id, aliases),
        severity: package::severity(&found.severity),
        score,
        title: &found.title,
        description: &found.description,
        fixed: text::one_line(&found.fixed_version, 300),
        url: &found.primary_url,
        weaknesses: &weaknesses,
        files: &[file],
    };
    package::finding(asset, vulnerability, evidence)
}

pub(super) fn misconfiguration(asset: &AssetRef, target: &Target, found: Misconfiguration<'_>) -> FindingRecord {
    let rule = found.avd_id.filter(|id| !id.is_empty()).unwrap_or(found.id);
    let resource = found.cause_metadata.resource.unwrap_or_default();
    let uri = text::normalize_uri(target.name.as_deref().unwrap_or_default(), None);
    let mark =
        if resource.is_empty() { text::without_digits(&found.message, b"") } else { resource.as_str().to_owned() };
    let mut evidence = Evidence::default();
    evidence.add("type", found.kind);
    evidence.add("message", found.message.clone());
    evidence.add("resource", resource);
    let mut categories = Categories::default();
    categories.add_named_in(&found.description);
    let remediation = [found.resolution.as_str(), found.primary_url.as_str()].map(str::trim);
    let title = if found.title.trim().is_empty() { &rule } else { &found.title };
    FindingRecord {
        severity: package::severity(&found.severity),
        title: text::one_line(title, 300),
        description: text::evidence_text(format!("{}\n\n{}", found.message.trim(), found.description.trim()), 8000),
        remediation: text::truncate(remediation.join("\n\n").trim(), 8000),
        categories: categories.into_vec(),
        locations: place(uri.clone(), found.cause_metadata.start_line, None),
        evidence: evidence.finish(),
        ..FindingRecord::blank(
            asset,
            fingerprint(asset, ["misconfiguration", &rule, &uri, &mark]),
            &text::one_line(&rule, 300),
            Layer::Application,
        )
    }
}

pub(super) fn secret(asset: &AssetRef, target: &Target, found: Secret<'_>) -> FindingRecord {
    let uri = text::normalize_uri(target.name.as_deref().unwrap_or_default(), None);
    let line = text::single_blanks(&found.text);
    let mut evidence = Evidence::default();
    evidence.add("category", found.category);
    let title = if found.title.trim().is_empty() { &found.rule_id } else { &found.title };
    FindingRecord {
        severity: package::severity(&found.severity),
        title: text::one_line(&format!("Secret in a file: {title}"), 300),
        description: format!(
            "`{}` contains what looks like a secret of the kind “{}”.",
            text::one_line(&uri, 300),
            text::one_line(title, 200)
        ),
        remediation: "Revoke the secret, and take it out of the file and its history.".to_owned(),
        categories: category::of_table(SECRET),
        locations: place(uri.clone(), found.start_line, Some(text::evidence_text(&found.text, 500))),
        evidence: evidence.finish(),
        ..FindingRecord::blank(
            asset,
            fingerprint(asset, ["secret", &found.rule_id, &uri, &line]),
            &text::one_line(&found.rule_id, 300),
            Layer::Application,
        )
    }
}

pub(super) fn license(asset: &AssetRef, target: &Target, found: License<'_>) -> FindingRecord {
    let file = if found.file_path.is_empty() { target.file() } else { &found.file_path };
    let uri = text::normalize_uri(file, None);
    let subject = if found.pkg_name.is_empty() { uri.as_str() } else { found.pkg_name.as_str() };
    let mut evidence = Evidence::default();
    evidence.add("category", found.category.clone());
    evidence.add("link", found.link);
    let category = found.category.unwrap_or_default();
    FindingRecord {
        severity: package::severity(&found.severity),
        title: text::one_line(&format!("License of {subject}: {}", found.name), 300),
        description: text::one_line(
            &format!("Trivy classifies the license {} of {subject} as “{category}”.", found.name),
            1000,
        ),
        remediation: "Check whether the license allows the use, or replace what it covers.".to_owned(),
        locations: place(uri.clone(), None, None),
        evidence: evidence.finish(),
        ..FindingRecord::blank(
            asset,
            fingerprint(asset, ["license", &found.name, subject, ""]),
            &text::one_line(&format!("license {}", found.name), 300),
            Layer::Application,
        )
    }
}

/// Why a finding does not count, by an ignore file or VEX.
pub(super) fn suppression(modified: &Modified) -> Suppression {
    let source = text::one_line(&modified.source, 100);
    let statement = modified.statement.as_deref().map(str::trim).filter(|text| !text.is_empty());
    Suppression {
        origin: format!("Trivy {} ({source})", text::one_line(&modified.status, 40)),
        justification: text::truncate(statement.unwrap_or("the source gave no reason"), 1000),
    }
}

fn place(uri: String, line: Option<u32>, snippet: Option<String>) -> Vec<Location> {
    if uri.is_empty() { Vec::new() } else { vec![Location { uri, line: line.filter(|line| *line > 0), snippet }] }
}

fn fingerprint(asset: &AssetRef, parts: [&str; 4]) -> Fingerprint {
    let [kind, rule, place, mark] = parts;
    Fingerprint::of((asset.kind.as_str(), &asset.key), &["trivy", kind, rule, place, mark])
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_category_is_known() {
        for reference in super::SECRET {
            assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{reference}");
        }
    }
}
