//! Money and joules of one request, in integers.
//!
//! A price is a decimal as the document writes it, so many units for a million tokens. Tokens times
//! prices are exact; the total is rounded once, half to even, and its parts are rounded so that
//! they add up to it: down, and the largest remainders up.

use std::time::Duration;

use super::whole;
use crate::record::{Attempt, Cost, DecisionRecord, Energy, OwnWork, Tokens};

/// Digits after the point that a price keeps.
const DIGITS: usize = 12;
/// One unit of a currency for a million tokens, in the units of [`Price`].
const UNIT: i128 = 1_000_000_000_000;
/// The units of [`Price`] that make a billionth of a currency's unit for one token.
const NANO: i128 = 1_000_000_000;
/// Prices above count as absent.
const PRICE_MAX: f64 = 1e12;

/// A price of a million tokens: 10⁻¹² units of a currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price(i128);

impl Price {
    /// Reads a price as the document writes it: exactly, up to twelve digits after the point.
    /// Below 0 counts as 0. What is no number, or larger than 10¹², is no price.
    #[must_use]
    pub fn per_million(units: f64) -> Option<Self> {
        if !units.is_finite() || units > PRICE_MAX {
            return None;
        }
        // The shortest text that means the number is the one that somebody wrote.
        let text = format!("{}", units.max(0.0));
        let (before, after) = text.split_once('.').unwrap_or((&text, ""));
        let mut digits: String = after.chars().take(DIGITS).collect();
        let is_up = after.chars().nth(DIGITS).is_some_and(|digit| digit >= '5');
        digits.extend(std::iter::repeat_n('0', DIGITS - digits.len()));
        let (before, after) = (before.parse::<i128>().ok()?, digits.parse::<i128>().ok()?);
        Some(Self(before * UNIT + after + i128::from(is_up)))
    }
}

/// The prices of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prices {
    /// ISO 4217.
    pub currency: String,
    /// Input tokens.
    pub prompt: Price,
    /// Input tokens that the cache held; the prompt's price where there is none.
    pub cached: Option<Price>,
    /// Input tokens that are written to the cache; the prompt's price where there is none.
    pub cache_write: Option<Price>,
    /// Output tokens, reasoning among them.
    pub completion: Price,
}

impl Prices {
    /// Returns what makes a model dear, by which baselines are chosen.
    fn rank(&self) -> Price {
        let input = self.cache_write.unwrap_or_default().max(self.prompt);
        Price(input.0.saturating_add(self.completion.0))
    }
}

/// Returns usage whose parts are within their wholes: cached and newly written tokens within the
/// input, reasoning within the output.
#[must_use]
pub fn clamped(mut tokens: Tokens) -> Tokens {
    tokens.cached_input = tokens.cached_input.min(tokens.input);
    let rest = tokens.input - tokens.cached_input;
    tokens.cache_write = tokens.cache_write.min(rest);
    tokens.reasoning = tokens.reasoning.min(tokens.output);
    tokens
}

/// Returns what tokens cost at a model's prices.
#[must_use]
pub fn cost(tokens: &Tokens, prices: &Prices) -> Cost {
    let [prompt, cached, cache_write, reasoning, answer] = parts(tokens, prices);
    let cost = Cost {
        currency: prices.currency.clone(),
        prompt_nanos: prompt,
        cached_nanos: cached,
        cache_write_nanos: cache_write,
        reasoning_nanos: reasoning,
        answer_nanos: answer,
        ..Cost::default()
    };
    let nanos = whole(&cost);
    Cost {
        nanos,
        micros: half_even(nanos.into(), 1_000),
        ..cost
    }
}

/// Compares a cost with what the same tokens would have cost on a named model. Prices in another
/// currency are no baseline.
pub fn compare(cost: &mut Cost, tokens: &Tokens, baseline: Baseline<'_>) {
    if baseline.prices.currency != cost.currency {
        return;
    }
    let sum = parts(tokens, baseline.prices).into_iter();
    cost.baseline_nanos = Some(sum.fold(0, i64::saturating_add));
    baseline.model.clone_into(&mut cost.baseline_model);
}

/// A model that costs are compared with.
#[derive(Debug, Clone, Copy)]
pub struct Baseline<'a> {
    /// Its name.
    pub model: &'a str,
    /// Its prices.
    pub prices: &'a Prices,
}

/// Returns the dearest of models in a currency: the largest sum of the prices of input (or of
/// writing it to the cache) and output. Of several, the first.
pub fn dearest<'a>(
    models: impl IntoIterator<Item = Baseline<'a>>,
    currency: &str,
) -> Option<Baseline<'a>> {
    let mut dearest: Option<Baseline<'a>> = None;
    for model in models {
        let is_dearer = dearest.is_none_or(|known| model.prices.rank() > known.prices.rank());
        if model.prices.currency == currency && is_dearer {
            dearest = Some(model);
        }
    }
    dearest
}

/// Returns the parts of the cost: prompt, cached, newly written, reasoning, answer.
fn parts(tokens: &Tokens, prices: &Prices) -> [i64; 5] {
    let tokens = clamped(*tokens);
    let prompt = tokens.input - tokens.cached_input - tokens.cache_write;
    let cached = prices.cached.unwrap_or(prices.prompt);
    let written = prices.cache_write.unwrap_or(prices.prompt);
    let exact = [
        (prompt, prices.prompt),
        (tokens.cached_input, cached),
        (tokens.cache_write, written),
        (tokens.reasoning, prices.completion),
        (tokens.output - tokens.reasoning, prices.completion),
    ]
    .map(|(count, price)| i128::from(count).saturating_mul(price.0));

    let total = exact
        .iter()
        .fold(0_i128, |sum, part| sum.saturating_add(*part));
    let mut parts = exact.map(|part| part / NANO);
    let mut left = i128::from(half_even(total, NANO)) - parts.iter().sum::<i128>();
    let mut order = [0, 1, 2, 3, 4];
    order.sort_by_key(|&place: &usize| {
        std::cmp::Reverse(exact.get(place).map(|part| part % NANO).unwrap_or_default())
    });
    for place in order {
        if left > 0
            && let Some(part) = parts.get_mut(place)
        {
            *part += 1;
            left -= 1;
        }
    }
    parts.map(|part| i64::try_from(part).unwrap_or(i64::MAX))
}

/// Divides and rounds half to even. What is too large for the result is cut.
fn half_even(value: i128, by: i128) -> i64 {
    let (down, rest) = (value.div_euclid(by), value.rem_euclid(by));
    let is_up = match (rest * 2).cmp(&by) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => down % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    let rounded = down + i128::from(is_up);
    i64::try_from(rounded).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// Energy as a forecast or a meter gives it, joules.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Joules {
    /// The request's share of the pool's power while it ran.
    pub attributed: f64,
    /// What the pool would not have drawn without it.
    pub marginal: f64,
    /// The interval around the share.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// `fitted`, `measured` …
    pub method: String,
    /// When that was measured.
    pub date: String,
}

/// Turns joules into the record's integers. What is no number makes no energy.
#[must_use]
pub fn energy(joules: &Joules) -> Option<Energy> {
    let [attributed, marginal, low, high] = [
        nano(joules.attributed)?,
        nano(joules.marginal)?,
        nano(joules.low)?,
        nano(joules.high)?,
    ];
    let source = [joules.method.as_str(), joules.date.as_str()];
    let source: Vec<&str> = source.into_iter().filter(|it| !it.is_empty()).collect();
    Some(in_micros(Energy {
        source: source.join(" "),
        attributed_nanojoules: attributed,
        marginal_nanojoules: marginal,
        low_nanojoules: low,
        high_nanojoules: high,
        method: joules.method.clone(),
        date: joules.date.clone(),
        ..Energy::default()
    }))
}

/// Returns Merit's own work: processor time at the power of one core, watts.
#[must_use]
pub fn own_work(cpu: Duration, watts: f64, source: &str) -> OwnWork {
    OwnWork {
        cpu_nanoseconds: u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX),
        nanojoules: nano(cpu.as_secs_f64() * watts).unwrap_or_default(),
        source: source.to_owned(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast of a float saturates, which is what is wanted"
)]
fn nano(joules: f64) -> Option<i64> {
    joules.is_finite().then(|| (joules * 1e9).round() as i64)
}

fn in_micros(energy: Energy) -> Energy {
    let micros = |nano: i64| half_even(nano.into(), 1_000);
    Energy {
        attributed_microjoules: micros(energy.attributed_nanojoules),
        marginal_microjoules: micros(energy.marginal_nanojoules),
        low_microjoules: micros(energy.low_nanojoules),
        high_microjoules: micros(energy.high_nanojoules),
        ..energy
    }
}

/// Adds the usage, cost and energy of all attempts up to those of the record, part by part. Costs
/// in several currencies have no sum: the record then has no cost, and the attempts say theirs.
pub fn add_up(record: &mut DecisionRecord) {
    let attempts = &record.attempts;
    record.tokens = sum(attempts.iter().filter_map(|it| it.tokens), |sum, it| {
        sum.input += it.input;
        sum.cached_input += it.cached_input;
        sum.cache_write += it.cache_write;
        sum.output += it.output;
        sum.reasoning += it.reasoning;
        sum.estimated |= it.estimated;
    });
    record.energy = sum(
        attempts.iter().filter_map(|it| it.energy.clone()),
        |sum, it| {
            sum.attributed_nanojoules += it.attributed_nanojoules;
            sum.marginal_nanojoules += it.marginal_nanojoules;
            sum.low_nanojoules += it.low_nanojoules;
            sum.high_nanojoules += it.high_nanojoules;
            for (text, other) in [
                (&mut sum.source, it.source),
                (&mut sum.method, it.method),
                (&mut sum.date, it.date),
            ] {
                if *text != other {
                    "mixed".clone_into(text);
                }
            }
        },
    )
    .map(in_micros);
    record.cost = cost_of_all(attempts);
}

fn cost_of_all(attempts: &[Attempt]) -> Option<Cost> {
    let costs = || attempts.iter().filter_map(|it| it.cost.as_ref());
    let currency = &costs().next()?.currency;
    if costs().any(|cost| cost.currency != *currency) {
        return None;
    }
    let mut total = Cost {
        currency: currency.clone(),
        ..Cost::default()
    };
    for cost in costs() {
        total.prompt_nanos += cost.prompt_nanos;
        total.cached_nanos += cost.cached_nanos;
        total.cache_write_nanos += cost.cache_write_nanos;
        total.reasoning_nanos += cost.reasoning_nanos;
        total.answer_nanos += cost.answer_nanos;
    }
    total.nanos = whole(&total);
    total.micros = half_even(total.nanos.into(), 1_000);
    // The baseline would have answered once, with the last attempt's tokens.
    if let Some(last) = costs().next_back() {
        total.baseline_nanos = last.baseline_nanos;
        total.baseline_model.clone_from(&last.baseline_model);
    }
    Some(total)
}

fn sum<T>(items: impl IntoIterator<Item = T>, mut add: impl FnMut(&mut T, T)) -> Option<T> {
    items.into_iter().reduce(|mut sum, item| {
        add(&mut sum, item);
        sum
    })
}

#[cfg(test)]
mod tests;
