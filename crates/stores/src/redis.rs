//! One Redis (or Valkey) server: connection, time limit, and leave after failures.
//!
//! The connection is made at first use and made again when it breaks. Values are bytes; their
//! meaning is the adapters'.

use ::redis::{Cmd, FromRedisValue, Pipeline, RedisConnectionInfo, RedisError};
use conversation::databases::RedisStore;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::{Link, Server, Target};
use crate::tls;

/// How long a server is left alone after a failure.
const LEAVE: Duration = Duration::from_millis(500);
/// Port where the address names none.
const PORT: u16 = 6379;

/// A server that keys of one prefix are kept on.
pub struct Redis {
    address: String,
    server: Server,
    prefix: String,
    limit: Duration,
    /// Until when nothing is asked; set by a failure, cleared by a success.
    leave: Mutex<Option<Instant>>,
    answered: AtomicU64,
    failed: AtomicU64,
}

/// Why a server did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Not within the time limit.
    #[error("redis at {0} did not answer in time")]
    TimedOut(String),
    /// It failed a moment ago and is left alone.
    #[error("redis at {0} failed a moment ago")]
    Left(String),
    /// It refused, or cannot be reached.
    #[error("redis at {address}: {source}")]
    Refused {
        /// Where it is.
        address: String,
        /// What it said.
        source: RedisError,
    },
}

impl Failure {
    /// Returns the reason's name in headers and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TimedOut(_) => "timeout",
            Self::Left(_) => "unavailable",
            Self::Refused { .. } => "error",
        }
    }
}

/// Why a server cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The document's settings make no sense.
    #[error("{0}")]
    Settings(String),
    /// A file of TLS material cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// Its path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

impl Redis {
    /// Prepares the connection to a server as the document names it. Nothing is sent before the
    /// first access. `prefix` is used where the document has none; `limit` bounds every access,
    /// connecting included.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(settings: &RedisStore, prefix: &str, limit: Duration) -> Result<Self, Unusable> {
        let address = settings.address.trim();
        if address.is_empty() {
            return Err(Unusable::Settings("`address` is missing".to_owned()));
        }
        if settings.cluster_mode {
            return Err(Unusable::Settings(
                "a cluster cannot be used; name one server".to_owned(),
            ));
        }
        let server = Server::new(target(settings, limit)?);
        let prefix = if settings.key_prefix.is_empty() {
            prefix
        } else {
            &settings.key_prefix
        };
        Ok(Self {
            address: address.to_owned(),
            server,
            prefix: prefix.to_owned(),
            limit,
            leave: Mutex::new(None),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// Returns a key below the prefix.
    #[must_use]
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Sends one command.
    ///
    /// # Errors
    /// [`Failure`]; within the time limit.
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        self.within(async {
            let link = self.server.link().await?;
            let answer = command.query_async(&mut link.connection()).await;
            self.settled(&link, answer).await
        })
        .await
    }

    /// Sends several commands at once.
    ///
    /// # Errors
    /// [`Failure`]; within the time limit. Some of them may have been carried out.
    pub async fn ask_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Failure> {
        self.within(async {
            let link = self.server.link().await?;
            let answer = commands.query_async(&mut link.connection()).await;
            self.settled(&link, answer).await
        })
        .await
    }

    /// Returns how many accesses were answered, and how many were not or not even tried.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (
            self.answered.load(Ordering::Relaxed),
            self.failed.load(Ordering::Relaxed),
        )
    }

    /// Returns whether the last access was answered, or there was none yet.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.leave
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }

    /// Gives the connection up where an error says that it broke.
    async fn settled<T>(
        &self,
        link: &Arc<Link>,
        answer: Result<T, RedisError>,
    ) -> Result<T, RedisError> {
        match &answer {
            Err(error) if error.is_unrecoverable_error() => self.server.give_up(link).await,
            Err(error) if error.is_timeout() => {}
            Ok(_) | Err(_) => link.answered(),
        }
        answer
    }

    async fn within<T>(
        &self,
        asking: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Failure> {
        if self.is_left(Instant::now()) {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return Err(Failure::Left(self.address.clone()));
        }
        let answer = match tokio::time::timeout(self.limit, asking).await {
            Err(_) => Err(Failure::TimedOut(self.address.clone())),
            Ok(Err(source)) => Err(Failure::Refused {
                address: self.address.clone(),
                source,
            }),
            Ok(Ok(answer)) => Ok(answer),
        };
        let (count, until) = match &answer {
            Ok(_) => (&self.answered, None),
            Err(_) => (&self.failed, Some(Instant::now() + LEAVE)),
        };
        count.fetch_add(1, Ordering::Relaxed);
        let before = std::mem::replace(
            &mut *self.leave.lock().unwrap_or_else(PoisonError::into_inner),
            until,
        );
        match (&answer, before) {
            (Err(failure), None) => {
                tracing::warn!(%failure, "a store is away; requests go on without it")
            }
            (Ok(_), Some(_)) => tracing::info!(address = self.address, "a store is back"),
            _ => {}
        }
        answer
    }

    fn is_left(&self, now: Instant) -> bool {
        self.leave
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|until| now < until)
    }
}

fn target(settings: &RedisStore, limit: Duration) -> Result<Target, Unusable> {
    let (host, port) = place(settings.address.trim())?;
    let tls = if settings.use_tls || settings.tls_enabled {
        let name = ServerName::try_from(host.clone())
            .map_err(|_| Unusable::Settings(format!("`{host}` is no name for TLS")))?;
        Some((tls::connector(settings)?, name))
    } else {
        None
    };
    let database = if settings.db == 0 {
        settings.database
    } else {
        settings.db
    };
    let mut login = RedisConnectionInfo::default()
        .set_db(database.into())
        .set_skip_set_lib_name();
    if !settings.password.is_empty() {
        login = login.set_password(&*settings.password);
    }
    Ok(Target {
        host,
        port,
        tls,
        login,
        limit,
    })
}

/// Parses `host:port`, `[v6]:port`, or a host alone.
fn place(address: &str) -> Result<(String, u16), Unusable> {
    let odd = || Unusable::Settings(format!("`{address}` is not host:port"));
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().map_err(|_| odd())?)
        }
        _ => (address, PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        Err(odd())
    } else {
        Ok((host.to_owned(), port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |address: &str, expected: Option<(&str, u16)>| {
            let found = place(address).ok();
            assert_eq!(
                found,
                expected.map(|(host, port)| (host.to_owned(), port)),
                "{address}"
            );
        };
        check("redis:6380", Some(("redis", 6380)));
        check("redis", Some(("redis", 6379)));
        check("[::1]:7000", Some(("::1", 7000)));
        check("::1", Some(("::1", 6379)));
        check("redis:port", None);
        check(":6379", None);
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_said() {
        let check = |settings: RedisStore, expected: &str| {
            let said = Redis::new(&settings, "p:", Duration::from_millis(10))
                .err()
                .map(|why| why.to_string());
            assert_eq!(said.as_deref(), Some(expected));
        };
        check(RedisStore::default(), "`address` is missing");
        let cluster = RedisStore {
            address: "a:1".into(),
            cluster_mode: true,
            ..RedisStore::default()
        };
        check(cluster, "a cluster cannot be used; name one server");
        let odd = RedisStore {
            address: "a:b".into(),
            ..RedisStore::default()
        };
        check(odd, "`a:b` is not host:port");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_fails_in_time_and_is_left_alone() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let settings = RedisStore {
            address,
            ..RedisStore::default()
        };
        // It takes connections and never says a word.
        let redis = Redis::new(&settings, "p:", Duration::from_millis(30)).unwrap();
        let first = redis.ask::<()>(&::redis::cmd("PING")).await.unwrap_err();
        assert!(
            matches!(first, Failure::TimedOut(_) | Failure::Refused { .. }),
            "{first}"
        );
        let second = redis.ask::<()>(&::redis::cmd("PING")).await.unwrap_err();
        assert!(matches!(second, Failure::Left(_)), "{second}");
    }

    /// A server that answers every connection's first command with so many bytes.
    async fn answering(length: usize, say: &str) -> Failure {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut server = tokio::task::JoinSet::new();
        let say = say.to_owned();
        server.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1_024]).await.unwrap() > 0);
            stream.write_all(say.as_bytes()).await.unwrap();
            // The client is expected to close before all of it is sent.
            let piece = vec![b'x'; 64 << 10];
            let mut sent = 0;
            while sent < length && stream.write_all(&piece).await.is_ok() {
                sent += piece.len();
            }
            assert!(sent < length, "all of it was read");
        });
        let settings = RedisStore {
            address,
            ..RedisStore::default()
        };
        let redis = Redis::new(&settings, "p:", Duration::from_secs(20)).unwrap();
        let asked = redis.ask::<Vec<u8>>(&::redis::cmd("PING")).await;
        server.join_next().await.unwrap().unwrap();
        asked.unwrap_err()
    }

    #[tokio::test]
    async fn a_reply_beyond_the_limit_ends_the_connection() {
        for say in ["$900000000\r\n", "+"] {
            let failure = answering(256 << 20, say).await;
            assert!(matches!(failure, Failure::Refused { .. }), "{failure}");
        }
    }
}
