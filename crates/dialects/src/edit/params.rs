//! An operator's limits on request parameters.

use super::Edits;
use crate::endpoint::Dialect;
use crate::json::Kind;
use crate::request::Request;

/// Limits on the parameters of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestParams {
    /// Removed, whatever their value.
    pub blocked: Vec<String>,
    /// The most that the output limit may be (`max_tokens`; `max_output_tokens` of the Responses
    /// wire), tokens.
    pub max_tokens: Option<u64>,
    /// The output limit of a request that has none; the most that it may be counts for this too.
    pub default_max_tokens: Option<u64>,
    /// The most that `n` may be.
    pub max_n: Option<u64>,
    /// Only the wire's [`known_params`] stay.
    pub strip_unknown: bool,
    /// Stay although they are not among the known ones.
    pub also_known: Vec<String>,
}

/// The parameters of each wire that `strip_unknown` keeps. Of chat they are the 19 that the
/// reference keeps, which takes `stream_options`, `max_completion_tokens` and
/// `chat_template_kwargs` away.
#[must_use]
pub fn known_params(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::OpenAiChat => CHAT,
        Dialect::OpenAiResponses => RESPONSES,
        Dialect::AnthropicMessages => MESSAGES,
    }
}

const CHAT: &[&str] = &[
    "model",
    "messages",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_tokens",
    "n",
    "presence_penalty",
    "response_format",
    "seed",
    "stop",
    "stream",
    "temperature",
    "top_logprobs",
    "top_p",
    "tools",
    "tool_choice",
    "user",
    "reasoning_effort",
];

const RESPONSES: &[&str] = &[
    "model",
    "input",
    "instructions",
    "include",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "conversation",
    "prompt",
    "reasoning",
    "store",
    "stream",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

const MESSAGES: &[&str] = &[
    "model",
    "messages",
    "system",
    "max_tokens",
    "metadata",
    "stop_sequences",
    "stream",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

pub(super) fn limit(edits: &mut Edits, request: &Request, params: &RequestParams) {
    for blocked in &params.blocked {
        if edits.current(request, blocked).is_some() {
            edits.remove(blocked);
        }
    }
    let output_limit = if request.dialect() == Dialect::OpenAiResponses {
        "max_output_tokens"
    } else {
        "max_tokens"
    };
    if let Some(default) = params.default_max_tokens
        && !has_limit(edits, request, output_limit)
    {
        edits.set(output_limit, default.to_string());
    }
    cap(edits, request, output_limit, params.max_tokens);
    cap(edits, request, "n", params.max_n);
    if params.strip_unknown {
        strip(edits, request, params);
    }
}

/// Tells whether the client limits the answer, by either name that chat has for it.
fn has_limit(edits: &Edits, request: &Request, name: &str) -> bool {
    [name, "max_completion_tokens"]
        .iter()
        .any(|name| edits.current(request, name).is_some())
}

/// Removes all members but the known ones.
pub(super) fn strip(edits: &mut Edits, request: &Request, params: &RequestParams) {
    let known = known_params(request.dialect());
    let is_unknown =
        |name: &&str| !known.contains(name) && !params.also_known.iter().any(|also| also == name);
    let unknown: Vec<String> = edits
        .names(request)
        .into_iter()
        .filter(is_unknown)
        .map(str::to_owned)
        .collect();
    unknown.iter().for_each(|name| edits.remove(name));
}

/// Caps a number. One that is no integer is removed, what is no number stays for the backend to
/// refuse.
fn cap(edits: &mut Edits, request: &Request, name: &str, limit: Option<u64>) {
    let (Some(limit), Some(raw)) = (limit, edits.current(request, name)) else {
        return;
    };
    if Kind::of(raw) != Kind::Number {
        return;
    }
    let value: f64 = raw.parse().unwrap_or(f64::INFINITY);
    if value.fract() != 0.0 {
        edits.remove(name);
    } else if value > limit as f64 {
        edits.set(name, limit.to_string());
    }
}
