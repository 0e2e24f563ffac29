//! The request phase of the fake Envoy, mode by mode.

use super::drive::{pieces, send_pieces};
use super::wire::{Edits, Reply, Side, Wire, apply, broken};
use super::{FakeRequest, Forwarded, Outcome, value};
use crate::options::BodyMode;
use bytes::{Bytes, BytesMut};

pub(super) async fn run(
    wire: &mut Wire,
    request: &FakeRequest,
    state: &mut Forwarded,
) -> Result<(), Outcome> {
    let bodyless = request.body.is_empty() && !request.trailers;
    wire.send_headers(Side::Request, &request.headers, bodyless);
    if request.mode == BodyMode::FullDuplex && !bodyless {
        return full_duplex(wire, request, state).await;
    }
    match wire.next().await? {
        Reply::Headers(Side::Request, edits) => take(state, edits)?,
        Reply::End => return Err(Outcome::Unprocessed),
        reply => {
            return Err(broken(format!(
                "the reply to request headers is {}",
                reply.name()
            )));
        }
    }
    if bodyless {
        return Ok(());
    }
    match request.mode {
        BodyMode::None | BodyMode::FullDuplex => {}
        BodyMode::Streamed => streamed(wire, request, state).await?,
        BodyMode::Buffered => buffered(wire, request, request.body.clone(), state).await?,
        BodyMode::BufferedPartial => {
            let part = request
                .body
                .slice(..request.body.len().min(request.partial));
            buffered(wire, request, part, state).await?;
        }
    }
    if request.trailers && !state.ended_early {
        wire.send_trailers(Side::Request);
        match wire.next().await? {
            Reply::Trailers(Side::Request) => {}
            Reply::End => state.ended_early = true,
            reply => {
                return Err(broken(format!(
                    "the reply to request trailers is {}",
                    reply.name()
                )));
            }
        }
    }
    Ok(())
}

async fn buffered(
    wire: &mut Wire,
    request: &FakeRequest,
    shown: Bytes,
    state: &mut Forwarded,
) -> Result<(), Outcome> {
    if shown.is_empty() {
        return Ok(());
    }
    let whole = shown.len() == request.body.len();
    wire.send_body(Side::Request, shown, whole && !request.trailers);
    let (edits, new) = match wire.next().await? {
        Reply::Body(Side::Request, edits, new) => (edits, new),
        Reply::End => {
            state.ended_early = true;
            return Ok(());
        }
        reply => {
            return Err(broken(format!(
                "the reply to a request body is {}",
                reply.name()
            )));
        }
    };
    let sets_length = sets(&edits, "content-length");
    take(state, edits)?;
    match new {
        None if sets_length => {
            return Err(broken(
                "content-length without a body: the upstream would hang",
            ));
        }
        None => {}
        Some(new) => {
            let length = value(&state.headers, "content-length").and_then(|it| it.parse().ok());
            if length.is_some_and(|length: usize| length != new.len()) {
                return Err(broken(
                    "mismatch_between_content_length_and_the_length_of_the_mutated_body",
                ));
            }
            state.body = new;
        }
    }
    Ok(())
}

async fn streamed(
    wire: &mut Wire,
    request: &FakeRequest,
    state: &mut Forwarded,
) -> Result<(), Outcome> {
    let pieces = pieces(request);
    let mut body = BytesMut::new();
    for (index, piece) in pieces.iter().enumerate() {
        wire.send_body(
            Side::Request,
            piece.clone(),
            !request.trailers && index + 1 == pieces.len(),
        );
        match wire.next().await? {
            // Header edits come too late here, and Envoy ignores them.
            Reply::Body(Side::Request, _, new) => {
                body.extend_from_slice(&new.unwrap_or_else(|| piece.clone()))
            }
            Reply::End => {
                state.ended_early = true;
                return Ok(());
            }
            reply => {
                return Err(broken(format!(
                    "the reply to a request body is {}",
                    reply.name()
                )));
            }
        }
    }
    state.body = body.freeze();
    Ok(())
}

/// Everything is sent at once, and Envoy drops the `content-length`. The replies: headers, pieces
/// up to the one that is marked as the end or, where trailers came, the trailers.
async fn full_duplex(
    wire: &mut Wire,
    request: &FakeRequest,
    state: &mut Forwarded,
) -> Result<(), Outcome> {
    send_pieces(wire, Side::Request, &pieces(request), request.trailers);
    match wire.next().await? {
        Reply::Headers(Side::Request, edits) if sets(&edits, "content-length") => {
            return Err(broken("content-length in full duplex"));
        }
        Reply::Headers(Side::Request, edits) => take(state, edits)?,
        Reply::End => return Err(Outcome::Unprocessed),
        reply => {
            return Err(broken(format!(
                "the first reply in full duplex is {}",
                reply.name()
            )));
        }
    }
    state.headers.retain(|(name, _)| name != "content-length");
    let mut body = BytesMut::new();
    loop {
        match wire.next().await? {
            Reply::Piece(Side::Request, piece) => {
                body.extend_from_slice(&piece.body);
                match (piece.end_of_stream, request.trailers) {
                    (true, true) => {
                        return Err(broken("an end before the trailers: the request would hang"));
                    }
                    (true, false) => break,
                    (false, _) => {}
                }
            }
            Reply::Trailers(Side::Request) if request.trailers => break,
            Reply::End => {
                return Err(broken(
                    "the stream ended before the end of the body: the upstream gets a part",
                ));
            }
            reply => {
                return Err(broken(format!(
                    "among the pieces of a full-duplex body is {}",
                    reply.name()
                )));
            }
        }
    }
    state.body = body.freeze();
    Ok(())
}

fn sets(edits: &Edits, name: &str) -> bool {
    edits
        .mutation
        .set_headers
        .iter()
        .any(|it| it.header.as_ref().is_some_and(|header| header.key == name))
}

fn take(state: &mut Forwarded, edits: Edits) -> Result<(), Outcome> {
    apply(&mut state.headers, &edits.mutation)?;
    state.clear_route_cache |= edits.clear_route_cache;
    state.metadata.extend(edits.metadata);
    Ok(())
}
