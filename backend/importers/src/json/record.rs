//! What records are read as.
//!
//! A record lives only while it is looked at, so its texts may stay where they are, in the window. What is kept is copied once,
//! after it was cut and redacted.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, Visitor};

/// A type that records are read as. One that borrows names itself with the lifetime of the record: for
/// `Issue<'static>` that is `type Of<'a> = Issue<'a>`.
pub(crate) trait Record {
    type Of<'a>: Deserialize<'a>;
}

/// A type that borrows nothing.
pub(crate) struct Owned<T>(PhantomData<T>);

impl<T: DeserializeOwned> Record for Owned<T> {
    type Of<'a> = T;
}

/// A text of a record. Those without escapes, which most are, are not copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl<'a> From<&'a Text<'_>> for Cow<'a, str> {
    fn from(text: &'a Text<'_>) -> Self {
        Cow::Borrowed(text)
    }
}

impl<'a> From<Text<'a>> for Cow<'a, str> {
    fn from(text: Text<'a>) -> Self {
        text.0
    }
}

impl From<Text<'_>> for serde_json::Value {
    fn from(text: Text<'_>) -> Self {
        Self::String(text.0.into_owned())
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }
        json.deserialize_str(Texts)
    }
}
