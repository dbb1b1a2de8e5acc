//! Streaming JSON: one record in memory at a time, whatever the size of the report.
//!
//! Objects and arrays that hold records are walked here, over a window of the text; each record alone, a slice of the window,
//! is parsed and checked by serde_json. So records cost what parsing a slice costs, the window is bounded by
//! [`MAX_RECORD_BYTES`], and every error knows its line, column and path in the document.

mod lines;
mod record;
mod tree;
mod window;

use serde::de::{Deserialize, DeserializeOwned, Deserializer};

pub(crate) use self::lines::{parse_line, read_lines};
pub(crate) use self::record::{Owned, Record, Text};
pub(crate) use self::tree::{Object, Tree};
use self::window::Json;
use crate::xml::{self, Element, Xml};
use crate::{ImportError, Position, Source, text};

/// The largest record, and the largest value that is passed over in one piece.
pub(crate) const MAX_RECORD_BYTES: usize = 8 << 20;

/// A record that goes on behind what was read is read again, so the more the better. Small in tests, so that every boundary is met.
const BUFFER_BYTES: usize = if cfg!(test) { 13 } else { 256 << 10 };

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
        self.record_of::<Owned<T>, _>(Ok)
    }

    /// Reads it as one record that may borrow its texts.
    pub(crate) fn record_of<R: Record, T>(
        self,
        done: impl FnOnce(R::Of<'_>) -> Result<T, ImportError>,
    ) -> Result<T, ImportError> {
        match self {
            Self::Json(json) => json.record::<R, _>(done),
            Self::Xml(xml, element) => xml.record::<R, _>(element, done),
            Self::Known(value) => done(xml::known(&value)?),
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
        done: impl FnMut(usize, T) -> Result<(), ImportError>,
    ) -> Result<usize, ImportError> {
        self.array_of::<Owned<T>>(what, done)
    }

    /// [`Self::array`] of records that may borrow their texts.
    pub(crate) fn array_of<R: Record>(
        self,
        what: &'static str,
        mut done: impl FnMut(usize, R::Of<'_>) -> Result<(), ImportError>,
    ) -> Result<usize, ImportError> {
        match self {
            Self::Json(json) => json.array(what, |json, index| json.record::<R, _>(|record| done(index, record))),
            Self::Xml(xml, _) => {
                xml.array(|xml, element, index| xml.record::<R, _>(element, |record| done(index, record)))
            }
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

/// What serde_json says is wrong, without the position.
fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let number = ["i64", "u64", "u32"].iter();
    let message = number
        .fold(message.to_owned(), |text, int| text.replace(&format!("expected {int}"), "expected a whole number"));
    text::one_line(&message, 400)
}

/// For `#[serde(deserialize_with)]`: `null` counts as absent.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(json: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(json).map(Option::unwrap_or_default)
}

/// The member of an object, as a text that is not empty.
pub(crate) fn text_of<'a>(object: &'a serde_json::Map<String, serde_json::Value>, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}
