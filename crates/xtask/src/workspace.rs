//! Where things are, and how another program is run from here.

use std::ffi::OsStr;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The checkout, as cargo sees it.
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// `cargo metadata --no-deps`: members, their dependencies, the target folder.
    pub(crate) metadata: Value,
}

impl Workspace {
    /// Asks cargo about the workspace that this program was built from.
    pub(crate) fn open() -> Result<Self> {
        // Said by the cargo that runs us; what was true at compile time serves when started without
        // cargo.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let manifest = Path::new(&manifest);
        let root = manifest
            .ancestors()
            .nth(2)
            .context("xtask lies two folders below the root")?;
        let mut cargo = cargo(root);
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata =
            serde_json::from_str(&output(&mut cargo)?).context("cannot read cargo's metadata")?;
        Ok(Self {
            root: root.to_owned(),
            metadata,
        })
    }

    /// Asks cargo for the whole graph of packages, as it is for the platform that we ship on: of
    /// other platforms' packages cargo would download the sources first.
    pub(crate) fn graph(&self) -> Result<Value> {
        let mut cargo = self.cargo([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ]);
        serde_json::from_str(&output(&mut cargo)?).context("cannot read cargo's metadata")
    }

    /// What the chores fetch and build for themselves; ignored by git.
    pub(crate) fn store(&self) -> PathBuf {
        self.root.join(".merit")
    }

    /// The Python environment that the chores share.
    pub(crate) fn venv(&self) -> PathBuf {
        self.store().join("venv")
    }

    /// A cargo command in the root.
    pub(crate) fn cargo<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = cargo(&self.root);
        command.args(args);
        command
    }

    /// A program built by cargo, wherever the target folder is (`CARGO_TARGET_DIR`,
    /// `.cargo/config.toml`).
    pub(crate) fn built(&self, profile: &str, program: &str) -> Result<PathBuf> {
        let target = self
            .metadata
            .pointer("/target_directory")
            .and_then(Value::as_str);
        let target = target.context("cargo names no target folder")?;
        Ok(Path::new(target).join(profile).join(program))
    }

    /// The names of all integration tests of all members.
    pub(crate) fn test_targets(&self) -> Vec<&str> {
        let lists = self
            .metadata
            .get("packages")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let targets = lists
            .filter_map(|package| package.get("targets")?.as_array())
            .flatten();
        let tests = targets
            .filter(|target| target.pointer("/kind/0").and_then(Value::as_str) == Some("test"));
        tests
            .filter_map(|target| target.get("name")?.as_str())
            .collect()
    }

    /// Every file of the checkout, tracked or not yet, that git does not ignore; relative, sorted.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let mut git = Command::new("git");
        git.current_dir(&self.root);
        git.args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--deduplicate",
        ]);
        let listed = output(&mut git)?;
        let mut files: Vec<String> = listed.split_terminator('\0').map(str::to_owned).collect();
        files.retain(|file| self.root.join(file).is_file());
        files.sort();
        Ok(files)
    }
}

fn cargo(root: &Path) -> Command {
    // The cargo that runs us, so that a toolchain chosen on the command line (`cargo +x`) stays
    // chosen.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    // What `cargo run` tells this program of its own package makes build scripts that read such
    // variables (ring's) run again, and everything above them is built again.
    for (name, _) in std::env::vars_os() {
        let is_of_package =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(is_of_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Prints a line. On a terminal it first clears what cargo's progress bar left on the current line.
pub(crate) fn announce(text: &str) {
    if std::io::stdout().is_terminal() {
        print!("\r\x1b[K");
    }
    println!("{text}");
}

/// Runs `command` with our own input and output; fails when it fails.
pub(crate) fn execute(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    ensure!(status.success(), "{} ended with {status}", shown(command));
    Ok(())
}

/// Runs `command` and returns what it printed; fails with its error output when it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} ended with {}\n{}",
            shown(command),
            output.status,
            said.trim_end()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} printed something else than UTF-8", shown(command)))
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    let words: Vec<_> = words
        .map(|word| word.to_string_lossy().chars().take(80).collect::<String>())
        .collect();
    format!("`{}`", words.join(" "))
}
