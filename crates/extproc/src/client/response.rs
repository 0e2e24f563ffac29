//! The response phase of the fake Envoy, mode by mode.

use super::drive::send_pieces;
use super::wire::{Reply, Side, Wire, apply, broken};
use super::{FakeResponse, Forwarded, Outcome};
use crate::options::BodyMode;
use bytes::{Bytes, BytesMut};

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
        BodyMode::Streamed => seen.chunks = one_by_one(wire, &shown.chunks, shown.trailers).await?,
        BodyMode::Buffered | BodyMode::BufferedPartial => {
            seen.chunks = one_by_one(wire, &joined, shown.trailers).await?;
        }
    }
    state.response = Some(seen);
    Ok(())
}

async fn one_by_one(
    wire: &mut Wire,
    chunks: &[Bytes],
    trailers: bool,
) -> Result<Vec<Bytes>, Outcome> {
    let mut seen = Vec::new();
    for (index, chunk) in chunks.iter().enumerate() {
        wire.send_body(
            Side::Response,
            chunk.clone(),
            !trailers && index + 1 == chunks.len(),
        );
        match wire.next().await? {
            Reply::Body(Side::Response, _, new) => seen.push(new.unwrap_or_else(|| chunk.clone())),
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
    Ok(seen)
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
