//! Streaming JSON: one record in memory at a time, whatever the size of the report.
//!
//! Objects and arrays that hold records are walked with serde's visitors over a reader; each record alone is made a value.
//! [`Reading`] knows the path in the document (for error messages) and refuses a record larger than [`MAX_RECORD_BYTES`].

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::{ImportError, Position, Source, text};

/// The largest record, and the largest value that is skipped in one piece.
pub(crate) const MAX_RECORD_BYTES: u64 = 8 << 20;

const BUFFER_BYTES: usize = 64 << 10;

enum Step {
    Key(String),
    Index(usize),
}

/// The state of reading one document.
#[derive(Default)]
pub(crate) struct Reading {
    path: RefCell<Vec<Step>>,
    /// Bytes that may still be read before the current record is too large.
    budget: Cell<u64>,
    exhausted: Cell<bool>,
    /// An error of ours on its way through serde.
    failure: RefCell<Option<ImportError>>,
}

/// Walks the whole document, an object, giving its members to `members`.
pub(crate) fn read_object<M: Members>(
    source: &dyn Source,
    what: &'static str,
    members: &mut M,
) -> Result<(), ImportError> {
    let reading = Reading::default();
    reading.budget.set(MAX_RECORD_BYTES);
    let reader = Budgeted { inner: without_bom(source.open()?)?, reading: &reading };
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(BUFFER_BYTES, reader));
    let walk = Object { reading: &reading, what, members }.deserialize(&mut json);
    walk.and_then(|()| json.end()).map_err(|error| reading.error(&error))
}

/// Receives the members of an object in the order of the document.
pub(crate) trait Members {
    fn member<'de, A: MapAccess<'de>>(&mut self, key: &str, value: Value<'_, A>) -> Result<(), A::Error>;
}

/// The value of a member, to be taken in one of these ways.
pub(crate) struct Value<'a, A> {
    map: &'a mut A,
    reading: &'a Reading,
}

impl<'de, A: MapAccess<'de>> Value<'_, A> {
    /// Reads it as one record.
    pub(crate) fn record<T: DeserializeOwned>(self) -> Result<T, A::Error> {
        self.map.next_value()
    }

    /// Walks it as an object; `null` is an object without members.
    pub(crate) fn object<M: Members>(self, what: &'static str, members: &mut M) -> Result<(), A::Error> {
        self.map.next_value_seed(Object { reading: self.reading, what, members })
    }

    /// Walks it as an array of objects, each with the members that `each` makes for its index, given to `done` afterwards;
    /// `null` is an empty array. Returns how many there were.
    pub(crate) fn objects<M: Members>(
        self,
        what: &'static str,
        each: impl FnMut(usize) -> Result<M, ImportError>,
        done: impl FnMut(usize, M) -> Result<(), ImportError>,
    ) -> Result<usize, A::Error> {
        self.map.next_value_seed(Objects { reading: self.reading, what, each, done })
    }

    /// Reads an array record by record; `null` is an empty array. Returns how many there were.
    pub(crate) fn array<T: DeserializeOwned>(
        self,
        what: &'static str,
        done: impl FnMut(usize, T) -> Result<(), ImportError>,
    ) -> Result<usize, A::Error> {
        self.map.next_value_seed(Records { reading: self.reading, what, done, record: PhantomData })
    }

    /// Passes over it, whatever it is and however large.
    pub(crate) fn skip(self) -> Result<(), A::Error> {
        self.map.next_value_seed(Skip(self.reading)).map(|_| ())
    }

    /// Passes over it; how many elements it has, if it is an array.
    pub(crate) fn count(self) -> Result<usize, A::Error> {
        self.map.next_value_seed(Skip(self.reading))
    }
}

impl Reading {
    fn within<T, E>(&self, step: Step, walk: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.budget.set(MAX_RECORD_BYTES);
        self.path.borrow_mut().push(step);
        // After an error the path stays as it was there.
        let value = walk()?;
        self.path.borrow_mut().pop();
        Ok(value)
    }

    fn fail<E: serde::de::Error>(&self, error: ImportError) -> E {
        *self.failure.borrow_mut() = Some(error);
        E::custom("stopped")
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in self.path.borrow().iter() {
            match step {
                Step::Index(index) => path.push_str(&format!("[{index}]")),
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => path.extend([".", key]),
            }
        }
        text::truncate(&path, 200)
    }

    fn error(&self, error: &serde_json::Error) -> ImportError {
        if let Some(mut failure) = self.failure.take() {
            if let ImportError::Malformed { position, .. } | ImportError::Truncated { position, .. } = &mut failure {
                let path = std::mem::take(&mut position.path);
                *position = position_of(error, self.path());
                position.path.push_str(if path.is_empty() || position.path.is_empty() { "" } else { "." });
                position.path.push_str(&path);
            }
            return failure;
        }
        if self.exhausted.get() {
            let limit = MAX_RECORD_BYTES >> 20;
            return ImportError::TooLarge(format!(
                "{} is larger than {limit} MiB, the limit for one record",
                self.path()
            ));
        }
        json_error(error, position_of(error, self.path()))
    }
}

fn position_of(error: &serde_json::Error, path: String) -> Position {
    let known = |n: usize| u64::try_from(n).ok().filter(|n| *n > 0);
    Position { line: known(error.line()), column: known(error.column()), path }
}

/// An error of serde_json as one of ours.
pub(crate) fn json_error(error: &serde_json::Error, position: Position) -> ImportError {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let message = ["i64", "u64", "u32"]
        .iter()
        .fold(message.to_owned(), |text, int| text.replace(&format!("expected {int}"), "expected a whole number"));
    let place = if position.path.is_empty() { String::new() } else { format!("in {}: ", position.path) };
    let expected = text::one_line(&format!("{place}{message}"), 400);
    match error.classify() {
        serde_json::error::Category::Io => ImportError::Io(io::Error::other(expected)),
        serde_json::error::Category::Eof => ImportError::Truncated { expected, position },
        _ => ImportError::Malformed { expected: format!("not the expected JSON {expected}"), position },
    }
}

struct Object<'a, M> {
    reading: &'a Reading,
    what: &'static str,
    members: &'a mut M,
}

impl<'de, M: Members> DeserializeSeed<'de> for Object<'_, M> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, M: Members> Visitor<'de> for Object<'_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let step = Step::Key(text::truncate(&key, 60));
            self.reading.within(step, || self.members.member(&key, Value { map: &mut map, reading: self.reading }))?;
        }
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        // The document itself must be an object.
        if self.reading.path.borrow().is_empty() {
            Err(E::invalid_type(serde::de::Unexpected::Unit, &self))
        } else {
            Ok(())
        }
    }
}

/// An array of records.
struct Records<'a, T, F> {
    reading: &'a Reading,
    what: &'static str,
    done: F,
    record: PhantomData<T>,
}

impl<'de, T: DeserializeOwned, F: FnMut(usize, T) -> Result<(), ImportError>> DeserializeSeed<'de>
    for Records<'_, T, F>
{
    type Value = usize;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, T: DeserializeOwned, F: FnMut(usize, T) -> Result<(), ImportError>> Visitor<'de> for Records<'_, T, F> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<usize, A::Error> {
        let mut index = 0;
        loop {
            let more = self.reading.within(Step::Index(index), || {
                let Some(record) = seq.next_element()? else { return Ok(false) };
                (self.done)(index, record).map_err(|error| self.reading.fail(error))?;
                Ok(true)
            })?;
            if !more {
                return Ok(index);
            }
            index += 1;
        }
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<usize, E> {
        Ok(0)
    }
}

/// An array of objects that are walked.
struct Objects<'a, E, F> {
    reading: &'a Reading,
    what: &'static str,
    each: E,
    done: F,
}

impl<'de, M, E, F> DeserializeSeed<'de> for Objects<'_, E, F>
where
    M: Members,
    E: FnMut(usize) -> Result<M, ImportError>,
    F: FnMut(usize, M) -> Result<(), ImportError>,
{
    type Value = usize;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, M, E, F> Visitor<'de> for Objects<'_, E, F>
where
    M: Members,
    E: FnMut(usize) -> Result<M, ImportError>,
    F: FnMut(usize, M) -> Result<(), ImportError>,
{
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<usize, A::Error> {
        let mut index = 0;
        loop {
            let more = self.reading.within(Step::Index(index), || {
                let mut members = (self.each)(index).map_err(|error| self.reading.fail(error))?;
                let object = Object { reading: self.reading, what: "an object", members: &mut members };
                if seq.next_element_seed(object)?.is_none() {
                    return Ok(false);
                }
                (self.done)(index, members).map_err(|error| self.reading.fail(error))?;
                Ok(true)
            })?;
            if !more {
                return Ok(index);
            }
            index += 1;
        }
    }

    fn visit_unit<X: serde::de::Error>(self) -> Result<usize, X> {
        Ok(0)
    }
}

/// Any value, passed over element by element, so that a large array is no large record. Gives the number of elements.
struct Skip<'a>(&'a Reading);

impl<'de> DeserializeSeed<'de> for Skip<'_> {
    type Value = usize;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<usize, A::Error> {
        let mut index = 0;
        while self.0.within(Step::Index(index), || seq.next_element::<IgnoredAny>())?.is_some() {
            index += 1;
        }
        Ok(index)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<usize, A::Error> {
        while map.next_key::<IgnoredAny>()?.is_some() {
            self.0.budget.set(MAX_RECORD_BYTES);
            map.next_value::<IgnoredAny>()?;
        }
        Ok(0)
    }

    fn visit_bool<E>(self, _: bool) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_i64<E>(self, _: i64) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_u64<E>(self, _: u64) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_f64<E>(self, _: f64) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_str<E>(self, _: &str) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_unit<E>(self) -> Result<usize, E> {
        Ok(0)
    }
}

/// Refuses to read on when the current record's budget is used up.
struct Budgeted<'a, R> {
    inner: R,
    reading: &'a Reading,
}

impl<R: Read> Read for Budgeted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(left) = self.reading.budget.get().checked_sub(1) else {
            self.reading.exhausted.set(true);
            return Err(io::Error::other("record too large"));
        };
        let read = self.inner.read(buffer)?;
        self.reading.budget.set((left + 1).saturating_sub(read as u64));
        Ok(read)
    }
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
        buffer.clear();
        let read = reader.by_ref().take(MAX_RECORD_BYTES + 1).read_until(b'\n', &mut buffer)?;
        if read == 0 {
            break;
        }
        if read as u64 > MAX_RECORD_BYTES {
            let limit = MAX_RECORD_BYTES >> 20;
            return Err(ImportError::TooLarge(format!(
                "line {number} is larger than {limit} MiB, the limit for one record"
            )));
        }
        let text = buffer.trim_ascii();
        if !text.is_empty() {
            line(number, text)?;
        }
    }
    Ok(())
}

/// Reads one line as JSON; errors name the line.
pub(crate) fn parse_line<'a, T: serde::Deserialize<'a>>(number: u64, line: &'a [u8]) -> Result<T, ImportError> {
    serde_json::from_slice(line).map_err(|error| {
        let position = Position { line: Some(number), ..position_of(&error, String::new()) };
        json_error(&error, position)
    })
}

/// For `#[serde(deserialize_with)]`: `null` counts as absent.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: serde::Deserialize<'de> + Default>(
    json: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(json).map(Option::unwrap_or_default)
}
