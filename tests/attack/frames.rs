//! Random ext_proc streams: any frames, any order, any modes, half-closed, cancelled or left. No
//! stream ends OK without a reply, none hangs, nothing panics, and everything is given back.

use anyhow::{Result, bail, ensure};
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_client::ExternalProcessorClient;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    HttpBody, HttpHeaders, HttpTrailers, ProcessingRequest, ProtocolConfiguration,
    processing_request::Request,
};
use futures_util::future::join_all;
use proptest::prelude::*;
use std::time::Duration;
use tests::listener::Address;
use tests::merit::Merit;
use tests::policy;
use tests::process::until;
use tests::prompt::{CHAT, chat};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::{Channel, Endpoint};

use crate::run;

type Client = ExternalProcessorClient<Channel>;

/// Merit's own deadlines are far shorter.
const HUNG: Duration = Duration::from_secs(15);

/// Streams that are open at the same time.
const AT_ONCE: usize = 8;

/// One frame.
#[derive(Debug, Clone)]
enum Frame {
    RequestHeaders { path: &'static str, end: bool },
    RequestBody { text: Vec<u8>, end: bool },
    RequestTrailers,
    ResponseHeaders { end: bool },
    ResponseBody { text: Vec<u8>, end: bool },
    ResponseTrailers,
    Empty,
}

/// How a stream ends on the gateway's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    HalfClose,
    /// Reset after so many replies.
    Cancel(usize),
}

#[derive(Debug, Clone)]
struct Script {
    /// Request and response body mode, if they are declared.
    modes: Option<(i32, i32)>,
    observing: bool,
    attempt: bool,
    frames: Vec<Frame>,
    end: End,
}

pub(crate) fn attack(name: &str) -> Result<()> {
    let runtime = Runtime::new()?;
    let (merit, client) = runtime.block_on(connect())?;
    let scripts = prop::collection::vec(script(), 1..=AT_ONCE);
    run::run(name, &scripts, |scripts| {
        let played = scripts.iter().map(|script| play(client.clone(), script));
        let played: Result<Vec<()>> = runtime.block_on(join_all(played)).into_iter().collect();
        played.map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
        Ok(())
    })?;
    runtime.block_on(async {
        let panics = merit.metric("merit_panic_total").await?;
        ensure!(panics == 0.0, "{panics} exchanges panicked");
        until("the end of all streams", HUNG, async || {
            let open = merit.metric("merit_exchange_open").await?;
            Ok((open == 0.0).then_some(()))
        })
        .await
    })
}

async fn connect() -> Result<(Merit, Client)> {
    let merit = Merit::start(&policy::with_server("profile: observe")).await?;
    let Address::Tcp(address) = merit.address() else {
        bail!("merit listens on TCP here")
    };
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    let client = ExternalProcessorClient::new(endpoint.connect().await?);
    Ok((merit, client.max_decoding_message_size(usize::MAX)))
}

fn script() -> impl Strategy<Value = Script> {
    let modes = prop_oneof![
        6 => (0..=4_i32, 0..=4_i32).prop_map(Some),
        1 => (-1..=77_i32, -1..=77_i32).prop_map(Some),
        2 => Just(None),
    ];
    let end = prop_oneof![
        3 => Just(End::HalfClose),
        1 => (0..3_usize).prop_map(End::Cancel),
    ];
    // Half of the streams begin as a real one does, so that later frames are reached.
    let begin = prop::option::of(any::<bool>());
    let frames = prop::collection::vec(frame(), 0..8);
    let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    (modes, begin, frames, end, flags).prop_map(|(modes, begin, mut frames, end, flags)| {
        if let Some(with_body) = begin {
            let body = with_body.then(|| Frame::RequestBody {
                text: chat("auto", "hello").to_string().into_bytes(),
                end: true,
            });
            let head = Frame::RequestHeaders {
                path: CHAT,
                end: false,
            };
            drop(frames.splice(0..0, std::iter::once(head).chain(body)));
        }
        Script {
            modes,
            observing: flags.0,
            attempt: flags.1,
            frames,
            end,
        }
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let text = || {
        prop_oneof![
            Just(Vec::new()),
            Just(chat("auto", "refactor").to_string().into_bytes()),
            Just(b"{\"model\":\"au".to_vec()),
            prop::collection::vec(any::<u8>(), 0..64),
        ]
    };
    let path = prop::sample::select(vec![CHAT, "/v1/messages", "/v1/models", "/", ""]);
    let end = any::<bool>;
    prop_oneof![
        3 => (path, end()).prop_map(|(path, end)| Frame::RequestHeaders { path, end }),
        4 => (text(), end()).prop_map(|(text, end)| Frame::RequestBody { text, end }),
        1 => Just(Frame::RequestTrailers),
        2 => end().prop_map(|end| Frame::ResponseHeaders { end }),
        2 => (text(), end()).prop_map(|(text, end)| Frame::ResponseBody { text, end }),
        1 => Just(Frame::ResponseTrailers),
        1 => Just(Frame::Empty),
    ]
}

/// Sends a stream and checks how it ends.
async fn play(mut client: Client, script: &Script) -> Result<()> {
    let (frames, rest) = unbounded_channel();
    for (index, frame) in script.frames.iter().enumerate() {
        let protocol_config = script
            .modes
            .filter(|_| index == 0)
            .map(|(request, response)| ProtocolConfiguration {
                request_body_mode: request,
                response_body_mode: response,
                send_body_without_waiting_for_header_response: false,
            });
        frames.send(ProcessingRequest {
            request: frame.wire(),
            protocol_config,
            observability_mode: script.observing,
            ..ProcessingRequest::default()
        })?;
    }
    let held = (script.end != End::HalfClose).then_some(frames);
    let mut request = tonic::Request::new(UnboundedReceiverStream::new(rest));
    if script.attempt {
        request
            .metadata_mut()
            .insert("x-merit-attempt", "1".parse()?);
    }
    let Ok(answer) = timeout(HUNG, client.process(request)).await? else {
        return Ok(());
    };
    let mut replies = answer.into_inner();
    let mut count = 0;
    loop {
        if script.end == End::Cancel(count) {
            drop(held);
            return Ok(());
        }
        // A stream that is left open may rightly wait for more frames.
        let patience = if held.is_some() {
            Duration::from_millis(20)
        } else {
            HUNG
        };
        match timeout(patience, replies.message()).await {
            Err(_) if held.is_some() => return Ok(()),
            Err(_) => bail!("hung after {count} replies"),
            Ok(Err(_)) => return Ok(()),
            Ok(Ok(Some(_))) => count += 1,
            Ok(Ok(None)) => {
                let is_told = count > 0 || script.observing;
                ensure!(is_told, "ended OK without a reply");
                return Ok(());
            }
        }
    }
}

impl Frame {
    fn wire(&self) -> Option<Request> {
        let head = |name: &str, value: &str, end: bool| HttpHeaders {
            headers: Some(HeaderMap {
                headers: vec![header(name, value), header(":method", "POST")],
            }),
            end_of_stream: end,
            ..HttpHeaders::default()
        };
        let body = |text: &[u8], end: bool| HttpBody {
            body: text.to_vec(),
            end_of_stream: end,
            ..HttpBody::default()
        };
        Some(match self {
            Self::RequestHeaders { path, end } => {
                Request::RequestHeaders(head(":path", path, *end))
            }
            Self::RequestBody { text, end } => Request::RequestBody(body(text, *end)),
            Self::RequestTrailers => Request::RequestTrailers(HttpTrailers::default()),
            Self::ResponseHeaders { end } => Request::ResponseHeaders(head(":status", "200", *end)),
            Self::ResponseBody { text, end } => Request::ResponseBody(body(text, *end)),
            Self::ResponseTrailers => Request::ResponseTrailers(HttpTrailers::default()),
            Self::Empty => return None,
        })
    }
}

fn header(name: &str, value: &str) -> HeaderValue {
    HeaderValue {
        key: name.to_owned(),
        raw_value: value.as_bytes().to_vec(),
        ..HeaderValue::default()
    }
}
