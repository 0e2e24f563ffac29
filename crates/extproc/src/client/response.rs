//! The response phase of the fake Envoy, mode by mode.

use super::drive::send_pieces;
use super::wire::{Reply, Side, Wire, apply, broken};
use super::{FakeResponse, Forwarded, Outcome};
use crate::options::BodyMode;
use bytes::{Bytes, BytesMut};
use envoy_types::pb::envoy::service::ext_proc::v3::HeaderMutation;

pub(super) async fn run(
    wire: &mut Wire,
    mode: BodyMode,
    shown: &FakeResponse,
    state: &mut Forwarded,
) -> Result<(), Outcome> {
    let bodyless = shown.chunks.is_empty() && !shown.trailers;
    wire.send_headers(Side::Response, &shown.headers, bodyless);
    let mut seen = FakeResponse {
        chunks: Vec::new(),
        ..shown.clone()
    };
    match wire.next().await? {
        Reply::Headers(Side::Response, edits) => apply(&mut seen.headers, &edits.mutation)?,
        Reply::End => {
            state.ended_early = true;
            return Ok(());
        }
        reply => {
            return Err(broken(format!(
                "the reply to response headers is {}",
                reply.name()
            )));
        }
    }
    let joined = [shown.chunks.concat().into()];
    match mode {
        _ if bodyless => {}
        BodyMode::None => seen.chunks.clone_from(&shown.chunks),
        BodyMode::FullDuplex => seen.chunks = full_duplex(wire, shown).await?,
        BodyMode::Streamed => one_by_one(wire, &shown.chunks, &mut seen, true).await?,
        BodyMode::Buffered | BodyMode::BufferedPartial => {
            one_by_one(wire, &joined, &mut seen, false).await?;
        }
    }
    check_length(&seen)?;
    state.response = Some(seen);
    Ok(())
}

/// A length that does not match the body cuts the response, or makes Envoy answer 500.
fn check_length(seen: &FakeResponse) -> Result<(), Outcome> {
    let Some(length) = super::value(&seen.headers, "content-length") else {
        return Ok(());
    };
    let body: usize = seen.chunks.iter().map(Bytes::len).sum();
    if length != body.to_string() {
        let how = format!("a response of {body} bytes with a content-length of {length}");
        return Err(broken(how));
    }
    Ok(())
}

/// One reply a piece. `headers_left` is set where the headers went on before the body.
async fn one_by_one(
    wire: &mut Wire,
    chunks: &[Bytes],
    seen: &mut FakeResponse,
    headers_left: bool,
) -> Result<(), Outcome> {
    let trailers = seen.trailers;
    for (index, chunk) in chunks.iter().enumerate() {
        wire.send_body(
            Side::Response,
            chunk.clone(),
            !trailers && index + 1 == chunks.len(),
        );
        match wire.next().await? {
            Reply::Body(Side::Response, edits, new) => {
                if headers_left && edits.mutation != HeaderMutation::default() {
                    return Err(broken("header edits after the headers have left"));
                }
                apply(&mut seen.headers, &edits.mutation)?;
                seen.chunks.push(new.unwrap_or_else(|| chunk.clone()));
            }
            reply => {
                return Err(broken(format!(
                    "the reply to a response body is {}",
                    reply.name()
                )));
            }
        }
    }
    if trailers {
        wire.send_trailers(Side::Response);
        match wire.next().await? {
            Reply::Trailers(Side::Response) => {}
            reply => {
                return Err(broken(format!(
                    "the reply to response trailers is {}",
                    reply.name()
                )));
            }
        }
    }
    Ok(())
}

async fn full_duplex(wire: &mut Wire, shown: &FakeResponse) -> Result<Vec<Bytes>, Outcome> {
    send_pieces(wire, Side::Response, &shown.chunks, shown.trailers);
    let mut body = BytesMut::new();
    loop {
        match wire.next().await? {
            Reply::Piece(Side::Response, piece) => {
                body.extend_from_slice(&piece.body);
                match (piece.end_of_stream, shown.trailers) {
                    (true, true) => return Err(broken("an end before the response trailers")),
                    (true, false) => break,
                    (false, _) => {}
                }
            }
            Reply::Trailers(Side::Response) if shown.trailers => break,
            reply => {
                return Err(broken(format!(
                    "among the pieces of a full-duplex response is {}",
                    reply.name()
                )));
            }
        }
    }
    Ok(vec![body.freeze()])
}
