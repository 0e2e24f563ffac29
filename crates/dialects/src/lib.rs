//! The LLM wires (OpenAI chat completions, OpenAI Responses, Anthropic Messages): parse to a [`Prompt`], edit in place,
//! say errors in each one's shape, read an SSE stream. Pure: no I/O, no async.

pub mod prompt;

pub use prompt::{Conversation, Prompt, Texts, TokenFacts};
