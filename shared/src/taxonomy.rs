//! Versioned taxonomy data: what a category is called and where to read about it.
//!
//! A category's text form is `framework@version:id`, for example `owasp-llm@2025:LLM01`: numbers are reused between
//! editions, so an id without its edition means nothing. The data files in `shared/taxonomy/` name their sources and
//! licenses. Behind the feature `taxonomy`, so that the dashboard does not carry the data; it gets names through the API.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;

/// The data files, in the order in which people see the frameworks.
const FILES: [&str; 5] = [
    include_str!("../taxonomy/owasp-llm-2025.json"),
    include_str!("../taxonomy/owasp-agentic-2026.json"),
    include_str!("../taxonomy/owasp-mcp-0.1.json"),
    include_str!("../taxonomy/atlas-5.6.0.json"),
    include_str!("../taxonomy/cwe-4.json"),
];

/// One edition of a framework.
#[derive(Debug, Deserialize)]
pub struct Framework {
    /// For example `owasp-llm`.
    pub framework: String,
    /// For example `2025`.
    pub version: String,
    /// What a person calls it.
    pub title: String,
    /// Where it is published.
    pub source: String,
    /// The terms of the data.
    pub license: String,
    /// The framework's categories, in its own order.
    pub entries: Vec<Entry>,
}

/// A category within a framework's data.
#[derive(Debug, Deserialize)]
pub struct Entry {
    pub id: String,
    pub name: String,
    #[serde(default)]
    url: String,
}

/// A category that a finding can be put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    pub framework: &'static str,
    pub version: &'static str,
    pub id: Cow<'static, str>,
    /// `None` for a well-formed CWE number whose name is not among the data.
    pub name: Option<&'static str>,
    /// Where to read about it.
    pub url: String,
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.framework, self.version, self.id)
    }
}

struct Data {
    frameworks: Vec<Framework>,
    /// `framework@version:id` to the places in `frameworks`.
    index: HashMap<String, (usize, usize)>,
}

static DATA: LazyLock<Data> = LazyLock::new(|| {
    // A file that does not parse is caught by a test, never at runtime.
    let frameworks: Vec<Framework> = FILES.iter().filter_map(|file| serde_json::from_str(file).ok()).collect();
    let mut index = HashMap::new();
    for (f, framework) in frameworks.iter().enumerate() {
        for (e, entry) in framework.entries.iter().enumerate() {
            index.insert(format!("{}@{}:{}", framework.framework, framework.version, entry.id), (f, e));
        }
    }
    Data { frameworks, index }
});

/// Every framework with its categories.
#[must_use]
pub fn frameworks() -> &'static [Framework] {
    &DATA.frameworks
}

/// The parts of a text `framework@version:id`; says nothing about whether the category exists.
#[must_use]
pub fn parse(text: &str) -> Option<(&str, &str, &str)> {
    let (framework, rest) = text.split_once('@')?;
    let (version, id) = rest.split_once(':')?;
    (!framework.is_empty() && !version.is_empty() && !id.is_empty()).then_some((framework, version, id))
}

/// Whether [`lookup`] knows the category.
#[must_use]
pub fn is_known(text: &str) -> bool {
    known(text).is_some()
}

/// The text of a category that [`lookup`] knows.
#[must_use]
pub fn known(text: &str) -> Option<Cow<'static, str>> {
    let data: &'static Data = &DATA;
    let listed = data.index.get_key_value(text).map(|(text, _)| Cow::Borrowed(text.as_str()));
    listed.or_else(|| lookup(text).map(|_| Cow::Owned(text.to_owned())))
}

/// The category that a text `framework@version:id` names; `None` when there is no such category. Any CWE of one to five
/// digits is a category, with a name only where the data has one.
#[must_use]
pub fn lookup(text: &str) -> Option<Category> {
    let data: &'static Data = &DATA;
    if let Some(&(f, e)) = data.index.get(text) {
        let (framework, entry) = (&data.frameworks[f], &data.frameworks[f].entries[e]);
        let url = if entry.url.is_empty() { url(framework, &entry.id) } else { entry.url.clone() };
        return Some(category(framework, Cow::Borrowed(&entry.id), Some(&entry.name), url));
    }
    let (name, version, id) = parse(text)?;
    let framework = data.frameworks.iter().find(|f| f.framework == name && f.version == version && name == "cwe")?;
    let number = id.strip_prefix("CWE-")?;
    let is_number =
        (1..=5).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
    is_number.then(|| category(framework, Cow::Owned(id.to_owned()), None, url(framework, id)))
}

fn category(framework: &'static Framework, id: Cow<'static, str>, name: Option<&'static str>, url: String) -> Category {
    Category { framework: &framework.framework, version: &framework.version, id, name, url }
}

/// Where a framework describes a category; the framework's own page when it has none per category.
fn url(framework: &Framework, id: &str) -> String {
    match framework.framework.as_str() {
        "atlas" => format!("https://atlas.mitre.org/techniques/{id}"),
        "cwe" => format!("https://cwe.mitre.org/data/definitions/{}.html", id.trim_start_matches("CWE-")),
        _ => framework.source.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_parses_and_every_category_is_found_by_its_text() {
        assert_eq!(frameworks().len(), FILES.len());
        for framework in frameworks() {
            for entry in &framework.entries {
                let text = format!("{}@{}:{}", framework.framework, framework.version, entry.id);
                let category = lookup(&text).unwrap();
                assert_eq!((category.to_string(), category.name), (text, Some(entry.name.as_str())));
                assert!(category.url.starts_with("https://"), "{}", category.url);
                assert!(!framework.license.is_empty() && !framework.title.is_empty());
            }
        }
    }

    #[test]
    fn names_are_the_frameworks_own() {
        for (text, name) in [
            ("owasp-llm@2025:LLM06", "Excessive Agency"),
            ("owasp-agentic@2026:ASI05", "Unexpected Code Execution (RCE)"),
            ("owasp-mcp@0.1:MCP06", "Intent Flow Subversion"),
            ("atlas@5.6.0:AML.T0108", "AI Agent"),
            ("atlas@5.6.0:AML.T0110", "AI Agent Tool Poisoning"),
            ("atlas@5.6.0:AML.T0051.000", "LLM Prompt Injection: Direct"),
            ("cwe@4:CWE-502", "Deserialization of Untrusted Data"),
        ] {
            assert_eq!(lookup(text).unwrap().name, Some(name), "{text}");
        }
        let sizes: Vec<_> = frameworks().iter().map(|f| f.entries.len()).collect();
        assert_eq!(sizes[..4], [10, 10, 10, 170]);
    }

    #[test]
    fn unnamed_cwes_are_accepted_and_everything_else_is_not() {
        let unnamed = lookup("cwe@4:CWE-1004").unwrap();
        assert_eq!((unnamed.to_string().as_str(), unnamed.name), ("cwe@4:CWE-1004", None));
        assert_eq!(unnamed.url, "https://cwe.mitre.org/data/definitions/1004.html");
        for text in [
            "",
            "LLM01",
            "owasp-llm:LLM01",
            "owasp-llm@2023:LLM01",
            "owasp-llm@2025:LLM11",
            "cwe@4:CWE-",
            "cwe@4:CWE-0",
            "cwe@4:CWE-123456",
            "cwe@3:CWE-79",
            "cwe@4:79",
        ] {
            assert_eq!(lookup(text), None, "{text}");
        }
    }
}
