//! Envoy configuration for the special cases of the suite: several listeners in one Envoy, each
//! with its own body modes, failure mode and limits. What operators run is in `envoy/*.yaml`; see
//! [`crate::envoy::shipped`].

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;

const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters";
const HTTP_OPTIONS: &str =
    "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Where an ext_proc server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A TCP socket.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl Address {
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Tcp(at) => {
                json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}})
            }
            Self::Unix(path) => json!({"pipe": {"path": path}}),
        }
    }
}

/// What the listeners' filters and routes lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backends {
    /// The ext_proc server.
    pub merit: Address,
    /// The second ext_proc server of listeners with [`Listener::second`].
    pub second: Option<Address>,
    /// The model backend `small`, where everything goes that is not routed.
    pub small: SocketAddr,
    /// The model backend `large`.
    pub large: SocketAddr,
}

/// One listener. [`Listener::new`] gives a fail-closed one that looks at the request only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name, by which [`crate::envoy::Envoy::listener`] finds it.
    pub name: String,
    /// `request_body_mode`.
    pub request_body: &'static str,
    /// `response_body_mode`; anything but NONE sends the headers too.
    pub response_body: &'static str,
    /// `response_header_mode: SEND` although the body mode is NONE.
    pub response_headers: bool,
    /// `failure_mode_allow`.
    pub fail_open: bool,
    /// `message_timeout`.
    pub message_timeout: &'static str,
    /// `per_connection_buffer_limit_bytes`; Envoy's default is 1 MiB.
    pub buffer_limit: Option<u32>,
    /// As Envoy Gateway writes it: the filter is disabled in the chain and enabled on each route.
    pub per_route: bool,
    /// The request body mode of a second ext_proc filter behind the first.
    pub second: Option<&'static str>,
}

impl Listener {
    /// A listener with this request body mode.
    #[must_use]
    pub fn new(name: &str, request_body: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            request_body,
            response_body: "NONE",
            response_headers: false,
            fail_open: false,
            message_timeout: "2s",
            buffer_limit: None,
            per_route: false,
            second: None,
        }
    }

    fn json(&self) -> Value {
        let mut listener = json!({
            "name": self.name,
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": self.connection_manager(),
            }]}],
        });
        if let Some(limit) = self.buffer_limit {
            listener["per_connection_buffer_limit_bytes"] = json!(limit);
        }
        listener
    }

    fn connection_manager(&self) -> Value {
        json!({
            "@type": format!("{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": self.name,
            "codec_type": "AUTO",
            "http_protocol_options": {"enable_trailers": true},
            "http_filters": self.http_filters(),
            "route_config": {
                "name": self.name,
                "response_headers_to_add": self.reply_headers(),
                "virtual_hosts": [{"name": "models", "domains": ["*"], "routes": self.routes()}],
            },
        })
    }

    fn http_filters(&self) -> Vec<Value> {
        let mut first =
            json!({"name": "merit", "typed_config": self.ext_proc("merit", self.request_body)});
        if self.per_route {
            first["disabled"] = json!(true);
        }
        let second = self
            .second
            .map(|body| json!({"name": "second", "typed_config": self.ext_proc("second", body)}));
        let router = json!({
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": format!("{FILTERS}.http.router.v3.Router")},
        });
        [Some(first), second, Some(router)]
            .into_iter()
            .flatten()
            .collect()
    }

    fn ext_proc(&self, cluster: &str, request_body: &str) -> Value {
        let is_first = cluster == "merit";
        let response_body = if is_first { self.response_body } else { "NONE" };
        let sends_head = response_body != "NONE" || (is_first && self.response_headers);
        let when = |condition: bool| if condition { "SEND" } else { "SKIP" };
        json!({
            "@type": format!("{FILTERS}.http.ext_proc.v3.ExternalProcessor"),
            "grpc_service": {"envoy_grpc": {"cluster_name": cluster}},
            "failure_mode_allow": self.fail_open,
            "message_timeout": self.message_timeout,
            "processing_mode": {
                "request_header_mode": "SEND",
                "request_body_mode": request_body,
                "request_trailer_mode": when(request_body == "FULL_DUPLEX_STREAMED"),
                "response_header_mode": when(sends_head),
                "response_body_mode": response_body,
                "response_trailer_mode": when(response_body == "FULL_DUPLEX_STREAMED"),
            },
            "metadata_options": {"receiving_namespaces": {"untyped": ["merit"]}},
        })
    }

    /// As in `envoy/route.yaml`: without a response phase the reply headers come from dynamic
    /// metadata.
    fn reply_headers(&self) -> Vec<Value> {
        if self.response_headers || self.response_body != "NONE" {
            return Vec::new();
        }
        let names = [
            "x-vsr-selected-model",
            "x-vsr-selected-decision",
            "x-vsr-response-path",
        ];
        let header = |name: &&str| json!({"header": {"key": name, "value": format!("%DYNAMIC_METADATA(merit:{name})%")}});
        names.iter().map(header).collect()
    }

    fn routes(&self) -> Vec<Value> {
        let to = |cluster: &str| json!({"cluster": cluster, "timeout": "0s"});
        let chosen = |model: &str| {
            let header = json!({"name": "x-selected-model", "string_match": {"exact": model}});
            json!({"match": {"prefix": "/", "headers": [header]}, "route": to(model)})
        };
        let mut routes = vec![
            chosen("small"),
            chosen("large"),
            json!({"match": {"prefix": "/"}, "route": to("small")}),
        ];
        if self.per_route {
            let on = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}});
            for route in &mut routes {
                route["typed_per_filter_config"] = json!({"merit": on});
            }
        }
        routes
    }
}

/// A whole bootstrap of these listeners, on free ports.
#[must_use]
pub fn bootstrap(listeners: &[Listener], backends: &Backends) -> String {
    let mut clusters = vec![
        ext_proc_cluster("merit", &backends.merit),
        model_cluster("small", backends.small),
        model_cluster("large", backends.large),
    ];
    clusters.extend(
        backends
            .second
            .iter()
            .map(|second| ext_proc_cluster("second", second)),
    );
    let listeners: Vec<Value> = listeners.iter().map(Listener::json).collect();
    let whole = json!({
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    });
    whole.to_string()
}

fn cluster(name: &str, address: &Address) -> Value {
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [
            {"max_connections": 16384, "max_pending_requests": 100_000, "max_requests": 100_000},
        ]},
        "load_assignment": {"cluster_name": name, "endpoints": [
            {"lb_endpoints": [{"endpoint": {"address": address.json()}}]},
        ]},
    })
}

fn model_cluster(name: &str, address: SocketAddr) -> Value {
    cluster(name, &Address::Tcp(address))
}

fn ext_proc_cluster(name: &str, address: &Address) -> Value {
    let mut cluster = cluster(name, address);
    // The keepalive ends requests to a Merit that stands still where nothing else does. It is much
    // longer than a message timeout: should a busy machine let it win, the answer is 500, not 504.
    let http2 = json!({
        "initial_stream_window_size": 1_048_576, "initial_connection_window_size": 4_194_304,
        "connection_keepalive": {"interval": "1s", "timeout": "4s"},
    });
    cluster["typed_extension_protocol_options"] = json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": HTTP_OPTIONS,
        "explicit_http_config": {"http2_protocol_options": http2},
    }});
    cluster
}
