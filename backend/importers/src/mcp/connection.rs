//! How a client starts or reaches an MCP server: an entry of its configuration, with whatever secrets stand in it.

use serde_json::{Map, Value};

use super::address;
use crate::json::text_of;
use crate::text::{self, Evidence};

/// An entry of a client's configuration. Its arguments and values may be secrets: they stay in memory while the entry is looked at.
pub(crate) struct Connection<'a> {
    /// The program's name without folders and `.exe`, in lower case; empty for a remote server.
    pub(crate) program: String,
    pub(crate) arguments: Vec<&'a str>,
    pub(crate) url: Option<&'a str>,
    pub(crate) environment: Vec<(&'a str, &'a str)>,
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    pub(crate) package: Option<Package>,
    transport: &'a str,
    disabled: bool,
}

/// The package that a runner such as `npx` fetches.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Package {
    /// A package URL: `pkg:npm/…`, `pkg:pypi/…`, `pkg:oci/…`.
    pub(crate) purl: String,
    /// As it stands in the configuration.
    pub(crate) name: String,
    /// Whether it is always the same version.
    pub(crate) pinned: bool,
}

/// Where a runner takes packages from.
#[derive(Clone, Copy)]
enum Registry {
    Npm,
    PyPi,
    Oci,
}

/// Programs that fetch what they run: (program, words before the package, registry).
const RUNNERS: &[(&str, &[&str], Registry)] = &[
    ("npx", &[], Registry::Npm),
    ("bunx", &[], Registry::Npm),
    ("pnpx", &[], Registry::Npm),
    ("npm", &["exec"], Registry::Npm),
    ("npm", &["x"], Registry::Npm),
    ("pnpm", &["dlx"], Registry::Npm),
    ("yarn", &["dlx"], Registry::Npm),
    ("bun", &["x"], Registry::Npm),
    ("uvx", &[], Registry::PyPi),
    ("uv", &["tool", "run"], Registry::PyPi),
    ("pipx", &["run"], Registry::PyPi),
    ("docker", &["run"], Registry::Oci),
    ("podman", &["run"], Registry::Oci),
];

/// Flags whose value names the package.
const PACKAGE_FLAGS: &[&str] = &["--from", "--package", "-p", "--spec"];

/// Flags of the runners that stand alone. Every other one that has no `=` takes the next word: that one may be a secret, and is
/// never taken for the package.
const LONE_FLAGS: &[&str] = &[
    "-y",
    "--yes",
    "-q",
    "--quiet",
    "--silent",
    "--no-install",
    "--prefer-offline",
    "--prefer-online",
    "--ignore-existing",
    "--isolated",
    "--no-cache",
    "--refresh",
    "--offline",
    "-i",
    "-t",
    "-it",
    "-d",
    "--rm",
    "--init",
    "--interactive",
    "--tty",
    "--detach",
    "--privileged",
    "--read-only",
];

impl<'a> Connection<'a> {
    /// Reads an entry as Claude, Cursor, Windsurf, VS Code, Gemini and opencode write it; what is missing stays empty.
    pub(crate) fn of(entry: &'a Map<String, Value>) -> Self {
        let mut words: Vec<&str> = Vec::new();
        match entry.get("command") {
            // A whole command line is split; a path with blanks in it is not.
            Some(Value::String(command)) if !command.contains(['/', '\\']) => words.extend(command.split_whitespace()),
            Some(Value::String(command)) => words.push(command),
            Some(Value::Array(command)) => words.extend(command.iter().filter_map(Value::as_str)),
            Some(Value::Object(command)) => {
                words.extend(text_of(command, "path"));
                words.extend(texts(command.get("args")));
            }
            _ => {}
        }
        words.extend(texts(entry.get("args")));
        let mut words = words.into_iter();
        let mut program = words.next().map(program).unwrap_or_default();
        let mut arguments: Vec<&str> = words.collect();
        // `cmd /c npx …` is how Windows runs npx.
        if program == "cmd"
            && arguments.first().is_some_and(|flag| flag.eq_ignore_ascii_case("/c"))
            && arguments.len() > 1
        {
            program = self::program(arguments[1]);
            arguments.drain(..2);
        }
        let url = ["url", "serverUrl", "httpUrl", "server_url"].iter().find_map(|key| text_of(entry, key));
        let transport = match text_of(entry, "type").or(text_of(entry, "transport")) {
            Some("sse" | "SSE") => "sse",
            Some("ws" | "websocket") => "ws",
            _ if url.is_some() => "http",
            _ => "stdio",
        };
        let environment = pairs(entry.get("env").or(entry.get("environment")));
        let disabled =
            entry.get("disabled") == Some(&Value::Bool(true)) || entry.get("enabled") == Some(&Value::Bool(false));
        let package = package(&program, &arguments);
        Self {
            program,
            arguments,
            url,
            environment,
            headers: pairs(entry.get("headers")),
            package,
            transport,
            disabled,
        }
    }

    /// Whether the entry says how to start or reach a server.
    pub(crate) fn is_empty(&self) -> bool {
        self.program.is_empty() && self.url.is_none()
    }

    /// Whether the client does not start or reach it.
    pub(crate) const fn is_disabled(&self) -> bool {
        self.disabled
    }

    /// What may be stored: no arguments and no values.
    pub(crate) fn attributes(&self) -> Evidence {
        let names = |pairs: &[(&str, &str)]| {
            let mut names: Vec<_> = pairs.iter().map(|(name, _)| text::one_line(&text::redact(name), 100)).collect();
            names.sort();
            names.truncate(50);
            Value::from(names)
        };
        let mut attributes = Evidence::default();
        if self.is_empty() {
            return attributes;
        }
        attributes.add("transport", self.transport);
        attributes.add("command", text::one_line(&self.program, 100));
        attributes.add("package", self.package.as_ref().map(|package| package.purl.clone()));
        attributes.add("url", self.url.and_then(address));
        attributes.add("environment", names(&self.environment));
        attributes.add("headers", names(&self.headers));
        if self.disabled {
            attributes.add("disabled", true);
        }
        attributes
    }
}

/// The texts of an array, or the words of a text.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let words = value.and_then(Value::as_str).into_iter().flat_map(str::split_whitespace);
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).chain(words)
}

fn pairs(value: Option<&Value>) -> Vec<(&str, &str)> {
    let members = value.and_then(Value::as_object).into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect()
}

fn program(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = name.split_whitespace().next().unwrap_or_default().to_lowercase();
    let bare = [".exe", ".cmd", ".bat"].iter().find_map(|extension| name.strip_suffix(extension)).unwrap_or(&name);
    // Such as the variable before a program, `TOKEN=… node`.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    if bare.chars().all(plain) { text::redact(bare).into_owned() } else { "(not a program)".to_owned() }
}

/// The package that a runner's arguments name.
fn package(program: &str, arguments: &[&str]) -> Option<Package> {
    let runs = |words: &&(&str, &[&str], Registry)| {
        words.0 == program && arguments.len() > words.1.len() && arguments.iter().zip(words.1).all(|(a, b)| a == b)
    };
    let (_, words, registry) = RUNNERS.iter().find(runs)?;
    let mut rest = arguments[words.len()..].iter();
    let name = loop {
        let word = *rest.next()?;
        if let (Registry::Npm | Registry::PyPi, true) = (registry, PACKAGE_FLAGS.contains(&word)) {
            break *rest.next()?;
        }
        if !word.starts_with('-') {
            break word;
        }
        if !word.contains('=') && !LONE_FLAGS.contains(&word) {
            rest.next();
        }
    };
    // A folder on the machine, or something that is no package's name.
    if name.is_empty()
        || name.starts_with(['.', '/', '~', '$'])
        || name.len() > 300
        || name.contains(char::is_whitespace)
    {
        return None;
    }
    let (purl, pinned) = match registry {
        Registry::Npm => npm(name),
        Registry::PyPi => pypi(name),
        Registry::Oci => oci(name),
    }?;
    Some(Package { purl, name: name.to_owned(), pinned })
}

fn is_exact(version: &str) -> bool {
    version.starts_with(|c: char| c.is_ascii_digit() || c == 'v') && !version.contains(['*', 'x', ' ', '>', '<', '|'])
}

fn npm(name: &str) -> Option<(String, bool)> {
    if name.contains(':') {
        return None;
    }
    let (bare, version) = match name.rfind('@').filter(|at| *at > 0) {
        Some(at) => (&name[..at], Some(&name[at + 1..])),
        None => (name, None),
    };
    let exact = version.filter(|version| is_exact(version));
    Some((versioned(format!("pkg:npm/{}", bare.replacen('@', "%40", 1)), exact), exact.is_some()))
}

fn pypi(name: &str) -> Option<(String, bool)> {
    if name.contains("://") {
        return None;
    }
    let end = name.find(['=', '@', '<', '>', '!', '~', '[']).unwrap_or(name.len());
    let version = name[end..].rsplit(['=', '@', ']']).next().filter(|version| !version.is_empty());
    let exact = version.filter(|version| is_exact(version) && !name[end..].contains(['<', '>', '~', '!']));
    let bare = name[..end].to_lowercase().replace('_', "-");
    Some((versioned(format!("pkg:pypi/{bare}"), exact), exact.is_some()))
}

fn oci(name: &str) -> Option<(String, bool)> {
    let (repository, digest) = name.split_once('@').map_or((name, None), |(name, digest)| (name, Some(digest)));
    let slash = repository.rfind('/').map_or(0, |at| at + 1);
    let (repository, tag) = match repository[slash..].find(':') {
        Some(colon) => (&repository[..slash + colon], Some(&repository[slash + colon + 1..])),
        None => (repository, None),
    };
    let image = repository.rsplit('/').next().filter(|image| !image.is_empty())?.to_lowercase();
    let pinned = digest.is_some() || tag.is_some_and(is_exact);
    let mut purl = versioned(format!("pkg:oci/{image}"), digest);
    purl.push_str(&format!("?repository_url={}", repository.to_lowercase()));
    if let Some(tag) = tag {
        purl.push_str(&format!("&tag={tag}"));
    }
    Some((purl, pinned))
}

fn versioned(purl: String, version: Option<&str>) -> String {
    version.map_or(purl.clone(), |version| format!("{purl}@{}", version.replace(':', "%3A")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> (String, Option<(String, bool)>) {
        let value: Value = serde_json::from_str(json).unwrap();
        let connection = Connection::of(value.as_object().unwrap());
        (connection.program, connection.package.map(|package| (package.purl, package.pinned)))
    }

    #[test]
    fn packages_are_found_behind_their_runners() {
        for (json, program, package) in [
            (
                r#"{"command":"npx","args":["-y","@acme/server-x","/"]}"#,
                "npx",
                Some(("pkg:npm/%40acme/server-x", false)),
            ),
            (r#"{"command":"npx","args":["acme@1.2.3"]}"#, "npx", Some(("pkg:npm/acme@1.2.3", true))),
            (r#"{"command":"npx","args":["acme@latest"]}"#, "npx", Some(("pkg:npm/acme", false))),
            (r#"{"command":"cmd","args":["/c","npx.cmd","-y","acme@^1.0"]}"#, "npx", Some(("pkg:npm/acme", false))),
            (r#"{"command":"npx","args":["./local"]}"#, "npx", None),
            (
                r#"{"command":"uvx","args":["mcp-server-time==2026.10.10"]}"#,
                "uvx",
                Some(("pkg:pypi/mcp-server-time@2026.10.10", true)),
            ),
            (r#"{"command":"uvx","args":["--from","acme_x[cli]>=1","acme"]}"#, "uvx", Some(("pkg:pypi/acme-x", false))),
            (r#"{"command":"uv","args":["tool","run","acme@2.0"]}"#, "uv", Some(("pkg:pypi/acme@2.0", true))),
            (r#"{"command":"uv run python","args":["x.py"]}"#, "uv", None),
            (
                r#"{"command":"docker","args":["run","-i","--rm","-e","A","ghcr.io/acme/server:latest"]}"#,
                "docker",
                Some(("pkg:oci/server?repository_url=ghcr.io/acme/server&tag=latest", false)),
            ),
            (
                r#"{"command":"docker","args":["run","--env=A=b","localhost:5000/x@sha256:00ff"]}"#,
                "docker",
                Some(("pkg:oci/x@sha256%3A00ff?repository_url=localhost:5000/x", true)),
            ),
            (r#"{"command":["npx","acme@1.0.0"]}"#, "npx", Some(("pkg:npm/acme@1.0.0", true))),
            (
                r#"{"command":"C:\\Program Files\\nodejs\\npx.cmd","args":["acme"]}"#,
                "npx",
                Some(("pkg:npm/acme", false)),
            ),
            (r#"{"url":"https://x"}"#, "", None),
        ] {
            let package = package.map(|(purl, pinned)| (purl.to_owned(), pinned));
            assert_eq!(of(json), (program.to_owned(), package), "{json}");
        }
    }
}
