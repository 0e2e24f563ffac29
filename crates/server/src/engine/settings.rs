//! Parts of a document that the process reads itself: limits, traces, the model list.

use crate::telemetry::TraceSettings;
use dialects::{ModelEntry, Routing};
use extproc::{BodyMode, Options, Peer};
use router::config::{self, Document};
use router::names::Listed;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The protocol layer's limits.
pub(super) fn options(document: &Document) -> Options {
    let written = &document.global.server.extproc;
    let bytes = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    Options {
        deadline_buffered: Duration::from_millis(written.buffered_deadline_ms),
        deadline_streamed: Duration::from_millis(written.deadline_ms),
        body_limit: bytes(written.body_limit_bytes),
        buffered_total: bytes(written.total_buffered_bytes),
        upload_rate: bytes(written.min_upload_bytes_per_second),
        max_streams: bytes(written.max_streams.into()),
        assume_mode: body_mode(&written.assume_mode),
        peer: if written.peer == "agentgateway" {
            Peer::Agentgateway
        } else {
            Peer::Envoy
        },
        streamed_immediate: written.streamed_immediate,
        // Real Envoys take it as well as in BUFFERED (tests/envoy/early_end.rs); the gateway may
        // show responses that the document wants nothing of.
        early_close_streamed: document.global.server.profile == "route",
        ..Options::default()
    }
}

fn body_mode(word: &str) -> Option<BodyMode> {
    Some(match word {
        "none" => BodyMode::None,
        "streamed" => BodyMode::Streamed,
        "buffered" => BodyMode::Buffered,
        "buffered_partial" => BodyMode::BufferedPartial,
        "full_duplex_streamed" => BodyMode::FullDuplex,
        _ => return None,
    })
}

/// Where the document sends traces; read before anything else, so that all of the start can be
/// logged. A document that cannot be read is reported by the load that follows.
#[must_use]
pub fn trace_settings(file: &Path) -> Option<TraceSettings> {
    let text = std::fs::read_to_string(file).ok()?;
    let document = config::load(&text, &super::variable).document?;
    let tracing = document.global.services.observability?.tracing?;
    let exporter = tracing.exporter.unwrap_or_default();
    if !tracing.enabled || exporter.endpoint.is_empty() {
        return None;
    }
    let sampling = tracing
        .sampling
        .map_or(1.0, |sampling| match sampling.kind.as_str() {
            "always_off" => 0.0,
            "probabilistic" | "traceidratio" => sampling.rate,
            _ => 1.0,
        });
    let service = tracing
        .resource
        .map(|resource| resource.service_name)
        .filter(|name| !name.is_empty());
    Some(TraceSettings {
        endpoint: Some(exporter.endpoint),
        sampling,
        service: service.unwrap_or_else(|| "merit".to_owned()),
    })
}

/// What is read at start only: the exporter is installed once, the largest gRPC message is fixed
/// with the service, the engine of the models starts once, and stores that replicas share are
/// reached once.
const RESTART_ONLY: [&str; 22] = [
    "global.services.observability.tracing",
    "global.server.extproc.body_limit_bytes",
    "global.server.inference.execution_providers",
    "global.server.inference.precision",
    "global.server.inference.lanes",
    "global.server.inference.queue",
    "global.server.inference.cache_entries",
    "global.server.inference.cache_bytes",
    "global.server.inference.prototype_cache",
    "global.server.inference.remote_concurrency",
    "global.server.inference.remote_response_bytes",
    "global.router.sessions.redis",
    "global.router.sessions.store_timeout_ms",
    "global.router.learning.state_store",
    "global.server.pool.redis",
    "global.server.pool.share_interval_ms",
    "global.services.router_replay.store_backend",
    "global.services.router_replay.ttl_seconds",
    "global.services.router_replay.redis",
    "global.services.router_replay.postgres",
    "global.server.records.file",
    "global.server.records.queue",
];

/// The fields that two documents differ in although they cannot change while running.
pub(super) fn restart_only(current: &Value, next: &Value) -> Vec<String> {
    let at = |document: &Value, path: &str| {
        document
            .pointer(&format!("/{}", path.replace('.', "/")))
            .cloned()
    };
    let changed = RESTART_ONLY
        .into_iter()
        .filter(|path| at(current, path) != at(next, path));
    changed.map(str::to_owned).collect()
}

/// Lines as `GET /v1/models` writes them. They exist since the generation does.
pub(super) fn listing(lines: &[Listed]) -> Vec<ModelEntry> {
    let created = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    lines.iter().map(|listed| entry(listed, created)).collect()
}

fn entry(listed: &Listed, created: u64) -> ModelEntry {
    ModelEntry {
        id: listed.id.clone(),
        created,
        owned_by: listed.owner.to_owned(),
        description: listed.description.clone(),
        max_model_len: listed.max_model_len,
        routing: Routing {
            resolution: if listed.is_virtual {
                "virtual"
            } else {
                "passthrough"
            },
            selectable: listed.is_virtual,
            default_route: listed.default_route,
            recipe: listed.recipe.as_deref().map(str::to_owned),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_what_cannot_change() {
        let server =
            |limit: u64| json!({"global": {"server": {"extproc": {"body_limit_bytes": limit}}}});
        assert_eq!(
            restart_only(&server(1), &server(2)),
            ["global.server.extproc.body_limit_bytes"]
        );
        assert_eq!(restart_only(&server(1), &server(1)), [""; 0]);
        let traced =
            json!({"global": {"services": {"observability": {"tracing": {"enabled": true}}}}});
        assert_eq!(
            restart_only(&json!({}), &traced),
            ["global.services.observability.tracing"]
        );
        let lanes = json!({"global": {"server": {"inference": {"lanes": 2, "preload": true}}}});
        assert_eq!(
            restart_only(&json!({}), &lanes),
            ["global.server.inference.lanes"]
        );
        assert_eq!(
            restart_only(
                &json!({"routing": {}}),
                &json!({"routing": {"strategy": "confidence"}})
            ),
            [""; 0]
        );
    }
}
