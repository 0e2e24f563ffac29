//! The reference's policy, `protection`: what a switch would throw away against what it would gain,
//! scored as the reference does.
//!
//! ```yaml
//! global:
//!   router:
//!     learning:
//!       enabled: true
//!       protection: {scope: conversation, tuning: {idle_timeout_seconds: 300, switch_margin: 0.05}}
//! ```
//!
//! Pure: numbers in, a [`Stay`] out; [`super::advise`] says what is known of a conversation. In
//! order: a model that outcomes have shown to be weak or unreliable is left; under the scope
//! `session` everything else stays until the session is idle; tool loops, responses that the
//! provider keeps and young conversations stay; the rest is scored.
//!
//! One step differs on purpose: outcomes never pull a conversation out of a tool loop or away from
//! provider state. The next model could not read what the first one left there.

use super::rows::Counts;
use crate::{Conversation, Current, Offers, StayPolicy};
use selection::card::{Card, Prices};
use std::time::Duration;

/// Staying is worth this by itself.
const STAY: f64 = 0.10;
/// Weight of the prompt cache.
const PREFIX: f64 = 0.20;
/// What a handover costs, whatever the models.
const HANDOFF: f64 = 0.05;
/// Weight of earlier switches; [`MANY`] of them count in full.
const HISTORY: f64 = 0.04;
/// What keeps a tool loop together where the lock does not.
const TOOL_LOOP: f64 = 0.35;
/// Factor of the prompt cache for the most expensive model.
const DEAREST: f64 = 2.5;
/// Turns and switches that count as many.
const MANY: f64 = 8.0;
/// History that counts as long, tokens.
const LONG: f64 = 8_192.0;
/// Warmth of a cache where it is not known.
const UNKNOWN_WARMTH: f64 = 0.5;
/// A cache as warm as this is not given up for exploring.
const WARM: f64 = 0.65;
/// Outcomes against a model that make it weak or unreliable.
const ENOUGH: u64 = 2;

/// Weights of staying and switching.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// Pause after which a conversation begins again; zero means never.
    pub idle_timeout: Duration,
    /// Turns before a switch.
    pub min_turns: u64,
    /// Lead that a switch needs.
    pub switch_margin: f64,
    /// Factor of the prompt cache, the handover, earlier switches and tool loops.
    pub stability_weight: f64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(300),
            min_turns: 1,
            switch_margin: 0.05,
            stability_weight: 1.0,
        }
    }
}

/// What a conversation stays together by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// The conversation.
    #[default]
    Conversation,
    /// The session, which holds its model until it is idle.
    Session,
}

impl Scope {
    /// Returns the word of the document and of headers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Session => "session",
        }
    }
}

/// What is known of a conversation when a model is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ConversationState {
    /// Turns so far.
    pub turns: u64,
    /// Switches of model so far.
    pub switches: u64,
    /// Tokens of earlier turns; 0 where they are not known.
    pub history_tokens: u64,
    /// Tokens of the request.
    pub context_tokens: u64,
    /// Share of the prompt that the current model has in its cache, 0 to 1; `None` if unknown.
    pub warmth: Option<f64>,
    /// Time since the last request; `None` if unknown.
    pub idle_for: Option<Duration>,
    /// The assistant waits for the results of its tools, or has just got them.
    pub tool_loop: bool,
    /// The request goes on from a response that the provider keeps.
    pub previous_response: bool,
}

impl ConversationState {
    /// Returns the state with what is remembered of the conversation.
    #[must_use]
    pub fn with(self, conversation: &Conversation) -> Self {
        let Some(record) = &conversation.record else {
            return self;
        };
        Self {
            turns: self.turns.max(record.requests),
            switches: record.switches,
            warmth: record.warmth,
            idle_for: conversation.idle(),
            ..self
        }
    }

    /// Returns whether the pause was long enough to begin again.
    #[must_use]
    pub fn is_idle(&self, tuning: &Tuning) -> bool {
        !tuning.idle_timeout.is_zero()
            && self
                .idle_for
                .is_some_and(|pause| pause >= tuning.idle_timeout)
    }

    /// Returns how much of the request continues what went before, 0 to 1.
    #[must_use]
    pub fn mass(&self) -> f64 {
        let history = self.history_tokens as f64;
        let reuse = (history / (self.context_tokens as f64).max(1.0)).min(1.0);
        let reuse = if self.previous_response {
            reuse.max(0.15)
        } else {
            reuse
        };
        let depth = (self.turns as f64 / MANY).min(1.0);
        (0.45 * reuse + 0.35 * (history / LONG).min(1.0) + 0.20 * depth).min(1.0)
    }

    fn known_warmth(&self) -> f64 {
        self.warmth
            .map_or(UNKNOWN_WARMTH, |warmth| warmth.clamp(0.0, 1.0))
    }

    /// Returns what keeps the current model whatever the scores say. A pause ends no tool loop: its
    /// calls still wait.
    #[must_use]
    pub fn lock(&self, tuning: &Tuning) -> Option<Reason> {
        if self.tool_loop {
            Some(Reason::ToolLoop)
        } else if self.previous_response {
            Some(Reason::ContextPortability)
        } else if self.turns < tuning.min_turns && !self.is_idle(tuning) {
            Some(Reason::MinTurns)
        } else {
            None
        }
    }

    /// Returns whether adaptation may try a model by chance. `knows_model`: the conversation has a
    /// model.
    ///
    /// # Errors
    /// Why it may not.
    pub fn may_sample(&self, knows_model: bool) -> Result<Reason, Reason> {
        if self.tool_loop || self.previous_response {
            Err(Reason::ToolOrProtocolState)
        } else if knows_model && self.warmth.is_some_and(|warmth| warmth >= WARM) {
            Err(Reason::SteadyState)
        } else {
            Ok(Reason::NoToolOrProtocolState)
        }
    }
}

/// What speaks for a model that may answer, and against leaving it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ModelEvidence {
    /// Score of the algorithm or of adaptation; `None` if it gave none.
    pub base: Option<f64>,
    /// How expensive giving up its cache is, 0 to 1; see [`pressures`].
    pub pressure: f64,
    /// How much better it is than the current model, where that was measured; 0 otherwise.
    pub quality_gap: f64,
    /// What outcomes say of it.
    pub counts: Counts,
}

/// What was decided about a conversation's model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A new conversation, or one whose model may not answer: the proposal becomes its model.
    EstablishBaseline,
    /// The conversation stays.
    HoldCurrent,
    /// It moves, as the gain exceeds the loss.
    AllowSwitch,
    /// It moves, as outcomes speak against its model.
    RescueSwitch,
}

impl Action {
    /// Returns the word of headers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EstablishBaseline => "establish_baseline",
            Self::HoldCurrent => "hold_current",
            Self::AllowSwitch => "allow_switch",
            Self::RescueSwitch => "rescue_switch",
        }
    }
}

/// The reason of a decision, or of what adaptation may do meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    NewConversation,
    CurrentNotAllowed,
    ToolLoop,
    ContextPortability,
    MinTurns,
    SessionScope,
    StayIsBest,
    SwitchAllowed,
    Rescue,
    ToolOrProtocolState,
    SteadyState,
    NoToolOrProtocolState,
}

impl Reason {
    /// Returns the word of headers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NewConversation => "new_conversation",
            Self::CurrentNotAllowed => "current_model_not_allowed",
            Self::ToolLoop => "hard_lock=tool_loop",
            Self::ContextPortability => "hard_lock=context_portability",
            Self::MinTurns => "hard_lock=min_turns",
            Self::SessionScope => "session_scope_protect",
            Self::StayIsBest => "stay_has_best_adjusted_score",
            Self::SwitchAllowed => "switch_allowed",
            Self::Rescue => "rescue_underpowered_model",
            Self::ToolOrProtocolState => "tool_or_protocol_state",
            Self::SteadyState => "steady_state",
            Self::NoToolOrProtocolState => "no_tool_or_protocol_state",
        }
    }
}

/// The model, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Stay {
    /// Index of the winner.
    pub winner: usize,
    /// How sure, 0 to 1.
    pub confidence: f64,
    /// What is done.
    pub action: Action,
    /// The reason, for headers and metrics.
    pub reason: Reason,
    /// Scores by model; empty if none were made.
    pub scores: Vec<f64>,
}

/// The reference's policy for one request.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// What the request itself shows of the conversation.
    pub state: ConversationState,
    /// Index of the algorithm's choice, before adaptation made its proposal.
    pub base: usize,
    /// Weights of staying and switching.
    pub tuning: &'a Tuning,
    /// What the conversation stays together by.
    pub scope: Scope,
}

impl StayPolicy for Reference<'_> {
    type Offer = ModelEvidence;
    type Stay = Stay;

    fn decide(&self, conversation: &Conversation, offers: &Offers<'_, ModelEvidence>) -> Stay {
        let settled = |winner, action, reason| Stay {
            winner,
            confidence: 1.0,
            action,
            reason,
            scores: Vec::new(),
        };
        let establish = |reason| settled(offers.proposed, Action::EstablishBaseline, reason);
        let current = match offers.current {
            Current::Offer(current) if current < offers.models.len() => current,
            Current::Offer(_) | Current::Unknown => return establish(Reason::NewConversation),
            Current::NotOffered => return establish(Reason::CurrentNotAllowed),
        };

        let state = self.state.with(conversation);
        let portable = !state.tool_loop && !state.previous_response;
        if let Some(rescuer) = self.rescuer(offers, current).filter(|_| portable) {
            return settled(rescuer, Action::RescueSwitch, Reason::Rescue);
        }
        if self.scope == Scope::Session && !state.is_idle(self.tuning) {
            return settled(current, Action::HoldCurrent, Reason::SessionScope);
        }
        if let Some(lock) = state.lock(self.tuning) {
            return settled(current, Action::HoldCurrent, lock);
        }

        let scores = scores(offers.models, current, &state, self.tuning);
        let (winner, confidence) = best(&scores, current);
        let (action, reason) = if winner == current {
            (Action::HoldCurrent, Reason::StayIsBest)
        } else {
            (Action::AllowSwitch, Reason::SwitchAllowed)
        };
        Stay {
            winner,
            confidence,
            action,
            reason,
            scores,
        }
    }
}

impl Reference<'_> {
    /// Returns the model that takes over from a current one against which outcomes speak.
    fn rescuer(&self, offers: &Offers<'_, ModelEvidence>, current: usize) -> Option<usize> {
        let proposal = if offers.proposed == current {
            self.base
        } else {
            offers.proposed
        };
        if proposal == current {
            return None;
        }
        let own = offers.models.get(current)?;
        let other = offers.models.get(proposal)?;
        let weak = own.counts.under >= ENOUGH && own.counts.under > own.counts.good;
        if !weak && own.counts.failed < ENOUGH {
            return None;
        }
        let margin = self.tuning.switch_margin;
        let leads =
            matches!((other.base, own.base), (Some(other), Some(own)) if other - own >= margin);
        (leads || other.counts.good > other.counts.under).then_some(proposal)
    }
}

/// Returns the scores of staying with `current` and of switching to each other model, in their
/// order.
#[must_use]
pub fn scores(
    models: &[ModelEvidence],
    current: usize,
    state: &ConversationState,
    tuning: &Tuning,
) -> Vec<f64> {
    let Some(own) = models.get(current) else {
        return Vec::new();
    };
    let idle = state.is_idle(tuning);
    let stable = tuning.stability_weight;
    let prefix = |pressure: f64| {
        let cost = 1.0 + (DEAREST - 1.0) * pressure;
        stable * PREFIX * state.mass() * state.known_warmth() * cost
    };
    let tool_loop = if state.tool_loop {
        stable * TOOL_LOOP
    } else {
        0.0
    };
    let own_base = base(current, own);
    let score = |(index, model): (usize, &ModelEvidence)| {
        if index == current {
            let stay = if idle {
                0.0
            } else {
                STAY + prefix(own.pressure)
            };
            return own_base + stay + tool_loop;
        }
        let base = base(index, model);
        let gained = base + model.quality_gap - tool_loop;
        if idle {
            return gained;
        }
        let history = stable * HISTORY * (state.switches as f64 / MANY).min(1.0);
        let lost = stable * HANDOFF
            + prefix(own.pressure.max(model.pressure))
            + history
            + tuning.switch_margin;
        let needless = if base <= own_base && model.quality_gap <= 0.0 {
            STAY
        } else {
            0.0
        };
        gained - lost - needless
    };
    models.iter().enumerate().map(score).collect()
}

/// Returns a model's own score; one without a score ranks behind those before it.
fn base(index: usize, model: &ModelEvidence) -> f64 {
    model.base.unwrap_or(-0.001 * index as f64)
}

/// Returns the first of the highest scores, and how far it leads. Without any usable score the
/// current model stays.
fn best(scores: &[f64], current: usize) -> (usize, f64) {
    let mut winner = None;
    for (index, &score) in scores
        .iter()
        .enumerate()
        .filter(|(_, score)| score.is_finite())
    {
        if winner.is_none_or(|(_, best)| score > best) {
            winner = Some((index, score));
        }
    }
    let Some((winner, best)) = winner else {
        return (current, 0.0);
    };
    let others = scores
        .iter()
        .enumerate()
        .filter(|&(index, score)| index != winner && score.is_finite());
    let second = others
        .map(|(_, &score)| score)
        .fold(f64::NEG_INFINITY, f64::max);
    let confidence = if second.is_finite() {
        0.5 + (best - second).clamp(0.0, 0.5)
    } else {
        1.0
    };
    (winner, confidence)
}

/// Returns how expensive giving up each model's cache is, 0 to 1, measured against the dearest of
/// all models of the document. A model without prices counts by its quality.
#[must_use]
pub fn pressures(cards: &[&Card]) -> Vec<f64> {
    let costs: Vec<f64> = cards
        .iter()
        .map(|card| card.prices.as_ref().map_or(0.0, cache_cost))
        .collect();
    let dearest = costs.iter().copied().fold(0.0, f64::max);
    let pressure = |(cost, card): (f64, &&Card)| match cost > 0.0 && dearest > 0.0 {
        true => (cost / dearest).clamp(0.0, 1.0),
        false => card
            .quality
            .filter(|&quality| quality > 0.0)
            .map_or(0.5, |quality| quality.min(1.0)),
    };
    costs.iter().copied().zip(cards).map(pressure).collect()
}

/// Returns what filling a cache costs above reading it, per million tokens.
fn cache_cost(prices: &Prices) -> f64 {
    let above = prices.cache_write.max(0.0) - prices.cached;
    if above > 0.0 { above } else { prices.prompt }
}

#[cfg(test)]
mod tests;
