//! Envoy's external-processing protocol: frames in, replies out, order guaranteed.
//!
//! This is the only crate that sees Envoy's protobuf. A server implements [`Exchanges`] and
//! [`Exchange`]; [`service`] turns that into a tonic service that speaks every body mode.
//! [`FakeEnvoy`] is the other end, for tests. [`access_log`] serves Envoy's log of how requests
//! ended.

mod access_log;
mod body;
mod budget;
mod client;
mod counters;
mod exchange;
mod frame;
mod options;
mod phase;
mod reply;
#[cfg(test)]
mod script;
mod service;
mod session;

pub use access_log::{
    AccessLog, AccessLogServer, AccessLogs, Ending, LogCounters, LogEntry, access_log,
};
pub use client::{
    Answer, FakeEnvoy, FakeRequest, FakeResponse, Forwarded, Outcome, Stalled, Violation,
};
pub use counters::Counters;
pub use exchange::{
    BodyReply, BodyStep, ChunkStep, ENCODINGS, Exchange, Exchanges, Fault, HeadStep, HeaderEdit,
    HeaderEdits, Headers, Immediate, Metadata, RequestHead, ResponseHead, ResponseInterest,
    ResponseStep,
};
pub use options::{BodyMode, Options, Peer, Settings};
pub use service::{HEALTH_SERVICES, Processor, Streams, service};
