//! Keys that are in no release of the reference: refused by name, with the key to write instead.

use document::Refused;

const fn branch(path: &'static str, remedy: &'static str) -> Refused {
    Refused { path, remedy }
}

/// Keys of unreleased branches.
pub(super) const KEYS: [Refused; 17] = [
    branch(
        "models",
        "is a form of an unreleased branch; Merit reads `providers.models` and `routing.modelCards` of `v0.3`",
    ),
    branch(
        "recipes[].document",
        "is a form of an unreleased branch; Merit reads `recipes[].routing` of `v0.3`",
    ),
    branch(
        "entrypoints[].assignments",
        "is a form of an unreleased branch; in `v0.3` the decisions of the recipe name their models in `modelRefs`",
    ),
    branch(
        "global.billing",
        "is a form of an unreleased branch; `v0.3` has `providers.models[].pricing` alone",
    ),
    branch(
        "global.services.backend_dispatch",
        "is a form of an unreleased branch; in `v0.3` the gateway reaches the models",
    ),
    branch(
        "global.services.backend_egress",
        "is a form of an unreleased branch; in `v0.3` the gateway reaches the models",
    ),
    branch(
        "control",
        "is a form of an unreleased branch; `v0.3` has `providers.models[].reliability` for retries",
    ),
    branch(
        "evaluation_catalog",
        "is now `evaluation`: write `evaluation.benchmarks` and `evaluation.indices`",
    ),
    branch(
        "routing.modelCards[].evaluations",
        "is now `evaluation.records`",
    ),
    branch(
        "routing.signals.decision",
        "is in no release of the reference; nothing here answers it",
    ),
    branch(
        "routing.signals.agentic_facts",
        "is in no release of the reference; `metadata` rules read what the client states",
    ),
    branch(
        "routing.signals.topic_continuity",
        "is in no release of the reference; leave it out",
    ),
    branch(
        "routing.signals.random",
        "is in no release of the reference; the algorithm `weighted` shares out requests",
    ),
    branch(
        "routing.signals.actions",
        "is in no release of the reference; `keywords` rules find such words",
    ),
    branch(
        "global.stores.tool_sessions",
        "is in no release of the reference; leave it out",
    ),
    branch(
        "routing.decisions[].fallback",
        "is in no release of the reference; write `routing.fallback`",
    ),
    branch(
        "routing.decisions[].reliability",
        "is in no release of the reference; write `providers.models[].reliability`",
    ),
];
