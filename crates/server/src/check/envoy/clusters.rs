//! Rules about the cluster that leads to Merit.

use super::filter::Filter;
use super::{error, ports, warning};
use document::Problem;
use serde_json::Value;
use std::collections::BTreeMap;

const MAX_REQUESTS_DEFAULT: u64 = 1024;
const PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The static clusters, by name.
pub(super) struct Clusters<'a>(BTreeMap<&'a str, (usize, &'a Value)>);

impl<'a> Clusters<'a> {
    pub(super) fn of(document: &'a Value) -> Self {
        let clusters = document
            .pointer("/static_resources/clusters")
            .and_then(Value::as_array);
        let named = |(index, cluster): (usize, &'a Value)| {
            Some((cluster["name"].as_str()?, (index, cluster)))
        };
        Self(
            clusters
                .into_iter()
                .flatten()
                .enumerate()
                .filter_map(named)
                .collect(),
        )
    }

    /// Returns a cluster and its path.
    pub(super) fn get(&self, name: &str) -> Option<(String, &'a Value)> {
        let (index, cluster) = self.0.get(name)?;
        Some((format!("static_resources.clusters[{index}]"), *cluster))
    }

    pub(super) fn check(&self, filter: &Filter<'_>) -> Vec<Problem> {
        // A filter with google_grpc, or a document without static clusters, gives nothing to look
        // at.
        let Some(name) = filter.cluster().filter(|_| !self.0.is_empty()) else {
            return Vec::new();
        };
        let Some((index, cluster)) = self.0.get(name) else {
            let path = filter.path("grpc_service.envoy_grpc.cluster_name");
            return vec![error(path, format!("there is no cluster named {name:?}"))];
        };
        let path = format!("static_resources.clusters[{index}]");
        let mut found = ports::merit(&path, cluster);
        if !speaks_http2(cluster) {
            let message =
                "gRPC needs HTTP/2: set http2_protocol_options, or explicit_http_config with it";
            found.push(error(path.clone(), message));
        }
        let limit = max_requests(cluster);
        if filter.holds_streams() && limit <= MAX_REQUESTS_DEFAULT {
            let message = format!(
                "at most {limit} streams at a time (Envoy's default is {MAX_REQUESTS_DEFAULT}), and with these processing \
                 modes one is held for each answer being generated: beyond that requests get 500; raise max_requests"
            );
            found.push(warning(format!("{path}.circuit_breakers"), message));
        }
        found
    }
}

fn speaks_http2(cluster: &Value) -> bool {
    let options = &cluster["typed_extension_protocol_options"][PROTOCOL_OPTIONS];
    !cluster["http2_protocol_options"].is_null()
        || [
            "explicit_http_config",
            "use_downstream_protocol_config",
            "auto_config",
        ]
        .iter()
        .any(|kind| !options[*kind]["http2_protocol_options"].is_null())
}

fn max_requests(cluster: &Value) -> u64 {
    let thresholds = cluster
        .pointer("/circuit_breakers/thresholds")
        .and_then(Value::as_array);
    let limits = thresholds
        .into_iter()
        .flatten()
        .filter_map(|threshold| threshold["max_requests"].as_u64());
    limits.max().unwrap_or(MAX_REQUESTS_DEFAULT)
}
