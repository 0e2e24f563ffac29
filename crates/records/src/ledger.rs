//! The ledger: what requests used and cost, in integers, so that sums are exact.
//!
//! A request's total is not kept anywhere: it is the sum of its parts, wherever it is asked for.
//! Sums over records are sums of the parts too, so parts add up to the whole for every caller,
//! session, decision and model, whatever was written by which replica.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use crate::record::{Cost, DecisionRecord};
use crate::store::facts::Facts;

pub mod money;

/// One thing that is added up over records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Measure {
    /// Requests.
    Requests,
    /// Requests whose tokens are known.
    Counted,
    /// Of those, requests whose tokens Merit estimated.
    Estimated,
    /// Requests whose cost is known.
    Priced,
    /// Of those, requests whose baseline is known.
    Compared,
    /// Requests whose energy is known.
    Measured,
    /// Input tokens that were neither cached nor newly written to the cache.
    PromptTokens,
    /// Input tokens that the cache held.
    CachedTokens,
    /// Input tokens that were written to the cache.
    CacheWriteTokens,
    /// Output tokens that were reasoning.
    ReasoningTokens,
    /// The other output tokens.
    AnswerTokens,
    /// Cost of [`Measure::PromptTokens`], billionths of the currency's unit, as all below.
    PromptNanos,
    /// Cost of [`Measure::CachedTokens`].
    CachedNanos,
    /// Cost of [`Measure::CacheWriteTokens`].
    CacheWriteNanos,
    /// Cost of [`Measure::ReasoningTokens`].
    ReasoningNanos,
    /// Cost of [`Measure::AnswerTokens`].
    AnswerNanos,
    /// Cost on the baseline, of the requests that have one.
    BaselineNanos,
    /// Actual cost of the requests that have a baseline.
    ComparedNanos,
    /// Energy, the request's share, billionths of a joule, as all below.
    AttributedNanojoules,
    /// Energy that would not have been drawn without the request.
    MarginalNanojoules,
    /// The lower ends of the intervals around the shares.
    LowNanojoules,
    /// The upper ends.
    HighNanojoules,
    /// Time that Merit's own threads worked, nanoseconds.
    CpuNanoseconds,
    /// The energy of that time.
    OwnNanojoules,
}

/// How many measures there are.
pub const MEASURES: usize = 24;

impl Measure {
    /// All of them, in their order.
    pub const ALL: [Self; MEASURES] = [
        Self::Requests,
        Self::Counted,
        Self::Estimated,
        Self::Priced,
        Self::Compared,
        Self::Measured,
        Self::PromptTokens,
        Self::CachedTokens,
        Self::CacheWriteTokens,
        Self::ReasoningTokens,
        Self::AnswerTokens,
        Self::PromptNanos,
        Self::CachedNanos,
        Self::CacheWriteNanos,
        Self::ReasoningNanos,
        Self::AnswerNanos,
        Self::BaselineNanos,
        Self::ComparedNanos,
        Self::AttributedNanojoules,
        Self::MarginalNanojoules,
        Self::LowNanojoules,
        Self::HighNanojoules,
        Self::CpuNanoseconds,
        Self::OwnNanojoules,
    ];

    /// Returns its name in JSON and in columns of databases.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Counted => "counted",
            Self::Estimated => "estimated",
            Self::Priced => "priced",
            Self::Compared => "compared",
            Self::Measured => "measured",
            Self::PromptTokens => "prompt_tokens",
            Self::CachedTokens => "cached_tokens",
            Self::CacheWriteTokens => "cache_write_tokens",
            Self::ReasoningTokens => "reasoning_tokens",
            Self::AnswerTokens => "answer_tokens",
            Self::PromptNanos => "prompt_nanos",
            Self::CachedNanos => "cached_nanos",
            Self::CacheWriteNanos => "cache_write_nanos",
            Self::ReasoningNanos => "reasoning_nanos",
            Self::AnswerNanos => "answer_nanos",
            Self::BaselineNanos => "baseline_nanos",
            Self::ComparedNanos => "compared_nanos",
            Self::AttributedNanojoules => "attributed_nanojoules",
            Self::MarginalNanojoules => "marginal_nanojoules",
            Self::LowNanojoules => "low_nanojoules",
            Self::HighNanojoules => "high_nanojoules",
            Self::CpuNanoseconds => "cpu_nanoseconds",
            Self::OwnNanojoules => "own_nanojoules",
        }
    }
}

/// The measures of one record, or the sums of many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums([i128; MEASURES]);

impl Sums {
    /// Draws the measures of one record.
    #[must_use]
    pub fn of(record: &DecisionRecord) -> Self {
        let mut sums = Self::default();
        sums.set(Measure::Requests, 1);
        if let Some(tokens) = &record.tokens {
            let (cached, written) = (tokens.cached_input, tokens.cache_write);
            let prompt = tokens.input.saturating_sub(cached).saturating_sub(written);
            sums.set(Measure::Counted, 1);
            sums.set(Measure::Estimated, u64::from(tokens.estimated));
            sums.set(Measure::PromptTokens, prompt);
            sums.set(Measure::CachedTokens, cached);
            sums.set(Measure::CacheWriteTokens, written);
            sums.set(Measure::ReasoningTokens, tokens.reasoning);
            let answer = tokens.output.saturating_sub(tokens.reasoning);
            sums.set(Measure::AnswerTokens, answer);
        }
        if let Some(cost) = &record.cost {
            sums.set(Measure::Priced, 1);
            sums.set(Measure::PromptNanos, cost.prompt_nanos);
            sums.set(Measure::CachedNanos, cost.cached_nanos);
            sums.set(Measure::CacheWriteNanos, cost.cache_write_nanos);
            sums.set(Measure::ReasoningNanos, cost.reasoning_nanos);
            sums.set(Measure::AnswerNanos, cost.answer_nanos);
            if let Some(baseline) = cost.baseline_nanos {
                sums.set(Measure::Compared, 1);
                sums.set(Measure::BaselineNanos, baseline);
                sums.set(Measure::ComparedNanos, whole(cost));
            }
        }
        if let Some(energy) = &record.energy {
            sums.set(Measure::Measured, 1);
            sums.set(Measure::AttributedNanojoules, energy.attributed_nanojoules);
            sums.set(Measure::MarginalNanojoules, energy.marginal_nanojoules);
            sums.set(Measure::LowNanojoules, energy.low_nanojoules);
            sums.set(Measure::HighNanojoules, energy.high_nanojoules);
        }
        if let Some(own) = &record.own_work {
            sums.set(Measure::CpuNanoseconds, own.cpu_nanoseconds);
            sums.set(Measure::OwnNanojoules, own.nanojoules);
        }
        sums
    }

    /// Returns the sum of one measure.
    #[must_use]
    pub fn get(&self, measure: Measure) -> i128 {
        self.0.get(measure as usize).copied().unwrap_or_default()
    }

    /// Sets the sum of one measure.
    pub fn set(&mut self, measure: Measure, value: impl Into<i128>) {
        if let Some(sum) = self.0.get_mut(measure as usize) {
            *sum = value.into();
        }
    }

    /// Returns the input tokens: the sum of their parts.
    #[must_use]
    pub fn input_tokens(&self) -> i128 {
        self.get(Measure::PromptTokens)
            + self.get(Measure::CachedTokens)
            + self.get(Measure::CacheWriteTokens)
    }

    /// Returns the output tokens: the sum of their parts.
    #[must_use]
    pub fn output_tokens(&self) -> i128 {
        self.get(Measure::ReasoningTokens) + self.get(Measure::AnswerTokens)
    }

    /// Returns the cost: the sum of its parts, billionths of the currency's unit.
    #[must_use]
    pub fn nanos(&self) -> i128 {
        self.get(Measure::PromptNanos)
            + self.get(Measure::CachedNanos)
            + self.get(Measure::CacheWriteNanos)
            + self.get(Measure::ReasoningNanos)
            + self.get(Measure::AnswerNanos)
    }

    /// Returns what was saved against the baseline, by the requests that have one; negative where
    /// the baseline would have been cheaper.
    #[must_use]
    pub fn saved_nanos(&self) -> i128 {
        self.get(Measure::BaselineNanos) - self.get(Measure::ComparedNanos)
    }
}

impl AddAssign<&Sums> for Sums {
    fn add_assign(&mut self, other: &Self) {
        for (sum, other) in self.0.iter_mut().zip(other.0) {
            *sum += other;
        }
    }
}

/// Returns a cost's total: the sum of its parts.
#[must_use]
pub fn whole(cost: &Cost) -> i64 {
    let output = cost.reasoning_nanos.saturating_add(cost.answer_nanos);
    let input = cost.cached_nanos.saturating_add(cost.cache_write_nanos);
    cost.prompt_nanos
        .saturating_add(input)
        .saturating_add(output)
}

/// What a ledger is broken down by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerKey {
    /// Nothing: one row for each currency.
    All,
    /// Who requests are accounted to.
    Caller,
    /// The session.
    Session,
    /// The recipe and the decision.
    Decision,
    /// The model that requests went to.
    Model,
    /// The request: one row for each record.
    Request,
}

impl LedgerKey {
    /// Returns the value of the key for one record.
    #[must_use]
    pub fn of(self, facts: &Facts) -> String {
        match self {
            Self::All => String::new(),
            Self::Caller => facts.caller.clone(),
            Self::Session => facts.session_id.clone(),
            Self::Decision => decision_key(&facts.recipe, &facts.decision),
            Self::Model => facts.selected_model.clone(),
            Self::Request => facts.id.clone(),
        }
    }
}

/// One row of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The value of the key.
    pub key: String,
    /// ISO 4217; empty for requests without a cost.
    pub currency: String,
    /// The sums.
    pub sums: Sums,
}

/// Adds up rows, in any order.
#[derive(Debug, Default)]
pub struct Rows(BTreeMap<(String, String), Sums>);

impl Rows {
    /// Adds to the row of a key and a currency.
    pub fn add(&mut self, key: String, currency: String, sums: &Sums) {
        *self.0.entry((key, currency)).or_default() += sums;
    }

    /// Returns the rows by key, then by currency.
    #[must_use]
    pub fn finish(self) -> Vec<LedgerRow> {
        let rows = self.0.into_iter();
        rows.map(|((key, currency), sums)| LedgerRow {
            key,
            currency,
            sums,
        })
        .collect()
    }
}

/// Returns a decision's name among all recipes: `<recipe>::<decision>`, percent-escaped; the bare
/// name in the default recipe.
#[must_use]
pub fn decision_key(recipe: &str, decision: &str) -> String {
    if recipe.is_empty() || recipe == "default" || decision.is_empty() {
        return decision.to_owned();
    }
    format!("{}::{}", escaped(recipe), escaped(decision))
}

/// Escapes all but letters, digits and `-_.~`, as a path's segment is escaped.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests;
