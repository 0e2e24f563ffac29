//! The HTTP listeners of admin and metrics: connections with bounds in number and time.

use crate::newest::Newest;
use crate::shutdown::Tasks;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// What a listener allows.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections at a time. One more ends the oldest, so that idle ones keep out nobody.
    pub connections: usize,
    /// How long a connection may be open before it has sent a request's headers, and between
    /// requests.
    pub headers: Duration,
    /// How long a request may take, its body included.
    pub request: Duration,
    /// How long a connection may live, so that one whose peer reads nothing ends, too.
    pub connection: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 256,
            headers: Duration::from_secs(30),
            request: Duration::from_secs(60),
            connection: Duration::from_secs(600),
        }
    }
}

/// Out of file descriptors: give others time to return some.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves until the tasks stop. A client that keeps its connection open does not hold up the exit.
pub fn serve(listener: TcpListener, router: Router, bounds: Bounds, tasks: &Tasks) {
    let stop = tasks.stopping();
    let router = router.layer(from_fn(move |request, next| {
        in_time(request, next, bounds.request)
    }));
    tasks.spawn(async move {
        stop.run_until_cancelled(accept(listener, router, bounds))
            .await;
    });
}

/// Answers 408 where a request, or its body, takes too long.
async fn in_time(request: Request, next: Next, limit: Duration) -> Response {
    tokio::time::timeout(limit, next.run(request))
        .await
        .unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
}

async fn accept(listener: TcpListener, router: Router, bounds: Bounds) {
    let mut open = Newest::new(bounds.connections);
    // Connections end with this set, that is, with the listener.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (router, stop) = (router.clone(), open.begin());
                connections.spawn(async move {
                    let served = connection(stream, router, bounds);
                    stop.run_until_cancelled(served).await;
                    // Says that it is over.
                    stop.cancel();
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, router: Router, bounds: Bounds) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.headers)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // A peer that breaks off, or is cut here, is an ordinary end.
    if let Ok(Err(error)) = tokio::time::timeout(bounds.connection, served).await {
        tracing::debug!(%error, "an http connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use axum::routing::{get, post};
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn serving(bounds: Bounds) -> (SocketAddr, Tasks) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = Tasks::default();
        let router = Router::new()
            .route("/", get(async || "hello"))
            .route("/body", post(async |body: Bytes| body.len().to_string()));
        serve(listener, router, bounds, &tasks);
        (address, tasks)
    }

    fn brief() -> Bounds {
        Bounds {
            headers: Duration::from_millis(200),
            request: Duration::from_millis(200),
            ..Bounds::default()
        }
    }

    /// What comes back for these bytes until the server closes.
    async fn exchange(address: SocketAddr, sent: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        let read = tokio::time::timeout(Duration::from_secs(10), read).await;
        read.expect("the server closes").unwrap();
        answer
    }

    #[tokio::test]
    async fn connections_that_send_nothing_are_closed() {
        let (address, _tasks) = serving(brief()).await;
        for (sent, begins) in [
            ("", ""),
            ("GET / HT", ""),
            // After its answer the connection is idle.
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200"),
            (
                "POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab",
                "HTTP/1.1 408",
            ),
        ] {
            let answer = exchange(address, sent).await;
            assert!(answer.starts_with(begins), "{sent:?}: {answer}");
        }
    }

    #[tokio::test]
    async fn idle_connections_keep_out_nobody() {
        let (address, _tasks) = serving(Bounds {
            connections: 2,
            ..Bounds::default()
        })
        .await;
        let mut open = Vec::new();
        for _ in 0..20 {
            open.push(TcpStream::connect(address).await.unwrap());
        }
        let answer = exchange(
            address,
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        )
        .await;
        assert!(answer.ends_with("hello"), "{answer}");
    }
}
