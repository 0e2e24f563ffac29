//! The two servers, and an Envoy in front of each.

use crate::backend::Backend;
use anyhow::{Context as _, Result};
use benches::mix;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tests::envoy::{Envoy, ShippedPorts, shipped};
use tests::listener::Address;
use tests::merit::Merit;
use tests::process::{Process, until};
use tests::standin::{Behaviour, StandIn};

/// The bootstraps that are compared, and what their mode is called.
pub(crate) const MODES: [(&str, &str); 2] =
    [("route.yaml", "full duplex"), ("buffered.yaml", "BUFFERED")];

/// Serves until it is ended, having written its address to `file`.
pub(crate) async fn be_noop(file: &Path) -> Result<()> {
    let server = StandIn::start(Behaviour::Pass).await?;
    if let Address::Tcp(address) = server.address() {
        let fresh = file.with_extension("new");
        fs::write(&fresh, address.to_string())?;
        fs::rename(fresh, file)?;
    }
    std::future::pending().await
}

/// The server that does nothing, as a process.
pub(crate) struct Noop {
    process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

impl Noop {
    async fn start() -> Result<Self> {
        let folder = TempDir::new()?;
        let file = folder.path().join("address");
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--noop").arg(&file);
        let mut process = Process::start("noop", &mut command, folder.path())?;
        let address = until(
            "the address of the server that does nothing",
            LIMIT,
            async || {
                process.check_running()?;
                Ok(fs::read_to_string(&file)
                    .ok()
                    .and_then(|text| text.parse().ok()))
            },
        );
        Ok(Self {
            address: address.await?,
            process,
            _folder: folder,
        })
    }
}

const LIMIT: Duration = Duration::from_secs(10);

/// Both servers behind Envoys of all modes.
pub(crate) struct Stage {
    pub(crate) merit: Merit,
    pub(crate) noop: Noop,
    lanes: Vec<[Envoy; 2]>,
    _backend: Backend,
}

/// One server, and the Envoy before it.
pub(crate) struct Lane<'a> {
    pub(crate) server: &'a Process,
    pub(crate) envoy: &'a Process,
    pub(crate) clients: SocketAddr,
}

impl Stage {
    pub(crate) async fn start() -> Result<Self> {
        let backend = Backend::start().await?;
        let noop = Noop::start().await?;
        let merit = Merit::start(mix::DOCUMENT).await?;
        let mut lanes = Vec::new();
        for (bootstrap, _) in MODES {
            lanes.push([
                envoy(bootstrap, noop.address.port(), &backend).await?,
                envoy(bootstrap, merit.port(), &backend).await?,
            ]);
        }
        Ok(Self {
            merit,
            noop,
            lanes,
            _backend: backend,
        })
    }

    /// The ways through a mode: first that of the server that does nothing, then Merit's.
    pub(crate) fn lanes(&self, mode: usize) -> Result<[Lane<'_>; 2]> {
        let [noop, merit] = self.lanes.get(mode).context("no such mode")?;
        let lane =
            |server, envoy: &'_ Envoy| envoy.listener("clients").map(|clients| (server, clients));
        let (noop_server, noop_clients) = lane(&self.noop.process, noop)?;
        let (merit_server, merit_clients) = lane(self.merit.process(), merit)?;
        Ok([
            Lane {
                server: noop_server,
                envoy: noop.process(),
                clients: noop_clients,
            },
            Lane {
                server: merit_server,
                envoy: merit.process(),
                clients: merit_clients,
            },
        ])
    }
}

/// A bootstrap as it is shipped, before one server.
pub(crate) async fn envoy(bootstrap: &str, server: u16, backend: &Backend) -> Result<Envoy> {
    let ports = ShippedPorts {
        merit: server,
        small: backend.address().port(),
        large: backend.address().port(),
        ..ShippedPorts::default()
    };
    Envoy::start(&shipped(bootstrap, &ports)?).await
}
