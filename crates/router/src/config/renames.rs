//! What v0.4 of the document spells otherwise: old paths and their new names, in one table.
//!
//! In a path `[]` stands for any index of a list. The blocks of `routing` stand under `recipes[]`, too.

/// A key with a new name in the same place.
#[derive(Debug, Clone, Copy)]
pub struct Renamed {
    /// Path of the key as it was.
    pub old: &'static str,
    /// Last word of the path as it is.
    pub new: &'static str,
}

/// Keys that only changed their name.
pub const RENAMED: [Renamed; 5] = [
    Renamed {
        old: "providers.defaults.default_model",
        new: "model",
    },
    Renamed {
        old: "providers.defaults.default_reasoning_effort",
        new: "reasoning_effort",
    },
    Renamed {
        old: BACKEND_TYPE,
        new: "provider",
    },
    Renamed {
        old: "global.stores.semantic_cache",
        new: "response_cache",
    },
    Renamed {
        old: "evaluation_catalog",
        new: "evaluation",
    },
];

/// What a backend's `provider` was called. Where both are written, `provider` holds.
pub const BACKEND_TYPE: &str = "providers.models[].backend_refs[].type";

/// Keys whose value takes another form under another key.
pub const RESHAPED: [Renamed; 6] = [
    Renamed {
        old: "providers.models[].reasoning_family",
        new: "reasoning",
    },
    Renamed {
        old: "providers.defaults.reasoning_families",
        new: "reasoning",
    },
    Renamed {
        old: "routing.modelCards[].quality_score",
        new: "evaluation.records",
    },
    Renamed {
        old: "routing.modelCards[].evaluations",
        new: "evaluation.records",
    },
    Renamed {
        old: GUARD_PROTOCOL,
        new: "backend",
    },
    Renamed {
        old: "routing.decisions[].plugins[].configuration.allow_request_controls",
        new: "request_controls",
    },
];

/// How a remote guard is spoken to.
pub const GUARD_PROTOCOL: &str = "global.model_catalog.modules.prompt_guard.protocol";

/// Old spellings of the plugin `response_cache`.
pub const RESPONSE_CACHE: [&str; 3] = ["semantic-cache", "semantic_cache", "response-cache"];

/// The benchmark that a card's `quality_score` is a record of.
pub const OPERATOR_RATING: &str = "vllm-sr/operator-rating@1.0.0";

/// Keys that v0.4 no longer has, and that never decided anything here.
pub const DEAD: [&str; 12] = [
    "global.model_catalog.modules.prompt_guard.use_modernbert",
    "global.model_catalog.modules.prompt_guard.use_mmbert_32k",
    "global.model_catalog.modules.hallucination_mitigation.on_hallucination_detected",
    "global.router.model_selection.momentum",
    "global.services.observability.metrics.windowed_metrics.model_metrics",
    "global.integrations.looper.retry_count",
    "global.stores.memory.extraction_batch_size",
    "global.stores.memory.quality_scoring",
    "global.stores.response_cache.milvus.performance",
    "global.stores.response_cache.milvus.data_management",
    "global.stores.vector_store.milvus.performance",
    "global.stores.vector_store.milvus.data_management",
];

/// Reasoning families that v0.4 builds in, with the switch that a document would declare for them.
const FAMILIES: [(&str, &str, &str); 9] = [
    ("qwen3", KWARGS, "enable_thinking"),
    ("glm", KWARGS, "enable_thinking"),
    ("hunyuan", KWARGS, "enable_thinking"),
    ("mimo", KWARGS, "enable_thinking"),
    ("gemma4", KWARGS, "enable_thinking"),
    ("nemotron-thinking-toggle", KWARGS, "enable_thinking"),
    ("deepseek-v3.1", KWARGS, "thinking"),
    ("deepseek-v3.2", KWARGS, "thinking"),
    ("kimi-k2", KWARGS, "thinking"),
];
const KWARGS: &str = "chat_template_kwargs";

/// Returns whether a family of that name is built in and switched the same way.
#[must_use]
pub fn is_built_in(family: &str, kind: &str, parameter: &str) -> bool {
    FAMILIES.contains(&(family, kind, parameter))
}

/// Paths that only Merit reads: a document that holds one is refused by the reference.
pub fn merit_only() -> impl Iterator<Item = &'static str> {
    include_str!("merit_only.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
}
