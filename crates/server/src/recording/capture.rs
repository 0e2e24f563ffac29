//! The text of a request that is kept beside its record: as much as `router_replay` says, and where
//! a boundary holds, only if it allows that.

use super::event::Begun;
use dialects::{Asked, Dialect, Request};
use records::capture::{Capture, CaptureSettings};
use records::record::DecisionRecord;
use router::plan::ReplayPolicy;

/// Takes the text of a request.
pub(super) fn request(record: &DecisionRecord, begun: &Begun) -> Capture {
    let settings = begun.trace.replay.as_deref().map(settings);
    let settings = settings.unwrap_or_default();
    let mut capture = Capture::new(record, settings);
    if !settings.request {
        return capture;
    }
    let Some(body) = &begun.body else {
        return capture;
    };
    capture.request_body(body.bytes());
    let asked = Asked {
        dialect: begun.seen.dialect.unwrap_or(Dialect::OpenAiChat),
        service: begun.read.service,
        content_type: &begun.read.content_type,
        model: None,
    };
    let reading = &begun.seen.serving.router.settings.reading;
    if let Ok(request) = Request::read(&asked, body.bytes().to_vec().into(), reading) {
        capture.prompt(&request.prompt().texts.current);
        if let Some(tools) = request.member("tools") {
            capture.tool_definitions(tools);
        }
    }
    capture
}

fn settings(policy: &ReplayPolicy) -> CaptureSettings {
    let limit = |most: usize| if most == usize::MAX { 0 } else { most };
    CaptureSettings {
        request: policy.request_text,
        response: policy.response_text,
        max_body_bytes: policy.body_bytes,
        max_tool_trace_bytes: limit(policy.trace_bytes),
        max_tool_trace_steps: limit(policy.trace_steps),
    }
}
