//! Which values of a configuration are secrets. Nothing in here gives a value away: a secret is told by its place and name.

use crate::mcp::{Connection, is_random};
use crate::text;

/// A secret that stands in the configuration itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Secret {
    /// `environment variable`, `header`, `argument` or `address`.
    pub(super) place: &'static str,
    /// The variable's, header's, flag's or parameter's name.
    pub(super) name: String,
}

impl Secret {
    fn new(place: &'static str, name: &str) -> Self {
        Self { place, name: text::one_line(&text::redact(name), 100) }
    }
}

/// Words in a name that say that its value is a secret.
const WORDS: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "credential",
    "credentials",
    "authorization",
    "bearer",
    "pat",
    "pwd",
    "cookie",
    "key",
    "auth",
];

/// Last words of a name whose value only says where a secret is, or is none.
const HARMLESS: &[&str] = &[
    "file", "path", "dir", "url", "uri", "name", "id", "endpoint", "host", "type", "method", "limit", "count",
    "tokens", "max", "enabled", "mode", "region", "ttl", "scheme", "provider", "public",
];

/// The secrets of a server's entry, each once, in the order of their names.
pub(super) fn of(connection: &Connection<'_>) -> Vec<Secret> {
    let mut found = Vec::new();
    for (place, pairs) in [("environment variable", &connection.environment), ("header", &connection.headers)] {
        let secrets = pairs.iter().filter(|(name, value)| is_secret(Some(name), value));
        found.extend(secrets.map(|(name, _)| Secret::new(place, name)));
    }
    let mut arguments = connection.arguments.iter().peekable();
    while let Some(argument) = arguments.next() {
        found.extend(of_address("argument", argument));
        let named = argument.trim_start_matches('-').split_once(['=', ':']);
        match named.filter(|(name, _)| is_name(name)) {
            Some((name, value)) if is_secret(Some(name), value) => found.push(Secret::new("argument", name)),
            None if argument.starts_with('-') && says_secret(argument.trim_start_matches('-')) => {
                let value = arguments.next_if(|next| !next.starts_with('-'));
                if value.is_some_and(|value| is_literal(value)) {
                    found.push(Secret::new("argument", argument.trim_start_matches('-')));
                }
            }
            None if is_known(argument) => found.push(Secret::new("argument", "without a name")),
            _ => {}
        }
    }
    found.extend(connection.url.iter().flat_map(|url| of_address("address", url)));
    found.sort();
    found.dedup();
    found
}

/// Secrets in an address: a password, a parameter, a part of the path that nobody can guess.
fn of_address(place: &'static str, text: &str) -> Vec<Secret> {
    let mut found = Vec::new();
    let Some((_, rest)) = text.split_once("://") else { return found };
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before.split_at(before.find('/').unwrap_or(before.len()));
    if let Some((user, _)) = authority.rsplit_once('@') {
        let password = user.split_once(':').map_or(user, |(_, password)| password);
        if is_literal(password) {
            found.push(Secret::new(place, "password in the address"));
        }
    }
    if path.split('/').any(|part| is_random(part) || is_known(part)) {
        found.push(Secret::new(place, "part of the path"));
    }
    for (name, value) in query.split('&').filter_map(|parameter| parameter.split_once('=')) {
        if is_secret(Some(name), value) {
            found.push(Secret::new(place, name));
        }
    }
    found
}

fn is_secret(name: Option<&str>, value: &str) -> bool {
    is_literal(value) && (is_known(value) || name.is_some_and(says_secret))
}

/// Whether it looks like a name and not like the beginning of a text.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// `GITHUB_TOKEN`, `apiKey`, `X-API-Key`; not `TOKEN_FILE`, `MAX_TOKENS`.
fn says_secret(name: &str) -> bool {
    let mut words: Vec<String> = vec![String::new()];
    let mut lower = false;
    for c in name.chars().take(200) {
        if !c.is_ascii_alphanumeric() || (c.is_ascii_uppercase() && lower) {
            words.push(String::new());
        }
        lower = c.is_ascii_lowercase();
        if let (true, Some(word)) = (c.is_ascii_alphanumeric(), words.last_mut()) {
            word.push(c.to_ascii_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    let harmless = words.last().is_some_and(|last| HARMLESS.contains(&last.as_str()));
    !harmless
        && words
            .iter()
            .any(|word| WORDS.contains(&word.as_str()) || word.ends_with("token") || word.ends_with("apikey"))
}

/// Whether the value stands there itself, and is no reference, placeholder, number or switch.
fn is_literal(value: &str) -> bool {
    let value = value.trim();
    let value = ["Bearer ", "bearer ", "Basic ", "Token ", "token "]
        .iter()
        .find_map(|p| value.strip_prefix(p))
        .unwrap_or(value);
    let lower = value.to_lowercase();
    let reference = value.contains("${")
        || value.contains("{{")
        || value.starts_with(['$', '<', '%'])
        || ["op://", "env:", "keychain:", "vault:", "file:", "secret://"]
            .iter()
            .any(|scheme| lower.starts_with(scheme));
    let placeholder = lower.starts_with("your")
        || lower.contains("redacted")
        || lower.chars().all(|c| matches!(c, 'x' | '*' | '.' | '…' | '-'))
        || lower.contains("replace_me")
        || lower.contains("replace-me");
    let switch =
        matches!(lower.as_str(), "true" | "false" | "yes" | "no" | "none" | "null" | "oauth" | "bearer" | "basic");
    !value.is_empty() && !reference && !placeholder && !switch && value.parse::<f64>().is_err()
}

/// Whether it is a secret of a well-known kind by its own form.
fn is_known(value: &str) -> bool {
    text::redact(value) != value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(json: &str) -> Vec<String> {
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        of(&Connection::of(value.as_object().unwrap()))
            .into_iter()
            .map(|s| format!("{}: {}", s.place, s.name))
            .collect()
    }

    #[test]
    fn secrets_are_told_from_references_and_settings() {
        for (json, expected) in [
            (
                r#"{"command":"x","env":{"GITHUB_TOKEN":"ghp_EXAMPLE","HOME":"/x","MAX_TOKENS":"4096"}}"#,
                vec!["environment variable: GITHUB_TOKEN"],
            ),
            (
                r#"{"command":"x","env":{"A_TOKEN":"${input:token}","B_TOKEN":"$B","C_KEY":"<key>","D_KEY":"your-key","E_TOKEN_FILE":"/x","F_TOKEN":"op://x/y"}}"#,
                vec![],
            ),
            (
                r#"{"url":"https://x","headers":{"Authorization":"Bearer abc123","X-Trace":"abc"}}"#,
                vec!["header: Authorization"],
            ),
            (r#"{"url":"https://x","headers":{"Authorization":"Bearer ${env:TOKEN}"}}"#, vec![]),
            (
                r#"{"command":"x","args":["--api-key","abc","--token=def","--verbose","--port","80"]}"#,
                vec!["argument: api-key", "argument: token"],
            ),
            (
                r#"{"command":"x","args":["postgresql://me:pw@db/x","--header","X-API-Key: abc"]}"#,
                vec!["argument: X-API-Key", "argument: password in the address"],
            ),
            (
                r#"{"command":"docker","args":["run","-e","API_TOKEN=abc","-e","OTHER_TOKEN","img"]}"#,
                vec!["argument: API_TOKEN"],
            ),
            (
                r#"{"url":"https://u:p@x/mcp?api_key=abc&page=2"}"#,
                vec!["address: api_key", "address: password in the address"],
            ),
            (r#"{"url":"https://x/s/Zm9vYmFyMTIzNDU2Nzg5MGFi/mcp"}"#, vec!["address: part of the path"]),
        ] {
            assert_eq!(names(json), expected, "{json}");
        }
    }
}
