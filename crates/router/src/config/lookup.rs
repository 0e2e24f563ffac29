//! Questions that routing asks of a document: which recipe a name means, which model, at what
//! price.

use super::fallback::FallbackPolicy;
use super::integrations::Looper;
use super::{Document, Routing, evidence};
use selection::candidate::ModelRef;
use selection::card::{IndexValue, ModelDescriptions};
use selection::providers::{ModelCard, ProviderModel};
use wildmatch::WildMatchPattern;

/// Name of the top-level recipe.
pub const DEFAULT_RECIPE: &str = "default";

/// What stands for any run of characters in an entrypoint's name.
pub const WILDCARD: char = '*';

/// An entrypoint's name with wildcards, matched in any case. `?` stands for itself.
pub type NamePattern = WildMatchPattern<WILDCARD, '\0'>;

impl Document {
    /// The policy of a recipe; `default` is the top-level one unless a recipe bears that name.
    #[must_use]
    pub fn recipe(&self, name: &str) -> Option<&Routing> {
        let named = self
            .recipes
            .iter()
            .find(|recipe| recipe.name == name)
            .map(|recipe| &recipe.routing);
        named.or_else(|| (name == DEFAULT_RECIPE).then_some(&self.routing))
    }

    /// Tells whether some model name asks for this recipe.
    #[must_use]
    pub fn is_live(&self, recipe: &str) -> bool {
        let auto = recipe == DEFAULT_RECIPE && !self.auto_model_names().is_empty();
        auto || self
            .entrypoints
            .iter()
            .any(|entrypoint| entrypoint.recipe == recipe && !entrypoint.model_names.is_empty())
    }

    /// Tells whether a recipe names a further candidate to the gateway: as its own `fallback` says,
    /// else that of all recipes, else `global.server.fallback`.
    #[must_use]
    pub fn falls_back(&self, routing: &Routing) -> bool {
        let says = |block: &Option<FallbackPolicy>| block.as_ref().and_then(|it| it.enabled);
        let own = says(&routing.fallback).or_else(|| says(&self.global.router.fallback));
        own.unwrap_or(self.global.server.fallback.enabled)
    }

    /// All recipes with their names and paths, the default one first.
    pub fn policies(&self) -> impl Iterator<Item = (&str, String, &Routing)> {
        let top = (DEFAULT_RECIPE, "routing".to_owned(), &self.routing);
        let named = self.recipes.iter().enumerate();
        let named = named.map(|(index, recipe)| {
            let path = format!("recipes[{index}].routing");
            (recipe.name.as_str(), path, &recipe.routing)
        });
        std::iter::once(top).chain(named)
    }

    /// Names that ask for the default recipe: the written list, even an empty one, else the
    /// built-in names.
    #[must_use]
    pub fn auto_model_names(&self) -> Vec<String> {
        let router = &self.global.router;
        let names: Vec<&str> = match &router.auto_model_names {
            Some(names) => names.iter().map(String::as_str).collect(),
            None => vec!["vllm-sr/auto", "auto", &router.auto_model_name],
        };
        distinct(names)
    }

    /// Names that ask for a multi-model run, with its algorithm. Recognised whether listed anywhere
    /// or not.
    #[must_use]
    pub fn looper_names(&self) -> Vec<(String, &'static str)> {
        let looper = self.global.integrations.looper.as_ref();
        let configured = |names: fn(&Looper) -> Option<&Vec<String>>| {
            looper.and_then(names).filter(|names| !names.is_empty())
        };
        let kinds = [
            (
                "vllm-sr/remom",
                "remom",
                configured(|looper| Some(&looper.remom.as_ref()?.model_names)),
            ),
            (
                "vllm-sr/fusion",
                "fusion",
                configured(|looper| Some(&looper.fusion.as_ref()?.model_names)),
            ),
            (
                "vllm-sr/flow",
                "workflows",
                configured(|looper| Some(&looper.flow.as_ref()?.model_names)),
            ),
        ];
        let named = |(built_in, kind, names): (&str, &'static str, Option<&Vec<String>>)| {
            let names = names.map_or_else(
                || vec![built_in],
                |names| names.iter().map(String::as_str).collect(),
            );
            distinct(names)
                .into_iter()
                .map(move |name| (name, kind))
                .collect::<Vec<_>>()
        };
        kinds.into_iter().flat_map(named).collect()
    }
}

impl ModelDescriptions for Document {
    fn provider_models(&self) -> &[ProviderModel] {
        &self.providers.models
    }

    fn model_cards(&self) -> Box<dyn Iterator<Item = &ModelCard> + '_> {
        let named = self
            .recipes
            .iter()
            .flat_map(|recipe| &recipe.routing.model_cards);
        Box::new(self.routing.model_cards.iter().chain(named))
    }

    fn index_value(&self, index: &str, candidate: &ModelRef) -> Option<IndexValue> {
        evidence::value(self, index, candidate)
    }

    fn unknown_index(&self, index: &str) -> Option<String> {
        self.evaluation.unknown_index(index)
    }
}

fn distinct(names: Vec<&str>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for name in names
        .into_iter()
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        if kept.iter().all(|other| other != name) {
            kept.push(name.to_owned());
        }
    }
    kept
}
