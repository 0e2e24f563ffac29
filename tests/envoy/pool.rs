//! The state of models' pools, learned from Envoy's access log alone: `envoy/route.yaml` shows
//! Merit nothing of responses.

use crate::stage::{Models, Stage, chat, chat_stream};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;
use tests::client::{Call, Events, Version};
use tests::envoy::{Envoy, ShippedPorts, shipped};
use tests::merit::Merit;
use tests::policy;
use tests::process::until;
use tests::prompt::CHAT;
use tests::upstream::Upstream;

const LIMIT: Duration = Duration::from_secs(20);

async fn stage(pool: &str) -> Result<Stage> {
    let models = Models::start().await?;
    let merit = Merit::start(&policy::with_server(&format!(
        "profile: route\npool: {{{pool}}}"
    )))
    .await?;
    let ports = ShippedPorts {
        merit: merit.port(),
        small: models.small.address().port(),
        large: models.large.address().port(),
        ..ShippedPorts::default()
    };
    let envoy = Envoy::start(&shipped("route.yaml", &ports)?).await?;
    Ok(Stage {
        models,
        merit,
        envoy,
    })
}

impl Stage {
    /// What Merit knows of the model `small`.
    async fn small(&self) -> Result<Value> {
        let pool = self.merit.get("/api/v1/pool").await?.json();
        let models = pool["models"]
            .as_array()
            .with_context(|| format!("no models in {pool}"))?;
        Ok(models
            .iter()
            .find(|model| model["model"] == "small")
            .cloned()
            .unwrap_or_default())
    }

    async fn small_is(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let found = until(what, LIMIT, async || {
            Ok(Some(self.small().await?).filter(&holds))
        })
        .await;
        match found {
            Ok(found) => Ok(found),
            Err(error) => Err(error.context(format!("the model is {}", self.small().await?))),
        }
    }

    async fn ask(&self, status: u16) -> Result<()> {
        let answer = self
            .call("clients", Call::post(CHAT, chat("hello")))
            .await?;
        ensure!(
            answer.status == status,
            "answered {} instead of {status}: {}",
            answer.status,
            answer.text()
        );
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_timed_and_their_failures_told_apart() -> Result<()> {
    let stage = stage("access_log: true, rest_after_errors: 0").await?;
    let gate = stage.models.small.gate("held");
    let held = || Call::post(CHAT, chat_stream("hello")).header("x-script-gate", "held");
    let mut client = stage.connect("clients", Version::Http1).await?;
    let mut events = Events::new(client.open(held()).await?);
    stage
        .small_is("a request in flight", |small| small["in_flight"] == 1)
        .await?;
    let gauge = stage
        .merit
        .sample("merit_pool_in_flight{model=\"small\"}")
        .await?;
    ensure!(gauge == 1.0, "the gauge says {gauge}");
    gate.open(100);
    while events.next().await?.is_some() {}
    let small = stage
        .small_is("its end", |small| small["in_flight"] == 0)
        .await?;
    ensure!(
        small["ttft"]["source"] == "first_byte" && small["ttft"]["samples"] == 1,
        "{small}"
    );
    ensure!(
        small["tpot"].is_null() && small["error_rate"] == 0.0,
        "{small}"
    );
    drop((events, client));

    // A client that leaves is no failure of the model.
    let mut leaving = stage.connect("clients", Version::Http1).await?;
    let wait = Call::post(CHAT, chat_stream("hello")).header("x-script-gate", "never");
    let answer = leaving.open(wait).await?;
    stage
        .small_is("a second request in flight", |small| {
            small["in_flight"] == 1
        })
        .await?;
    drop((answer, leaving));
    let small = stage
        .small_is("its end", |small| small["in_flight"] == 0)
        .await?;
    ensure!(
        small["errors_in_a_row"] == 0 && small["error_rate"] == 0.0,
        "{small}"
    );

    let refusing = Call::post(CHAT, chat("hello")).header("x-script-status", "503");
    ensure!(
        stage.call("clients", refusing).await?.status == 503,
        "the backend refuses as scripted"
    );
    stage
        .small_is("an error", |small| small["errors_in_a_row"] == 1)
        .await?;
    let gate = stage.models.small.gate("cut");
    let breaking = Call::post(CHAT, chat_stream("hello"))
        .header("x-script-cut", "2")
        .header("x-script-gate", "cut");
    let mut client = stage.connect("clients", Version::Http1).await?;
    let mut events = Events::new(client.open(breaking).await?);
    for _ in 0..2 {
        ensure!(
            events.next().await?.is_some(),
            "the answer begins as scripted"
        );
        gate.open(1);
    }
    ensure!(
        events.next().await.is_err(),
        "the answer is cut as scripted"
    );
    stage
        .small_is("a broken answer", |small| small["errors_in_a_row"] == 2)
        .await?;
    let refused = Call::post(CHAT, chat("forbidden")).header("x-case", "fast");
    ensure!(
        stage.call("clients", refused).await?.status == 200,
        "Merit answers itself"
    );
    stage.ask(200).await?;
    let small = stage
        .small_is("a success", |small| small["errors_in_a_row"] == 0)
        .await?;
    ensure!(small["in_flight"] == 0, "{small}");
    let logged = stage.merit.metric("merit_access_log_entries_total").await?;
    ensure!(logged == 5.0, "{logged} ends were told");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_backend_rests_and_is_probed_and_comes_back() -> Result<()> {
    let mut stage = stage("access_log: true, rest_after_errors: 2, rest_seconds: 1").await?;
    let port = stage.models.small.address().port();
    stage.ask(200).await?;
    stage.models.small = Upstream::start("elsewhere", 0).await?;
    stage.ask(503).await?;
    stage.ask(503).await?;
    stage
        .small_is("a rest", |small| small["resting"] == true)
        .await?;
    let over = |small: &Value| small["rest_seconds_left"] == 0.0;
    stage.small_is("the end of the rest", over).await?;
    stage.ask(503).await?;
    stage
        .small_is("a longer rest", |small| {
            small["rest_seconds_left"].as_f64() > Some(1.0)
        })
        .await?;

    stage.models.small = Upstream::start("small", port).await?;
    stage.small_is("the end of the longer rest", over).await?;
    let gate = stage.models.small.gate("probe");
    let mut client = stage.connect("clients", Version::Http1).await?;
    let probe = Call::post(CHAT, chat_stream("hello")).header("x-script-gate", "probe");
    let mut events = Events::new(client.open(probe).await?);
    stage
        .small_is("a probe", |small| {
            small["probing"] == true && small["resting"] == true
        })
        .await?;
    gate.open(100);
    while events.next().await?.is_some() {}
    stage
        .small_is("a model that serves again", |small| {
            small["resting"] == false
        })
        .await?;
    stage.ask(200).await
}
