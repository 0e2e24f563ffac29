//! The stages between a body's last frame and the reply, one by one, for the Criterion benches and
//! for a profiler.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use conversation::learning::context::RequestContext;
use conversation::session::SessionHints;
use dialects::{Dialect, Request};
use futures_util::FutureExt;
use inference::ask::Nobody;
use router::boundary::Guarded;
use router::generation::Generation;
use router::pipeline::{self, Routed, RoutingRequest};
use router::plan::Outcome;
use router::recipe::{Evaluation, Extent};
use signals::families::{Identity, SignalInput};
use std::time::{Duration, Instant};

use crate::{agent, mix};

/// The requests that are measured, by name.
pub const REQUESTS: [&str; 3] = ["chat 1 KB", "chat 16 KB", "agent 120 KB"];

/// A request of [`REQUESTS`]: its wire and its body.
///
/// # Errors
/// No request has that name.
pub fn request(name: &str) -> Result<(Dialect, Bytes)> {
    let found = match name {
        "chat 1 KB" => Some((Dialect::OpenAiChat, mix::body(1 << 10))),
        "chat 16 KB" => Some((Dialect::OpenAiChat, mix::body(16 << 10))),
        "agent 120 KB" => Some((Dialect::AnthropicMessages, agent::body(agent::STEPS))),
        _ => None,
    };
    found.with_context(|| format!("no request `{name}`: {}", REQUESTS.join(", ")))
}

/// A request under the mix, and what each stage needs of the stages before it.
pub struct Stages {
    generation: Generation,
    identity: Identity,
    request: Request,
    reading: Evaluation,
    forward: Vec<router::plan::BodyEdit>,
}

impl Stages {
    /// Carries out all stages once.
    ///
    /// # Errors
    /// There is no request of that name, or it is not forwarded.
    pub fn new(name: &str) -> Result<Self> {
        let generation = mix::generation()?;
        let (dialect, body) = request(name)?;
        let request = Request::parse(dialect, body, &generation.settings.reading)?;
        let identity = Identity {
            user: "alice".into(),
            groups: vec!["staff".into(), "gold".into()],
        };
        let reading = signals(&generation, &identity, &request).context("no reading")?;
        let routed = route(&generation, &identity, &request).context("not routed")?;
        let Outcome::Forward(forward) = routed.outcome else {
            anyhow::bail!("{name} is not forwarded");
        };
        let forward = forward.body().to_vec();
        Ok(Self {
            generation,
            identity,
            request,
            reading,
            forward,
        })
    }

    /// Bytes of the body.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.request.body().len()
    }

    /// Reads the body.
    pub fn parse(&self) -> Option<Request> {
        let (dialect, body) = (self.request.dialect(), self.request.body().clone());
        Request::parse(dialect, body, &self.generation.settings.reading).ok()
    }

    /// Evaluates all signals that some decision reads.
    pub fn signals(&self) -> Option<Evaluation> {
        signals(&self.generation, &self.identity, &self.request)
    }

    /// Finds the decision.
    pub fn decide(&self) -> bool {
        let recipe = self.generation.recipes.first();
        recipe.is_some_and(|recipe| recipe.decide(&self.reading.report, None).is_some())
    }

    /// Routes the request: signals, decision, selection, plan.
    pub fn route(&self) -> Option<Routed<'_>> {
        route(&self.generation, &self.identity, &self.request)
    }

    /// Makes the plan's edits of the body.
    pub fn edit(&self) -> Option<Bytes> {
        router::plan::body::apply(&self.request, &self.forward)
    }

    /// All of it: reads, routes, edits.
    pub fn whole(&self) -> Option<Bytes> {
        let request = self.parse()?;
        let routed = route(&self.generation, &self.identity, &request)?;
        match routed.outcome {
            Outcome::Forward(forward) => router::plan::body::apply(&request, forward.body()),
            _ => None,
        }
    }
}

fn signals(generation: &Generation, identity: &Identity, request: &Request) -> Option<Evaluation> {
    let input = SignalInput::new(request.prompt(), Some(identity));
    let recipe = generation.recipes.first()?;
    let models = Guarded::free(&Nobody);
    let reading = recipe.read(&input, Extent::Used, &models, Instant::now());
    reading.now_or_never()?.ok()
}

fn route<'g>(
    generation: &'g Generation,
    identity: &Identity,
    request: &Request,
) -> Option<Routed<'g>> {
    let call = RoutingRequest {
        more: &[],
        service: None,
        prompt: request.prompt(),
        dialect: request.dialect(),
        identity,
        hints: SessionHints::default(),
        observed: false,
        models: &Nobody,
        deadline: Instant::now() + Duration::from_secs(60),
        context: RequestContext::NOTHING,
        full: false,
        traced: false,
        rewritable: true,
    };
    pipeline::route(generation, &call).now_or_never()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_goes_through_all_stages() -> Result<()> {
        for name in REQUESTS {
            let stages = Stages::new(name)?;
            assert!(stages.parse().is_some(), "{name}");
            assert!(stages.decide(), "{name}");
            assert!(
                stages.whole().is_some() && stages.edit().is_some(),
                "{name}"
            );
        }
        Ok(())
    }
}
