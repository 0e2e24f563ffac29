//! The stage that asks a decision's algorithm, and what it and the stages after it read.

use super::reading::Reading;
use super::request::RoutingRequest;
use crate::boundary::Guarded;
use crate::recipe::{Recipe, Route};
use conversation::session::SessionContext;
use inference::ask::{Answer, Ask as _, Question, What};
use inference::handle::Embedder;
use selection::algorithms::{Selection, SelectionRequest};
use selection::card::Tokens;
use selection::eligible::Eligible;
use std::sync::Arc;

/// A decision that won, and what the stages after it read. Nothing in it changes.
#[derive(Clone, Copy)]
pub(crate) struct Matched<'a> {
    /// The recipe of the decision.
    pub(crate) recipe: &'a Recipe,
    /// What the decision leads to.
    pub(crate) route: &'a Route,
    /// The candidates that may serve the request.
    pub(crate) eligible: &'a Eligible,
    /// What the request is.
    pub(crate) reading: &'a Reading<'a>,
    /// The request.
    pub(crate) request: &'a RoutingRequest<'a>,
}

/// Asks the decision's algorithm for one of the eligible candidates.
///
/// Returns whether it had to do without the vector of the user's turn, too.
pub(crate) async fn select(
    matched: &Matched<'_>,
    session: Option<&SessionContext>,
) -> (Selection, bool) {
    let (route, request) = (matched.route, matched.request);
    let embedder = route.candidates.embedder();
    let vector = match embedder {
        Some(embedder) => vector(embedder, matched.reading, request).await,
        None => None,
    };
    let category = matched
        .reading
        .own
        .as_ref()
        .and_then(|findings| findings.category());
    let asked = SelectionRequest {
        vector: vector.as_deref(),
        category: category.unwrap_or_default(),
        tokens: tokens(matched.reading, request),
        output_limit: request.prompt.tokens.output_reserve,
        continuation: session
            .map(|session| session.continuation(request.prompt))
            .unwrap_or_default(),
        draw: session.map(SessionContext::draw),
        ..SelectionRequest::default()
    };
    let selection = route.candidates.select(&asked, matched.eligible.kept());
    (selection, embedder.is_some() && vector.is_none())
}

/// Returns what is known of the request's tokens: the estimate counts what is reserved for the
/// answer, which is no prompt.
pub(crate) fn tokens(reading: &Reading<'_>, request: &RoutingRequest<'_>) -> Tokens {
    let reserve = request.prompt.tokens.output_reserve;
    Tokens {
        prompt: reading.demand.tokens.saturating_sub(reserve),
        ..Tokens::default()
    }
}

/// Returns the vector of the user's turn; `None` if it cannot be had in time.
async fn vector(
    embedder: &Embedder,
    reading: &Reading<'_>,
    request: &RoutingRequest<'_>,
) -> Option<Arc<[f32]>> {
    let models = Guarded::new(request.models, reading.verdict.clone());
    let question = Question::new(
        request.prompt.texts.current.as_str().into(),
        What::Vector(embedder.clone()),
    );
    let outcome = models.ask(&[question], request.deadline).await.pop()?;
    match outcome.ok()?.answer {
        Answer::Vector(vector) => Some(vector),
        _ => None,
    }
}
