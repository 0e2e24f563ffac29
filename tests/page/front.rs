//! What stands before Merit where a test wants records that no request has made: it answers for
//! their paths, and passes everything else on to Merit as it came.

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use tests::client::{self, Call};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The id of the newest record.
pub(crate) const NEWEST: &str = "0123456789abcdef0123456789abcdef";
/// A prompt that would be an element, and a script, if it were no text.
pub(crate) const HOSTILE: &str =
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";

/// A running front; ends when dropped.
pub(crate) struct Front {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Front {
    /// Starts before an admin listener.
    pub(crate) async fn start(merit: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let service = service_fn(move |request| answer(request, merit));
                let stream = TokioIo::new(stream);
                connections.spawn(http1::Builder::new().serve_connection(stream, service));
            }
        });
        Ok(Self {
            address,
            _serving: serving,
        })
    }

    /// The address of a view.
    pub(crate) fn view(&self, name: &str) -> String {
        format!("http://{}/#/{name}", self.address)
    }
}

async fn answer(
    request: Request<Incoming>,
    merit: SocketAddr,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let answer = match sample(&path) {
        Some(body) => Response::new(Full::new(Bytes::from(body.to_string()))),
        None => passed_on(request, merit).await.unwrap_or_else(|error| {
            let mut response = Response::new(Full::new(Bytes::from(error.to_string())));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }),
    };
    Ok(answer)
}

async fn passed_on(request: Request<Incoming>, merit: SocketAddr) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let body = Full::new(body).map_err(std::io::Error::other);
    let mut call = Call::new(head.method, path, body.boxed_unsync());
    for (name, value) in &head.headers {
        if name != http::header::CONTENT_LENGTH && name != http::header::HOST {
            call = call.header(name.as_str(), value.to_str()?);
        }
    }
    let answer = client::call(merit, call).await?;
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
        .headers_mut()
        .remove(http::header::TRANSFER_ENCODING);
    Ok(response)
}

/// Records in the form of the API.
fn sample(path: &str) -> Option<Value> {
    match path {
        "/v1/router_replay" => Some(json!({
            "object": "router_replay.list", "count": 2, "total": 2, "limit": 50, "offset": 0,
            "has_more": false, "data": [served(), refused()],
        })),
        "/v1/router_replay/aggregate" => Some(json!({
            "object": "router_replay.aggregate", "record_count": 8,
            "summary_by_currency": [{"total_saved": 1.5, "baseline_spend": 6.0, "actual_spend": 4.5,
                "currency": "USD", "cost_record_count": 7, "excluded_record_count": 1}],
            "decision_distribution": [{"name": "code", "value": 6}, {"name": "Unknown", "value": 2}],
            "model_selection": [{"name": "large", "value": 6}, {"name": "small", "value": 2}],
            "token_volume": {"input_tokens": 900, "output_tokens": 100, "total_tokens": 1000},
            "token_breakdown": {
                "by_decision": [{"name": "code", "value": 1000}],
                "by_selected_model": [{"name": "large", "value": 1000}],
            },
        })),
        "/api/v1/ledger" => Some(json!({"object": "merit.ledger", "by": "model", "rows": [{
            "key": "large", "currency": "USD", "sums": {
                "requests": "7", "priced": "7", "compared": "7", "input_tokens": "900",
                "output_tokens": "100", "cost_nanos": "4500000000", "saved_nanos": "1500000000"},
        }]})),
        _ => {
            let id = path.strip_prefix("/v1/router_replay/")?;
            (id == NEWEST).then(served)
        }
    }
}

fn served() -> Value {
    json!({
        "id": NEWEST, "timestamp": "2026-01-02T03:04:05Z", "request_id": "request-one",
        "recipe": "default", "decision": "code", "original_model": "auto",
        "selected_model": "large", "lifecycle_state": "completed", "response_status": 200,
        "duration_ms": 812, "signals": {"keyword": ["code_words"]}, "prompt_tokens": 900,
        "completion_tokens": 100, "actual_cost": 0.5, "currency": "USD", "prompt": HOSTILE,
    })
}

fn refused() -> Value {
    json!({
        "id": "ffffffffffffffffffffffffffffffff", "timestamp": "2026-01-02T03:04:00Z",
        "request_id": "request-two", "decision": "", "original_model": "large",
        "lifecycle_state": "completed", "response_status": 403, "boundaries": ["stays"],
    })
}
