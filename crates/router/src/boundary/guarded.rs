//! Questions that would carry a request's text to a place that a boundary forbids are not sent.

use super::Verdict;
use futures_util::future::BoxFuture;
use inference::ask::{Ask, Failure, Outcome, Question, What};
use inference::handle::Cost;
use std::time::Instant;

/// Asks within the boundaries that hold: a question over the network whose service is not allowed
/// fails as [`Failure::Forbidden`], all others are passed on.
pub struct Guarded<'a> {
    models: &'a dyn Ask,
    verdict: Verdict,
}

impl<'a> Guarded<'a> {
    /// Asks `models` within `verdict`.
    #[must_use]
    pub fn new(models: &'a dyn Ask, verdict: Verdict) -> Self {
        Self { models, verdict }
    }

    /// Asks where no boundary is known to hold yet.
    #[must_use]
    pub fn free(models: &'a dyn Ask) -> Self {
        Self::new(models, Verdict::default())
    }

    /// Returns an asker of the same models that is bound by `verdict` too.
    #[must_use]
    pub fn within(&self, verdict: Verdict) -> Self {
        Self {
            models: self.models,
            verdict: self.verdict.clone().and(verdict),
        }
    }

    fn may_ask(&self, question: &Question) -> bool {
        match &question.what {
            What::Vector(by) => by.cost != Cost::Remote || self.verdict.sees_encoder(),
            What::Labels(by, _) => by.cost != Cost::Remote || self.verdict.sees_external(&by.name),
            What::Entities(by) => by.cost != Cost::Remote,
        }
    }

    async fn ask_some(&self, questions: &[Question], deadline: Instant) -> Vec<Outcome> {
        let sent: Vec<Question> = questions
            .iter()
            .filter(|question| self.may_ask(question))
            .cloned()
            .collect();
        let answers = if sent.is_empty() {
            Vec::new()
        } else {
            self.models.ask(&sent, deadline).await
        };

        let mut answers = answers.into_iter();
        let answer = |question: &Question| {
            if !self.may_ask(question) {
                return Err(Failure::Forbidden);
            }
            answers
                .next()
                .unwrap_or_else(|| Err(Failure::Failed("an answer is missing".into())))
        };
        questions.iter().map(answer).collect()
    }
}

impl Ask for Guarded<'_> {
    fn ask<'a>(
        &'a self,
        questions: &'a [Question],
        deadline: Instant,
    ) -> BoxFuture<'a, Vec<Outcome>> {
        if self.verdict.is_free() || questions.iter().all(|question| self.may_ask(question)) {
            return self.models.ask(questions, deadline);
        }
        Box::pin(self.ask_some(questions, deadline))
    }
}
