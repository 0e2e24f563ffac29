//! What is known of a model beforehand: the model card and the prices of the document, ready for
//! use.

use crate::candidate::ModelRef;
use crate::providers::wires::Wires;
use crate::providers::{EnergyCurve, Modality, ModelCard, Pricing, ProviderModel};
use document::suggestion;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a document says of models, wherever it stands there.
pub trait ModelDescriptions {
    /// Returns the models that requests can be sent to.
    fn provider_models(&self) -> &[ProviderModel];

    /// Returns the model cards of all recipes, the default one's first.
    fn model_cards(&self) -> Box<dyn Iterator<Item = &ModelCard> + '_>;

    /// Returns the endpoints, ids and prices of a model.
    fn provider_model(&self, name: &str) -> Option<&ProviderModel> {
        self.provider_models()
            .iter()
            .find(|model| model.name == name)
    }

    /// Returns the card of a model, by its name or by its id in a catalog.
    fn model_card(&self, name: &str) -> Option<&ModelCard> {
        let named = |name: &str| self.model_cards().find(|card| card.name == name);
        named(name).or_else(|| {
            let id = self.provider_model(name)?.catalog.trim();
            named(id).filter(|_| !id.is_empty())
        })
    }

    /// Returns the model whose adapter has this name.
    fn lora_base(&self, lora: &str) -> Option<&ModelCard> {
        self.model_cards()
            .find(|card| card.loras.iter().any(|adapter| adapter.name == lora))
    }

    /// Returns the prices of a model, or of the model that an adapter belongs to.
    fn price(&self, name: &str) -> Option<&Pricing> {
        let own = self.provider_model(name);
        let model = own.or_else(|| self.provider_model(&self.lora_base(name)?.name));
        model?.pricing.as_ref()
    }

    /// Tells whether some card or provider entry bears this name.
    fn knows_model(&self, name: &str) -> bool {
        self.model_card(name).is_some() || self.provider_model(name).is_some()
    }

    /// Returns what an index of benchmarks says of a model at the reasoning effort of a candidate;
    /// `None` where no records tell.
    fn index_value(&self, _index: &str, _candidate: &ModelRef) -> Option<IndexValue> {
        None
    }

    /// Returns what is wrong with the id of an index that nothing defines.
    fn unknown_index(&self, index: &str) -> Option<String> {
        Some(format!("no index `{index}`"))
    }

    /// Returns what is wrong with a model's name that no card or provider entry bears. That a name
    /// is blank is said elsewhere.
    fn unknown_model(&self, name: &str) -> Option<String> {
        if name.trim().is_empty() || self.knows_model(name) {
            return None;
        }
        let cards = self.model_cards().map(|card| card.name.as_str());
        let known = self.provider_models().iter();
        let known = known.map(|model| model.name.as_str()).chain(cards);
        let hint = suggestion(name, known.collect::<BTreeSet<_>>());
        Some(format!("no model is called `{name}`{hint}"))
    }
}

/// What an index of benchmarks says of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IndexValue {
    /// The value, on the index's scale.
    pub score: f64,
    /// Share of the index's weights that records cover, 0 to 1.
    pub coverage: f64,
}

/// A model's fixed facts.
#[derive(Debug, Clone, Default)]
pub struct Card {
    /// Name in the document.
    pub name: Arc<str>,
    /// Quality, 0 to 1; `None` if unknown.
    pub quality: Option<f64>,
    /// Prices per million tokens; `None` if the document has none.
    pub prices: Option<Prices>,
    /// Context window, tokens; `None` if unknown.
    pub context_window: Option<u64>,
    /// Most tokens of an answer; `None` if unknown.
    pub max_output: Option<u64>,
    /// Kinds of content that go in; empty if the card does not say.
    pub inputs: Vec<Modality>,
    /// Size in millions of parameters; `None` if unknown.
    pub parameters: Option<f64>,
    /// Text that describes it, for algorithms that compare texts.
    pub description: String,
    /// Abilities, lower case.
    pub capabilities: Vec<String>,
    /// Word for where it runs; empty if unknown.
    pub location: Arc<str>,
    /// `ar`, `diffusion` or `omni`; empty if unknown.
    pub modality: String,
    /// The measured energy curve of its pool.
    pub energy: Option<EnergyCurve>,
    /// Some reasoning family is configured.
    pub reasons: bool,
    /// The wires that its backend speaks.
    pub wires: Wires,
}

/// Prices per million tokens, all 0 or more.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Prices {
    /// Prompt tokens.
    pub prompt: f64,
    /// Prompt tokens read from the provider's cache. As in the reference, an omitted price is 0.
    pub cached: f64,
    /// Prompt tokens written to the provider's cache; the prompt price where omitted.
    pub cache_write: f64,
    /// Completion tokens.
    pub completion: f64,
}

impl Prices {
    /// Reads prices as written: below 0 counts as 0, an omitted price of cache writes as the prompt
    /// price.
    #[must_use]
    pub fn of(pricing: &Pricing) -> Self {
        let prompt = pricing.prompt_per_1m.max(0.0);
        Self {
            prompt,
            cached: pricing.cached_input_per_1m.max(0.0),
            cache_write: if pricing.cache_write_per_1m > 0.0 {
                pricing.cache_write_per_1m
            } else {
                prompt
            },
            completion: pricing.completion_per_1m.max(0.0),
        }
    }

    /// Returns the price of a request in the document's currency. `cached` and `written` are parts
    /// of `prompt`; what exceeds it does not count.
    #[must_use]
    pub fn cost(&self, tokens: Tokens) -> f64 {
        let cached = tokens.cached.min(tokens.prompt);
        let written = tokens.written.min(tokens.prompt - cached);
        let fresh = tokens.prompt - cached - written;
        let sum = fresh as f64 * self.prompt
            + cached as f64 * self.cached
            + written as f64 * self.cache_write
            + tokens.completion as f64 * self.completion;
        sum / 1e6
    }
}

/// Tokens of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of the prompt, all of them.
    pub prompt: u64,
    /// Of these, read from the provider's cache.
    pub cached: u64,
    /// Of these, written to the provider's cache.
    pub written: u64,
    /// Of the answer.
    pub completion: u64,
}

impl Card {
    /// Returns the card of the model of this name; an adapter's is that of its base. Nothing is
    /// known of a model without one.
    #[must_use]
    pub fn of(name: &str, models: &dyn ModelDescriptions) -> Self {
        let base = models.lora_base(name).map(|card| card.name.clone());
        let provider = models
            .provider_model(name)
            .or_else(|| models.provider_model(base.as_deref()?));
        let card = models
            .model_card(name)
            .or_else(|| models.model_card(base.as_deref()?));
        let pricing = provider.and_then(|provider| provider.pricing.as_ref());
        let location = provider.map_or("", |provider| provider.location.trim());
        Self {
            name: name.into(),
            quality: card
                .map(|card| card.quality_score)
                .filter(|&quality| quality > 0.0),
            prices: pricing.map(Prices::of),
            context_window: card
                .map(|card| card.context_window_size)
                .filter(|&tokens| tokens > 0),
            max_output: card
                .map(|card| card.max_output_tokens)
                .filter(|&tokens| tokens > 0),
            inputs: card
                .and_then(|card| card.modalities.as_ref())
                .map(|kinds| kinds.input.clone())
                .unwrap_or_default(),
            parameters: card.and_then(|card| parameters(&card.param_size)),
            description: card
                .map(|card| card.description.clone())
                .unwrap_or_default(),
            capabilities: card
                .map(|card| lower(&card.capabilities))
                .unwrap_or_default(),
            location: location.into(),
            modality: card.map(|card| card.modality.clone()).unwrap_or_default(),
            energy: card.and_then(|card| card.energy.clone()),
            reasons: provider.is_some_and(|provider| {
                !provider.reasoning_family.is_empty() || provider.reasoning.is_some()
            }),
            wires: provider.map(ProviderModel::wires).unwrap_or_default(),
        }
    }

    /// Returns the prompt price per million tokens, if it is above 0: 0 counts as not priced, as in
    /// the reference.
    #[must_use]
    pub fn prompt_price(&self) -> Option<f64> {
        self.prices
            .map(|prices| prices.prompt)
            .filter(|&price| price > 0.0)
    }
}

fn lower(words: &[String]) -> Vec<String> {
    words
        .iter()
        .map(|word| word.trim().to_lowercase())
        .collect()
}

/// Parses `8B`, `500m` or `70` (billions) to millions of parameters.
fn parameters(written: &str) -> Option<f64> {
    let written = written.trim().to_ascii_lowercase();
    let (number, factor) = match written.strip_suffix(['b', 'm', 'k']) {
        Some(number) if written.ends_with('m') => (number, 1.0),
        Some(number) if written.ends_with('k') => (number, 1e-3),
        Some(number) => (number, 1e3),
        None => (written.as_str(), 1e3),
    };
    number
        .trim()
        .parse::<f64>()
        .ok()
        .filter(|size| size.is_finite() && *size > 0.0)
        .map(|size| size * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_of_the_reference_example() {
        let prices = Prices {
            prompt: 3.0,
            cached: 0.3,
            cache_write: 3.0,
            completion: 15.0,
        };
        let tokens = Tokens {
            prompt: 100_000,
            cached: 40_000,
            written: 10_000,
            completion: 1_000,
        };
        assert!((prices.cost(tokens) - 0.207).abs() < 1e-12);
        let beyond = Tokens {
            prompt: 10,
            cached: 50,
            written: 50,
            completion: 0,
        };
        assert!(
            (prices.cost(beyond) - 3e-6).abs() < 1e-15,
            "what exceeds the prompt does not count"
        );
    }

    #[test]
    fn sizes() {
        let check = |written: &str, expected: Option<f64>| {
            assert_eq!(parameters(written), expected, "{written}")
        };
        check("8B", Some(8_000.0));
        check("500m", Some(500.0));
        check("70", Some(70_000.0));
        check("250k", Some(0.25));
        check("large", None);
        check("", None);
    }
}
