//! What is kept of a recipe's requests.

use crate::config::decisions::Decision;
use crate::config::records::RecordStore;
use crate::config::{Document, Routing};
use crate::plan::ReplayPolicy;
use crate::plugins::PluginConfig;
use crate::plugins::router_replay::RouterReplayConfig;
use std::sync::Arc;

/// Returns how much is kept of requests that no decision takes.
pub(super) fn usual(document: &Document, routing: &Routing) -> Option<Arc<ReplayPolicy>> {
    ReplayPolicy::of(document.records(routing), None)
        .filter(|_| !matches!(document.record_store(), RecordStore::NotRun(_)))
}

/// Returns how much is kept of a decision's requests.
pub(super) fn of(
    routing: &Routing,
    decision: &Decision,
    document: &Document,
) -> Option<Arc<ReplayPolicy>> {
    if routing.data_policy.replay == Some(false) {
        return None;
    }
    ReplayPolicy::of(document.records(routing), plugin(decision))
        .filter(|_| !matches!(document.record_store(), RecordStore::NotRun(_)))
}

/// Returns what a decision says of its records.
fn plugin(decision: &Decision) -> Option<&RouterReplayConfig> {
    let mut plugins = decision.plugins.iter();
    plugins.find_map(|plugin| match plugin {
        PluginConfig::RouterReplay(replay) => Some(replay),
        _ => None,
    })
}

/// Tells whether records of a decision's requests are asked for, and not kept.
pub(super) fn is_lost(routing: &Routing, decision: &Decision, document: &Document) -> bool {
    matches!(document.record_store(), RecordStore::NotRun(_))
        && routing.data_policy.replay != Some(false)
        && ReplayPolicy::of(document.records(routing), plugin(decision)).is_some()
}
