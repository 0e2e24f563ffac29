//! LLM traffic: one [`Exchange`] per HTTP request, from its headers to the end of its response.
//!
//! What an exchange knows is an enum by how far it has come. It pins one generation at the
//! request's headers and lets go of it as soon as it has planned: what the response's way needs is
//! in [`ResponsePlan`].

mod attempt;
pub(crate) mod forward;
mod identity;
mod immediate;
mod internal;
mod noted;
mod replayed;
mod response;
mod route;
mod run;
mod sent;
mod stored;
mod unknown;
mod work;

use crate::engine::Generation;
use crate::looper::Looper;
use crate::metrics::{Metrics, Observed};
use crate::recording::{End, Ended, Entry, Opened, Seen};
use crate::reload::{Live, Loaded};
use crate::telemetry::{ExchangeSpan, Tracing};
use async_trait::async_trait;
use bytes::Bytes;
use dialects::{Dialect, Endpoint, Service, Stored};
use extproc::{
    BodyReply, BodyStep, ChunkStep, Exchange, Exchanges, Fault, HeadStep, Immediate, RequestHead,
    ResponseHead, ResponseStep,
};
use response::Responding;
use router::plan::surface::ReplyHeader;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use stored::Passing;
use work::Work;

/// Time for planning once the models have answered, at most.
const PLANNING: Duration = Duration::from_millis(50);

/// Opens exchanges under the generation that is live.
pub(crate) struct LlmExchanges {
    live: Arc<Live<Generation>>,
    metrics: Arc<Metrics>,
    tracing: Tracing,
    work: Arc<Work>,
    looper: Arc<Looper>,
    told: Arc<unknown::Told>,
    recorded: Option<Opened>,
}

impl LlmExchanges {
    /// Exchanges of `live`, counted in `metrics`.
    #[must_use]
    pub(crate) fn new(
        live: Arc<Live<Generation>>,
        metrics: Arc<Metrics>,
        tracing: Tracing,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let looper = Arc::new(Looper::default());
        let running = Arc::clone(&looper);
        let help = "Runs of several models under way";
        metrics.observe("merit_looper_running", help, Observed::Gauge, move || {
            running.running()
        });
        Self {
            live,
            metrics,
            tracing,
            work: Arc::new(Work::new(cores)),
            looper,
            told: Arc::default(),
            recorded: None,
        }
    }

    /// The same, whose records go there.
    #[must_use]
    pub(crate) fn recorded(self, recorded: Option<Opened>) -> Self {
        Self { recorded, ..self }
    }
}

impl Exchanges for LlmExchanges {
    fn open(&self) -> Box<dyn Exchange> {
        Box::new(LlmExchange {
            live: self.live.clone(),
            metrics: self.metrics.clone(),
            tracing: self.tracing,
            work: self.work.clone(),
            looper: self.looper.clone(),
            told: self.told.clone(),
            recorded: self.recorded.clone(),
            entry: None,
            deadline: None,
            models_until: None,
            phase: Phase::Opened,
        })
    }
}

/// One exchange.
struct LlmExchange {
    live: Arc<Live<Generation>>,
    metrics: Arc<Metrics>,
    tracing: Tracing,
    /// Places for work on large bodies.
    work: Arc<Work>,
    looper: Arc<Looper>,
    /// Paths whose refusal is in the log.
    told: Arc<unknown::Told>,
    /// Where records begin, and where they are.
    recorded: Option<Opened>,
    /// The request's record, if its document keeps any.
    entry: Option<Arc<Entry>>,
    /// Of the decision that is asked for.
    deadline: Option<Instant>,
    /// Until when models may be waited for; the rest of the request's time is for planning.
    models_until: Option<Instant>,
    phase: Phase,
}

/// What an exchange knows, by how far it has come.
enum Phase {
    /// Nothing yet.
    Opened,
    /// The headers ask for inference; the body is on its way.
    AwaitsBody(Box<Head>),
    /// Merit does not read the path, and whether a body follows is not known yet.
    AwaitsEnd(Box<Unread>),
    /// The gateway tries another model; the body is on its way.
    AwaitsAttempt(Box<attempt::Attempting>),
    /// Several models are about to be asked.
    Running(Box<run::Running>),
    /// The request has gone on.
    Responding(Box<Responding>),
    /// The request has gone on unrouted; the answer is to tell where.
    Shown(Vec<ReplyHeader>),
    /// Nothing more is wanted, or Merit answered itself; the dialect remains for late faults.
    Done(Option<Dialect>),
}

/// What the request's headers said.
struct Head {
    serving: Arc<Loaded<Generation>>,
    dialect: Dialect,
    /// The endpoint, where it is not that of conversations.
    service: Option<Service>,
    request: RequestHead,
    span: ExchangeSpan,
    since: Instant,
    /// Its record.
    entry: Option<Arc<Entry>>,
}

/// A request on a path that is not read.
struct Unread {
    serving: Arc<Loaded<Generation>>,
    request: RequestHead,
    /// How it goes on if it has no body.
    passing: Passing,
}

#[async_trait]
impl Exchange for LlmExchange {
    async fn request_headers(&mut self, head: RequestHead) -> HeadStep {
        let serving = self.live.load();
        if head.attempt {
            return match attempt::open(serving, head) {
                Ok(attempting) => {
                    self.phase = Phase::AwaitsAttempt(Box::new(attempting));
                    HeadStep::NeedBody
                }
                Err(step) => step,
            };
        }
        let (Some(method), Some(path)) = (head.headers.get(":method"), head.headers.get(":path"))
        else {
            return HeadStep::Respond(self.turn_down(
                400,
                "the request's method or path cannot be read",
                &head,
            ));
        };
        if forward::skips(&serving, &head) {
            self.phase = Phase::Done(None);
            return HeadStep::Forward(forward::untouched(&serving, &head));
        }
        if let Some(rest) = replayed::asked(path) {
            let deadline = self.models_until.unwrap_or_else(Instant::now);
            let recorded = self.recorded.as_ref();
            let answer = replayed::own(&serving, &head, rest, recorded, deadline).await;
            return HeadStep::Respond(answer);
        }
        let (dialect, service) = match serving.router.settings.paths.endpoint(method, path) {
            Endpoint::Inference(dialect) => (dialect, None),
            Endpoint::Service(service) => (service.dialect(), Some(service)),
            Endpoint::Stored(stored) => return self.stored(stored, serving, head).await,
            other => return self.without_inference(other, serving, head),
        };
        let span = self.tracing.begin(&head.headers);
        let bodiless = head.end_of_stream;
        self.note(&serving, &head, Some(dialect));
        self.phase = Phase::AwaitsBody(Box::new(Head {
            serving,
            dialect,
            service,
            request: head,
            span,
            since: Instant::now(),
            entry: self.entry.clone(),
        }));
        if !bodiless {
            return HeadStep::NeedBody;
        }
        match self.request_body(Bytes::new()).await {
            BodyStep::Forward(reply) => HeadStep::Forward(reply),
            BodyStep::Respond(answer) => HeadStep::Respond(answer),
            // There is no run without a body.
            BodyStep::Wait(_) => HeadStep::Respond(self.fault(Fault::DeadlineExceeded)),
        }
    }

    async fn request_body(&mut self, body: Bytes) -> BodyStep {
        let phase = std::mem::replace(&mut self.phase, Phase::Done(None));
        let head = match phase {
            Phase::AwaitsBody(head) => head,
            Phase::AwaitsAttempt(attempting) => {
                let (length, metrics) = (body.len(), self.metrics.clone());
                let recorded = self.recorded.clone();
                let step = async move {
                    let recording = recorded.as_ref().map(|recorded| &*recorded.recording);
                    attempting.body(body, &metrics, recording)
                };
                return if Work::is_short(length, 0.0) {
                    step.await
                } else {
                    self.work.run(length, step).await
                };
            }
            Phase::AwaitsEnd(unread) if body.is_empty() => {
                let Passing { reply, shown } = unread.passing;
                self.phase = Phase::Shown(shown);
                return BodyStep::Forward(reply);
            }
            Phase::AwaitsEnd(unread) => {
                let Unread {
                    serving, request, ..
                } = *unread;
                return BodyStep::Respond(self.refuse_unread(unknown::BODY, &serving, &request));
            }
            phase => {
                self.phase = phase;
                return BodyStep::Forward(BodyReply::default());
            }
        };
        let dialect = head.dialect;
        self.phase = Phase::Done(Some(dialect));
        let metrics = self.metrics.clone();
        let limits = route::Limits {
            models: self.models_until.unwrap_or_else(Instant::now),
            plan: self.deadline,
        };
        let (length, pace) = (body.len(), head.serving.router.pace());
        let plan = async move {
            let planned = route::plan(&head, body, &metrics, head.serving.asker(), limits).await;
            (planned, head)
        };
        let (planned, head) = if Work::is_short(length, pace) {
            plan.await
        } else {
            self.work.run(length, plan).await
        };
        self.proceed(head, planned)
    }

    async fn later(&mut self) -> BodyStep {
        let phase = std::mem::replace(&mut self.phase, Phase::Done(None));
        let Phase::Running(running) = phase else {
            self.phase = phase;
            return BodyStep::Forward(BodyReply::default());
        };
        self.phase = Phase::Done(Some(running.dialect()));
        let (looper, metrics) = (self.looper.clone(), self.metrics.clone());
        match running.run(&looper, &metrics).await {
            route::Planned::Forward(reply, plan) => self.forward(*reply, plan),
            route::Planned::Respond(answer) => BodyStep::Respond(self.answered(answer)),
            // A run does not lead to another one.
            route::Planned::Run(_) => BodyStep::Respond(self.fault(Fault::DeadlineExceeded)),
        }
    }

    async fn response_headers(&mut self, head: ResponseHead) -> ResponseStep {
        match &mut self.phase {
            Phase::Responding(responding) => responding.headers(&head),
            Phase::Shown(shown) => ResponseStep {
                headers: stored::edits(shown),
                ..ResponseStep::default()
            },
            _ => ResponseStep::default(),
        }
    }

    fn response_chunk(&mut self, chunk: &Bytes, end: bool) -> ChunkStep {
        match &mut self.phase {
            Phase::Responding(responding) => responding.chunk(chunk, end),
            _ => ChunkStep::Unchanged,
        }
    }

    fn closed(&mut self) {
        if let Phase::Responding(responding) = &mut self.phase {
            responding.closed();
        }
    }

    fn deadline(&mut self, at: Instant) {
        self.deadline = Some(at);
        self.models_until = Some(models_until(Instant::now(), at));
    }

    fn fault(&mut self, fault: Fault) -> Immediate {
        // Of the response's way no fault is answered, so this one keeps the request from going out.
        if let Phase::Responding(responding) = &mut self.phase {
            responding.withdraw();
        }
        let (dialect, request) = match &self.phase {
            Phase::AwaitsBody(head) => (Some(head.dialect), Some(&head.request)),
            Phase::AwaitsEnd(unread) => {
                let request = &unread.request;
                (immediate::wire(request), Some(request))
            }
            Phase::Done(dialect) => (*dialect, None),
            Phase::Running(running) => (Some(running.dialect()), None),
            Phase::Opened | Phase::Responding(_) | Phase::Shown(_) | Phase::AwaitsAttempt(_) => {
                (None, None)
            }
        };
        let answer = immediate::fault(fault, dialect, request);
        self.metrics.fault(fault);
        self.answered(answer)
    }

    fn refuse(&mut self, head: &RequestHead, fault: Fault) -> Immediate {
        self.metrics.fault(fault);
        let wire = immediate::wire(head);
        if wire.is_some() {
            let serving = self.live.load();
            self.note(&serving, head, wire);
        }
        self.answered(immediate::fault(fault, wire, Some(head)))
    }
}

/// Models get nine tenths of a request's time, and all but 50 ms of a long one: an answer that
/// comes with the deadline would find nobody waiting.
fn models_until(now: Instant, deadline: Instant) -> Instant {
    let reserved = (deadline.saturating_duration_since(now) / 10).min(PLANNING);
    deadline.checked_sub(reserved).unwrap_or(now)
}

impl LlmExchange {
    /// Begins the request's record, where its document keeps any.
    fn note(
        &mut self,
        serving: &Arc<Loaded<Generation>>,
        head: &RequestHead,
        dialect: Option<Dialect>,
    ) {
        let Some(recorded) = self.recorded.as_ref().filter(|_| serving.router.records()) else {
            return;
        };
        let seen = Seen {
            key: serving.router.state.dispatches.next_id(),
            id: fastrand::u128(..),
            at: SystemTime::now(),
            serving: Arc::clone(serving),
            dialect,
            request_id: head.headers.get("x-request-id").map(Arc::from),
        };
        self.entry = Some(Entry::new(&recorded.recording, seen));
    }

    /// Ends the request's record: Merit answers it. A run says itself what it came to.
    fn answered(&self, answer: Immediate) -> Immediate {
        if let Some(entry) = &self.entry {
            let end = if answer.status.is_success() {
                End::Complete
            } else {
                End::Refused
            };
            entry.end(Ended::with_status(end, answer.status.as_u16()));
        }
        answer
    }

    fn forward(&mut self, reply: BodyReply, plan: Box<response::ResponsePlan>) -> BodyStep {
        self.phase = Phase::Responding(Box::new(Responding::new(*plan, self.metrics.clone())));
        BodyStep::Forward(reply)
    }

    /// What a plan leads to.
    fn proceed(&mut self, head: Box<Head>, planned: route::Planned) -> BodyStep {
        let ready = match planned {
            route::Planned::Forward(reply, plan) => return self.forward(*reply, plan),
            route::Planned::Respond(answer) => return BodyStep::Respond(self.answered(answer)),
            route::Planned::Run(ready) => ready,
        };
        let set_out = run::set_out(head, ready, &self.looper, &self.metrics, self.deadline);
        match set_out {
            run::SetOut::Wait(running, longest) => {
                self.phase = Phase::Running(running);
                BodyStep::Wait(longest)
            }
            run::SetOut::Go(planned) => match planned {
                route::Planned::Forward(reply, plan) => self.forward(*reply, plan),
                route::Planned::Respond(answer) => BodyStep::Respond(self.answered(answer)),
                route::Planned::Run(_) => BodyStep::Respond(self.fault(Fault::DeadlineExceeded)),
            },
        }
    }

    /// Answers, passes on or refuses a request that is not to be routed.
    fn without_inference(
        &mut self,
        endpoint: Endpoint,
        serving: Arc<Loaded<Generation>>,
        head: RequestHead,
    ) -> HeadStep {
        let (status, message) = match endpoint {
            Endpoint::Models => return HeadStep::Respond(immediate::models(&serving, &head)),
            Endpoint::Model(id) => {
                return HeadStep::Respond(immediate::model(&serving, &head, &id));
            }
            Endpoint::Inference(_) | Endpoint::Service(_) | Endpoint::Stored(_) => {
                return self.unread(serving, head);
            }
            Endpoint::Foreign | Endpoint::NotFound | Endpoint::WrongBase(_)
                if unknown::is_excepted(&serving, &head) =>
            {
                self.phase = Phase::Done(None);
                return HeadStep::Forward(forward::untouched(&serving, &head));
            }
            Endpoint::Foreign => return self.unread(serving, head),
            _ if unknown::upgrades(&head) => {
                return HeadStep::Respond(self.refuse_unread(unknown::UPGRADE, &serving, &head));
            }
            // Files, fine-tuning jobs and the like are the backend's to answer.
            Endpoint::NotFound => return self.unread(serving, head),
            Endpoint::WrongBase(wrong) => (404, wrong.message()),
            Endpoint::MethodNotAllowed => (405, "method not allowed".to_owned()),
        };
        HeadStep::Respond(self.turn_down(status, &message, &head))
    }

    /// A request on a path that Merit does not read: it goes on as it came, but no body does where
    /// a policy guards text.
    fn unread(&mut self, serving: Arc<Loaded<Generation>>, head: RequestHead) -> HeadStep {
        let passing = Passing::untouched(&serving, &head);
        self.pass(passing, serving, head)
    }

    /// A request about what a provider keeps: it goes where that is.
    async fn stored(
        &mut self,
        stored: Stored,
        serving: Arc<Loaded<Generation>>,
        head: RequestHead,
    ) -> HeadStep {
        let deadline = self.models_until.unwrap_or_else(Instant::now);
        match stored::plan(&serving, &head, &stored, &self.metrics, deadline).await {
            Ok(passing) => self.pass(passing, serving, head),
            Err(answer) => {
                self.phase = Phase::Done(None);
                HeadStep::Respond(answer)
            }
        }
    }

    /// Lets a request pass, unless a policy guards text and it has a body that nobody reads.
    fn pass(
        &mut self,
        passing: Passing,
        serving: Arc<Loaded<Generation>>,
        request: RequestHead,
    ) -> HeadStep {
        let carries = if serving.router.guards_text() {
            unknown::carries(&request)
        } else {
            unknown::Carries::Nothing
        };
        match carries {
            unknown::Carries::Nothing => {
                self.phase = Phase::Shown(passing.shown);
                HeadStep::Forward(passing.reply)
            }
            unknown::Carries::Text(why) => {
                HeadStep::Respond(self.refuse_unread(why, &serving, &request))
            }
            unknown::Carries::Unknown => {
                self.phase = Phase::AwaitsEnd(Box::new(Unread {
                    serving,
                    request,
                    passing,
                }));
                HeadStep::NeedBody
            }
        }
    }

    fn refuse_unread(
        &mut self,
        why: unknown::Why,
        serving: &Arc<Loaded<Generation>>,
        head: &RequestHead,
    ) -> Immediate {
        let why = if why == unknown::BODY {
            unknown::body_on(serving, head)
        } else {
            why
        };
        self.phase = Phase::Done(None);
        self.told.tell(&serving.router.settings.paths, head);
        self.metrics.refused("", "unread_path");
        self.note(serving, head, immediate::wire(head));
        self.answered(immediate::refusal(
            why.status,
            why.message,
            immediate::wire(head),
            head.headers.get("x-request-id"),
        ))
    }

    fn turn_down(&mut self, status: u16, message: &str, head: &RequestHead) -> Immediate {
        self.phase = Phase::Done(None);
        let reason = match status {
            404 => "not_found",
            405 => "method_not_allowed",
            _ => "invalid_request",
        };
        self.metrics.refused("", reason);
        immediate::refusal(
            status,
            message,
            immediate::wire(head),
            head.headers.get("x-request-id"),
        )
    }
}

#[cfg(test)]
mod tests;
