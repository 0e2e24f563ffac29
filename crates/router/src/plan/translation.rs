//! A request on another wire than its client's: what the plan says of it, and how its body is made.
//!
//! ```text
//! client's bytes ─ edits of the policy ─▶ ─ translate ─▶ ─ edits of the backend ─▶ what goes out
//! ```
//!
//! What plugins change is changed on the client's wire, where it means what it always means; the
//! model's id, its switch of reasoning and marks for its cache are written on its own.

use super::body::{apply, apply_all, apply_named};
use super::{BodyEdit, Forward, Refusal};
use crate::response::ResponseStage;
use bytes::Bytes;
use dialects::translate::{self, Backend, Losses, Severity};
use dialects::{Dialect, ReadOptions, Request};
use std::sync::Arc;

/// How a request is put on its backend's wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Translation {
    /// The backend.
    pub backend: Backend,
    /// Edits of the translated body, in order.
    pub edits: Vec<BodyEdit>,
    /// The model as the answer names it.
    pub model: Arc<str>,
    /// A request that loses something is refused.
    pub strict: bool,
}

/// The body that goes out.
#[derive(Debug, Default)]
pub struct Made {
    /// The new body; `None` leaves it as it came.
    pub body: Option<Bytes>,
    /// What the backend's wire cannot say.
    pub losses: Losses,
    /// Brings the answer back to the client's wire.
    pub answer: Option<ResponseStage>,
    /// The request as the backend gets it but for its own edits; `None` where it is on its client's
    /// wire.
    pub translated: Option<Request>,
}

/// Makes the body that goes out: with the edits of the plan, on the backend's wire.
///
/// # Errors
/// What the client is told: the request cannot be said on the backend's wire, or not without a loss
/// where the policy allows none.
pub fn make(request: &Request, forward: &Forward) -> Result<Made, Refusal> {
    let Some(translation) = forward.translation() else {
        return Ok(Made {
            body: apply(request, forward.body()),
            ..Made::default()
        });
    };
    let edited = apply_named(request, forward.body(), &translation.model);
    let edited = edited.unwrap_or_else(|| request.body().clone());
    let translated = translate::request(&edited, request.dialect(), translation.backend)
        .map_err(|unfit| Refusal::new(400, unfit.message))?;
    if translation.strict {
        without_loss(&translated.losses, translation)?;
    }

    let dialect = translation.backend.dialect;
    let again = Request::parse(dialect, translated.body, &ReadOptions::default())
        .map_err(|refused| Refusal::new(400, format!("translated, {refused}")))?;
    let body = apply_all(&again, &translation.edits).unwrap_or_else(|| again.body().clone());
    let reply = translate::Reply {
        model: Arc::clone(&translation.model),
        ..translated.reply
    };
    Ok(Made {
        body: Some(body),
        losses: translated.losses,
        answer: Some(ResponseStage::Translate {
            reply: Arc::new(reply),
        }),
        translated: Some(again),
    })
}

/// Refuses a request that loses something that the model would have seen.
fn without_loss(losses: &Losses, translation: &Translation) -> Result<(), Refusal> {
    let lost = losses.iter().filter(|loss| loss.severity > Severity::Info);
    let lost: Vec<String> = lost
        .map(|loss| format!("{} ({})", loss.field, loss.reason))
        .take(LISTED)
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    let (wire, lost) = (api(translation.backend.dialect), lost.join(", "));
    let message = format!(
        "the policy forbids a lossy translation, and the model's API ({wire}) cannot say: {lost}"
    );
    Err(Refusal::new(400, message))
}

/// The most losses that a refusal lists.
const LISTED: usize = 16;

/// Returns the name of a wire's API, for people.
#[must_use]
pub fn api(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat => "OpenAI chat completions",
        Dialect::OpenAiResponses => "OpenAI Responses",
        Dialect::AnthropicMessages => "Anthropic Messages",
    }
}

/// Returns the headers that a backend of another wire than the client's needs, and removes those
/// that only the client's has. `has_version` tells that the client sent `anthropic-version`.
pub(crate) fn headers(
    client: Dialect,
    backend: Dialect,
    has_version: bool,
) -> Vec<super::HeaderOp> {
    use super::HeaderOp::{Remove, Set};
    match (client, backend) {
        (_, Dialect::AnthropicMessages) if !has_version => {
            vec![Set(VERSION.into(), USUAL_VERSION.into())]
        }
        (Dialect::AnthropicMessages, _) => [
            VERSION,
            "anthropic-beta",
            "anthropic-dangerous-direct-browser-access",
        ]
        .map(|name| Remove(name.into()))
        .to_vec(),
        _ => Vec::new(),
    }
}

/// Names the version of Anthropic's API.
pub(crate) const VERSION: &str = "anthropic-version";

/// The version that Merit's translation writes.
const USUAL_VERSION: &str = "2023-06-01";

#[cfg(test)]
mod tests;
