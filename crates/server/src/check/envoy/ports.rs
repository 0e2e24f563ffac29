//! Ports at which nobody listens.

use super::warning;
use document::{Problem, Severity};
use serde_json::Value;

/// Where `merit serve` listens unless it is told otherwise.
const MERIT: u64 = 50051;

/// Tells where the cluster of Merit leads to another port than Merit's usual one.
pub(super) fn merit(path: &str, cluster: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    super::walk(
        &cluster["load_assignment"],
        &format!("{path}.load_assignment"),
        &mut |path, value| {
            let address = &value["socket_address"];
            let Some(port) = address["port_value"].as_u64() else {
                return;
            };
            if is_local(address["address"].as_str().unwrap_or_default()) && port != MERIT {
                let message = format!(
                    "`merit serve` listens on 127.0.0.1:{MERIT}; nobody listens on port {port} unless it is started with `--listen 127.0.0.1:{port}`"
                );
                let path = format!("{path}.socket_address.port_value");
                found.push(Problem::new(Severity::Note, path, message));
            }
        },
    );
    found
}

/// Tells where Merit's own calls go to a port of this machine at which the bootstrap has no
/// listener.
pub(super) fn calls(document: &Value, url: &str) -> Option<Problem> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let (host, port) = authority.rsplit_once(':')?;
    let port: u64 = port.parse().ok()?;
    let mut listens = false;
    super::walk(
        &document["static_resources"]["listeners"],
        "",
        &mut |_, value| {
            listens |= value["socket_address"]["port_value"].as_u64() == Some(port);
        },
    );
    (is_local(host) && !listens).then(|| {
        let message = format!(
            "decisions that ask several models call {url}, and no listener here has port {port}: their first candidate \
             serves; add a listener as in envoy/escalate.yaml, or set `global.integrations.looper.endpoint`"
        );
        warning("static_resources.listeners".to_owned(), message)
    })
}

fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1" | "[::1]")
}
