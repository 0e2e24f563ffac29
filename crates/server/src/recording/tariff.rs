//! What the models of a document cost, for the ledger. Shared by the records of its requests,
//! independent of the generation.

use records::ledger::money::{Baseline, Price, Prices, clamped, compare, cost, dearest};
use records::record::{Cost, Tokens};
use router::config::Document;
use selection::card::ModelDescriptions as _;
use selection::providers::Pricing;
use serde_json::Value;
use std::sync::Arc;

/// The currency of prices that name none.
const USD: &str = "USD";

/// Prices by model, in the order of the document.
#[derive(Debug, Default)]
pub(crate) struct Tariff {
    models: Vec<(Arc<str>, Prices)>,
}

impl Tariff {
    /// Reads the prices of a document; `written` is the document as it is written, which alone
    /// tells a price of 0 from one that is left out.
    pub(crate) fn of(document: &Document, written: &Value) -> Self {
        let mut models: Vec<(Arc<str>, Prices)> = Vec::new();
        for (index, model) in document.providers.models.iter().enumerate() {
            let pricing = written.pointer(&format!("/providers/models/{index}/pricing"));
            if let Some(prices) = model.pricing.as_ref().and_then(|it| prices(it, pricing)) {
                models.push((model.name.trim().into(), prices));
            }
        }

        // An adapter costs what its base model does.
        for card in document.model_cards() {
            let base = models.iter().find(|(name, _)| **name == *card.name.trim());
            let Some((_, prices)) = base.cloned() else {
                continue;
            };
            for adapter in &card.loras {
                if document.provider_model(&adapter.name).is_none() {
                    models.push((adapter.name.trim().into(), prices.clone()));
                }
            }
        }
        Self { models }
    }

    /// Returns what tokens cost at a model, beside what they would cost at the dearest one in the
    /// same currency; `None` for a model without prices.
    pub(crate) fn cost(&self, model: &str, tokens: &Tokens) -> Option<Cost> {
        let (_, prices) = self.models.iter().find(|(name, _)| **name == *model)?;
        let tokens = clamped(*tokens);
        let mut cost = cost(&tokens, prices);
        let named = self.models.iter();
        let named = named.map(|(model, prices)| Baseline { model, prices });
        if let Some(baseline) = dearest(named, &prices.currency) {
            compare(&mut cost, &tokens, baseline);
        }
        Some(cost)
    }
}

/// Reads the prices of one model; `None` where it has none.
fn prices(pricing: &Pricing, written: Option<&Value>) -> Option<Prices> {
    let says = |key: &str| written.is_some_and(|it| it.get(key).is_some());
    let optional = |key: &str, rate: f64| says(key).then(|| Price::per_million(rate)).flatten();
    let rates = [
        pricing.prompt_per_1m,
        pricing.cached_input_per_1m,
        pricing.completion_per_1m,
        pricing.cache_write_per_1m,
    ];
    let currency = pricing.currency.trim();
    let is_priced =
        rates.iter().any(|&rate| rate != 0.0) || says("cache_write_per_1m") || !currency.is_empty();
    let prices = Prices {
        currency: if currency.is_empty() { USD } else { currency }.to_owned(),
        prompt: Price::per_million(pricing.prompt_per_1m)?,
        cached: optional("cached_input_per_1m", pricing.cached_input_per_1m),
        cache_write: optional("cache_write_per_1m", pricing.cache_write_per_1m),
        completion: Price::per_million(pricing.completion_per_1m)?,
    };
    is_priced.then_some(prices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use router::config;

    fn check(model: &str, expected: Option<(i64, Option<i64>)>) {
        let text = "{version: v0.3, providers: {models: [\
            {name: a, pricing: {prompt_per_1m: 3, cached_input_per_1m: 0.3, completion_per_1m: 15}},\
            {name: b, pricing: {prompt_per_1m: 10, completion_per_1m: 30}},\
            {name: free, pricing: {currency: EUR}}, {name: c}]},\
            routing: {modelCards: [{name: a, loras: [{name: tuned}]}]}}";
        let checked = config::load(text, &|_| None);
        let tariff = Tariff::of(&checked.document.unwrap(), &checked.value);
        let tokens = Tokens {
            input: 1_000,
            cached_input: 600,
            cache_write: 100,
            output: 200,
            ..Tokens::default()
        };
        let cost = tariff.cost(model, &tokens);
        let found = cost.map(|cost| (cost.nanos, cost.baseline_nanos));
        assert_eq!(found, expected, "{model}");
    }

    /// A price of cached tokens that is left out is that of the prompt.
    #[test]
    fn costs_of_the_document() {
        check("a", Some((4_380_000, Some(16_000_000))));
        check("tuned", Some((4_380_000, Some(16_000_000))));
        check("b", Some((16_000_000, Some(16_000_000))));
        check("free", Some((0, Some(0))));
        check("c", None);
    }
}
