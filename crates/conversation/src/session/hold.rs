//! What a request's session makes of the model that was chosen.

use super::budget::{self, Action, Budget, Choice, Past, Reason, Stay};
use super::context::SessionContext;
use super::outcome::SessionOutcome;
use super::phase::Phase;
use super::{Mode, Policy, Sessions, Ticket};
use crate::{Current, Offers, StayPolicy};
use selection::card::Prices;
use std::sync::Arc;

/// A model that may answer.
#[derive(Debug, Clone, Copy)]
pub struct ModelOffer<'a> {
    /// Its name, or its adapter's.
    pub model: &'a str,
    /// Its prices.
    pub prices: Option<Prices>,
    /// The algorithm's score of it, if it gave one.
    pub score: Option<f64>,
}

/// The model that a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// The offer of this index.
    Offer(usize),
    /// The session's model, which is not among the offers.
    Other,
}

/// What a choice is made from.
#[derive(Clone, Copy)]
pub struct ChoiceInput<'a> {
    /// The section.
    pub policy: &'a Policy,
    /// All sessions.
    pub sessions: &'a Sessions,
    /// Models that may answer.
    pub offers: &'a [ModelOffer<'a>],
    /// The algorithm's choice among them.
    pub proposed: usize,
    /// A model that is no offer may be stayed with, if it is allowed.
    pub any: bool,
    /// A model that is no offer may answer as far as boundaries, abilities and health go.
    pub allows: &'a dyn Fn(&str) -> bool,
}

/// What a session decided, with what its switch costs.
#[derive(Debug, Clone, Copy)]
struct Settled {
    chosen: Chosen,
    stay: Stay,
    /// What a forced switch costs.
    forced: u64,
    /// What a switch costs that was wished for, and that was charged.
    charged: u64,
}

/// Stays with the session's model, or switches.
#[must_use]
pub fn hold(context: &SessionContext, input: &ChoiceInput<'_>) -> (Chosen, SessionOutcome) {
    let models = Models::of(context, input);
    let mut stay = decide(context, input, &models);
    let applies = input.policy.mode == Mode::Apply;

    let cost = match (stay.action, input.offers.get(stay.taken)) {
        (Action::Switch, Some(offer)) => offer
            .prices
            .map_or(0, |prices| budget::overhead(context.past().prefix, &prices)),
        _ => 0,
    };
    let mut charged = 0;
    if stay.action == Action::Switch && !stay.forced && applies {
        if input
            .sessions
            .charge(context.session.key, cost, &input.policy.rules)
        {
            charged = cost;
        } else if let Current::Offer(current) = models.current {
            // Another request of the session has spent it meanwhile.
            stay = Stay {
                taken: current,
                action: Action::Hold,
                reason: Some(Reason::Budget),
                forced: false,
            };
        }
    }

    let taken = if applies || stay.action == Action::Helper {
        stay.taken
    } else {
        input.proposed
    };
    let uncharged = stay.action == Action::Switch && charged == 0;
    let settled = Settled {
        chosen: if taken == input.offers.len() && models.choices.len() > taken {
            Chosen::Other
        } else {
            Chosen::Offer(taken)
        },
        stay,
        forced: if uncharged { cost } else { 0 },
        charged,
    };
    (settled.chosen, outcome(context, input, &settled))
}

/// The models among which the policy decides.
struct Models {
    /// The offers, and behind them the session's own model where they lack it.
    choices: Vec<Choice>,
    current: Current,
}

impl Models {
    fn of(context: &SessionContext, input: &ChoiceInput<'_>) -> Self {
        let mut choices: Vec<Choice> = input
            .offers
            .iter()
            .map(|offer| Choice {
                prices: offer.prices,
                score: offer.score,
            })
            .collect();
        let Some(model) = context.current().filter(|_| input.proposed < choices.len()) else {
            return Self {
                choices,
                current: Current::Unknown,
            };
        };

        let is_it = |index: &usize| input.offers[*index].model == model;
        let offered = Some(input.proposed)
            .filter(is_it)
            .or_else(|| (0..input.offers.len()).find(is_it));
        let current = match offered {
            Some(index) => Current::Offer(index),
            None if input.any && (input.allows)(model) => {
                choices.push(Choice {
                    prices: prices_of(model, input),
                    score: None,
                });
                Current::Offer(input.offers.len())
            }
            None => Current::NotOffered,
        };
        Self { choices, current }
    }
}

fn decide(context: &SessionContext, input: &ChoiceInput<'_>, models: &Models) -> Stay {
    if context.turn.phase == Phase::Helper {
        let cheapest = input.policy.cheapest_helpers && input.policy.mode == Mode::Apply;
        return Stay {
            taken: if cheapest {
                self::cheapest(input)
            } else {
                input.proposed
            },
            action: Action::Helper,
            reason: None,
            forced: false,
        };
    }
    let policy = Budget {
        rules: &input.policy.rules,
        turn: &context.turn,
        tokens: context.tokens.most,
    };
    let offers = Offers {
        models: &models.choices,
        proposed: input.proposed,
        current: models.current,
    };
    policy.decide(&context.conversation, &offers)
}

fn prices_of(model: &str, input: &ChoiceInput<'_>) -> Option<Prices> {
    let offer = input.offers.iter().find(|offer| offer.model == model);
    offer.map_or_else(|| input.sessions.prices(model), |offer| offer.prices)
}

/// Returns the offer with the lowest prices; the proposed one where none has prices.
fn cheapest(input: &ChoiceInput<'_>) -> usize {
    let priced = input
        .offers
        .iter()
        .enumerate()
        .filter_map(|(index, offer)| {
            let prices = offer.prices?;
            Some((index, prices.prompt + prices.completion))
        });
    priced
        .min_by(|one, other| one.1.total_cmp(&other.1))
        .map_or(input.proposed, |(index, _)| index)
}

/// Returns a lock that could not be kept, or why the session cannot be known.
fn degraded(context: &SessionContext, stay: &Stay) -> Option<&'static str> {
    let locked = budget::lock(&context.turn).is_some();
    match (stay.action, stay.reason) {
        (Action::Switch, Some(Reason::NotEligible)) if locked => Some("locked_model_unavailable"),
        (Action::New, None) if context.turn.sealed && context.current().is_none() => {
            Some("provider_state_of_unknown_model")
        }
        _ => context.degraded,
    }
}

fn outcome(context: &SessionContext, input: &ChoiceInput<'_>, settled: &Settled) -> SessionOutcome {
    let Settled {
        chosen,
        stay,
        forced,
        charged,
    } = *settled;
    let taken = match chosen {
        Chosen::Offer(index) => input.offers.get(index).and_then(|offer| offer.prices),
        Chosen::Other => context
            .current()
            .and_then(|current| prices_of(current, input)),
    };
    let billed = taken.map_or(0, |prices| context.least_price(&prices));
    let restarts = stay.action == Action::New && stay.reason.is_some();

    let budget_left = taken.map(|_| {
        let past = if restarts {
            Past::default()
        } else {
            context.past()
        };
        let budget = (input.policy.rules.budget * past.bill as f64) as u64;
        budget.saturating_sub(past.overhead.saturating_add(forced + charged))
    });
    let is_helper = stay.action == Action::Helper;
    let against = !is_helper && chosen != Chosen::Offer(input.proposed);
    SessionOutcome {
        phase: context.turn.phase,
        action: stay.action,
        reason: stay.reason,
        previous: context.current().map(Arc::from),
        proposed: input
            .offers
            .get(input.proposed)
            .filter(|_| against)
            .map(|offer| offer.model.into()),
        degraded: degraded(context, &stay),
        budget_left,
        observed: input.policy.mode == Mode::Observe,
        ticket: (!is_helper).then_some(Ticket {
            key: context.session.key,
            thread: context.session.thread,
            billed,
        }),
        turn_state: None,
        chain: None,
        prices: taken,
        restarts,
        least: context.tokens.least,
        forced,
        charged,
    }
}

#[cfg(test)]
mod tests;
