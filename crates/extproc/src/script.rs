//! An exchange that does what a test tells it, and writes down what it was told.

use crate::{
    BodyReply, BodyStep, ChunkStep, Exchange, Exchanges, Fault, HeadStep, HeaderEdit, Immediate,
    RequestHead, ResponseHead, ResponseInterest, ResponseStep,
};
use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What to do when asked.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    NeedBody,
    Forward(BodyReply),
    /// Forward with the body reversed, and its old length in a header.
    Reverse,
    Respond(Immediate),
    Panic,
    Hang,
    /// Of a body: the decision takes up to so long, and is then what the script has for later.
    Wait(Duration),
}

/// What to do with the pieces of a response body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rewrite {
    /// They go on as they come.
    No,
    /// Announced, but nothing changes.
    Same,
    /// Every piece in capitals.
    Capitals,
    /// One piece is held back until the next one comes.
    HoldOne,
    /// The first piece breaks the response.
    Break,
}

#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) head: Act,
    pub(crate) body: Act,
    /// What to do after [`Act::Wait`], and how long that takes.
    pub(crate) later: (Duration, Act),
    /// What to do about the response's headers; `Forward` gives its header edits.
    pub(crate) response: Act,
    pub(crate) rewrite: Rewrite,
    pub(crate) held: Vec<u8>,
    pub(crate) log: Arc<Mutex<Vec<String>>>,
}

impl Script {
    pub(crate) fn new(head: Act, body: Act) -> Self {
        let edits = BodyReply {
            headers: vec![set("x-ok", "1")],
            ..BodyReply::default()
        };
        let later = (Duration::ZERO, Act::Hang);
        Self {
            head,
            body,
            later,
            response: Act::Forward(edits),
            rewrite: Rewrite::No,
            held: Vec::new(),
            log: Arc::default(),
        }
    }

    /// Reads the body, then acts.
    pub(crate) fn on_body(body: Act) -> Self {
        Self::new(Act::NeedBody, body)
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn note(&self, event: impl Into<String>) {
        self.log.lock().unwrap().push(event.into());
    }
}

pub(crate) fn set(name: &str, value: &'static str) -> HeaderEdit {
    HeaderEdit::Set(name.to_owned(), Bytes::from_static(value.as_bytes()))
}

/// A routing reply: one header, routes matched again, the body as given.
pub(crate) fn route(body: Option<&'static str>, response: ResponseInterest) -> BodyReply {
    BodyReply {
        headers: vec![set("x-model", "b")],
        body: body.map(Bytes::from),
        clear_route_cache: true,
        response,
        ..BodyReply::default()
    }
}

pub(crate) fn answer<const N: usize>(status: u16, body: [&'static str; N]) -> Immediate {
    let name = http::header::CONTENT_TYPE;
    Immediate {
        status: StatusCode::from_u16(status).unwrap(),
        headers: vec![(name, http::HeaderValue::from_static("text/plain"))],
        body: body.map(Bytes::from).to_vec(),
        details: "scripted",
    }
}

impl Exchanges for Script {
    fn open(&self) -> Box<dyn Exchange> {
        self.note("open");
        Box::new(self.clone())
    }
}

#[async_trait]
impl Exchange for Script {
    async fn request_headers(&mut self, head: RequestHead) -> HeadStep {
        self.note(format!("head {}", head.headers.get(":path").unwrap_or("-")));
        match self.head.clone() {
            Act::NeedBody => HeadStep::NeedBody,
            Act::Forward(reply) => HeadStep::Forward(reply),
            Act::Respond(answer) => HeadStep::Respond(answer),
            Act::Hang => pending().await,
            Act::Panic | Act::Reverse | Act::Wait(_) => panic!("scripted panic"),
        }
    }

    async fn request_body(&mut self, body: Bytes) -> BodyStep {
        self.note(format!("body {}", body.len()));
        match self.body.clone() {
            Act::Forward(reply) => BodyStep::Forward(reply),
            Act::Reverse => {
                let reversed = body.iter().rev().copied().collect::<Vec<u8>>();
                BodyStep::Forward(BodyReply {
                    body: Some(reversed.into()),
                    ..route(None, ResponseInterest::Body)
                })
            }
            Act::Respond(answer) => BodyStep::Respond(answer),
            Act::Hang => pending().await,
            Act::Wait(longest) => BodyStep::Wait(longest),
            Act::Panic | Act::NeedBody => panic!("scripted panic"),
        }
    }

    async fn later(&mut self) -> BodyStep {
        self.note("later");
        let (after, act) = self.later.clone();
        tokio::time::sleep(after).await;
        match act {
            Act::Forward(reply) => BodyStep::Forward(reply),
            Act::Respond(answer) => BodyStep::Respond(answer),
            Act::Hang => pending().await,
            _ => panic!("scripted panic"),
        }
    }

    async fn response_headers(&mut self, head: ResponseHead) -> ResponseStep {
        self.note(format!(
            "response {}",
            head.headers.get(":status").unwrap_or("-")
        ));
        match self.response.clone() {
            Act::Forward(reply) => ResponseStep {
                headers: reply.headers,
                rewrites: self.rewrite != Rewrite::No,
            },
            Act::Hang => pending().await,
            _ => panic!("scripted panic"),
        }
    }

    fn response_chunk(&mut self, chunk: &Bytes, end: bool) -> ChunkStep {
        self.note(format!(
            "chunk {}{}",
            chunk.len(),
            if end { " end" } else { "" }
        ));
        match self.rewrite {
            Rewrite::No | Rewrite::Same => ChunkStep::Unchanged,
            Rewrite::Capitals => ChunkStep::Replaced(chunk.to_ascii_uppercase().into()),
            Rewrite::HoldOne => {
                let mut out = std::mem::replace(&mut self.held, chunk.to_vec());
                if end {
                    out.append(&mut self.held);
                }
                ChunkStep::Replaced(out.into())
            }
            Rewrite::Break => ChunkStep::Broken,
        }
    }

    fn closed(&mut self) {
        self.note("closed");
    }

    fn fault(&mut self, fault: Fault) -> Immediate {
        self.note(format!("fault {}", fault.name()));
        let status = match fault {
            Fault::BodyTooLarge { .. } => 413,
            Fault::Overloaded | Fault::UploadDisplaced => 503,
            Fault::UploadTooSlow { .. } => 408,
            Fault::DeadlineExceeded => 504,
            Fault::TruncatedBody | Fault::UnsupportedBodyMode => 500,
            Fault::UnknownEncoding => 415,
            Fault::BrokenEncoding => 400,
        };
        answer(status, [fault.name()])
    }

    fn refuse(&mut self, head: &RequestHead, fault: Fault) -> Immediate {
        self.note(format!(
            "refuse {}",
            head.headers.get(":path").unwrap_or("-")
        ));
        self.fault(fault)
    }
}
