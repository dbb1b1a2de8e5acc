//! SPDX 2 as tag-value text: a line for each field, a package from its name to the next one's.

use super::package::{ExternalReference, Packages, SpdxPackage};
use crate::json::read_lines;
use crate::{Hints, ImportError, Position, RunInfo, Sink, Source, text};

/// References of one package beyond this are passed over.
const MAX_REFERENCES: usize = 10_000;

/// Whether a text begins as one, comments aside.
pub(super) fn are(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let mut lines = head[..head.len().min(4096)].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"));
    first.is_some_and(|line| line.starts_with(b"SPDXVersion:"))
}

pub(super) fn read(source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
    let mut packages = Packages::new(hints, sink);
    let mut current: Option<SpdxPackage> = None;
    // The line on which a text of several lines began.
    let mut text_from = None;
    let mut has_version = false;
    read_lines(source, |number, line| {
        let line = String::from_utf8_lossy(line);
        if text_from.is_some() {
            if line.contains("</text>") {
                text_from = None;
            }
            return Ok(());
        }
        if line.starts_with('#') {
            return Ok(());
        }
        let Some((tag, value)) = line.split_once(':') else {
            return Err(malformed(number, "expected “Tag: value”"));
        };
        let value = value.trim();
        if value.starts_with("<text>") && !value.contains("</text>") {
            text_from = Some(number);
        }
        match tag.trim() {
            "SPDXVersion" if !value.starts_with("SPDX-2.") => {
                let version = text::one_line(value, 40);
                return Err(malformed(
                    number,
                    &format!("the SPDX version “{version}” is not supported, only SPDX-2.2 and 2.3"),
                ));
            }
            "SPDXVersion" => has_version = true,
            "DocumentName" => packages.name(value),
            "Creator" => packages.creator(value),
            "PackageName" => {
                let package = SpdxPackage { name: text::one_line(value, 300), ..SpdxPackage::default() };
                if let Some(before) = current.replace(package) {
                    packages.package(&before)?;
                }
            }
            "PackageVersion" => {
                if let Some(package) = &mut current {
                    package.version = text::one_line(value, 100);
                }
            }
            "ExternalRef" => {
                let mut words = value.split_whitespace();
                let (Some(category), Some(kind), Some(locator)) = (words.next(), words.next(), words.next()) else {
                    return Err(malformed(number, "an “ExternalRef” is a category, a type and a locator"));
                };
                if let Some(package) = current.as_mut().filter(|package| package.references.len() < MAX_REFERENCES) {
                    package.references.push(ExternalReference {
                        category: category.to_owned(),
                        kind: kind.to_owned(),
                        locator: locator.to_owned(),
                        comment: String::new(),
                    });
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    if let Some(from) = text_from {
        let expected = format!("the <text> of line {from} has no end");
        return Err(ImportError::Truncated { expected, position: at(from) });
    }
    if !has_version {
        return Err(malformed(1, "an SPDX document begins with “SPDXVersion: SPDX-2.3”"));
    }
    if let Some(last) = current {
        packages.package(&last)?;
    }
    packages.finish()
}

const fn at(line: u64) -> Position {
    Position { line: Some(line), column: None, path: String::new() }
}

fn malformed(line: u64, expected: &str) -> ImportError {
    ImportError::Malformed {
        expected: format!("line {line} is not what an SPDX document has: {expected}"),
        position: at(line),
    }
}
