//! A real browser: Debian's Chromium, headless, driven over W3C WebDriver by its `chromedriver`.

use crate::client::{self, Call};
use crate::ports::{free, loopback};
use crate::process::{Process, until};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const READY_LIMIT: Duration = Duration::from_secs(20);
/// How long a page may take to show something.
const SHOWN_LIMIT: Duration = Duration::from_secs(15);
/// How long a browser may take to end.
const END_LIMIT: Duration = Duration::from_secs(10);
/// The member that holds an element's id, as the protocol fixes it.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// No services of the browser's maker, no graphics card, a profile of its own.
const ARGUMENTS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A running browser with one window; ends when dropped.
pub struct Browser {
    _driver: Process,
    address: SocketAddr,
    session: String,
    _folder: TempDir,
}

/// Whether the machine has a browser and its driver.
#[must_use]
pub fn is_installed() -> bool {
    let runs = |program: &str| {
        let mut command = Command::new(program);
        command.arg("--version").output().is_ok()
    };
    runs("chromedriver") && runs("chromium")
}

impl Browser {
    /// Starts one whose page is so many CSS pixels wide. 320 is a desktop's window at 400 % zoom.
    ///
    /// # Errors
    /// The browser or its driver is not installed (`cargo xtask setup` does that), or does not
    /// start in time.
    pub async fn start(width: u16) -> Result<Self> {
        let folder = TempDir::new()?;
        let [port] = free()?;
        let address = loopback(port);
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        let mut driver = Process::start("chromedriver", &mut command, folder.path())?;
        until("an answer of chromedriver", READY_LIMIT, async || {
            driver.check_running()?;
            let status = client::call(address, Call::get("/status")).await.ok();
            Ok(status.filter(|answer| answer.json()["value"]["ready"] == true))
        })
        .await?;

        let profile = format!(
            "--user-data-dir={}",
            folder.path().join("profile").display()
        );
        let arguments: Vec<&str> = ARGUMENTS.into_iter().chain([&*profile]).collect();
        // No window of a desktop is as narrow as this page must be able to be.
        let metrics = json!({
            "width": width, "height": 900, "pixelRatio": 1, "mobile": false, "touch": false,
        });
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {
                "args": arguments, "mobileEmulation": {"deviceMetrics": metrics},
            },
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let answer = client::call(address, Call::json("/session", &wanted)).await?;
        let session = answer.json()["value"]["sessionId"]
            .as_str()
            .with_context(|| format!("no session: {}", answer.text()))?
            .to_owned();
        Ok(Self {
            _driver: driver,
            address,
            session,
            _folder: folder,
        })
    }

    /// Opens an address and waits until it is loaded.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.command("url", &json!({"url": url})).await.map(drop)
    }

    /// Runs a script's text in the page and returns what it returns.
    ///
    /// # Errors
    /// It fails.
    pub async fn run(&self, script: &str) -> Result<Value> {
        self.command("execute/sync", &json!({"script": script, "args": []}))
            .await
    }

    /// Waits until an expression of the page is true.
    ///
    /// # Errors
    /// It does not become true in time; the error holds what the page shows.
    pub async fn shows(&self, expression: &str) -> Result<()> {
        let script = format!("return Boolean({expression})");
        let shown = until(expression, SHOWN_LIMIT, async || {
            Ok((self.run(&script).await? == true).then_some(()))
        })
        .await;
        if shown.is_err() {
            let text = self.run("return document.body.innerText").await?;
            return shown.with_context(|| text.to_string());
        }
        shown
    }

    /// Types into the first element that a selector finds.
    ///
    /// # Errors
    /// There is none, or it takes no text.
    pub async fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.command("element", &wanted).await?;
        let id = found[ELEMENT].as_str().context("no element")?;
        self.command(&format!("element/{id}/value"), &json!({"text": text}))
            .await
            .map(drop)
    }

    /// Presses and releases keys, one after the other, wherever the focus is.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn press(&self, keys: &[char]) -> Result<()> {
        let actions: Vec<Value> = keys
            .iter()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})))
            .collect();
        let wanted = json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]});
        self.command("actions", &wanted).await.map(drop)
    }

    /// What the browser wrote to its console and has not told yet, warnings and errors only.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn complaints(&self) -> Result<Vec<String>> {
        let told = self.command("se/log", &json!({"type": "browser"})).await?;
        let entries = told.as_array().into_iter().flatten();
        Ok(entries
            .filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")))
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect())
    }

    async fn command(&self, name: &str, body: &Value) -> Result<Value> {
        let path = format!("/session/{}/{name}", self.session);
        let answer = client::call(self.address, Call::json(&path, body)).await?;
        let mut value = answer.json();
        ensure!(
            answer.status.is_success(),
            "{name}: {}",
            value["value"]["message"]
        );
        Ok(value["value"].take())
    }
}

impl Drop for Browser {
    /// Has the driver end the browser, which would outlive it otherwise.
    fn drop(&mut self) {
        // A driver that is gone has no browser to end.
        self.end().ok();
    }
}

impl Browser {
    fn end(&self) -> io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&self.address, END_LIMIT)?;
        stream.set_read_timeout(Some(END_LIMIT))?;
        let (session, address) = (&self.session, self.address);
        let request = format!(
            "DELETE /session/{session} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    }
}
