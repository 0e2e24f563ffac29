//! The trace of a request, made of the records of its stages.

use super::choice::Choice;
use super::sent::Sent;
use super::service;
use super::task::Task;
use crate::plan::ReplayPolicy;
use crate::plan::{Outcome, Trace, UNREAD_TURN};
use crate::recipe::Route;
use crate::stages::reading::{Reading, RecipeReading};

use crate::stages::request::{Refused, RoutingRequest, protocol};
use crate::stages::selection::tokens;
use crate::stages::sessions::SessionRecord;
use selection::algorithms::Selection;
use selection::forecast::Forecast;
use std::sync::Arc;

/// The records of the stages that a request passed.
pub(super) struct Records<'a, 'g> {
    pub(super) request: &'a RoutingRequest<'a>,
    pub(super) task: &'a Task<'g>,
    pub(super) reading: &'a Reading<'g>,
    pub(super) choice: Option<Choice<'g>>,
    pub(super) session: SessionRecord,
    pub(super) sent: &'a Result<Sent, Refused>,
    /// The model of requests that nothing chooses for.
    pub(super) default_model: Option<&'a Arc<str>>,
    /// How much is kept of requests that no recipe has to do with.
    pub(super) replay: Option<&'a Arc<ReplayPolicy>>,
}

/// Makes the trace of a request that ended before it was read.
pub(super) fn refused(
    refused: &Refused,
    request: &RoutingRequest<'_>,
    replay: Option<&Arc<ReplayPolicy>>,
) -> Trace {
    Trace {
        protocol: request.protocol(),
        upstream: request.protocol(),
        dropped: refused.dropped.clone(),
        refused_by: refused.barrier.clone(),
        replay: replay.cloned(),
        ..Trace::default()
    }
}

/// Makes the trace of a request.
pub(super) fn trace(records: Records<'_, '_>) -> Trace {
    let (request, reading) = (records.request, records.reading);
    let forecasts = records.forecasts();
    let model = records.model();
    let degraded = records.degraded();
    let replay = records.replay();
    let scores = records.scores();
    let debug = reading.recipes().next().filter(|_| request.full);

    let own = reading.own.as_ref();
    let decided = own.and_then(|own| own.decided);
    let route = reading.decided().map(|(_, route)| route);
    let is_decided = own.is_some_and(|own| own.decision_time.is_some());

    let (sent, refused) = match records.sent {
        Ok(sent) => (Some(sent), None),
        Err(refused) => (None, Some(refused)),
    };
    let translation = sent.and_then(|sent| match &sent.outcome {
        Outcome::Forward(forward) => forward.translation(),
        _ => None,
    });
    let later = refused.map_or(&[][..], |refused| &refused.dropped);
    let (algorithm, dropped, selection, learned) = match records.choice {
        Some(choice) => (
            choice.algorithm,
            choice.eligible.into_dropped(),
            choice.selection,
            choice.learned,
        ),
        None => (records.task.algorithm(), Vec::new(), None, None),
    };
    Trace {
        protocol: request.protocol(),
        upstream: translation.map_or(request.protocol(), |it| protocol(it.backend.dialect)),
        recipe: records.task.recipe().map(|recipe| recipe.name.clone()),
        decision: route
            .or(records.task.called())
            .map(|route| Arc::clone(&route.name)),
        tier: route.map_or(0, |route| route.tier),
        confidence: decided.and_then(|decided| decided.confidence),
        unknown: own.map(unknown).unwrap_or_default(),
        category: own.and_then(|own| own.category()).map(Arc::from),
        matched: debug.map(|findings| findings.matched()).unwrap_or_default(),
        context_tokens: if is_decided { reading.demand.tokens } else { 0 },
        verdict: reading.verdict.clone(),
        dropped: dropped.into_iter().chain(later.iter().cloned()).collect(),
        refused_by: refused.and_then(|refused| refused.barrier.clone()),
        algorithm,
        fallback: selection
            .as_ref()
            .and_then(|selection| selection.fallback)
            .map(|fallback| fallback.as_str()),
        scores,
        reason: selection
            .map(|selection| selection.reason)
            .filter(|reason| !reason.is_empty()),
        learned,
        session: records.session.session_outcome,
        void_turn_state: records.session.void_turn_state,
        model,
        reasoning: sent.and_then(|sent| sent.reasoning),
        injected_system_prompt: sent.is_some_and(|sent| sent.injected_system_prompt),
        forecasts,
        degraded,
        replay,
    }
}

/// Returns the decisions that a failure leaves open, `name=policy`.
fn unknown(own: &RecipeReading<'_>) -> Vec<Arc<str>> {
    let applied = own.applied_unknown();
    let pairs = applied.map(|(name, policy)| format!("{name}={}", policy.as_str()).into());
    pairs.collect()
}

impl Records<'_, '_> {
    /// Returns the model as the policy names it. One that the client names is known to the policy
    /// once the request goes there.
    fn model(&self) -> Option<Arc<str>> {
        let choice = self.choice.as_ref()?;
        let forwarded = match self.sent.as_ref().map(|sent| &sent.outcome) {
            Ok(Outcome::Forward(forward)) => Some(Arc::clone(forward.model())),
            Ok(Outcome::Count { model, .. }) => Some(Arc::clone(model)),
            _ => None,
        };
        choice.model(self.default_model).or(forwarded)
    }

    /// Returns how much is kept of the request: as its decision says, or else its recipe, and no more
    /// than the boundaries allow.
    fn replay(&self) -> Option<Arc<ReplayPolicy>> {
        let route = self.reading.decided().map(|(_, route)| route);
        let kept = match (route.or(self.task.called()), self.task.recipe()) {
            (Some(route), _) => route.replay.as_ref(),
            (None, Some(recipe)) => recipe.replay.as_ref(),
            (None, None) => self.replay,
        };
        Some(kept?.within(&self.reading.verdict))
    }

    /// Returns what could not be done or read, in the order of the stages.
    fn degraded(&self) -> Vec<Arc<str>> {
        let mut all = self.reading.degraded.clone();
        let choice = self.choice.as_ref();
        if choice.is_some_and(|choice| choice.unread_turn) {
            all.push(UNREAD_TURN.into());
        }
        let learned = choice.and_then(|choice| choice.learned.as_ref());
        let fallback = choice
            .and_then(|choice| choice.selection.as_ref())
            .and_then(|selection| selection.fallback);
        let parts = [
            ("learning", learned.and_then(|learned| learned.degraded)),
            (
                "session",
                self.session
                    .session_outcome
                    .as_ref()
                    .and_then(|outcome| outcome.degraded),
            ),
            (
                "provider_state",
                choice.and_then(|choice| choice.provider_state),
            ),
            ("selection", fallback.map(|fallback| fallback.as_str())),
            (
                "reasoning",
                self.sent.as_ref().ok().and_then(|sent| sent.reasoning_lost),
            ),
            (
                "fallback",
                self.sent.as_ref().ok().and_then(|sent| sent.fallback_lost),
            ),
            (
                "looper",
                self.sent.as_ref().ok().and_then(|sent| sent.not_run),
            ),
        ];
        for (part, reason) in parts {
            all.extend(reason.map(|reason| format!("{part}={reason}").into()));
        }
        if let (Some(_), Some(route)) = (self.request.service, choice.and_then(|it| it.route)) {
            all.extend(service::not_run(route));
        }
        if let Some(route) = choice.and_then(|choice| choice.route) {
            all.extend(route.not_run.iter().cloned());
        }
        if let Ok(Sent {
            outcome: Outcome::Forward(forward),
            ..
        }) = self.sent
        {
            all.extend(forward.degraded());
        }
        all
    }

    /// Returns the algorithm's scores by the candidates' names.
    fn scores(&self) -> Vec<(Arc<str>, f64)> {
        let Some((route, selection)) = self.chosen() else {
            return Vec::new();
        };
        let candidates = route.candidates.candidates();
        let named = |&(index, score): &(usize, f64)| {
            Some((candidates.get(index)?.card.name.clone(), score))
        };
        selection.scores.iter().filter_map(named).collect()
    }

    /// Forecasts what the request costs at the chosen model, which the counters read; at the other
    /// candidates only if a recorded span or a run will read it.
    fn forecasts(&self) -> Vec<Forecast> {
        let (Some((route, _)), Some(choice)) = (self.chosen(), &self.choice) else {
            return Vec::new();
        };
        let kept = choice.eligible.kept();
        let candidates = route.candidates.candidates();
        let tokens = tokens(self.reading, self.request);
        let all = || route.forecaster.forecasts(candidates, kept, tokens);
        match self.sent {
            _ if self.request.traced => all(),
            Ok(sent) => match &sent.outcome {
                Outcome::Escalate(_) => all(),
                Outcome::Forward(forward) => {
                    let chosen = route.forecaster.position(kept, forward.model());
                    route
                        .forecaster
                        .forecasts(candidates, chosen.as_slice(), tokens)
                }
                Outcome::Answer { .. } | Outcome::Count { .. } | Outcome::Refuse(_) => Vec::new(),
            },
            Err(_) => Vec::new(),
        }
    }

    fn chosen(&self) -> Option<(&Route, &Selection)> {
        let choice = self.choice.as_ref()?;
        Some((choice.route?, choice.selection.as_ref()?))
    }
}
