//! Folds the parts of an answer, in the order in which they come, into the output.

use std::borrow::Cow;

use super::output::Output;
use super::reason::{Failed, reason};
use super::{Reply, error};
use crate::answer::write::Source;
use crate::answer::{
    AnswerHead, AnswerReader, Citation, Delta, DeltaKind, Part, StopReason, ToolCall,
};
use crate::endpoint::Dialect;
use crate::sse::Segment;
use crate::translate::{Loss, Losses, Severity};
use crate::usage::{ResponseError, Usage};

/// Tool calls that one answer may have.
const CALLS: usize = 1_024;

/// Losses that are kept.
const LOSSES: usize = 64;

/// Bytes of an id that are kept: it stands in every chunk.
const ID: usize = 256;

/// Bytes of arguments that may wait for their call's name, and of citations for their text's end.
const WAITING: usize = 1 << 20;

/// Translates an answer.
#[derive(Debug)]
pub(super) struct Fold<O> {
    reply: Reply,
    created: u64,
    id: Option<String>,
    /// Begun with the first part that says something.
    output: Option<O>,
    /// The choice that the parts belong to.
    choice: u64,
    calls: Vec<Call>,
    /// The text that came last, so that its whole is known for a repetition.
    last: Option<(u64, DeltaKind)>,
    /// Characters of the block or item whose text came last.
    chars: u64,
    /// Citations that wait for the end of their block, and how many bytes they have.
    cited: Vec<Citation<'static>>,
    waiting: usize,
    usage: Option<Usage>,
    stop: Option<StopReason>,
    /// The backend has said that nothing more comes.
    ended: bool,
    /// Something of the answer was there.
    said: bool,
    done: bool,
    failure: Option<ResponseError>,
    losses: Losses,
}

/// A tool call that has been met.
#[derive(Debug)]
struct Call {
    /// The backend's number.
    index: u64,
    id: Option<String>,
    name: Option<String>,
    /// The output's number, once it has begun there.
    number: Option<usize>,
    /// Arguments that came before the name.
    held: String,
    has_arguments: bool,
}

impl<O: Output> Fold<O> {
    pub(super) fn new(reply: &Reply, created: u64) -> Self {
        Self {
            reply: reply.clone(),
            created,
            id: None,
            output: None,
            choice: 0,
            calls: Vec::new(),
            last: None,
            chars: 0,
            cited: Vec::new(),
            waiting: 0,
            usage: None,
            stop: None,
            ended: false,
            said: false,
            done: false,
            failure: None,
            losses: Losses::new(),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn failure(&self) -> Option<&ResponseError> {
        self.failure.as_ref()
    }

    pub(super) fn losses(&self) -> &Losses {
        &self.losses
    }

    pub(super) fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }

    /// Returns the output; one that never began is empty.
    pub(super) fn into_output(self) -> O {
        let head = self.head();
        self.output.unwrap_or_else(|| O::new(&self.reply, head))
    }

    /// Takes a piece of a stream.
    pub(super) fn segment(
        &mut self,
        reader: &mut AnswerReader,
        segment: Segment<'_>,
        out: &mut String,
    ) {
        if self.done {
            return;
        }
        match segment {
            Segment::Event(event) if event.data.trim_ascii().is_empty() => self.ping(out),
            Segment::Event(event) => {
                self.choice = 0;
                reader.event(event, |part| self.part(part, out));
                // The client learns at once that there is an answer.
                if !self.done && self.id.is_some() && self.output.is_none() {
                    self.output().begin(out);
                }
                if self.ended && !self.done {
                    self.end(out);
                }
            }
            Segment::Filler(bytes) if is_comment(bytes) => self.ping(out),
            Segment::Filler(_) => {}
            Segment::Unread(_) => self.fail(
                out,
                error::server("The model's server sent an event that is too large to be read."),
            ),
        }
    }

    /// Ends a stream.
    pub(super) fn finish(&mut self, out: &mut String) {
        if self.done {
            return;
        }
        if self.stop.is_some() {
            self.end(out);
        } else if self.said || self.id.is_some() {
            self.fail(
                out,
                error::server(
                    "The model's server ended the stream before its answer was complete.",
                ),
            );
        } else {
            self.fail(
                out,
                error::server("The model's server sent a stream that holds no answer."),
            );
        }
    }

    /// Takes a whole body.
    pub(super) fn body(&mut self, body: &[u8], out: &mut String) {
        if self.done {
            return;
        }
        if let Some(problem) = error::no_json(body) {
            let message = format!("The model's server answered with {problem}.");
            self.fail(out, error::server(&message));
            return;
        }
        // What the answer is called may stand behind what it says.
        AnswerReader::new(self.reply.backend).body(body, |part| match part {
            Part::Id(id) => self.take_id(&id),
            Part::Created(created) => self.created = created,
            _ => {}
        });
        AnswerReader::new(self.reply.backend).body(body, |part| self.part(part, out));
        if !self.done && (self.said || self.stop.is_some()) {
            self.end(out);
        } else if !self.done {
            let message = "The model's server answered with JSON that is no answer.";
            self.fail(out, error::server(message));
        }
    }

    fn part(&mut self, part: Part<'_>, out: &mut String) {
        if self.done {
            return;
        }
        match part {
            Part::Error(error) => return self.fail(out, error::event(self.reply.client, error)),
            Part::Unreadable => {
                let message = "The model's server sent something that cannot be read.";
                return self.fail(out, error::server(message));
            }
            Part::End => self.ended = true,
            Part::Usage(usage) => self.usage = Some(usage),
            Part::Choice(choice) => self.choice = choice,
            Part::Id(id) => self.take_id(&id),
            Part::Created(created) => self.created = created,
            Part::Model(_) => {}
            Part::Ping => self.ping(out),
            _ if self.choice != 0 => {
                let choice = self.choice;
                self.lose(Severity::Lossy, "additional_choice_dropped", || {
                    format!("choices[{choice}]").into()
                });
            }
            part => self.said(part, out),
        }
        if self.output.as_ref().is_some_and(O::is_overfull) || self.waiting > WAITING {
            let message = "The model's answer is too long to be translated.";
            self.fail(out, error::server(message));
        }
    }

    /// Takes what the first choice says.
    fn said(&mut self, part: Part<'_>, out: &mut String) {
        match part {
            Part::Delta(delta) => self.delta(delta, out),
            Part::Whole(delta) if !self.has_come(delta) => self.delta(delta, out),
            Part::ToolCall(call) => self.call(call, out),
            Part::Citation(citation) => self.cite(citation, out),
            Part::BlockEnd(index) => self.block_end(index, out),
            Part::Stop(word) => self.stopped(&word, out),
            Part::StopSequence(sequence) => self.stopped_at(&sequence),
            Part::Signature => {
                self.lose(Severity::Info, "thinking_signature_dropped", || {
                    "content".into()
                });
            }
            Part::Foreign(kind) => {
                self.said = true;
                let kind = kind.get(..kind.floor_char_boundary(64)).unwrap_or_default();
                let field = format!("content ({})", kind.escape_default());
                self.lose(Severity::Lossy, "unsupported_block_type", || field.into());
            }
            _ => {}
        }
    }

    fn delta(&mut self, delta: Delta<'_>, out: &mut String) {
        self.said = true;
        let Some(text) = delta.text() else {
            // Arguments of a whole message are an object.
            if delta.kind == DeltaKind::ToolArguments && delta.raw != "null" {
                self.arguments(delta.index, delta.raw, out);
            }
            return;
        };
        if text.is_empty() {
            return;
        }
        let key = (delta.index, delta.kind);
        if delta.kind == DeltaKind::Text {
            if self.last.is_some_and(|(index, _)| index != delta.index) {
                self.chars = 0;
            }
            self.chars += u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        }
        match delta.kind {
            DeltaKind::Text => self.output().text(out, &text),
            DeltaKind::Reasoning => self.output().reasoning(out, &text),
            DeltaKind::Refusal => self.output().refusal(out, &text),
            DeltaKind::ToolArguments => return self.arguments(delta.index, &text, out),
            DeltaKind::Other => return,
        }
        self.last = Some(key);
    }

    /// Tells whether deltas have given what an event repeats.
    fn has_come(&self, whole: Delta<'_>) -> bool {
        match whole.kind {
            DeltaKind::ToolArguments => self
                .find(whole.index)
                .is_some_and(|call| call.has_arguments),
            kind => self.last == Some((whole.index, kind)),
        }
    }

    fn find(&self, index: u64) -> Option<&Call> {
        self.calls.iter().rev().find(|call| call.index == index)
    }

    fn find_mut(&mut self, index: u64) -> Option<&mut Call> {
        self.calls.iter_mut().rev().find(|call| call.index == index)
    }

    /// Takes the beginning of a call, or its id or name by itself.
    fn call(&mut self, part: ToolCall<'_>, out: &mut String) {
        self.said = true;
        // Some servers give every call the number 0: another id is another call.
        let known = self.find(part.index).is_some_and(|call| {
            let other = |had: &Option<String>, has: &Option<Cow<'_, str>>| {
                had.is_some() && has.is_some() && had.as_deref() != has.as_deref()
            };
            !other(&call.id, &part.id)
        });
        if !known && self.calls.len() >= CALLS {
            let message = "The model's answer has too many tool calls.";
            return self.fail(out, error::server(message));
        }
        if !known {
            self.calls.push(Call {
                index: part.index,
                id: None,
                name: None,
                number: None,
                held: String::new(),
                has_arguments: false,
            });
        }
        let Some(call) = self.find_mut(part.index) else {
            return;
        };
        let bytes = part.id.as_ref().map_or(0, |id| id.len())
            + part.name.as_ref().map_or(0, |name| name.len());
        call.id = call.id.take().or(part.id.map(Cow::into_owned));
        call.name = call.name.take().or(part.name.map(Cow::into_owned));
        let is_whole = call.id.is_some() && call.name.is_some();
        self.waiting += bytes;
        if is_whole {
            self.begin_call(part.index, out);
        }
    }

    /// Begins a call on the output. One without an id gets one that no other call of the answer has.
    fn begin_call(&mut self, index: u64, out: &mut String) {
        let stem = self.stem();
        let number = self.calls.len();
        let Some(call) = self.find_mut(index).filter(|call| call.number.is_none()) else {
            return;
        };
        let nameless = call.name.is_none();
        let id = call
            .id
            .take()
            .unwrap_or_else(|| format!("call_{stem}_{number}"));
        let name = call.name.take().unwrap_or_default();
        let held = std::mem::take(&mut call.held);
        // They stay, so that another call with the same number is known as one.
        call.id = Some(id.clone());
        call.name = Some(name.clone());
        if nameless {
            self.lose(Severity::Error, "missing_name", || "tool_calls".into());
        }
        self.waiting = self.waiting.saturating_sub(held.len());
        let output = self.output();
        let begun = output.tool_call(out, &id, &name);
        if !held.is_empty() {
            output.arguments(out, begun, &held);
        }
        if let Some(call) = self.find_mut(index) {
            call.number = Some(begun);
        }
    }

    fn arguments(&mut self, index: u64, piece: &str, out: &mut String) {
        if piece.is_empty() {
            return;
        }
        if self.find(index).is_none() {
            self.call(
                ToolCall {
                    index,
                    id: None,
                    name: None,
                },
                out,
            );
        }
        if self
            .find(index)
            .is_some_and(|call| call.number.is_none() && call.name.is_some())
        {
            self.begin_call(index, out);
        }
        let Some(call) = self.find_mut(index) else {
            return;
        };
        call.has_arguments = true;
        match call.number {
            Some(number) => self.output().arguments(out, number, piece),
            None => {
                call.held.push_str(piece);
                self.waiting += piece.len();
            }
        }
    }

    /// Takes a citation. Where it does not say what rests on it, all of its block does, which is
    /// known at the block's end.
    fn cite(&mut self, citation: Citation<'_>, out: &mut String) {
        if citation.url.is_empty() {
            self.lose(Severity::Lossy, "citation_without_url_dropped", || {
                "content[].citations".into()
            });
            return;
        }
        if citation.span.is_some() {
            return self.cited(&citation, out);
        }
        self.waiting += 64 + citation.url.len() + citation.title.len() + citation.cited.len();
        self.cited.push(Citation {
            index: citation.index,
            url: citation.url.into_owned().into(),
            title: citation.title.into_owned().into(),
            cited: citation.cited.into_owned().into(),
            span: None,
        });
    }

    fn cited(&mut self, citation: &Citation<'_>, out: &mut String) {
        let (begin, end) = citation.span.unwrap_or((0, self.chars));
        let source = Source {
            url: &citation.url,
            title: &citation.title,
            cited: &citation.cited,
            begins_back: self.chars.saturating_sub(begin),
            ends_back: self.chars.saturating_sub(end),
        };
        if !self.output().citation(out, &source) {
            self.lose(Severity::Lossy, "citation_dropped", || "annotations".into());
        }
    }

    fn block_end(&mut self, index: u64, out: &mut String) {
        for citation in std::mem::take(&mut self.cited) {
            self.cited(&citation, out);
        }
        if self.find(index).is_some_and(|call| call.number.is_none()) {
            self.begin_call(index, out);
        }
        if let Some(number) = self.find(index).and_then(|call| call.number) {
            self.output().close_call(out, number);
        }
    }

    fn stopped_at(&mut self, sequence: &str) {
        if !self.output().stopped_at(sequence) {
            self.lose(Severity::Info, "stop_sequence_dropped", || {
                "stop_sequence".into()
            });
        }
    }

    fn stopped(&mut self, word: &str, out: &mut String) {
        match reason(self.reply.backend, word) {
            Some(Ok(reason)) => self.stop = Some(reason),
            Some(Err(Failed)) => {
                let message = "The model's server failed before its answer was complete.";
                self.fail(out, error::server(message));
            }
            None => {
                self.stop = Some(StopReason::Done);
                self.lose(Severity::Info, "stop_reason_coerced", || {
                    "stop_reason".into()
                });
            }
        }
    }

    /// Ends an answer that is complete.
    fn end(&mut self, out: &mut String) {
        if !self.said && self.stop.is_none() {
            return self.finish_empty(out);
        }
        let unbegun: Vec<u64> = self
            .calls
            .iter()
            .filter(|call| call.number.is_none())
            .map(|call| call.index)
            .collect();
        for index in unbegun {
            self.begin_call(index, out);
        }
        for citation in std::mem::take(&mut self.cited) {
            self.cited(&citation, out);
        }
        let reason = match self.stop {
            None | Some(StopReason::Done) if !self.calls.is_empty() => StopReason::ToolCalls,
            stop => stop.unwrap_or(StopReason::Done),
        };
        let usage = self.usage;
        self.output().end(out, reason, usage);
        self.done = true;
    }

    fn finish_empty(&mut self, out: &mut String) {
        let message = "The model's server ended its answer before it began.";
        self.fail(out, error::server(message));
    }

    fn fail(&mut self, out: &mut String, error: ResponseError) {
        if !std::mem::replace(&mut self.done, true) {
            self.output().error(out, &error);
            self.failure = Some(error);
        }
    }

    /// Passes a sign of life on.
    fn ping(&mut self, out: &mut String) {
        match (&self.output, self.reply.client) {
            (Some(_), Dialect::AnthropicMessages) => {
                out.push_str("event: ping\ndata: {\"type\":\"ping\"}\n\n");
            }
            _ => out.push_str(": keep-alive\n\n"),
        }
    }

    fn take_id(&mut self, id: &str) {
        if self.id.is_none() {
            let end = id.floor_char_boundary(ID);
            self.id = id.get(..end).map(str::to_owned);
        }
    }

    fn lose(
        &mut self,
        severity: Severity,
        reason: &'static str,
        field: impl FnOnce() -> Cow<'static, str>,
    ) {
        let known = self.losses.iter().any(|loss| loss.reason == reason);
        // Once is enough for what every event of a stream may repeat.
        if self.losses.len() < LOSSES && (!known || reason == "unsupported_block_type") {
            let field = field();
            self.losses.push(Loss {
                severity,
                reason,
                field,
            });
        }
    }

    /// Returns the answer's id without its wire's prefix.
    fn stem(&self) -> String {
        let Some(id) = &self.id else {
            return self.created.to_string();
        };
        let stem = ["chatcmpl-", "cmpl-", "resp_", "msg_"]
            .iter()
            .find_map(|prefix| id.strip_prefix(prefix));
        stem.unwrap_or(id).to_owned()
    }

    fn head(&self) -> AnswerHead {
        let prefix = match self.reply.client {
            Dialect::OpenAiChat => "chatcmpl-",
            Dialect::OpenAiResponses => "resp_",
            Dialect::AnthropicMessages => "msg_",
        };
        AnswerHead {
            id: format!("{prefix}{}", self.stem()),
            model: self.reply.model.to_string(),
            created: self.created,
        }
    }

    fn output(&mut self) -> &mut O {
        if self.output.is_none() {
            self.output = Some(O::new(&self.reply, self.head()));
        }
        let (reply, head) = (&self.reply, AnswerHead::default());
        self.output.get_or_insert_with(|| O::new(reply, head))
    }
}

/// Tells whether bytes between events hold a comment.
fn is_comment(bytes: &[u8]) -> bool {
    bytes
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .any(|line| line.starts_with(b":"))
}
