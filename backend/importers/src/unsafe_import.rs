//! Code that runs when a model's file is loaded, as every scanner of such files names it: an import in a file.
//!
//! ModelScan, picklescan, fickling and ModelAudit report the same import of the same file in different words. This is the one
//! place that says when two of them mean the same: the same asset, the same [`rule`] and the same [`file`].

use stance_engine::fingerprint::Fingerprint;
use stance_shared::{Layer, Severity};

use crate::category;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Location};

/// What code in a model's files means.
pub(crate) const CATEGORIES: &[&str] = &[
    "owasp-llm@2025:LLM03",
    "atlas@5.6.0:AML.T0011.000",
    "atlas@5.6.0:AML.T0018.002",
    "atlas@5.6.0:AML.T0010.003",
    "cwe@4:CWE-502",
];

pub(crate) const REMEDIATION: &str =
    "Do not load this file. Get the model from a source that you trust, as safetensors, or load it with weights only.";

/// Modules that reach the network, where all others that scanners call dangerous run code.
const NETWORK_MODULES: &[&str] =
    &["webbrowser", "httplib", "http", "requests", "urllib", "aiohttp", "smtplib", "ftplib"];

/// The import as a rule: `posix.system`.
///
/// `os`, `nt` and `posix` stay apart: each is what stands in the file, and every scanner reports that. `__builtin__`, Python 2's
/// name of `builtins`, does not: Python 3 loads the same from both.
pub(crate) fn rule(module: &str, name: &str) -> String {
    let module = module.trim();
    let module = if matches!(module, "__builtin__" | "__builtins__") { "builtins" } else { module };
    text::one_line(&[module, ".", name.trim()].concat(), 300)
}

/// How bad a dangerous import is, for tools that do not say.
pub(crate) fn severity(module: &str) -> Severity {
    let top = module.trim().split('.').next().unwrap_or_default();
    if NETWORK_MODULES.contains(&top) { Severity::High } else { Severity::Critical }
}

/// The file as identity knows it, so that a path from the scan's root and an absolute one mean the same: `unet/weights.pkl`, or
/// `archive.zip:member.pkl` for a member of an archive.
///
/// What stands up to a folder with the asset's own name (the last part of its key), or up to a revision on or from Hugging Face,
/// is cut off. Of an absolute path that has neither, only the file's name counts: where the scan began is not in the report.
/// Files of one name in several folders then share an identity and are told apart by number.
pub(crate) fn file(source: &str, asset: &AssetRef) -> String {
    file_of(&text::normalize_uri(source, None), asset)
}

/// [`file`] of a normalized path.
fn file_of(path: &str, asset: &AssetRef) -> String {
    let (file, member) = split_member(path);
    let own = asset.key.rsplit(['/', ':', '@']).next().unwrap_or_default();
    let parts: Vec<&str> = file.split('/').collect();
    let folders = &parts[..parts.len() - 1];
    let revision = folders
        .iter()
        .rposition(|part| matches!(*part, "snapshots" | "resolve"))
        .filter(|at| at + 2 < parts.len())
        .map(|at| at + 2);
    let named = || folders.iter().rposition(|part| !part.is_empty() && part.eq_ignore_ascii_case(own)).map(|at| at + 1);
    let is_absolute =
        file.starts_with('/') || text::behind_scheme(file).is_some() || file.as_bytes().get(1) == Some(&b':');
    let start = revision.or_else(named).unwrap_or(if is_absolute { folders.len() } else { 0 });
    let start = parts[..start].iter().map(|part| part.len() + 1).sum();
    let file = &file[start..];
    if member.is_empty() { file.to_owned() } else { [file, ":", member].concat() }
}

/// The file and, behind its first colon that is no drive's or scheme's, the member of the archive that it is.
fn split_member(path: &str) -> (&str, &str) {
    let skip = text::behind_scheme(path).or_else(|| (path.as_bytes().get(1) == Some(&b':')).then_some(2));
    let skip = skip.unwrap_or_default();
    match path[skip..].split_once(':') {
        // A port is no member.
        Some((_, rest)) if skip > 2 && rest.starts_with(|c: char| c.is_ascii_digit()) => (path, ""),
        Some((file, member)) => (&path[..skip + file.len()], member),
        None => (path, ""),
    }
}

/// Extensions of files that hold pickles.
const MODEL_FILES: &[&str] = &[
    "pkl", "pickle", "bin", "pt", "pth", "ckpt", "joblib", "dill", "dat", "data", "npy", "npz", "model", "zip", "h5",
    "keras",
];

/// Whether a file's name says that it holds a model.
pub(crate) fn is_model_file(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, extension)| {
        !stem.is_empty() && MODEL_FILES.contains(&extension.to_ascii_lowercase().as_str())
    })
}

/// `unsafe-import` | rule | file, on the asset, without the tool's name.
pub(crate) fn fingerprint(asset: &AssetRef, rule: &str, source: &str) -> Fingerprint {
    fingerprint_of(asset, rule, &file(source, asset))
}

fn fingerprint_of(asset: &AssetRef, rule: &str, file: &str) -> Fingerprint {
    Fingerprint::of((asset.kind.as_str(), &asset.key), &["unsafe-import", rule, file])
}

/// The finding of `rule` in the file `source` (may be empty when nothing says which), in the tool's words.
pub(crate) fn finding(
    asset: &AssetRef,
    rule: &str,
    source: &str,
    severity: Severity,
    title: &str,
    evidence: Evidence,
) -> FindingRecord {
    let uri = text::normalize_uri(source, None);
    let fingerprint = fingerprint_of(asset, rule, &file_of(&uri, asset));
    let description = match uri.as_str() {
        "" => [title, "\n\nIt runs when the file is loaded."].concat(),
        uri => [title, "\n\nIt runs when `", uri, "` is loaded."].concat(),
    };
    let locations = if uri.is_empty() { Vec::new() } else { vec![Location { uri, line: None, snippet: None }] };
    FindingRecord {
        severity,
        title: text::one_line(title, 300),
        description: text::truncate(description, 8000),
        remediation: REMEDIATION.to_owned(),
        categories: category::of_table(CATEGORIES),
        locations,
        evidence: evidence.finish(),
        ..FindingRecord::blank(asset, fingerprint, rule, Layer::Model)
    }
}

#[cfg(test)]
mod tests {
    use stance_shared::AssetKind;

    use super::*;

    #[test]
    fn every_category_is_known() {
        for reference in CATEGORIES {
            assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{reference}");
        }
    }

    #[test]
    fn one_import_has_one_name() {
        assert_eq!(rule(" posix", "system "), "posix.system");
        assert_eq!(
            (rule("__builtin__", "eval"), rule("nt", "system")),
            ("builtins.eval".to_owned(), "nt.system".to_owned())
        );
        assert_eq!(
            [severity("webbrowser"), severity("http.client"), severity("os")],
            [Severity::High, Severity::High, Severity::Critical]
        );
    }

    #[test]
    fn one_file_has_one_name_wherever_the_scan_began() {
        let asset = |key: &str| AssetRef { kind: AssetKind::Model, key: key.to_owned() };
        for (source, key, expected) in [
            ("a.pkl", "acme", "a.pkl"),
            ("/srv/models/a.pkl", "acme", "a.pkl"),
            ("C:\\models\\acme\\unet\\a.pkl", "org/Acme", "unet/a.pkl"),
            ("/srv/acme/unet/a.pkl", "org/acme", "unet/a.pkl"),
            ("unet/a.pkl", "org/acme", "unet/a.pkl"),
            ("acme/unet/a.pkl", "hf:org/acme", "unet/a.pkl"),
            ("/srv/evil.zip:a/eval.pkl", "acme", "evil.zip:a/eval.pkl"),
            ("evil.zip:a/eval.pkl", "acme", "evil.zip:a/eval.pkl"),
            ("C:/m/evil.zip:in.zip:x.pkl", "acme", "evil.zip:in.zip:x.pkl"),
            ("/h/models--a--b/snapshots/0f1/unet/x.bin:archive/data.pkl", "q", "unet/x.bin:archive/data.pkl"),
            ("https://hub.example/org/m/resolve/main/unet/x.bin:archive/data.pkl", "q", "unet/x.bin:archive/data.pkl"),
            ("https://hub.example:8443/a/x.bin", "q", "x.bin"),
            ("https://hub.example/a/x.zip:y.pkl", "q", "x.zip:y.pkl"),
            ("", "acme", ""),
            ("snapshots/x.pkl", "acme", "snapshots/x.pkl"),
            ("/srv/", "", ""),
        ] {
            assert_eq!(file(source, &asset(key)), expected, "{source} of {key}");
        }
    }
}
