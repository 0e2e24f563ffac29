//! `confidence`: the parameters of a cascade as the document writes them, and their checks.

use super::judge::Method;
use super::{Cascade, Looper, SeveralModels, warn_not_run};
use schemars::JsonSchema;
use selection::algorithms::method::Checking;
use selection::candidate::Candidate;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Time that a run must have to be begun, milliseconds.
pub const RUN_AT_LEAST_MS: u64 = 5_000;

/// Cascade: try candidates until an answer is confident enough.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Confidence {
    /// How confidence is measured; empty means `avg_logprob`. `automix_entailment` is not run: the
    /// first candidate serves the request and the reply says so.
    #[schemars(extend("enum" = ["avg_logprob", "margin", "hybrid", "self_verify", "automix_entailment"]))]
    pub confidence_method: String,
    /// Confidence that accepts an answer, 0 to 1. 0 means the method's default: 2/3 (a mean log
    /// probability of -1) for `avg_logprob`, 0.5 for `margin` and `hybrid`, 0.7 for `self_verify`.
    /// A number below 0 is a mean log probability where `avg_logprob` is measured, else the
    /// default.
    pub threshold: f64,
    /// Weights of `hybrid`.
    pub hybrid_weights: Option<HybridWeights>,
    /// `skip` or `fail` when a model fails.
    #[schemars(extend("enum" = ["skip", "fail"]))]
    pub on_error: String,
    /// Order of the candidates; empty means by size.
    #[schemars(extend("enum" = ["size", "small_to_large", "declared", "cost", "automix"]))]
    pub escalation_order: String,
    /// Weight of price against quality in the order `automix`.
    pub cost_quality_tradeoff: f64,
    /// Tokens whose probabilities count.
    #[schemars(extend("enum" = ["all", "tool_call_args"]))]
    pub token_filter: String,
    /// Server that grades answers, for `automix_entailment`.
    pub verifier_server_url: String,
    /// Time limit of a grade; 0 means 60.
    pub verifier_timeout_seconds: u32,
    /// Largest answer of a call, bytes. Known, without effect: `global.server.looper.max_bytes`
    /// holds.
    pub max_response_bytes: u64,
}

/// Weights of the two measures of `hybrid` confidence.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HybridWeights {
    /// Weight of the mean log probability; 0 means 0.5.
    pub logprob_weight: f64,
    /// Weight of the margin; 0 means 0.5.
    pub margin_weight: f64,
}

impl SeveralModels for Confidence {
    const NAME: &'static str = "confidence";
    const NOT_RUN: &'static str = "automix_entailment_not_run";
    const IS_RUN: bool = true;

    fn check(written: Option<&Self>, checking: &mut Checking<'_>) {
        let written = written.cloned().unwrap_or_default();
        let Some(method) = Method::of(&written) else {
            return warn_not_run(&written.confidence_method, checking);
        };

        let threshold = checking.at("confidence.threshold");
        if written.threshold < 0.0 {
            let meant = method.threshold(written.threshold);
            let message = format!(
                "is below 0, where confidence is a number from 0 to 1; it counts as {meant:.2}"
            );
            checking.findings.warn(&threshold, message);
        }
        if written.threshold > 1.0 && !matches!(method, Method::Hybrid { .. }) {
            let message = "is above 1, which no confidence reaches: every candidate is asked, and the last one's answer is taken";
            checking.findings.warn(&threshold, message);
        }
        if checking.buffered_deadline_ms < RUN_AT_LEAST_MS {
            let message = format!(
                "is run where the gateway sends bodies in full duplex; under BUFFERED the first candidate serves the request, unless \
                 `message_timeout` of the gateway and `global.server.extproc.buffered_deadline_ms` allow {RUN_AT_LEAST_MS} ms"
            );
            checking.findings.note(checking.path, message);
        }
    }

    fn build(written: Option<&Self>, candidates: &[Candidate]) -> Looper {
        match Cascade::build(&written.cloned().unwrap_or_default(), candidates) {
            Some(cascade) => Looper::Cascade(Arc::new(cascade)),
            None => Looper::NotRun(Self::NOT_RUN),
        }
    }
}
