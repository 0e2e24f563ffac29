//! Reading facts out of a request: one family, one file, one line in [`build`].
//!
//! A signal family holds all its compiled rules, so that keyword sets and patterns compile once. It
//! writes matches, confidences and values into the [`SignalReport`]; it never knows who reads them.

mod authz;
mod context;
mod conversation;
mod event;
mod keyword;
pub mod language;
pub mod learned;
mod letters;
mod metadata;
mod pattern;
mod structure;
mod window;
mod words;

use crate::config::signals::{NumericPredicate, Signals};
use crate::report::{Keys, Kind, SignalReport};
pub use context::{TokenRatio, estimate};
use dialects::Prompt;
use inference::ask::{Question, What};
use inference::catalog::{Bare, Catalog};
use language::DetectLanguage;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

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

/// Compiles every configured family, in the order of [`Kind`].
///
/// # Errors
/// All problems at once: the path in the document and what is wrong there.
pub fn build(
    signals: &Signals,
    keys: &mut Keys,
    deps: &Deps<'_>,
) -> Result<Vec<Box<dyn Signal>>, Vec<Problem>> {
    let mut problems = Vec::new();
    let families = [
        keyword::build(&signals.keywords, keys, &mut problems),
        language::build(&signals.language, keys, &deps.language),
        context::build(&signals.context, keys, &deps.token_ratio, &mut problems),
        structure::build(&signals.structure, keys, &mut problems),
        authz::build(&signals.role_bindings, keys, deps, &mut problems),
        conversation::build(&signals.conversation, keys, &mut problems),
        event::build(&signals.events, keys, &mut problems),
        metadata::build(&signals.metadata, keys, &mut problems),
    ];
    if problems.is_empty() {
        Ok(families.into_iter().flatten().collect())
    } else {
        Err(problems)
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

/// Something wrong in a document, found after it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path in the document, for example `routing.signals.keywords[3].operator`.
    pub path: String,
    /// What is wrong and what would be right, for people.
    pub message: String,
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

/// Bounds must leave some number, and say each side once.
fn check_predicate(path: &str, predicate: Option<NumericPredicate>, problems: &mut Vec<Problem>) {
    let Some(NumericPredicate { gt, gte, lt, lte }) = predicate else {
        return;
    };
    let bounds = [gt, gte, lt, lte];
    let strict = gt.is_some() || lt.is_some();
    let message = if bounds.iter().all(Option::is_none) {
        "needs at least one of gt, gte, lt, lte"
    } else if bounds.iter().flatten().any(|bound| !bound.is_finite()) {
        "bounds must be finite numbers"
    } else if (gt.is_some() && gte.is_some()) || (lt.is_some() && lte.is_some()) {
        "takes one lower and one upper bound at most"
    } else {
        match (gt.or(gte), lt.or(lte)) {
            (Some(lower), Some(upper)) if lower > upper || (strict && lower >= upper) => {
                "leaves no number between"
            }
            _ => return,
        }
    };
    problems.push(Problem {
        path: format!("{path}.predicate"),
        message: message.into(),
    });
}

#[cfg(test)]
mod tests;
