//! Merit itself as a child: the `merit` binary on free ports, its admin and metrics at hand.

mod config_map;

use crate::client::{self, Answer, Call};
use crate::listener::Address;
use crate::process::{Process, Signal, until};
use anyhow::{Context, Result, bail, ensure};
use config_map::ConfigMap;
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const READY_LIMIT: Duration = Duration::from_secs(20);
const RELOAD_LIMIT: Duration = Duration::from_secs(5);

/// How to start Merit.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The policy document.
    pub document: String,
    /// Listen on a Unix socket instead of TCP.
    pub unix: bool,
    /// Keep the document as a kubelet keeps a mounted ConfigMap: behind two links, replaced by
    /// renaming one.
    pub config_map: bool,
    /// A fixed TCP address for ext_proc, for a Merit that takes the place of one that died.
    pub listen: Option<SocketAddr>,
    /// More arguments.
    pub arguments: Vec<String>,
    /// More environment.
    pub environment: Vec<(String, String)>,
}

/// A running Merit; ends when dropped.
pub struct Merit {
    process: Process,
    grpc: Address,
    admin: SocketAddr,
    metrics: SocketAddr,
    folder: TempDir,
    config_map: Option<ConfigMap>,
}

impl Merit {
    /// Starts with this document on free ports, and waits until it is ready.
    ///
    /// # Errors
    /// The binary is not there, refuses the document, or is not ready in time; the error holds what
    /// it printed.
    pub async fn start(document: &str) -> Result<Self> {
        Self::with(&Settings {
            document: document.to_owned(),
            ..Settings::default()
        })
        .await
    }

    /// Starts as told, and waits until it is ready.
    ///
    /// # Errors
    /// As [`Merit::start`].
    pub async fn with(settings: &Settings) -> Result<Self> {
        let folder = TempDir::new()?;
        let at = |name: &str| folder.path().join(name);
        let config_map = settings
            .config_map
            .then(|| ConfigMap::mount(&at("mounted"), &settings.document))
            .transpose()?;
        let config = if settings.config_map {
            at("mounted").join("config.yaml")
        } else {
            at("config.yaml")
        };
        if !settings.config_map {
            fs::write(&config, &settings.document)?;
        }
        let socket = at("extproc.sock");
        let listen = match settings.listen {
            Some(address) => address.to_string(),
            None if settings.unix => format!("unix:{}", socket.display()),
            None => "127.0.0.1:0".to_owned(),
        };
        let mut command = Command::new(binary()?);
        command.args([
            "serve",
            "--listen",
            &listen,
            "--admin",
            "127.0.0.1:0",
            "--metrics",
            "127.0.0.1:0",
        ]);
        command
            .arg("--config")
            .arg(&config)
            .arg("--ports-file")
            .arg(at("ports.json"));
        command
            .args(&settings.arguments)
            .envs(settings.environment.iter().cloned());
        let mut process = Process::start("merit", &mut command, folder.path())?;
        let ports = until("the ports of merit", READY_LIMIT, async || {
            process.check_running()?;
            Ok(read_ports(&at("ports.json")))
        });
        let ports = ports.await.with_context(|| process.output())?;
        let merit = Self {
            grpc: if settings.unix {
                Address::Unix(socket)
            } else {
                Address::Tcp(port(&ports, "grpc")?)
            },
            admin: port(&ports, "admin")?,
            metrics: port(&ports, "metrics")?,
            process,
            folder,
            config_map,
        };
        until("a ready merit", READY_LIMIT, async || {
            let answer = merit.get("/ready").await;
            Ok(answer.ok().filter(|answer| answer.status.is_success()))
        })
        .await?;
        Ok(merit)
    }

    /// Where it speaks ext_proc.
    #[must_use]
    pub fn address(&self) -> Address {
        self.grpc.clone()
    }

    /// The TCP port of its ext_proc listener; 0 on a Unix socket.
    #[must_use]
    pub fn port(&self) -> u16 {
        match &self.grpc {
            Address::Tcp(address) => address.port(),
            Address::Unix(_) => 0,
        }
    }

    /// The admin interface.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The process, for signals, memory and processor time.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The process, to wait for its end.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// A GET on the admin interface.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        client::call(self.admin, Call::get(path)).await
    }

    /// What `POST /api/v1/eval` says of a request.
    ///
    /// # Errors
    /// It does not answer, or not with 200.
    pub async fn eval(&self, request: &Value) -> Result<Value> {
        let answer = client::call(self.admin, Call::json("/api/v1/eval", request)).await?;
        ensure!(
            answer.status.is_success(),
            "eval answered {}: {}",
            answer.status,
            answer.text()
        );
        Ok(answer.json())
    }

    /// The sum of all samples of a metric, over its labels; 0 if there is none.
    ///
    /// # Errors
    /// The metrics listener does not answer.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        self.sum(|series| {
            series == name
                || series
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('{'))
        })
        .await
    }

    /// One sample, its name and labels as they are written (`name{label="value"}`); 0 if there is
    /// none.
    ///
    /// # Errors
    /// The metrics listener does not answer.
    pub async fn sample(&self, series: &str) -> Result<f64> {
        self.sum(|other| other == series).await
    }

    async fn sum(&self, is_wanted: impl Fn(&str) -> bool) -> Result<f64> {
        let text = client::call(self.metrics, Call::get("/metrics"))
            .await?
            .text();
        let samples = text.lines().filter_map(|line| line.rsplit_once(' '));
        let wanted = samples.filter(|(series, _)| is_wanted(series));
        Ok(wanted
            .filter_map(|(_, value)| value.parse::<f64>().ok())
            .sum())
    }

    /// The digest of the document that is served.
    ///
    /// # Errors
    /// The admin interface does not answer, or without a hash.
    pub async fn document_hash(&self) -> Result<String> {
        // Only the hash: the rest of the answer also changes with a reload that found nothing new.
        let answer = self.get("/config/hash").await?.json();
        let hash = answer["hash"]
            .as_str()
            .with_context(|| format!("no hash in {answer}"))?;
        Ok(hash.to_owned())
    }

    /// Puts another document in place (by rename, as editors do), asks for a reload, and waits
    /// until it is served.
    ///
    /// # Errors
    /// It is not served in time; the error holds what Merit printed.
    pub async fn reload(&self, document: &str) -> Result<()> {
        let before = self.document_hash().await?;
        self.replace_document(document)?;
        self.process.signal(Signal::Hup)?;
        let changed = until("the new document", RELOAD_LIMIT, async || {
            Ok((self.document_hash().await? != before).then_some(()))
        });
        changed.await.with_context(|| self.process.output())
    }

    /// The file of the document, for tests that do to it what no editor does.
    #[must_use]
    pub fn document_path(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    /// Puts another document in place without asking for a reload.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn replace_document(&self, document: &str) -> Result<()> {
        if let Some(config_map) = &self.config_map {
            return config_map.swap(document);
        }
        let fresh = self.folder.path().join("config.yaml.new");
        fs::write(&fresh, document)?;
        fs::rename(&fresh, self.folder.path().join("config.yaml"))?;
        Ok(())
    }
}

fn read_ports(path: &Path) -> Option<Value> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

fn port(ports: &Value, name: &str) -> Result<SocketAddr> {
    let text = ports[name]
        .as_str()
        .with_context(|| format!("merit's ports lack {name}: {ports}"))?;
    Ok(text.parse()?)
}

/// The `merit` binary: `MERIT_BIN`, else the one that cargo built beside this program.
///
/// # Errors
/// It has not been built.
pub fn binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("MERIT_BIN") {
        return Ok(PathBuf::from(named));
    }
    let this = std::env::current_exe()?;
    let found = this
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("merit"))
        .find(|path| path.is_file());
    let Some(found) = found else {
        bail!(
            "no merit binary beside {}: run `cargo build -p server`, or set MERIT_BIN",
            this.display()
        );
    };
    Ok(found)
}
