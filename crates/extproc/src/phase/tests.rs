//! Tables of frame orders: what is legal in which mode, and what is said where it is not.

use super::*;
use crate::exchange::{RequestHead, ResponseHead};
use crate::frame::Piece;

/// `H` headers, `h` headers with the end, `B` body, `b` body with the end, `T` trailers; after `/`
/// of the response.
fn frames(script: &str) -> Vec<Frame> {
    let (request, response) = script.split_once('/').unwrap_or((script, ""));
    let piece = |end| Piece {
        bytes: b"x".to_vec(),
        end,
    };
    let request = request.chars().map(|it| match it {
        'H' | 'h' => Frame::RequestHeaders(RequestHead {
            end_of_stream: it == 'h',
            ..RequestHead::default()
        }),
        'B' | 'b' => Frame::RequestBody(piece(it == 'b')),
        _ => Frame::RequestTrailers,
    });
    let response = response.chars().map(|it| match it {
        'H' | 'h' => Frame::ResponseHeaders(ResponseHead {
            end_of_stream: it == 'h',
            ..ResponseHead::default()
        }),
        'B' | 'b' => Frame::ResponseBody(piece(it == 'b')),
        _ => Frame::ResponseTrailers,
    });
    request.chain(response).collect()
}

fn modes(request: BodyMode, declared: bool) -> Modes {
    Modes {
        request,
        response: BodyMode::Streamed,
        declared,
        observing: false,
    }
}

fn check(modes: Modes, script: &str, expected: Option<&str>) {
    let mut order = Order::new();
    let result = frames(script)
        .iter()
        .try_for_each(|frame| order.admit(frame, modes));
    assert_eq!(
        result.err().map(|error| error.to_string()).as_deref(),
        expected,
        "{script} in {modes:?}"
    );
}

#[test]
fn legal_orders() {
    let cases = [
        (
            BodyMode::FullDuplex,
            [
                "h", "Hb", "HBBb", "HBT", "HT", "HBb/HBBb", "HBT/HBT", "h/h", "Hb/HT", "HB/HB",
            ],
        ),
        (
            BodyMode::Buffered,
            [
                "h", "Hb", "HB", "HBT", "HT", "Hb/Hb", "Hb/h", "HBT/HBT", "/H", "H/Hb",
            ],
        ),
        (
            BodyMode::BufferedPartial,
            [
                "h", "Hb", "HB", "HBT", "HT", "Hb/Hb", "HB/h", "HBT/HBT", "/Hb", "H/h",
            ],
        ),
        (
            BodyMode::Streamed,
            [
                "h", "Hb", "HBBb", "HBT", "HT", "Hb/Hb", "HB/h", "HBT/HBT", "/Bb", "/BT",
            ],
        ),
        (
            BodyMode::None,
            [
                "h", "H", "HT", "h/H", "H/Hb", "H/HBb", "HT/HT", "H/h", "/Hb", "/T",
            ],
        ),
    ];
    for (mode, scripts) in cases {
        for script in scripts {
            check(modes(mode, true), script, None);
        }
    }
}

#[test]
fn illegal_orders_are_named() {
    let skipped =
        |it| format!("{it} came before the request headers: set request_header_mode to SEND");
    let wrong = |came, expected| format!("{came} came where the protocol expects {expected}");
    let (body, trailers, done) = (
        "a request body",
        "request trailers",
        "nothing more of the request",
    );
    let cases = [
        (BodyMode::FullDuplex, "b", skipped(body)),
        (BodyMode::FullDuplex, "T", skipped(trailers)),
        (
            BodyMode::FullDuplex,
            "HH",
            wrong("request headers", "request body or request trailers"),
        ),
        (BodyMode::FullDuplex, "HbB", wrong(body, done)),
        (BodyMode::FullDuplex, "hb", wrong(body, done)),
        (BodyMode::FullDuplex, "HbT", wrong(trailers, done)),
        (BodyMode::FullDuplex, "HTT", wrong(trailers, done)),
        (BodyMode::Buffered, "HBB", wrong(body, trailers)),
        (BodyMode::BufferedPartial, "HBb", wrong(body, trailers)),
        (
            BodyMode::None,
            "Hb",
            "a request body came although protocol_config declares the request body mode NONE"
                .into(),
        ),
        (
            BodyMode::Buffered,
            "h/HH",
            wrong("response headers", "response body or response trailers"),
        ),
        (
            BodyMode::Buffered,
            "h/hb",
            wrong("a response body", "nothing more of the response"),
        ),
        (
            BodyMode::Buffered,
            "h/BH",
            wrong("response headers", "response body or response trailers"),
        ),
        (
            BodyMode::Buffered,
            "h/TT",
            wrong("response trailers", "nothing more of the response"),
        ),
    ];
    for (mode, script, expected) in cases {
        check(modes(mode, true), script, Some(&expected));
    }
}

#[test]
fn a_request_after_its_response_is_refused() {
    let mut order = Order::new();
    let modes = modes(BodyMode::Buffered, true);
    let mut all = frames("H/H");
    all.reverse();
    let error = all
        .iter()
        .try_for_each(|frame| order.admit(frame, modes))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "request headers came where the protocol expects nothing of the request, its response having begun"
    );
}

#[test]
fn modes_without_a_declaration() {
    let opening = |modes, observing| Opening { modes, observing };
    let assume = |assume_mode| Options {
        assume_mode,
        ..Options::default()
    };
    let declared = opening(Some((BodyMode::FullDuplex, BodyMode::Buffered)), false);
    let settled = Modes::settle(declared, &assume(Some(BodyMode::None)));
    assert_eq!(
        settled,
        Modes {
            request: BodyMode::FullDuplex,
            response: BodyMode::Buffered,
            declared: true,
            observing: false
        }
    );
    for (assumed, expected) in [
        (None, BodyMode::Buffered),
        (Some(BodyMode::FullDuplex), BodyMode::FullDuplex),
    ] {
        let settled = Modes::settle(opening(None, false), &assume(assumed));
        assert_eq!((settled.request, settled.declared), (expected, false));
    }
    assert!(Modes::settle(opening(None, true), &assume(None)).observing);
}

#[test]
fn statuses() {
    let code = |error: OrderError| Status::from(error).code();
    assert_eq!(
        code(OrderError::BodyInModeNone),
        tonic::Code::FailedPrecondition
    );
    assert_eq!(
        code(OrderError::HeadersSkipped { came: "x" }),
        tonic::Code::FailedPrecondition
    );
    assert_eq!(
        code(OrderError::Unexpected {
            came: "x",
            expected: "y"
        }),
        tonic::Code::FailedPrecondition
    );
    assert_eq!(code(OrderError::Empty), tonic::Code::InvalidArgument);
    assert_eq!(
        code(OrderError::Undecodable(Status::internal("z"))),
        tonic::Code::InvalidArgument
    );
}
