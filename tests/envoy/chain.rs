//! A second ext_proc filter behind Merit sees what Merit made of the request.

use crate::stage::{Models, chat, check_routed};
use anyhow::{Context, Result, ensure};
use tests::client::{self, Call};
use tests::envoy::Envoy;
use tests::listener::{Backends, Listener, bootstrap};
use tests::merit::Merit;
use tests::policy;
use tests::process::until;
use tests::prompt::CHAT;
use tests::standin::{Behaviour, StandIn};

const CHAINS: [(&str, &str, &str); 4] = [
    ("duplex-buffered", "FULL_DUPLEX_STREAMED", "BUFFERED"),
    (
        "duplex-duplex",
        "FULL_DUPLEX_STREAMED",
        "FULL_DUPLEX_STREAMED",
    ),
    ("buffered-buffered", "BUFFERED", "BUFFERED"),
    ("buffered-duplex", "BUFFERED", "FULL_DUPLEX_STREAMED"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_second_filter_sees_the_routed_request() -> Result<()> {
    let models = Models::start().await?;
    let merit = Merit::start(&policy::two_models()).await?;
    let second = StandIn::start(Behaviour::Pass).await?;
    let listeners = CHAINS.map(|(name, mode, behind)| Listener {
        second: Some(behind),
        ..Listener::new(name, mode)
    });
    let backends = Backends {
        second: Some(second.address()),
        ..models.backends(merit.address())
    };
    let envoy = Envoy::start(&bootstrap(&listeners, &backends)).await?;
    for (name, ..) in CHAINS {
        for (text, model) in [
            ("hello".to_owned(), "small-1b"),
            ("refactor ".repeat(10_000), "large-70b"),
        ] {
            let case = format!("{name}-{model}");
            let sent = chat(&text);
            let answer = client::call(
                envoy.listener(name)?,
                Call::post(CHAT, sent.clone()).header("x-case", &case),
            )
            .await?;
            check_routed(&answer, &models.only(&case)?, &sent, model)
                .with_context(|| case.clone())?;
            let passed = until(
                "the second filter",
                std::time::Duration::from_secs(5),
                async || Ok(second.passed_in(&case).pop()),
            );
            let passed = passed.await?;
            let (alias, _) = model.split_once('-').unwrap_or_default();
            ensure!(
                passed.header("x-selected-model") == alias,
                "{case}: it saw {:?}",
                passed.headers
            );
            ensure!(
                passed.body == models.only(&case)?.body,
                "{case}: it saw another body than the backend"
            );
        }
    }
    Ok(())
}
