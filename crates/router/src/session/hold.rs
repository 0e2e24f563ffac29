//! What a request's session makes of the model that was chosen.

use super::phase::Phase;
use super::standing::Standing;
use super::stay::{self, Choice, Past, Reason};
use super::told::{Outcome, Told};
use super::{Mode, Policy, Sessions, Ticket};
use crate::card::Prices;
use std::sync::Arc;

/// A model that may answer.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// Its name, or its adapter's.
    pub model: &'a str,
    /// Its prices.
    pub prices: Option<Prices>,
    /// The algorithm's score of it, if it gave one.
    pub score: Option<f64>,
}

/// What became of the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// This offer is taken.
    Offer(usize),
    /// The session's model is, which is none of the offers.
    Other,
}

/// What a choice is made from.
#[derive(Clone, Copy)]
pub struct Choosing<'a> {
    /// The section.
    pub policy: &'a Policy,
    /// All sessions.
    pub sessions: &'a Sessions,
    /// Models that may answer.
    pub offers: &'a [Offer<'a>],
    /// The algorithm's choice among them.
    pub proposed: usize,
    /// A model that is no offer may be stayed with, if it is allowed.
    pub any: bool,
    /// A model that is no offer may answer as far as boundaries, abilities and rest go.
    pub allows: &'a dyn Fn(&str) -> bool,
}

/// What is decided before anything is charged.
struct Draft {
    held: Held,
    outcome: Outcome,
    reason: Option<Reason>,
    degraded: Option<&'static str>,
    /// A switch against the session's wish, or one that has no price to check.
    forced: bool,
}

impl Draft {
    fn new(held: Held, outcome: Outcome, reason: Option<Reason>) -> Self {
        Self {
            held,
            outcome,
            reason,
            degraded: None,
            forced: false,
        }
    }
}

/// Stays or switches.
#[must_use]
pub fn hold(standing: &Standing, choosing: &Choosing<'_>) -> (Held, Told) {
    let mut draft = draft(standing, choosing);
    let past = standing.past();
    let applies = choosing.policy.mode == Mode::Apply;
    let to = match draft.held {
        Held::Offer(index) => choosing.offers.get(index),
        Held::Other => None,
    };
    let cost = match (draft.outcome, to.and_then(|offer| offer.prices)) {
        (Outcome::Switch, Some(prices)) => stay::overhead(past.prefix, &prices),
        _ => 0,
    };
    let mut charged = 0;
    if draft.outcome == Outcome::Switch && !draft.forced && applies {
        if choosing
            .sessions
            .charge(standing.named.key, cost, &choosing.policy.rules)
        {
            charged = cost;
        } else if let Some(stays) = standing
            .current()
            .and_then(|current| place(current, choosing))
        {
            draft = Draft::new(stays, Outcome::Hold, Some(Reason::Budget));
        }
    }
    let held = if applies || draft.outcome == Outcome::Helper {
        draft.held
    } else {
        Held::Offer(choosing.proposed)
    };
    let forced = if draft.outcome == Outcome::Switch && charged == 0 {
        cost
    } else {
        0
    };
    let told = tell(standing, choosing, (held, draft), (forced, charged));
    (held, told)
}

fn draft(standing: &Standing, choosing: &Choosing<'_>) -> Draft {
    let takes = Held::Offer(choosing.proposed);
    let turn = &standing.turn;
    if turn.phase == Phase::Helper {
        let cheapest = choosing.policy.cheapest_helpers && choosing.policy.mode == Mode::Apply;
        let takes = if cheapest {
            Held::Offer(self::cheapest(choosing))
        } else {
            takes
        };
        return Draft::new(takes, Outcome::Helper, None);
    }
    let lock = stay::lock(turn);
    let Some(current) = standing.current() else {
        let unknown = turn.sealed.then_some("provider_state_of_unknown_model");
        return Draft {
            degraded: unknown,
            ..Draft::new(takes, Outcome::New, None)
        };
    };
    let Some(proposed) = choosing.offers.get(choosing.proposed) else {
        return Draft::new(takes, Outcome::New, None);
    };
    if proposed.model == current {
        return Draft::new(takes, Outcome::Same, lock);
    }
    let stays = place(current, choosing);
    match (lock, stays) {
        (Some(lock), Some(stays)) => Draft::new(stays, Outcome::Hold, Some(lock)),
        (Some(_), None) => Draft {
            degraded: Some("locked_model_unavailable"),
            forced: true,
            ..Draft::new(takes, Outcome::Switch, Some(Reason::NotEligible))
        },
        (None, None)
            if turn.explicit && standing.past().idle < choosing.policy.rules.idle_timeout =>
        {
            Draft {
                forced: true,
                ..Draft::new(takes, Outcome::Switch, Some(Reason::NotEligible))
            }
        }
        (None, _) => {
            let choice = |offer: &Offer<'_>| Choice {
                prices: offer.prices,
                score: offer.score,
            };
            let own = choosing
                .offers
                .iter()
                .find(|offer| offer.model == current)
                .map(choice);
            let from = own.unwrap_or_else(|| Choice {
                prices: prices_of(current, choosing),
                score: None,
            });
            let choices: Vec<Choice> = choosing.offers.iter().map(choice).collect();
            let asked = (&from, choices.as_slice(), choosing.proposed);
            match stay::choose(&standing.past(), turn, asked, &choosing.policy.rules) {
                (None, reason) => Draft::new(stays.unwrap_or(takes), Outcome::Hold, Some(reason)),
                (Some(_), reason @ (Reason::Idle | Reason::Unnamed)) => {
                    Draft::new(takes, Outcome::New, Some(reason))
                }
                (Some(index), reason) => Draft {
                    forced: reason == Reason::Unpriced,
                    ..Draft::new(Held::Offer(index), Outcome::Switch, Some(reason))
                },
            }
        }
    }
}

/// Where the session's model is, if it may answer.
fn place(current: &str, choosing: &Choosing<'_>) -> Option<Held> {
    let offer = choosing
        .offers
        .iter()
        .position(|offer| offer.model == current);
    let other = || (choosing.any && (choosing.allows)(current)).then_some(Held::Other);
    offer.map(Held::Offer).or_else(other)
}

fn prices_of(model: &str, choosing: &Choosing<'_>) -> Option<Prices> {
    let offer = choosing.offers.iter().find(|offer| offer.model == model);
    offer.map_or_else(|| choosing.sessions.prices(model), |offer| offer.prices)
}

fn cheapest(choosing: &Choosing<'_>) -> usize {
    let price = |offer: &Offer<'_>| offer.prices.map(|prices| prices.prompt + prices.completion);
    let priced = choosing
        .offers
        .iter()
        .enumerate()
        .filter_map(|(index, offer)| Some((index, price(offer)?)));
    priced
        .min_by(|one, other| one.1.total_cmp(&other.1))
        .map_or(choosing.proposed, |(index, _)| index)
}

fn tell(
    standing: &Standing,
    choosing: &Choosing<'_>,
    (held, draft): (Held, Draft),
    (forced, charged): (u64, u64),
) -> Told {
    let taken = match held {
        Held::Offer(index) => choosing.offers.get(index).and_then(|offer| offer.prices),
        Held::Other => standing
            .current()
            .and_then(|current| prices_of(current, choosing)),
    };
    let billed = taken.map_or(0, |prices| standing.least_price(&prices));
    let anew = draft.outcome == Outcome::New && draft.reason.is_some();
    let named = standing.named;
    let budget_left = taken.map(|_| {
        let past = if anew {
            Past::default()
        } else {
            standing.past()
        };
        let budget = (choosing.policy.rules.budget * past.bill as f64) as u64;
        budget.saturating_sub(past.overhead.saturating_add(forced + charged))
    });
    let stayed = draft.outcome != Outcome::Helper && held != Held::Offer(choosing.proposed);
    let store = standing.store_failed.then_some("store_unavailable");
    Told {
        phase: standing.turn.phase,
        outcome: draft.outcome,
        reason: draft.reason,
        previous: standing.current().map(Arc::from),
        proposed: choosing
            .offers
            .get(choosing.proposed)
            .filter(|_| stayed)
            .map(|offer| offer.model.into()),
        degraded: draft.degraded.or(store),
        budget_left,
        observed: choosing.policy.mode == Mode::Observe,
        ticket: (draft.outcome != Outcome::Helper).then_some(Ticket {
            key: named.key,
            thread: named.thread,
            billed,
        }),
        turn_state: None,
        chain: None,
        prices: taken,
        anew,
        least: standing.tokens.1,
        forced,
        charged,
    }
}

#[cfg(test)]
mod tests;
