//! Which share of ordinary traffic needs the encoder at all, under each example policy.

use crate::backend::Backend;
use crate::learned::RUNS;
use crate::stage::envoy;
use crate::table;
use ::tests::client::{Call, call};
use ::tests::envoy::root;
use ::tests::merit::Merit;
use ::tests::prompt::CHAT;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Chats, questions, code, documents, conversations and tool loops in several languages.
const TRAFFIC: &str = include_str!("../../../data/traffic.jsonl");

pub(crate) async fn run() -> Result<()> {
    let requests = requests()?;
    table::line(&format!(
        "\n{} requests of benches/data/traffic.jsonl, each sent once.\n",
        requests.len()
    ))?;
    table::line(
        "| policy | requests that the encoder read for | share | runs a request | degraded |",
    )?;
    table::line("|---|---|---|---|---|")?;
    for folder in policies()? {
        of_policy(&folder, &requests).await?;
    }
    Ok(())
}

async fn of_policy(folder: &Path, requests: &[Value]) -> Result<()> {
    let document = fs::read_to_string(folder.join("config.yaml"))?;
    let backend = Backend::start().await?;
    let merit = Merit::start(&document).await?;
    let envoy = envoy("route.yaml", merit.port(), &backend).await?;
    let clients = envoy.listener("clients")?;
    let (begin, mut before) = (merit.metric(RUNS).await?, 0.0);
    let (mut read, mut degraded) = (0, 0);
    for request in requests {
        // Where the policy's models have no route of this Envoy's the answer is an error; it was
        // decided all the same.
        let answer = call(clients, Call::json(CHAT, request)).await?;
        degraded += usize::from(!answer.header("x-merit-degraded").is_empty());
        let now = merit.metric(RUNS).await? - begin;
        read += usize::from(now > before);
        before = now;
    }
    let count = requests.len().max(1) as f64;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let share = read as f64 * 100.0 / count;
    table::line(&format!(
        "| {name} | {read} | {share:.0} % | {:.2} | {degraded} |",
        before / count
    ))
}

/// The folders of all examples, by name.
fn policies() -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root().join("examples"))?;
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.retain(|folder| folder.join("config.yaml").is_file());
    folders.sort();
    Ok(folders)
}

/// A line is what a user says, or a whole list of messages, perhaps with tools.
fn requests() -> Result<Vec<Value>> {
    let lines = (1..).zip(TRAFFIC.lines());
    lines
        .map(|(number, line)| {
            request(line).with_context(|| format!("traffic.jsonl, line {number}"))
        })
        .collect()
}

fn request(line: &str) -> Result<Value> {
    let mut request: Value = serde_json::from_str(line)?;
    let fields = request.as_object_mut().context("not an object")?;
    if let Some(text) = fields.remove("text") {
        fields.insert(
            "messages".to_owned(),
            json!([{"role": "user", "content": text}]),
        );
    }
    fields
        .get("messages")
        .and_then(Value::as_array)
        .context("neither text nor messages")?;
    fields.insert("model".to_owned(), "auto".into());
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_traffic_is_varied() -> Result<()> {
        let requests = requests()?;
        assert!(requests.len() >= 120, "{}", requests.len());
        let turns = |request: &Value| request["messages"].as_array().map_or(0, Vec::len);
        assert!(requests.iter().filter(|request| turns(request) > 1).count() >= 20);
        assert!(
            requests
                .iter()
                .filter(|request| request["tools"].is_array())
                .count()
                >= 10
        );
        Ok(())
    }
}
