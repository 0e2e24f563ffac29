//! One stream of the fake Envoy from its first frame to its end.

use super::wire::{Client, Reply, Side, Wire, broken};
use super::{FakeRequest, Forwarded, Outcome, request, response};
use crate::options::BodyMode;
use bytes::Bytes;
use tonic::Code;

pub(super) async fn run(client: Client, request: FakeRequest) -> Result<Forwarded, Outcome> {
    let mut wire = Wire::open(client, &request).await?;
    let mut state = Forwarded {
        headers: request.headers.clone(),
        body: request.body.clone(),
        response: request.response.clone(),
        ..Forwarded::default()
    };
    if request.observe {
        observe(&mut wire, &request);
    } else {
        request::run(&mut wire, &request, &mut state).await?;
        if let Some(shown) = request.response.as_ref().filter(|_| !state.ended_early) {
            response::run(&mut wire, request.response_mode, shown, &mut state).await?;
        }
    }
    wire.half_close();
    if !state.ended_early {
        match wire.next().await? {
            Reply::End => {}
            reply => return Err(broken(format!("a reply to nothing: {}", reply.name()))),
        }
    }
    Ok(state)
}

pub(super) async fn abandon(
    client: Client,
    request: FakeRequest,
    pieces: usize,
) -> Result<(), Outcome> {
    let mut wire = Wire::open(client, &request).await?;
    wire.send_headers(Side::Request, &request.headers, false);
    if request.mode != BodyMode::FullDuplex && !request.observe {
        match wire.next().await? {
            Reply::Headers(Side::Request, _) => {}
            reply => {
                return Err(broken(format!(
                    "the reply to request headers is {}",
                    reply.name()
                )));
            }
        }
    }
    for piece in split(&request.body, request.piece).into_iter().take(pieces) {
        wire.send_body(Side::Request, piece, false);
    }
    // Half-closing flushes what was sent; the server's answer to it proves that all of it was read.
    wire.half_close();
    match wire.next().await {
        Err(Outcome::Failed(status)) if status.code() == Code::Cancelled => Ok(()),
        Err(outcome) => Err(outcome),
        Ok(reply) => Err(broken(format!(
            "an abandoned request is answered by {}",
            reply.name()
        ))),
    }
}

pub(super) async fn stall(
    client: Client,
    request: FakeRequest,
    pieces: usize,
) -> Result<Wire, Outcome> {
    let mut wire = Wire::open(client, &request).await?;
    wire.send_headers(Side::Request, &request.headers, false);
    for piece in split(&request.body, request.piece).into_iter().take(pieces) {
        wire.send_body(Side::Request, piece, false);
    }
    Ok(wire)
}

/// Observability mode: everything is shown, as in STREAMED, and no reply awaited.
fn observe(wire: &mut Wire, request: &FakeRequest) {
    let bodyless = request.body.is_empty() && !request.trailers;
    wire.send_headers(Side::Request, &request.headers, bodyless);
    if !bodyless {
        send_pieces(wire, Side::Request, &pieces(request), request.trailers);
    }
    if let Some(response) = &request.response {
        wire.send_headers(
            Side::Response,
            &response.headers,
            response.chunks.is_empty() && !response.trailers,
        );
        send_pieces(wire, Side::Response, &response.chunks, response.trailers);
    }
}

/// Sends all pieces of a body and its trailers without waiting.
pub(super) fn send_pieces(wire: &mut Wire, side: Side, pieces: &[Bytes], trailers: bool) {
    for (index, piece) in pieces.iter().enumerate() {
        wire.send_body(side, piece.clone(), !trailers && index + 1 == pieces.len());
    }
    if trailers {
        wire.send_trailers(side);
    }
}

/// The request body as Envoy cuts it.
pub(super) fn pieces(request: &FakeRequest) -> Vec<Bytes> {
    let mut pieces = split(&request.body, request.piece);
    if request.empty_end && !request.trailers {
        pieces.push(Bytes::new());
    }
    pieces
}

fn split(body: &Bytes, size: usize) -> Vec<Bytes> {
    let mut rest = body.clone();
    let mut pieces = Vec::new();
    while rest.len() > size {
        pieces.push(rest.split_to(size.max(1)));
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}
