//! The service over real gRPC, seen by the fake Envoy.

use super::*;
use crate::script::{Act, Rewrite, Script, answer, route, set};
use crate::{
    BodyMode, BodyReply, FakeEnvoy, FakeRequest, FakeResponse, Forwarded, Options, Outcome,
    ResponseInterest,
};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

async fn serve(script: &Script, options: Options) -> (FakeEnvoy, Processor) {
    let processor = service(Arc::new(script.clone()), options);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    TaskTracker::new().spawn(
        Server::builder()
            .add_service(processor.server())
            .serve_with_incoming(incoming),
    );
    (FakeEnvoy::connect(address).await.unwrap(), processor)
}

fn forwarded(outcome: Outcome) -> Forwarded {
    match outcome {
        Outcome::Forwarded(forwarded) => *forwarded,
        other => panic!("{other:?}"),
    }
}

fn routed() -> Script {
    Script::on_body(Act::Forward(BodyReply {
        metadata: [("llm.router".to_owned(), json!({"model": "b", "score": 0.5}))].into(),
        ..route(Some("{\"model\":\"b\"}"), ResponseInterest::Body)
    }))
}

const MODES: [BodyMode; 3] = [
    BodyMode::FullDuplex,
    BodyMode::Buffered,
    BodyMode::BufferedPartial,
];
const RESPONSE_MODES: [BodyMode; 4] = [
    BodyMode::None,
    BodyMode::Buffered,
    BodyMode::Streamed,
    BodyMode::FullDuplex,
];

#[tokio::test]
async fn every_pair_of_modes_with_and_without_trailers() {
    let (envoy, processor) = serve(&routed(), Options::default()).await;
    for mode in MODES {
        for response_mode in RESPONSE_MODES {
            for trailers in [false, true] {
                let response = FakeResponse {
                    trailers,
                    ..FakeResponse::ok(["data: 1\n\n", "data: 2\n\n"])
                };
                let request = FakeRequest {
                    mode,
                    response_mode,
                    trailers,
                    piece: 3,
                    response: Some(response),
                    ..FakeRequest::post("/v1/chat/completions", "{\"model\":\"auto\"}")
                };
                let seen = forwarded(envoy.exchange(request).await);
                let what = format!("{mode:?} {response_mode:?} {trailers}");
                assert_eq!(seen.body, "{\"model\":\"b\"}", "{what}");
                assert_eq!(seen.header("x-model"), Some("b"), "{what}");
                assert!(seen.clear_route_cache, "{what}");
                assert_eq!(
                    seen.metadata["llm.router"],
                    json!({"model": "b", "score": 0.5}),
                    "{what}"
                );
                let response = seen.response.unwrap();
                assert_eq!(
                    response.chunks.concat(),
                    b"data: 1\n\ndata: 2\n\n",
                    "{what}"
                );
                assert!(
                    response.headers.contains(&("x-ok".into(), "1".into())),
                    "{what}"
                );
            }
        }
    }
    assert_eq!(processor.counters().streams(), 24);
    assert_eq!(
        processor.counters().protocol_errors() + processor.counters().panics(),
        0
    );
    processor.streams().wait_idle().await;
    assert_eq!(
        (processor.streams().open(), processor.streams().buffered()),
        (0, 0)
    );
}

#[tokio::test]
async fn rewritten_responses_in_every_mode_that_carries_them() {
    for rewrite in [Rewrite::Capitals, Rewrite::HoldOne] {
        let mut script = routed();
        script.rewrite = rewrite;
        let (envoy, processor) = serve(&script, Options::default()).await;
        for response_mode in [BodyMode::Buffered, BodyMode::Streamed, BodyMode::FullDuplex] {
            let mut response = FakeResponse::ok(["one ", "two ", "three"]);
            let length = ("content-length".to_owned(), Bytes::from_static(b"13"));
            response.headers.push(length);
            let request = FakeRequest {
                response_mode,
                response: Some(response),
                ..FakeRequest::post("/v1/chat/completions", "{\"model\":\"auto\"}")
            };
            let seen = forwarded(envoy.exchange(request).await).response.unwrap();
            let expected: &[u8] = match rewrite {
                Rewrite::Capitals => b"ONE TWO THREE",
                _ => b"one two three",
            };
            assert_eq!(
                seen.chunks.concat(),
                expected,
                "{rewrite:?} {response_mode:?}"
            );
        }
        assert_eq!(processor.counters().broken_responses(), 0);
    }
}

#[tokio::test]
async fn bodies_larger_than_a_piece_and_than_a_message() {
    let (envoy, processor) = serve(&Script::on_body(Act::Reverse), Options::default()).await;
    for mode in MODES {
        let body = (0..5_000_000_u32)
            .map(|it| it.to_le_bytes()[0])
            .collect::<Vec<_>>();
        let request = FakeRequest {
            mode,
            partial: usize::MAX,
            ..FakeRequest::post("/", body.clone())
        };
        let seen = forwarded(envoy.exchange(request).await);
        assert!(seen.body.iter().eq(body.iter().rev()), "{mode:?}");
    }
    for mode in MODES {
        let request = FakeRequest {
            mode,
            partial: usize::MAX,
            ..FakeRequest::post("/", vec![b'x'; 40 << 20])
        };
        let Outcome::Immediate(answer) = envoy.exchange(request).await else {
            panic!("{mode:?} took 40 MB")
        };
        assert_eq!(answer.status, 413, "{mode:?}");
    }
    processor.streams().wait_idle().await;
    assert_eq!(processor.streams().buffered(), 0);
}

#[tokio::test]
async fn faults_reach_envoy_and_never_an_early_ok() {
    let (envoy, processor) = serve(&Script::on_body(Act::Panic), Options::default()).await;
    let post = |mode| FakeRequest {
        mode,
        ..FakeRequest::post("/", "{}")
    };
    for mode in MODES {
        let Outcome::Failed(status) = envoy.exchange(post(mode)).await else {
            panic!("{mode:?}")
        };
        assert_eq!(status.code(), tonic::Code::Internal);
    }
    let Outcome::Immediate(answer) = envoy.exchange(post(BodyMode::None)).await else {
        panic!()
    };
    assert_eq!(answer.body, "unsupported_body_mode");
    let Outcome::Immediate(answer) = envoy.exchange(post(BodyMode::Streamed)).await else {
        panic!()
    };
    assert_eq!(answer.body, "unsupported_body_mode");
    let cut = FakeRequest {
        partial: 1,
        ..post(BodyMode::BufferedPartial)
    };
    let Outcome::Immediate(answer) = envoy.exchange(cut).await else {
        panic!()
    };
    assert_eq!(answer.body, "truncated_body");
    let counters = processor.counters();
    assert_eq!((counters.panics(), counters.immediates()), (3, 3));
    let faults = counters
        .faults()
        .filter(|(_, count)| *count > 0)
        .collect::<Vec<_>>();
    assert_eq!(
        faults,
        [("truncated_body", 1), ("unsupported_body_mode", 2)]
    );
}

#[tokio::test]
async fn a_client_gone_in_mid_body_leaves_nothing() {
    let script = routed();
    let (envoy, processor) = serve(&script, Options::default()).await;
    for mode in [BodyMode::FullDuplex, BodyMode::Buffered] {
        let request = FakeRequest {
            mode,
            piece: 10,
            ..FakeRequest::post("/", vec![b'x'; 100])
        };
        let pieces = if mode == BodyMode::FullDuplex { 3 } else { 0 };
        envoy.abandon(request, pieces).await.unwrap();
    }
    processor.streams().wait_idle().await;
    assert_eq!(processor.counters().abandoned(), 2);
    assert_eq!(processor.streams().buffered(), 0);
    assert_eq!(script.log().iter().filter(|it| *it == "closed").count(), 2);
}

#[tokio::test]
async fn stalled_uploads_refuse_nobody_else() {
    const UPLOAD: usize = 1 << 20;
    let options = Options {
        body_limit: UPLOAD,
        buffered_total: 16 * UPLOAD,
        ..Options::default()
    };
    let (envoy, processor) = serve(&routed(), options).await;
    let mut stalled = Vec::new();
    for number in 1..=16 {
        let request = FakeRequest {
            piece: UPLOAD / 4 - 1,
            ..FakeRequest::post("/", vec![b'x'; UPLOAD])
        };
        stalled.push(envoy.stall(request, 4).await.unwrap());
        let arrived = number.min(14) * (UPLOAD - 4);
        while processor.streams().buffered() < arrived {
            tokio::task::yield_now().await;
        }
    }

    for number in 0..1_000 {
        forwarded(envoy.exchange(FakeRequest::post("/", "{}")).await);
        if number % 100 == 0 {
            let large = FakeRequest::post("/", vec![b'x'; UPLOAD / 2]);
            forwarded(envoy.exchange(large).await);
        }
    }
    let counters = processor.counters();
    let refused: Vec<_> = counters.faults().filter(|(_, count)| *count > 0).collect();
    assert!(
        matches!(refused[..], [("upload_displaced", count)] if count < 5),
        "{refused:?}"
    );
    let mut displaced = 0;
    for upload in stalled {
        let ended = tokio::time::timeout(Duration::ZERO, upload.ended()).await;
        if let Ok(Outcome::Immediate(answer)) = ended {
            assert_eq!(
                (answer.status, &*answer.body),
                (503, b"upload_displaced".as_slice())
            );
            displaced += 1;
        }
    }
    assert!(displaced > 0);
    processor.streams().wait_idle().await;
    assert_eq!(processor.streams().buffered(), 0);
}

#[tokio::test]
async fn too_many_streams_are_refused() {
    let hang = Script::new(Act::Hang, Act::Hang);
    let options = Options {
        max_streams: 1,
        deadline_streamed: Duration::from_secs(600),
        ..Options::default()
    };
    let (envoy, processor) = serve(&hang, options).await;
    let first = envoy.clone();
    let held =
        TaskTracker::new().spawn(async move { first.exchange(FakeRequest::get("/held")).await });
    while processor.streams().open() < 1 {
        tokio::task::yield_now().await;
    }
    let Outcome::Immediate(answer) = envoy.exchange(FakeRequest::get("/refused")).await else {
        panic!()
    };
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (503, Some("text/plain"))
    );
    // A reset is an end like any other.
    held.abort();
    assert!(held.await.unwrap_err().is_cancelled());
    processor.streams().wait_idle().await;
    assert_eq!(
        (
            processor.counters().abandoned(),
            processor.counters().protocol_errors()
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn a_message_too_large_to_decode_is_a_body_too_large() {
    let (envoy, processor) = serve(
        &routed(),
        Options {
            body_limit: 1_000,
            ..Options::default()
        },
    )
    .await;
    let mut request = FakeRequest {
        mode: BodyMode::Buffered,
        ..FakeRequest::post("/", vec![b'x'; 3 << 20])
    };
    request.headers.retain(|(name, _)| name != "content-length");
    let Outcome::Immediate(answer) = envoy.exchange(request).await else {
        panic!()
    };
    assert_eq!(answer.status, 413);
    assert_eq!(processor.counters().protocol_errors(), 0);
}

#[tokio::test]
async fn options_may_change_between_streams() {
    let limit = Arc::new(std::sync::atomic::AtomicUsize::new(1));
    let current = Arc::clone(&limit);
    let load = move || current.load(std::sync::atomic::Ordering::Relaxed);
    let settings = Settings::dynamic(move || {
        Arc::new(Options {
            body_limit: load(),
            ..Options::default()
        })
    });
    let processor = service(Arc::new(routed()), settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let envoy = listener.local_addr().unwrap();
    let incoming = TcpListenerStream::new(listener);
    TaskTracker::new().spawn(
        Server::builder()
            .add_service(processor.server())
            .serve_with_incoming(incoming),
    );
    let envoy = FakeEnvoy::connect(envoy).await.unwrap();
    assert!(matches!(
        envoy.exchange(FakeRequest::post("/", "{}")).await,
        Outcome::Immediate(_)
    ));
    limit.store(1_000, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(
        envoy.exchange(FakeRequest::post("/", "{}")).await,
        Outcome::Forwarded(_)
    ));
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ext_proc.sock");
    let processor = service(Arc::new(routed()), Options::default());
    let incoming = tokio_stream::wrappers::UnixListenerStream::new(
        tokio::net::UnixListener::bind(&path).unwrap(),
    );
    TaskTracker::new().spawn(
        Server::builder()
            .add_service(processor.server())
            .serve_with_incoming(incoming),
    );
    let envoy = FakeEnvoy::connect_unix(&path).await.unwrap();
    let seen = forwarded(envoy.exchange(FakeRequest::post("/", "{}")).await);
    assert_eq!(seen.header("x-model"), Some("b"));
}

#[tokio::test]
async fn an_answer_in_pieces_and_system_headers() {
    let script = Script::on_body(Act::Respond(answer(200, ["data: 1\n\n", "data: 2\n\n"])));
    for streamed_immediate in [false, true] {
        let (envoy, _) = serve(
            &script,
            Options {
                streamed_immediate,
                ..Options::default()
            },
        )
        .await;
        let Outcome::Immediate(answer) = envoy.exchange(FakeRequest::post("/", "{}")).await else {
            panic!()
        };
        assert_eq!(answer.body, "data: 1\n\ndata: 2\n\n");
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("text/plain"))
        );
        assert_eq!(answer.messages, if streamed_immediate { 2 } else { 1 });
    }
    let edits = vec![
        set(":path", "/v2"),
        set("host", "evil"),
        set("authorization", "Bearer k"),
    ];
    let script = Script::new(
        Act::Forward(BodyReply {
            headers: edits,
            ..BodyReply::default()
        }),
        Act::Panic,
    );
    let (envoy, _) = serve(&script, Options::default()).await;
    let seen = forwarded(envoy.exchange(FakeRequest::get("/v1")).await);
    let expected = (Some("/v2"), None, Some("Bearer k"));
    assert_eq!(
        (
            seen.header(":path"),
            seen.header("host"),
            seen.header("authorization")
        ),
        expected
    );
}

/// One server for all cases of a property.
fn shared_server() -> (tokio::runtime::Runtime, FakeEnvoy) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (envoy, _) = runtime.block_on(serve(&Script::on_body(Act::Reverse), Options::default()));
    (runtime, envoy)
}

#[test]
fn any_cutting_gives_the_same_body() {
    let (runtime, envoy) = shared_server();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    });
    let case = (
        1_usize..200_000,
        1_usize..200_000,
        any::<bool>(),
        any::<bool>(),
    );
    let result = runner.run(&case, |(length, piece, trailers, empty_end)| {
        let body = (0..length)
            .map(|it| it.to_le_bytes()[0] ^ it.to_le_bytes()[1])
            .collect::<Bytes>();
        let request = |mode, piece| FakeRequest {
            mode,
            piece,
            trailers,
            empty_end,
            partial: usize::MAX,
            ..FakeRequest::post("/", body.clone())
        };
        let expected = body.iter().rev().copied().collect::<Bytes>();
        for mode in MODES {
            let piece = piece.max(body.len() / 50 + 1);
            let seen = forwarded(runtime.block_on(envoy.exchange(request(mode, piece))));
            prop_assert_eq!(&seen.body, &expected);
        }
        Ok(())
    });
    result.unwrap();
}
