//! The one way to a model.
//!
//! Whatever names a model (a decision, a session, learning, the default, the client itself, a run,
//! the gateway's second attempt) finds its `Target` here and sends the request there by
//! `Targets::forward`. That asks the boundary verdict, the wire and the credential, and makes the
//! only plan that leads to a model.

use super::request::Refused;
use crate::boundary::{Admitted, Verdict};
use crate::config::Document;
use crate::models::{ApiFormat, Credential, Model, Models};
use crate::plan::{BodyEdit, Forward, HeaderOp, ReasoningEdit, Refusal};
use crate::recipe::Route;
use crate::response;
use dialects::Dialect;
use std::collections::HashMap;
use std::sync::Arc;

/// The models that requests can be sent to, and how they are sent.
#[derive(Debug)]
pub struct Targets {
    models: Models,
    /// The base model of each adapter.
    bases: HashMap<String, String>,
    settings: TargetSettings,
}

/// How requests are sent to models.
#[derive(Debug, Clone)]
pub(crate) struct TargetSettings {
    /// The model of requests that no decision chooses for.
    pub(crate) default_model: Option<Arc<str>>,
    /// Headers that carry the chosen model to Envoy's routes.
    pub(crate) routing_headers: Vec<Arc<str>>,
    /// Answers name the model as the caller did.
    pub(crate) restore_model: bool,
    /// Requests whose model has no credential at hand go on with the caller's.
    pub(crate) fail_open: bool,
}

/// A model that a request may be sent to.
#[derive(Debug, Clone)]
pub(crate) struct Target<'a> {
    model: &'a Model,
    /// The name that routes go by: the adapter's where there is one.
    shown: &'a str,
    /// The name that its backend goes by.
    upstream: Arc<str>,
    /// How it is told to reason; `None` leaves that to the client.
    reasoning: Option<Reasoning<'a>>,
}

/// How a model is told to reason.
#[derive(Debug, Clone, Copy)]
struct Reasoning<'a> {
    on: bool,
    effort: &'a str,
}

impl Reasoning<'_> {
    /// Nothing in the policy asks for it.
    const OFF: Self = Self {
        on: false,
        effort: "",
    };
}

/// What the way to a model depends on beside the model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wire<'a> {
    /// The wire.
    pub(crate) dialect: Dialect,
    /// The reasoning effort that the caller asks for.
    pub(crate) effort: Option<&'a str>,
    /// The caller's name for the model, which the answer may have to repeat; `None` where the
    /// answer is not the caller's, or its stages are planned already.
    pub(crate) asked: Option<&'a str>,
    /// A stream is asked for its usage.
    pub(crate) counts_usage: bool,
    /// The target that failed, whose traces the request still bears.
    pub(crate) failed: Option<&'a Target<'a>>,
}

impl Targets {
    /// Prepares the models of a document.
    pub(crate) fn new(models: Models, document: &Document, settings: TargetSettings) -> Self {
        let mut bases = HashMap::new();
        for card in document.model_cards() {
            for adapter in &card.loras {
                bases
                    .entry(adapter.name.clone())
                    .or_insert_with(|| card.name.clone());
            }
        }
        Self {
            models,
            bases,
            settings,
        }
    }

    /// Returns every configured model.
    #[must_use]
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// Returns the model of requests that no decision chooses for.
    #[must_use]
    pub fn default_model(&self) -> Option<&Arc<str>> {
        self.settings.default_model.as_ref()
    }

    /// Finds the default model.
    pub(crate) fn default_target(&self) -> Result<Target<'_>, Refusal> {
        let Some(name) = &self.settings.default_model else {
            let message =
                "unable to route request: no model selected and no default model configured";
            return Err(Refusal::new(400, message));
        };
        let model = self
            .models
            .get(name)
            .ok_or_else(|| Refusal::unavailable(name))?;
        Ok(Target {
            model,
            shown: name,
            upstream: Arc::clone(&model.upstream_id),
            reasoning: None,
        })
    }

    /// Finds a candidate of a decision.
    pub(crate) fn candidate<'a>(
        &self,
        route: &'a Route,
        index: usize,
    ) -> Result<Target<'a>, Refusal> {
        let (model_refs, backends) = (route.candidates.model_refs(), &route.backends);
        let Some(model_ref) = model_refs.get(index) else {
            return Err(Refusal::unavailable(""));
        };
        let adapter = model_ref.lora_name.trim();
        let shown = if adapter.is_empty() {
            model_ref.model.trim()
        } else {
            adapter
        };
        let model = backends
            .get(index)
            .and_then(Option::as_deref)
            .ok_or_else(|| Refusal::unavailable(shown))?;
        Ok(Target {
            model,
            shown,
            upstream: if adapter.is_empty() {
                Arc::clone(&model.upstream_id)
            } else {
                adapter.into()
            },
            reasoning: Some(Reasoning {
                on: model_ref.use_reasoning.unwrap_or(false),
                effort: &model_ref.reasoning_effort,
            }),
        })
    }

    /// Finds a model or an adapter by its name.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> Result<Target<'a>, Refusal> {
        let direct = self
            .models
            .get(name)
            .map(|model| (model, Arc::clone(&model.upstream_id)));
        let adapter = || Some((self.models.get(self.bases.get(name)?)?, Arc::from(name)));
        let (model, upstream) = direct
            .or_else(adapter)
            .ok_or_else(|| Refusal::unavailable(name))?;
        Ok(Target {
            model,
            shown: name,
            upstream,
            reasoning: None,
        })
    }

    /// Checks that a request may go to a target: boundaries, wire, credential, backend.
    pub(crate) fn check<'a>(
        &self,
        target: &Target<'a>,
        verdict: &Verdict,
        dialect: Dialect,
    ) -> Result<Admitted<'a>, Refused> {
        let admitted = verdict
            .admit(&target.model.name, target.shown)
            .map_err(|barrier| Refused::at(target.shown, barrier))?;
        self.speaks(target.model, dialect)?;
        if !target.model.routable {
            return Err(Refusal::unavailable(target.shown).into());
        }
        Ok(admitted)
    }

    /// Sends a request to a target. Nothing else makes a plan that leads to a model.
    ///
    /// # Errors
    /// The request may not go there, or the model does not take it.
    pub(crate) fn forward(
        &self,
        target: &Target<'_>,
        verdict: &Verdict,
        wire: Wire<'_>,
    ) -> Result<Forward, Refused> {
        let admitted = self.check(target, verdict, wire.dialect)?;

        // A backend's path is that of chat completions; the other wires keep their own.
        let is_chat = wire.dialect == Dialect::OpenAiChat;
        let fits = |op: &&HeaderOp| is_chat || !sets_path(op);
        let headers = target.model.headers.iter().filter(fits).cloned();
        let withdrawn = wire.failed.map(Target::withdrawn).unwrap_or_default();

        let mut body = vec![BodyEdit::Model(Arc::clone(&target.upstream))];
        if wire.counts_usage {
            body.push(BodyEdit::StreamUsage);
        }
        let failed = wire.failed.and_then(|failed| failed.reasons(wire.effort));
        body.extend(failed.map(BodyEdit::WithdrawReasoning));
        body.extend(target.reasons(wire.effort).map(BodyEdit::Reasoning));

        let response = wire.asked.map_or_else(Vec::new, |asked| {
            response::stages(self.settings.restore_model, asked, &target.upstream)
        });

        Ok(Forward::to(
            admitted,
            &self.settings.routing_headers,
            withdrawn,
            headers,
            body,
            response,
        ))
    }

    /// Returns whether a model takes requests of this wire, as a conversation would stay with it.
    pub(crate) fn takes(&self, model: &str, dialect: Dialect) -> bool {
        self.models
            .get(model)
            .is_some_and(|model| model.routable && self.speaks(model, dialect).is_ok())
    }

    /// Returns whether the model has a backend.
    pub(crate) fn is_routable(&self, model: &str) -> bool {
        self.models.get(model).is_some_and(|model| model.routable)
    }

    /// Checks that a model can take a request of this dialect now.
    fn speaks(&self, model: &Model, dialect: Dialect) -> Result<(), Refusal> {
        let wanted = if dialect == Dialect::AnthropicMessages {
            ApiFormat::Anthropic
        } else {
            ApiFormat::OpenAi
        };
        if model.format != ApiFormat::Any && model.format != wanted {
            let (name, speaks, asked) = (&model.name, model.format.as_str(), wanted.as_str());
            let message = format!(
                "model \"{name}\" speaks the {speaks} API and this request the {asked} API; translation is not available"
            );
            return Err(Refusal::new(400, message));
        }
        match model.credential {
            Credential::Missing { .. } if !self.settings.fail_open => Err(Refusal::new(
                401,
                "Authentication failed. Check your API key configuration.",
            )),
            _ => Ok(()),
        }
    }
}

impl<'a> Target<'a> {
    /// Returns the model as routes and the policy name it.
    pub(crate) fn shown(&self) -> &'a str {
        self.shown
    }

    /// Returns the model behind the name.
    pub(crate) fn model(&self) -> &'a Model {
        self.model
    }

    /// Returns whether it is told to reason, if it is told anything.
    pub(crate) fn reasoning(&self) -> Option<bool> {
        self.reasoning.map(|reasoning| reasoning.on)
    }

    /// Tells the model not to reason, as nothing in the policy says how it should.
    pub(crate) fn without_reasoning(self) -> Self {
        Self {
            reasoning: Some(Reasoning::OFF),
            ..self
        }
    }

    fn reasons(&self, effort: Option<&str>) -> Option<ReasoningEdit> {
        let reasoning = self.reasoning?;
        let switch = &self.model.reasoning;
        Some(switch.edit(reasoning.on, reasoning.effort, effort))
    }

    /// Removes what was set for this model, which must not reach the next one: its credential above
    /// all.
    fn withdrawn(&self) -> Vec<HeaderOp> {
        let sets = |op: &HeaderOp| match op {
            HeaderOp::Set(name, _) if !sets_path(op) => Some(HeaderOp::Remove(Arc::clone(name))),
            _ => None,
        };
        self.model.headers.iter().filter_map(sets).collect()
    }
}

/// The edit sets the request's path.
pub(crate) fn sets_path(op: &HeaderOp) -> bool {
    matches!(op, HeaderOp::Set(name, _) if &**name == ":path")
}
