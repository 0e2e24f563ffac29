//! Where records of requests are kept, and whether they are.

use super::{Document, Routing};
use document::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Seconds that records are kept where nothing is said: thirty days.
const KEPT: u64 = 2_592_000;

/// Records of requests, beside what `global.services.router_replay` says of them.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecordSettings {
    /// A file in which records survive a restart, for one process; where
    /// `router_replay.store_backend` names no other store. Empty keeps them in memory.
    pub file: String,
    /// Records that may wait for the store; further ones are dropped and counted. 0 means 8,192.
    pub queue: u32,
    /// Let callers read their own records where they send their requests: `GET
    /// /v1/router_replay/{id}`. Asks for an authenticated caller.
    pub serve_callers: bool,
}

/// A store of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordStore<'a> {
    /// The process's memory.
    Memory,
    /// A file of this path.
    File(&'a str),
    /// `router_replay.redis`.
    Redis,
    /// `router_replay.postgres`.
    Postgres,
    /// A store that is known and not run: no record is kept.
    NotRun(&'static str),
}

impl Document {
    /// Returns where records are kept.
    #[must_use]
    pub fn record_store(&self) -> RecordStore<'_> {
        let replay = self.global.services.router_replay.as_ref();
        let word = replay.map_or("", |replay| replay.store_backend.trim());
        let file = self.global.server.records.file.trim();
        match word.to_lowercase().as_str() {
            "redis" => RecordStore::Redis,
            "postgres" => RecordStore::Postgres,
            "milvus" => RecordStore::NotRun("milvus"),
            "qdrant" => RecordStore::NotRun("qdrant"),
            _ if file.is_empty() => RecordStore::Memory,
            _ => RecordStore::File(file),
        }
    }

    /// Tells whether requests of a recipe are recorded unless their decision says otherwise.
    #[must_use]
    pub fn records(&self, routing: &Routing) -> bool {
        let replay = self.global.services.router_replay.as_ref();
        let is_on = replay.is_some_and(|replay| replay.enabled);
        is_on && routing.data_policy.replay != Some(false)
    }

    /// Returns for how many seconds records are kept.
    #[must_use]
    pub fn records_kept(&self) -> u64 {
        let replay = self.global.services.router_replay.as_ref();
        let written = replay.map_or(0, |replay| replay.ttl_seconds);
        if written == 0 { KEPT } else { written }
    }
}

/// Reports what the settings of records contradict.
pub(super) fn check(document: &Document, findings: &mut Findings) {
    const PATH: &str = "global.services.router_replay";
    let Some(replay) = &document.global.services.router_replay else {
        return;
    };
    let blocks = [
        ("redis", replay.redis.is_some()),
        ("postgres", replay.postgres.is_some()),
        ("milvus", replay.milvus.is_some()),
        ("qdrant", replay.qdrant.is_some()),
    ];
    let word = replay.store_backend.trim().to_lowercase();
    for (name, is_written) in blocks {
        // Documents list every store and choose among them by name.
        if is_written && word.is_empty() {
            findings.error(
                format!("{PATH}.{name}"),
                format!(
                    "records would be kept in memory, as `store_backend` is omitted: write `store_backend: {name}`, or leave this out"
                ),
            );
        }
    }
    let needs = |key: &str, value: &str, findings: &mut Findings| {
        if value.trim().is_empty() {
            let message = format!("`{key}` is required where `store_backend` is postgres");
            findings.error(format!("{PATH}.postgres"), message);
        }
    };
    if word == "postgres" {
        let written = replay.postgres.clone().unwrap_or_default();
        needs("database", &written.database, findings);
        needs("user", &written.user, findings);
        let table = written.table_name.trim();
        let is_name = |text: &str| {
            let mut letters = text.bytes();
            letters
                .next()
                .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
                && letters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !table.is_empty() && !is_name(table) {
            let message = "a table's name has letters, digits and `_` only";
            findings.error(format!("{PATH}.postgres.table_name"), message);
        }
    }
    let file = document.global.server.records.file.trim();
    if !file.is_empty() && !matches!(document.record_store(), RecordStore::File(_)) {
        let message = format!("records are kept in {word}, not in this file");
        findings.warn("global.server.records.file", message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn check(text: &str, expected: &[&str]) {
        let document = format!(
            "{{version: v0.3, providers: {{models: [{{name: a, backend_refs: [{{endpoint: 'b:1'}}]}}]}}, {text}}}"
        );
        let checked = config::check(&document, &|_| None);
        let problems = checked.problems.iter().filter(|problem| {
            problem.path.contains("router_replay") || problem.path.contains("records")
        });
        let found: Vec<String> = problems
            .map(|problem| format!("{}: {}", problem.path, problem.message))
            .collect();
        assert_eq!(found.len(), expected.len(), "{text}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn the_block_of_another_store_is_an_error() {
        let replay = |text: &str| format!("global: {{services: {{router_replay: {{{text}}}}}}}");
        check(&replay("enabled: true"), &[]);
        check(
            &replay("enabled: true, postgres: {database: d, user: u}"),
            &["store_backend: postgres"],
        );
        check(
            &replay("store_backend: redis, redis: {address: 'r:6379'}"),
            &[],
        );
        check(
            &replay("store_backend: postgres, postgres: {table_name: 'a b'}"),
            &["`database`", "`user`", "table_name"],
        );
    }

    #[test]
    fn stores_are_chosen_by_name() {
        let mut document = Document::default();
        assert_eq!(document.record_store(), RecordStore::Memory);
        document.global.server.records.file = "records.db".to_owned();
        assert_eq!(document.record_store(), RecordStore::File("records.db"));
        let mut replay = config::services::RouterReplay::default();
        for (word, expected) in [
            ("POSTGRES", RecordStore::Postgres),
            ("redis", RecordStore::Redis),
            ("qdrant", RecordStore::NotRun("qdrant")),
            ("memory", RecordStore::File("records.db")),
        ] {
            replay.store_backend = word.to_owned();
            document.global.services.router_replay = Some(replay.clone());
            assert_eq!(document.record_store(), expected, "{word}");
        }
    }
}
