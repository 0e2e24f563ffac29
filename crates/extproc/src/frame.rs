//! Envoy's protobuf messages as typed frames.

use crate::exchange::{Headers, RequestHead, ResponseHead, ResponseInterest};
use crate::options::BodyMode;
use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue, Metadata as WireMetadata};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    HttpBody, HttpHeaders, ProcessingRequest, processing_request::Request,
};
use envoy_types::pb::google::protobuf::{ListValue, Struct, Value as WireValue, value::Kind};
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

/// One message of Envoy.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    RequestHeaders(RequestHead),
    RequestBody(Piece),
    RequestTrailers,
    ResponseHeaders(ResponseHead),
    ResponseBody(Piece),
    ResponseTrailers,
}

/// A piece of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: bool,
}

impl Frame {
    /// Reads a message; `None` if it carries no phase.
    pub(crate) fn read(message: ProcessingRequest) -> Option<Self> {
        Some(match message.request? {
            Request::RequestHeaders(wire) => {
                let (headers, end_of_stream) = head(wire);
                let metadata = message.metadata_context.map(metadata).unwrap_or_default();
                Self::RequestHeaders(RequestHead {
                    headers,
                    end_of_stream,
                    metadata,
                    // The session knows the modes; a frame does not.
                    offer: ResponseInterest::Nothing,
                    rewritable: false,
                    unhurried: false,
                    attempt: false,
                })
            }
            Request::RequestBody(wire) => Self::RequestBody(piece(wire)),
            Request::RequestTrailers(_) => Self::RequestTrailers,
            Request::ResponseHeaders(wire) => {
                let (headers, end_of_stream) = head(wire);
                let metadata = message.metadata_context.map(metadata).unwrap_or_default();
                Self::ResponseHeaders(ResponseHead {
                    headers,
                    end_of_stream,
                    metadata,
                })
            }
            Request::ResponseBody(wire) => Self::ResponseBody(piece(wire)),
            Request::ResponseTrailers(_) => Self::ResponseTrailers,
        })
    }

    /// What the frame is, for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::RequestHeaders(_) => "request headers",
            Self::RequestBody(_) => "a request body",
            Self::RequestTrailers => "request trailers",
            Self::ResponseHeaders(_) => "response headers",
            Self::ResponseBody(_) => "a response body",
            Self::ResponseTrailers => "response trailers",
        }
    }
}

/// What the first message says about the whole stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opening {
    /// Request and response body modes, where declared.
    pub(crate) modes: Option<(BodyMode, BodyMode)>,
    /// Envoy waits for no reply and takes none.
    pub(crate) observing: bool,
}

impl Opening {
    pub(crate) fn read(message: &ProcessingRequest) -> Self {
        let modes = message
            .protocol_config
            .map(|it| (mode(it.request_body_mode), mode(it.response_body_mode)));
        Self {
            modes,
            observing: message.observability_mode,
        }
    }
}

/// A mode that we do not know (GRPC, or a newer one) is as unusable as STREAMED, and treated like
/// it.
fn mode(wire: i32) -> BodyMode {
    match BodySendMode::try_from(wire) {
        Ok(BodySendMode::None) => BodyMode::None,
        Ok(BodySendMode::Buffered) => BodyMode::Buffered,
        Ok(BodySendMode::BufferedPartial) => BodyMode::BufferedPartial,
        Ok(BodySendMode::FullDuplexStreamed) => BodyMode::FullDuplex,
        _ => BodyMode::Streamed,
    }
}

fn piece(wire: HttpBody) -> Piece {
    Piece {
        bytes: wire.body,
        end: wire.end_of_stream,
    }
}

fn head(wire: HttpHeaders) -> (Headers, bool) {
    (
        Headers::new(wire.headers.map(entries).unwrap_or_default()),
        wire.end_of_stream,
    )
}

/// The pairs of a header map, names in lower case.
pub(crate) fn entries(map: HeaderMap) -> Vec<(String, Bytes)> {
    map.headers.into_iter().map(entry).collect()
}

fn entry(
    HeaderValue {
        mut key,
        value,
        raw_value,
    }: HeaderValue,
) -> (String, Bytes) {
    key.make_ascii_lowercase();
    let value = if raw_value.is_empty() {
        Bytes::from(value)
    } else {
        Bytes::from(raw_value)
    };
    (key, value)
}

fn metadata(wire: WireMetadata) -> BTreeMap<String, Value> {
    wire.filter_metadata
        .into_iter()
        .map(|(namespace, fields)| (namespace, object(fields)))
        .collect()
}

/// A protobuf struct as a JSON object, keys sorted (protobuf maps have no order).
pub(crate) fn object(wire: Struct) -> Value {
    let sorted: BTreeMap<_, _> = wire.fields.into_iter().collect();
    Value::Object(
        sorted
            .into_iter()
            .map(|(key, value)| (key, json(value)))
            .collect::<Map<_, _>>(),
    )
}

fn json(wire: WireValue) -> Value {
    match wire.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(number)) => json_number(number),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::BoolValue(flag)) => Value::Bool(flag),
        Some(Kind::StructValue(fields)) => object(fields),
        Some(Kind::ListValue(list)) => Value::Array(list.values.into_iter().map(json).collect()),
    }
}

/// Whole numbers become JSON integers, as they were before protobuf made them doubles (`exp` of a
/// JWT, for one).
fn json_number(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "guarded: whole and within the exact range of a double"
    )]
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Value::Number(Number::from(number as i64));
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// A JSON object as a protobuf struct; anything else as an empty one.
pub(crate) fn wire_struct(value: Value) -> Struct {
    let Value::Object(fields) = value else {
        return Struct::default();
    };
    Struct {
        fields: fields
            .into_iter()
            .map(|(key, value)| (key, wire_value(value)))
            .collect(),
    }
}

/// A JSON value as a protobuf value.
pub(crate) fn wire_value(value: Value) -> WireValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(values) => Kind::ListValue(ListValue {
            values: values.into_iter().map(wire_value).collect(),
        }),
        object @ Value::Object(_) => Kind::StructValue(wire_struct(object)),
    };
    WireValue { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_survives_protobuf() {
        for case in [
            json!({}),
            json!({"sub": "ann", "exp": 1_900_000_000, "score": 0.25, "ok": true, "none": null}),
            json!({"groups": ["a", "b", {"deep": [1, 2, -3]}], "nested": {"k": {"k": "v"}}}),
        ] {
            assert_eq!(object(wire_struct(case.clone())), case);
        }
    }

    #[test]
    fn headers_are_lower_case_and_raw_first() {
        let pair = |key: &str, value: &str, raw: &[u8]| HeaderValue {
            key: key.into(),
            value: value.into(),
            raw_value: raw.to_vec(),
        };
        let map = HeaderMap {
            headers: vec![pair("X-A", "text", b""), pair("x-b", "", b"\xffraw")],
        };
        let expected = vec![
            ("x-a".to_owned(), "text".into()),
            ("x-b".to_owned(), Bytes::from_static(b"\xffraw")),
        ];
        assert_eq!(entries(map), expected);
    }

    #[test]
    fn unknown_modes_are_as_unusable_as_streamed() {
        let cases = [
            (0, BodyMode::None),
            (1, BodyMode::Streamed),
            (2, BodyMode::Buffered),
            (3, BodyMode::BufferedPartial),
            (4, BodyMode::FullDuplex),
            (5, BodyMode::Streamed),
            (77, BodyMode::Streamed),
        ];
        for (wire, expected) in cases {
            assert_eq!(mode(wire), expected, "{wire}");
        }
    }
}
