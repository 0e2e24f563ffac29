//! Which model names ask for routing, and by which recipe.
//!
//! Names compare exactly, after trimming. A concrete model name is the user's explicit choice and
//! is left alone.

use crate::config::{DEFAULT_RECIPE, Document};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Owner of names that Merit answers for.
const OWNER: &str = "vllm-semantic-router";

/// Name → what it asks for.
#[derive(Debug, Default)]
pub struct Names {
    targets: HashMap<String, Target>,
    listed: Vec<Listed>,
}

/// What a name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Routing by a recipe, by its index; only decisions of this algorithm compete if one is given.
    Recipe {
        /// Index in the generation.
        recipe: usize,
        /// `remom`, `fusion` or `workflows` for their direct names.
        only: Option<&'static str>,
    },
    /// A model of its own.
    Concrete,
}

/// One line of `GET /v1/models`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name.
    pub id: String,
    /// `owned_by`.
    pub owner: &'static str,
    /// For people.
    pub description: Option<String>,
    /// Routed, as opposed to a model of its own.
    pub is_virtual: bool,
    /// One of the auto names.
    pub default_route: bool,
    /// The recipe behind it.
    pub recipe: Option<Arc<str>>,
    /// Largest prompt in tokens that some model behind the name takes.
    pub max_model_len: Option<u64>,
}

impl Names {
    /// Collects auto names, looper names and entrypoints. `recipes` are the generation's recipe
    /// names in order.
    #[must_use]
    pub fn build(document: &Document, recipes: &[Arc<str>]) -> Self {
        let mut names = Self::default();
        let window = largest_window(document);
        let default = recipes
            .iter()
            .position(|name| name.as_ref() == DEFAULT_RECIPE);
        if let Some(recipe) = default {
            for id in document.auto_model_names() {
                names.add(&id, Target::Recipe { recipe, only: None });
                names.listed.push(Listed {
                    id,
                    owner: OWNER,
                    description: Some("Intelligent Router for Mixture-of-Models".to_owned()),
                    is_virtual: true,
                    default_route: true,
                    recipe: Some(recipes[recipe].clone()),
                    max_model_len: window,
                });
            }
            for (id, algorithm) in document.looper_names() {
                names.add(
                    &id,
                    Target::Recipe {
                        recipe,
                        only: Some(algorithm),
                    },
                );
            }
        }
        names.add_entrypoints(document, recipes, window);
        names.list_models(document);
        let mut seen = HashSet::new();
        names.listed.retain(|listed| seen.insert(listed.id.clone()));
        names
    }

    /// What `model` asks for.
    #[must_use]
    pub fn resolve(&self, model: &str) -> Target {
        self.targets
            .get(model.trim())
            .copied()
            .unwrap_or(Target::Concrete)
    }

    /// The lines of `GET /v1/models`, in order.
    #[must_use]
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    fn add(&mut self, id: &str, target: Target) {
        self.targets.entry(id.trim().to_owned()).or_insert(target);
    }

    fn add_entrypoints(&mut self, document: &Document, recipes: &[Arc<str>], window: Option<u64>) {
        for entrypoint in &document.entrypoints {
            let Some(recipe) = recipes
                .iter()
                .position(|name| name.as_ref() == entrypoint.recipe.trim())
            else {
                continue;
            };
            let described = document
                .recipes
                .iter()
                .find(|other| other.name == entrypoint.recipe);
            let description = described
                .map(|recipe| recipe.description.clone())
                .filter(|text| !text.is_empty());
            let description = description.unwrap_or_else(|| {
                format!("Entrypoint for the {} routing recipe", entrypoint.recipe)
            });
            for id in &entrypoint.model_names {
                self.add(id, Target::Recipe { recipe, only: None });
                self.listed.push(Listed {
                    id: id.trim().to_owned(),
                    owner: OWNER,
                    description: Some(description.clone()),
                    is_virtual: true,
                    default_route: false,
                    recipe: Some(recipes[recipe].clone()),
                    max_model_len: window,
                });
            }
        }
    }

    fn list_models(&mut self, document: &Document) {
        if !document.global.router.include_config_models_in_list {
            return;
        }
        for model in &document.providers.models {
            let card = document.model_card(&model.name);
            self.listed.push(Listed {
                id: model.name.clone(),
                owner: "upstream-endpoint",
                description: None,
                is_virtual: false,
                default_route: false,
                recipe: None,
                max_model_len: card
                    .map(|card| card.context_window_size)
                    .filter(|&tokens| tokens > 0),
            });
        }
    }
}

fn largest_window(document: &Document) -> Option<u64> {
    let windows = document.model_cards().map(|card| card.context_window_size);
    windows.max().filter(|&tokens| tokens > 0)
}
