//! Tests of captured text.

use super::*;

fn all() -> CaptureSettings {
    CaptureSettings {
        request: true,
        response: true,
        ..CaptureSettings::default()
    }
}

fn step(kind: ToolStepType, source: StepSource, text: &str) -> ToolStep {
    ToolStep {
        r#type: kind.into(),
        source: source.into(),
        text: text.to_owned(),
        ..ToolStep::default()
    }
}

#[test]
fn texts_are_cut_at_characters() {
    for (text, most, expected, truncated) in [
        ("abc", 3, "abc", false),
        ("abc", 2, "ab", true),
        ("aü", 2, "a", true),
        ("ü", 1, "", true),
        ("", 0, "", false),
    ] {
        let found = cut(text, most);
        assert_eq!(
            (found.text.as_str(), found.truncated),
            (expected, truncated)
        );
        assert_eq!(body_text(text.as_bytes(), most), found, "{text}");
    }
    let long = body_text(&[b'x'; 9_000], BODY_BYTES);
    assert_eq!((long.text.len(), long.truncated), (4_096, true));
}

#[test]
fn what_may_not_be_kept_is_not() {
    let record = DecisionRecord::begin(crate::record::Moment(1));
    for (request, response) in [(false, false), (true, false), (false, true)] {
        let settings = CaptureSettings {
            request,
            response,
            ..all()
        };
        let mut capture = Capture::new(&record, settings);
        capture.request_body(b"secret");
        capture.prompt("secret");
        capture.tool_definitions("secret");
        capture.step(step(ToolStepType::UserInput, StepSource::Request, "secret"));
        capture.response_body(b"answer");
        let answer = ToolStepType::AssistantFinalResponse;
        capture.step(step(answer, StepSource::Response, "answer"));
        let captured = capture.finish().unwrap();
        let text = format!("{captured:?}");
        assert_eq!(text.contains("secret"), request, "{text}");
        assert_eq!(text.contains("answer"), response, "{text}");
        // Order and lengths stay.
        let trace = captured.tool_trace.unwrap();
        let lengths: Vec<u64> = trace.steps.iter().map(|it| it.text_bytes).collect();
        assert_eq!(lengths, [6, 6]);
    }
    assert_eq!(
        Capture::new(&record, CaptureSettings::default()).finish(),
        None
    );
}

#[test]
fn the_youngest_steps_stay() {
    let mut capture = Capture::new(&DecisionRecord::default(), all());
    for number in 0..250 {
        let text = number.to_string();
        capture.step(step(ToolStepType::UserInput, StepSource::Request, &text));
        // Seen again in the answer, it is the same.
        capture.step(step(ToolStepType::UserInput, StepSource::Response, &text));
    }
    let trace = capture.finish().unwrap().tool_trace.unwrap();
    assert_eq!((trace.steps.len(), trace.dropped_steps), (100, 150));
    assert_eq!(trace.steps[0].text, "150");
}

#[test]
fn a_flow_in_words() {
    let mut capture = Capture::new(&DecisionRecord::default(), all());
    capture.step(step(ToolStepType::UserInput, StepSource::Request, "q"));
    let call = ToolStep {
        tool_name: "f".to_owned(),
        raw_arguments: "{\"long\": true}".to_owned(),
        ..step(ToolStepType::AssistantToolCall, StepSource::Request, "")
    };
    capture.step(call);
    capture.step(step(
        ToolStepType::ClientToolResult,
        StepSource::Request,
        "42",
    ));
    let end = ToolStepType::AssistantFinalResponse;
    capture.step(step(end, StepSource::Response, "ok"));
    let trace = capture.finish().unwrap().tool_trace.unwrap();
    assert_eq!(
        trace.flow(),
        "User Query -> LLM Tool Call -> Client Tool Result -> LLM Final Response"
    );
    assert_eq!(trace.stage(), "LLM Final Response");
    assert_eq!(trace.tool_names().into_iter().collect::<Vec<_>>(), ["f"]);
}

#[test]
fn raw_arguments_are_cut_too() {
    let settings = CaptureSettings {
        max_tool_trace_bytes: 4,
        ..all()
    };
    let mut capture = Capture::new(&DecisionRecord::default(), settings);
    capture.step(ToolStep {
        raw_arguments: "123456".to_owned(),
        raw_output: "123456".to_owned(),
        ..step(ToolStepType::AssistantToolCall, StepSource::Request, "")
    });
    let step = capture
        .finish()
        .unwrap()
        .tool_trace
        .unwrap()
        .steps
        .remove(0);
    assert_eq!(
        (step.raw_arguments.as_str(), step.raw_output.as_str()),
        ("1234", "1234")
    );
    assert!(step.truncated);
}
