//! Envoy's external-processing protocol: frames in, replies out, order guaranteed.
//!
//! This is the only crate that sees Envoy's protobuf. A server implements [`Exchanges`] and [`Exchange`];
//! [`service`](service::service) turns that into a tonic service that speaks every body mode.

mod exchange;

pub use exchange::{
    BodyReply, BodyStep, Exchange, Exchanges, Fault, HeadStep, HeaderEdit, HeaderEdits, Headers, Immediate, Metadata,
    RequestHead, ResponseHead, ResponseInterest,
};
