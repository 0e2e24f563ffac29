//! Real sockets on loopback: TCP, Unix, TLS, mutual TLS.

use super::*;
use crate::cli::TlsArgs;
use crate::health::{Readiness, State};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

#[test]
fn addresses() {
    for (text, shown, local) in [
        ("127.0.0.1:0", "127.0.0.1:0", true),
        ("localhost:5", "127.0.0.1:5", true),
        ("[::1]:5", "[::1]:5", true),
        ("0.0.0.0:5", "0.0.0.0:5", false),
        ("unix:/a/b", "unix:/a/b", true),
    ] {
        let address: Address = text.parse().unwrap();
        assert_eq!(
            (address.to_string().as_str(), address.is_local()),
            (shown, local)
        );
    }
    for text in ["", "unix:", "5", "host:5", "localhost:x", "/a/b"] {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
}

/// Serves gRPC health on `address`.
async fn serve(address: &Address, tls: Option<Arc<Tls>>) -> (Tasks, Address) {
    let tasks = Tasks::default();
    let readiness = Readiness::new().await;
    readiness.set(State::Ready).await;
    let bound = Bound::bind(address).await.unwrap();
    let address = bound.address().clone();
    let incoming = bound.incoming(tls, &tasks);
    let server = grpc()
        .add_service(readiness.service())
        .serve_with_incoming(incoming);
    tasks.spawn(server);
    (tasks, address)
}

async fn is_serving(channel: Channel) -> bool {
    let request = HealthCheckRequest {
        service: String::new(),
    };
    HealthClient::new(channel)
        .check(request)
        .await
        .is_ok_and(|reply| reply.into_inner().status == 1)
}

async fn connect<F, S>(
    connect: impl Fn() -> F + Send + Sync + 'static,
) -> Result<Channel, tonic::transport::Error>
where
    F: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let connect = Arc::new(connect);
    let connector = tower::service_fn(move |_: Uri| {
        let connecting = connect();
        async move { connecting.await.map(hyper_util::rt::TokioIo::new) }
    });
    Endpoint::from_static("http://merit")
        .connect_with_connector(connector)
        .await
}

#[tokio::test]
async fn tcp() {
    let (_tasks, address) = serve(&"127.0.0.1:0".parse().unwrap(), None).await;
    assert!(!address.to_string().ends_with(":0"));
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    assert!(is_serving(channel).await);
}

#[tokio::test]
async fn unix() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("merit.sock");
    // A socket that nobody serves any more, as a killed process leaves it.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let address = Address::Unix(path.clone());
    let (_tasks, _) = serve(&address, None).await;
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o660
    );
    let to = path.clone();
    let channel = connect(move || tokio::net::UnixStream::connect(to.clone()))
        .await
        .unwrap();
    assert!(is_serving(channel).await);
    assert!(matches!(
        Bound::bind(&address).await,
        Err(BindError::InUse(_))
    ));
}

#[tokio::test]
async fn a_closed_listener_removes_its_socket_and_no_other_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("merit.sock");
    drop(Bound::bind(&Address::Unix(path.clone())).await.unwrap());
    assert!(!path.exists());
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(
        Bound::bind(&Address::Unix(path.clone())).await,
        Err(BindError::NotASocket(_))
    ));
    assert!(path.exists());
}

/// An authority, and what it signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

struct Signed {
    cert: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self) -> Signed {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec!["merit".to_owned()])
            .unwrap()
            .signed_by(&key, &self.0)
            .unwrap();
        Signed {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// The files of a listener with TLS.
struct Files(tempfile::TempDir);

impl Files {
    fn new(server: &Signed, client_ca: Option<&Authority>) -> (Self, Arc<Tls>) {
        let files = Self(tempfile::tempdir().unwrap());
        files.write(server);
        let path = |name: &str| Some(files.0.path().join(name));
        let client_ca = client_ca.and_then(|authority| {
            std::fs::write(path("ca")?, authority.0.pem()).unwrap();
            path("ca")
        });
        let tls = Tls::load(&TlsArgs {
            cert: path("cert"),
            key: path("key"),
            client_ca,
        })
        .unwrap()
        .unwrap();
        (files, tls)
    }

    fn write(&self, server: &Signed) {
        std::fs::write(self.0.path().join("cert"), &server.cert).unwrap();
        std::fs::write(self.0.path().join("key"), &server.key).unwrap();
    }
}

/// Whether a client that trusts `authority` and shows `identity` is served.
async fn is_served(address: &Address, authority: &Authority, identity: Option<&Signed>) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        Some(identity) => {
            let cert = CertificateDer::from_pem_slice(identity.cert.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![cert], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (connector, address) = (TlsConnector::from(Arc::new(config)), address.to_string());
    let channel = connect(move || {
        let (connector, address) = (connector.clone(), address.clone());
        async move {
            let stream = TcpStream::connect(&address).await?;
            connector
                .connect(ServerName::try_from("merit").unwrap(), stream)
                .await
        }
    });
    match channel.await {
        Ok(channel) => is_serving(channel).await,
        Err(_) => false,
    }
}

#[tokio::test]
async fn tls() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (_files, tls) = Files::new(&authority.sign(), None);
    let (_tasks, address) = serve(&"127.0.0.1:0".parse().unwrap(), Some(tls)).await;
    assert!(is_served(&address, &authority, None).await);
    assert!(!is_served(&address, &stranger, None).await);
    // A client without TLS does not disturb the others.
    let plain = Endpoint::from_shared(format!("http://{address}")).unwrap();
    if let Ok(channel) = plain.connect().await {
        assert!(!is_serving(channel).await);
    }
    assert!(is_served(&address, &authority, None).await);
}

#[tokio::test]
async fn silent_clients_keep_out_nobody() {
    let authority = Authority::new();
    let (_files, tls) = Files::new(&authority.sign(), None);
    let (_tasks, address) = serve(&"127.0.0.1:0".parse().unwrap(), Some(tls)).await;
    let mut silent = Vec::new();
    for _ in 0..HANDSHAKES + 10 {
        silent.push(TcpStream::connect(address.to_string()).await.unwrap());
    }
    let served = is_served(&address, &authority, None);
    // Far below the time limit of the silent ones' handshakes.
    let served = tokio::time::timeout(HANDSHAKE_TIMEOUT / 2, served).await;
    assert_eq!(served.ok(), Some(true));
}

#[tokio::test]
async fn mutual_tls() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (_files, tls) = Files::new(&authority.sign(), Some(&clients));
    let (_tasks, address) = serve(&"127.0.0.1:0".parse().unwrap(), Some(tls)).await;
    assert!(is_served(&address, &authority, Some(&clients.sign())).await);
    assert!(!is_served(&address, &authority, None).await);
    assert!(!is_served(&address, &authority, Some(&authority.sign())).await);
}

#[tokio::test]
async fn certificates_are_replaced_while_serving() {
    let (old, new) = (Authority::new(), Authority::new());
    let (files, tls) = Files::new(&old.sign(), None);
    let (_tasks, address) = serve(&"127.0.0.1:0".parse().unwrap(), Some(Arc::clone(&tls))).await;
    assert!(!tls.refresh().unwrap());
    files.write(&new.sign());
    assert!(tls.refresh().unwrap());
    assert!(is_served(&address, &new, None).await);
    assert!(!is_served(&address, &old, None).await);
    // Half a renewal: a certificate without its key is not taken over.
    std::fs::write(files.0.path().join("cert"), old.sign().cert).unwrap();
    assert!(tls.refresh().is_err());
    assert!(is_served(&address, &new, None).await);
}
