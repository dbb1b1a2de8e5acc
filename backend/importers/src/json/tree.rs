//! Records of which little is kept, and which a tool may nest as it likes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::record::{Record, Text};

/// A JSON value whose texts may stay where they are. What is kept of it becomes a [`Value`].
#[derive(Clone, Debug)]
pub(crate) enum Tree<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Text<'a>),
    Array(Vec<Tree<'a>>),
    Object(Object<'a>),
}

/// The members of an object, as they stand there. Of two of one name the last counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object<'a>(Vec<(Text<'a>, Tree<'a>)>);

impl<'a> Object<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&Tree<'a>> {
        self.0.iter().rfind(|(known, _)| known.as_str() == name).map(|(_, value)| value)
    }

    /// The object under a member.
    pub(crate) fn object(&self, name: &str) -> Option<&Self> {
        self.get(name)?.as_object()
    }

    /// What stands in the array under a member.
    pub(crate) fn array(&self, name: &str) -> &[Tree<'a>] {
        if let Some(Tree::Array(items)) = self.get(name) { items } else { &[] }
    }

    /// The objects in the array under a member.
    pub(crate) fn objects(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.array(name).iter().filter_map(Tree::as_object)
    }

    /// The text under a member, unless it is empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    /// The whole number from 0 under a member.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        if let Tree::Number(number) = self.get(name)? { number.as_u64() } else { None }
    }
}

impl<'a> Tree<'a> {
    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    fn as_object(&self) -> Option<&Object<'a>> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }
}

impl From<&Tree<'_>> for Value {
    fn from(tree: &Tree<'_>) -> Self {
        match tree {
            Tree::Null => Self::Null,
            Tree::Bool(truth) => Self::Bool(*truth),
            Tree::Number(number) => Self::Number(number.clone()),
            Tree::Text(text) => Self::from(text.as_str()),
            Tree::Array(items) => items.iter().map(Self::from).collect(),
            Tree::Object(object) => object.into(),
        }
    }
}

impl From<&Object<'_>> for Value {
    fn from(object: &Object<'_>) -> Self {
        let members = object.0.iter().map(|(name, value)| (name.as_str().to_owned(), Self::from(value)));
        Self::Object(members.collect::<Map<_, _>>())
    }
}

impl Record for Object<'static> {
    type Of<'a> = Object<'a>;
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Objects;
        impl<'de> Visitor<'de> for Objects {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<'de>, A::Error> {
                object(members)
            }
        }
        json.deserialize_map(Objects)
    }
}

fn object<'de, A: MapAccess<'de>>(mut members: A) -> Result<Object<'de>, A::Error> {
    let mut object = Object::default();
    while let Some(member) = members.next_entry()? {
        object.0.push(member);
    }
    Ok(object)
}

impl<'de: 'a, 'a> Deserialize<'de> for Tree<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Trees;
        impl<'de> Visitor<'de> for Trees {
            type Value = Tree<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any valid JSON value")
            }

            fn visit_unit<E: Error>(self) -> Result<Tree<'de>, E> {
                Ok(Tree::Null)
            }

            fn visit_bool<E: Error>(self, truth: bool) -> Result<Tree<'de>, E> {
                Ok(Tree::Bool(truth))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Tree<'de>, E> {
                Ok(Tree::Number(number.into()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Tree<'de>, E> {
                Ok(Tree::Number(number.into()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Tree<'de>, E> {
                Ok(Number::from_f64(number).map_or(Tree::Null, Tree::Number))
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Tree<'de>, E> {
                Ok(Tree::Text(text.into()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Tree<'de>, E> {
                Ok(Tree::Text(text.to_owned().into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree<'de>, A::Error> {
                let mut array = Vec::new();
                while let Some(item) = items.next_element()? {
                    array.push(item);
                }
                Ok(Tree::Array(array))
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Tree<'de>, A::Error> {
                object(members).map(Tree::Object)
            }
        }
        json.deserialize_any(Trees)
    }
}
