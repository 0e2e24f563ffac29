//! A Python environment of the project's own: made once, and given exactly the packages that are
//! asked for.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::{execute, output};

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
    if output(Command::new(python(venv)).args(["-m", "pip", "--version"])).is_err() {
        make_venv(venv)?;
    }
    println!(
        "setup: installing {} into {}",
        missing.join(", "),
        venv.display()
    );
    let mut pip = pip(venv);
    fetch(pip.arg("install").args(&missing))
}

/// A quiet pip that asks nothing.
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

/// Runs a pip that needs the package index.
pub(crate) fn fetch(pip: &mut Command) -> Result<()> {
    execute(pip)
        .context("a Python package could not be fetched (the first setup needs the package index)")
}

/// The environment's Python.
pub(crate) fn python(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}

/// `lib/python3.x/site-packages`, whatever `x` is.
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

fn make_venv(venv: &Path) -> Result<()> {
    let system = system_python()?;
    if output(Command::new(&system).args(["-c", "import ensurepip, venv"])).is_err() {
        debian_package("python3-venv")?;
    }
    println!("setup: making the Python environment {}", venv.display());
    execute(
        Command::new(&system)
            .args(["-m", "venv", "--clear"])
            .arg(venv),
    )
}

fn system_python() -> Result<PathBuf> {
    let ask = "import sys; assert sys.version_info >= (3, 11); print(sys.executable)";
    let found = output(Command::new("python3").args(["-c", ask]))
        .context("Python 3.11 or newer is needed")?;
    Ok(PathBuf::from(found.trim()))
}

/// Installs a package of Debian or its kin, where that can be done; else says how.
pub(crate) fn debian_package(name: &str) -> Result<()> {
    let advice = || format!("{name} is missing; on Debian or Ubuntu: apt-get install {name}");
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root || output(Command::new("apt-get").arg("--version")).is_err() {
        bail!(advice());
    }
    println!("setup: installing {name}");
    // A package that is a service would start it; where no init system runs, nothing does.
    let quiet = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        execute(apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments)).with_context(advice)
    };
    quiet(&["update", "-qq"])?;
    quiet(&["install", "-qq", "-y", "--no-install-recommends", name])
}

/// Looks for the record that pip leaves, because starting pip takes a second.
fn is_installed(venv: &Path, name: &str, version: &str) -> bool {
    let record = format!("{}-{version}.dist-info/RECORD", name.replace('-', "_"));
    site_packages(venv).is_ok_and(|site| site.join(record).is_file()) && python(venv).exists()
}
