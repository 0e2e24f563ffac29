//! Requests, from one wire to another: a reader of the client's, a writer of the backend's, and a
//! neutral request between them.

mod echo;
mod media;
mod neutral;
mod object;
mod out;
mod pairs;
mod place;
mod read;
mod text;
mod write;

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;

use super::loss::Ledger;
use super::{Backend, Losses, Reply};
use crate::endpoint::Dialect;

/// A request on its backend's wire.
#[derive(Debug, Clone)]
pub struct Translated {
    /// The body.
    pub body: Bytes,
    /// What it could not carry over.
    pub losses: Losses,
    /// What the answer's translation needs to know of the request.
    pub reply: Reply,
}

/// Why a request cannot be said on another wire without changing its sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The text for the client; it names the member.
    pub message: String,
    /// The member's path; empty where the body as a whole is meant.
    pub field: String,
}

impl Unfit {
    fn new(message: &str) -> Self {
        Self {
            message: message.to_owned(),
            field: String::new(),
        }
    }

    /// Says what is wrong with a member.
    fn at(field: impl Display, what: &str) -> Self {
        let field = field.to_string();
        Self {
            message: format!("{field} {what}"),
            field,
        }
    }
}

/// Translates a request. Edits of the policy are made beforehand, on the client's wire.
///
/// # Errors
///
/// A request that makes no sense on the other wire: several choices for a wire that gives one,
/// arguments that are not JSON, files that only another provider has. And one that is malformed.
pub fn request(body: &[u8], from: Dialect, backend: Backend) -> Result<Translated, Unfit> {
    let mut ledger = Ledger::new(from, backend.dialect);
    let mut conversation = read::read(body, from, &mut ledger)?;
    pairs::pair(&mut conversation, &mut ledger);
    let reply = Reply {
        client: from,
        backend: backend.dialect,
        model: Arc::from(conversation.model.decoded().as_ref()),
        streams: conversation.streams,
        wants_usage: conversation.wants_usage,
        echo: echo::echo(body, from),
    };
    let body = write::write(conversation, backend, body.len(), &mut ledger)?;
    Ok(Translated {
        body: body.into(),
        losses: ledger.finish(),
        reply,
    })
}

#[cfg(test)]
mod tests;
