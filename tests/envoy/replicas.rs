//! Two replicas of Merit behind one Envoy: a rolling restart loses nothing, both decide the same,
//! and one that dies is left out.

use crate::load::Load;
use crate::stage::{Models, chat};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tests::client::{self, Call};
use tests::envoy::Envoy;
use tests::listener::{Address, Listener, bootstrap};
use tests::merit::{Merit, Settings};
use tests::policy;
use tests::ports;
use tests::process::{Signal, until};
use tests::prompt::CHAT;

/// Three intervals of the health check, and one more.
const SETTLE_SECONDS: &str = "4";
const LIMIT: Duration = Duration::from_secs(30);

async fn replica(listen: SocketAddr) -> Result<Merit> {
    let arguments = ["--settle-seconds", SETTLE_SECONDS, "--drain-seconds", "20"]
        .map(str::to_owned)
        .to_vec();
    let document = policy::two_models();
    Merit::with(&Settings {
        document,
        listen: Some(listen),
        arguments,
        ..Settings::default()
    })
    .await
}

/// As the chart has it: checked once a second, one failure is enough.
fn two_endpoints(
    models: &Models,
    body_mode: &'static str,
    replicas: &[SocketAddr; 2],
) -> Result<String> {
    let listener = Listener::new("clients", body_mode);
    let text = bootstrap(&[listener], &models.backends(Address::Tcp(replicas[0])));
    let mut whole: Value = serde_json::from_str(&text)?;
    let clusters = whole["static_resources"]["clusters"]
        .as_array_mut()
        .context("no clusters")?;
    let merit = clusters
        .iter_mut()
        .find(|cluster| cluster["name"] == "merit")
        .context("no merit")?;
    let endpoint = |at: &SocketAddr| {
        let address = json!({"address": at.ip().to_string(), "port_value": at.port()});
        json!({"endpoint": {"address": {"socket_address": address}}})
    };
    merit["load_assignment"]["endpoints"] =
        json!([{"lb_endpoints": replicas.iter().map(endpoint).collect::<Vec<_>>()}]);
    merit["health_checks"] = json!([{
        "timeout": "1s", "interval": "1s", "no_traffic_interval": "1s", "unhealthy_threshold": 1, "healthy_threshold": 1,
        "grpc_health_check": {"service_name": "envoy.service.ext_proc.v3.ExternalProcessor"},
    }]);
    Ok(whole.to_string())
}

async fn healthy(envoy: &Envoy, wanted: u64) -> Result<()> {
    let enough = async || {
        Ok((envoy.stat("cluster.merit.membership_healthy").await? == wanted).then_some(()))
    };
    until(&format!("{wanted} healthy replicas"), LIMIT, enough).await
}

async fn restart(replica_before: Merit, listen: SocketAddr, envoy: &Envoy) -> Result<Merit> {
    let mut before = replica_before;
    before.process().signal(Signal::Term)?;
    let status = before.process_mut().ended(LIMIT).await?;
    ensure!(
        status.success(),
        "it did not drain: {status}\n{}",
        before.process().output()
    );
    drop(before);
    let after = replica(listen).await?;
    healthy(envoy, 2).await?;
    Ok(after)
}

async fn roll(body_mode: &'static str) -> Result<()> {
    let models = Models::start().await?;
    let listen = ports::free::<2>()?.map(ports::loopback);
    let (mut first, mut second) = (replica(listen[0]).await?, replica(listen[1]).await?);
    let envoy = Envoy::start(&two_endpoints(&models, body_mode, &listen)?).await?;
    healthy(&envoy, 2).await?;
    let load = Load::start(envoy.listener("clients")?, 6);
    first = restart(first, listen[0], &envoy).await?;
    second = restart(second, listen[1], &envoy).await?;
    for replica in [&first, &second] {
        let served =
            async || Ok((replica.metric("merit_exchange_total").await? > 0.0).then_some(()));
        until("a request at a restarted replica", LIMIT, served).await?;
    }
    let outcomes = load.stop_without_loss().await.context(body_mode)?;
    ensure!(outcomes > 0, "{body_mode}: nothing was asked meanwhile");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_no_request() -> Result<()> {
    roll("FULL_DUPLEX_STREAMED").await?;
    roll("BUFFERED").await
}

/// Decisions depend on the document and on the request, not on who is asked.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_decide_the_same_and_one_is_enough() -> Result<()> {
    let models = Models::start().await?;
    let listen = ports::free::<2>()?.map(ports::loopback);
    let (first, mut second) = (replica(listen[0]).await?, replica(listen[1]).await?);
    let envoy = Envoy::start(&two_endpoints(&models, "FULL_DUPLEX_STREAMED", &listen)?).await?;
    healthy(&envoy, 2).await?;
    let hashes = (
        first.metric("merit_config_hash").await?,
        second.metric("merit_config_hash").await?,
    );
    ensure!(
        hashes.0 == hashes.1,
        "the same document has two numbers: {hashes:?}"
    );
    let ask = async |text: &str| {
        client::call(envoy.listener("clients")?, Call::post(CHAT, chat(text))).await
    };
    for _ in 0..20 {
        for (text, backend) in [("hello", "small"), ("please refactor this", "large")] {
            let answer = ask(text).await?;
            ensure!(
                answer.header("x-backend") == backend,
                "{text}: went to {:?}",
                answer.header("x-backend")
            );
        }
    }
    for replica in [&first, &second] {
        ensure!(
            replica.metric("merit_exchange_total").await? > 0.0,
            "all requests went to one replica"
        );
    }

    // A document that reached one of them only is seen, and goes on being a document.
    second.reload(&policy::with_keyword("another")).await?;
    ensure!(
        second.metric("merit_config_hash").await? != hashes.1,
        "replicas differ and nothing shows it"
    );

    second.process().signal(Signal::Kill)?;
    second.process_mut().ended(LIMIT).await?;
    healthy(&envoy, 1).await?;
    for _ in 0..20 {
        let answer = ask("please refactor this").await?;
        ensure!(
            answer.header("x-backend") == "large",
            "{}: {}",
            answer.status,
            answer.text()
        );
    }
    Ok(())
}
