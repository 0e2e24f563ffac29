//! Reading facts out of a request: one family, one file.
//!
//! A family's file holds its rules as the document writes them, their checks and the compile step,
//! which is the only door that can fail, and their evaluation. A family holds all its compiled
//! rules, so that keyword sets and patterns compile once. It writes matches, confidences and values
//! into the [`SignalReport`]; it never knows who reads them.

pub mod authz;
mod beside;
pub mod context;
pub mod conversation;
pub mod event;
pub mod input_modality;
pub mod keyword;
pub mod language;
pub mod learned;
mod letters;
pub mod metadata;
pub mod not_run;
mod pattern;
pub mod safety;
mod section;
mod slices;
pub mod structure;
mod window;
mod words;

use crate::report::{Keys, Kind, SignalReport};
use crate::scope::Scope;
pub use beside::{Bounding, Watch, watched};
pub use context::{TokenRatio, estimate, prompt_estimate};
use dialects::Prompt;
use document::Findings;
use inference::ask::{Question, What};
use inference::catalog::{Bare, Catalog, LoadError};
use inference::handle::Embedder;
use language::DetectLanguage;
pub use section::Signals;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Nanoseconds per byte of families that count or compare.
const LIGHT: f64 = 5.0;

/// All rules of one family, compiled.
pub trait Signal: Send + Sync {
    /// The family.
    fn kind(&self) -> Kind;

    /// Evaluates every rule of the family against one request.
    ///
    /// Sets the family's metric but for its time, which is the caller's.
    ///
    /// # Errors
    /// Only where the semantics make failure visible (authz without identity); everything else is a
    /// match or none.
    fn evaluate(
        &self,
        input: &SignalInput<'_>,
        report: &mut SignalReport,
    ) -> Result<(), SignalError>;

    /// Nanoseconds that the family takes per byte of the user's turn, at most: what decides whether
    /// a request is read on a serving thread.
    #[must_use]
    fn pace(&self) -> f64 {
        LIGHT
    }

    /// Doubts those of the watched keys that would come out differently if the family read all words
    /// that belong to the user's turn. Called after [`evaluate`](Self::evaluate) where a boundary
    /// relies on the family; `watched` are the keys that it relies on. A family that reads no words
    /// of the turn says so by doubting nothing.
    ///
    /// # Errors
    /// As for [`evaluate`](Self::evaluate).
    fn doubt_unread(
        &self,
        input: &SignalInput<'_>,
        watched: &[Watch],
        report: &mut SignalReport,
    ) -> Result<(), SignalError>;
}

/// A failure that the request must hear of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// Role bindings are used, and nobody is authenticated: 403.
    #[error(
        "authz signal evaluation failed: authz signal: user identity header is empty: {header}"
    )]
    IdentityMissing {
        /// The configured header.
        header: String,
    },
}

/// Builds the signal of a family from its rules; `None` if no rule is in use.
type BuildSignal = fn(&mut Building<'_>) -> Option<Box<dyn Signal>>;

/// Compiles every configured family that needs no model. What is wrong with a rule is reported, and
/// the rule is left out.
pub fn build(
    scope: &Scope<'_>,
    keys: &mut Keys,
    deps: &Deps<'_>,
    findings: &mut Findings,
) -> Vec<Box<dyn Signal>> {
    let mut building = Building::new(scope, keys, deps, findings);
    let built = section::FAMILIES.iter().map(|family| family(&mut building));
    built.flatten().collect()
}

/// Reports everything that is wrong with the signals of a recipe and that can be found without
/// models.
pub fn check(scope: &Scope<'_>, deps: &Deps<'_>, findings: &mut Findings) {
    for kind in Kind::ALL {
        let list = scope.at(&format!("signals.{}", kind.section()));
        findings.names(&list, scope.signals.rules(kind));
    }
    build(scope, &mut Keys::default(), deps, findings);
    learned::check(scope, findings);
}

/// What compiling a family needs, and where it reports.
pub(crate) struct Building<'a> {
    pub(crate) scope: &'a Scope<'a>,
    pub(crate) keys: &'a mut Keys,
    pub(crate) deps: &'a Deps<'a>,
    pub(crate) findings: &'a mut Findings,
    /// The encoder of all signals, once it was looked for.
    encoder: Option<Result<Embedder, LoadError>>,
}

impl<'a> Building<'a> {
    pub(crate) fn new(
        scope: &'a Scope<'a>,
        keys: &'a mut Keys,
        deps: &'a Deps<'a>,
        findings: &'a mut Findings,
    ) -> Self {
        Self {
            scope,
            keys,
            deps,
            findings,
            encoder: None,
        }
    }
}

/// What the families need from outside the signals section.
#[derive(Clone)]
pub struct Deps<'a> {
    /// `authz.identity.user_id_header`, as the refusal names it.
    pub identity_header: String,
    /// `authz.fail_open`: without a user nobody has a role, and the request goes on.
    pub fail_open: bool,
    /// Bytes per token of ordinary text; shared by all generations.
    pub token_ratio: Arc<TokenRatio>,
    /// Tells languages apart; shared by all generations.
    pub language: Arc<dyn DetectLanguage>,
    /// Where the models of learned signals are found.
    pub catalog: &'a dyn Catalog,
    /// Some decision, projection or other part of the recipe reads this name; an empty name stands
    /// for any of the family.
    pub used: &'a dyn Fn(Kind, &str) -> bool,
}

impl Default for Deps<'_> {
    fn default() -> Self {
        Self {
            identity_header: "x-authz-user-id".into(),
            fail_open: false,
            token_ratio: Arc::default(),
            language: Arc::new(language::LanguageDetector::small()),
            catalog: &Bare,
            used: &|_, _| true,
        }
    }
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
    /// `None` where nothing is left out.
    window: OnceLock<Option<String>>,
    evaluation: OnceLock<Arc<str>>,
    lower: OnceLock<String>,
    /// When nobody waits for the result any more.
    until: Option<Instant>,
}

impl<'a> SignalInput<'a> {
    /// A view of one request.
    #[must_use]
    pub fn new(prompt: &'a Prompt, identity: Option<&'a Identity>) -> Self {
        Self {
            prompt,
            identity,
            window: OnceLock::new(),
            evaluation: OnceLock::new(),
            lower: OnceLock::new(),
            until: None,
        }
    }

    /// The same view of a request whose answer is waited for until `deadline`.
    #[must_use]
    pub fn until(self, deadline: Instant) -> Self {
        Self {
            until: Some(deadline),
            ..self
        }
    }

    /// Nobody waits any more: what was not read by now stays unread.
    pub fn is_late(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Creates a view of one request that leaves nothing out by sampling.
    fn whole(prompt: &'a Prompt) -> Self {
        Self {
            window: OnceLock::from(None),
            ..Self::new(prompt, None)
        }
    }

    /// The evaluation text, sampled to head, middle and tail beyond 2,048 scalar values. Made once,
    /// on demand.
    pub fn windowed(&self) -> &str {
        let whole = &self.prompt.texts.evaluation;
        let window = self.window.get_or_init(|| match window::window(whole) {
            Cow::Borrowed(_) => None,
            Cow::Owned(sampled) => Some(sampled),
        });
        window.as_ref().unwrap_or(whole)
    }

    /// [`windowed`](Self::windowed) leaves something out.
    fn is_sampled(&self) -> bool {
        self.windowed().len() != self.prompt.texts.evaluation.len()
    }

    /// The whole evaluation text in lower case. Made once, on demand.
    fn lower(&self) -> &str {
        self.lower
            .get_or_init(|| letters::lower_all(&self.prompt.texts.evaluation))
    }

    /// The whole evaluation text, shared: all questions about it are about one text. Made once, on
    /// demand.
    pub fn evaluation(&self) -> &Arc<str> {
        self.evaluation
            .get_or_init(|| self.prompt.texts.evaluation.as_str().into())
    }

    /// One question about the evaluation text; none if that is blank.
    fn ask(&self, what: What) -> Vec<Question> {
        let text = self.evaluation();
        if text.trim().is_empty() {
            Vec::new()
        } else {
            vec![Question::new(text.clone(), what)]
        }
    }
}

/// Says that a family was evaluated, and how sure it was.
fn ran(report: &mut SignalReport, kind: Kind, confidence: f64) {
    let metric = &mut report.families[kind as usize];
    metric.ran = true;
    metric.confidence = confidence;
}

#[cfg(test)]
mod tests;
