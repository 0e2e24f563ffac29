//! The sections of a routing document that this crate reads, for tests.

use crate::learning::policy::{LearningDecision, LearningRecipe, ModelProfiles, Policy};
use crate::learning::settings::{Adaptations, Learning};
use document::Schema;
use schemars::JsonSchema;
use selection::candidate::ModelRef;
use selection::card::ModelDescriptions;
use selection::providers::{ModelCard, ProviderModel, Providers};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, LazyLock};

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Document {
    version: String,
    providers: Providers,
    pub(crate) routing: Routing,
    global: Global,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Routing {
    #[serde(rename = "modelCards")]
    model_cards: Vec<ModelCard>,
    pub(crate) decisions: Vec<Decision>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Decision {
    name: String,
    priority: i64,
    tier: i64,
    #[serde(rename = "modelRefs")]
    pub(crate) model_refs: Vec<ModelRef>,
    adaptations: Option<Adaptations>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Global {
    router: Router,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Router {
    learning: Learning,
}

impl Document {
    /// Reads a document that has no fault.
    #[track_caller]
    pub(crate) fn read(yaml: &str) -> Self {
        static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::of::<Document>("conversation"));
        let loaded = document::load(yaml, &SCHEMA, &|_| None);
        assert_eq!(loaded.problems, [], "{yaml}");
        loaded.document.unwrap()
    }

    /// Returns the policies of all decisions.
    pub(crate) fn policies(&self) -> Vec<Policy> {
        let decisions = self.routing.decisions.iter();
        let decisions: Vec<_> = decisions
            .map(|decision| LearningDecision {
                tier: decision.tier,
                model_refs: &decision.model_refs,
                adaptations: decision.adaptations.as_ref(),
            })
            .collect();
        let candidates = decisions.iter().flat_map(|decision| decision.model_refs);
        let profiles = Arc::new(ModelProfiles::of(self, candidates));
        let recipe = LearningRecipe {
            learning: &self.global.router.learning,
            decisions: decisions.clone(),
            default_model: &self.providers.defaults.default_model,
            models: self,
            profiles,
        };
        let policy = |decision| Policy::of(decision, &recipe);
        decisions.into_iter().map(policy).collect()
    }
}

impl ModelDescriptions for Document {
    fn provider_models(&self) -> &[ProviderModel] {
        &self.providers.models
    }

    fn model_cards(&self) -> Box<dyn Iterator<Item = &ModelCard> + '_> {
        Box::new(self.routing.model_cards.iter())
    }
}
