//! An edited body is JSON, says what the edit asked for, and keeps what it did not touch.

use bytes::Bytes;
use dialects::{Edits, PromptMode, ReadOptions, Request};
use proptest::prelude::*;

use crate::{json, run, views};

const MODEL: &str = "vendor/\"chosen\" é";

/// Members that an edit of the model must leave as they are, byte for byte.
const OTHERS: [&str; 8] = [
    "messages",
    "input",
    "system",
    "instructions",
    "tools",
    "metadata",
    "stream",
    "stream_options",
];

pub(crate) fn fuzz(target: &str) -> anyhow::Result<()> {
    run::run(target, &json::bodies()?, |body| {
        let body = Bytes::from(body.0);
        for wire in views::WIRES {
            let Ok(request) = Request::parse(wire, body.clone(), &ReadOptions::default()) else {
                continue;
            };
            check_model(&request)?;
            check_prompt(&request)?;
        }
        Ok(())
    })
}

fn check_model(request: &Request) -> Result<(), TestCaseError> {
    let mut edits = Edits::new();
    edits.set_model(MODEL);
    let edited = Request::parse(
        request.dialect(),
        edits.apply(request),
        &ReadOptions::default(),
    );
    let Ok(edited) = edited else {
        return Err(TestCaseError::fail("the edited body is refused"));
    };
    prop_assert_eq!(&edited.prompt().model, MODEL);
    for name in OTHERS {
        prop_assert_eq!(edited.member(name), request.member(name), "{}", name);
    }
    Ok(())
}

fn check_prompt(request: &Request) -> Result<(), TestCaseError> {
    let mut edits = Edits::new();
    edits.insert_system_prompt(request, PromptMode::Insert, "Be \"brief\".");
    edits.ensure_stream_usage(request);
    edits.set_in(request, "chat_template_kwargs", "thinking", "true");
    edits.remove("metadata");
    let edited = edits.apply(request);
    prop_assert!(json::is_json(&edited));
    Ok(())
}
