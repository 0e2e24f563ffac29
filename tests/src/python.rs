//! The Python with the packages that `cargo xtask setup` installs.

use crate::envoy::root;
use std::path::PathBuf;

/// `MERIT_PYTHON`, else the environment that `cargo xtask setup` made, else the system's.
#[must_use]
pub fn python() -> PathBuf {
    let installed = root().join(".merit/venv/bin/python");
    match std::env::var_os("MERIT_PYTHON") {
        Some(named) => named.into(),
        None if installed.is_file() => installed,
        None => "python3".into(),
    }
}
