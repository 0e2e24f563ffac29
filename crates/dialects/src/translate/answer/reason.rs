//! Why a model stopped, from the words of each wire.

use crate::answer::StopReason;
use crate::endpoint::Dialect;

/// The backend says that its answer failed.
pub(super) struct Failed;

/// Returns why the model stopped; `None` for a word that is not known.
pub(super) fn reason(backend: Dialect, word: &str) -> Option<Result<StopReason, Failed>> {
    use StopReason::{Done, Filtered, Length, ToolCalls};
    Some(match (backend, word) {
        (Dialect::OpenAiChat, "stop") => Ok(Done),
        (Dialect::OpenAiChat, "tool_calls" | "function_call") => Ok(ToolCalls),
        (Dialect::OpenAiChat, "length") => Ok(Length),
        (Dialect::OpenAiChat, "content_filter") => Ok(Filtered),
        (Dialect::OpenAiChat, "error" | "abort") => Err(Failed),
        (Dialect::OpenAiResponses, "completed") => Ok(Done),
        (Dialect::OpenAiResponses, "max_output_tokens" | "incomplete") => Ok(Length),
        (Dialect::OpenAiResponses, "content_filter") => Ok(Filtered),
        (Dialect::OpenAiResponses, "failed" | "cancelled") => Err(Failed),
        (Dialect::AnthropicMessages, "end_turn" | "stop_sequence" | "pause_turn") => Ok(Done),
        (Dialect::AnthropicMessages, "tool_use") => Ok(ToolCalls),
        (Dialect::AnthropicMessages, "max_tokens" | "model_context_window_exceeded") => Ok(Length),
        (Dialect::AnthropicMessages, "refusal") => Ok(Filtered),
        _ => return None,
    })
}
