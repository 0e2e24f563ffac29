//! One call over HTTP to the gateway's inner listener.

use crate::remote::{Connection, connector};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use router::escalation::answer::error_message;
use router::escalation::run::Fault;
use std::sync::OnceLock;
use std::time::Instant;
use tokio::time::timeout_at;

type Http = legacy::Client<Connection, Full<Bytes>>;

/// Bytes of an error that are read for its message.
const ERROR_MAX: u64 = 64 << 10;

/// The gateway, as it takes calls back. Nothing is connected before the first call.
#[derive(Default)]
pub(super) struct Gateway {
    plain: OnceLock<Option<Http>>,
    secure: OnceLock<Option<Http>>,
}

impl Gateway {
    /// Posts a body; returns the answer's body and the number of bytes that came, at most
    /// `bytes`, by `until`.
    pub(super) async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
        bytes: u64,
        until: Instant,
    ) -> (Result<Bytes, Fault>, u64) {
        let Some((http, uri)) = self.client(url) else {
            return (Err(Fault::Unreachable), 0);
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let exchange = async {
            let response = http
                .request(request)
                .await
                .map_err(|error| broken(error.is_connect()))?;
            let status = response.status();
            let most = if status == StatusCode::OK {
                bytes
            } else {
                bytes.min(ERROR_MAX)
            };
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            match Limited::new(response.into_body(), most).collect().await {
                Ok(whole) => Ok((status, whole.to_bytes())),
                Err(_) if status != StatusCode::OK => Ok((status, Bytes::new())),
                Err(error) if error.is::<LengthLimitError>() => Err(Fault::TooLarge),
                Err(_) => Err(broken(false)),
            }
        };
        match timeout_at(until.into(), exchange).await {
            Ok(Ok((StatusCode::OK, whole))) => {
                let came = whole.len() as u64;
                (Ok(whole), came)
            }
            Ok(Ok((status, whole))) => {
                let message = error_message(&whole);
                (
                    Err(Fault::Status {
                        status: status.as_u16(),
                        message,
                    }),
                    whole.len() as u64,
                )
            }
            // What came of it is not known; it was no more than allowed.
            Ok(Err(Fault::TooLarge)) => (Err(Fault::TooLarge), bytes),
            Ok(Err(fault)) => (Err(fault), 0),
            Err(_) => (Err(Fault::TimedOut), 0),
        }
    }

    fn client(&self, url: &str) -> Option<(&Http, Uri)> {
        let uri: Uri = url.parse().ok()?;
        let secure = uri.scheme_str() == Some("https");
        let client = if secure { &self.secure } else { &self.plain };
        let http = client.get_or_init(|| {
            let connector = connector(secure)
                .inspect_err(|error| tracing::error!(%error, "calls of runs are not possible"));
            Some(legacy::Client::builder(TokioExecutor::new()).build(connector.ok()?))
        });
        Some((http.as_ref()?, uri))
    }
}

fn broken(before_it_began: bool) -> Fault {
    if before_it_began {
        return Fault::Unreachable;
    }
    Fault::Status {
        status: 502,
        message: Some("the connection to the model broke".to_owned()),
    }
}
