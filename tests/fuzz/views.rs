//! Any body is read or refused on every wire, the same way each time.

use bytes::Bytes;
use dialects::{Dialect, EvalRequest, ReadOptions, Request};
use proptest::prelude::*;

use crate::{json, run};

/// The wires.
pub(crate) const WIRES: [Dialect; 3] = [
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::AnthropicMessages,
];

pub(crate) fn fuzz(target: &str) -> anyhow::Result<()> {
    run::run(target, &json::bodies()?, |body| {
        let body = Bytes::from(body.0);
        let is_json = json::is_json(&body);
        let options = ReadOptions::default();
        for wire in WIRES {
            let read = Request::parse(wire, body.clone(), &options);
            let again = Request::parse(wire, body.clone(), &options);
            match (read, again) {
                (Ok(request), Ok(again)) => {
                    prop_assert!(is_json, "{wire} accepts what is no JSON");
                    prop_assert_eq!(request.body(), &body);
                    prop_assert_eq!(request.prompt(), again.prompt());
                }
                (Err(refused), Err(again)) => {
                    prop_assert_eq!(refused.status, 400);
                    prop_assert!(!refused.message.is_empty());
                    prop_assert_eq!(refused, again);
                }
                _ => prop_assert!(false, "{wire} reads the same body in two ways"),
            }
        }
        let read = EvalRequest::parse(&body, false, &options);
        prop_assert_eq!(read, EvalRequest::parse(&body, false, &options));
        Ok(())
    })
}
