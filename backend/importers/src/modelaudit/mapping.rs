//! ModelAudit's rules in Stance's words, as tables.

use serde_json::{Map, Value};
use stance_engine::fingerprint::Fingerprint;
use stance_shared::Severity;

use crate::{AssetRef, text, unsafe_import};

/// ModelAudit's words; `debug` says nothing about the model.
pub(super) const SEVERITIES: &[(&str, Option<Severity>)] = &[
    ("critical", Some(Severity::Critical)),
    ("warning", Some(Severity::Medium)),
    ("info", Some(Severity::Info)),
    ("debug", None),
];

const CODE: &[&str] = unsafe_import::CATEGORIES;
const NETWORK: &[&str] = &["owasp-llm@2025:LLM03", "atlas@5.6.0:AML.T0018.002", "atlas@5.6.0:AML.T0010.003"];
const SECRETS: &[&str] = &["owasp-llm@2025:LLM02", "atlas@5.6.0:AML.T0055", "cwe@4:CWE-798"];
const POISON: &[&str] = &["owasp-llm@2025:LLM04", "atlas@5.6.0:AML.T0018"];
const SUPPLY: &[&str] = &["owasp-llm@2025:LLM03", "atlas@5.6.0:AML.T0010.003"];

const FIX_CODE: &str = unsafe_import::REMEDIATION;
const FIX_NETWORK: &str = "Find out what the address is for. Load the model without network access until then.";
const FIX_SECRETS: &str = "Revoke the secret, and remove it from the model's files and their history.";
const FIX_SUPPLY: &str =
    "Get the model from a source that you trust, and compare its files with what the source publishes.";

/// What a family of rules means, by how their codes begin.
pub(super) struct Family {
    prefix: &'static str,
    pub categories: &'static [&'static str],
    pub remediation: &'static str,
}

const fn family(prefix: &'static str, categories: &'static [&'static str], remediation: &'static str) -> Family {
    Family { prefix, categories, remediation }
}

/// Longer prefixes stand before the shorter ones that they begin with.
const FAMILIES: &[Family] = &[
    // Provenance has four digits, imports three; frameworks (S1101 …) run code as imports do.
    family("S100", SUPPLY, FIX_SUPPLY),
    family("S1010", SUPPLY, FIX_SUPPLY),
    family("S1", CODE, FIX_CODE),
    family("S2", CODE, FIX_CODE),
    family("S3", NETWORK, FIX_NETWORK),
    family("S4", CODE, FIX_CODE),
    family("S5", CODE, FIX_CODE),
    family("S6", CODE, FIX_CODE),
    family("S7", SECRETS, FIX_SECRETS),
    family("S8", POISON, FIX_SUPPLY),
    family("S9", SUPPLY, FIX_SUPPLY),
];

const OTHER: Family = family("", SUPPLY, FIX_SUPPLY);

pub(super) fn family_of(rule: &str) -> &'static Family {
    FAMILIES.iter().find(|family| rule.starts_with(family.prefix)).unwrap_or(&OTHER)
}

/// Where an issue is: the file and its member, without the position (` (pos 56)`) and the layer (` (layer: lam)`) that ModelAudit
/// writes behind it.
pub(crate) fn place(location: &str) -> &str {
    let mut place = location.trim();
    while let Some((before, inner)) = place.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (")) {
        if !["pos ", "layer:", "offset ", "line ", "tensor", "node"].iter().any(|word| inner.starts_with(word)) {
            break;
        }
        place = before;
    }
    place
}

/// The import that an issue is about, when it is about its call.
pub(crate) fn import(details: &Map<String, Value>) -> Option<String> {
    let text = |key: &str| details.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("opcode")?;
    match (text("module"), text("name")) {
        (Some(module), Some(name)) => Some(unsafe_import::rule(module, name)),
        _ => {
            text("import_reference").and_then(|import| import.rsplit_once('.')).map(|(m, n)| unsafe_import::rule(m, n))
        }
    }
}

/// Members of `details` that say which of several issues of one rule in one file it is.
const MARKS: &[&str] =
    &["associated_global", "import_reference", "cve_id", "url", "ip", "domain", "secret_type", "layer_name", "pattern"];

/// What makes two issues the same, in JSON and in SARIF: `unsafe-import` | import | file where one is about an import's call, as for
/// every scanner of pickles; else `modelaudit` | rule | file | what it found, or its message without numbers.
pub(crate) fn fingerprint(
    asset: &AssetRef,
    rule: &str,
    location: &str,
    details: &Map<String, Value>,
    message: &str,
) -> Fingerprint {
    let place = place(location);
    if let Some(import) = import(details) {
        return unsafe_import::fingerprint(asset, &import, place);
    }
    let mark = MARKS.iter().find_map(|key| details.get(*key)?.as_str()).map(|mark| text::one_line(mark, 300));
    let mark = mark.unwrap_or_else(|| text::without_digits(message, b""));
    let file = unsafe_import::file(place, asset);
    Fingerprint::of((asset.kind.as_str(), &asset.key), &["modelaudit", rule, &file, &mark])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_in_the_table_is_known() {
        for reference in FAMILIES.iter().chain([&OTHER]).flat_map(|family| family.categories) {
            assert!(stance_shared::taxonomy::lookup(reference).is_some(), "{reference}");
        }
        assert_eq!(family_of("S104").categories, CODE);
        assert_eq!(family_of("S1003").categories, SUPPLY);
        assert_eq!(family_of("keras_h5_check").categories, SUPPLY);
    }

    #[test]
    fn places_lose_what_moves() {
        for (location, expected) in [
            ("/srv/x.pkl (pos 56)", "/srv/x.pkl"),
            ("/srv/x (1).pkl", "/srv/x (1).pkl"),
            ("/srv/x (1).pkl (pos 2)", "/srv/x (1).pkl"),
            ("/srv/m.keras:config.json (layer: lam)", "/srv/m.keras:config.json"),
            ("a.zip:b.pkl (pos 1) (layer: x)", "a.zip:b.pkl"),
        ] {
            assert_eq!(place(location), expected);
        }
    }
}
