//! The `openai` and `anthropic` Python SDKs as clients: what they return and raise is what their
//! users see.

use crate::stage::{Stage, file};
use anyhow::{Context, Result, ensure};
use std::process::Command;
use tests::python::python;

async fn check(sdk: &'static str) -> Result<()> {
    converse(&Stage::shipped("route.yaml").await?, sdk).await
}

/// Runs the conversations of `sdk_client.py` under this name.
pub(crate) async fn converse(stage: &Stage, sdk: &'static str) -> Result<()> {
    let base = format!("http://{}", stage.envoy.listener("clients")?);
    let mut command = Command::new(python());
    command.arg(file("envoy/sdk_client.py")).args([sdk, &base]);
    // A child must not block the threads that serve the backends.
    let done = tokio::task::spawn_blocking(move || command.output()).await?;
    let done = done.context("no Python found: run `cargo xtask setup`")?;
    let said = [done.stdout, done.stderr].concat();
    ensure!(
        done.status.success(),
        "{sdk}:\n{}",
        String::from_utf8_lossy(&said)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn openai() -> Result<()> {
    check("openai").await
}

#[tokio::test(flavor = "multi_thread")]
async fn anthropic() -> Result<()> {
    check("anthropic").await
}
