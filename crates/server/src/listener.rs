//! The ext_proc listener: TCP or Unix socket, plaintext or TLS, handed to tonic as one stream of
//! connections.

use crate::newest::Newest;
use crate::paced::Paced;
use crate::shutdown::Tasks;
use crate::tls::Tls;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;

/// Flow-control windows. With 3,000 slow streams on one connection 4 MiB doubled the throughput of
/// 64 KiB.
const CONNECTION_WINDOW: u32 = 4 << 20;
const STREAM_WINDOW: u32 = 1 << 20;
/// A gateway that vanished without a word is noticed after interval + timeout.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Accepted connections not yet taken; further ones wait in the kernel's backlog.
const PENDING: usize = 128;
/// Handshakes at a time. One more ends the oldest, so that clients that connect and say nothing
/// keep out nobody: a handshake that goes on takes milliseconds.
const HANDSHAKES: usize = 128;
/// Out of file descriptors: give running exchanges time to return some.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// A gRPC server with the tuning that Envoy's side streams need.
#[must_use]
pub fn grpc() -> Server {
    Server::builder()
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}

/// Where to listen: `ADDR:PORT`, `localhost:PORT` or `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// TCP; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Only this machine can connect.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(to),
            Self::Unix(path) => write!(to, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err(BadAddress)
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        if let Some(port) = text.strip_prefix("localhost:") {
            let port = port.parse().map_err(|_| BadAddress)?;
            return Ok(Self::Tcp(SocketAddr::from(([127, 0, 0, 1], port))));
        }
        text.parse().map(Self::Tcp).map_err(|_| BadAddress)
    }
}

/// Not an address that Merit can listen on.
#[derive(Debug, thiserror::Error)]
#[error("expected ADDR:PORT or unix:PATH")]
pub struct BadAddress;

/// Why a listener could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The operating system refused.
    #[error("cannot listen on {address}")]
    Io {
        /// Where.
        address: Address,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process answers on the socket.
    #[error("cannot listen on unix:{0}: another process is serving there")]
    InUse(PathBuf),
    /// Something that is not a socket lies there, and Merit does not delete files of others.
    #[error("cannot listen on unix:{0}: the file there is not a socket")]
    NotASocket(PathBuf),
}

/// A bound listener that does not accept yet.
#[derive(Debug)]
pub struct Bound {
    socket: Socket,
    address: Address,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        _file: SocketFile,
    },
}

/// The socket's file, removed when the listener closes.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it already; either way it is gone.
        drop(std::fs::remove_file(&self.0));
    }
}

impl Bound {
    /// Binds `address`. A stale Unix socket is removed first; the new one is for owner and group
    /// (0660).
    ///
    /// # Errors
    /// [`BindError`] says where and why.
    pub async fn bind(address: &Address) -> Result<Self, BindError> {
        let failed = |source| BindError::Io {
            address: address.clone(),
            source,
        };
        match address {
            Address::Tcp(wanted) => {
                let listener = TcpListener::bind(wanted).await.map_err(failed)?;
                let address = Address::Tcp(listener.local_addr().map_err(failed)?);
                Ok(Self {
                    socket: Socket::Tcp(listener),
                    address,
                })
            }
            Address::Unix(path) => {
                clear_stale(path)?;
                let listener = UnixListener::bind(path).map_err(failed)?;
                let file = SocketFile(path.clone());
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))
                    .map_err(failed)?;
                Ok(Self {
                    socket: Socket::Unix {
                        listener,
                        _file: file,
                    },
                    address: address.clone(),
                })
            }
        }
    }

    /// Where it really listens (the port taken, if 0 was asked for).
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Accepts until the returned stream is dropped. TLS handshakes run beside each other; one that
    /// fails or takes over ten seconds costs only its own connection.
    #[must_use]
    pub fn incoming(
        self,
        tls: Option<Arc<Tls>>,
        tasks: &Tasks,
    ) -> ReceiverStream<io::Result<Connection>> {
        let (send, receive) = mpsc::channel(PENDING);
        let accept = accept(self.socket, tls, tasks.clone(), send);
        tasks.spawn(accept);
        ReceiverStream::new(receive)
    }
}

fn clear_stale(path: &Path) -> Result<(), BindError> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(BindError::InUse(path.to_owned()));
    }
    std::fs::remove_file(path).map_err(|source| BindError::Io {
        address: Address::Unix(path.to_owned()),
        source,
    })
}

/// A connection of any kind, behind one pointer: the cost is one indirect call per read or write of
/// the socket.
pub type Connection = Box<dyn Transport>;

/// What tonic needs of a connection.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

impl Connected for Connection {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

type Sender = mpsc::Sender<io::Result<Connection>>;

async fn accept(socket: Socket, tls: Option<Arc<Tls>>, tasks: Tasks, send: Sender) {
    let mut handshakes = Newest::new(HANDSHAKES);
    loop {
        let connection = tokio::select! {
            () = send.closed() => return,
            connection = accept_one(&socket) => connection,
        };
        match (connection, &tls) {
            (Err(error), _) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
            (Ok(Accepted::Tcp(stream)), Some(tls)) => {
                let (tls, send, stop) = (Arc::clone(tls), send.clone(), handshakes.begin());
                tasks.spawn(async move {
                    stop.run_until_cancelled(handshake(stream, &tls, &send))
                        .await;
                    // Says that it is over.
                    stop.cancel();
                });
            }
            (Ok(accepted), _) => {
                if send.send(Ok(accepted.boxed())).await.is_err() {
                    return;
                }
            }
        }
    }
}

enum Accepted {
    Tcp(TcpStream),
    Unix(tokio::net::UnixStream),
}

impl Accepted {
    fn boxed(self) -> Connection {
        match self {
            Self::Tcp(stream) => Box::new(stream),
            Self::Unix(stream) => Box::new(stream),
        }
    }
}

async fn accept_one(socket: &Socket) -> io::Result<Accepted> {
    match socket {
        Socket::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            // Replies are small and waited for: without it Nagle holds them back.
            stream.set_nodelay(true)?;
            Ok(Accepted::Tcp(stream))
        }
        Socket::Unix { listener, .. } => listener
            .accept()
            .await
            .map(|(stream, _)| Accepted::Unix(stream)),
    }
}

async fn handshake(stream: TcpStream, tls: &Tls, send: &Sender) {
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        // A receiver that is gone means that the server stopped: the connection closes.
        Ok(Ok(stream)) => drop(send.send(Ok(Box::new(stream))).await),
        Ok(Err(error)) => complain(&error),
        Err(timeout) => complain(&timeout),
    }
}

/// Reports a failed handshake; of many, one each second.
fn complain<E: std::error::Error + 'static>(error: &E) {
    static FAILURES: Paced = Paced::new(Duration::from_secs(1));
    if let Some(unreported) = FAILURES.admit(Instant::now()) {
        let error: &(dyn std::error::Error + 'static) = error;
        tracing::warn!(error, unreported, "a tls handshake failed");
    }
}

#[cfg(test)]
mod tests;
