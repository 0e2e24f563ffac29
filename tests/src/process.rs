//! Child processes: ended when dropped, their output kept in a file, their memory and processor
//! time read from `/proc`.

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Kernel clock ticks per second as `/proc` counts them; 100 on every Linux that Rust's tier 1
/// covers.
const TICKS_PER_SECOND: u64 = 100;
const PAGE_BYTES: u64 = 4096;

/// A running child.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// What can be sent to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ends at once, nothing is cleaned up.
    Kill,
    /// Asks to end.
    Term,
    /// Freezes.
    Stop,
    /// Goes on after [`Signal::Stop`].
    Cont,
    /// Asks to read the configuration again.
    Hup,
}

impl Signal {
    fn flag(self) -> &'static str {
        match self {
            Self::Kill => "-KILL",
            Self::Term => "-TERM",
            Self::Stop => "-STOP",
            Self::Cont => "-CONT",
            Self::Hup => "-HUP",
        }
    }
}

impl Process {
    /// Starts `command`; standard output and error go to `folder/name.log`.
    ///
    /// # Errors
    /// The program cannot be run or the log cannot be written.
    pub fn start(name: &str, command: &mut Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {name}: {}", command.get_program().display()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it wrote.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Fails with the end of the output if the child has ended.
    ///
    /// # Errors
    /// It has ended.
    pub fn check_running(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(());
        };
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        let tail = lines
            .get(lines.len().saturating_sub(15)..)
            .unwrap_or_default()
            .join("\n");
        bail!("{} ended with {status}:\n{tail}", self.name)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// The process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let command = format!("kill {} {}", signal.flag(), self.id());
        let status = Command::new("sh")
            .args(["-c", &command])
            .stderr(Stdio::null())
            .status()?;
        if !status.success() {
            bail!("{} is not there to get {signal:?}", self.name);
        }
        Ok(())
    }

    /// Stops it and waits until none of its threads runs: the signal is delivered some time after
    /// it is sent.
    ///
    /// # Errors
    /// The process is gone, or goes on.
    pub async fn suspend(&self) -> Result<()> {
        self.signal(Signal::Stop)?;
        until("the process to stop", Duration::from_secs(5), async || {
            Ok(self.is_stopped()?.then_some(()))
        })
        .await
    }

    /// Whether none of its threads runs.
    ///
    /// # Errors
    /// The process is gone.
    pub fn is_stopped(&self) -> Result<bool> {
        for task in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let stat = fs::read_to_string(task?.path().join("stat"))?;
            // The state follows the name, which is in parentheses and may hold anything.
            let state = stat.rsplit(") ").next().unwrap_or_default();
            if !state.starts_with('T') {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// It still runs after `limit`.
    pub async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        until(&what, limit, async || Ok(self.child.try_wait()?)).await
    }

    /// Resident memory, bytes.
    ///
    /// # Errors
    /// The process is gone.
    pub fn resident_bytes(&self) -> Result<u64> {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.id()))?;
        let pages = statm
            .split_whitespace()
            .nth(1)
            .context("statm has no resident field")?;
        Ok(pages.parse::<u64>()? * PAGE_BYTES)
    }

    /// The most memory that was ever resident, bytes.
    ///
    /// # Errors
    /// The process is gone.
    pub fn peak_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        let kilobytes: u64 = kilobytes.context("status has no peak")?.parse()?;
        Ok(kilobytes << 10)
    }

    /// Open file descriptors.
    ///
    /// # Errors
    /// The process is gone.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.id()))?.count())
    }

    /// Threads.
    ///
    /// # Errors
    /// The process is gone.
    pub fn threads(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/task", self.id()))?.count())
    }

    /// Processor time so far, user and system, all threads. Resolution 10 ms.
    ///
    /// # Errors
    /// The process is gone.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // The second field is the program's name in parentheses, which may itself hold blanks.
        let (_, fields) = stat.rsplit_once(')').context("stat has no name field")?;
        let mut times = fields.split_whitespace().skip(11);
        let mut ticks = || -> Result<u64> { Ok(times.next().context("stat is short")?.parse()?) };
        let total = ticks()? + ticks()?;
        Ok(Duration::from_millis(total * 1000 / TICKS_PER_SECOND))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Asks `poll` every few milliseconds until it has an answer.
///
/// # Errors
/// `poll` failed, or had no answer within `limit`; then the error says what was waited for.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut poll: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = poll().await? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("waited {limit:?} for {what}, which did not come");
        }
        sleep(Duration::from_millis(5)).await;
    }
}
