//! Models as a document describes them, for tests.

use crate::candidate::ModelRef;
use crate::card::ModelDescriptions;
use crate::providers::{ModelCard, ProviderModel, Providers};
use document::Schema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// The sections of a routing document that this crate reads.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Models {
    pub(crate) version: String,
    pub(crate) providers: Providers,
    pub(crate) routing: Routing,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Routing {
    #[serde(rename = "modelCards")]
    pub(crate) model_cards: Vec<ModelCard>,
    pub(crate) decisions: Vec<Decision>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Decision {
    pub(crate) name: String,
    #[serde(rename = "modelRefs")]
    pub(crate) model_refs: Vec<ModelRef>,
}

impl Models {
    /// Reads a document that has no fault.
    #[track_caller]
    pub(crate) fn read(yaml: &str) -> Self {
        static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::of::<Models>("models"));
        let loaded = document::load(yaml, &SCHEMA, &|_| None);
        assert_eq!(loaded.problems, [], "{yaml}");
        loaded.document.unwrap()
    }
}

impl ModelDescriptions for Models {
    fn provider_models(&self) -> &[ProviderModel] {
        &self.providers.models
    }

    fn model_cards(&self) -> Box<dyn Iterator<Item = &ModelCard> + '_> {
        Box::new(self.routing.model_cards.iter())
    }
}
