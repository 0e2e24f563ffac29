//! What Envoy Gateway makes of its policies: an Envoy configuration from the manifests that the
//! chart renders.
//!
//! An imitation of the gateway's translation, in the shape of its own golden files (filter disabled
//! in the chain and enabled on each route, 32 KiB of buffer, HTTP/2 windows, routes with more
//! conditions first). It covers what these manifests say; what it does not know it refuses, so that
//! nothing is dropped without a word.

mod patches;

use crate::listener::Address;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;

const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters";
const EXT_PROC: &str = "envoy.filters.http.ext_proc/envoyextensionpolicy/llm/llm-merit/extproc/0";
const DEFAULT_BUFFER: u64 = 32 << 10;
/// Where the chart's Service ends: the cluster that Envoy Gateway makes of the policy's backend.
const MERIT: &str = "envoyextensionpolicy/llm/llm-merit/0/merit";

/// The objects of some manifests.
pub struct Manifests(Vec<Value>);

/// Where the manifests' backends are in a test.
pub struct Backends<'a> {
    /// Merit.
    pub merit: &'a Address,
    /// Services, AIServiceBackends or InferencePools by name.
    pub models: BTreeMap<&'a str, SocketAddr>,
}

/// What other filters stand in the chain: before all, and right before the router, with the
/// clusters that they need.
#[derive(Default)]
pub struct Neighbours {
    /// Before all, as authentication does.
    pub first: Vec<Value>,
    /// Right before the router, as extensions of the gateway do. Disabled ones are enabled on each
    /// route.
    pub last: Vec<Value>,
    /// Their clusters.
    pub clusters: Vec<Value>,
}

impl Manifests {
    /// Takes objects.
    #[must_use]
    pub fn new(objects: Vec<Value>) -> Self {
        Self(objects)
    }

    /// The one object of a kind.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn one(&self, kind: &str) -> Result<&Value> {
        let mut found = self.0.iter().filter(|object| object["kind"] == kind);
        match (found.next(), found.next()) {
            (Some(object), None) => Ok(object),
            _ => bail!("not one {kind}"),
        }
    }

    /// The bootstrap that carries these manifests; its listener is called `llm/llm/http`.
    ///
    /// # Errors
    /// The manifests say something that this imitation does not know.
    pub fn bootstrap(&self, backends: &Backends, neighbours: Neighbours) -> Result<String> {
        let policy = self.one("EnvoyExtensionPolicy").ok();
        let mut filters = neighbours.first;
        filters.extend(policy.map(ext_proc).transpose()?);
        filters.extend(neighbours.last);
        let routes = self.routes(&filters)?;
        filters.push(json!({
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": format!("{FILTERS}.http.router.v3.Router")},
        }));
        let mut clusters: Vec<Value> = backends
            .models
            .iter()
            .map(|(name, address)| cluster(name, &Address::Tcp(*address)))
            .collect();
        clusters.extend(
            policy
                .map(|policy| merit_cluster(policy, backends.merit))
                .transpose()?,
        );
        clusters.extend(neighbours.clusters);
        let mut whole = json!({
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
            "static_resources": {"listeners": [self.listener(filters, routes)?], "clusters": clusters},
        });
        if let Ok(patch) = self.one("EnvoyPatchPolicy") {
            patches::apply(patch, &mut whole, backends.merit)?;
        }
        Ok(whole.to_string())
    }

    fn listener(&self, filters: Vec<Value>, routes: Vec<Value>) -> Result<Value> {
        let traffic = &self.one("ClientTrafficPolicy")?["spec"];
        let mut manager = json!({
            "@type": format!("{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "http", "codec_type": "AUTO", "http_filters": filters,
            "route_config": {
                "name": "llm/llm/http",
                "response_headers_to_add": late_headers(traffic),
                "virtual_hosts": [{"name": "llm", "domains": ["*"], "routes": routes}],
            },
            "early_header_mutation_extensions": [{
                "name": "envoy.http.early_header_mutation.header_mutation",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                    "mutations": early_mutations(traffic),
                },
            }],
        });
        let window = &traffic["http2"]["initialStreamWindowSize"];
        if !window.is_null() {
            let window = quantity(window)?;
            manager["http2_protocol_options"] = json!({"initial_stream_window_size": window, "initial_connection_window_size": window});
        }
        let limit = &traffic["connection"]["bufferLimit"];
        let limit = if limit.is_null() {
            DEFAULT_BUFFER
        } else {
            quantity(limit)?
        };
        Ok(json!({
            "name": "llm/llm/http",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "per_connection_buffer_limit_bytes": limit,
            "default_filter_chain": {"filters": [{
                "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
            }]},
        }))
    }

    /// Routes with more conditions first, of equally many those with more exact ones; each with
    /// every filter that the chain has disabled.
    fn routes(&self, filters: &[Value]) -> Result<Vec<Value>> {
        let sources = self
            .0
            .iter()
            .filter(|object| object["kind"] == "HTTPRoute" || object["kind"] == "AIGatewayRoute");
        let sources: Vec<&Value> = sources.collect();
        ensure!(!sources.is_empty(), "no routes");
        let on = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}});
        let named = |filter: &Value| filter["name"].as_str().unwrap_or_default().to_owned();
        let disabled: Vec<String> = filters
            .iter()
            .filter(|filter| filter["disabled"] == true)
            .map(named)
            .collect();
        // A picker's filter is on everywhere, and off on the routes to other pools: unlike
        // `disabled` in the chain, that is looked up when the filter's turn comes, hence on the
        // route that was chosen again for Merit.
        let pickers: Vec<String> = filters
            .iter()
            .map(named)
            .filter(|name| name.contains("/pool/"))
            .collect();
        let off = json!({"@type": format!("{FILTERS}.http.ext_proc.v3.ExtProcPerRoute"), "disabled": true});
        let settings = |backend: &str| -> serde_json::Map<String, Value> {
            let others = pickers
                .iter()
                .filter(|name| !name.ends_with(&format!("/pool/{backend}")));
            let others = others.map(|name| (name.clone(), off.clone()));
            disabled
                .iter()
                .map(|name| (name.clone(), on.clone()))
                .chain(others)
                .collect()
        };
        let mut routes = Vec::new();
        let rules = sources
            .iter()
            .flat_map(|route| route["spec"]["rules"].as_array().into_iter().flatten());
        for rule in rules {
            let backend = rule["backendRefs"][0]["name"].as_str().unwrap_or_default();
            let action = self.action(rule, backend)?;
            for condition in rule["matches"]
                .as_array()
                .context("a rule without matches")?
            {
                let headers = condition["headers"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(header_match);
                let mut route = json!({
                    "match": {"prefix": "/", "headers": headers.collect::<Result<Vec<_>>>()?},
                    "typed_per_filter_config": settings(backend),
                });
                let (name, action) = &action;
                route[*name] = action.clone();
                routes.push(route);
            }
        }
        if sources
            .iter()
            .any(|route| route["kind"] == "AIGatewayRoute")
        {
            // Its controller adds a route for what no rule matches; filters are enabled on it too.
            routes.push(json!({
                "match": {"prefix": "/"}, "direct_response": {"status": 404}, "typed_per_filter_config": settings(""),
            }));
        }
        routes.sort_by_key(|route| {
            let headers = route["match"]["headers"].as_array();
            let is_exact = |header: &&Value| header["string_match"].get("exact").is_some();
            let exact = headers.map(|headers| headers.iter().filter(is_exact).count());
            std::cmp::Reverse((headers.map(Vec::len), exact))
        });
        Ok(routes)
    }

    /// What a rule does: it forwards to a backend, or answers as its filter says.
    fn action(&self, rule: &Value, backend: &str) -> Result<(&'static str, Value)> {
        if !backend.is_empty() {
            let to = json!({"cluster": backend, "timeout": rule["timeouts"]["request"]});
            return Ok(("route", to));
        }
        let reference = &rule["filters"][0]["extensionRef"];
        ensure!(
            reference["kind"] == "HTTPRouteFilter",
            "a rule without backend or filter"
        );
        let filter = self.one("HTTPRouteFilter")?;
        ensure!(
            filter["metadata"]["name"] == reference["name"],
            "no filter {}",
            reference["name"]
        );
        let response = &filter["spec"]["directResponse"];
        let body = json!({"inline_string": response["body"]["inline"]});
        let answer = json!({"status": response["statusCode"], "body": body});
        Ok(("direct_response", answer))
    }
}

fn header_match(header: &Value) -> Result<Value> {
    let how = match header["type"].as_str() {
        Some("Exact") | None => json!({"exact": header["value"]}),
        Some("RegularExpression") => json!({"safe_regex": {"regex": header["value"]}}),
        other => bail!("matches of type {other:?}"),
    };
    Ok(json!({"name": header["name"], "string_match": how}))
}

fn ext_proc(policy: &Value) -> Result<Value> {
    let spec = &policy["spec"]["extProc"][0];
    let mode = &spec["processingMode"];
    let body = |side: &str| match mode[side]["body"].as_str() {
        None => Ok("NONE"),
        Some("Streamed") => Ok("STREAMED"),
        Some("Buffered") => Ok("BUFFERED"),
        Some("FullDuplexStreamed") => Ok("FULL_DUPLEX_STREAMED"),
        Some(other) => bail!("body mode {other}"),
    };
    // Present means that headers are sent; and full duplex demands the trailers.
    let headers = |side: &str| {
        if mode.get(side).is_some() {
            "SEND"
        } else {
            "SKIP"
        }
    };
    let trailers = |body: &str| {
        if body == "FULL_DUPLEX_STREAMED" {
            "SEND"
        } else {
            "SKIP"
        }
    };
    let (request, response) = (body("request")?, body("response")?);
    Ok(json!({
        "name": EXT_PROC,
        "disabled": true,
        "typed_config": {
            "@type": format!("{FILTERS}.http.ext_proc.v3.ExternalProcessor"),
            "grpc_service": {"envoy_grpc": {"cluster_name": MERIT, "authority": "merit.llm:50051"}, "timeout": "10s"},
            "failure_mode_allow": spec["failOpen"],
            "status_on_error": {"code": spec["statusOnError"]},
            "message_timeout": spec["messageTimeout"],
            "processing_mode": {
                "request_header_mode": headers("request"), "request_body_mode": request,
                "request_trailer_mode": trailers(request),
                "response_header_mode": headers("response"), "response_body_mode": response,
                "response_trailer_mode": trailers(response),
            },
            "metadata_options": {
                "forwarding_namespaces": {"untyped": spec["metadata"]["accessibleNamespaces"]},
                "receiving_namespaces": {"untyped": spec["metadata"]["writableNamespaces"]},
            },
        },
    }))
}

fn merit_cluster(policy: &Value, address: &Address) -> Result<Value> {
    let settings = &policy["spec"]["extProc"][0]["backendSettings"];
    let check = &settings["healthCheck"]["active"];
    ensure!(
        check["type"] == "GRPC",
        "a health check of type {}",
        check["type"]
    );
    let breaker = &settings["circuitBreaker"];
    let mut cluster = cluster(MERIT, address);
    cluster["circuit_breakers"] = json!({"thresholds": [{
        "max_connections": breaker["maxConnections"], "max_pending_requests": breaker["maxPendingRequests"],
        "max_requests": breaker["maxParallelRequests"], "max_retries": 1024,
    }]});
    cluster["health_checks"] = json!([{
        "timeout": check["timeout"], "interval": check["interval"], "no_traffic_interval": check["interval"],
        "unhealthy_threshold": check["unhealthyThreshold"], "healthy_threshold": check["healthyThreshold"],
        "grpc_health_check": {"service_name": check["grpc"]["service"]},
    }]);
    cluster["per_connection_buffer_limit_bytes"] = json!(DEFAULT_BUFFER);
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    cluster["typed_extension_protocol_options"] = json!({options: {
        "@type": format!("type.googleapis.com/{options}"),
        "explicit_http_config": {"http2_protocol_options": {
            "initial_stream_window_size": quantity(&settings["http2"]["initialStreamWindowSize"])?,
            "initial_connection_window_size": quantity(&settings["http2"]["initialConnectionWindowSize"])?,
        }},
    }});
    Ok(cluster)
}

fn cluster(name: &str, address: &Address) -> Value {
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "10s", "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": name, "endpoints": [
            {"lb_endpoints": [{"endpoint": {"address": address.json()}}]},
        ]},
    })
}

fn early_mutations(traffic: &Value) -> Vec<Value> {
    let early = &traffic["headers"]["earlyRequestHeaders"];
    let exact = early["remove"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|name| json!({"remove": name}));
    let matched = early["removeOnMatch"].as_array().into_iter().flatten();
    let matched =
        matched.map(|it| json!({"remove_on_match": {"key_matcher": {"prefix": it["value"], "ignore_case": true}}}));
    exact.chain(matched).collect()
}

fn late_headers(traffic: &Value) -> Vec<Value> {
    let set = traffic["headers"]["lateResponseHeaders"]["set"]
        .as_array()
        .into_iter()
        .flatten();
    let header = |it: &Value| {
        let header = json!({"key": it["name"], "value": it["value"]});
        json!({"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"})
    };
    set.map(header).collect()
}

/// `50Mi` and the like, in bytes.
fn quantity(value: &Value) -> Result<u64> {
    let text = value
        .as_str()
        .with_context(|| format!("{value} is no quantity"))?;
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(2))
        .context("a short quantity")?;
    let shift = match unit {
        "Ki" => 10,
        "Mi" => 20,
        _ => bail!("quantity {text}"),
    };
    Ok(number.parse::<u64>()? << shift)
}
