//! The bodies of a run's calls: the client's own with a few members changed, and requests for a
//! grade.

use bytes::Bytes;
use dialects::{Edits, Request};
use router::escalation::judge::Method;
use router::escalation::run::Call;
use router::escalation::verify;

/// Members that limit an answer, the current name first.
const LIMITS: [&str; 2] = ["max_completion_tokens", "max_tokens"];

/// A question and the model that gets it.
pub(super) struct Question<'a> {
    pub(super) request: &'a Request,
    pub(super) method: Method,
    pub(super) model: &'a str,
}

impl Question<'_> {
    /// The body of a call.
    pub(super) fn body(&self, call: &Call) -> Bytes {
        match &call.grade {
            Some(answer) => {
                let question = &self.request.prompt().texts.evaluation;
                verify::request(self.model, question, answer, call.allowance.tokens).into()
            }
            None => self.own(call),
        }
    }

    /// The client's body: every byte that is not named here stays.
    fn own(&self, call: &Call) -> Bytes {
        let mut edits = Edits::new();
        edits.set_model(self.model);
        if self.request.prompt().stream {
            edits.set("stream", "false");
        }
        if self.request.member("stream_options").is_some() {
            edits.remove("stream_options");
        }
        if self.method.needs_logprobs() {
            edits.set("logprobs", "true");
        }
        let alternatives = u64::from(self.method.alternatives());
        if alternatives > self.number("top_logprobs").unwrap_or(0) {
            edits.set("top_logprobs", alternatives.to_string());
        }
        let limited: Vec<&str> = LIMITS
            .into_iter()
            .filter(|name| self.number(name).is_some())
            .collect();
        for name in &limited {
            if self
                .number(name)
                .is_some_and(|own| own > call.allowance.tokens)
            {
                edits.set(name, call.allowance.tokens.to_string());
            }
        }
        if limited.is_empty() && call.allowance.imposed {
            edits.set(LIMITS[0], call.allowance.tokens.to_string());
        }
        edits.apply(self.request)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.request.member(name)?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialects::{Dialect, ReadOptions};
    use router::escalation::budget::Allowance;

    fn check(method: Method, (tokens, imposed): (u64, bool), body: &str, expected: &str) {
        let request = Request::parse(
            Dialect::OpenAiChat,
            body.to_owned().into(),
            &ReadOptions::default(),
        )
        .unwrap();
        let allowance = Allowance {
            tokens,
            imposed,
            bytes: 1,
        };
        let call = Call {
            candidate: 0,
            grade: None,
            iteration: 1,
            again: false,
            allowance,
        };
        let got = Question {
            request: &request,
            method,
            model: "m",
        }
        .body(&call);
        assert_eq!(String::from_utf8_lossy(&got), expected);
    }

    #[test]
    fn what_is_not_named_stays() {
        check(
            Method::Margin,
            (100, false),
            r#"{"x":1.0, "model":"auto","messages":[], "stream":true,"stream_options":{"include_usage":true}}"#,
            r#"{"x":1.0, "model":"m","messages":[], "stream":false,"logprobs":true,"top_logprobs":2}"#,
        );
        let own =
            r#"{"model":"auto","messages":[],"logprobs":true,"top_logprobs":5,"max_tokens":50}"#;
        check(Method::Margin, (100, true), own, &own.replace("auto", "m"));
        check(
            Method::SelfVerify,
            (100, false),
            own,
            &own.replace("auto", "m"),
        );
    }

    #[test]
    fn limits_are_lowered_and_where_needed_set() {
        check(
            Method::AvgLogprob,
            (30, false),
            r#"{"model":"a","messages":[],"max_tokens":50,"max_completion_tokens":20}"#,
            r#"{"model":"m","messages":[],"max_tokens":30,"max_completion_tokens":20,"logprobs":true}"#,
        );
        let bare = r#"{"model":"a","messages":[]}"#;
        check(
            Method::AvgLogprob,
            (30, true),
            bare,
            r#"{"model":"m","messages":[],"logprobs":true,"max_completion_tokens":30}"#,
        );
        check(
            Method::AvgLogprob,
            (30, false),
            bare,
            r#"{"model":"m","messages":[],"logprobs":true}"#,
        );
    }
}
