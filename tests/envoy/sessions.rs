//! A session through a real Envoy: the second request stays on the model of the first, and the
//! reply carries a turn state.

use crate::stage::Models;
use anyhow::{Result, ensure};
use serde_json::json;
use tests::client::{self, Answer, Call};
use tests::envoy::{Envoy, ShippedPorts, shipped};
use tests::merit::Merit;
use tests::policy;
use tests::prompt::{CHAT, RESPONSES};

/// What looks like a tool loop would go to `small`.
fn document(profile: &str) -> String {
    let conversation = "    conversation:\n      - {name: results, feature: {type: count, source: {type: message, role: tool}}, predicate: {gte: 1}}\n    keywords:";
    let decision = "  decisions:\n    - {name: steps, priority: 300, rules: {type: conversation, name: results}, modelRefs: [{model: small}, {model: large}]}\n";
    policy::with_server(&format!("profile: {profile}\ndebug_principals: [\"*\"]"))
        .replace("    keywords:", conversation)
        .replace("  decisions:\n", decision)
}

struct Road {
    models: Models,
    _merit: Merit,
    envoy: Envoy,
}

async fn road(bootstrap: &str) -> Result<Road> {
    let models = Models::start().await?;
    let merit = Merit::start(&document(if bootstrap == "observe.yaml" {
        "observe"
    } else {
        "route"
    }))
    .await?;
    let ports = ShippedPorts {
        merit: merit.port(),
        small: models.small.address().port(),
        large: models.large.address().port(),
        ..ShippedPorts::default()
    };
    let envoy = Envoy::start(&shipped(bootstrap, &ports)?).await?;
    Ok(Road {
        models,
        _merit: merit,
        envoy,
    })
}

impl Road {
    async fn send(&self, call: Call) -> Result<Answer> {
        client::call(
            self.envoy.listener("clients")?,
            call.header("x-vsr-debug", "true"),
        )
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_request_stays() -> Result<()> {
    for bootstrap in ["route.yaml", "observe.yaml", "buffered.yaml"] {
        let road = road(bootstrap).await?;
        let asked = json!({"role": "user", "content": "refactor this"});
        let opening = json!({"model": "auto", "messages": [asked]});
        let call =
            json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let result = json!({"role": "tool", "tool_call_id": "c", "content": "done"});
        let step = json!({"model": "auto", "messages": [asked, {"role": "assistant", "tool_calls": [call]}, result]});
        let post = |body| {
            Call::json(CHAT, body)
                .header("x-session-id", "s-1")
                .header("x-case", bootstrap)
        };
        let first = road.send(post(&opening)).await?;
        ensure!(
            first.header("x-vsr-selected-model") == "large",
            "{bootstrap}: {:?}",
            first.headers
        );
        let second = road.send(post(&step)).await?;
        ensure!(
            second.header("x-backend") == "large",
            "{bootstrap}: {:?}",
            second.headers
        );
        ensure!(
            second.header("x-vsr-session-phase") == "tool_loop",
            "{bootstrap}: {:?}",
            second.headers
        );
        ensure!(
            second
                .header("x-merit-session")
                .starts_with("hold=tool_loop"),
            "{bootstrap}: {:?}",
            second.headers
        );
        ensure!(
            road.models.large.seen_in(bootstrap).len() == 2,
            "{bootstrap}: the large model saw both"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_state_comes_with_the_reply() -> Result<()> {
    for bootstrap in ["route.yaml", "observe.yaml", "buffered.yaml"] {
        let road = road(bootstrap).await?;
        let body = json!({"model": "auto", "input": "refactor this"});
        let call = || {
            Call::json(RESPONSES, &body)
                .header("session-id", "s-1")
                .header("x-case", bootstrap)
        };
        let first = road.send(call()).await?;
        let state = first.header("x-codex-turn-state");
        ensure!(state.len() > 40, "{bootstrap}: {:?}", first.headers);
        let second = road
            .send(call().header("x-codex-turn-state", state))
            .await?;
        ensure!(
            second.header("x-backend") == "large",
            "{bootstrap}: {:?}",
            second.headers
        );
        let seen = road.models.large.seen_in(bootstrap);
        ensure!(
            seen.iter()
                .all(|seen| seen.header("x-codex-turn-state").is_empty()),
            "{bootstrap}: it went on"
        );
    }
    Ok(())
}
