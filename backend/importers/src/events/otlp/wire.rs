//! The messages of an export that are read, in both encodings of OTLP; whatever else they have is passed over.
//!
//! Field numbers and names are those of `opentelemetry-proto` 1.x (`trace.proto`, `common.proto`, `resource.proto`), where they
//! are stable. The upper levels are walked and spans decoded one by one, so that no body, however it is made, takes much more
//! memory than its own size and one span.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Encoding;
use crate::ImportError;
use crate::json::{malformed, or_default};

/// The largest span, and the largest resource.
pub(super) const MAX_SPAN_BYTES: usize = 4 << 20;

/// Attributes of one span or event, events of one span.
const MAX_MEMBERS: usize = 10_000;

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "few")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Span {
    #[prost(bytes = "vec", tag = "1")]
    #[serde(deserialize_with = "id")]
    pub(super) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    #[serde(deserialize_with = "id")]
    pub(super) span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    #[serde(deserialize_with = "id")]
    pub(super) parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    pub(super) name: String,
    /// 2: server, 3: client.
    #[prost(int32, tag = "6")]
    pub(super) kind: i32,
    #[prost(fixed64, tag = "7")]
    #[serde(deserialize_with = "whole")]
    pub(super) start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    #[serde(deserialize_with = "whole")]
    pub(super) end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    #[serde(deserialize_with = "few")]
    pub(super) attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "11")]
    #[serde(deserialize_with = "few")]
    pub(super) events: Vec<SpanEvent>,
    #[prost(message, optional, tag = "15")]
    pub(super) status: Option<Status>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct SpanEvent {
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "3")]
    #[serde(deserialize_with = "few")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    /// 2: error.
    #[prost(int32, tag = "3")]
    pub(super) code: i32,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(from = "JsonValue")]
pub(super) struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 2, 3, 4, 5, 6")]
    pub(super) value: Option<Any>,
}

/// Bytes are left out: no convention puts something into them.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Any {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    Map(KeyValueList),
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub(super) values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub(super) values: Vec<KeyValue>,
}

/// [`AnyValue`] in JSON: an object with one member.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JsonValue {
    string_value: Option<String>,
    bool_value: Option<bool>,
    #[serde(deserialize_with = "optional_whole")]
    int_value: Option<i64>,
    double_value: Option<f64>,
    array_value: Option<ArrayValue>,
    kvlist_value: Option<KeyValueList>,
}

impl From<JsonValue> for AnyValue {
    fn from(json: JsonValue) -> Self {
        let value = (json.string_value.map(Any::Text))
            .or(json.bool_value.map(Any::Bool))
            .or(json.int_value.map(Any::Int))
            .or(json.double_value.map(Any::Double))
            .or(json.array_value.map(Any::Array))
            .or(json.kvlist_value.map(Any::Map));
        Self { value }
    }
}

/// Ids are hexadecimal in JSON, not Base64 as other bytes.
fn id<'de, D: Deserializer<'de>>(json: D) -> Result<Vec<u8>, D::Error> {
    let text: String = or_default(json)?;
    hex::decode(&text).map_err(|_| D::Error::custom("expected an id in hexadecimal"))
}

/// Integers of 64 bits are texts by the rules of protobuf, and numbers by the exporter of JavaScript.
#[derive(Deserialize)]
#[serde(untagged)]
enum Whole {
    Number(serde_json::Number),
    Text(String),
}

impl Whole {
    fn parse<T: std::str::FromStr, E: serde::de::Error>(self) -> Result<T, E> {
        let text = match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        };
        text.parse().map_err(|_| E::custom("expected a whole number of 64 bits"))
    }
}

fn whole<'de, D: Deserializer<'de>>(json: D) -> Result<u64, D::Error> {
    Option::<Whole>::deserialize(json)?.map_or(Ok(0), Whole::parse)
}

fn optional_whole<'de, D: Deserializer<'de>>(json: D) -> Result<Option<i64>, D::Error> {
    Option::<Whole>::deserialize(json)?.map(Whole::parse).transpose()
}

/// At most [`MAX_MEMBERS`].
fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>>(json: D) -> Result<Vec<T>, D::Error> {
    struct Few<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array")
        }

        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(item) = items.next_element()? {
                if all.len() == MAX_MEMBERS {
                    return Err(A::Error::custom(too_many()));
                }
                all.push(item);
            }
            Ok(all)
        }
    }
    json.deserialize_any(Few(std::marker::PhantomData))
}

fn too_many() -> String {
    format!("more than {MAX_MEMBERS} attributes or events in one span")
}

/// Receives what an export holds, in its order.
pub(super) trait Receiver {
    /// The spans that follow come from this resource.
    fn resource(&mut self, resource: Resource) -> Result<(), ImportError>;
    /// A span, which `read` decodes, or says why it can not be read.
    fn span(&mut self, read: &dyn Fn() -> Result<Span, String>);
}

/// Reads an export.
///
/// # Errors
/// [`ImportError::Malformed`] when it is none; one span that can not be read is no error.
pub(super) fn read(body: &[u8], encoding: Encoding, receiver: &mut dyn Receiver) -> Result<(), ImportError> {
    match encoding {
        Encoding::Protobuf => protobuf(body, receiver),
        Encoding::Json => json(body, receiver),
    }
}

fn protobuf(body: &[u8], receiver: &mut dyn Receiver) -> Result<(), ImportError> {
    for resource_spans in members(body, 1) {
        let resource_spans = resource_spans?;
        let resource = members(resource_spans, 1).last().transpose()?.unwrap_or_default();
        receiver.resource(decode(resource).map_err(malformed)?)?;
        for scope_spans in members(resource_spans, 2) {
            for span in members(scope_spans?, 2) {
                let span = span?;
                receiver.span(&|| decode(span));
            }
        }
    }
    Ok(())
}

fn decode<T: prost::Message + Default>(bytes: &[u8]) -> Result<T, String> {
    within(bytes.len())?;
    // What is repeated in the messages that are decoded: attributes and events of spans, attributes of resources.
    if Fields(bytes).filter(|field| matches!(field, Ok((1 | 9 | 11, _)))).count() > MAX_MEMBERS {
        return Err(too_many());
    }
    T::decode(bytes).map_err(|error| error.to_string())
}

fn within(bytes: usize) -> Result<(), String> {
    if bytes <= MAX_SPAN_BYTES { Ok(()) } else { Err(format!("larger than {} MiB", MAX_SPAN_BYTES >> 20)) }
}

/// The members of a message with this number.
fn members(message: &[u8], number: u64) -> impl Iterator<Item = Result<&[u8], ImportError>> {
    let wanted = Fields(message).filter(move |field| field.as_ref().map_or(true, |(n, _)| *n == number));
    wanted.map(|field| match field {
        Ok((_, bytes)) => Ok(bytes),
        Err(()) => Err(malformed("not an ExportTraceServiceRequest in protobuf")),
    })
}

/// The fields of a message that have a length, each with its number.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<Option<(u64, &'a [u8])>> {
        let key = self.varint()?;
        Some(match key & 7 {
            0 => self.varint().map(|_| None)?,
            1 => self.take(8).map(|_| None)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Some((key >> 3, self.take(length)?))
            }
            5 => self.take(4).map(|_| None)?,
            _ => return None,
        })
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, &'a [u8]), ()>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            match self.field() {
                Some(Some(field)) => return Some(Ok(field)),
                Some(None) => {}
                None => {
                    self.0 = &[];
                    return Some(Err(()));
                }
            }
        }
        None
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Export<'a> {
    #[serde(borrow, deserialize_with = "or_default")]
    resource_spans: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ResourceSpans<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "or_default")]
    scope_spans: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScopeSpans<'a> {
    #[serde(borrow, deserialize_with = "or_default")]
    spans: Vec<&'a RawValue>,
}

fn json(body: &[u8], receiver: &mut dyn Receiver) -> Result<(), ImportError> {
    fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, ImportError> {
        serde_json::from_str(json)
            .map_err(|error| malformed(format!("not an ExportTraceServiceRequest in JSON: {error}")))
    }
    let body = str::from_utf8(body).map_err(|_| malformed("not an ExportTraceServiceRequest in JSON: not UTF-8"))?;
    // An array would do for an object, member by member.
    if !body.trim_start().starts_with('{') {
        return Err(malformed("not an ExportTraceServiceRequest in JSON: expected an object"));
    }
    for resource_spans in parse::<Export<'_>>(body)?.resource_spans {
        let resource_spans: ResourceSpans<'_> = parse(resource_spans.get())?;
        let resource = resource_spans.resource.map_or("null", RawValue::get);
        within(resource.len()).map_err(malformed)?;
        receiver.resource(parse::<Option<Resource>>(resource)?.unwrap_or_default())?;
        for scope_spans in resource_spans.scope_spans {
            for span in parse::<ScopeSpans<'_>>(scope_spans.get())?.spans {
                receiver.span(&|| {
                    within(span.get().len())?;
                    serde_json::from_str(span.get()).map_err(|error| error.to_string())
                });
            }
        }
    }
    Ok(())
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Response {
    #[prost(message, optional, tag = "1")]
    pub(super) partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub(super) rejected_spans: i64,
    #[prost(string, tag = "2")]
    pub(super) error_message: String,
}
