//! Ways to a model: a candidate, the model that a conversation stays with, the default, the user's
//! explicit choice.

use super::{Call, Routed, protocol, unavailable};
use crate::capability::Demand;
use crate::eligible::Barrier;
use crate::generation::Generation;
use crate::models::Model;
use crate::plan::{BodyEdit, Facts, Forward, HeaderOp, Outcome, Refusal, RoutePlan};
use crate::recipe::{Recipe, Route};
use crate::response;
use crate::signals::SignalInput;
use dialects::Dialect;
use std::sync::Arc;

impl Generation {
    pub(super) fn to_candidate(
        &self,
        route: &Route,
        index: usize,
        facts: &mut Facts,
        call: &Call<'_>,
    ) -> Result<Forward, Refusal> {
        let candidate = &route.candidates.model_refs()[index];
        let lora = candidate.lora_name.trim();
        let shown = if lora.is_empty() {
            candidate.model.trim()
        } else {
            lora
        };
        facts.model = Some(shown.into());
        let backend = route.backends[index]
            .as_deref()
            .ok_or_else(|| unavailable(shown))?;
        let upstream = if lora.is_empty() {
            backend.upstream_id.clone()
        } else {
            lora.into()
        };
        let mut forward = self.to_model((backend, shown, upstream), facts, call)?;
        let on = candidate.use_reasoning.unwrap_or(false);
        let callers = call.prompt.reasoning_effort.as_deref();
        forward
            .body
            .push(BodyEdit::Reasoning(backend.reasoning.edit(
                on,
                &candidate.reasoning_effort,
                callers,
            )));
        facts.reasoning = Some(on);
        Ok(forward)
    }

    /// A model that is none of the candidates, with which learning or the session stays. Nobody
    /// said how it should reason, so it does not.
    pub(super) fn to_held(
        &self,
        name: &str,
        facts: &mut Facts,
        call: &Call<'_>,
    ) -> Result<Forward, Refusal> {
        facts.model = Some(name.into());
        let (model, upstream) = self.named(name).ok_or_else(|| unavailable(name))?;
        let mut forward = self.to_model((model, name, upstream), facts, call)?;
        let callers = call.prompt.reasoning_effort.as_deref();
        forward.body.push(BodyEdit::Reasoning(
            model.reasoning.edit(false, "", callers),
        ));
        facts.reasoning = Some(false);
        Ok(forward)
    }

    /// A model or an adapter by its name, and what its backend calls it.
    pub(super) fn named(&self, name: &str) -> Option<(&Model, Arc<str>)> {
        if let Some(model) = self.models.get(name) {
            return Some((model, model.upstream_id.clone()));
        }
        let base = self.models.get(&self.document.lora_base(name)?.name)?;
        Some((base, Arc::from(name)))
    }

    /// No decision: the default model, or the session's own where the request may not leave it.
    pub(super) async fn without_decision(
        &self,
        recipe: &Recipe,
        mut facts: Facts,
        call: &Call<'_>,
    ) -> RoutePlan {
        let standing = self.standing(recipe, call).await;
        let (Some(standing), Some(name)) = (&standing, &self.settings.default_model) else {
            return self.to_default(facts, call);
        };
        let plan = match self.stay_without_decision(name, (standing, call), &mut facts) {
            None => self.to_default(facts, call),
            Some(own) => {
                facts.algorithm = Some("default");
                let outcome = match self.to_held(&own, &mut facts, call) {
                    Ok(forward) => Outcome::Forward(forward),
                    Err(refusal) => Outcome::Refuse(refusal),
                };
                RoutePlan { outcome, facts }
            }
        };
        self.noted(plan, Some(standing), call)
    }

    /// No decision, or one without candidates: the default model.
    pub(super) fn to_default(&self, mut facts: Facts, call: &Call<'_>) -> RoutePlan {
        facts.algorithm = Some("default");
        let outcome = match self.to_named_default(&mut facts, call) {
            Ok(forward) => Outcome::Forward(forward),
            Err(refusal) => Outcome::Refuse(refusal),
        };
        RoutePlan { outcome, facts }
    }

    pub(super) fn to_named_default(
        &self,
        facts: &mut Facts,
        call: &Call<'_>,
    ) -> Result<Forward, Refusal> {
        let Some(name) = &self.settings.default_model else {
            let message =
                "unable to route request: no model selected and no default model configured";
            return Err(Refusal {
                status: 400,
                message: message.to_owned(),
            });
        };
        facts.model = Some(name.clone());
        let model = self.models.get(name).ok_or_else(|| unavailable(name))?;
        let demand = Demand::of(call.prompt, &self.token_ratio);
        if let Some(barrier) = self.barrier(name, &facts.verdict, &demand) {
            return Err(facts.refuse(name, barrier));
        }
        self.to_model((model, name, model.upstream_id.clone()), facts, call)
    }

    /// The user's explicit choice: no signals but those that boundaries need, no decisions, no
    /// plugins.
    pub(super) async fn pass_through(&self, call: &Call<'_>) -> Routed<'_> {
        let name = call.prompt.model.trim();
        let mut facts = Facts {
            protocol: Some(protocol(call.dialect)),
            ..Facts::default()
        };
        let Some((model, upstream)) = self.named(name) else {
            let outcome = Outcome::Refuse(unavailable(&call.prompt.model));
            return Routed {
                plan: RoutePlan { outcome, facts },
                findings: None,
                bounding: None,
            };
        };
        let input = SignalInput::new(call.prompt, Some(call.identity));
        let bounding = match self.bounding(None, &input, &mut facts, call).await {
            Ok(bounding) => bounding,
            Err(error) => return Routed::forbidden(&error, facts),
        };
        let outcome = match self.to_model((model, name, upstream), &mut facts, call) {
            Ok(forward) => {
                facts.model = Some(name.into());
                Outcome::Forward(forward)
            }
            Err(refusal) => Outcome::Refuse(refusal),
        };
        Routed {
            plan: RoutePlan { outcome, facts },
            findings: None,
            bounding,
        }
    }

    /// Every way to a model ends here, so that none leads past a boundary. `shown` is the name that
    /// routes go by.
    pub(super) fn to_model(
        &self,
        (model, shown, upstream): (&Model, &str, Arc<str>),
        facts: &mut Facts,
        call: &Call<'_>,
    ) -> Result<Forward, Refusal> {
        if let Some(name) = facts.verdict.forbids_candidate(&model.name, shown) {
            let barrier = Barrier::Boundary(Arc::clone(name));
            return Err(facts.refuse(shown, barrier));
        }
        model.accepts(call.dialect, self.settings.fail_open)?;
        if !model.routable {
            return Err(unavailable(shown));
        }
        let mut headers: Vec<HeaderOp> = self.routing_headers(&shown.into()).collect();
        let path = |op: &&HeaderOp| !matches!(op, HeaderOp::Set(name, _) if &**name == ":path");
        // A backend's path is that of chat completions; the other wires keep their own.
        let whole = call.dialect == Dialect::OpenAiChat;
        headers.extend(model.headers.iter().filter(|op| whole || path(op)).cloned());
        let response = response::stages(self.settings.restore_model, &call.prompt.model, &upstream);
        let mut body = vec![BodyEdit::Model(upstream)];
        if call.observed && call.prompt.stream {
            body.push(BodyEdit::StreamUsage);
        }
        Ok(Forward {
            body,
            headers,
            response,
        })
    }

    /// The headers that Envoy's routes go by.
    pub(super) fn routing_headers(&self, model: &Arc<str>) -> impl Iterator<Item = HeaderOp> {
        let model = Arc::clone(model);
        self.settings
            .routing_headers
            .iter()
            .map(move |name| HeaderOp::Set(name.clone(), model.clone()))
    }
}
