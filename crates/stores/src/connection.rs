//! The connection to one server: made at first use, made again when it breaks, and broken by a reply
//! that is too large.
//!
//! The library reads a reply whole, however long it says it is. So the bytes are counted on their
//! way to it, since the last reply that was complete.

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError};
use rustls::pki_types::ServerName;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsConnector;

/// What may come before a reply is complete, bytes. Records of sessions and pools are a thousandth
/// of it.
pub(crate) const REPLY_MAX: usize = 4 << 20;

/// Commands that wait for the server on one connection, at most.
const IN_FLIGHT: usize = 1_024;

/// Where a server is, and how it is spoken to.
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// TLS, and the name that the server's certificate is for.
    pub(crate) tls: Option<(TlsConnector, ServerName<'static>)>,
    pub(crate) login: RedisConnectionInfo,
    /// Longest wait for a connection, and for an answer.
    pub(crate) limit: Duration,
}

/// The connection, if there is one.
pub(crate) struct Server {
    target: Target,
    link: Mutex<Option<Arc<Link>>>,
}

/// One connection, shared by all commands. It is closed when nobody uses it any more.
pub(crate) struct Link {
    connection: MultiplexedConnection,
    /// Bytes that came since the last complete reply.
    unanswered: Arc<AtomicUsize>,
    driving: AbortHandle,
    _driver: JoinSet<()>,
}

impl Link {
    pub(crate) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// A reply was complete.
    pub(crate) fn answered(&self) {
        self.unanswered.store(0, Relaxed);
    }
}

impl Server {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            link: Mutex::default(),
        }
    }

    /// Returns the connection; makes one if there is none, or if it broke.
    pub(crate) async fn link(&self) -> Result<Arc<Link>, RedisError> {
        let mut current = self.link.lock().await;
        if let Some(link) = current.as_ref().filter(|link| !link.driving.is_finished()) {
            return Ok(Arc::clone(link));
        }
        *current = None;
        let link = Arc::new(self.target.connect().await?);
        *current = Some(Arc::clone(&link));
        Ok(link)
    }

    /// Gives a broken connection up, so that the next command makes another.
    pub(crate) async fn give_up(&self, broken: &Arc<Link>) {
        let mut current = self.link.lock().await;
        current.take_if(|link| Arc::ptr_eq(link, broken));
    }
}

impl Target {
    async fn connect(&self) -> Result<Link, RedisError> {
        let limit = self.limit.max(Duration::from_millis(100));
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = in_time(limit, connecting).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some((connector, name)) => {
                let handshake = connector.connect(name.clone(), stream);
                Box::new(in_time(limit, handshake).await?)
            }
        };
        let unanswered = Arc::<AtomicUsize>::default();
        let counted = Counted {
            stream,
            unanswered: Arc::clone(&unanswered),
        };
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(self.limit))
            .set_concurrency_limit(IN_FLIGHT);

        let making = MultiplexedConnection::new_with_config(&self.login, counted, config);
        let (connection, driver) = making.await?;
        let mut driving = JoinSet::new();
        Ok(Link {
            connection,
            unanswered,
            driving: driving.spawn(driver),
            _driver: driving,
        })
    }
}

async fn in_time<T>(limit: Duration, doing: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, doing)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A stream of bytes, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A stream that fails when too much comes without a complete reply.
struct Counted {
    stream: Box<dyn Stream>,
    unanswered: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let came = buffer.filled().len() - before;
        let sum = self
            .unanswered
            .fetch_add(came, Relaxed)
            .saturating_add(came);
        if sum > REPLY_MAX {
            let why = format!("a reply of more than {REPLY_MAX} bytes");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
