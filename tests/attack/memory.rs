//! Sixteen bodies of 30 MB at a time, under a policy that reads them in every way: what Merit takes
//! at most stays below the chart's limit, and short requests are answered meanwhile.
//!
//! The limit is read from the kernel's own account of the process (`VmHWM`). A limit on addresses
//! (`ulimit -v`) says nothing here: the allocator and the threads reserve more than they ever use.

use anyhow::{Result, ensure};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tests::client::{self, Call};
use tests::prompt::{CHAT, chat};
use tokio::task::JoinSet;

use crate::load::{Load, check_answered};
use crate::stage::{Attack, Stage};

/// Bytes that Merit may have resident: the limit of the chart.
const MOST: u64 = 1 << 30;
/// Bodies at a time.
const BODIES: usize = 16;
/// Bytes of each, and of each where a run is short.
const BYTES: usize = 30_000_000;
const SHORT_BYTES: usize = 2_000_000;
/// Runs from here on send the long ones.
const LONG_FROM: Duration = Duration::from_secs(20);

const POLICY: &str = r#"version: v0.3
providers:
  defaults: {default_model: small}
  models:
    - {name: small, provider_model_id: small-1b, backend_refs: [{endpoint: "127.0.0.1:8000"}]}
    - {name: large, provider_model_id: large-70b, backend_refs: [{endpoint: "127.0.0.1:8001"}]}
routing:
  modelCards: [{name: small}, {name: large}]
  signals:
    keywords:
      - {name: scored, operator: OR, method: bm25, keywords: [deployment, refund, invoice, contract]}
      - {name: near, operator: OR, method: ngram, keywords: [kubernetes, polynomial]}
      - {name: misspelt, operator: OR, fuzzy_match: true, keywords: [diagnosis, derivative]}
      - {name: numbered, operator: OR, method: regex, keywords: ['[A-Z]{2,5}-\d+', 'x.{0,500}y', 'error:?\s+\w+']}
    language: [{name: fr}]
    pii: [{name: any, threshold: 0.6}]
  decisions:
    - name: special
      priority: 10
      rules:
        operator: OR
        conditions:
          - {type: keyword, name: scored}
          - {type: keyword, name: near}
          - {type: keyword, name: misspelt}
          - {type: keyword, name: numbered}
          - {type: language, name: fr}
          - {type: pii, name: any}
      modelRefs: [{model: large}]
    - {name: everyday, priority: 1, modelRefs: [{model: small}]}
"#;

pub(crate) async fn attack(name: &'static str) -> Result<()> {
    let mut attack = Attack::begin(name)?;
    let outcome = fill(&mut attack).await;
    attack.end(outcome)
}

async fn fill(attack: &mut Attack) -> Result<String> {
    let stage = Stage::start(POLICY).await?;
    let clients = stage.clients()?;
    let bytes = if attack.length < LONG_FROM {
        SHORT_BYTES
    } else {
        BYTES
    };
    let process = stage.merit.process();
    let before = process.peak_bytes()?;
    let mut short = Load::start(
        clients,
        1,
        |_, request| format!("hello number {request}"),
        |_, answer| check_answered(answer, "small"),
    );
    let mut sent = 0;
    while attack.goes_on() || sent == 0 {
        for body in bodies(attack, bytes) {
            let answered = send(clients, &body).await?;
            sent += BODIES;
            stage.small.forget();
            stage.large.forget();
            short.check()?;
            let peak = process.peak_bytes()?;
            ensure!(peak <= MOST, "{peak} bytes resident, after {sent} bodies");
            attack
                .progress(|| format!("{answered} of {BODIES} answered, peak {} MB", peak >> 20))?;
        }
    }
    let short = short.stop().await?;
    let peak = process.peak_bytes()?;
    Ok(format!(
        "{sent} bodies of {bytes} bytes, {BODIES} at a time: peak {} MB, {} MB before; {} short \
         requests meanwhile, the slowest took {:?}",
        peak >> 20,
        before >> 20,
        short.requests,
        short.slowest
    ))
}

/// Returns requests of one user message each: short words, words that are all different, a character
/// that is written out in many letters, and text of many short parts.
fn bodies(attack: &mut Attack, bytes: usize) -> [Bytes; 4] {
    let mut words = String::with_capacity(bytes + 16);
    while words.len() < bytes {
        words.push_str(&format!("w{:x} ", attack.below(u64::MAX)));
    }
    let part = r#"{"type":"text","text":"a few words"},"#.repeat(bytes / 38);
    let parts = format!(
        r#"{{"model":"auto","messages":[{{"role":"user","content":[{}]}}]}}"#,
        part.trim_end_matches(',')
    );
    let said = |text: String| Bytes::from(chat("auto", &text).to_string());
    [
        said("a b c d e f g h ".repeat(bytes / 16)),
        said(words),
        said("\u{FDFA}".repeat(bytes / 3)),
        parts.into(),
    ]
}

/// Sends one body so often at a time, and returns how often it was answered with success.
async fn send(clients: SocketAddr, body: &Bytes) -> Result<usize> {
    let begin = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..BODIES {
        let call = Call::post(CHAT, body.clone());
        calls.spawn(async move { client::call(clients, call).await });
    }
    let mut answered = 0;
    while let Some(ended) = calls.join_next().await {
        // Who is refused while it still sends may see no more than a closed connection.
        let Ok(answer) = ended? else { continue };
        // What comes too late or finds no room is refused.
        ensure!(
            answer.status.is_success() || matches!(answer.status.as_u16(), 408 | 503 | 504),
            "{} after {:?}: {}",
            answer.status,
            begin.elapsed(),
            answer.text()
        );
        answered += usize::from(answer.status.is_success());
    }
    Ok(answered)
}
