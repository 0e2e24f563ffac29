//! A request whose decision asks several models: whether it can be run here and now, and the answer
//! of a run.

use super::response::count_dropped;
use super::route::{Planned, Ready, forward, surface, turn_down};
use super::{Head, immediate, noted};
use crate::looper::{self, Caller, Looper, Place};
use crate::metrics::Metrics;
use crate::recording::{End, Ended, Run};
use bytes::Bytes;
use dialects::{Dialect, Usage};
use router::escalation::answer::Answer;
use router::escalation::confidence::RUN_AT_LEAST_MS;
use router::escalation::reply::Reply;
use router::escalation::run::{Fault, Finished, Verdict};
use router::plan::surface::{ReplyHeader, ResponsePath};
use router::plan::{RunOutcome, Trace};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time for the answer to be made once a run is over.
const ENDING: Duration = Duration::from_secs(2);
/// The algorithm's name.
const ALGORITHM: &str = "confidence";

/// A run that may begin.
pub(super) struct Running {
    head: Box<Head>,
    ready: Box<Ready>,
    principal: String,
    until: Instant,
    _place: Place,
}

/// What follows planning.
pub(super) enum SetOut {
    /// A run, for which the gateway has to wait.
    Wait(Box<Running>, Duration),
    /// The first candidate stands in.
    Go(Planned),
}

/// Begins a run, or says why the first candidate serves the request. `deadline` is that of the
/// exchange.
pub(super) fn set_out(
    head: Box<Head>,
    ready: Box<Ready>,
    looper: &Looper,
    metrics: &Metrics,
    deadline: Option<Instant>,
) -> SetOut {
    let limit = head.serving.router.settings.runs.limits.max_runs;
    let principal = looper::principal(&ready.identity).ok_or("principal_too_long");
    let begun = obstacle(&head, &ready, deadline)
        .map_or(principal, Err)
        .and_then(|principal| {
            let place = looper.enter(limit).ok_or("busy")?;
            Ok((principal, place))
        });
    match begun {
        Ok((principal, place)) => {
            let hurry = deadline.filter(|_| !head.request.unhurried);
            let until = looper::last(
                &head.serving.router.settings.runs,
                hurry.and_then(|at| at.checked_sub(super::PLANNING)),
            );
            let longest = hurry
                .unwrap_or(until + ENDING)
                .saturating_duration_since(Instant::now());
            SetOut::Wait(
                Box::new(Running {
                    head,
                    ready,
                    principal,
                    until,
                    _place: place,
                }),
                longest,
            )
        }
        Err(reason) => SetOut::Go(stand_in(&head, *ready, reason, metrics)),
    }
}

/// What keeps a request from being run.
fn obstacle(head: &Head, ready: &Ready, deadline: Option<Instant>) -> Option<&'static str> {
    if head.dialect != Dialect::OpenAiChat {
        return Some("chat_only");
    }
    let several = ready
        .request
        .member("n")
        .and_then(|raw| raw.trim().parse::<u64>().ok())
        .is_some_and(|n| n > 1);
    if several {
        return Some("several_choices");
    }
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let short =
        left.is_none_or(|left| left + super::PLANNING < Duration::from_millis(RUN_AT_LEAST_MS));
    (!head.request.unhurried && short).then_some("no_time")
}

/// The first candidate serves the request, visibly.
fn stand_in(head: &Head, ready: Ready, reason: &'static str, metrics: &Metrics) -> Planned {
    let otherwise = &ready.escalation.otherwise;
    let trace = ready
        .trace
        .after_run(RunOutcome::NotRun { reason, otherwise });
    if let Some(entry) = &head.entry {
        let run = Run {
            trace: Arc::new(trace.clone()),
            used: Vec::new(),
        };
        entry.part(Ended {
            run: Some(Box::new(run)),
            ..Ended::of(End::Unseen)
        });
    }
    metrics.signals.degrade("looper", reason);
    metrics.looper.ended(reason);
    count_dropped(otherwise, metrics);
    head.serving.meters.forwarded(metrics, &trace);
    forward(
        head,
        &ready.request,
        otherwise,
        &trace,
        ready.debug,
        metrics,
    )
}

impl Running {
    /// The wire, for faults meanwhile.
    pub(super) fn dialect(&self) -> Dialect {
        self.head.dialect
    }

    /// Runs to the end.
    pub(super) async fn run(self, looper: &Looper, metrics: &Arc<Metrics>) -> Planned {
        let began = Instant::now();
        let ending = Ending {
            metrics,
            told: false,
        };
        let trace = &self.ready.trace;
        let caller = Caller {
            head: &self.head.request,
            trace: self.head.span.edits(),
            request: &self.ready.request,
            principal: self.principal.clone(),
            recipe: trace.recipe.as_deref().unwrap_or_default(),
            decision: trace.decision.as_deref().unwrap_or_default(),
            settings: &self.head.serving.router.settings,
            secret: &self.head.serving.router.secret,
        };
        let finished = looper
            .run(&caller, &self.ready.escalation, metrics, self.until)
            .await;
        drop(caller);
        let took = began.elapsed();
        metrics.looper.spent(
            finished.usage.prompt_tokens,
            finished.usage.completion_tokens,
            took,
        );
        self.tell(finished, took, ending)
    }

    fn tell(self, finished: Finished, took: Duration, mut ending: Ending<'_>) -> Planned {
        let Finished {
            outcome,
            usage,
            iterations,
            used,
        } = finished;
        let metrics = ending.metrics;
        let told = match outcome {
            Ok((candidate, answer, verdict)) => {
                ending.tell(verdict.as_str());
                let counts = Counts {
                    usage,
                    iterations,
                    used,
                    took,
                };
                self.answer(candidate, &answer, verdict, &counts, metrics)
            }
            Err((_, Fault::Unreachable)) => {
                ending.told = true;
                return stand_in(&self.head, *self.ready, "unreachable", metrics);
            }
            Err((candidate, fault)) => {
                ending.tell(fault.as_str());
                let model = candidate.map_or("", |candidate| {
                    self.ready.escalation.cascade.name(candidate)
                });
                metrics.refused(model, "run_failed");
                let (status, message) = fault.told(model);
                if let Some(entry) = &self.head.entry {
                    entry.end(Ended::with_status(End::RunFailed, status));
                }
                turn_down(&self.head, status, &message)
            }
        };
        Planned::Respond(told)
    }

    fn answer(
        self,
        candidate: usize,
        answer: &Answer,
        verdict: Verdict,
        counts: &Counts,
        metrics: &Metrics,
    ) -> extproc::Immediate {
        let Ready {
            request,
            trace,
            escalation,
            debug,
            ..
        } = *self.ready;
        let model = escalation.cascade.name(candidate);
        let trace = trace.after_run(RunOutcome::Answered {
            model: model.into(),
            algorithm: ALGORITHM,
            degraded: verdict.degraded(),
        });
        if let Some(reason) = verdict.degraded() {
            metrics.signals.degrade("looper", reason);
        }
        metrics.selected(&trace);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        let asked = request.prompt().model.as_str();
        let restores = self.head.serving.router.settings.restore_model;
        let reply = Reply {
            model: if restores { asked } else { model },
            answer,
            usage: counts.usage,
            logprobs: request.member("logprobs") == Some("true"),
            unix_nanos: u64::try_from(now).unwrap_or(u64::MAX),
        };
        let stream = request.prompt().stream;
        let body: Vec<Bytes> = if stream {
            reply
                .events(wants_usage(&request))
                .into_iter()
                .map(Bytes::from)
                .collect()
        } else {
            vec![reply.whole().into()]
        };
        let mut headers = surface(&trace, ResponsePath::Looper, debug);
        let used: Vec<&str> = counts
            .used
            .iter()
            .map(|&index| escalation.cascade.name(index))
            .collect();
        headers.extend(counts.headers(model, &used.join(",")));
        headers.extend(noted::id(&self.head, &trace));
        record(&self.head, trace, &used, counts);
        immediate::run(stream, body, &headers)
    }
}

/// Tells the request's record what its run came to.
fn record(head: &Head, trace: Trace, used: &[&str], counts: &Counts) {
    let Some(entry) = &head.entry else { return };
    let run = Run {
        trace: Arc::new(trace),
        used: used.iter().map(|&model| model.into()).collect(),
    };
    entry.end(Ended {
        usage: Some(Usage {
            prompt: counts.usage.prompt_tokens,
            completion: counts.usage.completion_tokens,
            ..Usage::default()
        }),
        total: Some(counts.took),
        run: Some(Box::new(run)),
        ..Ended::with_status(End::Complete, 200)
    });
}

/// The client asked for the last chunk of a stream to tell the usage.
fn wants_usage(request: &dialects::Request) -> bool {
    let options = request
        .member("stream_options")
        .and_then(|raw| serde_json::from_str::<serde_json::Value>(raw).ok());
    options.is_some_and(|options| options["include_usage"] == true)
}

/// What a run took.
struct Counts {
    usage: router::escalation::answer::Usage,
    iterations: u32,
    used: Vec<usize>,
    took: Duration,
}

impl Counts {
    fn headers(&self, model: &str, used: &str) -> [ReplyHeader; 8] {
        [
            ("x-vsr-looper-model", model.to_owned()),
            ("x-vsr-looper-models-used", used.to_owned()),
            ("x-vsr-looper-iterations", self.iterations.to_string()),
            ("x-vsr-looper-algorithm", ALGORITHM.to_owned()),
            ("x-vsr-looper-latency-ms", self.took.as_millis().to_string()),
            (
                "x-vsr-looper-prompt-tokens",
                self.usage.prompt_tokens.to_string(),
            ),
            (
                "x-vsr-looper-completion-tokens",
                self.usage.completion_tokens.to_string(),
            ),
            (
                "x-vsr-looper-total-tokens",
                self.usage.total_tokens.to_string(),
            ),
        ]
    }
}

/// Counts a run once, also when its client leaves and nobody asks for the end.
struct Ending<'a> {
    metrics: &'a Metrics,
    told: bool,
}

impl Ending<'_> {
    fn tell(&mut self, outcome: &'static str) {
        self.told = true;
        self.metrics.looper.ended(outcome);
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.metrics.looper.ended("cancelled");
        }
    }
}
