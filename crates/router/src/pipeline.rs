//! The request's way. Start here.
//!
//! ```text
//! read → choose (narrow → select → learn → session) → dispatch (target → plugins → run) → trace
//! ```
//!
//! Every stage is a function of its inputs and returns its choice with a record of what it did; a
//! refusal ends the way. The trace is made at the end, of these records.

mod choice;
mod escalation;
pub mod fallback;
mod record;
mod sent;
mod service;
pub mod stored;
mod task;

pub use crate::stages::{Reading, RecipeReading, RoutingRequest};

use crate::generation::Generation;
use crate::plan::translation::VERSION;
use crate::plan::{self, BodyEdit, Forward, Outcome, Refusal, Trace};
use crate::plugins::{self, PluginInput, Stop};
use crate::stages::reading::{Subject, read_all};
use crate::stages::request::Refused;
use crate::stages::selection::{Matched, select};
use crate::stages::targets::{Target, Wire, Wish};
use crate::stages::{Sessions, learning};
use choice::{Aim, Choice};
use conversation::credential::Claims;
use dialects::Dialect;
use record::Records;
use sent::Sent;
use std::sync::Arc;
use task::Task;

/// What is to become of a request, and why.
pub struct Routed<'g> {
    /// What happens to it.
    pub outcome: Outcome,
    /// Why, for headers, metadata, metrics and records.
    pub trace: Arc<Trace>,
    /// What was read in it, for metrics.
    pub reading: Reading<'g>,
}

/// Routes a client's request.
pub async fn route<'g>(generation: &'g Generation, request: &RoutingRequest<'_>) -> Routed<'g> {
    match Task::of(generation, request) {
        Ok(task) => plan(generation, task, request).await,
        Err(refused) => Routed::refused(generation, refused, request),
    }
}

/// Routes a call of a run that came back with a credential of ours: to the model that it names,
/// within the boundaries of what it says, which is more than the client said.
pub async fn route_call<'g>(
    generation: &'g Generation,
    claims: &Claims,
    request: &RoutingRequest<'_>,
) -> Routed<'g> {
    match escalation::called(generation, claims, &request.prompt.model) {
        Ok(called) => plan(generation, Task::Call(called), request).await,
        Err(refused) => Routed::refused(generation, refused, request),
    }
}

/// Takes a request through the stages.
async fn plan<'g>(
    generation: &'g Generation,
    task: Task<'g>,
    request: &RoutingRequest<'_>,
) -> Routed<'g> {
    // Signals, decision and boundary verdict: eval reads by the same call.
    let subject = Subject {
        prompt: request.prompt,
        identity: Some(request.identity),
        models: request.models,
        deadline: request.deadline,
    };
    let (recipes, ratio) = (&generation.recipes, &generation.token_ratio);
    let scope = task.scope(request, generation.settings.full);
    let read = read_all(recipes, ratio, scope, &subject, request.more);
    let mut task = task;
    let (reading, choice) = match read.await {
        Ok(mut reading) => {
            reading.demand.carriage = Some(request.carriage());
            task = task.read(&mut reading);
            let choice = match choose(generation, &task, &reading, request).await {
                Ok(choice) => Ok(stored::stay(generation, &task, choice, &reading, request).await),
                Err(refused) => Err(refused),
            };
            (reading, choice)
        }
        Err(unread) => (unread.reading, Err(Refused::from(unread.error))),
    };

    let sent = dispatch(generation, &task, &reading, choice.as_ref(), request).await;
    let sent = sent.map_err(|refused| refused.or_later(&reading));

    // The request is on its way: its session remembers that.
    let mut choice = choice.ok();
    let session_outcome = choice
        .as_mut()
        .and_then(|choice| choice.session_outcome.take());
    let session = generation.sessions.record(
        choice.as_ref().and_then(|choice| choice.session.as_ref()),
        session_outcome,
        sent.as_ref().ok().and_then(Sent::forwarded_to),
        reading.decided().map_or("", |(_, route)| &*route.name),
        request.dialect,
    );

    let trace = record::trace(Records {
        request,
        task: &task,
        reading: &reading,
        choice,
        session,
        sent: &sent,
        default_model: generation.targets.default_model(),
        replay: generation.replay.as_ref(),
    });
    Routed {
        outcome: sent.map_or_else(|refused| Outcome::Refuse(refused.refusal), |it| it.outcome),
        trace: Arc::new(trace),
        reading,
    }
}

/// Chooses where a request goes.
async fn choose<'g>(
    generation: &'g Generation,
    task: &Task<'g>,
    reading: &Reading<'g>,
    request: &RoutingRequest<'_>,
) -> Result<Choice<'g>, Refused> {
    let (verdict, demand) = (&reading.verdict, &reading.demand);
    if let Some(name) = &reading.unresolved {
        return Err(Refusal::unresolved(name).into());
    }
    let recipe = match task {
        Task::Model { .. } => return Ok(Choice::undecided(Aim::Named, None)),
        Task::Call(called) => return called.choose(&generation.eligibility, reading),
        Task::Recipe { .. } if request.prompt.is_silent() => {
            return Ok(Choice::undecided(Aim::Default, Some("default")));
        }
        Task::Recipe { recipe, .. } => *recipe,
    };
    if let Some(service) = request.service {
        return service::choose(generation, recipe, reading, request, service).await;
    }
    let Some((_, route)) = reading.decided() else {
        return Ok(Choice::without_decision(generation, recipe, reading, request).await);
    };

    // A decision may name the model itself. One that cannot serve the request leaves it to the
    // candidates.
    if let Some(destination) = &route.destination {
        let barrier = generation.eligibility.barrier(destination, verdict, demand);
        match barrier {
            None => return Ok(Choice::diverted(route, destination)),
            Some(barrier) if route.candidates.candidates().is_empty() => {
                return Err(Refused::at(destination, barrier));
            }
            Some(_) => {}
        }
    }

    // Boundaries, capabilities and health leave these candidates.
    let eligible = generation.eligibility.narrow(route, verdict, demand)?;
    let matched = Matched {
        recipe,
        route,
        eligible: &eligible,
        reading,
        request,
    };

    // Decisions of several models ignore session affinity.
    if let Some(looper) = &route.looper {
        let selection = escalation::first_capable(&generation.targets, &matched);
        return Ok(Choice {
            looper: Some(looper),
            ..Choice::decided(route, eligible, selection, true)
        });
    }

    // Each step may change the choice and returns what it did.
    let session = generation.sessions.find(recipe, request).await;
    let (selection, unread_turn) = select(&matched, session.as_ref()).await;
    let (selection, learned) = generation.learning.advise(&matched, selection).await;
    let (selection, session_outcome) =
        generation
            .sessions
            .settle(&matched, session.as_ref(), selection);

    Ok(Choice {
        unread_turn,
        learned: learning::settled(learned, route, &selection),
        session,
        session_outcome,
        ..Choice::decided(route, eligible, selection, recipe.falls_back)
    })
}

/// Sends a request to the model that was chosen, with the edits of its decision's plugins.
async fn dispatch<'g>(
    generation: &'g Generation,
    task: &Task<'g>,
    reading: &Reading<'g>,
    choice: Result<&Choice<'g>, &Refused>,
    request: &RoutingRequest<'_>,
) -> Result<Sent, Refused> {
    let choice = choice.map_err(Refused::clone)?;
    let targets = &generation.targets;
    let wire = Wire {
        strict: choice.route.is_some_and(|route| route.strict_translation),
        ..wire(task, request)
    };
    let wish = wire.wish;
    let target = choice.target(generation, reading, request);
    let decided = task.recipe().zip(choice.route);
    let matched = decided.map(|(recipe, route)| Matched {
        recipe,
        route,
        eligible: &choice.eligible,
        reading,
        request,
    });
    if request.service.is_some() {
        let (target, verdict) = (target?, &reading.verdict);
        if let Some(counted) = service::count(generation, &target, verdict, request)? {
            return Ok(counted);
        }
        return service::send(targets, target, verdict, wire, choice, matched.as_ref());
    }
    let told = target.as_ref().ok();
    let reasoning = told.and_then(|target| target.reasoning(wish));
    let reasoning_lost = told
        .filter(|_| choice.aim != Aim::Named)
        .and_then(|target| reasoning_lost(generation, target, wish, request.dialect));
    let forward = target.and_then(|target| targets.forward(&target, &reading.verdict, wire));

    let Some(matched) = matched else {
        let outcome = Outcome::Forward(finished(forward?, choice, request));
        return Ok(Sent {
            reasoning,
            reasoning_lost,
            ..Sent::new(outcome)
        });
    };

    let edits = match run_plugins(&matched, forward.as_ref().ok()).await {
        Ok(edits) => edits,
        // A fixed answer needs no model, so one that cannot be reached does not matter.
        Err(Stop::Answer(message)) => {
            return Ok(Sent {
                reasoning: reasoning.filter(|_| forward.is_ok()),
                ..Sent::new(Outcome::Answer { message })
            });
        }
        Err(Stop::Refuse(refusal)) => return Err(refusal.into()),
    };
    let is_prompt = |edit: &BodyEdit| matches!(edit, BodyEdit::SystemPrompt { .. });
    let injected_system_prompt = edits.body.iter().any(is_prompt);

    let forward = forward?.edited(edits);
    let next = fallback::next(targets, choice, &matched);
    let fallback_lost = next.lost;
    let forward = finished(fallback::name_next(forward, next.headers), choice, request);
    let carriage = request.carriage();
    let (outcome, not_run) = escalation::start(targets, choice, reading, forward, carriage);
    Ok(Sent {
        outcome,
        reasoning,
        reasoning_lost,
        fallback_lost,
        injected_system_prompt,
        not_run,
    })
}

/// Runs the plugins of a decision; `forward` is how the request goes to its model, if it can.
async fn run_plugins(
    matched: &Matched<'_>,
    forward: Option<&Forward>,
) -> Result<plan::Edits, Stop> {
    let Matched {
        recipe,
        route,
        reading,
        request,
        ..
    } = *matched;
    let translation = forward.and_then(Forward::translation);
    let input = PluginInput {
        prompt: request.prompt,
        wire: translation.map_or(request.dialect, |it| it.backend.dialect),
        caller: request.identity,
        recipe: &recipe.name,
        decision: &route.name,
        model: forward.map(|forward| &**forward.model()),
        boundaries: &reading.verdict,
        deadline: request.deadline,
    };
    plugins::run(&route.plugins, &input).await
}

/// Returns what a request says of how it is to be forwarded.
fn wire<'a>(task: &Task<'_>, request: &RoutingRequest<'a>) -> Wire<'a> {
    Wire {
        carriage: request.carriage(),
        strict: false,
        has_version: request.context.headers.value(VERSION).is_some(),
        is_conversation: request.service.is_none(),
        wish: Wish::of(request.prompt),
        // The run that calls reads the answer, and gives its own.
        asked: task.called().is_none().then_some(&request.prompt.model),
        counts_usage: request.observed && request.prompt.stream,
        unsigned_thinking: request.prompt.continuity.unsigned_thinking,
        withdrawn: &[],
    }
}

/// Returns why what the caller says of reasoning is not kept, if it is not.
fn reasoning_lost(
    generation: &Generation,
    target: &Target<'_>,
    wish: Wish<'_>,
    dialect: Dialect,
) -> Option<&'static str> {
    if target.overrules(wish, dialect) {
        return Some("overruled");
    }
    let can_reason = generation.eligibility.can_reason(&target.model().name);
    (wish.asks() && !can_reason).then_some("unsupported")
}

/// Drops what is not for the model from a plan, and the stages of a response that cannot be
/// replaced.
fn finished(forward: Forward, choice: &Choice<'_>, request: &RoutingRequest<'_>) -> Forward {
    let forward = Sessions::strip(forward, choice.session.as_ref(), request.dialect);
    if request.rewritable {
        forward
    } else {
        forward.without_response()
    }
}

impl Routed<'_> {
    fn refused(generation: &Generation, refused: Refused, request: &RoutingRequest<'_>) -> Self {
        let replay = generation.replay.as_ref();
        Self {
            trace: Arc::new(record::refused(&refused, request, replay)),
            outcome: Outcome::Refuse(refused.refusal),
            reading: Reading::default(),
        }
    }
}

#[cfg(test)]
mod tests;
