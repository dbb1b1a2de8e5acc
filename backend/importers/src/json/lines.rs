//! Texts of lines, each a JSON document of its own.

use std::io::{self, BufRead, BufReader, Read};

use serde::de::Deserialize;

use super::{BUFFER_BYTES, MAX_RECORD_BYTES, reason};
use crate::{ImportError, Position, Source};

/// The report without the byte order mark that some tools write.
pub(super) fn without_bom<R: Read>(mut source: R) -> io::Result<impl Read> {
    const BOM: &[u8] = b"\xEF\xBB\xBF";
    let mut head = Vec::with_capacity(BOM.len());
    source.by_ref().take(BOM.len() as u64).read_to_end(&mut head)?;
    if head == BOM {
        head.clear();
    }
    Ok(io::Cursor::new(head).chain(source))
}

/// Gives each line that is not blank to `line`, with its number from 1. A last line without an end counts as a line.
pub(crate) fn read_lines(
    source: &dyn Source,
    mut line: impl FnMut(u64, &[u8]) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, without_bom(source.open()?)?);
    let mut buffer = Vec::new();
    for number in 1.. {
        // Most lines are in the reader's buffer already.
        let ready = reader.fill_buf()?;
        if let Some(end) = memchr::memchr(b'\n', ready) {
            let text = ready[..end].trim_ascii();
            if !text.is_empty() {
                line(number, text).map_err(|error| on_line(number, error))?;
            }
            reader.consume(end + 1);
            continue;
        }
        buffer.clear();
        let read = reader.by_ref().take(MAX_RECORD_BYTES as u64 + 1).read_until(b'\n', &mut buffer)?;
        if read == 0 {
            break;
        }
        if read > MAX_RECORD_BYTES {
            let limit = MAX_RECORD_BYTES >> 20;
            return Err(ImportError::TooLarge(format!(
                "line {number} is larger than {limit} MiB, the limit for one record"
            )));
        }
        let text = buffer.trim_ascii();
        if !text.is_empty() {
            line(number, text).map_err(|error| on_line(number, error))?;
        }
    }
    Ok(())
}

/// The error with its line, unless it knows better.
fn on_line(number: u64, mut error: ImportError) -> ImportError {
    if let ImportError::Malformed { position, .. } | ImportError::Truncated { position, .. } = &mut error {
        position.line.get_or_insert(number);
    }
    error
}

/// Reads one line as JSON; errors name the line.
pub(crate) fn parse_line<'a, T: Deserialize<'a>>(number: u64, line: &'a [u8]) -> Result<T, ImportError> {
    serde_json::from_slice(line).map_err(|error| {
        let (column, expected) =
            (u64::try_from(error.column()).ok(), format!("line {number} is not the expected JSON: {}", reason(&error)));
        let position = Position { line: Some(number), column, path: String::new() };
        if error.is_eof() {
            ImportError::Truncated { expected, position }
        } else {
            ImportError::Malformed { expected, position }
        }
    })
}
