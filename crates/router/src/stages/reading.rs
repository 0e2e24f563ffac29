//! What a request is: signals, projections, the decision that wins, the boundaries that hold.
//!
//! One function reads for everyone: requests, the calls of runs and `/api/v1/eval`. They differ in
//! the `Scope` only.

use crate::boundary::{Guarded, Verdict};
use crate::recipe::{Evaluation, Extent, Recipe, Route};
use dialects::Prompt;
use futures_util::future::{BoxFuture, try_join_all};
use inference::ask::{Ask, Failure, Outcome, Question};
use selection::capability::Demand;
use signals::decision::Decided;
use signals::families::{Identity, SignalError, SignalInput, TokenRatio};
use signals::report::{Key, Kind, SignalReport};
use signals::rules::OnUnknown;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Texts of a list that are read at a time.
const AT_ONCE: usize = 16;

/// What is to be read.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'g> {
    /// The recipe that chooses; `None` where the client names a model, which only the document's
    /// own boundaries bind.
    pub(crate) recipe: Option<&'g Recipe>,
    /// How much of it. [`Extent::Bounding`] asks for no decision.
    pub(crate) extent: Extent<'g>,
    /// Only decisions of this algorithm compete.
    pub(crate) only: Option<&'g str>,
}

/// What is read, and by what.
pub(crate) struct Subject<'a> {
    /// The request.
    pub(crate) prompt: &'a Prompt,
    /// The caller; `None` on eval, which has no headers.
    pub(crate) identity: Option<&'a Identity>,
    /// Answers the questions of learned signals.
    pub(crate) models: &'a dyn Ask,
    /// Until when they may be waited for.
    pub(crate) deadline: Instant,
}

/// What was read.
#[derive(Default)]
pub struct Reading<'g> {
    /// Found for the document's boundaries, where the recipe that chooses does not have them: for
    /// concrete model names and other recipes.
    pub outer: Option<RecipeReading<'g>>,
    /// Found by the recipe that chooses.
    pub own: Option<RecipeReading<'g>>,
    /// All boundaries that hold.
    pub verdict: Verdict,
    /// What could not be read, `signal=reason`, each once.
    pub degraded: Vec<Arc<str>>,
    /// What the request needs of a model.
    pub demand: Demand,
    /// What fails the request, as a signal that it relies on failed: the name of a decision, or of
    /// a composed rule.
    pub unresolved: Option<Arc<str>>,
    /// Another decision, to which a further request of a batch leads; empty if it leads to none.
    pub(crate) other_decision: Option<Arc<str>>,
}

/// What one recipe found.
pub struct RecipeReading<'g> {
    /// The recipe.
    pub recipe: &'g Recipe,
    /// Its signals.
    pub report: SignalReport,
    /// Its boundaries that hold.
    pub verdict: Verdict,
    /// The winning decision.
    pub decided: Option<Decided>,
    /// Decisions that a failure leaves open, each with what that means.
    pub unknown: Vec<(usize, OnUnknown)>,
    /// Time that deciding took; `None` where no decision was asked.
    pub decision_time: Option<Duration>,
}

/// A signal refuses the request.
pub(crate) struct Unread<'g> {
    /// Why.
    pub(crate) error: SignalError,
    /// What was known by then; without findings, as they are not complete.
    pub(crate) reading: Reading<'g>,
}

/// Reads a request: the document's boundaries first, then the recipe within what they allow.
///
/// # Errors
/// A signal refuses the request.
pub(crate) async fn read<'g>(
    recipes: &'g [Recipe],
    ratio: &TokenRatio,
    scope: Scope<'g>,
    subject: &Subject<'_>,
) -> Result<Reading<'g>, Unread<'g>> {
    let input = SignalInput::new(subject.prompt, subject.identity).until(subject.deadline);
    let mut reading = Reading {
        demand: Demand::of(subject.prompt, ratio),
        ..Reading::default()
    };

    // The first recipe is the document's own: its boundaries bind every other one, too.
    let is_own = |outer: &&Recipe| scope.recipe.is_some_and(|own| std::ptr::eq(own, *outer));
    let outer = recipes.first().filter(|outer| !is_own(outer));
    if let Some(outer) = outer.filter(|outer| !outer.boundaries.is_empty()) {
        let models = Guarded::free(subject.models);
        let found = outer
            .read(&input, Extent::Bounding, &models, subject.deadline)
            .await
            .map_err(|error| reading.stopped(error))?;
        reading.add(&found);
        reading.outer = Some(RecipeReading::of(outer, found));
        let each = reading.bind_each(outer, subject).await;
        each.map_err(|error| reading.stopped(error))?;
    }

    let bounds_only = scope.extent == Extent::Bounding;
    let asks = |own: &&Recipe| !bounds_only || !own.boundaries.is_empty();
    if let Some(own) = scope.recipe.filter(asks) {
        let models = Guarded::new(subject.models, reading.verdict.clone());
        let found = own
            .read(&input, scope.extent, &models, subject.deadline)
            .await
            .map_err(|error| reading.stopped(error))?;
        reading.add(&found);
        let findings = RecipeReading::of(own, found);
        reading.own = Some(if bounds_only {
            findings
        } else {
            let findings = findings.decide(scope.only);
            reading.unresolved = findings.unresolved();
            findings
        });
        let each = reading.bind_each(own, subject).await;
        each.map_err(|error| reading.stopped(error))?;
    }
    Ok(reading)
}

/// Reads a request and those that come with it, each for itself: what holds for one holds for all.
///
/// # Errors
/// A signal refuses one of them.
pub(crate) async fn read_all<'g>(
    recipes: &'g [Recipe],
    ratio: &TokenRatio,
    scope: Scope<'g>,
    subject: &Subject<'_>,
    more: &[Prompt],
) -> Result<Reading<'g>, Unread<'g>> {
    let mut reading = read(recipes, ratio, scope, subject).await?;
    for prompt in more {
        let subject = Subject { prompt, ..*subject };
        let other = read(recipes, ratio, scope, &subject).await?;
        reading.join(other);
    }
    Ok(reading)
}

impl<'g> Reading<'g> {
    /// Returns what each recipe found, the one that chooses first.
    pub fn recipes(&self) -> impl Iterator<Item = &RecipeReading<'g>> {
        self.own.iter().chain(&self.outer)
    }

    /// Returns the winning decision.
    #[must_use]
    pub fn decided(&self) -> Option<(Decided, &'g Route)> {
        let own = self.own.as_ref()?;
        let decided = own.decided?;
        Some((decided, own.recipe.routes.get(decided.index)?))
    }

    /// Tells whether the decision, or one that a failure leaves open and that fails the request, takes
    /// requests away from the model that they name.
    pub(crate) fn is_diverted(&self) -> bool {
        let Some(own) = &self.own else {
            return false;
        };
        let mut routes = own.recipe.routes.iter();
        match &self.unresolved {
            Some(name) => routes.any(|it| it.name == *name && it.destination.is_some()),
            None => {
                let decided = self.decided();
                decided.is_some_and(|(_, route)| route.destination.is_some())
            }
        }
    }

    /// Leaves the request to the model that it names: boundaries alone bind it.
    pub(crate) fn forget_decision(&mut self) {
        self.unresolved = None;
        if let Some(own) = &mut self.own {
            own.decided = None;
            own.decision_time = None;
            own.unknown.clear();
        }
    }

    /// Reads the texts of a list once more, each by itself, for a recipe's boundaries: read together,
    /// the few texts of one kind drown among the others. Nothing is certain of those that are not
    /// read by the deadline.
    async fn bind_each(
        &mut self,
        recipe: &Recipe,
        subject: &Subject<'_>,
    ) -> Result<(), SignalError> {
        let texts = subject.prompt.texts.listed();
        for texts in texts.chunks(AT_ONCE) {
            if recipe.boundaries.all_hold(&self.verdict) {
                return Ok(());
            }
            // One text that comes too late stands for all others that do.
            let is_late = Instant::now() >= subject.deadline;
            let texts = texts.get(..1).filter(|_| is_late).unwrap_or(texts);
            let asked: &dyn Ask = if is_late { &TooLate } else { subject.models };
            let models = Guarded::new(asked, self.verdict.clone());
            let prompts: Vec<Prompt> = texts
                .iter()
                .map(|text| subject.prompt.with_text(text))
                .collect();
            let read = prompts.iter().map(|prompt| async {
                let deadline = subject.deadline;
                let input = SignalInput::new(prompt, subject.identity).until(deadline);
                recipe
                    .read(&input, Extent::Bounding, &models, deadline)
                    .await
            });
            for found in try_join_all(read).await? {
                self.add(&found);
            }
            if is_late {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Adds what a recipe found to what holds for the request.
    fn add(&mut self, found: &Evaluation) {
        self.verdict = std::mem::take(&mut self.verdict).and(found.verdict.clone());
        for (kind, reason) in found.report.degraded() {
            let degraded: Arc<str> = format!("{}={reason}", kind.as_str()).into();
            if !self.degraded.contains(&degraded) {
                self.degraded.push(degraded);
            }
        }
    }

    /// Adds what another request of the same batch came to.
    fn join(&mut self, other: Self) {
        let name = |reading: &Self| {
            let decided = reading.decided();
            decided.map_or_else(Arc::default, |(_, route)| Arc::clone(&route.name))
        };
        let (own, others) = (name(self), name(&other));
        if own != others {
            self.other_decision = Some(others);
        }
        self.verdict = std::mem::take(&mut self.verdict).and(other.verdict);
        self.unresolved = self.unresolved.take().or(other.unresolved);
        self.demand = self.demand.or(other.demand);
        for degraded in other.degraded {
            if !self.degraded.contains(&degraded) {
                self.degraded.push(degraded);
            }
        }
    }

    fn stopped(&self, error: SignalError) -> Unread<'g> {
        let reading = Reading {
            verdict: self.verdict.clone(),
            degraded: self.degraded.clone(),
            demand: self.demand,
            ..Reading::default()
        };
        Unread { error, reading }
    }
}

/// Answers no question any more.
struct TooLate;

impl Ask for TooLate {
    fn ask<'a>(
        &'a self,
        questions: &'a [Question],
        _deadline: Instant,
    ) -> BoxFuture<'a, Vec<Outcome>> {
        let late = questions.iter().map(|_| Err(Failure::TimedOut)).collect();
        Box::pin(std::future::ready(late))
    }
}

impl<'g> RecipeReading<'g> {
    fn of(recipe: &'g Recipe, found: Evaluation) -> Self {
        Self {
            recipe,
            report: found.report,
            verdict: found.verdict,
            unknown: found.unknown,
            decided: None,
            decision_time: None,
        }
    }

    fn decide(mut self, only: Option<&str>) -> Self {
        let started = Instant::now();
        let recipe = self.recipe;
        let decided = recipe.decide(&self.report, only);
        self.unknown
            .retain(|(index, _)| recipe.is_asked(*index, only));
        Self {
            decided,
            decision_time: Some(started.elapsed()),
            ..self
        }
    }

    /// Returns what fails the request: the first decision that says so of a failure, or a composed
    /// rule that does.
    fn unresolved(&self) -> Option<Arc<str>> {
        let mut unknown = self.unknown.iter();
        let decision = unknown.find(|(_, policy)| *policy == OnUnknown::FailRequest);
        if let Some((index, _)) = decision {
            return Some(Arc::clone(&self.recipe.routes.get(*index)?.name));
        }
        let key = self.report.unresolved()?;
        let keys = &self.recipe.keys;
        Some(format!("{}:{}", keys.kind(key).as_str(), keys.name(key)).into())
    }

    /// Returns the decisions that a failure leaves open, by name, each with what that means.
    pub fn applied_unknown(&self) -> impl Iterator<Item = (&Arc<str>, OnUnknown)> {
        let routes = &self.recipe.routes;
        let unknown = self.unknown.iter();
        unknown.filter_map(move |(index, policy)| Some((&routes.get(*index)?.name, *policy)))
    }

    /// Returns the names of what matched, by family.
    pub(crate) fn matched(&self) -> Vec<(Kind, Arc<str>)> {
        let keys = &self.recipe.keys;
        let named = |key: Key| (keys.kind(key), Arc::from(keys.name(key)));
        self.report.matches().map(named).collect()
    }

    /// Returns the category by which the winning decision's domain rules name the request.
    pub(crate) fn category(&self) -> Option<&str> {
        self.recipe
            .decisions
            .category(self.decided?.index, &self.report)
    }
}

impl Recipe {
    /// Returns the winning decision, among those of one algorithm if a name asked for it.
    #[must_use]
    pub fn decide(&self, report: &SignalReport, only: Option<&str>) -> Option<Decided> {
        self.decisions
            .decide_among(report, |index| self.is_asked(index, only))
    }

    /// Tells whether a decision takes part where only those with one algorithm do.
    pub(crate) fn is_asked(&self, index: usize, only: Option<&str>) -> bool {
        only.is_none_or(|algorithm| self.routes[index].algorithm == algorithm)
    }
}
