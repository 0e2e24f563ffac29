//! A Python environment of the project's own, made once and given pinned packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::{announce, execute, output};

/// Makes the environment unless it is there.
pub(crate) fn ensure(venv: &Path) -> Result<()> {
    // Looked up as files, because starting pip takes a second.
    let has_pip = site_packages(venv).is_ok_and(|site| site.join("pip").is_dir());
    if has_pip && python(venv).exists() {
        return Ok(());
    }
    let system = system_python()?;
    if output(Command::new(&system).args(["-c", "import ensurepip, venv"])).is_err() {
        debian_package("python3-venv")?;
    }
    announce(&format!(
        "setup: making the Python environment {}",
        venv.display()
    ));
    execute(
        Command::new(&system)
            .args(["-m", "venv", "--clear"])
            .arg(venv),
    )
}

/// Installs those of `packages` (name, version) that are missing.
pub(crate) fn install(venv: &Path, packages: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<String> = packages
        .iter()
        .filter(|(name, version)| !is_installed(venv, name, version))
        .map(|(name, version)| format!("{name}=={version}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    announce(&format!("setup: installing {}", missing.join(", ")));
    let mut pip = pip(venv);
    fetch(pip.arg("install").args(&missing))
}

/// Returns a pip that prints errors only and asks no questions.
pub(crate) fn pip(venv: &Path) -> Command {
    let mut pip = Command::new(python(venv));
    pip.args([
        "-m",
        "pip",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]);
    pip
}

/// Runs a pip command that needs the package index.
pub(crate) fn fetch(pip: &mut Command) -> Result<()> {
    execute(pip)
        .context("a Python package could not be fetched (the first setup needs the package index)")
}

/// Returns the environment's Python.
pub(crate) fn python(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}

/// Returns `lib/python3.x/site-packages`, whatever `x` is.
pub(crate) fn site_packages(venv: &Path) -> Result<PathBuf> {
    let lib = venv.join("lib");
    let entries =
        std::fs::read_dir(&lib).with_context(|| format!("cannot read {}", lib.display()))?;
    let mut sites = entries
        .flatten()
        .map(|entry| entry.path().join("site-packages"));
    sites
        .find(|site| site.is_dir())
        .with_context(|| format!("no site-packages in {}", lib.display()))
}

/// Returns the system's Python, which must be new enough.
fn system_python() -> Result<PathBuf> {
    let ask = "import sys; assert sys.version_info >= (3, 11); print(sys.executable)";
    let found = output(Command::new("python3").args(["-c", ask]))
        .context("Python 3.11 or newer is needed")?;
    Ok(PathBuf::from(found.trim()))
}

/// Installs a Debian package if this is root on Debian or a derivative; otherwise says how to.
pub(crate) fn debian_package(name: &str) -> Result<()> {
    let advice = || format!("{name} is missing; on Debian or Ubuntu: apt-get install {name}");
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root || output(Command::new("apt-get").arg("--version")).is_err() {
        bail!(advice());
    }
    announce(&format!("setup: installing {name}"));
    // Its output is shown only if it fails: apt draws its progress as one long line.
    for arguments in [
        ["update", "-qq"].as_slice(),
        &["install", "-qq", "-y", "--no-install-recommends", name],
    ] {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        output(&mut apt).with_context(advice)?;
    }
    Ok(())
}

/// Looks for the record that pip leaves.
fn is_installed(venv: &Path, name: &str, version: &str) -> bool {
    let record = format!("{}-{version}.dist-info/RECORD", name.replace('-', "_"));
    site_packages(venv).is_ok_and(|site| site.join(record).is_file()) && python(venv).exists()
}
