//! The process behind a fake Envoy over real gRPC: what real Envoys cannot be made to send, and
//! quick checks of the rest.

use anyhow::{Context, Result, bail, ensure};
use extproc::{BodyMode, FakeEnvoy, FakeRequest, Forwarded, Outcome};
use tests::listener::Address;
use tests::merit::Merit;
use tests::policy;
use tests::prompt::{CHAT, chat};

async fn connected(merit: &Merit) -> Result<FakeEnvoy> {
    let Address::Tcp(address) = merit.address() else {
        bail!("merit listens on TCP here");
    };
    Ok(FakeEnvoy::connect(address).await?)
}

fn forwarded(outcome: Outcome) -> Result<Forwarded> {
    match outcome {
        Outcome::Forwarded(forwarded) => Ok(*forwarded),
        other => bail!("not forwarded: {other:?}"),
    }
}

const ROUTED: [BodyMode; 3] = [
    BodyMode::FullDuplex,
    BodyMode::Buffered,
    BodyMode::BufferedPartial,
];

#[tokio::test(flavor = "multi_thread")]
async fn routes_in_every_mode_and_cut() -> Result<()> {
    let merit = Merit::start(&policy::two_models()).await?;
    let envoy = connected(&merit).await?;
    let sent = chat("auto", "please refactor this").to_string();
    for mode in ROUTED {
        for piece in [1, 7, 64, 1 << 20] {
            for (empty_end, trailers) in [(false, false), (true, false), (false, true)] {
                let request = FakeRequest {
                    mode,
                    piece,
                    empty_end,
                    trailers,
                    ..FakeRequest::post(CHAT, sent.clone())
                };
                let case = || format!("{mode:?} in pieces of {piece}, {empty_end}, {trailers}");
                let forwarded = forwarded(envoy.exchange(request).await).with_context(case)?;
                ensure!(
                    forwarded.header("x-selected-model") == Some("large"),
                    "{}",
                    case()
                );
                ensure!(
                    forwarded.clear_route_cache,
                    "{}: the old route would be used",
                    case()
                );
                ensure!(
                    forwarded.body == sent.replace("auto", "large-70b"),
                    "{}: {:?}",
                    case(),
                    forwarded.body
                );
            }
        }
    }
    let counted = [
        "llm_signal_extraction_total",
        "llm_signal_match_total",
        "llm_decision_evaluation_latency_seconds_count",
    ];
    for name in counted {
        ensure!(merit.metric(name).await? > 0.0, "{name} counted nothing");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_forgotten() -> Result<()> {
    let merit = Merit::start(&policy::two_models()).await?;
    let envoy = connected(&merit).await?;
    let sent = chat("auto", &"long ".repeat(10_000)).to_string();
    for pieces in 0..4 {
        let request = FakeRequest::post(CHAT, sent.clone());
        if let Err(outcome) = envoy.abandon(request, pieces).await {
            bail!("answered after {pieces} pieces: {outcome:?}");
        }
    }
    tests::process::until(
        "the end of the exchanges",
        std::time::Duration::from_secs(5),
        async || Ok((merit.metric("merit_exchange_open").await? == 0.0).then_some(())),
    )
    .await
}
