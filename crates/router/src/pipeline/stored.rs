//! Requests about what a provider keeps: stored responses and batches. They go to the model whose
//! backend made it, as far as that is known, and never silently elsewhere.

use super::choice::{Aim, Choice};
use super::task::Task;
use crate::boundary::Verdict;
use crate::generation::Generation;
use crate::plan::{Forward, Refusal};
use crate::stages::reading::Reading;
use crate::stages::request::{Refused, RoutingRequest};
use crate::stages::targets::{Wire, Wish};
use conversation::Timestamp;
use conversation::session::SessionHints;
use dialects::Dialect;
use selection::capability::shown;
use selection::providers::wires::{Carriage, Untranslatable};
use signals::families::Identity;
use std::sync::Arc;
use std::time::Instant;

/// In `x-merit-degraded`, after `provider_state=`: nobody knows where the object is.
const UNKNOWN: &str = "unknown_owner";
/// The store that may know it is of no use.
const STORE: &str = "store_unavailable";
/// The object is at a model that may not or cannot serve the request, or at another one than the
/// client names.
const ELSEWHERE: &str = "elsewhere";
/// The document does not have the object's model any more.
const GONE: &str = "owner_gone";

/// A request about an object.
#[derive(Debug, Clone, Copy)]
pub struct Errand<'a> {
    /// The object.
    pub id: &'a str,
    /// The wire of its path.
    pub dialect: Dialect,
    /// The caller.
    pub identity: &'a Identity,
    /// What the request's headers say of its session.
    pub hints: SessionHints<'a>,
    /// Until when a store may be waited for.
    pub deadline: Instant,
}

/// Plans a request about an object: to its model, or as the gateway is configured, with the reason.
///
/// # Errors
/// The model cannot be asked: its credential is missing.
pub async fn errand(
    generation: &Generation,
    errand: &Errand<'_>,
) -> Result<Result<Forward, &'static str>, Refusal> {
    let Errand {
        id,
        identity,
        hints,
        deadline,
        ..
    } = *errand;
    let owner = match owner(generation, identity, &hints, id, deadline).await {
        Ok(owner) => owner,
        Err(reason) => return Ok(Err(reason)),
    };
    let Ok(target) = generation.targets.named(&owner) else {
        return Ok(Err(GONE));
    };
    let wire = Wire {
        carriage: Carriage {
            wire: errand.dialect,
            untranslatable: Some(Untranslatable::Endpoint),
        },
        strict: false,
        has_version: false,
        is_conversation: false,
        wish: Wish::default(),
        asked: None,
        counts_usage: false,
        unsigned_thinking: false,
        withdrawn: &[],
    };
    // It brings no text that a boundary could keep from the place where the object already is.
    let verdict = Verdict::default();
    let forward = generation.targets.forward(&target.untold(), &verdict, wire);
    forward.map(Ok).map_err(|refused: Refused| refused.refusal)
}

/// Sends a request that goes on from a stored response to that response's model, if it may serve it.
pub(super) async fn stay<'g>(
    generation: &'g Generation,
    task: &Task<'g>,
    choice: Choice<'g>,
    reading: &Reading<'g>,
    request: &RoutingRequest<'_>,
) -> Choice<'g> {
    let Some(id) = &request.prompt.continuity.previous_response else {
        return choice;
    };
    if choice.looper.is_some() || matches!(task, Task::Call(_)) {
        return choice;
    }
    let is_named = matches!(task, Task::Model { .. });
    let (identity, hints) = (request.identity, &request.hints);
    let owner = match owner(generation, identity, hints, id, request.deadline).await {
        Ok(owner) => owner,
        Err(reason) => {
            let session = choice.session.as_ref();
            let is_known = session.is_some_and(|it| it.conversation.record.is_some());
            return Choice {
                provider_state: Some(reason).filter(|_| !is_known && !is_named),
                ..choice
            };
        }
    };

    let named = || Some(Arc::from(request.prompt.model.trim()));
    let own = choice.model(generation.targets.default_model());
    if own.or_else(named).as_ref() == Some(&owner) {
        return choice;
    }
    let (eligibility, targets) = (&generation.eligibility, &generation.targets);
    let barrier = eligibility.barrier(&owner, &reading.verdict, &reading.demand);
    if is_named || barrier.is_some() || !targets.takes(&owner, request.carriage()) {
        return Choice {
            provider_state: Some(ELSEWHERE),
            ..choice
        };
    }
    let candidate = choice.route.and_then(|route| {
        let candidates = route.candidates.candidates();
        let kept = choice.eligible.kept().iter().copied();
        kept.into_iter()
            .find(|&index| index < candidates.len() && shown(candidates, index) == owner)
    });
    Choice {
        aim: candidate.map_or(Aim::Held(owner), Aim::Candidate),
        algorithm: Some("provider_state"),
        in_turn: Vec::new(),
        ..choice
    }
}

/// Finds the model whose backend has an object of this caller.
async fn owner(
    generation: &Generation,
    identity: &Identity,
    hints: &SessionHints<'_>,
    id: &str,
    deadline: Instant,
) -> Result<Arc<str>, &'static str> {
    let policy = &generation.sessions.policy;
    let principal = policy.keyer.principal(identity, hints);
    let key = policy.keyer.object(principal, id);
    let until = deadline.min(Instant::now() + policy.store_timeout);
    let objects = &generation.state.objects;
    match objects.owner(key, Timestamp::now(), until).await {
        Ok(Some(owner)) => Ok(owner),
        Ok(None) => Err(UNKNOWN),
        Err(_) => Err(STORE),
    }
}
