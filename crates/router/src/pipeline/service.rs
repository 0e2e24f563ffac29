//! Requests of other endpoints than those of conversations: only the model, the boundaries and the
//! credential apply to them. Plugins, sessions, learning and runs of several models are for
//! conversations.
//!
//! Text for a model of conversations (completions, token counts, compaction, batches) goes where a
//! decision sends it. Vectors, pictures and sounds need a model that declares them, the first of
//! the document that may serve the request: what it says chooses no other one.

use super::choice::{Aim, Choice};
use super::escalation::first_capable;
use super::fallback;
use super::sent::Sent;
use crate::boundary::Verdict;
use crate::generation::Generation;
use crate::plan::{Outcome, Refusal};
use crate::recipe::{Recipe, Route};
use crate::stages::reading::Reading;
use crate::stages::request::{Refused, RoutingRequest};
use crate::stages::selection::{Matched, select};
use crate::stages::targets::{Target, Targets, Wire};
use dialects::{Service, TokenFacts};
use selection::capability::Ability;
use selection::eligible::{Barrier, Dropped};
use std::sync::Arc;
use std::time::Instant;

/// Returns whether a decision matters to a request: one that would answer by itself refuses it.
pub(super) fn asks_decision(recipe: &Recipe, request: &RoutingRequest<'_>) -> bool {
    let refuses = |route: &Route| route.candidates.answers_itself();
    request.service.and_then(Ability::of).is_none() || recipe.routes.iter().any(refuses)
}

/// Chooses where a request goes whose model is left to the policy.
pub(super) async fn choose<'g>(
    generation: &'g Generation,
    recipe: &'g Recipe,
    reading: &Reading<'g>,
    request: &RoutingRequest<'_>,
    service: Service,
) -> Result<Choice<'g>, Refused> {
    let route = reading.decided().map(|(_, route)| route);
    if let Some(other) = &reading.other_decision {
        return Err(divided(route, other).into());
    }
    if let Some(route) = route.filter(|route| route.candidates.answers_itself()) {
        let name = &route.name;
        let message = format!(
            "the policy (decision \"{name}\") gives a fixed answer to this, which this endpoint cannot carry"
        );
        return Err(Refusal::new(403, message).into());
    }
    if let Some(ability) = Ability::of(service) {
        return declared(generation, reading, request, ability);
    }
    let Some(route) = route else {
        return Ok(Choice::undecided(Aim::Default, Some("default")));
    };

    let (verdict, demand) = (&reading.verdict, &reading.demand);
    let eligible = generation.eligibility.narrow(route, verdict, demand)?;
    let matched = Matched {
        recipe,
        route,
        eligible: &eligible,
        reading,
        request,
    };
    let (selection, unread_turn) = match route.looper {
        Some(_) => (first_capable(&generation.targets, &matched), false),
        None => select(&matched, None).await,
    };
    let several = recipe.falls_back && may_fall_back(service);
    Ok(Choice {
        unread_turn,
        ..Choice::decided(route, eligible, selection, several)
    })
}

/// Returns whether another candidate may answer where the first one fails. Vectors of two models do
/// not compare, endpoints that models declare have no candidates, and what a provider keeps
/// may have been made although its answer was an error.
fn may_fall_back(service: Service) -> bool {
    matches!(service, Service::Completions | Service::CountTokens)
}

fn divided(route: Option<&Route>, other: &str) -> Refusal {
    let shown = |name: &str| match name {
        "" => "none".to_owned(),
        name => format!("\"{name}\""),
    };
    let own = shown(route.map_or("", |route| &route.name));
    let other = shown(other);
    let message = format!(
        "a batch goes to one backend, and its requests lead to different decisions ({own}, {other}): name a model, or send a batch for each"
    );
    Refusal::new(400, message)
}

/// Chooses the first model that declares an ability and may serve the request.
fn declared<'g>(
    generation: &'g Generation,
    reading: &Reading<'_>,
    request: &RoutingRequest<'_>,
    ability: Ability,
) -> Result<Choice<'g>, Refused> {
    let models = generation.document.providers.models.iter();
    let declares = |name: &&str| {
        generation.eligibility.declares(name, ability) && generation.targets.is_routable(name)
    };
    // Vectors of different models do not compare, so there is one model for all.
    let most = if ability == Ability::Embeddings {
        1
    } else {
        usize::MAX
    };
    let declaring = models.map(|model| model.name.as_str()).filter(declares);
    let declaring: Vec<&str> = declaring.take(most).collect();

    let rests = |name: &str| {
        let pool = generation.state.pool.model(name);
        pool.is_resting(Instant::now())
    };
    let allowed = |name: &&&str| reading.verdict.allows(name);
    let mut may = declaring.iter().filter(allowed);
    let first = may.clone().find(|name| !rests(name)).or_else(|| may.next());
    if let Some(name) = first {
        return Ok(Choice::undecided(
            Aim::Held(Arc::from(*name)),
            Some("declared"),
        ));
    }

    let dropped = declaring.iter().filter_map(|name| {
        Some(Dropped {
            model: Arc::from(*name),
            by: Barrier::Boundary(Arc::clone(reading.verdict.forbids(name)?)),
        })
    });
    let dropped: Vec<Dropped> = dropped.collect();
    match dropped.first() {
        Some(first) => Err(Refused::by(first.by.clone(), dropped)),
        None if request.prompt.model.is_empty() => {
            Ok(Choice::undecided(Aim::Default, Some("default")))
        }
        None => Err(undeclared(ability).into()),
    }
}

fn undeclared(ability: Ability) -> Refusal {
    let word = ability.as_str();
    let message = format!(
        "no model is declared for this endpoint: name a model, or list {word} in the capabilities of its card"
    );
    Refusal::new(400, message)
}

/// Sends a request to its model, with no other edit than the model's name. `matched` is what its
/// decision was chosen by, if there is one.
pub(super) fn send(
    targets: &Targets,
    target: Target<'_>,
    verdict: &Verdict,
    wire: Wire<'_>,
    choice: &Choice<'_>,
    matched: Option<&Matched<'_>>,
) -> Result<Sent, Refused> {
    let wire = Wire {
        asked: None,
        counts_usage: false,
        ..wire
    };
    let forward = targets.forward(&target.untold(), verdict, wire)?;
    let next = matched.map(|matched| fallback::next(targets, choice, matched));
    let next = next.unwrap_or_default();
    let forward = fallback::name_next(forward, next.headers);
    Ok(Sent {
        fallback_lost: next.lost,
        ..Sent::new(Outcome::Forward(forward))
    })
}

/// Returns Merit's own count of a request's tokens, where that is what it asks for and the model has
/// no endpoint for it.
pub(super) fn count(
    generation: &Generation,
    target: &Target<'_>,
    verdict: &Verdict,
    request: &RoutingRequest<'_>,
) -> Result<Option<Sent>, Refused> {
    let wire = request.dialect;
    if request.service != Some(Service::CountTokens) || target.wire(wire) == wire {
        return Ok(None);
    }
    // Who may not serve the request is no measure of it.
    let targets = &generation.targets;
    targets.check(target, verdict, request.carriage())?;
    let facts = &request.prompt.tokens;
    let bytes = facts.text_bytes.saturating_add(facts.structured_bytes);
    let of_text = (bytes as f64 / generation.token_ratio.get()).ceil() as u64;
    let facts = TokenFacts {
        text_bytes: 0,
        structured_bytes: 0,
        ..*facts
    };
    Ok(Some(Sent::new(Outcome::Count {
        model: target.shown().into(),
        tokens: of_text.saturating_add(facts.prompt()),
    })))
}

/// Returns what of a decision does not run on other endpoints, `part=reason`.
pub(super) fn not_run(route: &Route) -> impl Iterator<Item = Arc<str>> {
    let parts = [
        ("plugins", !route.plugins.is_empty()),
        ("looper", route.looper.is_some()),
    ];
    let left = parts.into_iter().filter(|(_, is_left)| *is_left);
    left.map(|(part, _)| format!("{part}=other_endpoint").into())
}
