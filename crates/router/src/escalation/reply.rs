//! The client's answer after a run: one chat completion, or the same as a stream of events that is
//! ready before it begins.

use super::answer::{Answer, Usage};
use dialects::answer::AnswerHead;
use dialects::answer::write::ChatWriter;
use serde_json::{Map, Value, json};

/// Bytes of text in one event at most.
const PIECE: usize = 50;

/// An answer to be written down.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// The model that gave it, as the policy names it.
    pub model: &'a str,
    /// What it said.
    pub answer: &'a Answer,
    /// Of all calls.
    pub usage: Usage,
    /// The client asked for the tokens' probabilities.
    pub logprobs: bool,
    /// Now, nanoseconds since 1970: the id and the time.
    pub unix_nanos: u64,
}

impl Reply<'_> {
    /// One chat completion. An answer that calls tools keeps its own body, with another id, model
    /// and usage.
    #[must_use]
    pub fn whole(&self) -> String {
        let raw: Value = serde_json::from_slice(&self.answer.raw).unwrap_or_default();
        if let (false, Value::Object(mut body)) = (self.answer.tool_calls.is_empty(), raw.clone()) {
            body.insert("id".to_owned(), json!(self.id()));
            body.insert("model".to_owned(), json!(self.model));
            body.insert("usage".to_owned(), self.usage());
            return Value::Object(body).to_string();
        }
        let mut message = json!({"role": "assistant", "content": self.answer.text});
        if let (Some(reasoning), Some(message)) = (&self.answer.reasoning, message.as_object_mut())
        {
            message.insert("reasoning_content".to_owned(), json!(reasoning));
        }
        let mut choice = json!({"index": 0, "message": message, "finish_reason": self.finish()});
        let logprobs = raw.pointer("/choices/0/logprobs").filter(|_| self.logprobs);
        if let (Some(logprobs), Some(choice)) = (logprobs, choice.as_object_mut()) {
            choice.insert("logprobs".to_owned(), logprobs.clone());
        }
        let mut body = self.head("chat.completion");
        body.insert("choices".to_owned(), json!([choice]));
        body.insert("usage".to_owned(), self.usage());
        Value::Object(body).to_string()
    }

    /// The events of a stream, each with its blank line.
    #[must_use]
    pub fn events(&self, with_usage: bool) -> Vec<String> {
        let mut writer = ChatWriter::new(AnswerHead {
            id: self.id(),
            model: self.model.to_owned(),
            created: self.created(),
        });
        let mut out = String::new();
        writer.begin(&mut out);
        for piece in pieces(self.answer.reasoning.as_deref().unwrap_or_default()) {
            writer.reasoning(&mut out, piece);
        }
        for piece in pieces(&self.answer.text) {
            writer.text(&mut out, piece);
        }
        for (index, call) in self.answer.tool_calls.iter().enumerate() {
            let mut call = call.clone();
            if let Some(call) = call.as_object_mut() {
                call.insert("index".to_owned(), json!(index));
            }
            writer.delta(&mut out, json!({"tool_calls": [call]}));
        }
        let usage = with_usage.then(|| self.usage());
        writer.finish(&mut out, self.finish(), usage);
        // JSON has no line ends, so each event ends at its blank line.
        out.split_inclusive("\n\n").map(str::to_owned).collect()
    }

    /// `stop`, unless that would hide that the answer was cut, or that it calls tools.
    fn finish(&self) -> &str {
        match self.answer.finish.as_str() {
            cut @ ("length" | "content_filter") => cut,
            _ if !self.answer.tool_calls.is_empty() => "tool_calls",
            _ => "stop",
        }
    }

    fn created(&self) -> u64 {
        self.unix_nanos / 1_000_000_000
    }

    fn id(&self) -> String {
        format!("chatcmpl-confidence-{}", self.unix_nanos)
    }

    fn usage(&self) -> Value {
        let Usage {
            prompt_tokens,
            completion_tokens,
            total_tokens,
        } = self.usage;
        json!({"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total_tokens})
    }

    fn head(&self, object: &str) -> Map<String, Value> {
        let head = [
            ("id", json!(self.id())),
            ("object", json!(object)),
            ("created", json!(self.created())),
            ("model", json!(self.model)),
        ];
        head.into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// A text in pieces that end between characters.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        // A character is at most 4 bytes, so that a piece is never empty.
        let (piece, after) = rest.split_at_checked(rest.floor_char_boundary(PIECE))?;
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply<'a>(answer: &'a Answer, logprobs: bool) -> Reply<'a> {
        let usage = Usage {
            prompt_tokens: 22,
            completion_tokens: 8,
            total_tokens: 30,
        };
        Reply {
            model: "large",
            answer,
            usage,
            logprobs,
            unix_nanos: 1_700_000_000_000_000_001,
        }
    }

    fn said(text: &str, finish: &str) -> Answer {
        let raw = r#"{"id": "up", "model": "m-70b", "choices": [{"logprobs": {"content": []}}], "service_tier": "x"}"#;
        Answer {
            raw: raw.into(),
            text: text.into(),
            finish: finish.into(),
            ..Answer::default()
        }
    }

    fn delta(event: &str) -> Value {
        let data: Value =
            serde_json::from_str(event.trim().strip_prefix("data: ").unwrap()).unwrap();
        data["choices"][0].clone()
    }

    #[test]
    fn one_completion() {
        let expected = r#"{"choices":[{"finish_reason":"stop","index":0,"message":{"content":"hi","role":"assistant"}}],"created":1700000000,"id":"chatcmpl-confidence-1700000000000000001","model":"large","object":"chat.completion","usage":{"completion_tokens":8,"prompt_tokens":22,"total_tokens":30}}"#;
        let answer = said("hi", "stop");
        let got: Value = serde_json::from_str(&reply(&answer, false).whole()).unwrap();
        assert_eq!(got, serde_json::from_str::<Value>(expected).unwrap());
        let got: Value = serde_json::from_str(&reply(&answer, true).whole()).unwrap();
        assert_eq!(got["choices"][0]["logprobs"], json!({"content": []}));
        let cut = said("hi", "length");
        let got: Value = serde_json::from_str(&reply(&cut, false).whole()).unwrap();
        assert_eq!(got["choices"][0]["finish_reason"], "length");
    }

    #[test]
    fn a_tool_call_keeps_its_body() {
        let call =
            json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let answer = Answer {
            tool_calls: vec![call.clone()],
            ..said("", "tool_calls")
        };
        let got: Value = serde_json::from_str(&reply(&answer, false).whole()).unwrap();
        assert_eq!(
            (
                &got["model"],
                &got["service_tier"],
                &got["usage"]["total_tokens"]
            ),
            (&json!("large"), &json!("x"), &json!(30))
        );
        assert_eq!(got["choices"][0]["logprobs"], json!({"content": []}));
        let events = reply(&answer, false).events(false);
        assert_eq!(delta(&events[1])["delta"]["tool_calls"][0]["index"], 0);
        assert_eq!(delta(&events[2])["finish_reason"], "tool_calls");
    }

    #[test]
    fn a_stream_holds_the_same_text() {
        for text in [
            "",
            "hi",
            &"ab".repeat(50),
            &"é".repeat(60),
            &"🦀".repeat(30),
            &"x".repeat(49),
        ] {
            let answer = said(text, "stop");
            let events = reply(&answer, false).events(false);
            assert_eq!(delta(&events[0])["delta"]["role"], "assistant");
            assert_eq!(events.last().unwrap(), "data: [DONE]\n\n");
            let body = &events[1..events.len() - 2];
            let parts: Vec<String> = body
                .iter()
                .map(|event| {
                    delta(event)["delta"]["content"]
                        .as_str()
                        .unwrap()
                        .to_owned()
                })
                .collect();
            assert_eq!(parts.concat(), text);
            assert!(parts.iter().all(|part| part.len() <= PIECE));
            assert_eq!(delta(&events[events.len() - 2])["finish_reason"], "stop");
        }
    }

    #[test]
    fn usage_only_when_asked() {
        let answer = said("hi", "stop");
        let with = reply(&answer, false).events(true);
        let usage: Value =
            serde_json::from_str(with[3].trim().strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(
            (&usage["choices"], &usage["usage"]["prompt_tokens"]),
            (&json!([]), &json!(22))
        );
        assert_eq!(with.len(), reply(&answer, false).events(false).len() + 1);
    }
}
