//! TLS of the ext_proc listener: server certificate, optional client certificates, replaced when
//! the files change.

use crate::cli::TlsArgs;
use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at. Certificates are renewed long before they expire.
const REFRESH: Duration = Duration::from_secs(10);

/// The listener's TLS, as the files were when last read well.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    current: ArcSwap<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    digest: [u8; 32],
}

#[derive(Debug, Clone)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds no certificate or key in PEM form.
    #[error("{path} is not PEM as expected")]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// Certificate and key do not go together, or use what rustls does not support.
    #[error("certificate and key are not usable")]
    Config(#[from] rustls::Error),
    /// The client authorities are not usable.
    #[error("client authorities are not usable")]
    ClientCa(#[from] VerifierBuilderError),
}

impl Tls {
    /// Reads the files; `None` if TLS is not asked for.
    ///
    /// # Errors
    /// [`TlsError`] names the file.
    pub fn load(arguments: &TlsArgs) -> Result<Option<Arc<Self>>, TlsError> {
        let (Some(cert), Some(key)) = (arguments.cert.clone(), arguments.key.clone()) else {
            return Ok(None);
        };
        let files = Files {
            cert,
            key,
            client_ca: arguments.client_ca.clone(),
        };
        let loaded = files.load()?;
        Ok(Some(Arc::new(Self {
            files,
            current: ArcSwap::from_pointee(loaded),
        })))
    }

    /// Shakes hands on one accepted connection.
    ///
    /// # Errors
    /// As the client or the network caused them.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.current.load().config);
        TlsAcceptor::from(config).accept(stream).await
    }

    /// Re-reads the files if they changed. New connections use the new certificate; running ones go
    /// on. Returns whether something changed.
    ///
    /// # Errors
    /// The old certificate stays.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        if self.files.read()?.digest() == self.current.load().digest {
            return Ok(false);
        }
        self.current.store(Arc::new(self.files.load()?));
        Ok(true)
    }

    /// Refreshes now and then until `stop`.
    pub async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(REFRESH);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            match self.refresh() {
                Ok(false) => {}
                Ok(true) => tracing::info!("tls certificate replaced"),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "tls certificate not replaced");
                }
            }
        }
    }
}

struct Bytes {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Bytes {
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for part in [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()]
            .into_iter()
            .flatten()
        {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

impl Files {
    fn read(&self) -> Result<Bytes, TlsError> {
        Ok(Bytes {
            cert: read(&self.cert)?,
            key: read(&self.key)?,
            client_ca: self.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn load(&self) -> Result<Loaded, TlsError> {
        let bytes = self.read()?;
        let chain = certificates(&self.cert, &bytes.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&bytes.key).map_err(|source| TlsError::Pem {
            path: self.key.clone(),
            source,
        })?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match (&self.client_ca, &bytes.client_ca) {
            (Some(path), Some(bytes)) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path, bytes)? {
                    roots.add(authority)?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Loaded {
            config: Arc::new(config),
            digest: bytes.digest(),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::Pem {
        path: path.to_owned(),
        source,
    };
    let certificates = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    if certificates.is_empty() {
        return Err(failed(pem::Error::NoItemsFound));
    }
    Ok(certificates)
}
