//! What happens to a request, as it is handed to the builder of records.

use super::Held;
use crate::engine::Generation;
use crate::reload::Loaded;
use dialects::{Dialect, Service, Usage};
use extproc::LogEntry;
use router::plan::Trace;
use signals::report::SignalReport;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;

/// What happened.
pub(super) enum Event {
    /// A request was decided on.
    Begin(Box<Begun>),
    /// A request ended before it was decided on.
    Unplanned(Box<Seen>, Box<Ended>),
    /// Something is known of the answer, and somebody else tells the end.
    Part(u64, Box<Ended>),
    /// It ended.
    End(u64, Box<Ended>),
    /// Envoy's access log tells how it ended.
    Logged(u64, Box<LogEntry>),
    /// The gateway tries it at this model, as the one before failed.
    Attempted(u64, Arc<str>),
    /// Somebody waits for all that came before.
    Flush(oneshot::Sender<()>),
}

/// What a request's headers say.
#[derive(Clone)]
pub(crate) struct Seen {
    /// Identifies it on its way and in Envoy's access log.
    pub(crate) key: u64,
    /// The record's id.
    pub(crate) id: u128,
    /// When the headers came.
    pub(crate) at: SystemTime,
    /// What serves it.
    pub(crate) serving: Arc<Loaded<Generation>>,
    /// The wire, where the path tells it.
    pub(crate) dialect: Option<Dialect>,
    /// Envoy's id.
    pub(crate) request_id: Option<Arc<str>>,
}

/// A request that was decided on.
pub(crate) struct Begun {
    /// What its headers say.
    pub(crate) seen: Seen,
    /// How it goes on.
    pub(crate) kind: Kind,
    /// Why.
    pub(crate) trace: Arc<Trace>,
    /// What the recipe that chose, or else the one whose boundaries bind, has found: its name and
    /// its findings.
    pub(crate) report: Option<(Arc<str>, SignalReport)>,
    /// The model that the client named.
    pub(crate) requested_model: String,
    /// It asked for a stream.
    pub(crate) stream: bool,
    /// Turns of the model before this one.
    pub(crate) turn: u64,
    /// The name that the client gives the session.
    pub(crate) session: Option<String>,
    /// The response that it goes on from.
    pub(crate) previous_response: Option<String>,
    /// The conversation that the provider keeps.
    pub(crate) conversation: Option<String>,
    /// The authenticated user.
    pub(crate) caller: String,
    /// Its body.
    pub(crate) body: Option<Held>,
    /// How the body is read.
    pub(crate) read: Reading,
    /// Time that reading it took.
    pub(crate) parse: Duration,
    /// Time that deciding took.
    pub(crate) route: Duration,
}

/// How a body is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    /// The endpoint, where it is not that of conversations.
    pub(crate) service: Option<Service>,
    /// The request's `content-type`.
    pub(crate) content_type: String,
}

/// How a request goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To a model that the policy chose.
    Routed,
    /// To the model that the client named.
    PassedThrough,
    /// Merit answers.
    Answered,
    /// Merit refuses.
    Refused,
    /// Several models are asked.
    Ran,
}

/// How it ended, and what is known of the answer.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// When.
    pub(crate) at: SystemTime,
    /// How.
    pub(crate) end: End,
    /// The status that the client got; 0 while unknown.
    pub(crate) status: u16,
    /// What the answer used.
    pub(crate) usage: Option<Usage>,
    /// From sending the request to the first token, or to the first byte.
    pub(crate) first_token: Option<Duration>,
    /// From sending the request to the end.
    pub(crate) total: Option<Duration>,
    /// The answer was a stream.
    pub(crate) streamed: bool,
    /// Why parts of the answer could not be read.
    pub(crate) degraded: Vec<&'static str>,
    /// The model that answered, where it is not the one that was chosen at first.
    pub(crate) model: Option<Arc<str>>,
    /// What a run of several models came to.
    pub(crate) run: Option<Box<Run>>,
}

/// What a run of several models came to.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The trace once it was over.
    pub(crate) trace: Arc<Trace>,
    /// The models that were asked, in order.
    pub(crate) used: Vec<Arc<str>>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The answer went out as a whole.
    Complete,
    /// Merit refused, or failed to run models.
    Refused,
    /// A run of several models came to nothing.
    RunFailed,
    /// The answer, a stream that had begun well, said an error.
    FailedInStream,
    /// The backend broke off, or could not be reached.
    BrokenOff,
    /// The gateway turned the request down.
    TurnedDown,
    /// The stream was over before its end; by which side is not known.
    Cut,
    /// The client left before an answer.
    Canceled,
    /// The client left during the answer.
    ClientLeft,
    /// Nobody saw the end.
    Unseen,
}

impl Ended {
    /// Ends now, with nothing else known.
    pub(crate) fn of(end: End) -> Self {
        Self {
            at: SystemTime::now(),
            end,
            status: 0,
            usage: None,
            first_token: None,
            total: None,
            streamed: false,
            degraded: Vec::new(),
            model: None,
            run: None,
        }
    }

    /// Ends now, with a status.
    pub(crate) fn with_status(end: End, status: u16) -> Self {
        Self {
            status,
            ..Self::of(end)
        }
    }

    /// Joins what was known before with this end.
    pub(super) fn completing(self, earlier: Self) -> Self {
        let mut degraded = earlier.degraded;
        degraded.extend(self.degraded);
        Self {
            status: if self.status == 0 {
                earlier.status
            } else {
                self.status
            },
            usage: self.usage.or(earlier.usage),
            first_token: earlier.first_token.or(self.first_token),
            total: self.total.or(earlier.total),
            streamed: self.streamed || earlier.streamed,
            degraded,
            model: self.model.or(earlier.model),
            run: self.run.or(earlier.run),
            ..self
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Begin(_) => "Begin",
            Self::Unplanned(..) => "Unplanned",
            Self::Part(..) => "Part",
            Self::End(..) => "End",
            Self::Logged(..) => "Logged",
            Self::Attempted(..) => "Attempted",
            Self::Flush(_) => "Flush",
        })
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "Seen({:032x})", self.id)
    }
}
