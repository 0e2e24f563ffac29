//! A listener as Envoy Gateway writes it: 32 KiB of buffer, the filter disabled in the chain and
//! enabled on each route, and a catch-all route, as the route is chosen before the body is known.

use crate::stage::{Stage, chat, check_routed};
use anyhow::{Context, Result, ensure};
use tests::client::Call;
use tests::listener::Listener;
use tests::prompt::CHAT;

fn listeners() -> [Listener; 2] {
    [("duplex", "FULL_DUPLEX_STREAMED"), ("buffered", "BUFFERED")].map(|(name, mode)| Listener {
        buffer_limit: Some(32 << 10),
        per_route: true,
        ..Listener::new(name, mode)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_within_the_gateways_limits() -> Result<()> {
    let stage = Stage::new(&listeners()).await?;
    let long = chat(&"refactor ".repeat(5_000));
    for (listener, sent, model) in [
        ("duplex", chat("hello"), "small-1b"),
        ("duplex", chat("refactor"), "large-70b"),
        ("duplex", long.clone(), "large-70b"),
        ("buffered", chat("hello"), "small-1b"),
        ("buffered", chat("refactor"), "large-70b"),
    ] {
        let case = format!("{listener}-{model}-{}", sent.len());
        let answer = stage
            .call(
                listener,
                Call::post(CHAT, sent.clone()).header("x-case", &case),
            )
            .await?;
        check_routed(&answer, &stage.models.only(&case)?, &sent, model).context(case)?;
    }
    let answer = stage
        .call(
            "buffered",
            Call::post(CHAT, long).header("x-case", "too long"),
        )
        .await?;
    ensure!(
        answer.status == 413,
        "envoy answered {} to a body above its buffer",
        answer.status
    );
    stage.models.untouched_by("too long")
}
