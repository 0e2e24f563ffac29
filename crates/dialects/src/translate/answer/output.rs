//! Where a fold writes: events of a stream, or one body.

use serde_json::Value;

use super::Reply;
use crate::answer::write::{MessagesWriter, ResponsesWriter, Source, Whole};
use crate::answer::{AnswerHead, AnswerWriter, StopReason};
use crate::endpoint::Dialect;
use crate::usage::{BODY_LIMIT, ResponseError, Usage};

/// Takes an answer in the order in which it is told.
pub(super) trait Output {
    fn new(reply: &Reply, head: AnswerHead) -> Self;
    fn begin(&mut self, out: &mut String);
    fn text(&mut self, out: &mut String, text: &str);
    fn reasoning(&mut self, out: &mut String, text: &str);
    fn refusal(&mut self, out: &mut String, text: &str);
    /// Returns whether the wire could say it.
    fn citation(&mut self, out: &mut String, source: &Source<'_>) -> bool;
    fn tool_call(&mut self, out: &mut String, id: &str, name: &str) -> usize;
    fn arguments(&mut self, out: &mut String, call: usize, piece: &str);
    fn close_call(&mut self, out: &mut String, call: usize);
    /// Returns whether the wire could say it.
    fn stopped_at(&mut self, sequence: &str) -> bool;
    fn end(&mut self, out: &mut String, reason: StopReason, usage: Option<Usage>);
    fn error(&mut self, out: &mut String, error: &ResponseError);
    fn is_overfull(&self) -> bool;
}

/// Writes events.
#[derive(Debug)]
pub(super) struct Events {
    writer: AnswerWriter,
    /// The client gets no usage unless it asked for it.
    keeps_usage: bool,
}

impl Output for Events {
    fn new(reply: &Reply, head: AnswerHead) -> Self {
        let writer = match reply.client {
            Dialect::OpenAiResponses => {
                let writer = ResponsesWriter::new(&head).with_echo(&reply.echo);
                AnswerWriter::Responses(Box::new(writer))
            }
            Dialect::AnthropicMessages => AnswerWriter::Messages(MessagesWriter::new(head)),
            Dialect::OpenAiChat => AnswerWriter::new(reply.client, head),
        };
        Self {
            writer,
            keeps_usage: reply.wants_usage || reply.client != Dialect::OpenAiChat,
        }
    }

    fn begin(&mut self, out: &mut String) {
        self.writer.begin(out);
    }

    fn text(&mut self, out: &mut String, text: &str) {
        self.writer.text(out, text);
    }

    fn reasoning(&mut self, out: &mut String, text: &str) {
        self.writer.reasoning(out, text);
    }

    fn refusal(&mut self, out: &mut String, text: &str) {
        self.writer.refusal(out, text);
    }

    fn citation(&mut self, out: &mut String, source: &Source<'_>) -> bool {
        self.writer.citation(out, source)
    }

    fn tool_call(&mut self, out: &mut String, id: &str, name: &str) -> usize {
        self.writer.tool_call(out, id, name)
    }

    fn arguments(&mut self, out: &mut String, call: usize, piece: &str) {
        self.writer.arguments(out, call, piece);
    }

    fn close_call(&mut self, out: &mut String, call: usize) {
        self.writer.close_call(out, call);
    }

    fn stopped_at(&mut self, sequence: &str) -> bool {
        self.writer.stopped_at(sequence)
    }

    fn end(&mut self, out: &mut String, reason: StopReason, usage: Option<Usage>) {
        self.writer
            .end(out, reason, usage.filter(|_| self.keeps_usage));
    }

    fn error(&mut self, out: &mut String, error: &ResponseError) {
        self.writer.error(out, error);
    }

    fn is_overfull(&self) -> bool {
        self.writer.is_overfull()
    }
}

/// Writes one body.
#[derive(Debug)]
pub(super) struct Body {
    kind: Kind,
    /// Bytes of texts and arguments.
    kept: usize,
    result: Option<Result<Value, ResponseError>>,
}

#[derive(Debug)]
enum Kind {
    /// A response is what its stream ends with; the events themselves are let go.
    Response(Box<ResponsesWriter>),
    Completion(Whole, AnswerHead),
    Message(Whole, AnswerHead),
    /// It has ended.
    Done,
}

impl Body {
    /// Returns the body, or why there is none.
    pub(super) fn into_result(self) -> Result<Value, ResponseError> {
        self.result.unwrap_or_else(|| Err(ResponseError::default()))
    }

    fn whole(&mut self) -> Option<&mut Whole> {
        match &mut self.kind {
            Kind::Completion(whole, _) | Kind::Message(whole, _) => Some(whole),
            Kind::Response(_) | Kind::Done => None,
        }
    }

    fn response(&mut self, write: impl FnOnce(&mut ResponsesWriter, &mut String)) {
        if let Kind::Response(writer) = &mut self.kind {
            write(writer, &mut String::new());
        }
    }
}

impl Output for Body {
    fn new(reply: &Reply, head: AnswerHead) -> Self {
        let kind = match reply.client {
            Dialect::OpenAiChat => Kind::Completion(Whole::default(), head),
            Dialect::AnthropicMessages => Kind::Message(Whole::default(), head),
            Dialect::OpenAiResponses => {
                Kind::Response(Box::new(ResponsesWriter::new(&head).with_echo(&reply.echo)))
            }
        };
        Self {
            kind,
            kept: 0,
            result: None,
        }
    }

    fn begin(&mut self, _out: &mut String) {}

    fn text(&mut self, _out: &mut String, text: &str) {
        self.kept += text.len();
        match self.whole() {
            Some(whole) => whole.text(text),
            None => self.response(|writer, out| writer.text(out, text)),
        }
    }

    fn reasoning(&mut self, _out: &mut String, text: &str) {
        self.kept += text.len();
        match self.whole() {
            Some(whole) => whole.reasoning(text),
            None => self.response(|writer, out| writer.reasoning(out, text)),
        }
    }

    fn refusal(&mut self, _out: &mut String, text: &str) {
        self.kept += text.len();
        match self.whole() {
            Some(whole) => whole.refusal(text),
            None => self.response(|writer, out| writer.refusal(out, text)),
        }
    }

    fn citation(&mut self, out: &mut String, source: &Source<'_>) -> bool {
        match &mut self.kind {
            Kind::Completion(whole, _) | Kind::Message(whole, _) => whole.citation(source),
            Kind::Response(writer) => writer.citation(out, source),
            Kind::Done => false,
        }
    }

    fn tool_call(&mut self, _out: &mut String, id: &str, name: &str) -> usize {
        self.kept += id.len() + name.len();
        match &mut self.kind {
            Kind::Completion(whole, _) | Kind::Message(whole, _) => whole.tool_call(id, name),
            Kind::Response(writer) => writer.tool_call(&mut String::new(), id, name),
            Kind::Done => 0,
        }
    }

    fn arguments(&mut self, _out: &mut String, call: usize, piece: &str) {
        self.kept += piece.len();
        match self.whole() {
            Some(whole) => whole.arguments(call, piece),
            None => self.response(|writer, out| writer.arguments(out, call, piece)),
        }
    }

    fn close_call(&mut self, _out: &mut String, call: usize) {
        self.response(|writer, out| writer.close_call(out, call));
    }

    fn stopped_at(&mut self, sequence: &str) -> bool {
        let Some(whole) = self.whole() else {
            return false;
        };
        whole.stopped_at(sequence);
        true
    }

    fn end(&mut self, _out: &mut String, reason: StopReason, usage: Option<Usage>) {
        let body = match std::mem::replace(&mut self.kind, Kind::Done) {
            Kind::Completion(whole, head) => whole.completion(&head, reason, usage),
            Kind::Message(whole, head) => whole.message(&head, reason, usage),
            Kind::Response(mut writer) => {
                writer.end(&mut String::new(), reason, usage);
                writer.into_response()
            }
            Kind::Done => return,
        };
        self.result = Some(Ok(body));
    }

    fn error(&mut self, _out: &mut String, error: &ResponseError) {
        self.result = Some(Err(error.clone()));
    }

    fn is_overfull(&self) -> bool {
        self.kept > BODY_LIMIT
    }
}
