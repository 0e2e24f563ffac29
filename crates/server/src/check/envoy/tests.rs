//! One sound bootstrap, and what each change to it is told.

use super::*;
use serde_json::json;

fn bootstrap() -> Value {
    json!({"static_resources": {
        "listeners": [{"filter_chains": [{"filters": [{"typed_config": {
            "http_filters": [{"name": "ext_proc", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
                "grpc_service": {"envoy_grpc": {"cluster_name": "merit"}},
                "processing_mode": {
                    "request_header_mode": "SEND", "request_body_mode": "FULL_DUPLEX_STREAMED",
                    "request_trailer_mode": "SEND", "response_header_mode": "SKIP", "response_body_mode": "NONE"
                },
                "metadata_options": {"receiving_namespaces": {"untyped": ["llm.router"]}}
            }}],
            "response_headers_to_add": [{"header": {"key": "x", "value": "%DYNAMIC_METADATA(llm.router:model)%"}}]
        }}]}]}],
        "clusters": [{"name": "other"}, {"name": "merit", "http2_protocol_options": {}}]
    }})
}

const FILTER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config";
const CLUSTER: &str = "/static_resources/clusters/1";

/// Changes members of the object at `pointer` (`null` removes) and expects findings, each as
/// `severity path-end`.
fn check_change(pointer: &str, change: Value, expected: &[&str]) {
    let mut document = bootstrap();
    let target = document
        .pointer_mut(pointer)
        .unwrap()
        .as_object_mut()
        .unwrap();
    for (key, value) in change.as_object().unwrap() {
        target.insert(key.clone(), value.clone());
    }
    let found = check(&document.to_string(), false);
    let got: Vec<_> = found
        .iter()
        .map(|it| format!("{} {}", it.severity, it.path))
        .collect();
    assert_eq!(got.len(), expected.len(), "{change}: {found:#?}");
    for (got, expected) in got.iter().zip(expected) {
        let (severity, end) = expected.split_once(' ').unwrap();
        assert!(
            got.starts_with(severity) && got.ends_with(end),
            "{change}: {got} is not {expected}"
        );
    }
}

fn modes(change: Value) -> Value {
    let mut modes = bootstrap()
        .pointer(&format!("{FILTER}/processing_mode"))
        .unwrap()
        .clone();
    for (key, value) in change.as_object().unwrap() {
        modes[key] = value.clone();
    }
    json!({"processing_mode": modes})
}

#[test]
fn a_sound_bootstrap_has_no_findings() {
    check_change(FILTER, json!({}), &[]);
}

#[test]
fn processing_modes() {
    let breaker = "warning clusters[1].circuit_breakers";
    for (change, expected) in [
        (
            json!({"request_body_mode": "STREAMED"}),
            &["error request_body_mode"][..],
        ),
        (
            json!({"request_body_mode": "BUFFERED_PARTIAL"}),
            &["warning request_body_mode"],
        ),
        (
            json!({"request_body_mode": "NONE"}),
            &["error request_body_mode"],
        ),
        (
            json!({"request_body_mode": null}),
            &["error request_body_mode"],
        ),
        (json!({"request_body_mode": "BUFFERED"}), &[breaker]),
        (
            json!({"request_header_mode": "SKIP"}),
            &["error request_header_mode"],
        ),
        (
            json!({"request_trailer_mode": "SKIP"}),
            &["error request_trailer_mode"],
        ),
        (
            json!({"request_trailer_mode": null}),
            &["error request_trailer_mode"],
        ),
        (json!({"response_header_mode": null}), &[breaker]),
        (json!({"response_header_mode": "DEFAULT"}), &[breaker]),
        (json!({"response_body_mode": "STREAMED"}), &[breaker]),
        (
            json!({"response_body_mode": "BUFFERED"}),
            &["warning response_body_mode", breaker],
        ),
    ] {
        check_change(FILTER, modes(change), expected);
    }
}

#[test]
fn body_on_demand_is_no_error() {
    let mut change = modes(json!({"request_body_mode": "NONE"}));
    change["allow_mode_override"] = json!(true);
    check_change(FILTER, change, &[]);
}

#[test]
fn message_timeouts() {
    for (timeout, expected) in [
        (json!(null), &[][..]),
        (json!("0.2s"), &[]),
        (json!("0s"), &[]),
        (json!("0.150s"), &["warning message_timeout"]),
        (json!("0.1s"), &["warning message_timeout"]),
    ] {
        let mut change = modes(json!({"request_body_mode": "BUFFERED_PARTIAL"}));
        change["message_timeout"] = timeout;
        let all = [&["warning request_body_mode"], expected].concat();
        check_change(FILTER, change, &all);
    }
    check_change(FILTER, json!({"message_timeout": "0.001s"}), &[]);
}

#[test]
fn metadata_and_switches() {
    let untyped = "error metadata_options.receiving_namespaces.untyped";
    let receives =
        |names: Value| json!({"metadata_options": {"receiving_namespaces": {"untyped": names}}});
    for (change, expected) in [
        (json!({"metadata_options": null}), &[untyped][..]),
        (receives(json!(["other"])), &[untyped]),
        (receives(json!(["other", "llm.router"])), &[]),
        (
            json!({"route_cache_action": "RETAIN"}),
            &["error route_cache_action"],
        ),
        (json!({"route_cache_action": "CLEAR"}), &[]),
        (
            json!({"observability_mode": true}),
            &["error observability_mode"],
        ),
        (
            json!({"disable_immediate_response": true}),
            &["error disable_immediate_response"],
        ),
        (
            json!({"failure_mode_allow": true}),
            &["warning failure_mode_allow"],
        ),
    ] {
        check_change(FILTER, change, expected);
    }
}

#[test]
fn clusters() {
    let explicit =
        json!({PROTOCOL_OPTIONS: {"explicit_http_config": {"http2_protocol_options": {}}}});
    for (change, expected) in [
        (
            json!({"http2_protocol_options": null}),
            &["error clusters[1]"][..],
        ),
        (
            json!({"http2_protocol_options": null, "typed_extension_protocol_options": explicit}),
            &[],
        ),
        (json!({"name": "elsewhere"}), &["error cluster_name"]),
    ] {
        check_change(CLUSTER, change, expected);
    }
    let mut document = bootstrap();
    document.pointer_mut(FILTER).unwrap()["processing_mode"]["request_body_mode"] =
        json!("BUFFERED");
    for (limit, found) in [(1024, 1), (4, 1), (100_000, 0)] {
        document.pointer_mut(CLUSTER).unwrap()["circuit_breakers"] =
            json!({"thresholds": [{"max_requests": limit}]});
        assert_eq!(check(&document.to_string(), false).len(), found, "{limit}");
    }
}

#[test]
fn what_is_no_bootstrap() {
    for text in ["a: [", "{}", "static_resources: {}", "- 1"] {
        let found = check(text, false);
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].severity, Severity::Error, "{text}");
    }
}

const PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

#[test]
fn namespaces_of_format_strings() {
    for (text, expected) in [
        (
            "%DYNAMIC_METADATA(a:b)% %DYNAMIC_METADATA(c.d:e:f)%",
            &["a", "c.d"][..],
        ),
        ("%DYNAMIC_METADATA(a)%", &["a"]),
        ("plain", &[]),
    ] {
        assert_eq!(metadata_namespaces(text).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn the_shipped_bootstraps_have_no_findings() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy");
    for file in [
        "route.yaml",
        "observe.yaml",
        "escalate.yaml",
        "fallback.yaml",
    ] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let found = check(&text, file == "escalate.yaml");
        assert!(found.is_empty(), "{file}: {found:#?}");
    }
}

#[test]
fn runs_need_time() {
    let mut document = bootstrap();
    let filter = document.pointer_mut(FILTER).unwrap();
    filter["processing_mode"]["request_body_mode"] = json!("BUFFERED");
    let told = |document: &Value, runs: bool| {
        let found = check(&document.to_string(), runs);
        found
            .iter()
            .any(|it| it.path.ends_with("message_timeout") && it.message.contains("several models"))
    };
    assert!(told(&document, true) && !told(&document, false));
    document.pointer_mut(FILTER).unwrap()["message_timeout"] = json!("10s");
    assert!(!told(&document, true));
    assert!(!told(&bootstrap(), true), "full duplex has no timer");
}
