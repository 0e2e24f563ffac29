//! What a request will cost at each candidate, in money and in energy, said before it is sent, with
//! an interval.
//!
//! ```text
//! answer's length   moving mean of the answers that the decision had from the model; a stated default before
//! money             the document's prices × tokens
//! joules            P(b)/b · T: the pool's curve of the card, else one of our fits to published measurements, else a
//!                   regression over model sizes, else nothing
//! ```
//!
//! `b` is the number of requests in flight. Beside this share of the pool's power there is the
//! marginal one, `a/b · T`: what one more request adds to a pool that is on anyway. Every figure
//! says how and from what it was made. Figures are predictions of output tokens' energy: prompts
//! are not in the curves, as no source tells their energy apart.

mod curves;
mod lengths;

pub use lengths::{Length, Lengths};

use crate::candidate::{Candidate, upstream_name};
use crate::card::{ModelDescriptions, Tokens};
use crate::pool::ModelPool;
use curves::Energy;
use lengths::Answers;
use std::fmt;
use std::sync::Arc;

/// A predicted number with its interval, and where it is from.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The prediction; at least `low` and at most `high`.
    pub expected: f64,
    /// Lower end of the interval: about one request in twenty is below it.
    pub low: f64,
    /// Upper end of the interval: about one request in twenty is above it.
    pub high: f64,
    /// How it was made: `price`, or `measured`, `fitted`, `estimated`, `vendor` for a curve,
    /// `regression`.
    pub method: &'static str,
    /// What it rests on.
    pub source: Arc<str>,
    /// Date of the source, ISO 8601; empty if it has none.
    pub date: Arc<str>,
}

/// What a request is predicted to cost at one candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// The candidate, as the policy names it.
    pub model: Arc<str>,
    /// Tokens of the answer.
    pub length: Length,
    /// Price, in `currency`; `None` without prices.
    pub money: Option<Figure>,
    /// ISO 4217 code of the document; empty if it has none.
    pub currency: Arc<str>,
    /// Joules, as the request's share of the pool's power; `None` if nothing is known of the
    /// model's energy.
    pub joules: Option<Figure>,
    /// Joules that the request adds to a pool that is on anyway; `None` where only the share is
    /// known.
    pub marginal_joules: Option<f64>,
}

impl Forecast {
    /// Returns the predicted price in millionths of the currency, for sums that must be exact.
    #[must_use]
    pub fn microcurrency(&self) -> Option<u64> {
        self.money.as_ref().map(|money| whole(money.expected * 1e6))
    }

    /// Returns the predicted thousandths of a joule, for sums that must be exact.
    #[must_use]
    pub fn millijoules(&self) -> Option<u64> {
        self.joules
            .as_ref()
            .map(|joules| whole(joules.expected * 1e3))
    }
}

/// Rounds; what is not a number or below 0 becomes 0, what is too large the largest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is what is wanted"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            expected,
            low,
            high,
            method,
            source,
            date,
        } = self;
        write!(
            f,
            "{} ({} to {}; {method}: {source}",
            significant(*expected),
            significant(*low),
            significant(*high)
        )?;
        if !date.is_empty() {
            write!(f, ", {date}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.model, self.length)?;
        if let Some(money) = &self.money {
            let currency = if self.currency.is_empty() {
                "price"
            } else {
                &self.currency
            };
            write!(f, "; {currency} {money}")?;
        }
        if let Some(joules) = &self.joules {
            write!(f, "; J {joules}")?;
        }
        if let Some(marginal) = self.marginal_joules {
            write!(f, ", {} J more in a pool that is on", significant(marginal))?;
        }
        Ok(())
    }
}

/// Writes three significant digits.
fn significant(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return number.to_string();
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the exponent of a double has three digits"
    )]
    let exponent = number.abs().log10().floor() as i32;
    let decimals = usize::try_from(2 - exponent).unwrap_or(0);
    format!("{number:.decimals$}")
}

/// Predicts for the candidates of one decision; made once per generation.
#[derive(Debug, Default)]
pub struct Forecaster {
    candidates: Vec<Known>,
}

/// What predictions of one candidate rest on.
#[derive(Debug)]
struct Known {
    model: Arc<str>,
    answers: Arc<Answers>,
    energy: Option<Energy>,
    currency: Arc<str>,
    prices: Arc<str>,
}

impl Forecaster {
    /// Prepares the forecasts of a decision's candidates; `lengths` holds the lengths of earlier
    /// answers.
    #[must_use]
    pub fn new(
        decision: &str,
        candidates: &[Candidate],
        models: &dyn ModelDescriptions,
        lengths: &Lengths,
    ) -> Self {
        let prices: Arc<str> = "providers.models[].pricing".into();
        let known = |candidate: &Candidate| {
            let model: Arc<str> = upstream_name(&candidate.model_ref).trim().into();
            let provider = models.provider_model(&candidate.card.name);
            let id = provider.map_or("", |provider| provider.provider_model_id.trim());
            Known {
                answers: lengths.of(decision, &model),
                energy: Energy::of(&candidate.card, id),
                currency: models
                    .price(&candidate.card.name)
                    .map_or("", |price| price.currency.trim())
                    .into(),
                prices: Arc::clone(&prices),
                model,
            }
        };
        Self {
            candidates: candidates.iter().map(known).collect(),
        }
    }

    /// Predicts what a request costs at these candidates. `tokens.completion` is the answer's
    /// length if it is known, else 0.
    #[must_use]
    pub fn forecasts(
        &self,
        candidates: &[Candidate],
        eligible: &[usize],
        tokens: Tokens,
    ) -> Vec<Forecast> {
        let pick = |&index: &usize| Some((self.candidates.get(index)?, candidates.get(index)?));
        let picked = eligible.iter().filter_map(pick);
        picked
            .map(|(known, candidate)| known.forecast(candidate, tokens))
            .collect()
    }

    /// Returns the first of these candidates that goes by this name.
    #[must_use]
    pub fn position(&self, eligible: &[usize], model: &str) -> Option<usize> {
        let is_named = |&index: &usize| {
            self.candidates
                .get(index)
                .is_some_and(|known| *known.model == *model)
        };
        eligible.iter().copied().find(is_named)
    }

    /// Predicts the joules of one candidate, as its share of the pool's power.
    #[must_use]
    pub fn joules(&self, candidate: usize, pool: &ModelPool, tokens: Tokens) -> Option<f64> {
        let known = self.candidates.get(candidate)?;
        let per_token = known.energy.as_ref()?.expected_per_token(load(pool))?;
        Some(per_token * known.answers.length(tokens.completion).expected)
    }
}

impl Known {
    fn forecast(&self, candidate: &Candidate, tokens: Tokens) -> Forecast {
        let length = self.answers.length(tokens.completion);
        let money = candidate.card.prices.map(|prices| {
            let cost = |completion: f64| {
                prices.cost(Tokens {
                    completion: whole(completion),
                    ..tokens
                })
            };
            Figure {
                expected: cost(length.expected),
                low: cost(length.low),
                high: cost(length.high),
                method: "price",
                source: Arc::clone(&self.prices),
                date: Arc::default(),
            }
        });
        let b = load(&candidate.pool);
        let energy = self.energy.as_ref();
        Forecast {
            model: Arc::clone(&self.model),
            length,
            money,
            currency: Arc::clone(&self.currency),
            joules: energy.and_then(|energy| energy.joules(b, &length)),
            marginal_joules: energy
                .and_then(|energy| Some(energy.marginal_per_token(b)? * length.expected)),
        }
    }
}

/// Returns the requests in flight that share a pool's power, at least the request itself.
fn load(pool: &ModelPool) -> f64 {
    pool.in_flight().max(1) as f64
}

#[cfg(test)]
mod tests;
