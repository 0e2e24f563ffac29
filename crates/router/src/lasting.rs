//! What outlives requests and generations: the state of pools, sessions, experience.
//!
//! All of it is keyed by names of the document, bounded, and survives a reload. A request leaves a
//! trace here twice: when it is sent ([`begin`](Lasting::begin)) and when its answer is known
//! ([`end`](Lasting::end)), whoever tells us of it: the response phase or Envoy's access log.

use crate::card::Tokens;
use crate::credential::Secret;
use crate::forecast::Lengths;
use crate::learning::{Experience, Trail};
use crate::pool::Pool;
use crate::session::Sessions;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The state that lasts.
#[derive(Debug, Default)]
pub struct Lasting {
    /// State of the models' pools.
    pub pool: Pool,
    /// Sessions and their models.
    pub sessions: Sessions,
    /// What outcomes have taught.
    pub experience: Experience,
    /// How long answers are.
    pub lengths: Lengths,
    secret: OnceLock<Secret>,
}

/// A request that was sent to a model.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// Names it in the metadata that Envoy's access log repeats.
    pub id: u64,
    /// When it was sent.
    pub at: Instant,
    /// The model, as the policy names it.
    pub model: Arc<str>,
    /// The recipe; none for concrete model names.
    pub recipe: Option<Arc<str>>,
    /// The decision.
    pub decision: Option<Arc<str>>,
    /// The decision's tier.
    pub tier: i64,
    /// The session, if it has one.
    pub session: Option<crate::session::Ticket>,
    /// The token estimate of its prompt; 0 if none was made.
    pub prompt_tokens: u64,
    /// What learning must remember of it; none where the document does not learn.
    pub learning: Option<Arc<Trail>>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Served {
    /// HTTP status; 0 if no response came.
    pub status: u16,
    /// Time to the first token, or to the first byte where tokens are not seen.
    pub first_token: Option<Duration>,
    /// Time to the end of the answer.
    pub total: Option<Duration>,
    /// Tokens, where the body was seen.
    pub tokens: Option<Tokens>,
    /// The answer was seen to come as a stream, so that its first token tells something.
    pub streamed: bool,
    /// The answer broke off.
    pub cut: bool,
}

impl Served {
    /// The model failed: no response, a server's error, too many requests, or a broken answer.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.cut || self.status == 0 || self.status == 429 || self.status >= 500
    }
}

impl Lasting {
    /// The secret of this process alone, for documents that configure none.
    pub fn secret(&self) -> Secret {
        let made = || {
            tracing::info!(
                "no secret is configured; turn states and credentials hold in this process only"
            );
            Secret::random()
        };
        self.secret.get_or_init(made).clone()
    }

    /// A request goes on to a model. Its id is [`Pool::next_id`]'s.
    pub fn begin(&self, dispatch: Dispatch) {
        if let Some(trail) = &dispatch.learning {
            self.experience.sent(trail, dispatch.at);
        }
        self.pool.begin(dispatch);
    }

    /// Something of a request's answer is known, but its end is for somebody else to tell.
    pub fn note(&self, id: u64, part: &Served) {
        self.pool.note(id, part);
    }

    /// A request's answer is known. Only the first report counts.
    pub fn end(&self, id: u64, served: &Served) {
        let Some((dispatch, served)) = self.pool.end(id, served, Instant::now()) else {
            return;
        };
        self.sessions.served(&dispatch, &served);
        self.experience.served(&dispatch, &served);
        self.lengths.served(&dispatch, &served);
    }

    /// Nobody will tell how a request ends, or its end says nothing of its model: its client left,
    /// or the gateway refused it.
    pub fn forget(&self, id: u64) {
        self.pool.forget(id);
    }
}
