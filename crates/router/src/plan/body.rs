//! Edits of the JSON body as plain data, and their application to the original bytes.
//!
//! Order matters and is that of the reference: model, stream usage, reasoning, system prompt,
//! request parameters.

use bytes::Bytes;
use dialects::{Dialect, Edits, Request};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

pub use dialects::{PromptMode, RequestParams};

/// One edit of a request body.
#[derive(Debug, Clone, PartialEq)]
pub enum BodyEdit {
    /// The `model` member becomes the upstream's id.
    Model(Arc<str>),
    /// A streaming chat request asks for its usage.
    StreamUsage,
    /// The reasoning switch of the model's family.
    Reasoning(ReasoningEdit),
    /// Takes back what the switch of another model's family set.
    WithdrawReasoning(ReasoningEdit),
    /// A system prompt of the decision.
    SystemPrompt {
        /// Beside or instead of the caller's.
        mode: PromptMode,
        /// The text.
        text: Arc<str>,
    },
    /// Blocked and capped parameters.
    Params(Arc<RequestParams>),
}

/// How a model family is told to reason or not. The caller's own `reasoning_effort` is always
/// removed first.
#[derive(Debug, Clone, PartialEq)]
pub enum ReasoningEdit {
    /// Only the removal of the caller's effort (a model without family).
    Forget,
    /// `chat_template_kwargs.<param> = value`.
    Kwarg {
        /// Name in the kwargs.
        param: Arc<str>,
        /// JSON value.
        value: Value,
    },
    /// `<param> = value` at the top level; `drop_kwarg` takes the same name out of the kwargs.
    TopLevel {
        /// Member name.
        param: Arc<str>,
        /// JSON value; `None` sets nothing.
        value: Option<Value>,
        /// Remove the same name from `chat_template_kwargs`.
        drop_kwarg: bool,
    },
    /// DeepSeek's own switch: `thinking.type`, kwargs dropped.
    Thinking {
        /// `enabled` or `disabled`.
        on: bool,
        /// Effort when on.
        effort: Arc<str>,
    },
}

/// The body with all edits made, or `None` when nothing changed. Untouched bytes are the
/// original's.
#[must_use]
pub fn apply(request: &Request, edits: &[BodyEdit]) -> Option<Bytes> {
    let mut draft = Edits::new();
    for edit in edits {
        match edit {
            BodyEdit::Model(id) if request.prompt().model == **id => {}
            BodyEdit::Model(id) => draft.set_model(id),
            BodyEdit::StreamUsage => draft.ensure_stream_usage(request),
            BodyEdit::Reasoning(reasoning) => reason(&mut draft, request, reasoning),
            BodyEdit::WithdrawReasoning(reasoning) => withdraw(&mut draft, request, reasoning),
            BodyEdit::SystemPrompt { mode, text } => {
                draft.insert_system_prompt(request, *mode, text)
            }
            BodyEdit::Params(limits) => draft.limit_params(request, &kept(limits, edits)),
        }
    }
    (!draft.is_empty()).then(|| draft.apply(request))
}

/// DeepSeek's switch was set by us and is no unknown parameter of the caller.
fn kept<'a>(limits: &'a RequestParams, edits: &[BodyEdit]) -> Cow<'a, RequestParams> {
    let thinks =
        |edit: &BodyEdit| matches!(edit, BodyEdit::Reasoning(ReasoningEdit::Thinking { .. }));
    if !edits.iter().any(thinks) {
        return Cow::Borrowed(limits);
    }
    let mut limits = limits.clone();
    limits.also_known.push("thinking".to_owned());
    Cow::Owned(limits)
}

fn reason(draft: &mut Edits, request: &Request, edit: &ReasoningEdit) {
    if request.member("reasoning_effort").is_some() {
        draft.remove("reasoning_effort");
    }
    match (request.dialect(), edit) {
        // Messages has its own `thinking` budget, which is the caller's to set.
        (Dialect::AnthropicMessages, _) | (_, ReasoningEdit::Forget) => {}
        // Responses keeps the effort in an object of its own.
        (
            Dialect::OpenAiResponses,
            ReasoningEdit::TopLevel {
                value: Some(value), ..
            },
        ) => {
            draft.set_in(request, "reasoning", "effort", value.to_string());
        }
        (_, ReasoningEdit::Kwarg { param, value }) => {
            draft.set_in(request, KWARGS, param, value.to_string())
        }
        (
            _,
            ReasoningEdit::TopLevel {
                param,
                value,
                drop_kwarg,
            },
        ) => {
            if *drop_kwarg {
                draft.remove_in(request, KWARGS, param);
            }
            if let Some(value) = value {
                draft.set(param, value.to_string());
            }
        }
        (_, ReasoningEdit::Thinking { on, effort }) => {
            draft.remove(KWARGS);
            let kind = if *on { "enabled" } else { "disabled" };
            draft.set("thinking", serde_json::json!({ "type": kind }).to_string());
            if *on {
                draft.set("reasoning_effort", Value::from(effort.as_ref()).to_string());
            }
        }
    }
}

fn withdraw(draft: &mut Edits, request: &Request, edit: &ReasoningEdit) {
    match (request.dialect(), edit) {
        (Dialect::AnthropicMessages, _) | (_, ReasoningEdit::Forget) => {}
        (Dialect::OpenAiResponses, ReasoningEdit::TopLevel { .. }) => {
            draft.remove_in(request, "reasoning", "effort")
        }
        (_, ReasoningEdit::Kwarg { param, .. }) => draft.remove_in(request, KWARGS, param),
        (_, ReasoningEdit::TopLevel { param, .. }) => draft.remove(param),
        (_, ReasoningEdit::Thinking { .. }) => ["thinking", "reasoning_effort"]
            .iter()
            .for_each(|name| draft.remove(name)),
    }
}

/// Where vLLM and its like read switches of the chat template.
const KWARGS: &str = "chat_template_kwargs";
