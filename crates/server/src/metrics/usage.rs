//! What answers used, what that cost, and how long it took. Names and labels are the reference's;
//! histograms of time reach five minutes, as answers do.

use super::Metrics;
use super::bounded::{Bounded, BoundedHistograms, Named, bounded, bounded_histograms, register};
use super::families::Model;
use dialects::Usage as Reported;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use records::record::Cost;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// The name that stands for those beyond the bound of a family.
const OTHER: &str = "other";
/// The domain of requests that have none.
const UNKNOWN: &str = "unknown";

/// Money, by model. Amounts of different currencies are never added up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Money {
    /// Name in the document.
    pub model: Arc<str>,
    /// ISO 4217 code in the document.
    pub currency: Arc<str>,
}

/// A model that was asked for, and the one that a request goes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Modified {
    /// A name of the document.
    pub source_model: Arc<str>,
    /// Name in the document.
    pub target_model: Arc<str>,
}

/// Why a request goes to a model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// `auto_routing` or `model_specified`.
    pub reason_code: &'static str,
    /// Name in the document.
    pub model: Arc<str>,
}

/// A turn of a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Turn {
    /// Name in the document.
    pub model: Arc<str>,
    /// Name in the document, or `unknown`.
    pub domain: Arc<str>,
}

/// What a turn of a session cost.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TurnMoney {
    /// Name in the document.
    pub model: Arc<str>,
    /// Name in the document, or `unknown`.
    pub domain: Arc<str>,
    /// ISO 4217 code in the document.
    pub currency: Arc<str>,
}

/// A session that goes on with another model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Transition {
    /// Name in the document.
    pub from_model: Arc<str>,
    /// Name in the document.
    pub to_model: Arc<str>,
}

/// What answers used and took.
pub struct Usage {
    pub tokens: Bounded<Model, Counter>,
    pub prompts: BoundedHistograms<Model>,
    pub completions: BoundedHistograms<Model>,
    pub cost: Bounded<Money, Counter<f64, AtomicU64>>,
    pub nanos: Bounded<Money, Counter>,
    pub latency: BoundedHistograms<Model>,
    pub per_token: BoundedHistograms<Model>,
    pub modifications: Bounded<Modified, Counter>,
    pub reasons: Bounded<Reason, Counter>,
    pub turn_prompts: BoundedHistograms<Turn>,
    pub turn_completions: BoundedHistograms<Turn>,
    pub turn_cost: BoundedHistograms<TurnMoney>,
    pub transitions: Bounded<Transition, Counter>,
}

impl Usage {
    pub(super) fn register(to: &mut Registry) -> Self {
        Self {
            tokens: bounded(to, "llm_model_tokens", "Tokens reported by the model"),
            prompts: bounded_histograms(
                to,
                "llm_prompt_tokens_per_request",
                "Prompt tokens of a request",
                tokens,
            ),
            completions: bounded_histograms(
                to,
                "llm_completion_tokens_per_request",
                "Completion tokens of a request",
                tokens,
            ),
            cost: register(
                to,
                "llm_model_cost",
                "Cost of answers by the document's prices",
                Counter::default,
                super::bounded::SERIES_MAX,
            ),
            nanos: bounded(
                to,
                "merit_ledger_nanocurrency",
                "Cost of answers in billionths of the currency, so that sums are exact",
            ),
            latency: bounded_histograms(
                to,
                "llm_model_completion_latency_seconds",
                "Time from request to the end of a successful answer",
                answers,
            ),
            per_token: bounded_histograms(
                to,
                "llm_model_tpot_seconds",
                "Time per token of a streamed answer, after its first",
                per_token,
            ),
            modifications: bounded(
                to,
                "llm_model_routing_modifications",
                "Requests that go to another model than they name",
            ),
            reasons: bounded(
                to,
                "llm_routing_reason_codes",
                "Requests by why they go to their model",
            ),
            turn_prompts: bounded_histograms(
                to,
                "llm_session_turn_prompt_tokens",
                "Prompt tokens of a session's turn",
                tokens,
            ),
            turn_completions: bounded_histograms(
                to,
                "llm_session_turn_completion_tokens",
                "Completion tokens of a session's turn",
                tokens,
            ),
            turn_cost: bounded_histograms(
                to,
                "llm_session_turn_cost",
                "Cost of a session's turn",
                money,
            ),
            transitions: bounded(
                to,
                "llm_session_model_transitions",
                "Turns of sessions that go on with another model",
            ),
        }
    }

    pub(super) fn clear(&self) {
        self.tokens.clear();
        self.prompts.clear();
        self.completions.clear();
        self.cost.clear();
        self.nanos.clear();
        self.latency.clear();
        self.per_token.clear();
        self.modifications.clear();
        self.reasons.clear();
        self.turn_prompts.clear();
        self.turn_completions.clear();
        self.turn_cost.clear();
        self.transitions.clear();
    }
}

/// An answer, as far as it is counted.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// Name in the document.
    pub model: &'a Arc<str>,
    /// What it reported.
    pub usage: Reported,
    /// What that costs, where the model has prices.
    pub cost: Option<&'a Cost>,
    /// The domain of its session's turn; empty if it has none. `None` outside of sessions.
    pub turn: Option<&'a str>,
}

impl Metrics {
    /// Counts what an answer used and cost.
    pub fn used(&self, answered: Answered<'_>) {
        let Answered {
            model,
            usage,
            cost,
            turn,
        } = answered;
        self.tokens(model, usage.prompt, usage.completion);
        let (prompt, completion) = (number(usage.prompt), number(usage.completion));
        let label = Model {
            model: Arc::clone(model),
        };
        let of = &self.usage;
        let all = usage.prompt.saturating_add(usage.completion);
        of.tokens.get_or_create(&label).inc_by(all);
        of.prompts.get_or_create(&label).observe(prompt);
        of.completions.get_or_create(&label).observe(completion);
        let currency: Option<Arc<str>> = cost.map(|cost| cost.currency.as_str().into());
        let units = cost.map_or(0.0, |cost| units(cost.nanos));
        if let (Some(cost), Some(currency)) = (cost, &currency) {
            let label = Money {
                model: Arc::clone(model),
                currency: Arc::clone(currency),
            };
            of.cost.get_or_create(&label).inc_by(units);
            let nanos = u64::try_from(cost.nanos).unwrap_or_default();
            of.nanos.get_or_create(&label).inc_by(nanos);
        }

        let Some(domain) = turn else { return };
        let domain: Arc<str> = if domain.is_empty() { UNKNOWN } else { domain }.into();
        let turn = Turn {
            model: Arc::clone(model),
            domain: Arc::clone(&domain),
        };
        of.turn_prompts.get_or_create(&turn).observe(prompt);
        of.turn_completions.get_or_create(&turn).observe(completion);
        if let Some(currency) = currency {
            let label = TurnMoney {
                model: Arc::clone(model),
                domain,
                currency,
            };
            of.turn_cost.get_or_create(&label).observe(units);
        }
    }

    /// Counts how long a successful answer took; `per_token` is known of streams that were seen.
    pub fn completed(&self, model: &Arc<str>, total: Duration, per_token: Option<Duration>) {
        let label = Model {
            model: Arc::clone(model),
        };
        let latency = self.usage.latency.get_or_create(&label);
        latency.observe(total.as_secs_f64());
        if let Some(per_token) = per_token {
            let family = self.usage.per_token.get_or_create(&label);
            family.observe(per_token.as_secs_f64());
        }
    }

    /// Counts why a request goes to a model. `asked` is the name by which it was asked for, where
    /// the document knows it.
    pub fn sent_to(&self, model: &Arc<str>, asked: Option<&str>, is_chosen: bool) {
        let reason = Reason {
            reason_code: if is_chosen {
                "auto_routing"
            } else {
                "model_specified"
            },
            model: Arc::clone(model),
        };
        self.usage.reasons.get_or_create(&reason).inc();
        if let Some(asked) = asked.filter(|asked| **asked != **model) {
            let modified = Modified {
                source_model: asked.into(),
                target_model: Arc::clone(model),
            };
            self.usage.modifications.get_or_create(&modified).inc();
        }
    }

    /// Counts a session that goes on with another model.
    pub(super) fn moved(&self, from: &Arc<str>, to: &Arc<str>) {
        let transition = Transition {
            from_model: Arc::clone(from),
            to_model: Arc::clone(to),
        };
        self.usage.transitions.get_or_create(&transition).inc();
    }
}

/// Above 2^53 the last bucket takes it anyway.
#[expect(
    clippy::cast_precision_loss,
    reason = "a histogram's bounds are far below 2^53"
)]
fn number(tokens: u64) -> f64 {
    tokens as f64
}

/// Returns units of a currency.
#[expect(
    clippy::cast_precision_loss,
    reason = "the reference's series is a float; the exact one counts billionths"
)]
fn units(nanos: i64) -> f64 {
    nanos.max(0) as f64 / 1e9
}

fn tokens() -> Histogram {
    Histogram::new([
        0.0,
        8.0,
        16.0,
        32.0,
        64.0,
        128.0,
        256.0,
        512.0,
        1024.0,
        2048.0,
        4096.0,
        8192.0,
        16384.0,
        65_536.0,
        262_144.0,
        1_048_576.0,
    ])
}

fn answers() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
    ])
}

fn per_token() -> Histogram {
    Histogram::new([
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ])
}

fn money() -> Histogram {
    Histogram::new([0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0])
}

fn other() -> Arc<str> {
    OTHER.into()
}

impl Named for Money {
    fn other(&self) -> Self {
        Self {
            model: other(),
            currency: Arc::clone(&self.currency),
        }
    }
}

impl Named for Modified {
    fn other(&self) -> Self {
        Self {
            source_model: other(),
            target_model: other(),
        }
    }
}

impl Named for Reason {
    fn other(&self) -> Self {
        Self {
            model: other(),
            ..*self
        }
    }
}

impl Named for Turn {
    fn other(&self) -> Self {
        Self {
            model: other(),
            domain: other(),
        }
    }
}

impl Named for TurnMoney {
    fn other(&self) -> Self {
        Self {
            model: other(),
            domain: other(),
            currency: Arc::clone(&self.currency),
        }
    }
}

impl Named for Transition {
    fn other(&self) -> Self {
        Self {
            from_model: other(),
            to_model: other(),
        }
    }
}
