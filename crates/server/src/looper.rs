//! Runs of several models: the calls that a cascade asks for, made back through the gateway.
//!
//! ```text
//! exchange ─▶ Looper::run ─▶ escalation::Run ⇄ calls ─▶ gateway's inner listener ─▶ Merit (credential) ─▶ model
//! ```
//!
//! A run lives in the future that the exchange waits for: when the client leaves, the gateway drops
//! the stream, and the calls that are under way end with it. What a run may spend is the
//! document's; how many there are at a time is counted here.

mod body;
mod client;

use crate::metrics::Metrics;
use body::Question;
use client::Gateway;
use conversation::credential::{Claims, Purpose, Secret};
use dialects::Request;
use extproc::{HeaderEdit, HeaderEdits, RequestHead};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use router::escalation::answer::Answer;
use router::escalation::budget::Limits;
use router::escalation::run::{Call, Fault, Finished, Run};
use router::generation::{Runs, Settings};
use router::plan::Escalation;
use router::plan::surface::is_owned;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The header of the credential, as the reference calls it.
pub(crate) const CREDENTIAL: &str = "x-vsr-internal-auth";
/// How much longer than its run a credential holds, seconds: clocks of replicas differ.
const LEEWAY: u64 = 30;
/// Pause before another attempt at a call.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest credential that is read, bytes; callers whose name is longer have no runs.
const PRINCIPAL_MAX: usize = 2_000;

/// Headers of a request that are of its own way to us, or of its body.
const OWN_WAY: [&str; 15] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "accept",
    "accept-encoding",
    "expect",
    "http2-settings",
];

/// Makes the calls of runs. Lasts over reloads.
#[derive(Default)]
pub(crate) struct Looper {
    gateway: Gateway,
    running: Arc<AtomicU32>,
}

/// One run of the number that may be under way. Gives its place back when dropped.
pub(crate) struct Place(Arc<AtomicU32>);

/// The caller that a run serves, the reason for it, and its request.
pub(crate) struct Caller<'a> {
    /// The request's head.
    pub(crate) head: &'a RequestHead,
    /// Headers that make the calls children of the request's span.
    pub(crate) trace: HeaderEdits,
    /// The request.
    pub(crate) request: &'a Request,
    /// Its principal, see [`principal`].
    pub(crate) principal: String,
    /// The recipe that was asked.
    pub(crate) recipe: &'a str,
    /// The decision that won.
    pub(crate) decision: &'a str,
    /// Settings of the document.
    pub(crate) settings: &'a Settings,
    /// Signs the calls.
    pub(crate) secret: &'a Secret,
}

impl Looper {
    /// A place among the runs that may be under way; `None` if all are taken.
    pub(crate) fn enter(&self, limit: u32) -> Option<Place> {
        let taken = self.running.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&self.running));
        (taken < limit).then_some(place)
    }

    /// Runs under way.
    #[must_use]
    pub(crate) fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed).into()
    }

    /// Runs a cascade to its end, `until` at the latest.
    pub(crate) async fn run(
        &self,
        caller: &Caller<'_>,
        escalation: &Escalation,
        metrics: &Metrics,
        until: Instant,
    ) -> Finished {
        let runs = &caller.settings.runs;
        let limits = Limits::new(&runs.limits, runs.response_bytes, until);
        let run = Run::new(
            &escalation.cascade,
            &escalation.allowed,
            limits,
            escalation.tokens,
        );
        let mut run = run.with_retries(runs.retries);
        while let Some(call) = run.next(Instant::now()) {
            if call.again {
                tokio::time::sleep_until(until.min(Instant::now() + PAUSE).into()).await;
            }
            let (came, bytes) = self.call(caller, escalation, &call, until).await;
            metrics
                .looper
                .called(came.as_ref().map_or_else(Fault::as_str, |_| "answered"));
            run.take(came, bytes);
        }
        run.finish()
    }

    async fn call(
        &self,
        caller: &Caller<'_>,
        escalation: &Escalation,
        call: &Call,
        until: Instant,
    ) -> (Result<Answer, Fault>, u64) {
        let runs = &caller.settings.runs;
        let model = escalation.cascade.name(call.candidate);
        let question = Question {
            request: caller.request,
            method: escalation.cascade.method,
            model,
        };
        let body = question.body(call);
        let until = until.min(Instant::now() + runs.call_timeout);
        let headers = headers(caller, model, call.iteration, until);
        let sent = self
            .gateway
            .post(&runs.endpoint, headers, body, call.allowance.bytes, until);
        let (came, bytes) = sent.await;
        (
            came.and_then(|raw| Answer::read(raw).ok_or(Fault::Malformed)),
            bytes,
        )
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who asks, as a credential says it: the user, then the groups. `None` for names that do not fit
/// into one.
pub(crate) fn principal(identity: &signals::families::Identity) -> Option<String> {
    let names = std::iter::once(&identity.user).chain(&identity.groups);
    let names: Vec<String> = names.map(|name| name.replace(SEPARATOR, "")).collect();
    Some(names.join(SEPARATOR)).filter(|principal| principal.len() <= PRINCIPAL_MAX)
}

/// The other way round.
pub(crate) fn identity(principal: &str) -> signals::families::Identity {
    let mut names = principal.split(SEPARATOR).map(str::to_owned);
    signals::families::Identity {
        user: names.next().unwrap_or_default(),
        groups: names.collect(),
    }
}

const SEPARATOR: &str = "\u{1f}";

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The headers of a call: the client's own, as on the plain way; what the document adds; who we
/// are.
fn headers(caller: &Caller<'_>, model: &str, iteration: u32, until: Instant) -> HeaderMap {
    let settings = caller.settings;
    let mut headers = HeaderMap::new();
    let own = caller
        .head
        .headers
        .iter()
        .filter(|(name, _)| goes_on(name, settings));
    for (name, value) in own {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    let mut set = |name: &str, value: &str| {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    };
    for edit in &caller.trace {
        if let HeaderEdit::Set(name, value) = edit {
            set(name, &String::from_utf8_lossy(value));
        }
    }
    settings
        .runs
        .headers
        .iter()
        .for_each(|(name, value)| set(name, value));
    let left = until.saturating_duration_since(Instant::now()).as_secs();
    let claims = Claims {
        principal: caller.principal.clone(),
        recipe: caller.recipe.to_owned(),
        decision: caller.decision.to_owned(),
        model: model.to_owned(),
        depth: 1,
        expires: unix_seconds() + left + LEEWAY,
    };
    set(CREDENTIAL, &caller.secret.sign(Purpose::CallBack, &claims));
    set("x-vsr-looper-request", "true");
    set("x-vsr-looper-iteration", &iteration.to_string());
    set("x-vsr-looper-decision", caller.decision);
    set("x-vsr-fusion-depth", "1");
    set(ACCEPT.as_str(), "application/json");
    set(ACCEPT_ENCODING.as_str(), "identity");
    set(CONTENT_TYPE.as_str(), "application/json");
    headers
}

/// The client's header is for the model, not for its way here or for us.
fn goes_on(name: &str, settings: &Settings) -> bool {
    let ours = is_owned(name)
        || name.starts_with("x-vsr-")
        || settings.routing_headers.iter().any(|own| **own == *name);
    let of_the_way =
        OWN_WAY.contains(&name) || name.starts_with("x-envoy-") || name.starts_with("x-forwarded-");
    let identity = name == settings.user_header || name == settings.groups_header;
    let key = name.starts_with("x-user-") && name.ends_with("-key");
    !(ours || of_the_way || identity || key || name.starts_with(':'))
}

/// The limits of a run under this document that may last until `until` at most.
pub(crate) fn last(runs: &Runs, until: Option<Instant>) -> Instant {
    let own = Instant::now() + Duration::from_secs(runs.limits.max_seconds);
    until.map_or(own, |until| until.min(own))
}

#[cfg(test)]
mod tests;
