//! One sound bootstrap, and what each change to it is told.

use super::*;
use serde_json::json;

fn bootstrap() -> Value {
    json!({"static_resources": {
        "listeners": [{"filter_chains": [{"filters": [{"typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "path_with_escaped_slashes_action": "REJECT_REQUEST",
            "early_header_mutation_extensions": [{"typed_config": {"mutations": [
                {"remove": "x-selected-model"}, {"remove_on_match": {"key_matcher": {"prefix": "x-merit-"}}}
            ]}}],
            "route_config": {"virtual_hosts": [{"routes": [
                {"match": {"prefix": "/", "headers": [{"name": "x-selected-model"}, {"name": "x-merit-fallback-model"}]},
                    "route": {"cluster": "small", "timeout": "0s"}},
                {"match": {"prefix": "/x"}, "redirect": {}}
            ]}]},
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
const MANAGER_CONFIG: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
const ROUTE: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes/0/route";
const CALLS: &str = "http://localhost:8899/v1/chat/completions";
const CLUSTER: &str = "/static_resources/clusters/1";

/// A document beside the bootstrap has Merit call models.
fn calling() -> Wanted {
    Wanted {
        calls: vec![CALLS.to_owned()],
        ..Wanted::default()
    }
}

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
    let found = check(&document.to_string(), &Wanted::default());
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
fn a_filter_of_attempts_shares_merits_metadata() {
    let attempt = json!({"initial_metadata": [{"key": "x-merit-attempt", "value": "true"}], "envoy_grpc": {"cluster_name": "merit"}});
    let names = |forwarded: Value, received: Value| {
        json!({"grpc_service": attempt, "metadata_options": {
            "forwarding_namespaces": {"untyped": forwarded}, "receiving_namespaces": {"untyped": received}}})
    };
    let warned = &["warning metadata_options"][..];
    for (change, expected) in [
        (names(json!(["merit"]), json!(["merit"])), &[][..]),
        (names(json!(["other"]), json!(["merit"])), warned),
        (names(json!(["merit"]), json!([])), warned),
        (
            json!({"grpc_service": attempt, "metadata_options": null}),
            warned,
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
        assert_eq!(
            check(&document.to_string(), &Wanted::default()).len(),
            found,
            "{limit}"
        );
    }
}

#[test]
fn what_is_no_bootstrap() {
    for text in ["a: [", "{}", "static_resources: {}", "- 1"] {
        let found = check(text, &Wanted::default());
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
        "buffered.yaml",
        "fallback.yaml",
    ] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let runs = file == "escalate.yaml";
        let wanted = Wanted {
            header: "x-selected-model".to_owned(),
            models: vec!["small".to_owned(), "large".to_owned()],
            calls: runs.then(|| CALLS.to_owned()).into_iter().collect(),
            ..Wanted::default()
        };
        let found = check(&text, &wanted);
        assert!(found.is_empty(), "{file}: {found:#?}");
    }
}

#[test]
fn runs_need_time() {
    let mut document = bootstrap();
    let filter = document.pointer_mut(FILTER).unwrap();
    filter["processing_mode"]["request_body_mode"] = json!("BUFFERED");
    let told = |document: &Value, runs: bool| {
        let wanted = if runs { calling() } else { Wanted::default() };
        let found = check(&document.to_string(), &wanted);
        found
            .iter()
            .any(|it| it.path.ends_with("message_timeout") && it.message.contains("several models"))
    };
    assert!(told(&document, true) && !told(&document, false));
    document.pointer_mut(FILTER).unwrap()["message_timeout"] = json!("10s");
    assert!(!told(&document, true));
    assert!(!told(&bootstrap(), true), "full duplex has no timer");
}

#[test]
fn routes_that_cut_answers() {
    let retry = json!({"retry_on": "5xx", "num_retries": 1});
    for (change, expected) in [
        (json!({"timeout": null}), &["warning routes[0].route"][..]),
        (
            json!({"timeout": "30s"}),
            &["warning routes[0].route.timeout"],
        ),
        (json!({"timeout": "3600s"}), &[]),
        (
            json!({"idle_timeout": "5s"}),
            &["warning routes[0].route.idle_timeout"],
        ),
        (json!({"idle_timeout": "0s"}), &[]),
        (
            json!({"max_stream_duration": {"max_stream_duration": "60s"}}),
            &["warning routes[0].route.max_stream_duration"],
        ),
        (
            json!({"retry_policy": retry}),
            &["warning routes[0].route.retry_policy"],
        ),
        (
            json!({"retry_policy": {"per_try_idle_timeout": "300s"}}),
            &[],
        ),
    ] {
        check_change(ROUTE, change, expected);
    }
    check_change(
        MANAGER_CONFIG,
        json!({"stream_idle_timeout": "10s"}),
        &["warning stream_idle_timeout"],
    );
}

#[test]
fn what_clients_can_spell_or_set_themselves() {
    let early = "warning early_header_mutation_extensions";
    let slashes = "warning path_with_escaped_slashes_action";
    let removes = |mutations: Value| json!({"early_header_mutation_extensions": [{"typed_config": {"mutations": mutations}}]});
    for (change, expected) in [
        (
            json!({"early_header_mutation_extensions": null}),
            &[early][..],
        ),
        (removes(json!([{"remove": "x-selected-model"}])), &[early]),
        (
            removes(json!([{"remove": "X-Selected-Model"}, {"remove": "x-merit-fallback-model"}])),
            &[],
        ),
        (
            json!({"path_with_escaped_slashes_action": null}),
            &[slashes],
        ),
        (
            json!({"path_with_escaped_slashes_action": "KEEP_UNCHANGED"}),
            &[slashes],
        ),
        (
            json!({"path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD"}),
            &[],
        ),
    ] {
        check_change(MANAGER_CONFIG, change, expected);
    }
}

#[test]
fn words_that_envoy_does_not_know() {
    let body = "error processing_mode.request_body_mode";
    check_change(
        FILTER,
        modes(json!({"request_body_mode": "FULL_DUPLEX"})),
        &[body],
    );
    check_change(
        FILTER,
        modes(json!({"response_body_mode": "Streamed"})),
        &[
            "error response_body_mode",
            "warning clusters[1].circuit_breakers",
        ],
    );
    check_change(
        MANAGER_CONFIG,
        json!({"codec_type": "HTTP"}),
        &["error codec_type"],
    );
}

#[test]
fn ports_at_which_nobody_listens() {
    let at = |address: &str, port: u16| {
        let address = json!({"socket_address": {"address": address, "port_value": port}});
        json!({"load_assignment": {"endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}})
    };
    check_change(CLUSTER, at("127.0.0.1", 50051), &[]);
    check_change(CLUSTER, at("merit", 9), &[]);
    check_change(
        CLUSTER,
        at("127.0.0.1", 50052),
        &["note socket_address.port_value"],
    );

    let mut document = bootstrap();
    let found = check(&document.to_string(), &calling());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.contains("8899"), "{found:?}");
    document["static_resources"]["listeners"][0]["address"] =
        json!({"socket_address": {"address": "127.0.0.1", "port_value": 8899}});
    assert_eq!(check(&document.to_string(), &calling()), []);
}

#[test]
fn findings_have_lines() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy");
    let text = std::fs::read_to_string(folder.join("route.yaml")).unwrap();
    let sent = text.replace("{cluster: large, timeout: 0s}", "{cluster: large}");
    let line = sent
        .lines()
        .position(|line| line.contains("{cluster: large}"));
    let found = check(&sent, &Wanted::default());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(Some(found[0].line as usize), line.map(|line| line + 1));
}

#[test]
fn models_of_one_wire_need_their_answers_shown() {
    let wanted = Wanted {
        translated: vec!["claude".to_owned(), "gpt".to_owned()],
        ..Wanted::default()
    };
    for (headers, body, expected) in [
        ("SKIP", "NONE", Some("response_header_mode")),
        ("SKIP", "STREAMED", Some("response_header_mode")),
        ("SEND", "NONE", Some("response_body_mode")),
        ("SEND", "BUFFERED_PARTIAL", Some("response_body_mode")),
        ("SEND", "STREAMED", None),
        ("SEND", "FULL_DUPLEX_STREAMED", None),
    ] {
        let mut document = bootstrap();
        let modes = document
            .pointer_mut(&format!("{FILTER}/processing_mode"))
            .unwrap();
        modes["response_header_mode"] = json!(headers);
        modes["response_body_mode"] = json!(body);
        let told = |wanted: &Wanted| {
            let found = check(&document.to_string(), wanted);
            found
                .into_iter()
                .find(|it| {
                    it.message
                        .contains("not translated here: claude and 1 more")
                })
                .map(|it| it.path)
        };
        let path = told(&wanted);
        assert_eq!(
            path.as_deref().and_then(|path| path.rsplit('.').next()),
            expected,
            "{headers} {body}"
        );
        assert_eq!(told(&Wanted::default()), None);
    }
}
