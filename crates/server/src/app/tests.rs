//! The whole process, in process, on free ports.

use super::*;
use crate::cli::{Cli, Command, TlsArgs};
use clap::Parser as _;
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::path::PathBuf;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const SECRET: &str = "{version: v0.3, providers: {models: [{name: a, backend_refs: [{endpoint: 'b:1', api_key: k}]}]}}";
const GRACE: Duration = Duration::from_millis(200);

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn arguments(&self, document: &str) -> ServeArgs {
        let config = self.write("merit.yaml", document);
        let words = [
            "merit",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--metrics",
            "127.0.0.1:0",
        ];
        let words = words
            .into_iter()
            .map(String::from)
            .chain(["--config".to_owned(), config.display().to_string()]);
        match Cli::parse_from(words).command {
            Command::Serve(arguments) => *arguments,
            other => panic!("{other:?}"),
        }
    }
}

async fn start(arguments: &ServeArgs) -> anyhow::Result<Process> {
    Process::start(arguments, Tracing::off(), || {}).await
}

async fn health(channel: Channel, name: &str) -> Option<i32> {
    let request = HealthCheckRequest {
        service: name.to_owned(),
    };
    HealthClient::new(channel)
        .check(request)
        .await
        .ok()
        .map(|reply| reply.into_inner().status)
}

async fn channel(address: &Address) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect()
        .await
        .unwrap()
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    use http_body_util::Empty;
    use hyper_util::client::legacy::Client;
    let client =
        Client::builder(hyper_util::rt::TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let response = client
        .get(format!("http://{address}{path}").parse().unwrap())
        .await
        .unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn serves_and_announces_and_stops() {
    let folder = Folder::new();
    let ports = folder.0.path().join("ports.json");
    let arguments = ServeArgs {
        ports_file: Some(ports.clone()),
        ..folder.arguments("version: v0.3")
    };
    let process = start(&arguments).await.unwrap();
    let Addresses {
        grpc,
        admin,
        metrics,
    } = process.addresses().clone();
    let announced: Value = serde_json::from_slice(&std::fs::read(ports).unwrap()).unwrap();
    assert_eq!(announced["grpc"], grpc.to_string());
    assert_eq!(announced["admin"], admin.to_string());

    for name in [
        "",
        "readiness",
        "liveness",
        "envoy.service.ext_proc.v3.ExternalProcessor",
    ] {
        assert_eq!(health(channel(&grpc).await, name).await, Some(1), "{name}");
    }
    assert_eq!(get(admin, "/ready").await.0, 200);
    let (_, hash) = get(admin, "/config/hash").await;
    let hash: Value = serde_json::from_str(&hash).unwrap();
    assert_eq!(
        (&hash["generation"], &hash["last_reload"]["outcome"]),
        (&1.into(), &"swapped".into())
    );
    assert_eq!(hash["hash"].as_str().unwrap().len(), 64);
    let (_, text) = get(metrics, "/metrics").await;
    let loaded =
        u64::from_str_radix(hash["hash"].as_str().unwrap().get(..12).unwrap(), 16).unwrap();
    let hash_line = format!("merit_config_hash {loaded}");
    let process_lines = [
        "merit_generations_alive 1",
        "merit_config_generation 1",
        "merit_exchange_open 0",
    ];
    for line in process_lines
        .into_iter()
        .chain(["merit_config_last_reload_successful 1", &hash_line])
    {
        assert!(text.lines().any(|it| it == line), "{line} is not in {text}");
    }

    assert_eq!(
        (
            get(metrics, "/health").await.0,
            get(metrics, "/ready").await.0
        ),
        (200, 200)
    );

    assert_eq!(
        process.stop(GRACE, std::future::pending()).await,
        Outcome::Drained
    );
    assert!(tokio::net::TcpStream::connect(admin).await.is_err());
}

#[tokio::test]
async fn a_reload_shows_everywhere() {
    let folder = Folder::new();
    let process = start(&folder.arguments("version: v0.3")).await.unwrap();
    let mut reloads = process.reloads();
    for (text, outcome, generation) in [
        ("version: v0.3 # again", "swapped", 2),
        ("version: [", "rejected", 2),
    ] {
        folder.write("merit.yaml", text);
        process.reload();
        let wait = reloads.wait_for(|status| {
            status.outcome.label() == outcome && status.generation == generation
        });
        drop(
            tokio::time::timeout(Duration::from_secs(20), wait)
                .await
                .unwrap()
                .unwrap(),
        );
    }
    let (_, hash) = get(process.addresses().admin, "/config/hash").await;
    let hash: Value = serde_json::from_str(&hash).unwrap();
    assert_eq!(hash["last_reload"]["outcome"], "rejected");
    assert_eq!(hash["last_reload"]["detail"][0]["severity"], "error");
    let (_, text) = get(process.addresses().metrics, "/metrics").await;
    assert!(
        text.contains(r#"merit_config_reload_total{outcome="rejected"} "#),
        "{text}"
    );
    assert!(
        text.contains("merit_config_last_reload_successful 0"),
        "{text}"
    );
    process.stop(GRACE, std::future::pending()).await;
}

#[tokio::test]
async fn refuses_to_start() {
    let folder = Folder::new();
    let sound = || folder.arguments("version: v0.3");
    for (arguments, reason) in [
        (
            ServeArgs {
                policy: folder.write("broken.yaml", "version: [").into(),
                ..sound()
            },
            "refused",
        ),
        (
            ServeArgs {
                policy: PathBuf::from("/nowhere").into(),
                ..sound()
            },
            "refused",
        ),
        (
            ServeArgs {
                admin: "0.0.0.0:0".parse().unwrap(),
                ..sound()
            },
            "--admin-token-file",
        ),
        (
            ServeArgs {
                admin_token_file: Some(folder.write("empty", "\n")),
                ..sound()
            },
            "is empty",
        ),
        (
            ServeArgs {
                listen: Address::Unix(folder.write("file", "")),
                ..sound()
            },
            "not a socket",
        ),
        (
            ServeArgs {
                tls: TlsArgs {
                    cert: Some("/nowhere".into()),
                    key: Some("/nowhere".into()),
                    client_ca: None,
                },
                ..sound()
            },
            "/nowhere",
        ),
    ] {
        let error = format!("{:#}", start(&arguments).await.err().expect(reason));
        assert!(error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn refuses_to_expose_a_credential() {
    let folder = Folder::new();
    let arguments = ServeArgs {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..folder.arguments(SECRET)
    };
    let error = format!("{:#}", start(&arguments).await.err().expect("exposed"));
    assert!(error.contains("--insecure-listen"), "{error}");
    let process = start(&ServeArgs {
        insecure_listen: true,
        ..arguments
    })
    .await
    .unwrap();
    process.stop(GRACE, std::future::pending()).await;
}

#[tokio::test]
async fn a_probe_finds_it_serving() {
    let folder = Folder::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let authority = folder.write("tls.crt", &made.cert.pem());
    let key = folder.write("tls.key", &made.signing_key.serialize_pem());
    let tls = TlsArgs {
        cert: Some(authority.clone()),
        key: Some(key),
        client_ca: None,
    };
    for (tls, flags) in [(TlsArgs::default(), ""), (tls, "--tls-ca")] {
        let process = start(&ServeArgs {
            tls,
            ..folder.arguments("version: v0.3")
        })
        .await
        .unwrap();
        let Address::Tcp(at) = process.addresses().grpc else {
            panic!("not TCP")
        };
        let authority = authority.display().to_string();
        let probe = async |more: &[&str]| {
            let address = format!("localhost:{}", at.port());
            let words = ["merit", "probe", &address, "--timeout-seconds", "0"];
            let tls = [flags, &authority];
            let tls = if flags.is_empty() {
                &tls[..0]
            } else {
                &tls[..]
            };
            let Command::Probe(arguments) =
                Cli::parse_from(words.iter().chain(tls).chain(more)).command
            else {
                panic!("not probe");
            };
            crate::probe::until_serving(&arguments).await
        };
        probe(&[]).await.unwrap();
        probe(&["--service", "readiness"]).await.unwrap();
        assert!(probe(&["--service", "nothing"]).await.is_err(), "{flags}");
        assert_eq!(
            process.stop(GRACE, std::future::pending()).await,
            Outcome::Drained
        );
        assert!(probe(&[]).await.is_err(), "{flags}");
    }
}
