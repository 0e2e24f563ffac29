//! Merit is killed and started again under load. What a boundary holds never reaches the backend
//! that may not get it, and clients see answers or 5xx.

use anyhow::{Result, bail, ensure};
use std::time::Duration;
use tests::client::Answer;
use tests::listener::Address;
use tests::merit::{Merit, Settings};
use tests::policy;
use tests::process::Signal;
use tests::upstream::Upstream;
use tokio::time::sleep;

use crate::load::{Load, check_answered};
use crate::stage::{Attack, Stage};

const CLIENTS: usize = 4;

/// The word that the boundary holds.
const HELD: &str = "secret";

pub(crate) async fn attack(name: &'static str) -> Result<()> {
    let mut attack = Attack::begin(name)?;
    let outcome = kill(&mut attack).await;
    attack.end(outcome)
}

/// `large` runs in the house, where secrets stay; `small`, the default, does not.
fn document() -> String {
    let rule = format!("    keywords:\n      - {{name: held, operator: OR, keywords: [{HELD}]}}\n");
    let boundary = "  boundaries:
    - {name: secrets_stay, when: {type: keyword, name: held}, allow: {locations: [house]}}
  decisions:
";
    policy::two_models()
        .replace("small-1b", "small-1b\n      location: cloud")
        .replace("large-70b", "large-70b\n      location: house")
        .replace(
            "modelRefs: [{model: small}]",
            "modelRefs: [{model: small}, {model: large}]",
        )
        .replace("    keywords:\n", &rule)
        .replace("  decisions:\n", boundary)
}

async fn kill(attack: &mut Attack) -> Result<String> {
    let document = document();
    let mut stage = Stage::start(&document).await?;
    let Address::Tcp(listen) = stage.merit.address() else {
        bail!("merit listens on TCP here");
    };
    let settings = Settings {
        document,
        listen: Some(listen),
        ..Settings::default()
    };
    let mut load = Load::start(stage.clients()?, CLIENTS, text, judge);
    let (mut kills, mut held) = (0_usize, 0_usize);
    while attack.goes_on() {
        sleep(Duration::from_millis(50 + attack.below(500))).await;
        let signal = if attack.below(4) == 0 {
            Signal::Term
        } else {
            Signal::Kill
        };
        stage.merit.process().signal(signal)?;
        let process = stage.merit.process_mut();
        process.ended(Duration::from_secs(40)).await?;
        stage.merit = Merit::with(&settings).await?;
        kills += 1;
        load.check()?;
        held += check_kept(&stage.small, &stage.large)?;
        attack.progress(|| format!("{kills} ends, {held} held requests came through"))?;
    }
    // A last moment in which everything works, so that short attacks prove something.
    sleep(Duration::from_millis(500)).await;
    let asked = load.stop().await?;
    held += check_kept(&stage.small, &stage.large)?;
    ensure!(held > 0, "no held request came through at all");
    Ok(format!(
        "{kills} ends, {} requests, {} answered, {held} of them held",
        asked.requests, asked.answered
    ))
}

fn text(client: usize, request: usize) -> String {
    if request.is_multiple_of(2) {
        format!("a {HELD} of client {client}, number {request}")
    } else {
        format!("hello from client {client}, number {request}")
    }
}

fn judge(text: &str, answer: &Answer) -> Result<()> {
    if answer.status.is_server_error() {
        return Ok(());
    }
    let backend = if text.contains(HELD) {
        "large"
    } else {
        "small"
    };
    check_answered(answer, backend)
}

/// Checks everything that the backends got since the last time, and returns how much of it was held.
fn check_kept(outside: &Upstream, inside: &Upstream) -> Result<usize> {
    for seen in outside.take() {
        let body = String::from_utf8_lossy(&seen.body);
        ensure!(!body.contains(HELD), "left the house: {body}");
        ensure!(
            !seen.complete || !body.is_empty(),
            "an empty body reached a backend"
        );
    }
    let came = inside.take();
    let is_held = |body: &[u8]| String::from_utf8_lossy(body).contains(HELD);
    Ok(came.iter().filter(|seen| is_held(&seen.body)).count())
}
