//! `merit probe`: asks a running Merit whether it serves, under the name that Envoy's health check
//! uses, with or without TLS. `helm test` runs it, and an image without a shell has nothing else.

use crate::cli::ProbeArgs;
use crate::output;
use anyhow::{Context as _, bail};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const AGAIN: Duration = Duration::from_millis(250);
const CALL: Duration = Duration::from_secs(2);

/// Asks until it serves or the time is up.
///
/// # Errors
/// It does not serve, or a file of TLS is not usable.
pub fn run(arguments: &ProbeArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(until_serving(arguments))?;
    output::text(&format!(
        "{} serves {}",
        arguments.address, arguments.service
    ))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn until_serving(arguments: &ProbeArgs) -> anyhow::Result<()> {
    let endpoint = endpoint(arguments)?;
    let deadline = Instant::now() + Duration::from_secs(arguments.timeout_seconds.into());
    loop {
        match ask(&endpoint, &arguments.service).await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context(format!(
                    "{} does not serve {}",
                    arguments.address, arguments.service
                )));
            }
            Err(_) => sleep(AGAIN).await,
        }
    }
}

async fn ask(endpoint: &Endpoint, service: &str) -> anyhow::Result<()> {
    let channel = endpoint.connect().await?;
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let status = HealthClient::new(channel)
        .check(request)
        .await?
        .into_inner()
        .status();
    if status != ServingStatus::Serving {
        bail!("it says {}", status.as_str_name());
    }
    Ok(())
}

fn endpoint(arguments: &ProbeArgs) -> anyhow::Result<Endpoint> {
    let ProbeArgs {
        address,
        tls_ca,
        tls_cert,
        tls_key,
        tls_name,
        ..
    } = arguments;
    let scheme = if tls_ca.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
        .with_context(|| format!("address {address}"))?;
    let endpoint = endpoint.connect_timeout(CALL).timeout(CALL);
    let Some(authorities) = tls_ca else {
        return Ok(endpoint);
    };
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(authorities)?));
    if let Some(name) = tls_name {
        tls = tls.domain_name(name);
    }
    if let (Some(certificate), Some(key)) = (tls_cert, tls_key) {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(endpoint.tls_config(tls)?)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}
