//! A chat completion as a cascade reads it.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

/// A model's answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// As it came.
    pub raw: Bytes,
    /// The text; empty beside tool calls.
    pub text: String,
    /// Reasoning that the server shows apart from the text.
    pub reasoning: Option<String>,
    /// Tool calls, as they came.
    pub tool_calls: Vec<Value>,
    /// `stop`, `length`, `tool_calls` …; `stop` where the server says nothing.
    pub finish: String,
    /// What it took.
    pub usage: Usage,
    /// Its tokens with their probabilities; empty where the server gives none.
    pub tokens: Vec<Token>,
}

/// One token of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Token {
    /// Its text.
    pub text: String,
    /// Its log probability.
    pub logprob: f64,
    /// Log probabilities of the most likely choices.
    pub top: Vec<f64>,
}

/// Tokens as a server reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Of the prompt.
    pub prompt_tokens: u64,
    /// Of the answer.
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
}

impl Usage {
    /// Adds another call's.
    pub fn add(&mut self, other: Self) {
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self
            .completion_tokens
            .saturating_add(other.completion_tokens);
        self.total_tokens = self.total_tokens.saturating_add(other.total_tokens);
    }
}

impl Token {
    /// Between the two most likely choices; `None` if they are not there.
    pub(super) fn distance(&self) -> Option<f64> {
        let mut top = self.top.clone();
        top.sort_by(|left, right| right.total_cmp(left));
        match top.as_slice() {
            [first, second, ..] => Some(first - second),
            _ => None,
        }
    }
}

/// The parts of the wire that are read.
#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    logprobs: Option<Logprobs>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Message {
    content: Option<Value>,
    reasoning_content: Option<Value>,
    tool_calls: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Logprobs {
    #[serde(default)]
    content: Option<Vec<WireToken>>,
}

#[derive(Deserialize)]
struct WireToken {
    #[serde(default)]
    token: String,
    logprob: f64,
    #[serde(default)]
    top_logprobs: Vec<Alternative>,
}

#[derive(Deserialize)]
struct Alternative {
    logprob: f64,
}

impl Answer {
    /// Reads a chat completion; `None` if it is none, or has no choice.
    #[must_use]
    pub fn read(raw: Bytes) -> Option<Self> {
        let completion: Completion = serde_json::from_slice(&raw).ok()?;
        let usage = completion.usage.unwrap_or_default();
        let choice = completion.choices.into_iter().next()?;
        let token = |token: WireToken| Token {
            text: token.token,
            logprob: token.logprob,
            top: token
                .top_logprobs
                .into_iter()
                .map(|other| other.logprob)
                .collect(),
        };
        let tokens = choice
            .logprobs
            .and_then(|logprobs| logprobs.content)
            .unwrap_or_default();
        let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
        Some(Self {
            raw,
            text: text(choice.message.content).unwrap_or_default(),
            reasoning: text(choice.message.reasoning_content).filter(|text| !text.is_empty()),
            tool_calls: choice.message.tool_calls.unwrap_or_default(),
            finish: choice.finish_reason.unwrap_or_else(|| "stop".to_owned()),
            usage,
            tokens: tokens.into_iter().map(token).collect(),
        })
    }

    /// It says nothing and calls nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.tool_calls.is_empty()
    }

    /// Arguments of its tool calls.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &str> {
        self.tool_calls
            .iter()
            .filter_map(|call| call.pointer("/function/arguments")?.as_str())
    }
}

/// What an error body says; the whole text where it is in nobody's shape.
#[must_use]
pub fn error_message(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let error = value.get("error").unwrap_or(&value);
    let message = error
        .get("message")
        .and_then(Value::as_str)
        .or_else(|| error.as_str())?;
    Some(message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_servers_write() {
        let body = r#"{"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"},
            "finish_reason": "length", "logprobs": {"content": [{"token": "hi", "logprob": -0.1, "bytes": [104],
            "top_logprobs": [{"token": "hi", "logprob": -0.1}, {"token": "ho", "logprob": -2.1}]}], "refusal": null}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}"#;
        let answer = Answer::read(body.into()).unwrap();
        assert_eq!(
            (
                answer.text.as_str(),
                answer.finish.as_str(),
                answer.usage.total_tokens
            ),
            ("hi", "length", 4)
        );
        assert_eq!(
            answer.tokens,
            [Token {
                text: "hi".into(),
                logprob: -0.1,
                top: vec![-0.1, -2.1]
            }]
        );
        let calls = r#"{"choices": [{"message": {"content": null, "tool_calls": [{"id": "c", "type": "function",
            "function": {"name": "f", "arguments": "{}"}}]}, "logprobs": null}], "usage": null}"#;
        let answer = Answer::read(calls.into()).unwrap();
        assert_eq!(
            (
                answer.text.as_str(),
                answer.tool_calls.len(),
                answer.is_empty()
            ),
            ("", 1, false)
        );
        assert_eq!(answer.arguments().collect::<Vec<_>>(), ["{}"]);
    }

    #[test]
    fn what_is_no_answer() {
        for body in [
            "",
            "{}",
            "[]",
            r#"{"choices": []}"#,
            r#"{"choices": [{"text": "old"}]}"#,
            "data: {}",
        ] {
            assert_eq!(
                Answer::read(Bytes::copy_from_slice(body.as_bytes())),
                None,
                "{body}"
            );
        }
    }

    #[test]
    fn errors_of_all_shapes() {
        let check = |body: &str, expected: Option<&str>| {
            assert_eq!(
                error_message(body.as_bytes()).as_deref(),
                expected,
                "{body}"
            );
        };
        check(
            r#"{"error": {"message": "too long", "type": "t"}}"#,
            Some("too long"),
        );
        check(
            r#"{"type": "error", "error": {"type": "t", "message": "no"}}"#,
            Some("no"),
        );
        check(r#"{"error": "flat"}"#, Some("flat"));
        check(r#"{"message": "bare"}"#, Some("bare"));
        check("upstream connect error", None);
    }
}
