//! What a decision's candidates must be known to have: `candidate_requirements` and
//! `minimum_candidates`.

use crate::capability::Demand;
use crate::eligible::{Barrier, Dropped};

/// What a decision's candidates must be known to have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requirements {
    /// A model whose card names no ability is no candidate where the request needs one.
    pub declared: bool,
    /// A model whose card tells no limits is no candidate, and the request must fit these.
    pub limits: Option<OutputLimits>,
    /// Different models that must be able to serve a request.
    pub minimum: usize,
}

/// How long the decision lets answers be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutputLimits {
    /// Limit of requests that set none, tokens.
    pub default: Option<u64>,
    /// Limit of all requests, tokens.
    pub cap: Option<u64>,
}

impl OutputLimits {
    /// Returns the limit of a request that asks for so many tokens; 0 asks for no limit. Without
    /// any limit the answer counts as 0.
    fn of(self, asked: u64) -> u64 {
        let own = Some(asked).filter(|&asked| asked > 0).or(self.default);
        let limits = own.into_iter().chain(self.cap);
        limits.min().unwrap_or_default()
    }
}

impl Requirements {
    /// Tells whether cards must say something.
    pub(crate) fn ask_cards(&self) -> bool {
        self.declared || self.limits.is_some()
    }

    /// Returns the most tokens of a request's answer; `None` where limits need not be known.
    pub(crate) fn output(&self, demand: &Demand) -> Option<u64> {
        Some(self.limits?.of(demand.output))
    }
}

/// Returns what the client is told where cards must say something and nobody is left: what all
/// candidates lack, if it is one thing.
pub(crate) fn together(dropped: &[Dropped]) -> Barrier {
    let Some(first) = dropped.first().map(|dropped| &dropped.by) else {
        return Barrier::Mixed;
    };
    let barriers = || dropped.iter().map(|dropped| &dropped.by);
    if barriers().all(|by| by == first) {
        return first.clone();
    }
    if !barriers().all(|by| budget(by).is_some()) {
        return Barrier::Mixed;
    }
    barriers()
        .max_by_key(|by| budget(by))
        .cloned()
        .unwrap_or(Barrier::Mixed)
}

/// Returns how close a model comes to a request that is too long for it: windows first, the widest
/// last; `None` where something else is in the way.
fn budget(barrier: &Barrier) -> Option<(bool, u64)> {
    match barrier {
        Barrier::ContextWindow { window, .. } => Some((true, *window)),
        Barrier::OutputLimit { limit, .. } => Some((false, *limit)),
        _ => None,
    }
}
