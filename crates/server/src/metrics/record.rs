//! What happened to a request, counted under the right names.

use super::Metrics;
use super::families::{
    Fallback, Lesson, Model, ModelError, Plugin, PredictedEnergy, PredictedMoney, Selected,
    Session, Stage, VoidTurnState,
};
use conversation::session::Action;
use router::plan::{Trace, UNREAD_TURN};
use std::sync::Arc;
use std::time::Duration;

/// What of a request is not kept where it is sent, as `x-merit-degraded` tells it.
const NOT_KEPT: &[(&str, &str)] = &[
    ("reasoning", "overruled"),
    ("reasoning", "unsupported"),
    ("fallback", "headers_replaced"),
    ("thinking", "unsigned_dropped"),
];

impl Metrics {
    /// Merit or the upstream turned a request down. `model` is a name of the document, or empty.
    pub fn refused(&self, model: &str, reason: &'static str) {
        self.models
            .errors
            .get_or_create(&ModelError {
                model: model.into(),
                reason,
            })
            .inc();
    }

    /// The protocol layer found a fault, and the client was told.
    pub fn fault(&self, fault: extproc::Fault) {
        self.process.faulted(fault.name());
        self.refused("", fault.name());
    }

    /// The first token of a response came.
    pub fn first_token(&self, model: &Arc<str>, after: Duration) {
        self.models
            .ttft
            .get_or_create(&Model {
                model: model.clone(),
            })
            .observe(after.as_secs_f64());
    }

    /// A response reported its tokens.
    pub fn tokens(&self, model: &Arc<str>, prompt: u64, completion: u64) {
        let label = Model {
            model: model.clone(),
        };
        self.models
            .prompt_tokens
            .get_or_create(&label)
            .inc_by(prompt);
        self.models
            .completion_tokens
            .get_or_create(&label)
            .inc_by(completion);
    }

    /// Time that one request took, by stage.
    pub fn stages(&self, parse: Duration, route: Duration, apply: Duration) {
        for (stage, time) in [("parse", parse), ("route", route), ("apply", apply)] {
            self.process
                .overhead
                .get_or_create(&Stage { stage })
                .observe(time.as_secs_f64());
        }
        self.models
            .routing_latency
            .observe((parse + route + apply).as_secs_f64());
    }

    /// The estimate that context rules read.
    pub fn context_tokens(&self, tokens: u64) {
        // Above 2^53 the histogram's last bucket takes it anyway.
        #[expect(
            clippy::cast_precision_loss,
            reason = "a histogram's bounds are far below 2^53"
        )]
        self.signals.context_tokens.observe(tokens as f64);
    }

    /// A model was chosen.
    pub fn selected(&self, trace: &Trace) {
        let (Some(model), Some(method)) = (&trace.model, &trace.algorithm) else {
            return;
        };
        let decision = trace.decision.clone().unwrap_or_else(|| Arc::from(""));
        let label = Selected {
            method,
            model: model.clone(),
            decision,
        };
        self.selection.selections.get_or_create(&label).inc();
        if let Some(reason) = trace.fallback {
            self.selection
                .fallbacks
                .get_or_create(&Fallback { method, reason })
                .inc();
            self.signals.degrade("selection", reason);
        }
        if trace
            .degraded
            .iter()
            .any(|degraded| **degraded == *UNREAD_TURN)
        {
            self.signals.degrade("selection", "unread_turn");
        }
        for &(part, reason) in NOT_KEPT {
            let is_told = |degraded: &Arc<str>| degraded.split_once('=') == Some((part, reason));
            if trace.degraded.iter().any(is_told) {
                self.signals.degrade(part, reason);
            }
        }
        if let Some(learned) = &trace.learned {
            learned
                .steps
                .iter()
                .for_each(|step| self.learned(step.part.as_str(), step.action.as_str()));
            learned
                .degraded
                .into_iter()
                .for_each(|reason| self.signals.degrade("learning", reason));
        }
        self.predicted(trace);
    }

    /// A part of learning did something.
    pub fn learned(&self, part: &'static str, action: &'static str) {
        self.selection
            .lessons
            .get_or_create(&Lesson { part, action })
            .inc();
    }

    /// A session stayed, switched or began.
    pub fn session(&self, trace: &Trace) {
        if let Some(void) = trace.void_turn_state {
            self.selection
                .void_turn_states
                .get_or_create(&VoidTurnState {
                    reason: void.as_str(),
                })
                .inc();
        }
        let Some(outcome) = &trace.session else {
            return;
        };
        if let (Action::Switch, Some(from), Some(to)) =
            (outcome.action, &outcome.previous, &trace.model)
        {
            self.moved(from, to);
        }
        let reason = outcome.reason.map_or("", |reason| reason.as_str());
        let label = Session {
            outcome: outcome.action.as_str(),
            reason,
            phase: outcome.phase.as_str(),
        };
        self.selection.sessions.get_or_create(&label).inc();
        if let Some(reason) = outcome.degraded {
            self.signals.degrade("session", reason);
        }
    }

    /// What the chosen model was predicted to cost: whole numbers, so that sums are exact.
    fn predicted(&self, trace: &Trace) {
        let Some(forecast) = trace.forecast() else {
            return;
        };
        if let Some(money) = forecast.microcurrency() {
            let label = PredictedMoney {
                model: forecast.model.clone(),
                currency: forecast.currency.clone(),
            };
            self.selection
                .predicted_money
                .get_or_create(&label)
                .inc_by(money);
        }
        if let (Some(energy), Some(joules)) = (forecast.millijoules(), &forecast.joules) {
            let label = PredictedEnergy {
                model: forecast.model.clone(),
                method: joules.method,
            };
            self.selection
                .predicted_energy
                .get_or_create(&label)
                .inc_by(energy);
        }
    }

    /// A decision's fixed answer was given.
    pub fn answered(&self, trace: &Trace) {
        let decision_name = trace.decision.clone().unwrap_or_else(|| Arc::from(""));
        let label = Plugin {
            plugin_type: "fast_response",
            decision_name,
            status: "success",
        };
        self.plugins.executions.get_or_create(&label).inc();
    }
}
