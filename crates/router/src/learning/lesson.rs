//! What learning did to a request.

use super::Trail;
use super::policy::{Mode, Policy};
use super::protection::Scope;
use std::sync::Arc;

/// What a part of learning did.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// `adaptation` or `protection`.
    pub part: &'static str,
    /// How it acts here.
    pub mode: Mode,
    /// What it did.
    pub action: &'static str,
    /// What conversations stay together by.
    pub scope: Option<Scope>,
    /// Why.
    pub reason: &'static str,
    /// Its scores, where it made some.
    pub scores: Vec<(Arc<str>, f64)>,
}

/// What learning did to a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lesson {
    /// By part, in order.
    pub notes: Vec<Note>,
    /// What must be remembered of the request; complete once its model is settled.
    pub trail: Option<Arc<Trail>>,
    /// The id by which the client can judge the answer.
    pub request_id: Option<Arc<str>>,
    /// Why the shared store was of no use.
    pub degraded: Option<&'static str>,
}

impl Lesson {
    /// The request really goes to this model: what comes after learning may hold another one.
    pub fn settle(&mut self, model: &str, policy: &Policy) {
        let Some(trail) = &mut self.trail else { return };
        let trail = Arc::make_mut(trail);
        if *trail.place.model != *model {
            trail.place.model = model.into();
        }
        trail.prices = policy
            .roster
            .get(model)
            .and_then(|player| player.card.prices);
    }
}
