//! Edits of the JSON body as plain data, and their application to the original bytes.
//!
//! Order matters and is that of the reference: model, stream usage, reasoning, system prompt,
//! request parameters.

use bytes::Bytes;
use dialects::{Dialect, Edits, Request};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

pub use dialects::{CacheMarks, PromptMode, RequestParams};

/// One edit of a request body.
#[derive(Debug, Clone, PartialEq)]
pub enum BodyEdit {
    /// The `model` member becomes the upstream's id.
    Model(Arc<str>),
    /// A streaming chat request asks for its usage.
    StreamUsage,
    /// Thinking without a signature is taken out.
    DropUnsignedThinking,
    /// The reasoning switch of the model's family.
    Reasoning(Reasoning),
    /// A system prompt of the decision.
    SystemPrompt {
        /// Beside or instead of the caller's.
        mode: PromptMode,
        /// The text.
        text: Arc<str>,
    },
    /// Marks of what the provider should cache.
    CacheMarks(CacheMarks),
    /// Blocked and capped parameters.
    Params(Arc<RequestParams>),
}

/// How a model is told to reason, and what stays of the caller's own words.
#[derive(Debug, Clone, PartialEq)]
pub struct Reasoning {
    /// The switch of its family.
    pub edit: ReasoningEdit,
    /// What stands above what.
    pub stands: Stands,
}

/// Where the policy and the caller both say something of reasoning, what stands above what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// All that the caller wrote stays, and only what is absent is added.
    Caller,
    /// The caller's effort makes room for the policy's.
    Effort,
    /// Efforts and switches of the caller make room for the policy's.
    Policy,
}

/// How a model family is told to reason or not.
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
    /// `<param> = value` at the top level.
    TopLevel {
        /// Member name.
        param: Arc<str>,
        /// JSON value; `None` sets nothing.
        value: Option<Value>,
        /// Member of `chat_template_kwargs` to remove.
        drop_kwarg: Option<Arc<str>>,
    },
    /// Switches in `chat_template_kwargs`, and beside them an effort and a mode where the family has
    /// them.
    Written {
        /// Names in the kwargs and their values.
        kwargs: Vec<(Arc<str>, Value)>,
        /// Name and value of the effort at the top level.
        effort: Option<(Arc<str>, Value)>,
        /// Name and value of the mode at the top level.
        mode: Option<(Arc<str>, Value)>,
    },
    /// DeepSeek's own switch: `thinking.type`, kwargs dropped.
    Thinking {
        /// `enabled` or `disabled`.
        on: bool,
        /// Effort when on.
        effort: Arc<str>,
    },
}

/// Where vLLM and its like read switches of the chat template.
const KWARGS: &str = "chat_template_kwargs";

/// The body with all edits made, or `None` when nothing changed. Untouched bytes are the
/// original's.
#[must_use]
pub fn apply(request: &Request, edits: &[BodyEdit]) -> Option<Bytes> {
    if !request.is_object() {
        // Of forms and batches nothing but the model is changed.
        let model = edits.iter().rev().find_map(|edit| match edit {
            BodyEdit::Model(id) => Some(id),
            _ => None,
        });
        return model.and_then(|id| request.renamed(id));
    }
    apply_all(request, edits)
}

/// The body of a JSON object with all edits made, or `None` when nothing changed.
pub(super) fn apply_all(request: &Request, edits: &[BodyEdit]) -> Option<Bytes> {
    let draft = draft(request, edits, true);
    (!draft.is_empty()).then(|| draft.apply(request))
}

/// The body of a JSON object with all edits made, which names its model: where the path does, the
/// body need not, but a translation has no other place for it.
pub(super) fn apply_named(request: &Request, edits: &[BodyEdit], model: &str) -> Option<Bytes> {
    let mut draft = draft(request, edits, true);
    if request.text_member("model").is_none() {
        draft.set_model(model);
    }
    (!draft.is_empty()).then(|| draft.apply(request))
}

/// Returns the members that would be otherwise if the model were told nothing of reasoning, with
/// the raw values that they would have; `None` where the member would not be there.
#[must_use]
pub fn before_reasoning(request: &Request, edits: &[BodyEdit]) -> Vec<(String, Option<String>)> {
    let (told, untold) = (draft(request, edits, true), draft(request, edits, false));
    untold
        .unlike(&told, request)
        .into_iter()
        .map(|(name, raw)| (name.to_owned(), raw.map(str::to_owned)))
        .collect()
}

/// Makes all edits; `tells` says whether those of reasoning are among them.
fn draft(request: &Request, edits: &[BodyEdit], tells: bool) -> Edits {
    let mut draft = Edits::new();
    // What the client wrote is stripped before anything is added to it.
    for edit in edits {
        if let BodyEdit::Params(limits) = edit
            && limits.strip_unknown
        {
            draft.strip_unknown(request, &kept(limits, edits));
        }
    }
    for edit in edits {
        match edit {
            // Where the path names the model, or nobody does, the body need not.
            BodyEdit::Model(id) if request.text_member("model").is_none_or(|it| it == **id) => {}
            BodyEdit::Model(id) => draft.set_model(id),
            BodyEdit::DropUnsignedThinking => draft.drop_unsigned_thinking(request),
            BodyEdit::StreamUsage => draft.ensure_stream_usage(request),
            BodyEdit::Reasoning(reasoning) if tells => reason(&mut draft, request, reasoning),
            BodyEdit::Reasoning(_) => {}
            BodyEdit::SystemPrompt { mode, text } => {
                draft.insert_system_prompt(request, *mode, text)
            }
            BodyEdit::CacheMarks(marks) => draft.mark_cache(request, *marks),
            BodyEdit::Params(limits) => {
                let limits = RequestParams {
                    strip_unknown: false,
                    ..RequestParams::clone(limits)
                };
                draft.limit_params(request, &limits);
            }
        }
    }
    draft
}

/// DeepSeek's switch is no unknown parameter.
fn kept<'a>(limits: &'a RequestParams, edits: &[BodyEdit]) -> Cow<'a, RequestParams> {
    let thinks = |edit: &BodyEdit| match edit {
        BodyEdit::Reasoning(own) => matches!(own.edit, ReasoningEdit::Thinking { .. }),
        _ => false,
    };
    if !edits.iter().any(thinks) {
        return Cow::Borrowed(limits);
    }
    let mut limits = limits.clone();
    limits.also_known.push("thinking".to_owned());
    Cow::Owned(limits)
}

fn reason(draft: &mut Edits, request: &Request, reasoning: &Reasoning) {
    // Messages has its own `thinking` budget, which is the caller's to set.
    if request.dialect() == Dialect::AnthropicMessages {
        return;
    }
    if reasoning.stands != Stands::Caller {
        forget_effort(draft, request);
    }
    if reasoning.stands == Stands::Policy {
        forget_switches(draft, request);
    }
    let only_absent = reasoning.stands == Stands::Caller;

    match &reasoning.edit {
        ReasoningEdit::Forget => {}
        ReasoningEdit::Kwarg { param, value } => {
            if !(only_absent && draft.has_in(request, KWARGS, param)) {
                draft.set_in(request, KWARGS, param, value.to_string());
            }
        }
        ReasoningEdit::TopLevel {
            param,
            value,
            drop_kwarg,
        } => {
            if let Some(kwarg) = drop_kwarg {
                draft.remove_in(request, KWARGS, kwarg);
            }
            if let Some(value) = value {
                set_effort(draft, request, param, value, only_absent);
            }
        }
        ReasoningEdit::Written {
            kwargs,
            effort,
            mode,
        } => {
            for (param, value) in kwargs {
                if !(only_absent && draft.has_in(request, KWARGS, param)) {
                    draft.set_in(request, KWARGS, param, value.to_string());
                }
            }
            if let Some((param, value)) = effort {
                set_effort(draft, request, param, value, only_absent);
            }
            if let Some((param, value)) = mode
                && !(only_absent && draft.has(request, param))
            {
                draft.set(param, value.to_string());
            }
        }
        ReasoningEdit::Thinking { on, effort } => {
            draft.remove(KWARGS);
            if !draft.has(request, "thinking") {
                let kind = if *on { "enabled" } else { "disabled" };
                draft.set("thinking", serde_json::json!({ "type": kind }).to_string());
            }
            if *on {
                let effort = Value::from(&**effort);
                set_effort(draft, request, "reasoning_effort", &effort, only_absent);
            }
        }
    }
}

/// Sets the effort where the wire has it.
fn set_effort(draft: &mut Edits, request: &Request, param: &str, value: &Value, only_absent: bool) {
    // Responses keeps the effort in an object of its own, and so do some chat servers, which take
    // one of both forms.
    let has_object = ["effort", "enabled", "max_tokens"]
        .iter()
        .any(|name| draft.has_in(request, "reasoning", name));
    let is_responses = request.dialect() == Dialect::OpenAiResponses;
    let is_there = if is_responses {
        draft.has_in(request, "reasoning", "effort")
    } else {
        has_object || draft.has(request, param)
    };
    if only_absent && is_there {
        return;
    }
    if is_responses {
        draft.set_in(request, "reasoning", "effort", value.to_string());
    } else {
        draft.set(param, value.to_string());
    }
}

/// Removes the caller's effort.
fn forget_effort(draft: &mut Edits, request: &Request) {
    remove(draft, request, "reasoning_effort");
    draft.remove_in(request, "reasoning", "effort");
}

/// Removes what the caller wrote to switch reasoning on or off.
fn forget_switches(draft: &mut Edits, request: &Request) {
    for name in ["thinking", "enable_thinking", "think"] {
        remove(draft, request, name);
    }
    for (object, name) in [
        ("reasoning", "enabled"),
        ("reasoning", "max_tokens"),
        (KWARGS, "enable_thinking"),
        (KWARGS, "thinking"),
    ] {
        draft.remove_in(request, object, name);
    }
}

fn remove(draft: &mut Edits, request: &Request, name: &str) {
    if draft.current(request, name).is_some() {
        draft.remove(name);
    }
}
