//! Text of a request and its answer, as far as a policy lets it be kept.
//!
//! Where the request must not be kept, neither its prompt nor its tools nor the texts of its steps
//! are; where the answer must not, neither its text nor arguments nor outputs. Names, ids, order
//! and lengths of steps stay. Every text is cut at a character's end.

use std::collections::BTreeSet;

use crate::record::{
    Captured, DecisionRecord, SpanText, StepSource, Text, ToolStep, ToolStepType, ToolTrace,
    VERSION,
};

/// Bytes of a body that are kept where nothing else is said.
pub const BODY_BYTES: usize = 4_096;
/// Steps of a trace that are kept where nothing else is said.
pub const TRACE_STEPS: usize = 100;

/// What may be kept, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureSettings {
    /// The request's text.
    pub request: bool,
    /// The answer's text.
    pub response: bool,
    /// Bytes of each body.
    pub max_body_bytes: usize,
    /// Bytes of the prompt, the tools' definitions, and each text of a step. 0: no limit.
    pub max_tool_trace_bytes: usize,
    /// Steps, the youngest. 0: no limit.
    pub max_tool_trace_steps: usize,
}

impl Default for CaptureSettings {
    fn default() -> Self {
        Self {
            request: false,
            response: false,
            max_body_bytes: BODY_BYTES,
            max_tool_trace_bytes: 0,
            max_tool_trace_steps: TRACE_STEPS,
        }
    }
}

/// Gathers the text of one request.
#[derive(Debug)]
pub struct Capture {
    settings: CaptureSettings,
    captured: Captured,
}

impl Capture {
    /// Begins the capture for a record.
    #[must_use]
    pub fn new(record: &DecisionRecord, settings: CaptureSettings) -> Self {
        let captured = Captured {
            id: record.id.clone(),
            time: record.time,
            version: VERSION,
            ..Captured::default()
        };
        Self { settings, captured }
    }

    /// Takes the request's body.
    pub fn request_body(&mut self, body: &[u8]) {
        if self.settings.request {
            self.captured.request_body = Some(body_text(body, self.settings.max_body_bytes));
        }
    }

    /// Takes the answer's body: the bytes that the client got, or the answer that a stream made.
    pub fn response_body(&mut self, body: &[u8]) {
        if self.settings.response {
            self.captured.response_body = Some(body_text(body, self.settings.max_body_bytes));
        }
    }

    /// Takes the text of the last user message.
    pub fn prompt(&mut self, prompt: &str) {
        if self.settings.request {
            self.captured.prompt = Some(cut(prompt, self.trace_bytes()));
        }
    }

    /// Takes the definitions of tools, a JSON text.
    pub fn tool_definitions(&mut self, definitions: &str) {
        if self.settings.request {
            self.captured.tool_definitions = Some(cut(definitions, self.trace_bytes()));
        }
    }

    /// Takes a place in the answer that its sources do not support.
    pub fn hallucination_span(&mut self, span: SpanText) {
        if self.settings.response {
            self.captured.hallucination_spans.push(span);
        }
    }

    /// Takes a step. One that is equal to the step before it is the same, seen twice.
    pub fn step(&mut self, mut step: ToolStep) {
        let length = |text: &str| u64::try_from(text.len()).unwrap_or(u64::MAX);
        step.text_bytes = length(&step.text);
        step.arguments_bytes = length(&step.arguments).max(length(&step.raw_arguments));
        step.output_bytes = length(&step.output).max(length(&step.raw_output));
        let is_kept = match step.source() {
            StepSource::Response | StepSource::Stream => self.settings.response,
            StepSource::Request | StepSource::Unspecified => self.settings.request,
        };
        let limit = if is_kept { self.trace_bytes() } else { 0 };
        for text in [
            &mut step.text,
            &mut step.arguments,
            &mut step.raw_arguments,
            &mut step.output,
            &mut step.raw_output,
        ] {
            let shorter = cut(text, limit);
            step.truncated |= is_kept && shorter.truncated;
            *text = shorter.text;
        }
        let trace = self.captured.tool_trace.get_or_insert_default();
        if trace.steps.last().is_some_and(|last| same(last, &step)) {
            return;
        }
        trace.steps.push(step);
        let most = self.settings.max_tool_trace_steps;
        if most > 0 && trace.steps.len() > most {
            trace.steps.remove(0);
            trace.dropped_steps = trace.dropped_steps.saturating_add(1);
        }
    }

    /// Returns what was captured; `None` if nothing was.
    #[must_use]
    pub fn finish(self) -> Option<Captured> {
        let empty = Captured {
            id: self.captured.id.clone(),
            time: self.captured.time,
            version: VERSION,
            ..Captured::default()
        };
        (self.captured != empty).then_some(self.captured)
    }

    fn trace_bytes(&self) -> usize {
        match self.settings.max_tool_trace_bytes {
            0 => usize::MAX,
            most => most,
        }
    }
}

fn same(one: &ToolStep, other: &ToolStep) -> bool {
    let without_source = |step: &ToolStep| ToolStep {
        source: StepSource::Unspecified.into(),
        ..step.clone()
    };
    without_source(one) == without_source(other)
}

/// Cuts a text at the end of the last character that is within so many bytes.
#[must_use]
pub fn cut(text: &str, most: usize) -> Text {
    let end = text.floor_char_boundary(most);
    Text {
        text: text.get(..end).unwrap_or_default().to_owned(),
        truncated: end < text.len(),
    }
}

/// Cuts a body likewise. Bytes that are no text become replacement characters.
fn body_text(body: &[u8], most: usize) -> Text {
    // A character may be cut at the end of what is looked at, so a few bytes more are.
    let near = body.get(..most.saturating_add(4)).unwrap_or(body);
    let text = cut(&String::from_utf8_lossy(near), most);
    Text {
        truncated: text.truncated || near.len() < body.len(),
        ..text
    }
}

impl ToolStepType {
    /// Returns its name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UserInput => "user_input",
            Self::AssistantToolCall => "assistant_tool_call",
            Self::ClientToolResult => "client_tool_result",
            Self::AssistantFinalResponse => "assistant_final_response",
            Self::AssistantReasoningComplete => "assistant_reasoning_complete",
            Self::Unspecified => "unknown",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::UserInput => "User Query",
            Self::AssistantToolCall => "LLM Tool Call",
            Self::ClientToolResult => "Client Tool Result",
            Self::AssistantFinalResponse => "LLM Final Response",
            Self::AssistantReasoningComplete => "LLM Reasoning Complete",
            Self::Unspecified => "Unknown",
        }
    }
}

impl ToolTrace {
    /// Returns what happened, in words: `User Query -> LLM Tool Call -> …`, without repeats.
    #[must_use]
    pub fn flow(&self) -> String {
        let mut labels: Vec<&str> = self.steps.iter().map(|it| it.r#type().label()).collect();
        labels.dedup();
        labels.join(" -> ")
    }

    /// Returns what happened last, in words.
    #[must_use]
    pub fn stage(&self) -> &'static str {
        self.steps
            .last()
            .map(|step| step.r#type().label())
            .unwrap_or_default()
    }

    /// Returns the names of the tools that were called, each once.
    #[must_use]
    pub fn tool_names(&self) -> BTreeSet<&str> {
        let names = self.steps.iter().map(|step| step.tool_name.as_str());
        names.filter(|name| !name.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests;
