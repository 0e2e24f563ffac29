//! The document is replaced, spoilt, removed and put back all the time, while requests come. Every
//! request is answered, and the right document serves at the end.

use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;
use tests::client::{self, Call};
use tests::policy;
use tests::process::{Signal, until};
use tests::prompt::{CHAT, chat};
use tokio::time::sleep;

use crate::load::{Load, check_answered};
use crate::stage::{Attack, Stage};

const CLIENTS: usize = 4;

pub(crate) async fn attack(name: &'static str) -> Result<()> {
    let mut attack = Attack::begin(name)?;
    let outcome = storm(&mut attack).await;
    attack.end(outcome)
}

async fn storm(attack: &mut Attack) -> Result<String> {
    let stage = Stage::start(&policy::two_models()).await?;
    let path = stage.merit.document_path();
    let clients = stage.clients()?;
    let mut load = Load::start(
        clients,
        CLIENTS,
        |_, _| "hello".to_owned(),
        |_, answer| check_answered(answer, "small"),
    );
    let mut changes = 0_usize;
    while attack.goes_on() {
        change(&stage, &path, attack).with_context(|| format!("change {changes}"))?;
        changes += 1;
        sleep(Duration::from_millis(attack.below(200))).await;
        load.check()?;
        attack.progress(|| format!("{changes} changes"))?;
    }

    clear(&path)?;
    fs::write(&path, policy::with_keyword("zebra"))?;
    stage.merit.process().signal(Signal::Hup)?;
    until("the last document", Duration::from_secs(10), async || {
        let call = Call::post(CHAT, chat("auto", "a zebra").to_string());
        let answer = client::call(clients, call).await?;
        Ok((answer.header("x-backend") == "large").then_some(()))
    })
    .await?;
    let asked = load.stop().await?;
    let bytes = stage.merit.process().resident_bytes()?;
    Ok(format!(
        "{changes} changes, {} requests, the slowest {:?}, {} MB",
        asked.requests,
        asked.slowest,
        bytes >> 20
    ))
}

/// Makes one change; what stands there afterwards is often no document at all.
fn change(stage: &Stage, path: &Path, attack: &mut Attack) -> Result<()> {
    let document = policy::with_keyword(&format!("word{}", attack.below(1_000)));
    let kind = attack.below(11);
    if kind > 1 {
        clear(path)?;
    }
    match kind {
        0 | 1 => return stage.merit.process().signal(Signal::Hup),
        2 => fs::write(path, document)?,
        3 => {
            let length = u64::try_from(document.len())?;
            let end = usize::try_from(attack.below(length))?;
            fs::write(path, document.get(..end).unwrap_or_default())?;
        }
        4 => fs::write(path, [0_u8, 159, 146, 150].repeat(100))?,
        5 => fs::write(path, "")?,
        6 => {}
        7 => fs::create_dir(path)?,
        8 => {
            let other = path.with_extension("other");
            fs::write(&other, document)?;
            symlink(&other, path)?;
        }
        9 => fs::write(path, with_rules(&document, 2_000))?,
        _ => stage.merit.replace_document(&document)?,
    }
    Ok(())
}

/// Removes what stands there, whether a file, a link or a folder.
fn clear(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(found) if found.is_dir() => Ok(fs::remove_dir(path)?),
        Ok(_) => Ok(fs::remove_file(path)?),
    }
}

/// Adds rules that nothing uses.
fn with_rules(document: &str, rules: usize) -> String {
    let rules: String = (0..rules)
        .map(|rule| format!("      - {{name: r{rule}, operator: OR, keywords: [none{rule}]}}\n"))
        .collect();
    document.replace("    keywords:\n", &format!("    keywords:\n{rules}"))
}
