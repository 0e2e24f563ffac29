//! An exchange that panics, in every phase. Merit's protocol layer is served from here, as the
//! product has no way of panicking on request.

use crate::stage::{Models, chat};
use anyhow::{Result, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use extproc::{
    BodyReply, BodyStep, Exchange, Exchanges, Fault, HeadStep, Immediate, Options, RequestHead,
    ResponseHead, ResponseInterest, ResponseStep,
};
use http::StatusCode;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tests::client::{self, Call};
use tests::envoy::Envoy;
use tests::listener::{Listener, bootstrap};
use tests::prompt::CHAT;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;

/// Panics where the request's `x-panic` says.
struct Fragile;

#[derive(Default)]
struct FragileExchange {
    panics_at: String,
}

impl FragileExchange {
    fn reach(&self, phase: &str) {
        assert!(self.panics_at != phase, "panicking in {phase} as asked");
    }
}

impl Exchanges for Fragile {
    fn open(&self) -> Box<dyn Exchange> {
        Box::new(FragileExchange::default())
    }
}

#[async_trait]
impl Exchange for FragileExchange {
    async fn request_headers(&mut self, head: RequestHead) -> HeadStep {
        self.panics_at = head.headers.get("x-panic").unwrap_or_default().to_owned();
        self.reach("headers");
        HeadStep::NeedBody
    }

    async fn request_body(&mut self, _body: Bytes) -> BodyStep {
        self.reach("body");
        BodyStep::Forward(BodyReply {
            response: ResponseInterest::Body,
            ..BodyReply::default()
        })
    }

    async fn response_headers(&mut self, _head: ResponseHead) -> ResponseStep {
        self.reach("response");
        ResponseStep::default()
    }

    fn fault(&mut self, _fault: Fault) -> Immediate {
        Immediate {
            status: StatusCode::SERVICE_UNAVAILABLE,
            headers: Vec::new(),
            body: vec![Bytes::from_static(b"fault")],
            details: "fault",
        }
    }
}

async fn serve() -> Result<(SocketAddr, JoinSet<()>)> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let service = extproc::service(Arc::new(Fragile), Options::default()).server();
    let server = tonic::transport::Server::builder().add_service(service);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        server
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await
            .unwrap_or_default();
    });
    Ok((address, serving))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_its_own_request_only() -> Result<()> {
    let models = Models::start().await?;
    let (address, _serving) = serve().await?;
    let modes = ["FULL_DUPLEX_STREAMED", "BUFFERED", "BUFFERED_PARTIAL"];
    let listeners = modes.map(|mode| Listener {
        response_body: "STREAMED",
        ..Listener::new(mode, mode)
    });
    let envoy = Envoy::start(&bootstrap(&listeners, &models.backends(address.into()))).await?;
    for mode in modes {
        for phase in ["headers", "body", "response", "never"] {
            let case = format!("{mode}-{phase}");
            let call = Call::post(CHAT, chat("hello"))
                .header("x-case", &case)
                .header("x-panic", phase);
            let answer = client::call(envoy.listener(mode)?, call).await?;
            if phase == "never" {
                ensure!(
                    answer.status == 200,
                    "{case}: {} {}",
                    answer.status,
                    answer.text()
                );
                ensure!(
                    models.only(&case)?.body == chat("hello"),
                    "{case}: another body"
                );
                continue;
            }
            ensure!(
                answer.status.is_server_error(),
                "{case}: answered {}",
                answer.status
            );
            if phase != "response" {
                models.untouched_by(&case)?;
            }
        }
    }
    Ok(())
}
