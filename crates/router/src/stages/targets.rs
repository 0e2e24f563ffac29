//! The one way to a model.
//!
//! Whatever names a model (a decision, a session, learning, the default, the client itself, a run,
//! the gateway's second attempt) finds its `Target` here and sends the request there by
//! `Targets::forward`. That asks the boundary verdict, the wire and the credential, and makes the
//! only plan that leads to a model.

use super::request::Refused;
use crate::boundary::{Admitted, Verdict};
use crate::config::Document;
use crate::models::{Credential, Model, Models};
use crate::plan::translation::{api, headers as wire_headers};
use crate::plan::{self, BodyEdit, Forward, HeaderOp, ReasoningEdit, Refusal, Stands, Translation};
use crate::recipe::Route;
use crate::response;
use dialects::translate::Backend;
use dialects::{Dialect, Prompt};
use selection::card::ModelDescriptions;
use selection::eligible::Barrier;
use selection::providers::wires::Carriage;
use serde_json::Value;
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

/// How the policy tells a model to reason.
#[derive(Debug, Clone, Copy, Default)]
struct Reasoning<'a> {
    /// `None` leaves it to the caller, and counts as off where the caller says nothing.
    on: Option<bool>,
    /// Empty where the policy does not say.
    effort: &'a str,
    /// Mode of a model whose reasoning has modes; empty where the policy does not say.
    mode: &'a str,
}

/// What the caller says of reasoning.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wish<'a> {
    /// The effort, as written.
    effort: Option<&'a str>,
    /// Whether it asks for reasoning or for none; `None` leaves that to the policy.
    on: Option<bool>,
}

impl<'a> Wish<'a> {
    /// Reads what a request says.
    pub(crate) fn of(prompt: &'a Prompt) -> Self {
        Self {
            effort: prompt.reasoning_effort.as_deref(),
            on: prompt.asks_reasoning(),
        }
    }

    /// Returns whether the caller asks for reasoning.
    pub(crate) fn asks(self) -> bool {
        self.on == Some(true)
    }
}

impl<'a> Reasoning<'a> {
    fn is_on(self, wish: Wish<'_>) -> bool {
        self.on.unwrap_or(wish.asks())
    }

    /// Returns the effort: the policy's, else that of a caller who asks for reasoning.
    fn effort(self, wish: Wish<'a>) -> &'a str {
        let asked = wish.effort.filter(|_| wish.asks());
        match self.effort {
            "" => asked.unwrap_or_default(),
            own => own,
        }
    }

    /// Returns what stands above what. A policy that says the same as the caller, or nothing, takes
    /// nothing away.
    fn stands(self, wish: Wish<'_>) -> Stands {
        let is_on = self.is_on(wish);
        let is_other = |asked: &str| !asked.trim().eq_ignore_ascii_case(self.effort);
        match wish.on {
            None => Stands::Effort,
            Some(asked) if asked != is_on => Stands::Policy,
            Some(_) if is_on && !self.effort.is_empty() && wish.effort.is_some_and(is_other) => {
                Stands::Effort
            }
            Some(_) => Stands::Caller,
        }
    }
}

/// What the way to a model depends on beside the model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wire<'a> {
    /// The wire, and whether it can be another one at the backend.
    pub(crate) carriage: Carriage,
    /// A translation must lose nothing.
    pub(crate) strict: bool,
    /// The client names the version of Anthropic's API.
    pub(crate) has_version: bool,
    /// The endpoint is that of conversations.
    pub(crate) is_conversation: bool,
    /// What the caller says of reasoning.
    pub(crate) wish: Wish<'a>,
    /// The caller's name for the model, which the answer may have to repeat; `None` where the
    /// answer is not the caller's, or its stages are planned already.
    pub(crate) asked: Option<&'a str>,
    /// A stream is asked for its usage.
    pub(crate) counts_usage: bool,
    /// The request has thinking that nobody signed.
    pub(crate) unsigned_thinking: bool,
    /// Removes what an earlier attempt set.
    pub(crate) withdrawn: &'a [HeaderOp],
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
                on: model_ref.reasons(),
                effort: &model_ref.reasoning_effort,
                mode: model_ref.reasoning_mode.trim(),
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
        carriage: Carriage,
    ) -> Result<Admitted<'a>, Refused> {
        let admitted = verdict
            .admit(&target.model.name, target.shown)
            .map_err(|barrier| Refused::at(target.shown, barrier))?;
        self.speaks(target, carriage)?;
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
        let admitted = self.check(target, verdict, wire.carriage)?;
        let client = wire.carriage.wire;
        let backend = Some(target.model)
            .filter(|_| wire.is_conversation)
            .and_then(|model| model.translates(client));
        let dialect = backend.map_or(client, |backend| backend.dialect);

        // A backend's path is that of its own wire; others and other endpoints keep theirs.
        let is_own = dialect == target.model.wires.own() && wire.is_conversation;
        let fits = |op: &&HeaderOp| is_own || !sets_path(op);
        let of_wire =
            backend.map(|backend| wire_headers(client, backend.dialect, wire.has_version));
        let of_model = target.model.headers.iter().filter(fits).cloned();
        let headers = of_wire.into_iter().flatten().chain(of_model);

        let (body, translation, response) = match backend {
            None => (target.edits(wire), None, self.stages(target, wire)),
            Some(backend) => {
                let translation = self.translation(target, wire, backend);
                (Vec::new(), Some(translation), Vec::new())
            }
        };
        let forward = Forward::to(
            admitted,
            &self.settings.routing_headers,
            wire.withdrawn,
            headers,
            body,
            response,
        );
        Ok(match translation {
            Some(translation) => forward.translated(translation),
            None => forward,
        })
    }

    /// Lists the stages of an answer that comes on the client's wire.
    fn stages(&self, target: &Target<'_>, wire: Wire<'_>) -> Vec<response::ResponseStage> {
        wire.asked.map_or_else(Vec::new, |asked| {
            response::stages(self.settings.restore_model, asked, &target.upstream)
        })
    }

    /// Plans how a request is put on its backend's wire, and told what only that wire can say.
    fn translation(&self, target: &Target<'_>, wire: Wire<'_>, backend: Backend) -> Translation {
        let mut edits = vec![BodyEdit::Model(Arc::clone(&target.upstream))];
        if backend.dialect == Dialect::OpenAiChat {
            // The client's wire may need the usage that only this tells.
            edits.push(BodyEdit::StreamUsage);
        }
        // The client's own words of reasoning go by the model's switch, too.
        let tells = target.reasoning.is_some() || wire.wish.on.is_some();
        let told =
            tells.then(|| target.reasons_as(target.reasoning.unwrap_or_default(), wire.wish));
        edits.extend(told.map(BodyEdit::Reasoning));
        let asked = wire.asked.filter(|_| self.settings.restore_model);
        Translation {
            backend,
            edits,
            model: asked.map_or_else(|| Arc::clone(&target.upstream), Arc::from),
            strict: wire.strict,
        }
    }

    /// Returns whether a model takes a request, as a conversation would stay with it.
    pub(crate) fn takes(&self, model: &str, carriage: Carriage) -> bool {
        let Ok(target) = self.named(model) else {
            return false;
        };
        target.model.routable && self.speaks(&target, carriage).is_ok()
    }

    /// Returns whether the model has a backend.
    pub(crate) fn is_routable(&self, model: &str) -> bool {
        self.models.get(model).is_some_and(|model| model.routable)
    }

    /// Checks that a model can take a request of this wire now.
    fn speaks(&self, target: &Target<'_>, carriage: Carriage) -> Result<(), Refused> {
        let model = target.model;
        if let Some(why) = carriage.refused_by(model.wires) {
            let (name, reason) = (target.shown, why.reason());
            let wire = api(carriage.wire);
            let speaks = api(model.wires.of(carriage.wire));
            let message = format!(
                "model \"{name}\" speaks {speaks} and this request {wire}; it cannot be translated: {reason}"
            );
            return Err(Refused {
                refusal: Refusal::new(400, message),
                ..Refused::at(name, Barrier::Wire(why))
            });
        }
        match model.credential {
            Credential::Missing { .. } if !self.settings.fail_open => Err(Refusal::new(
                401,
                "Authentication failed. Check your API key configuration.",
            )
            .into()),
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
    pub(crate) fn reasoning(&self, wish: Wish<'_>) -> Option<bool> {
        self.reasoning.map(|reasoning| reasoning.is_on(wish))
    }

    /// Returns whether the policy takes away what the caller says of reasoning, on the wire on which
    /// the model gets it.
    pub(crate) fn overrules(&self, wish: Wish<'a>, client: Dialect) -> bool {
        let dialect = self.wire(client);
        let Some(own) = self.reasons(wish).filter(|_| wish.on.is_some()) else {
            return false;
        };
        // An API that knows efforts only is told the caller's where the policy says "off".
        let keeps_effort = match &own.edit {
            ReasoningEdit::TopLevel { value, .. } => {
                wish.effort.is_some() && value.as_ref().and_then(Value::as_str) == wish.effort
            }
            _ => false,
        };
        dialect != Dialect::AnthropicMessages && own.stands != Stands::Caller && !keeps_effort
    }

    /// Tells the model to reason only where the caller asks for it, as the policy says nothing.
    pub(crate) fn without_reasoning(self) -> Self {
        Self {
            reasoning: Some(Reasoning::default()),
            ..self
        }
    }

    /// Leaves it to the client whether the model reasons.
    pub(crate) fn untold(self) -> Self {
        Self {
            reasoning: None,
            ..self
        }
    }

    fn reasons(&self, wish: Wish<'_>) -> Option<plan::Reasoning> {
        Some(self.reasons_as(self.reasoning?, wish))
    }

    fn reasons_as(&self, own: Reasoning<'_>, wish: Wish<'_>) -> plan::Reasoning {
        let switch = &self.model.reasoning;
        plan::Reasoning {
            edit: switch.edit(own.is_on(wish), own.effort(wish), own.mode, wish.effort),
            stands: own.stands(wish),
        }
    }

    /// Returns the edits of a body that goes out on its client's wire.
    fn edits(&self, wire: Wire<'_>) -> Vec<BodyEdit> {
        let mut body = vec![BodyEdit::Model(Arc::clone(&self.upstream))];
        if wire.unsigned_thinking && self.model.signs_thinking {
            body.push(BodyEdit::DropUnsignedThinking);
        }
        if wire.counts_usage {
            body.push(BodyEdit::StreamUsage);
        }
        body.extend(self.reasons(wire.wish).map(BodyEdit::Reasoning));
        body
    }

    /// Returns the wire on which a client's request goes to the model.
    pub(crate) fn wire(&self, client: Dialect) -> Dialect {
        self.model.wires.of(client)
    }

    /// Returns the headers that are set or removed for this model: its credential above all.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &'a HeaderOp> + use<'a> {
        self.model.headers.iter().filter(|op| !sets_path(op))
    }

    /// Returns the names of the headers that are set for this model, which must not reach another.
    pub(crate) fn set_headers(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.headers().filter_map(|op| match op {
            HeaderOp::Set(name, _) => Some(&**name),
            HeaderOp::Remove(_) => None,
        })
    }
}

/// The edit sets the request's path.
pub(crate) fn sets_path(op: &HeaderOp) -> bool {
    matches!(op, HeaderOp::Set(name, _) if &**name == ":path")
}
