//! One run of a cascade, as a machine without I/O: it says which call comes next, and takes what
//! the call came to.
//!
//! ```text
//! next() → ask a candidate → take() → judged: accepted? done : next candidate
//!                                   ↘ to be graded: next() → grade → take() ↗
//! ```
//!
//! The answer is the first accepted one, else the last that could be judged, else the last that
//! could not. Nothing that was obtained is thrown away while there is nothing better, and the reply
//! says when it had to be taken.

use super::Cascade;
use super::answer::{Answer, Usage};
use super::budget::{Allowance, Budget, Exhausted, Limits};
use super::verify;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// A run.
#[derive(Debug, Clone)]
pub struct Run {
    cascade: Arc<Cascade>,
    queue: VecDeque<usize>,
    budget: Budget,
    /// Tokens of the prompt, as estimated.
    prompt: u64,
    /// Further attempts after a passing fault, for each call.
    retries: u32,
    doing: Option<Doing>,
    graded: Option<(usize, Answer)>,
    judged: Option<(usize, Answer)>,
    unjudged: Option<(usize, Answer)>,
    fault: Option<(Option<usize>, Fault)>,
    verdict: Option<Verdict>,
    used: Vec<usize>,
    iterations: u32,
}

/// The call that is being made, and what it may still cost in attempts.
#[derive(Debug, Clone, Copy)]
struct Doing {
    candidate: usize,
    retries: u32,
    again: bool,
}

/// A call to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Index of the candidate to ask.
    pub candidate: usize,
    /// The answer to be graded; `None` asks the client's own question.
    pub grade: Option<String>,
    /// Number of the call, from 1; attempts after a passing fault share it.
    pub iteration: u32,
    /// It was tried before: wait a little.
    pub again: bool,
    /// What it may take.
    pub allowance: Allowance,
}

/// Why a call brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens at the endpoint.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The model, or the gateway in its place, said no.
    Status {
        /// HTTP status.
        status: u16,
        /// What it said, where it can be read.
        message: Option<String>,
    },
    /// Longer than allowed.
    TooLarge,
    /// No chat completion, or one that says nothing.
    Malformed,
    /// It cannot be told how good the answer is.
    Unjudged,
    /// The run's budget is spent.
    Exhausted(Exhausted),
}

impl Fault {
    /// The fault's name in metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timeout",
            Self::Status { .. } => "status",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Unjudged => "unjudged",
            Self::Exhausted(what) => what.as_str(),
        }
    }

    /// What the client is told where nothing better was obtained: a status that is true, and words.
    #[must_use]
    pub fn told(&self, model: &str) -> (u16, String) {
        match self {
            Self::Unreachable => (
                502,
                "the models of this decision cannot be reached".to_owned(),
            ),
            Self::TimedOut => (504, format!("model \"{model}\" did not answer in time")),
            // What is no error is none that a client could be told.
            Self::Status { status, message } => {
                let answered = || format!("model \"{model}\" answered with status {status}");
                (
                    if *status < 400 { 502 } else { *status },
                    message.clone().unwrap_or_else(answered),
                )
            }
            Self::TooLarge => (
                502,
                format!("the answer of model \"{model}\" is larger than allowed"),
            ),
            Self::Malformed => (502, format!("model \"{model}\" gave no usable answer")),
            Self::Unjudged => (
                502,
                format!(
                    "the answer of model \"{model}\" cannot be judged: it has no probabilities"
                ),
            ),
            Self::Exhausted(Exhausted::Time) => (504, "no model answered in time".to_owned()),
            Self::Exhausted(what) => (
                503,
                format!(
                    "the budget of this request is spent ({}) and no model has answered",
                    what.as_str()
                ),
            ),
        }
    }

    /// Another attempt may go better.
    fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable => true,
            Self::Status { status, .. } => matches!(status, 429 | 502..=504),
            _ => false,
        }
    }
}

/// How an answer came to be the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Good enough.
    Accepted,
    /// None was; it is the last that was judged.
    BelowThreshold,
    /// None could be judged.
    Unjudged,
    /// The budget was spent before a better one could be asked for.
    Exhausted(Exhausted),
}

impl Verdict {
    /// The outcome's name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::BelowThreshold => "below_threshold",
            Self::Unjudged => "unjudged",
            Self::Exhausted(what) => what.as_str(),
        }
    }

    /// The run did not do its whole work: the reason.
    #[must_use]
    pub fn degraded(self) -> Option<&'static str> {
        match self {
            Self::Accepted | Self::BelowThreshold => None,
            Self::Unjudged | Self::Exhausted(_) => Some(self.as_str()),
        }
    }
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// The answer and its model's index, or the last fault and the candidate that made it.
    pub outcome: Result<(usize, Answer, Verdict), (Option<usize>, Fault)>,
    /// Tokens of every answer that was obtained.
    pub usage: Usage,
    /// Calls, failed ones and grades too.
    pub iterations: u32,
    /// Models whose answers were judged, in order.
    pub used: Vec<usize>,
}

impl Run {
    /// A run among the candidates that may be asked. `prompt` is the estimate of the prompt's
    /// tokens.
    #[must_use]
    pub fn new(cascade: &Arc<Cascade>, allowed: &[usize], limits: Limits, prompt: u64) -> Self {
        Self {
            queue: cascade.queue(allowed).into(),
            cascade: Arc::clone(cascade),
            budget: Budget::new(limits),
            prompt,
            retries: 0,
            doing: None,
            graded: None,
            judged: None,
            unjudged: None,
            fault: None,
            verdict: None,
            used: Vec::new(),
            iterations: 0,
        }
    }

    /// Tries a call so many times more where it fails for a passing reason. Attempts count as
    /// calls.
    #[must_use]
    pub fn with_retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// The call to make now; `None` when the run is over.
    pub fn next(&mut self, now: Instant) -> Option<Call> {
        if self.verdict.is_some() {
            return None;
        }
        let (candidate, again) = match (self.doing, &self.graded) {
            (Some(doing), _) => (doing.candidate, doing.again),
            (None, Some((candidate, _))) => (*candidate, false),
            (None, None) => (self.queue.pop_front()?, false),
        };
        let window = self
            .cascade
            .members
            .get(candidate)
            .and_then(|member| member.window);
        let room = window.map(|window| window.saturating_sub(self.prompt));
        let allowance = match self.budget.begin(room, now) {
            Ok(allowance) => allowance,
            Err(what) => {
                self.exhausted(what);
                return None;
            }
        };
        if !again {
            self.iterations += 1;
            self.doing = Some(Doing {
                candidate,
                retries: self.retries,
                again: false,
            });
        }
        let grade = self.graded.as_ref().map(|(_, answer)| answer.text.clone());
        Some(Call {
            candidate,
            grade,
            iteration: self.iterations,
            again,
            allowance,
        })
    }

    /// What the call came to, and the bytes that came.
    pub fn take(&mut self, came: Result<Answer, Fault>, bytes: u64) {
        let Some(doing) = self.doing.take() else {
            return;
        };
        self.budget.spend(
            came.as_ref().map(|answer| answer.usage).unwrap_or_default(),
            bytes,
        );
        if let Err(fault) = &came
            && fault.is_passing()
            && doing.retries > 0
        {
            self.doing = Some(Doing {
                retries: doing.retries - 1,
                again: true,
                ..doing
            });
            return;
        }
        match self.graded.take() {
            Some((candidate, answer)) => {
                let grade = came.ok().and_then(|grade| verify::grade(&grade.text));
                self.judge(candidate, answer, grade);
            }
            None => match came {
                Ok(answer) if answer.is_empty() => self.failed(doing.candidate, Fault::Malformed),
                Ok(answer) if !self.cascade.method.needs_logprobs() => {
                    self.graded = Some((doing.candidate, answer))
                }
                Ok(answer) => {
                    let confidence = self.cascade.method.confidence(&answer, self.cascade.filter);
                    self.judge(doing.candidate, answer, confidence);
                }
                Err(fault) => self.failed(doing.candidate, fault),
            },
        }
    }

    /// What it came to.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let verdict = self.verdict;
        let judged = self
            .judged
            .take()
            .map(|found| (found, verdict.unwrap_or(Verdict::BelowThreshold)));
        let unjudged = || {
            let verdict = verdict.unwrap_or(Verdict::Unjudged);
            self.unjudged.take().map(|found| (found, verdict))
        };
        let strict = self.cascade.strict && self.fault.is_some();
        let found = if strict {
            None
        } else {
            judged.or_else(unjudged)
        };
        let outcome = match found {
            Some(((candidate, answer), verdict)) => Ok((candidate, answer, verdict)),
            None => Err(self.fault.unwrap_or((None, Fault::Unreachable))),
        };
        Finished {
            outcome,
            usage: self.budget.usage(),
            iterations: self.iterations,
            used: self.used,
        }
    }

    /// Until when it may last.
    #[must_use]
    pub fn until(&self) -> Instant {
        self.budget.until()
    }

    fn judge(&mut self, candidate: usize, answer: Answer, confidence: Option<f64>) {
        let Some(confidence) = confidence else {
            self.unjudged = Some((candidate, answer));
            return self.failed(candidate, Fault::Unjudged);
        };
        if !self.used.contains(&candidate) {
            self.used.push(candidate);
        }
        self.judged = Some((candidate, answer));
        if confidence >= self.cascade.threshold {
            self.verdict = Some(Verdict::Accepted);
            self.fault = None;
        }
    }

    fn failed(&mut self, candidate: usize, fault: Fault) {
        self.fault = Some((Some(candidate), fault));
        if self.cascade.strict {
            self.queue.clear();
        }
    }

    fn exhausted(&mut self, what: Exhausted) {
        self.doing = None;
        self.verdict = Some(Verdict::Exhausted(what));
        if let Some(answer) = self.graded.take() {
            self.unjudged = Some(answer);
        }
        // An answer that was obtained comes first; a fault says more than the end of the budget.
        if !self.cascade.strict {
            self.fault.get_or_insert((None, Fault::Exhausted(what)));
        }
    }
}

#[cfg(test)]
mod tests;
