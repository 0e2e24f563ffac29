//! Words that Envoy knows: it refuses a bootstrap with another one.

use super::error;
use document::{Problem, suggestion};
use serde_json::Value;

const HEADER_MODES: &[&str] = &["DEFAULT", "SEND", "SKIP"];
const BODY_MODES: &[&str] = &[
    "NONE",
    "STREAMED",
    "BUFFERED",
    "BUFFERED_PARTIAL",
    "FULL_DUPLEX_STREAMED",
    "GRPC",
];

/// The words of each key. Only keys that have one meaning wherever they stand.
const WORDS: &[(&str, &[&str])] = &[
    ("request_header_mode", HEADER_MODES),
    ("response_header_mode", HEADER_MODES),
    ("request_trailer_mode", HEADER_MODES),
    ("response_trailer_mode", HEADER_MODES),
    ("request_body_mode", BODY_MODES),
    ("response_body_mode", BODY_MODES),
    ("route_cache_action", &["DEFAULT", "CLEAR", "RETAIN"]),
    ("codec_type", &["AUTO", "HTTP1", "HTTP2", "HTTP3"]),
    (
        "path_with_escaped_slashes_action",
        &[
            "IMPLEMENTATION_SPECIFIC_DEFAULT",
            "KEEP_UNCHANGED",
            "REJECT_REQUEST",
            "UNESCAPE_AND_REDIRECT",
            "UNESCAPE_AND_FORWARD",
        ],
    ),
    (
        "append_action",
        &[
            "APPEND_IF_EXISTS_OR_ADD",
            "ADD_IF_ABSENT",
            "OVERWRITE_IF_EXISTS_OR_ADD",
            "OVERWRITE_IF_EXISTS",
        ],
    ),
    (
        "lb_policy",
        &[
            "ROUND_ROBIN",
            "LEAST_REQUEST",
            "RING_HASH",
            "RANDOM",
            "MAGLEV",
            "CLUSTER_PROVIDED",
            "LOAD_BALANCING_POLICY_CONFIG",
        ],
    ),
    ("transport_api_version", &["AUTO", "V2", "V3"]),
];

/// Finds words that Envoy does not know.
pub(super) fn check(document: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    super::walk(document, "", &mut |path, value| {
        let Value::Object(object) = value else { return };
        for (key, value) in object {
            let known = WORDS.iter().find(|(name, _)| name == key);
            let (Some((_, words)), Some(word)) = (known, value.as_str()) else {
                continue;
            };
            if !words.contains(&word) {
                let hint = suggestion(word, words.iter().copied());
                let message = format!("Envoy knows no `{word}` here{hint}");
                found.push(error(super::below(path, key), message));
            }
        }
    });
    found
}
