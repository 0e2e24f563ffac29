//! A real Redis as a child: the Debian `redis-server`, on a free port, killed and started again
//! where a test wants that.

use crate::ports::free;
use crate::process::{Process, until};
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const READY_LIMIT: Duration = Duration::from_secs(10);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A running server; ends when dropped. What it holds survives a kill and a restart.
pub struct Redis {
    process: Option<Process>,
    port: u16,
    folder: TempDir,
}

impl Redis {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// `redis-server` is not installed (`cargo xtask setup` does that), or does not answer in time.
    pub async fn start() -> Result<Self> {
        let [port] = free()?;
        let mut redis = Self {
            process: None,
            port,
            folder: TempDir::new()?,
        };
        redis.restart().await?;
        Ok(redis)
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The process, for signals.
    ///
    /// # Errors
    /// It was killed.
    pub fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("redis was killed")
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port, with what it held.
    ///
    /// # Errors
    /// As [`Redis::start`].
    pub async fn restart(&mut self) -> Result<()> {
        let program = std::env::var_os("MERIT_REDIS").unwrap_or_else(|| "redis-server".into());
        let mut command = Command::new(program);
        command.args([
            "--port",
            &self.port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "yes",
        ]);
        command
            .args(["--appendfsync", "always", "--dir"])
            .arg(self.folder.path());
        let mut process = Process::start("redis", &mut command, self.folder.path())?;
        until("an answer of redis", READY_LIMIT, async || {
            process.check_running()?;
            Ok(say(self.port, &["PING"])
                .ok()
                .filter(|answer| answer.starts_with("+PONG")))
        })
        .await?;
        self.process = Some(process);
        Ok(())
    }

    /// What it answers to a command, as it stands on the wire.
    ///
    /// # Errors
    /// It does not answer.
    pub fn ask(&self, words: &[&str]) -> Result<String> {
        say(self.port, words)
    }
}

fn say(port: u16, words: &[&str]) -> Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(command.as_bytes())?;
    let mut answer = [0; 4_096];
    let length = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).into_owned())
}
