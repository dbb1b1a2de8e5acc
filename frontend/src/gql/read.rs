//! Data of a reply as the types that its document declares.
//!
//! `serde_json` would compile a parser for every type, each with two forms for every struct: that was a third of the browser's
//! module. Here the text becomes one [`Value`] first, and a struct takes its fields from it by name, in their order.

use std::fmt;

use serde::{
    Deserialize,
    de::{
        self, Deserializer, IntoDeserializer, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Map, Value};

/// Reads a value as `T`. Fields that `T` does not name are ignored, missing ones are read as null.
///
/// # Errors
/// With the field whose value has another type.
pub fn read<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, Mismatch> {
    T::deserialize(Node(value))
}

/// A value is not of the type that the document declares.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// The innermost field.
    field: Option<&'static str>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unexpected value of ")?;
        f.write_str(self.field.unwrap_or("the whole"))
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    // Messages are dropped unread, so that nothing of them is compiled: the field's name says enough.
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::default()
    }

    fn invalid_type(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::default()
    }

    fn invalid_value(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::default()
    }

    fn invalid_length(_: usize, _: &dyn de::Expected) -> Self {
        Self::default()
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self::default()
    }
}

#[derive(Clone, Copy)]
struct Node<'de>(&'de Value);

impl<'de> IntoDeserializer<'de, Mismatch> for Node<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => visitor.visit_i64(value),
                (None, Some(value)) => visitor.visit_f64(value),
                (None, None) => Err(Mismatch::default()),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(Node))),
            Value::Object(map) => {
                visitor.visit_map(MapDeserializer::new(map.iter().map(|(key, value)| (key.as_str(), Node(value)))))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_bool(self.0.as_bool().ok_or_else(Mismatch::default)?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_i64(self.0.as_i64().ok_or_else(Mismatch::default)?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_f64(self.0.as_f64().ok_or_else(Mismatch::default)?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_borrowed_str(self.0.as_str().ok_or_else(Mismatch::default)?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let items = self.0.as_array().ok_or_else(Mismatch::default)?;
        visitor.visit_seq(SeqDeserializer::new(items.iter().map(Node)))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_seq(Fields { map: self.0.as_object().ok_or_else(Mismatch::default)?, left: fields })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_enum(self.0.as_str().ok_or_else(Mismatch::default)?.into_deserializer())
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 char bytes byte_buf unit unit_struct newtype_struct tuple tuple_struct map identifier ignored_any
    }
}

/// The fields of a struct in the order in which it wants them.
struct Fields<'de> {
    map: &'de Map<String, Value>,
    left: &'static [&'static str],
}

impl<'de> de::SeqAccess<'de> for Fields<'de> {
    type Error = Mismatch;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mismatch> {
        let Some((name, rest)) = self.left.split_first() else { return Ok(None) };
        self.left = rest;
        let value = self.map.get(*name).unwrap_or(&Value::Null);
        seed.deserialize(Node(value)).map(Some).map_err(|error| Mismatch { field: error.field.or(Some(name)) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "camelCase")]
    struct Thing {
        title: String,
        first_seen: Option<String>,
        risk: f64,
        parts: Vec<Part>,
        evidence: Value,
        word: Word,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Part {
        count: i64,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    enum Word {
        #[serde(rename = "ON")]
        On,
    }

    fn whole() -> Value {
        json!({
            "word": "ON", "title": "a", "unasked": 1, "risk": 3, "parts": [{ "count": 7 }],
            "evidence": { "a": [1, 2.5, "x", null, { "b": false }] }
        })
    }

    #[test]
    fn fields_are_taken_by_name() {
        let value = whole();
        let thing: Thing = read(&value).unwrap();
        assert_eq!(thing.evidence, value["evidence"]);
        assert_eq!((thing.title.as_str(), thing.first_seen, thing.risk), ("a", None, 3.0));
        assert_eq!((thing.parts, thing.word), (vec![Part { count: 7 }], Word::On));
    }

    #[test]
    fn a_wrong_type_is_named_by_its_field() {
        for (pointer, wrong, field) in [
            ("/title", Value::Null, "title"),
            ("/parts/0/count", json!("7"), "count"),
            ("/parts/0", json!(7), "parts"),
            ("/word", json!("OFF"), "word"),
            ("/risk", json!("high"), "risk"),
        ] {
            let mut value = whole();
            *value.pointer_mut(pointer).unwrap() = wrong;
            assert_eq!(read::<Thing>(&value), Err(Mismatch { field: Some(field) }), "{pointer}");
        }
        assert_eq!(read::<Thing>(&Value::Null), Err(Mismatch { field: None }));
    }
}
