//! The v0.3 routing document: its types, reading it strictly, and what is wrong with it.
//!
//! [`check`] does everything at once: parse YAML into one located tree, walk it against the schema
//! that is generated from [`Document`], deserialise, validate, and list what is known but not
//! implemented.

pub mod databases;
pub mod decisions;
mod effective;
pub mod evidence;
pub mod fallback;
mod future;
pub mod global;
pub mod integrations;
mod loading;
mod lookup;
pub mod migration;
pub mod milvus;
pub mod paths;
pub mod pool;
mod ranking;
pub mod records;
pub mod renames;
pub mod requirements;
mod schema;
pub mod server;
pub mod services;
mod spelling;
pub mod stores;
mod unimplemented;
mod validate;
mod verdicts;

pub use effective::effective;
pub use loading::{Checked, check, load};
pub use lookup::{DEFAULT_RECIPE, NamePattern, WILDCARD};
pub use schema::schema;
pub use unimplemented::{Unimplemented, unimplemented};
pub use validate::validate;

use decisions::{Boundary, Decision};
use document::HiddenText;
use evidence::Evidence;
use fallback::FallbackPolicy;
use global::Global;
use requirements::{CandidateRequirements, DataPolicy};
use schemars::JsonSchema;
use selection::providers::{ModelCard, Providers};
use serde::{Deserialize, Serialize};
use signals::catalog::deployments::ModelBinding;
use signals::decision::Ranking;
use signals::families::Signals;
use signals::projection::section::Projections;
use signals::scope::Scope;
use std::collections::BTreeMap;

/// A routing document.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Document {
    /// Version of the layout: `v0.3`.
    #[schemars(extend("examples" = ["v0.3"]))]
    pub version: String,
    /// Addresses of the gateway in front, for tools that render its configuration.
    pub listeners: Vec<Listener>,
    /// Models, endpoints, prices.
    pub providers: Providers,
    /// The default recipe.
    pub routing: Routing,
    /// Model names that ask for a recipe.
    pub entrypoints: Vec<Entrypoint>,
    /// Further recipes, each complete in itself.
    pub recipes: Vec<Recipe>,
    /// What holds for the process and all recipes.
    pub global: Global,
    /// What models achieved in benchmarks.
    pub evaluation: Evidence,
    /// Rules by which matches are ranked: those that the document names, or those of its spelling.
    #[serde(skip)]
    pub ranking: Ranking,
}

/// An address of the gateway in front.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Listener {
    /// Name.
    pub name: String,
    /// IP address.
    pub address: String,
    /// Port.
    pub port: u16,
    /// Time limit of a request, for example `300s`.
    pub timeout: String,
    /// Keys that clients must send. The gateway has to check them: a document with keys is not
    /// served.
    #[schemars(extend("writeOnly" = true))]
    pub api_keys: Vec<HiddenText>,
}

/// A policy: signals, what is derived from them, and decisions.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// `priority` (the default) or `confidence`: which of several matching decisions wins.
    #[schemars(extend("examples" = ["priority", "confidence"]))]
    pub strategy: String,
    /// What is known of models. Shared by all recipes.
    #[serde(rename = "modelCards")]
    pub model_cards: Vec<ModelCard>,
    /// Signal rules by family.
    pub signals: Signals,
    /// Signals derived from signals.
    pub projections: Projections,
    /// Decisions.
    pub decisions: Vec<Decision>,
    /// Merit's own: limits that hold on every path.
    pub boundaries: Vec<Boundary>,
    /// What a model must be known to have to be a candidate.
    pub candidate_requirements: CandidateRequirements,
    /// What may be kept of requests.
    pub data_policy: DataPolicy,
    /// Which deployment a signal of this recipe uses. Known, and not run.
    pub model_bindings: BTreeMap<String, ModelBinding>,
    /// Which models are tried after a failure: Merit names the next one to the gateway, which tries
    /// it. Wins over `global.router.fallback` and `global.server.fallback`.
    pub fallback: Option<FallbackPolicy>,
}

impl Routing {
    /// Returns the part of the recipe from which its signals are made. `path` is that of the block.
    #[must_use]
    pub fn scope<'a>(&'a self, path: &'a str, document: &'a Document) -> Scope<'a> {
        Scope {
            path,
            signals: &self.signals,
            projections: &self.projections,
            models: &document.global.model_catalog,
        }
    }
}

/// Model names that ask for a recipe.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Entrypoint {
    /// The names. `*` stands for any run of characters, in any case: `claude-*` takes every such
    /// name that no model of the document has.
    pub model_names: Vec<String>,
    /// The recipe; `default` is the top-level `routing`.
    pub recipe: String,
}

/// A named policy.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// Unique name.
    pub name: String,
    /// Free text; the description of its entrypoints in `GET /v1/models`.
    pub description: String,
    /// The policy.
    pub routing: Routing,
}

#[cfg(test)]
mod tests;
