//! Streaming XML, read as what it would be in JSON, so that a format with both encodings has one importer.
//!
//! An element's attributes and children are the members of an object; an element whose name is among the format's arrays is an
//! array of its children; one with nothing but text is a text. Children of the same name that are no array become one. Text
//! beside attributes is the member [`TEXT`].
//!
//! Document types are refused, and with them entities of the document's own. Depth and the size of a record are bounded.

use std::io::{self, BufRead, BufReader, Read};

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::errors::Error;
use quick_xml::events::{BytesRef, BytesStart, Event};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::container::LimitPassed;
use crate::json::{MAX_RECORD_BYTES, Members, Record, Value, malformed};
use crate::{ImportError, Position, Source, text};

/// The member that is an element's own text, where it has attributes or children too.
pub(crate) const TEXT: &str = "$text";

/// How deep elements may be nested.
const MAX_DEPTH: usize = 100;

/// Walks the document, whose root element must be `root`, giving the root's attributes and children to `members`. Elements
/// called one of `arrays` are arrays.
pub(crate) fn read_root<M: Members>(
    source: &dyn Source,
    root: &str,
    arrays: &'static [&'static str],
    members: &mut M,
) -> Result<(), ImportError> {
    let mut reader = Reader::from_reader(Lines::new(BufReader::new(source.open()?)));
    reader.config_mut().expand_empty_elements = true;
    let mut xml =
        Xml { reader, buffer: Vec::new(), arrays, path: Vec::new(), begins: None, version: XmlVersion::default() };
    let walk = xml.document(root, members);
    walk.map_err(|error| xml.placed(error))
}

/// A reader in the middle of a document.
pub(crate) struct Xml<'s> {
    reader: Reader<Lines<BufReader<Box<dyn Read + 's>>>>,
    buffer: Vec<u8>,
    arrays: &'static [&'static str],
    /// Names of the elements that are open, or the place of one in its array.
    path: Vec<String>,
    /// Where the record that is being read begins.
    begins: Option<(u64, u64)>,
    version: XmlVersion,
}

/// An element whose start was read.
pub(crate) struct Element {
    name: String,
    attributes: Map<String, Json>,
}

/// What comes next in an element.
enum Next {
    Child(Element),
    Text(String),
    End,
}

impl Xml<'_> {
    fn document<M: Members>(&mut self, root: &str, members: &mut M) -> Result<(), ImportError> {
        loop {
            match self.event()? {
                Some(Next::Child(element)) if element.name == root => {
                    self.path.clear();
                    self.object(element, members)?;
                    self.begins = None;
                    break;
                }
                Some(Next::Child(element)) => {
                    let found = text::one_line(&element.name, 60);
                    return Err(malformed(format!("expected the element “{root}”, found “{found}”")));
                }
                Some(Next::Text(text)) if text.trim().is_empty() => {}
                Some(_) => return Err(malformed(format!("expected the element “{root}”, found text"))),
                None => return Err(self.truncated(&format!("expected the element “{root}”"))),
            }
        }
        loop {
            match self.event()? {
                None => return Ok(()),
                Some(Next::Text(text)) if text.trim().is_empty() => {}
                Some(_) => return Err(malformed("the report goes on behind the end of its XML document")),
            }
        }
    }

    /// The next piece of the document; `None` at its end.
    fn event(&mut self) -> Result<Option<Next>, ImportError> {
        loop {
            self.buffer.clear();
            let event = match self.reader.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(error) => return Err(self.broken(&error)),
            };
            let next = match event {
                Event::Start(start) => match element(&start, self.version) {
                    Ok(element) => Next::Child(element),
                    Err(error) => return Err(malformed(format!("in an element's attributes: {error}"))),
                },
                Event::End(_) => Next::End,
                Event::Text(text) => Next::Text(text.xml_content(self.version).into_owned()),
                Event::CData(text) => Next::Text(text.xml_content(self.version).into_owned()),
                Event::GeneralRef(reference) => Next::Text(resolved(&reference)?),
                Event::DocType(_) => {
                    return Err(malformed("a document type declaration is not accepted; leave out <!DOCTYPE …>"));
                }
                Event::Decl(declaration) => {
                    if let Some(Ok(encoding)) = declaration.encoding()
                        && !matches!(encoding.to_ascii_uppercase().as_str(), "UTF-8" | "ASCII" | "US-ASCII")
                    {
                        let encoding = text::one_line(&encoding, 40);
                        return Err(malformed(format!("the encoding {encoding} is not supported; use UTF-8")));
                    }
                    continue;
                }
                // Empty elements come as their start and end.
                Event::Comment(_) | Event::PI(_) | Event::Empty(_) => continue,
                Event::Eof => return Ok(None),
            };
            match &next {
                Next::Child(element) if self.path.len() >= MAX_DEPTH => {
                    let name = text::one_line(&element.name, 60);
                    return Err(malformed(format!("“{name}” is nested deeper than {MAX_DEPTH} levels")));
                }
                Next::Child(element) => self.path.push(text::truncate(&element.name, 60)),
                _ => {}
            }
            return Ok(Some(next));
        }
    }

    /// The next piece of an element that is open. What comes is a new record's beginning.
    fn next(&mut self) -> Result<Next, ImportError> {
        let lines = self.reader.get_mut();
        lines.since = 0;
        self.begins = Some(lines.place());
        let next = self.inner()?;
        if let Next::End = next {
            self.path.pop();
        }
        Ok(next)
    }

    fn inner(&mut self) -> Result<Next, ImportError> {
        match self.event()? {
            Some(next) => Ok(next),
            None => {
                let open = self.path.last().cloned().unwrap_or_default();
                Err(self.truncated(&format!("the element “{}” is still open", text::one_line(&open, 60))))
            }
        }
    }

    pub(crate) fn is_array(&self, element: &Element) -> bool {
        self.arrays.contains(&element.name.as_str())
    }

    pub(crate) fn object<M: Members>(&mut self, element: Element, members: &mut M) -> Result<(), ImportError> {
        for (key, value) in element.attributes {
            members.member(&key, Value::Known(value))?;
        }
        loop {
            match self.next()? {
                Next::Child(child) => {
                    let name = child.name.clone();
                    members.member(&name, Value::Xml(self, child))?;
                }
                Next::Text(_) => {}
                Next::End => return Ok(()),
            }
        }
    }

    pub(crate) fn array(
        &mut self,
        mut each: impl FnMut(&mut Self, Element, usize) -> Result<(), ImportError>,
    ) -> Result<usize, ImportError> {
        let mut index = 0;
        loop {
            match self.next()? {
                Next::Child(child) => {
                    if let Some(step) = self.path.last_mut() {
                        *step = format!("[{index}]");
                    }
                    each(self, child, index)?;
                    index += 1;
                }
                Next::Text(_) => {}
                Next::End => return Ok(index),
            }
        }
    }

    /// Passes over the open element; how many children it has.
    pub(crate) fn skip(&mut self) -> Result<usize, ImportError> {
        let (depth, mut children) = (self.path.len(), 0);
        loop {
            match self.next()? {
                Next::Child(_) if self.path.len() == depth + 1 => children += 1,
                Next::End if self.path.len() < depth => return Ok(children),
                _ => {}
            }
        }
    }

    pub(crate) fn record<R: Record, T>(
        &mut self,
        element: Element,
        done: impl FnOnce(R::Of<'_>) -> Result<T, ImportError>,
    ) -> Result<T, ImportError> {
        let value = self.value(element)?;
        done(known(&value)?)
    }

    /// The open element as JSON.
    fn value(&mut self, element: Element) -> Result<Json, ImportError> {
        let is_array = self.is_array(&element);
        let (mut members, mut items, mut own) = (element.attributes, Vec::new(), String::new());
        loop {
            match self.inner()? {
                Next::Child(child) => {
                    let name = child.name.clone();
                    let value = self.value(child)?;
                    if is_array {
                        items.push(value);
                        continue;
                    }
                    match members.get_mut(&name) {
                        None => drop(members.insert(name, value)),
                        Some(Json::Array(values)) if !self.arrays.contains(&name.as_str()) => values.push(value),
                        Some(first) => *first = Json::Array(vec![first.take(), value]),
                    }
                }
                Next::Text(text) => own.push_str(&text),
                Next::End => break,
            }
        }
        self.path.pop();
        if is_array {
            return Ok(Json::Array(items));
        }
        let own = own.trim();
        if members.is_empty() {
            return Ok(Json::from(own));
        }
        if !own.is_empty() {
            members.insert(TEXT.to_owned(), Json::from(own));
        }
        Ok(Json::Object(members))
    }

    fn truncated(&self, expected: &str) -> ImportError {
        ImportError::Truncated { expected: expected.to_owned(), position: Position::default() }
    }

    /// What the parser says is wrong. At the end of the bytes it is that something is missing.
    fn broken(&self, error: &Error) -> ImportError {
        if let Error::Io(error) = error {
            return match error.get_ref().and_then(|inner| inner.downcast_ref::<LimitPassed>()) {
                Some(LimitPassed(limit)) => ImportError::TooLarge(limit.clone()),
                None => io::Error::new(error.kind(), error.to_string()).into(),
            };
        }
        let expected = text::one_line(&error.to_string(), 300);
        if self.reader.get_ref().ended {
            return self.truncated(&expected);
        }
        malformed(format!("not the expected XML: {expected}"))
    }

    /// An error with its position: where the current record begins, else where the reader is.
    fn placed(&self, mut error: ImportError) -> ImportError {
        let (is_truncated, position) = match &mut error {
            ImportError::Malformed { position, .. } => (false, position),
            ImportError::Truncated { position, .. } => (true, position),
            _ => return error,
        };
        if position.line.is_none() {
            let here = self.reader.get_ref().place();
            let (line, column) = if is_truncated { here } else { self.begins.unwrap_or(here) };
            let mut path = self.path.join(".").replace(".[", "[");
            if !position.path.is_empty() && !path.is_empty() {
                path.push('.');
            }
            path.push_str(&position.path);
            *position = Position { line: Some(line), column: Some(column), path: text::one_line(&path, 200) };
        }
        error
    }
}

/// A value that is known already, as what the importer wants.
pub(crate) fn known<'a, T: Deserialize<'a>>(value: &'a Json) -> Result<T, ImportError> {
    T::deserialize(value).map_err(|error| malformed(text::one_line(&error.to_string(), 400)))
}

fn element(start: &BytesStart<'_>, version: XmlVersion) -> Result<Element, Error> {
    let mut attributes = Map::new();
    for attribute in start.attributes() {
        let attribute = attribute?;
        let name = attribute.key.as_ref();
        if name != "xmlns" && !name.starts_with("xmlns:") {
            let value = attribute.normalized_value(version)?;
            attributes.insert(attribute.key.local_name().as_ref().to_owned(), Json::from(value.into_owned()));
        }
    }
    Ok(Element { name: start.local_name().as_ref().to_owned(), attributes })
}

/// One of the five entities that every document has, or a character by its number.
fn resolved(reference: &BytesRef<'_>) -> Result<String, ImportError> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Ok(character.to_string());
    }
    let name: &str = reference;
    match quick_xml::escape::resolve_predefined_entity(name) {
        Some(text) => Ok(text.to_owned()),
        None => Err(malformed(format!("the entity “{}” is not known", text::one_line(name, 40)))),
    }
}

/// Counts lines, and refuses records that are too large.
pub(crate) struct Lines<R> {
    inner: R,
    lines: u64,
    column: u64,
    /// Bytes since the current record began.
    since: usize,
    ended: bool,
}

impl<R> Lines<R> {
    const fn new(inner: R) -> Self {
        Self { inner, lines: 0, column: 0, since: 0, ended: false }
    }

    /// Line and column of the next byte, from 1.
    const fn place(&self) -> (u64, u64) {
        (self.lines + 1, self.column + 1)
    }
}

impl<R: BufRead> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl<R: BufRead> BufRead for Lines<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.since > MAX_RECORD_BYTES {
            let limit = MAX_RECORD_BYTES >> 20;
            return Err(io::Error::other(LimitPassed(format!(
                "an element is larger than {limit} MiB, the limit for one record"
            ))));
        }
        let bytes = self.inner.fill_buf()?;
        self.ended = bytes.is_empty();
        Ok(bytes)
    }

    fn consume(&mut self, amount: usize) {
        let bytes = self.inner.fill_buf().unwrap_or_default();
        let bytes = &bytes[..amount.min(bytes.len())];
        match memchr::memrchr(b'\n', bytes) {
            Some(end) => {
                self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
                self.column = (bytes.len() - end - 1) as u64;
            }
            None => self.column += bytes.len() as u64,
        }
        self.since += amount;
        self.inner.consume(amount);
    }
}
