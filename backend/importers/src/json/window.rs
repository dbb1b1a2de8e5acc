//! A JSON document, walked over a window of its text.

use std::io::Read;
use std::ops::Range;

use serde::de::{Deserialize, IgnoredAny};

use super::lines::without_bom;
use super::record::{Owned, Record};
use super::{BUFFER_BYTES, MAX_RECORD_BYTES, Members, Value, malformed, reason};
use crate::{ImportError, Position, Source, text};

/// How deep a value may be nested: serde_json's own limit.
const MAX_DEPTH: u32 = 127;

enum Step {
    Key(String),
    Index(usize),
}

/// A window on the document.
pub(crate) struct Json<'s> {
    source: Box<dyn Read + 's>,
    buffer: Vec<u8>,
    /// The next byte of `buffer` to look at.
    at: usize,
    /// The record that is being read begins here; what stands before may be dropped from `buffer`.
    keep: Option<usize>,
    ended: bool,
    /// Lines, and bytes since the last line's end, before `buffer`.
    lines: u64,
    column: u64,
    /// After an error it stays as it was there.
    path: Vec<Step>,
}

impl<'s> Json<'s> {
    pub(super) fn open(source: &'s dyn Source) -> Result<Self, ImportError> {
        let source = Box::new(without_bom(source.open()?)?);
        Ok(Self { source, buffer: Vec::new(), at: 0, keep: None, ended: false, lines: 0, column: 0, path: Vec::new() })
    }

    /// Reads more of the source into the window; false at its end.
    fn fill(&mut self) -> Result<bool, ImportError> {
        if self.ended {
            return Ok(false);
        }
        let from = self.keep.unwrap_or(self.at);
        (self.lines, self.column) = self.place(from);
        self.buffer.copy_within(from.., 0);
        let kept = self.buffer.len() - from;
        self.at -= from;
        self.keep = self.keep.map(|_| 0);
        if kept > MAX_RECORD_BYTES {
            let limit = MAX_RECORD_BYTES >> 20;
            return Err(ImportError::TooLarge(format!(
                "{} is larger than {limit} MiB, the limit for one record",
                self.path()
            )));
        }
        self.buffer.truncate(kept);
        let read = self.source.by_ref().take(BUFFER_BYTES as u64).read_to_end(&mut self.buffer)?;
        self.ended = read == 0;
        Ok(!self.ended)
    }

    /// Lines before a place in the window, and bytes in its line before it.
    fn place(&self, at: usize) -> (u64, u64) {
        let before = &self.buffer[..at];
        match memchr::memrchr(b'\n', before) {
            Some(end) => (self.lines + memchr::memchr_iter(b'\n', before).count() as u64, (at - end - 1) as u64),
            None => (self.lines, self.column + at as u64),
        }
    }

    /// The next byte that is not white space, which is not consumed.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, ImportError> {
        loop {
            while let Some(&byte) = self.buffer.get(self.at) {
                if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                    return Ok(Some(byte));
                }
                self.at += 1;
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// The error of finding something else than `what`.
    pub(super) fn unexpected(&mut self, what: &str) -> ImportError {
        let found = match self.peek() {
            Err(error) => return error,
            Ok(None) => {
                let expected = format!("{}expected {what}", self.prefix());
                return ImportError::Truncated { expected, position: Position::default() };
            }
            Ok(Some(byte)) => byte,
        };
        let found = match found {
            b'{' => "an object".to_owned(),
            b'[' => "an array".to_owned(),
            b'"' => "a text".to_owned(),
            b'0'..=b'9' | b'-' => "a number".to_owned(),
            byte if byte.is_ascii_graphic() => format!("“{}”", char::from(byte)),
            _ => "a byte that has no place there".to_owned(),
        };
        // It is this byte that is wrong, not the record's first.
        self.keep = None;
        malformed(format!("not the expected JSON: {}expected {what}, found {found}", self.prefix()))
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), ImportError> {
        if self.peek()? != Some(byte) {
            return Err(self.unexpected(what));
        }
        self.at += 1;
        Ok(())
    }

    /// After an element: true when there is another, false at the end of the object or array.
    fn another(&mut self, close: u8) -> Result<bool, ImportError> {
        match self.peek()? {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.unexpected(if close == b'}' { "“,” or “}”" } else { "“,” or “]”" })),
        }
    }

    pub(super) fn object<M: Members>(&mut self, what: &str, members: &mut M) -> Result<(), ImportError> {
        match self.peek()? {
            Some(b'{') => self.at += 1,
            // The document itself must be an object.
            Some(b'n') if !self.path.is_empty() => return self.record::<Owned<()>, _>(|()| Ok(())),
            _ => return Err(self.unexpected(what)),
        }
        if self.peek()? == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek()? != Some(b'"') {
                return Err(self.unexpected("a member's name"));
            }
            let key = self.record::<Owned<String>, _>(Ok)?;
            self.expect(b':', "“:”")?;
            self.path.push(Step::Key(text::truncate(&key, 60)));
            members.member(&key, Value::Json(self))?;
            self.path.pop();
            if !self.another(b'}')? {
                return Ok(());
            }
        }
    }

    pub(super) fn array(
        &mut self,
        what: &str,
        mut each: impl FnMut(&mut Self, usize) -> Result<(), ImportError>,
    ) -> Result<usize, ImportError> {
        match self.peek()? {
            Some(b'[') => self.at += 1,
            Some(b'n') => return self.record::<Owned<()>, _>(|()| Ok(0)),
            _ => return Err(self.unexpected(what)),
        }
        if self.peek()? == Some(b']') {
            self.at += 1;
            return Ok(0);
        }
        let mut index = 0;
        loop {
            self.path.push(Step::Index(index));
            each(self, index)?;
            self.path.pop();
            index += 1;
            if !self.another(b']')? {
                return Ok(index);
            }
        }
    }

    /// Passes over a value piece by piece, so that a large array is no large record. Gives the number of its elements.
    pub(super) fn skip(&mut self) -> Result<usize, ImportError> {
        struct Ignore;
        impl Members for Ignore {
            fn member(&mut self, _: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
                value.record::<IgnoredAny>().map(drop)
            }
        }
        match self.peek()? {
            Some(b'[') => self.array("an array", |json, _| json.record::<Owned<IgnoredAny>, _>(|_| Ok(()))),
            Some(b'{') => self.object("an object", &mut Ignore).map(|()| 0),
            _ => self.record::<Owned<IgnoredAny>, _>(|_| Ok(0)),
        }
    }

    /// Parses the next value and gives it to `done`.
    pub(super) fn record<R: Record, T>(
        &mut self,
        done: impl FnOnce(R::Of<'_>) -> Result<T, ImportError>,
    ) -> Result<T, ImportError> {
        let first = self.peek()?;
        let start = self.at;
        if let Some((record, length)) = parse_in_window(first, &self.buffer[start..]) {
            // While `done` runs the record is kept, so that its errors can say where it began.
            self.keep = Some(start);
            self.at += length;
            let result = done(record)?;
            self.keep = None;
            return Ok(result);
        }
        let range = self.pass()?;
        let record = serde_json::from_slice(&self.buffer[range.clone()]).map_err(|error| {
            let (lines, column) = self.place(range.start);
            let (line, at) = (error.line() as u64, error.column() as u64);
            let column = if line <= 1 { column + at } else { at };
            let position = Position { line: Some(lines + line.max(1)), column: Some(column.max(1)), path: self.path() };
            // The value's end was found, so it is wrong and not cut off.
            let expected = format!("not the expected JSON: {}{}", self.prefix(), reason(&error));
            ImportError::Malformed { expected, position }
        })?;
        let result = done(record)?;
        self.keep = None;
        Ok(result)
    }

    /// Moves past the next value, as far as brackets and quotes tell; its place in the window.
    fn pass(&mut self) -> Result<Range<usize>, ImportError> {
        if self.peek()?.is_none() {
            return Err(self.unexpected("a value"));
        }
        self.keep = Some(self.at);
        // The open brackets as bits, 1 for an object.
        let (mut open, mut depth) = (0_u128, 0_u32);
        loop {
            let Some(byte) = self.peek()? else { return Err(self.unexpected("the rest of the value")) };
            match byte {
                b'"' => self.pass_string()?,
                b'{' | b'[' => {
                    if depth == MAX_DEPTH {
                        return Err(malformed(format!("{}nested deeper than {MAX_DEPTH} levels", self.prefix())));
                    }
                    open = open << 1 | u128::from(byte == b'{');
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth > 0 && (open & 1 == 1) == (byte == b'}') => {
                    open >>= 1;
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'+' | b'.' => self.pass_word()?,
                _ => return Err(self.unexpected("a value")),
            }
            if depth == 0 {
                let start = self.keep.unwrap_or_default();
                return Ok(start..self.at);
            }
        }
    }

    fn pass_string(&mut self) -> Result<(), ImportError> {
        self.at += 1;
        loop {
            match memchr::memchr2(b'"', b'\\', &self.buffer[self.at..]) {
                Some(found) => {
                    self.at += found;
                    let quote = self.buffer[self.at] == b'"';
                    self.at += 1;
                    if quote {
                        return Ok(());
                    }
                    // Whatever is escaped, it does not end the text.
                    if self.at == self.buffer.len() && !self.fill()? {
                        return Err(self.unexpected("the rest of the text"));
                    }
                    self.at += 1;
                }
                None => {
                    self.at = self.buffer.len();
                    if !self.fill()? {
                        return Err(self.unexpected("the rest of the text"));
                    }
                }
            }
        }
    }

    fn pass_word(&mut self) -> Result<(), ImportError> {
        loop {
            let rest = &self.buffer[self.at..];
            let length = rest.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.')));
            self.at += length.unwrap_or(rest.len());
            if length.is_some() || !self.fill()? {
                return Ok(());
            }
        }
    }

    pub(super) fn end(&mut self) -> Result<(), ImportError> {
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err(malformed("the report goes on behind the end of its JSON document")),
        }
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Index(index) => path.push_str(&format!("[{index}]")),
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => path.extend([".", key]),
            }
        }
        text::one_line(&path, 200)
    }

    /// The path for the beginning of a message.
    fn prefix(&self) -> String {
        let path = self.path();
        if path.is_empty() { path } else { format!("in {path}: ") }
    }

    /// An error with its position: where the current record begins, else where the reader is.
    pub(super) fn placed(&self, mut error: ImportError) -> ImportError {
        if let ImportError::Malformed { position, .. } | ImportError::Truncated { position, .. } = &mut error
            && position.line.is_none()
        {
            let (lines, column) = self.place(self.keep.filter(|_| !self.ended).unwrap_or(self.at));
            let (outer, inner) = (self.path(), std::mem::take(&mut position.path));
            let dot = if outer.is_empty() || inner.is_empty() { "" } else { "." };
            *position =
                Position { line: Some(lines + 1), column: Some(column + 1), path: format!("{outer}{dot}{inner}") };
        }
        error
    }
}

/// Parses a value that begins with `first` if all of it is in the window, which is how it is for nearly all; and its length.
/// Whatever is wrong with it, [`Json::pass`] and what follows it say.
fn parse_in_window<'a, T: Deserialize<'a>>(first: Option<u8>, rest: &'a [u8]) -> Option<(T, usize)> {
    let mut json = serde_json::Deserializer::from_slice(rest);
    let record = T::deserialize(&mut json).ok()?;
    let length = json.into_iter::<IgnoredAny>().byte_offset();
    // A number may go on behind the window; what goes on behind a word is wrong.
    let ends = match rest.get(length)? {
        b' ' | b'\n' | b'\r' | b'\t' | b',' | b':' | b'}' | b']' => true,
        _ => matches!(first, Some(b'"' | b'{' | b'[')),
    };
    ends.then_some((record, length))
}
