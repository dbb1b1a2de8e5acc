//! Streaming JSON: one record in memory at a time, whatever the size of the report.
//!
//! Objects and arrays that hold records are walked here, over a window of the text; each record alone, a slice of the window,
//! is parsed and checked by serde_json. So records cost what parsing a slice costs, the window is bounded by
//! [`MAX_RECORD_BYTES`], and every error knows its line, column and path in the document.

use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny};

use crate::xml::{self, Element, Xml};
use crate::{ImportError, Position, Source, text};

/// The largest record, and the largest value that is passed over in one piece.
pub(crate) const MAX_RECORD_BYTES: usize = 8 << 20;

/// Small in tests, so that every boundary is met.
const BUFFER_BYTES: usize = if cfg!(test) { 13 } else { 64 << 10 };

/// How deep a value may be nested: serde_json's own limit.
const MAX_DEPTH: u32 = 127;

enum Step {
    Key(String),
    Index(usize),
}

/// Walks the whole document, an object, giving its members to `members`.
pub(crate) fn read_object<M: Members>(
    source: &dyn Source,
    what: &'static str,
    members: &mut M,
) -> Result<(), ImportError> {
    let mut json = Json::open(source)?;
    let walk = json.object(what, members).and_then(|()| json.end());
    walk.map_err(|error| json.placed(error))
}

/// Gives each document of a text that is one JSON document, or several behind one another (JSON lines, or without any
/// separator), to `each`. At least one is required.
pub(crate) fn read_documents(
    source: &dyn Source,
    what: &'static str,
    mut each: impl FnMut(Value<'_, '_>) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let mut json = Json::open(source)?;
    let mut walk = || {
        if json.peek()?.is_none() {
            return Err(json.unexpected(what));
        }
        while json.peek()?.is_some() {
            each(Value::Json(&mut json))?;
        }
        Ok(())
    };
    walk().map_err(|error| json.placed(error))
}

/// Receives the members of an object in the order of the document.
pub(crate) trait Members {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError>;
}

/// The value of a member, to be taken in one of these ways.
pub(crate) enum Value<'a, 's> {
    Json(&'a mut Json<'s>),
    /// An element of an XML document, see [`xml`].
    Xml(&'a mut Xml<'s>, Element),
    /// An attribute of one.
    Known(serde_json::Value),
}

impl Value<'_, '_> {
    /// Whether it is an array.
    pub(crate) fn is_array(&mut self) -> Result<bool, ImportError> {
        Ok(match self {
            Self::Json(json) => json.peek()? == Some(b'['),
            Self::Xml(xml, element) => xml.is_array(element),
            Self::Known(_) => false,
        })
    }

    /// Whether it is an object.
    pub(crate) fn is_object(&mut self) -> Result<bool, ImportError> {
        Ok(match self {
            Self::Json(json) => json.peek()? == Some(b'{'),
            Self::Xml(xml, element) => !xml.is_array(element),
            Self::Known(_) => false,
        })
    }

    /// Reads it as one record.
    pub(crate) fn record<T: DeserializeOwned>(self) -> Result<T, ImportError> {
        match self {
            Self::Json(json) => json.record(|record| Ok(record)),
            Self::Xml(xml, element) => xml.record(element),
            Self::Known(value) => xml::known(value),
        }
    }

    /// Walks it as an object; `null` is an object without members.
    pub(crate) fn object<M: Members>(self, what: &'static str, members: &mut M) -> Result<(), ImportError> {
        match self {
            Self::Json(json) => json.object(what, members),
            Self::Xml(xml, element) => xml.object(element, members),
            Self::Known(_) => Err(malformed(format!("expected {what}"))),
        }
    }

    /// Walks it as an array of objects, each with the members that `each` makes for its index, given to `done` afterwards;
    /// `null` is an empty array. Returns how many there were.
    pub(crate) fn objects<M: Members>(
        self,
        what: &'static str,
        mut each: impl FnMut(usize) -> Result<M, ImportError>,
        mut done: impl FnMut(usize, M) -> Result<(), ImportError>,
    ) -> Result<usize, ImportError> {
        match self {
            Self::Json(json) => json.array(what, |json, index| {
                let mut members = each(index)?;
                json.object("an object", &mut members)?;
                done(index, members)
            }),
            Self::Xml(xml, _) => xml.array(|xml, element, index| {
                let mut members = each(index)?;
                xml.object(element, &mut members)?;
                done(index, members)
            }),
            Self::Known(_) => Err(malformed(format!("expected {what}"))),
        }
    }

    /// Reads an array record by record; `null` is an empty array. Returns how many there were.
    pub(crate) fn array<T: DeserializeOwned>(
        self,
        what: &'static str,
        mut done: impl FnMut(usize, T) -> Result<(), ImportError>,
    ) -> Result<usize, ImportError> {
        match self {
            Self::Json(json) => json.array(what, |json, index| json.record(|record| done(index, record))),
            Self::Xml(xml, _) => xml.array(|xml, element, index| done(index, xml.record(element)?)),
            Self::Known(_) => Err(malformed(format!("expected {what}"))),
        }
    }

    /// Passes over it, whatever it is and however large.
    pub(crate) fn skip(self) -> Result<(), ImportError> {
        self.count().map(drop)
    }

    /// Passes over it; how many elements it has, if it is an array.
    pub(crate) fn count(self) -> Result<usize, ImportError> {
        match self {
            Self::Json(json) => json.skip(),
            Self::Xml(xml, _) => xml.skip(),
            Self::Known(_) => Ok(0),
        }
    }
}

/// An error in what was just read; the reader adds its position.
pub(crate) fn malformed(expected: impl Into<String>) -> ImportError {
    ImportError::Malformed { expected: expected.into(), position: Position::default() }
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
    fn open(source: &'s dyn Source) -> Result<Self, ImportError> {
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
    fn peek(&mut self) -> Result<Option<u8>, ImportError> {
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
    fn unexpected(&mut self, what: &str) -> ImportError {
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

    fn object<M: Members>(&mut self, what: &str, members: &mut M) -> Result<(), ImportError> {
        match self.peek()? {
            Some(b'{') => self.at += 1,
            // The document itself must be an object.
            Some(b'n') if !self.path.is_empty() => return self.record(|()| Ok(())),
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
            let key = self.record(|key: String| Ok(key))?;
            self.expect(b':', "“:”")?;
            self.path.push(Step::Key(text::truncate(&key, 60)));
            members.member(&key, Value::Json(self))?;
            self.path.pop();
            if !self.another(b'}')? {
                return Ok(());
            }
        }
    }

    fn array(
        &mut self,
        what: &str,
        mut each: impl FnMut(&mut Self, usize) -> Result<(), ImportError>,
    ) -> Result<usize, ImportError> {
        match self.peek()? {
            Some(b'[') => self.at += 1,
            Some(b'n') => return self.record(|()| Ok(0)),
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
    fn skip(&mut self) -> Result<usize, ImportError> {
        struct Ignore;
        impl Members for Ignore {
            fn member(&mut self, _: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
                value.record::<IgnoredAny>().map(drop)
            }
        }
        match self.peek()? {
            Some(b'[') => self.array("an array", |json, _| json.record(|IgnoredAny| Ok(()))),
            Some(b'{') => self.object("an object", &mut Ignore).map(|()| 0),
            _ => self.record(|IgnoredAny| Ok(0)),
        }
    }

    /// Parses the next value and gives it to `done`.
    fn record<T: DeserializeOwned, R>(
        &mut self,
        done: impl FnOnce(T) -> Result<R, ImportError>,
    ) -> Result<R, ImportError> {
        if let Some(record) = self.parse_in_window()? {
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
        // While `done` runs the record is kept, so that its errors can say where it began.
        let result = done(record)?;
        self.keep = None;
        Ok(result)
    }

    /// Parses the next value if all of it is in the window, which is how it is for nearly all, and moves past it. Whatever is
    /// wrong with it, [`Self::pass`] and what follows it say.
    fn parse_in_window<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ImportError> {
        let first = self.peek()?;
        let rest = &self.buffer[self.at..];
        let mut json = serde_json::Deserializer::from_slice(rest);
        let Ok(record) = T::deserialize(&mut json) else { return Ok(None) };
        let length = json.into_iter::<IgnoredAny>().byte_offset();
        // A number may go on behind the window; what goes on behind a word is wrong.
        let ends = match rest.get(length) {
            None => false,
            Some(b' ' | b'\n' | b'\r' | b'\t' | b',' | b':' | b'}' | b']') => true,
            Some(_) => matches!(first, Some(b'"' | b'{' | b'[')),
        };
        if !ends {
            return Ok(None);
        }
        self.keep = Some(self.at);
        self.at += length;
        Ok(Some(record))
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

    fn end(&mut self) -> Result<(), ImportError> {
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
    fn placed(&self, mut error: ImportError) -> ImportError {
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

/// What serde_json says is wrong, without the position.
fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let number = ["i64", "u64", "u32"].iter();
    let message = number
        .fold(message.to_owned(), |text, int| text.replace(&format!("expected {int}"), "expected a whole number"));
    text::one_line(&message, 400)
}

/// The report without the byte order mark that some tools write.
fn without_bom<R: Read>(mut source: R) -> io::Result<impl Read> {
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

/// For `#[serde(deserialize_with)]`: `null` counts as absent.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(json: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(json).map(Option::unwrap_or_default)
}

/// The member of an object, as a text that is not empty.
pub(crate) fn text_of<'a>(object: &'a serde_json::Map<String, serde_json::Value>, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}
