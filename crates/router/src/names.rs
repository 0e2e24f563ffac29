//! Which model names ask for routing, and by which recipe.
//!
//! A model that the document names is the user's explicit choice and is left alone, whatever else
//! its name looks like. The router's own names are found in the spellings of clients, too: in any
//! case, behind the prefix of a client library (`openai/auto`), and before Claude Code's mark for a
//! window of a million tokens (`auto[1m]`). What is left may fit a pattern of an entrypoint.

use crate::config::{DEFAULT_RECIPE, Document, NamePattern, WILDCARD};
use selection::card::ModelDescriptions;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Owner of names that Merit answers for.
const OWNER: &str = "vllm-semantic-router";

/// Prefixes by which client libraries tell the API that a model is asked through. Some leave them in
/// the body.
const CLIENT_PREFIXES: [&str; 4] = ["openai/", "anthropic/", "hosted_vllm/", "litellm_proxy/"];

/// By this, Claude Code's users ask for a window of a million tokens.
const LONG_WINDOW_MARK: &str = "[1m]";

/// Name → what it asks for.
#[derive(Debug, Default)]
pub struct Names {
    /// The router's own names and the document's models, as they are written.
    targets: HashMap<String, Target>,
    /// The router's own names in lower case.
    folded: HashMap<String, Target>,
    /// The pattern with the most literal characters first.
    patterns: Vec<(NamePattern, Target)>,
    listed: Vec<Listed>,
    /// Models and adapters that requests may name and that the list leaves out.
    unlisted: Vec<Listed>,
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
        names.add_models(document);
        names.list_models(document);
        let mut seen = HashSet::new();
        names.listed.retain(|listed| seen.insert(listed.id.clone()));
        names
    }

    /// What `model` asks for.
    #[must_use]
    pub fn resolve(&self, model: &str) -> Target {
        let model = model.trim();
        if let Some(&target) = self.targets.get(model) {
            return target;
        }
        let folded = model.to_lowercase();
        let folded = folded.strip_suffix(LONG_WINDOW_MARK).unwrap_or(&folded);
        let bare = CLIENT_PREFIXES
            .iter()
            .find_map(|prefix| folded.strip_prefix(prefix));
        let own = [Some(folded), bare]
            .into_iter()
            .flatten()
            .find_map(|name| self.folded.get(name));
        let fitting = || {
            self.patterns
                .iter()
                .find(|(pattern, _)| pattern.matches(folded))
                .map(|(_, target)| target)
        };
        own.or_else(fitting).copied().unwrap_or(Target::Concrete)
    }

    /// The lines of `GET /v1/models`, in order.
    #[must_use]
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// Models and adapters that requests may name as well, in order.
    #[must_use]
    pub fn unlisted(&self) -> &[Listed] {
        &self.unlisted
    }

    fn add(&mut self, id: &str, target: Target) {
        let id = id.trim();
        self.folded.entry(id.to_lowercase()).or_insert(target);
        self.targets.entry(id.to_owned()).or_insert(target);
    }

    fn add_models(&mut self, document: &Document) {
        let models = document.providers.models.iter().map(|model| &model.name);
        let cards = document.model_cards().map(|card| &card.name);
        let adapters = document.model_cards().flat_map(|card| &card.loras);
        let adapters = adapters.map(|adapter| &adapter.name);
        for name in models.chain(cards).chain(adapters) {
            self.targets
                .entry(name.trim().to_owned())
                .or_insert(Target::Concrete);
        }
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
            let target = Target::Recipe { recipe, only: None };
            for id in &entrypoint.model_names {
                if id.contains(WILDCARD) {
                    let pattern = NamePattern::new_case_insensitive(id.trim());
                    self.patterns.push((pattern, target));
                    continue;
                }
                self.add(id, target);
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
        let literal = |pattern: &NamePattern| {
            let written = pattern.pattern();
            written.chars().filter(|&each| each != WILDCARD).count()
        };
        self.patterns
            .sort_by_key(|(pattern, _)| std::cmp::Reverse(literal(pattern)));
    }

    fn list_models(&mut self, document: &Document) {
        let models = document.providers.models.iter().map(|model| {
            let card = document.model_card(&model.name);
            concrete(&model.name, card.map(|card| card.context_window_size))
        });
        if document.global.router.include_config_models_in_list {
            self.listed.extend(models);
        } else {
            self.unlisted.extend(models);
        }
        let adapters = document.model_cards().flat_map(|card| {
            let window = card.context_window_size;
            let loras = card.loras.iter();
            loras.map(move |adapter| concrete(&adapter.name, Some(window)))
        });
        self.unlisted.extend(adapters);
    }
}

/// Returns the line of a model of its own.
fn concrete(name: &str, window: Option<u64>) -> Listed {
    Listed {
        id: name.to_owned(),
        owner: "upstream-endpoint",
        description: None,
        is_virtual: false,
        default_route: false,
        recipe: None,
        max_model_len: window.filter(|&tokens| tokens > 0),
    }
}

fn largest_window(document: &Document) -> Option<u64> {
    let windows = document.model_cards().map(|card| card.context_window_size);
    windows.max().filter(|&tokens| tokens > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "
version: v0.3
providers: {models: [{name: small}, {name: claude-own}, {name: openrouter/auto}]}
entrypoints:
  - {model_names: [fast, Team/Quick, 'claude-*'], recipe: cheap}
  - {model_names: ['claude-*-haiku-*', 'gpt-?*'], recipe: cheapest}
recipes: [{name: cheap}, {name: cheapest}]
routing: {modelCards: [{name: small, loras: [{name: claude-law}]}]}
";

    fn check(names: &Names, asked: &[&str], expected: Option<usize>) {
        for name in asked {
            let found = match names.resolve(name) {
                Target::Recipe { recipe, .. } => Some(recipe),
                Target::Concrete => None,
            };
            assert_eq!(found, expected, "{name}");
        }
    }

    fn names(yaml: &str) -> Names {
        let document = crate::config::load(yaml, &|_: &str| None).document.unwrap();
        let recipes = ["default", "cheap", "cheapest"].map(Arc::from);
        Names::build(&document, &recipes)
    }

    #[test]
    fn names_are_found_as_clients_spell_them() {
        let names = names(DOCUMENT);
        let auto = [
            "auto",
            " auto ",
            "AUTO",
            "mom",
            "MoM",
            "openai/auto",
            "OpenAI/Auto",
            "anthropic/auto[1m]",
            "auto[1M]",
            "vllm-sr/auto",
            "VLLM-SR/AUTO[1m]",
            "hosted_vllm/vllm-sr/auto",
        ];
        check(&names, &auto, Some(0));
        check(&names, &["fast", "Fast", "openai/fast"], Some(1));
        check(&names, &["team/quick", "litellm_proxy/Team/Quick"], Some(1));
        let others = [
            "small",
            "Small",
            "openrouter/auto",
            "other/auto",
            "auto1m",
            "",
            "au to",
        ];
        check(&names, &others, None);
    }

    #[test]
    fn patterns_take_what_nothing_else_is_called() {
        let names = names(DOCUMENT);
        let general = [
            "claude-sonnet-5",
            "Claude-Opus-5[1m]",
            "claude-",
            "claude-sonnet-5[1m]",
        ];
        check(&names, &general, Some(1));
        check(&names, &["claude-5-haiku-2026", "gpt-?5"], Some(2));
        // Models of the document are its users' explicit choice; `?` is no wildcard.
        check(
            &names,
            &["claude-own", "claude-law", "gpt-5", "my-claude-3"],
            None,
        );
        let listed: Vec<&str> = names.listed().iter().map(|line| line.id.as_str()).collect();
        assert_eq!(
            listed,
            ["vllm-sr/auto", "auto", "MoM", "fast", "Team/Quick"]
        );
        let unlisted = names.unlisted().iter().map(|line| line.id.as_str());
        assert_eq!(
            unlisted.collect::<Vec<_>>(),
            ["small", "claude-own", "openrouter/auto", "claude-law"]
        );
    }
}
