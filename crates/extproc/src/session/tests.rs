//! Sessions over frames in memory, on a paused clock: what is replied, and what the exchange is
//! told.

use super::*;
use crate::budget::SMALL_BODY;
use crate::script::{Act, Rewrite, Script, answer, route};
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::ext_proc::v3::{
    CommonResponse, HttpBody, HttpHeaders, HttpTrailers, ProtocolConfiguration,
    body_mutation::Mutation, processing_request::Request as Wire, processing_response::Response,
    streamed_immediate_response,
};
use std::time::Duration;

mod modes;

mod envoy {
    //! The wire's mode numbers, short.
    pub(super) const NONE: i32 = 0;
    pub(super) const STREAMED: i32 = 1;
    pub(super) const BUFFERED: i32 = 2;
    pub(super) const PARTIAL: i32 = 3;
    pub(super) const DUPLEX: i32 = 4;
}
use envoy::{BUFFERED, DUPLEX, NONE, PARTIAL, STREAMED};

/// How the frames end: half-closed, left open, or broken off.
#[derive(Clone)]
enum Tail {
    Close,
    Open,
    Broken(Status),
}

struct Case {
    script: Script,
    options: Options,
    tail: Tail,
    observe: bool,
    overloaded: bool,
}

impl Case {
    fn new(script: Script) -> Self {
        Self {
            script,
            options: Options::default(),
            tail: Tail::Close,
            observe: false,
            overloaded: false,
        }
    }

    /// Runs `frames` (see [`frame`]) in the given modes (`None`: not declared); gives the replies
    /// as text.
    async fn run(&self, modes: Option<(i32, i32)>, frames: &[&str]) -> Vec<String> {
        let mut messages = frames.iter().map(|it| frame(it)).collect::<Vec<_>>();
        if let (Some(first), Some((request, response))) = (messages.first_mut(), modes) {
            first.protocol_config = Some(ProtocolConfiguration {
                request_body_mode: request,
                response_body_mode: response,
                send_body_without_waiting_for_header_response: false,
            });
        }
        messages
            .iter_mut()
            .for_each(|it| it.observability_mode = self.observe);
        let tail = match self.tail.clone() {
            Tail::Close => stream::empty().boxed(),
            Tail::Open => stream::pending().boxed(),
            Tail::Broken(status) => stream::iter([Err(status)]).boxed(),
        };
        let frames = stream::iter(messages.into_iter().map(Ok)).chain(tail);
        let admission = Admission {
            options: Arc::new(self.options.clone()),
            overloaded: self.overloaded,
            attempt: false,
            token: None,
        };
        replies(frames, self.shared(), admission)
            .map(|reply| describe(&reply))
            .collect()
            .await
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::new(Shared {
            exchanges: Arc::new(self.script.clone()),
            budget: Arc::default(),
            counters: Arc::default(),
            stop: CancellationToken::new(),
            decoding: Arc::new(Semaphore::new(1)),
        })
    }

    #[track_caller]
    fn told(&self, expected: &[&str]) {
        assert_eq!(self.script.log(), expected);
    }
}

/// `H` request headers, `h` the same with the end, `B TEXT` a piece of request body, `b TEXT` the
/// last one, `T` request trailers; `rH rh rB rb rT` the same of the response; `-` a message without
/// a phase. Headers take a `content-length`, `E` a `content-encoding`; `z TEXT` is the text as one
/// body in zstd.
fn frame(script: &str) -> ProcessingRequest {
    let (kind, text) = script.split_once(' ').unwrap_or((script, ""));
    let head = |end: bool| {
        let pair = |key: &str, value: &str| HeaderValue {
            key: key.to_owned(),
            raw_value: value.as_bytes().to_vec(),
            ..HeaderValue::default()
        };
        let mut headers = vec![pair(":path", "/v1/x"), pair(":status", "200")];
        if kind == "E" {
            headers.push(pair("content-encoding", text));
        } else if !text.is_empty() {
            headers.push(pair("content-length", text));
        }
        HttpHeaders {
            headers: Some(HeaderMap { headers }),
            end_of_stream: end,
            ..HttpHeaders::default()
        }
    };
    let body = |end: bool| HttpBody {
        body: if kind == "z" {
            zstd(text)
        } else {
            text.as_bytes().to_vec()
        },
        end_of_stream: end,
        ..HttpBody::default()
    };
    let request = match kind {
        "H" | "h" | "E" => Some(Wire::RequestHeaders(head(kind == "h"))),
        "B" | "b" | "z" => Some(Wire::RequestBody(body(kind != "B"))),
        "T" => Some(Wire::RequestTrailers(HttpTrailers::default())),
        "rH" | "rh" => Some(Wire::ResponseHeaders(head(kind == "rh"))),
        "rB" | "rb" => Some(Wire::ResponseBody(body(kind == "rb"))),
        "rT" => Some(Wire::ResponseTrailers(HttpTrailers::default())),
        _ => None,
    };
    ProcessingRequest {
        request,
        ..ProcessingRequest::default()
    }
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 3).unwrap()
}

/// A reply in the notation of [`frame`], with what it changes.
fn describe(reply: &Result<ProcessingResponse, Status>) -> String {
    let reply = match reply {
        Ok(reply) => reply,
        Err(status) => return format!("{:?}: {}", status.code(), status.message()),
    };
    let metadata = if reply.dynamic_metadata.is_some() {
        " meta"
    } else {
        ""
    };
    let text = match reply.response.as_ref().unwrap() {
        Response::RequestHeaders(it) => format!("H{}", changes(it.response.as_ref())),
        Response::ResponseHeaders(it) => format!("rH{}", changes(it.response.as_ref())),
        Response::RequestBody(it) => format!("B{}", changes(it.response.as_ref())),
        Response::ResponseBody(it) => format!("rB{}", changes(it.response.as_ref())),
        Response::RequestTrailers(_) => "T".to_owned(),
        Response::ResponseTrailers(_) => "rT".to_owned(),
        Response::ImmediateResponse(it) => {
            format!(
                "immediate {} {}",
                it.status.unwrap().code,
                String::from_utf8_lossy(&it.body)
            )
        }
        Response::StreamedImmediateResponse(it) => match it.response.as_ref().unwrap() {
            streamed_immediate_response::Response::BodyResponse(piece) => {
                let end = if piece.end_of_stream { " end" } else { "" };
                format!(
                    "immediate piece {}{end}",
                    String::from_utf8_lossy(&piece.body)
                )
            }
            _ => "immediate headers".to_owned(),
        },
    };
    text + metadata
}

fn changes(common: Option<&CommonResponse>) -> String {
    let common = common.unwrap();
    let mut text = String::new();
    let mutation = common.header_mutation.clone().unwrap_or_default();
    for header in mutation
        .set_headers
        .iter()
        .filter_map(|it| it.header.as_ref())
    {
        text += &format!(
            " {}={}",
            header.key,
            String::from_utf8_lossy(&header.raw_value)
        );
    }
    for name in &mutation.remove_headers {
        text += &format!(" -{name}");
    }
    if common.clear_route_cache {
        text += " clear";
    }
    match common
        .body_mutation
        .as_ref()
        .and_then(|it| it.mutation.as_ref())
    {
        None => {}
        Some(Mutation::Body(body)) => text += &format!(" \"{}\"", String::from_utf8_lossy(body)),
        Some(Mutation::ClearBody(_)) => text += " cleared",
        Some(Mutation::StreamedResponse(piece)) => {
            let end = if piece.end_of_stream { " end" } else { "" };
            text += &format!(" piece \"{}\"{end}", String::from_utf8_lossy(&piece.body));
        }
    }
    text
}

fn forward(body: Option<&'static str>) -> Act {
    Act::Forward(route(body, ResponseInterest::Nothing))
}

fn watch(interest: ResponseInterest) -> Act {
    Act::Forward(route(None, interest))
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_not_the_upstreams_passes() {
    // another filter answered before us; Envoy answered (413, for one) while we waited for the body
    for (frames, expected) in [
        (&["rH", "rb x"] as &[&str], &["rH", "rB"] as &[&str]),
        (&["H", "rh"], &["H", "rH"]),
    ] {
        let case = Case::new(Script::on_body(watch(ResponseInterest::Body)));
        assert_eq!(case.run(Some((BUFFERED, STREAMED)), frames).await, expected);
        assert!(
            !case
                .script
                .log()
                .iter()
                .any(|it| it.starts_with("response") || it.starts_with("chunk"))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn early_close_where_nothing_more_is_wanted() {
    let ends = |modes, interest, options: Options| async move {
        let case = Case {
            options,
            tail: Tail::Open,
            ..Case::new(Script::on_body(watch(interest)))
        };
        let run = case.run(modes, &["H 2", "b ab"]);
        tokio::time::timeout(Duration::from_secs(600), run)
            .await
            .is_ok()
    };
    let streamed = || Options {
        early_close_streamed: true,
        ..Options::default()
    };
    let nothing = ResponseInterest::Nothing;
    assert!(ends(Some((BUFFERED, NONE)), nothing, Options::default()).await);
    assert!(ends(Some((BUFFERED, STREAMED)), nothing, Options::default()).await);
    assert!(ends(Some((DUPLEX, NONE)), nothing, streamed()).await);
    assert!(
        !ends(
            Some((BUFFERED, NONE)),
            ResponseInterest::Headers,
            Options::default()
        )
        .await
    );
    assert!(!ends(Some((BUFFERED, DUPLEX)), nothing, Options::default()).await);
    assert!(!ends(Some((DUPLEX, NONE)), nothing, Options::default()).await);
    assert!(!ends(None, nothing, Options::default()).await);
    assert!(
        !ends(
            Some((BUFFERED, NONE)),
            nothing,
            Options {
                early_close: false,
                ..Options::default()
            }
        )
        .await
    );
    let gateway = Options {
        peer: Peer::Agentgateway,
        ..streamed()
    };
    assert!(!ends(Some((BUFFERED, NONE)), nothing, gateway.clone()).await);
    assert!(!ends(Some((DUPLEX, NONE)), nothing, gateway).await);
}

#[tokio::test(start_paused = true)]
async fn answers_of_our_own() {
    let respond = |body| Act::Respond(body);
    let streamed = Options {
        streamed_immediate: true,
        ..Options::default()
    };
    let joined = ["immediate 403 ab"];
    let pieces = [
        "immediate headers",
        "immediate piece a",
        "immediate piece b end",
    ];
    let cases: &[(i32, &Options, &[&str])] = &[
        (DUPLEX, &Options::default(), &joined),
        (DUPLEX, &streamed, &pieces),
        (NONE, &streamed, &joined),
    ];
    for (mode, options, expected) in cases {
        let script = Script::new(respond(answer(403, ["a", "b"])), Act::Panic);
        let case = Case {
            options: (*options).clone(),
            ..Case::new(script)
        };
        assert_eq!(
            case.run(Some((*mode, NONE)), &["H"]).await,
            *expected,
            "{mode}"
        );
    }
    let case = Case::new(Script::on_body(respond(answer(429, ["slow down"]))));
    let tail = case
        .run(Some((BUFFERED, STREAMED)), &["H 2", "b ab", "rH"])
        .await;
    assert_eq!(tail, ["H", "immediate 429 slow down"]);
    case.told(&["open", "head /v1/x", "body 2", "closed"]);
}

#[tokio::test(start_paused = true)]
async fn deadlines() {
    for (modes, script, frames, millis) in [
        (
            (DUPLEX, NONE),
            Script::new(Act::Hang, Act::Hang),
            &["H"] as &[&str],
            2_000,
        ),
        (
            (DUPLEX, NONE),
            Script::on_body(Act::Hang),
            &["H", "b ab"],
            2_000,
        ),
        (
            (BUFFERED, NONE),
            Script::on_body(Act::Hang),
            &["H", "b ab"],
            150,
        ),
        ((NONE, NONE), Script::new(Act::Hang, Act::Hang), &["H"], 150),
        // the client stopped before its body
        (
            (DUPLEX, NONE),
            Script::on_body(forward(None)),
            &["H"],
            60_000,
        ),
    ] {
        let case = Case {
            tail: Tail::Open,
            ..Case::new(script)
        };
        let begin = Instant::now();
        let replies = case.run(Some(modes), frames).await;
        assert_eq!(
            replies.last().map(String::as_str),
            Some("immediate 504 deadline_exceeded"),
            "{frames:?}"
        );
        let waited = begin.elapsed().as_millis();
        assert!(
            (millis..millis + 5).contains(&waited),
            "{waited} ms in {modes:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_deadline_costs_only_our_edits() {
    let mut script = Script::on_body(watch(ResponseInterest::Headers));
    script.response = Act::Hang;
    let case = Case::new(script);
    let replies = case.run(Some((BUFFERED, NONE)), &["H", "b ab", "rH"]).await;
    assert_eq!(replies, ["H", "B x-model=b clear", "rH"]);
}

#[tokio::test(start_paused = true)]
async fn coded_bodies() {
    let coded = zstd("abcd");
    let as_it_came = format!("B piece \"{}\" end", String::from_utf8_lossy(&coded));
    let cases: &[(i32, Act, &[&str])] = &[
        (DUPLEX, forward(None), &["H x-model=b clear", &as_it_came]),
        (BUFFERED, forward(None), &["H", "B x-model=b clear"]),
        // The decision gives the same body back.
        (
            DUPLEX,
            forward(Some("abcd")),
            &["H x-model=b clear", &as_it_came],
        ),
        (
            DUPLEX,
            forward(Some("xyz")),
            &[
                "H x-model=b -content-encoding -content-length clear",
                "B piece \"xyz\" end",
            ],
        ),
        (
            BUFFERED,
            forward(Some("xyz")),
            &[
                "H",
                "B x-model=b content-length=3 -content-encoding clear \"xyz\"",
            ],
        ),
    ];
    for (mode, act, expected) in cases {
        let case = Case::new(Script::on_body(act.clone()));
        let replies = case.run(Some((*mode, NONE)), &["E zstd", "z abcd"]).await;
        assert_eq!(replies, *expected, "{mode}");
        case.told(&["open", "head /v1/x", "body 4", "closed"]);
    }

    let long = format!("z {}", "a".repeat(100));
    for (frames, expected) in [
        (&["E compress"] as &[&str], "immediate 415 unknown_encoding"),
        (&["E gzip, rot13"], "immediate 415 unknown_encoding"),
        (&["E gzip", "z abcd"], "immediate 400 broken_encoding"),
        (&["E zstd", "b abcd"], "immediate 400 broken_encoding"),
        (&["E zstd", &long], "immediate 413 body_too_large"),
    ] {
        let options = Options {
            body_limit: 99,
            ..Options::default()
        };
        let case = Case {
            options,
            ..Case::new(Script::on_body(forward(None)))
        };
        assert_eq!(case.run(Some((DUPLEX, NONE)), frames).await, [expected]);
    }

    // No coding is asked about where the body is not read, or is empty.
    let case = Case::new(Script::new(forward(None), Act::Panic));
    let replies = case.run(Some((DUPLEX, NONE)), &["E rot13", "b ab"]).await;
    assert_eq!(replies, ["H x-model=b clear", "B piece \"ab\" end"]);
    let case = Case::new(Script::on_body(forward(None)));
    let replies = case.run(Some((DUPLEX, NONE)), &["E gzip", "b"]).await;
    assert_eq!(replies, ["H x-model=b clear", "B piece \"\" end"]);
}

#[tokio::test(start_paused = true)]
async fn limits() {
    let small = Options {
        body_limit: 4,
        ..Options::default()
    };
    let tight = Options {
        buffered_total: 3,
        ..Options::default()
    };
    let large = "immediate 413 body_too_large";
    let cases: &[(&Options, i32, &[&str], &[&str])] = &[
        (&small, DUPLEX, &["H", "B abc", "b de"], &[large]),
        (&small, DUPLEX, &["H 5"], &[large]),
        (&small, BUFFERED, &["H 5"], &[large]),
        (&small, BUFFERED, &["H", "b abcde"], &["H", large]),
        (
            &small,
            DUPLEX,
            &["H", "b abcd"],
            &["H x-model=b clear", "B piece \"abcd\" end"],
        ),
        (
            &tight,
            DUPLEX,
            &["H", "b abcd"],
            &["immediate 503 overloaded"],
        ),
    ];
    for (options, mode, frames, expected) in cases {
        let case = Case {
            options: (*options).clone(),
            ..Case::new(Script::on_body(forward(None)))
        };
        assert_eq!(
            case.run(Some((*mode, NONE)), frames).await,
            *expected,
            "{frames:?}"
        );
    }
    let case = Case {
        overloaded: true,
        ..Case::new(Script::on_body(forward(None)))
    };
    assert_eq!(
        case.run(Some((DUPLEX, NONE)), &["H"]).await,
        ["immediate 503 overloaded"]
    );
    case.told(&["open", "refuse /v1/x", "fault overloaded", "closed"]);
}

#[tokio::test(start_paused = true)]
async fn an_upload_below_the_least_rate_is_refused() {
    let slow = "immediate 408 upload_too_slow";
    let late = "immediate 504 deadline_exceeded";
    for (rate, frames, expected, seconds) in [
        (1_024, &["H", "B ab"] as &[&str], slow, 10),
        (1_024, &["H"], late, 60),
        (0, &["H", "B ab"], late, 60),
    ] {
        let options = Options {
            upload_rate: rate,
            ..Options::default()
        };
        let case = Case {
            tail: Tail::Open,
            options,
            ..Case::new(Script::on_body(forward(None)))
        };
        let begin = Instant::now();
        assert_eq!(case.run(Some((DUPLEX, NONE)), frames).await, [expected]);
        assert_eq!(begin.elapsed().as_secs(), seconds, "{rate} {frames:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_slowest_upload_makes_room_for_others() {
    let case = Case {
        options: Options {
            buffered_total: 8 * SMALL_BODY,
            ..Options::default()
        },
        ..Case::new(Script::on_body(forward(None)))
    };
    let shared = case.shared();
    let open = |frames: Vec<ProcessingRequest>, open: bool| {
        let tail = if open {
            stream::pending().boxed()
        } else {
            stream::empty().boxed()
        };
        let admission = Admission {
            options: Arc::new(case.options.clone()),
            overloaded: false,
            attempt: false,
            token: None,
        };
        let frames = stream::iter(frames.into_iter().map(Ok)).chain(tail);
        replies(frames, Arc::clone(&shared), admission)
            .map(|reply| describe(&reply))
            .boxed()
    };
    let duplex = |mut frames: Vec<ProcessingRequest>| {
        frames[0].protocol_config = Some(ProtocolConfiguration {
            request_body_mode: DUPLEX,
            ..ProtocolConfiguration::default()
        });
        frames
    };
    let large =
        |kind: &str, times: usize| frame(&format!("{kind} {}", "x".repeat(times * SMALL_BODY)));

    let mut stalled = open(duplex(vec![frame("H"), large("B", 6)]), true);
    assert!(
        stalled.next().now_or_never().is_none(),
        "it waits for the rest"
    );
    let mut small = open(duplex(vec![frame("H"), frame("b ab")]), false);
    assert_eq!(small.next().await.unwrap(), "H x-model=b clear");
    assert_eq!(small.next().await.unwrap(), "B piece \"ab\" end");

    tokio::time::advance(Duration::from_secs(5)).await;
    let mut other = open(
        duplex(vec![frame("H"), large("B", 1), large("b", 1)]),
        false,
    );
    assert!(other.next().now_or_never().is_none(), "it waits for room");
    assert_eq!(
        stalled.next().await.unwrap(),
        "immediate 503 upload_displaced"
    );
    assert_eq!(other.next().await.unwrap(), "H x-model=b clear");
    drop((stalled, small, other));
    assert_eq!(shared.budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn panics_end_the_stream_with_a_status() {
    let panicked = "Internal: the exchange panicked";
    let mut late = Script::on_body(watch(ResponseInterest::Headers));
    late.response = Act::Panic;
    for (script, frames, expected) in [
        (
            Script::new(Act::Panic, Act::Panic),
            &["H"] as &[&str],
            &[panicked] as &[&str],
        ),
        (
            Script::on_body(Act::Panic),
            &["H", "b ab"],
            &["H", panicked],
        ),
        (
            late,
            &["H", "b ab", "rH"],
            &["H", "B x-model=b clear", panicked],
        ),
    ] {
        let case = Case::new(script);
        assert_eq!(case.run(Some((BUFFERED, NONE)), frames).await, expected);
        assert_eq!(case.script.log().last().unwrap(), "closed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_never_ends_ok_before_its_reply() {
    let gone = "Cancelled: the stream ended before the request was complete";
    let reset = || {
        let source = std::io::Error::other("reset");
        Status::from_error(Box::new(source))
    };
    let undecodable = "InvalidArgument: a message could not be decoded: bad wire type";
    let too_long = Status::out_of_range("message too long");
    for (tail, frames, expected) in [
        (Tail::Close, &["H", "B ab"] as &[&str], gone),
        (Tail::Broken(reset()), &["H", "B ab"], gone),
        (
            Tail::Broken(Status::internal("bad wire type")),
            &["H", "B ab"],
            undecodable,
        ),
        (
            Tail::Broken(too_long),
            &["H"],
            "immediate 413 body_too_large",
        ),
        (
            Tail::Close,
            &["-"],
            "InvalidArgument: a message came that carries no phase",
        ),
        (
            Tail::Close,
            &["b"],
            "FailedPrecondition: a request body came before the request headers: set request_header_mode to SEND",
        ),
        (
            Tail::Close,
            &["H", "H"],
            "FailedPrecondition: request headers came where the protocol expects request body or request trailers",
        ),
    ] {
        let case = Case {
            tail,
            ..Case::new(Script::on_body(forward(None)))
        };
        assert_eq!(
            case.run(Some((DUPLEX, NONE)), frames).await,
            [expected],
            "{frames:?}"
        );
    }
    // after the decision the same ends are normal
    for tail in [Tail::Close, Tail::Broken(reset())] {
        let case = Case {
            tail,
            ..Case::new(Script::on_body(forward(None)))
        };
        let replies = case.run(Some((DUPLEX, NONE)), &["H", "b ab"]).await;
        assert_eq!(replies, ["H x-model=b clear", "B piece \"ab\" end"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_everything_and_says_nothing() {
    let interest = watch(ResponseInterest::Body);
    let case = Case {
        observe: true,
        ..Case::new(Script::on_body(interest))
    };
    let frames = ["H", "B ab", "b c", "rH", "rB x", "rb y"];
    assert_eq!(case.run(None, &frames).await, [""; 0]);
    case.told(&[
        "open",
        "head /v1/x",
        "body 3",
        "response 200",
        "chunk 1",
        "chunk 1 end",
        "closed",
    ]);
    // an answer that nobody takes: the frames go on
    let case = Case {
        observe: true,
        ..Case::new(Script::new(Act::Respond(answer(403, ["no"])), Act::Panic))
    };
    assert_eq!(case.run(None, &frames).await, [""; 0]);
    case.told(&["open", "head /v1/x", "closed"]);
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_waiting_streams() {
    let case = Case {
        tail: Tail::Open,
        ..Case::new(Script::on_body(forward(None)))
    };
    let shared = case.shared();
    let frames = stream::iter([Ok(frame("H"))]).chain(stream::pending());
    let admission = Admission {
        options: Arc::default(),
        overloaded: false,
        attempt: false,
        token: None,
    };
    let mut replies = std::pin::pin!(replies(frames, Arc::clone(&shared), admission));
    assert!(
        describe(&replies.next().await.unwrap()) == "H",
        "headers are answered first"
    );
    shared.stop.cancel();
    assert_eq!(
        describe(&replies.next().await.unwrap()),
        "Unavailable: the server is shutting down"
    );
    assert!(replies.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_gives_everything_back() {
    let case = Case::new(Script::on_body(Act::Hang));
    let shared = case.shared();
    {
        let frames = stream::iter([Ok(frame("H")), Ok(frame("b ab"))]).chain(stream::pending());
        let admission = Admission {
            options: Arc::default(),
            overloaded: false,
            attempt: false,
            token: None,
        };
        let mut replies = std::pin::pin!(replies(frames, Arc::clone(&shared), admission));
        assert!(replies.next().await.is_some());
        assert!(replies.next().now_or_never().is_none(), "it is deciding");
        assert_eq!(shared.budget.used(), 2);
    }
    assert_eq!(shared.budget.used(), 0);
    assert_eq!(shared.counters.abandoned(), 1);
    case.told(&["open", "head /v1/x", "body 2", "closed"]);
}

#[tokio::test(start_paused = true)]
async fn a_decision_may_take_its_time_when_it_says_so() {
    let seconds = Duration::from_secs;
    let case = |later: (Duration, Act)| {
        let script = Script {
            later,
            ..Script::on_body(Act::Wait(seconds(60)))
        };
        Case {
            tail: Tail::Open,
            ..Case::new(script)
        }
    };
    let answered = case((seconds(30), Act::Respond(answer(200, ["at last"]))));
    assert_eq!(
        answered.run(Some((DUPLEX, NONE)), &["H", "b ab"]).await,
        ["immediate 200 at last"]
    );
    answered.told(&["open", "head /v1/x", "body 2", "later", "closed"]);
    let late = case((seconds(61), Act::Hang));
    assert_eq!(
        late.run(Some((DUPLEX, NONE)), &["H", "b ab"]).await,
        ["immediate 504 deadline_exceeded"]
    );
    let stopped = case((seconds(30), Act::Hang));
    let shared = stopped.shared();
    let frames = stream::iter([Ok(frame("H")), Ok(frame("b ab"))]).chain(stream::pending());
    let admission = Admission {
        options: Arc::default(),
        overloaded: false,
        attempt: false,
        token: None,
    };
    let mut replies = std::pin::pin!(replies(frames, Arc::clone(&shared), admission));
    assert!(replies.next().await.is_some());
    assert!(replies.next().now_or_never().is_none(), "it is deciding");
    shared.stop.cancel();
    assert_eq!(
        describe(&replies.next().await.unwrap()),
        "Unavailable: the server is shutting down"
    );
}
