//! The row of files of probes.

use super::Migration;
use document::{Part, Unedited};
use serde_json::Value;

const OLD: &str = "/api/v1/eval";
const NEW: &str = "/api/v1/routing/preview";

/// Returns whether a file holds probes of the reference, not a document.
pub(super) fn is_probes(root: Part<'_>) -> bool {
    root.key("decisions").is_some_and(Part::is_list) && root.key("routing").is_none()
}

/// Asks the endpoint of v0.4, which evaluates every signal anyway.
pub(super) fn endpoint(migration: &mut Migration) -> Result<(), Unedited> {
    let path = "router_eval_endpoint";
    if let Some(written) = migration.text(path).map(str::to_owned)
        && let Some(host) = written.strip_suffix(OLD)
    {
        migration.note(path, format!("is now {NEW}"));
        migration
            .draft
            .set(path, &Value::from(format!("{host}{NEW}")))?;
    }
    let places = [
        "evaluate_all_signals",
        "evaluation.evaluate_all_signals",
        "options.evaluate_all_signals",
        "decisions[].variants[].options.evaluate_all_signals",
    ];
    for place in places {
        for path in migration.draft.matching(place) {
            migration.note(&path, "is gone; every signal is evaluated");
            migration.draft.remove(&path)?;
        }
    }
    Ok(())
}
