//! The LLM wires (OpenAI chat completions, OpenAI Responses, Anthropic Messages) and the endpoints
//! beside them: parse to a [`Prompt`], edit in place, say errors in each one's shape, read and write
//! streams of events.
//! Pure: no I/O, no async.

pub mod answer;
pub mod attachments;
pub mod edit;
pub mod endpoint;
pub mod eval;
pub mod fast_response;
pub mod models;
pub mod prompt;
pub mod refusal;
pub mod request;
pub mod sse;
pub mod translate;
pub mod usage;
pub mod wrappers;

mod anthropic_messages;
mod batch;
mod deadline;
mod form;
mod gather;
mod json;
mod kinds;
mod members;
mod metadata;
mod meter;
mod openai_chat;
mod openai_responses;
mod reasoning;
mod service;
mod turns;
mod vocabulary;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod linear;

pub use answer::{AnswerReader, Delta, DeltaKind, Part, ToolCall};
pub use attachments::Media;
pub use edit::{CacheMarks, Edits, PromptMode, RequestParams};
pub use endpoint::{
    Dialect, Endpoint, PathPattern, Paths, Service, Stored, WrongBase, routed_paths,
};
pub use eval::{EvalError, EvalRequest};
pub use fast_response::FastResponse;
pub use models::{ListShape, ModelEntry, Routing};
pub use prompt::{Aside, Attached, Continuity, Conversation, Place, Prompt, Texts, TokenFacts};
pub use refusal::{Refusal, error_body};
pub use request::{Asked, ReadOptions, Refused, RefusedKind, Request};
pub use usage::{BodyKind, Outcome, Usage, UsageFold, UsageReader};
pub use wrappers::Wrappers;
