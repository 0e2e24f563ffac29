//! Mutated requests through a real Envoy, on three wires: no 5xx, refusals in JSON, and what is
//! forwarded is JSON.

use anyhow::Result;
use proptest::prelude::*;
use std::net::SocketAddr;
use tests::client::{self, Answer, Call};
use tests::policy;
use tests::prompt::{CHAT, MESSAGES, RESPONSES};
use tokio::runtime::Runtime;

use crate::json;
use crate::run::{self, Bytes};
use crate::stage::Stage;

pub(crate) fn attack(name: &str) -> Result<()> {
    let runtime = Runtime::new()?;
    let stage = runtime.block_on(Stage::start(&policy::two_models()))?;
    let clients = stage.clients()?;
    let wires = prop::sample::select(vec![CHAT, RESPONSES, MESSAGES]);
    run::run(name, &(wires, json::bodies()?), |(wire, Bytes(body))| {
        let asked = runtime.block_on(ask(clients, wire, &body));
        let answer = asked.map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
        let status = answer.status;
        prop_assert!(!status.is_server_error(), "{status}: {}", answer.text());
        if !status.is_success() {
            let message = &answer.json()["error"]["message"];
            prop_assert!(message.is_string(), "{status}: {}", answer.text());
        } else if !body.is_empty() {
            prop_assert!(
                json::is_json(&body),
                "what is no JSON was answered {status}"
            );
        }
        for seen in stage.small.take().into_iter().chain(stage.large.take()) {
            prop_assert!(
                json::is_json(&seen.body),
                "forwarded {}",
                String::from_utf8_lossy(&seen.body)
            );
        }
        Ok(())
    })
}

async fn ask(clients: SocketAddr, wire: &str, body: &[u8]) -> Result<Answer> {
    client::call(clients, Call::post(wire, body.to_vec())).await
}
