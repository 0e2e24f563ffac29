//! What a session did: for headers, traces and metrics, and to be noted once the request is sent.

use super::Ticket;
use super::phase::Phase;
use super::standing::Chain;
use super::stay::Reason;
use crate::card::Prices;
use std::sync::Arc;

/// What a session did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It begins, or begins anew.
    New,
    /// The choice is the model that it uses anyway.
    Same,
    /// It stayed, against the choice.
    Hold,
    /// It goes on with another model.
    Switch,
    /// The request is none of its own.
    Helper,
}

impl Outcome {
    /// All of them, for metrics.
    pub const ALL: [Self; 5] = [
        Self::New,
        Self::Same,
        Self::Hold,
        Self::Switch,
        Self::Helper,
    ];

    /// The word of headers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Same => "same",
            Self::Hold => "hold",
            Self::Switch => "switch",
            Self::Helper => "helper",
        }
    }
}

/// What a session did, for headers, traces and metrics, and what is to be noted once the request is
/// sent.
#[derive(Debug, Clone)]
pub struct Told {
    /// The phase.
    pub phase: Phase,
    /// What the session did.
    pub outcome: Outcome,
    /// Why.
    pub reason: Option<Reason>,
    /// The session's model before.
    pub previous: Option<Arc<str>>,
    /// What the algorithm chose, if the session did not follow it.
    pub proposed: Option<Arc<str>>,
    /// A lock that could not be kept, or a session that cannot be known: the reason after
    /// `session=`.
    pub degraded: Option<&'static str>,
    /// What switches may still cost, millionths; `None` without prices.
    pub budget_left: Option<u64>,
    /// Nothing was applied: `mode: observe`.
    pub observed: bool,
    /// What the answer is counted to; none for helpers.
    pub ticket: Option<Ticket>,
    /// The turn state for the reply; none on other wires.
    pub turn_state: Option<String>,
    /// How a later request finds the session by this response's id; none on other wires.
    pub chain: Option<Chain>,
    pub(super) prices: Option<Prices>,
    pub(super) anew: bool,
    pub(super) least: u64,
    pub(super) forced: u64,
    pub(super) charged: u64,
}

impl Told {
    /// What a session's first request amounts to where nothing is known of prices.
    #[must_use]
    pub fn first(ticket: Ticket) -> Self {
        Self {
            phase: Phase::UserTurn,
            outcome: Outcome::New,
            reason: None,
            previous: None,
            proposed: None,
            degraded: None,
            budget_left: None,
            observed: false,
            ticket: Some(ticket),
            turn_state: None,
            chain: None,
            prices: None,
            anew: false,
            least: 0,
            forced: 0,
            charged: 0,
        }
    }
}

impl std::fmt::Display for Told {
    /// `hold=tool_loop;proposed=small;budget_left=120`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.outcome.as_str())?;
        if let Some(reason) = self.reason {
            write!(f, "={}", reason.as_str())?;
        }
        if let Some(proposed) = &self.proposed {
            write!(f, ";proposed={proposed}")?;
        }
        if let Some(previous) = self
            .previous
            .as_ref()
            .filter(|_| self.outcome == Outcome::Switch)
        {
            write!(f, ";previous={previous}")?;
        }
        if let Some(left) = self.budget_left {
            write!(f, ";budget_left={left}")?;
        }
        if self.observed {
            f.write_str(";observed")?;
        }
        Ok(())
    }
}
