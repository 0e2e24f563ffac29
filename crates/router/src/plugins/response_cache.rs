//! Answers from earlier answers. Known, and not run yet.

use super::{Checking, Configuration, NotRun};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Answer from earlier answers.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ResponseCachePlugin")]
pub struct ResponseCacheConfig {
    /// Use the cache here.
    pub enabled: Option<bool>,
    /// `semantic` (the default), `exact` or `exact_then_semantic`.
    #[schemars(extend("enum" = ["semantic", "exact", "exact_then_semantic"]))]
    pub mode: String,
    /// Who shares answers: `user` (the default), `tenant` and others.
    #[schemars(extend("examples" = ["user", "tenant", "team", "global"]))]
    pub scope: String,
    /// Parameters of the semantic lookup.
    pub semantic: Option<SemanticLookup>,
    /// Old place of `semantic.similarity_threshold`.
    pub similarity_threshold: Option<f64>,
    /// Lifetime of an entry; -1 means the store's.
    pub ttl_seconds: Option<i64>,
    /// What clients may ask for.
    pub request_controls: Option<CacheControls>,
    /// Answers that depend on the person.
    pub personalized: Option<Personalized>,
    /// Words that separate entries of different versions.
    pub revision: Option<CacheRevision>,
    /// Old place of `request_controls.enabled`.
    pub allow_request_controls: Option<bool>,
    /// Old place of `request_controls.header`.
    pub control_header: String,
}

impl Configuration for ResponseCacheConfig {
    const NAME: &'static str = "response_cache";
    const SPELLINGS: &'static [&'static str] = &[
        "response_cache",
        "semantic-cache",
        "semantic_cache",
        "response-cache",
    ];

    fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    fn check(&self, checking: &mut Checking<'_>) {
        let lookup = self.semantic.as_ref();
        let threshold = lookup.and_then(|lookup| lookup.similarity_threshold);
        checking.share("semantic.similarity_threshold", threshold);
    }

    fn not_run(&self) -> Option<NotRun> {
        Some(NotRun::Served("every request is answered by a model"))
    }
}

/// Parameters of the semantic lookup.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SemanticLookup {
    /// Least similarity; omitted means 0.8.
    pub similarity_threshold: Option<f64>,
}

/// What clients may ask of the cache, by a header.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheControls {
    /// Read the header.
    pub enabled: bool,
    /// Its name.
    pub header: String,
    /// Directives that count.
    pub allowed: Vec<String>,
    /// Longest lifetime that a client may ask for.
    pub max_ttl_seconds: u64,
}

/// Answers that depend on the person.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Personalized {
    /// `disabled` or how they are kept apart.
    pub mode: String,
}

/// Words that separate cache entries of different versions.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheRevision {
    /// Generation of the whole cache.
    pub cache_epoch: String,
    /// Version of the models.
    pub model_revision: String,
    /// Version of the prompts.
    pub prompt_revision: String,
    /// Version of the policy.
    pub policy_revision: String,
}
