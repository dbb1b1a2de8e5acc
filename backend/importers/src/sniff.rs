//! What the first bytes of a report look like, without trusting that they are complete.

/// The outline of a JSON text's beginning: which members it has, down to a small depth.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// Paths such as `runs[].tool`, in the order of the text.
    paths: Vec<(String, Option<String>)>,
    /// Whether the text begins as a JSON object or array.
    pub(crate) is_json: bool,
}

/// Members deeper than this are passed over.
const MAX_DEPTH: usize = 4;
const MAX_PATHS: usize = 500;

impl Outline {
    /// The outline of the first JSON value in `head`, as far as `head` goes.
    pub(crate) fn of(head: &[u8]) -> Self {
        let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
        let mut scan = Scan { bytes: head.trim_ascii_start(), at: 0, outline: Self::default() };
        scan.outline.is_json = matches!(scan.bytes.first(), Some(b'{' | b'['));
        if scan.outline.is_json {
            scan.value("", 0);
        }
        scan.outline
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.paths.iter().any(|(known, _)| known == path)
    }

    /// Whether an object, given with the dot behind it (empty for the document), has a member, whatever its name, that has this member,
    /// given with the dot before it.
    pub(crate) fn has_below(&self, object: &str, member: &str) -> bool {
        let between = |path: &str| path.strip_prefix(object)?.strip_suffix(member).map(|name| !name.is_empty());
        self.paths.iter().any(|(path, _)| between(path) == Some(true))
    }

    /// Whether a top-level member, whatever its name, has both members, each given with the dot before it.
    pub(crate) fn has_siblings(&self, one: &str, other: &str) -> bool {
        let parents = self.paths.iter().filter_map(|(path, _)| path.strip_suffix(one));
        parents.into_iter().any(|parent| self.has(parent) && self.has(&format!("{parent}{other}")))
    }

    /// The text of a member that is a short string.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.paths.iter().find(|(known, _)| known == path).and_then(|(_, text)| text.as_deref())
    }

    /// The names of the top-level members, for messages.
    pub(crate) fn members(&self) -> Vec<&str> {
        let top = self.paths.iter().map(|(path, _)| path.as_str()).filter(|path| !path.contains(['.', '[']));
        top.take(8).collect()
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    outline: Outline,
}

impl<'a> Scan<'a> {
    /// Skips white space; the next byte, if there is one.
    fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    /// Scans a value; `None` when the text ends or is no JSON. Records short strings of `path`.
    fn value(&mut self, path: &str, depth: usize) -> Option<()> {
        match self.peek()? {
            b'{' if depth < MAX_DEPTH => self.object(path, depth),
            b'[' if depth < MAX_DEPTH => self.array(path, depth),
            b'{' | b'[' => self.skip_nested(),
            b'"' => {
                let text = self.string()?;
                if let Some(member) = self.outline.paths.last_mut().filter(|(last, _)| last == path) {
                    member.1 = std::str::from_utf8(text).ok().filter(|text| text.len() <= 200).map(str::to_owned);
                }
                Some(())
            }
            b if b.is_ascii_alphanumeric() || b == b'-' => {
                while self
                    .bytes
                    .get(self.at)
                    .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.'))
                {
                    self.at += 1;
                }
                Some(())
            }
            _ => None,
        }
    }

    fn object(&mut self, path: &str, depth: usize) -> Option<()> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'}' => break self.at += 1,
                b',' => self.at += 1,
                b'"' => {
                    let key = String::from_utf8_lossy(self.string()?).into_owned();
                    let path = if path.is_empty() { key } else { format!("{path}.{key}") };
                    (self.peek()? == b':').then_some(())?;
                    self.at += 1;
                    if self.outline.paths.len() < MAX_PATHS {
                        self.outline.paths.push((path.clone(), None));
                    }
                    self.value(&path, depth + 1)?;
                }
                _ => return None,
            }
        }
        Some(())
    }

    fn array(&mut self, path: &str, depth: usize) -> Option<()> {
        self.at += 1;
        let path = format!("{path}[]");
        loop {
            match self.peek()? {
                b']' => break self.at += 1,
                b',' => self.at += 1,
                _ => self.value(&path, depth + 1)?,
            }
        }
        Some(())
    }

    /// A string's raw bytes, without quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at + 1;
        let mut at = start;
        while *self.bytes.get(at)? != b'"' {
            at += if self.bytes[at] == b'\\' { 2 } else { 1 };
        }
        self.at = at + 1;
        Some(&self.bytes[start..at])
    }

    fn skip_nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// Outputs of known tools that are no reports for us: what stands in them, what they are, and what to send instead.
const OTHER_OUTPUTS: &[(&str, &str)] = &[
    ("--- Issues by Severity ---", "ModelScan's console output; send the file of “modelscan -r json -o report.json”"),
    ("modelscan-settings.toml", "ModelScan's console output; send the file of “modelscan -r json -o report.json”"),
    (
        "Fickling detected that",
        "fickling's console output; send the file of “fickling --check-safety --json-output report.json”",
    ),
    ("=== MCP Scanner ", "MCP Scanner's output for people; send that of “mcp-scanner --format raw”"),
    ("| Vulnerability | Level | Data slice |", "giskard's Markdown; send the file of “to_json”"),
    (",Status,Score,Named Scores", "promptfoo's table; send the file of “promptfoo eval -o report.json”"),
    ("name=\"promptfoo\"", "promptfoo's JUnit XML; send the file of “promptfoo eval -o report.json”"),
    ("evalId: ", "promptfoo's YAML; send the file of “promptfoo eval -o report.json”"),
    ("\"resourceSpans\"", "OpenTelemetry traces, which are no report; send them to /v1/traces"),
];

/// What a file that nobody knows looks like, for a message.
pub(crate) fn describe(head: &[u8]) -> String {
    let outline = Outline::of(head);
    let text = head.trim_ascii();
    if text.is_empty() {
        return "an empty file".to_owned();
    }
    let holds = |needle: &str| memchr::memmem::find(text, needle.as_bytes()).is_some();
    if let Some((_, what)) = OTHER_OUTPUTS.iter().find(|(needle, _)| holds(needle)) {
        return (*what).to_owned();
    }
    if outline.is_json {
        let members = outline.members();
        let named = crate::text::one_line(&members.join(", "), 200);
        return if members.is_empty() {
            "JSON without members".to_owned()
        } else {
            format!("JSON with the members {named}")
        };
    }
    match text {
        [0x1f, 0x8b, ..] => "gzip data".to_owned(),
        [b'P', b'K', ..] => "a zip archive".to_owned(),
        [b'<', ..] => "XML or HTML".to_owned(),
        _ if text.iter().take(512).any(|byte| matches!(byte, 0..=8 | 14..=26)) => "binary data".to_owned(),
        _ => {
            let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
            format!("text that begins “{}”", crate::text::one_line(&String::from_utf8_lossy(line), 60))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outline_goes_as_far_as_the_bytes() {
        let outline = Outline::of(b"\xEF\xBB\xBF {\"runs\": [{\"tool\": {\"driver\": {\"name\": \"x\", \"rules\": [[{}]]}}}], \"version\": \"2.1.0\", \"cut");
        assert!(outline.has("runs[].tool.driver") && !outline.has("cut"));
        assert_eq!(outline.text("version"), Some("2.1.0"));
        assert_eq!(outline.members(), ["runs", "version"]);
    }

    #[test]
    fn unknown_files_are_described() {
        assert_eq!(describe(b""), "an empty file");
        assert_eq!(describe(b"{\"a\": 1}"), "JSON with the members a");
        assert_eq!(describe(b"hello\nworld"), "text that begins “hello”");
        assert_eq!(describe(b"\x1f\x8b\x08"), "gzip data");
    }
}
