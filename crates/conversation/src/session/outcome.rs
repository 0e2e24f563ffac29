//! What a session did: for headers, traces and metrics, and to be recorded once the request is
//! sent.

use super::Ticket;
use super::budget::{Action, Reason};
use super::context::Chain;
use super::phase::Phase;
use selection::card::Prices;
use std::sync::Arc;

/// What a session did to a request.
#[derive(Debug, Clone)]
pub struct SessionOutcome {
    /// The phase.
    pub phase: Phase,
    /// What the session did.
    pub action: Action,
    /// The reason, where there is a choice to explain.
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
    pub(super) restarts: bool,
    pub(super) least: u64,
    pub(super) forced: u64,
    pub(super) charged: u64,
}

impl SessionOutcome {
    /// Returns what a session's first request amounts to where nothing is known of prices.
    #[must_use]
    pub fn first(ticket: Ticket) -> Self {
        Self {
            phase: Phase::UserTurn,
            action: Action::New,
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
            restarts: false,
            least: 0,
            forced: 0,
            charged: 0,
        }
    }
}

impl std::fmt::Display for SessionOutcome {
    /// Writes `hold=tool_loop;proposed=small;budget_left=120`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.action.as_str())?;
        if let Some(reason) = self.reason {
            write!(f, "={}", reason.as_str())?;
        }
        if let Some(proposed) = &self.proposed {
            write!(f, ";proposed={proposed}")?;
        }
        if let Some(previous) = self
            .previous
            .as_ref()
            .filter(|_| self.action == Action::Switch)
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
