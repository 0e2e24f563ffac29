//! Merit with a real Redis beside it.

use anyhow::{Context, Result, bail, ensure};
use conversation::databases::RedisStore;
use conversation::store::{Change, ChangeBy, Entry, SharedStore};
use conversation::{Record, Timestamp};
use extproc::{FakeEnvoy, FakeRequest, Outcome};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use stores::redis::{Failure, Redis};
use stores::shared::RedisShared;
use tests::listener::Address;
use tests::merit::{Merit, Settings};
use tests::process::until;
use tests::prompt::CHAT;
use tests::redis;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_is_missed_in_time_and_found_again() -> Result<()> {
    let mut server = redis::Redis::start().await?;
    let settings = RedisStore {
        address: server.address(),
        db: 2,
        ..RedisStore::default()
    };
    let client = Redis::new(&settings, "merit:", Duration::from_millis(200))?;
    let mut set = ::redis::cmd("SET");
    client.ask::<()>(set.arg(client.key("a")).arg("1")).await?;
    ensure!(
        server.ask(&["EXISTS", "merit:a"])?.starts_with(":0"),
        "the key lies in another database"
    );

    server.kill();
    let mut get = ::redis::cmd("GET");
    get.arg(client.key("a"));
    let missed = client.ask::<String>(&get).await;
    ensure!(missed.is_err(), "a dead server answered: {missed:?}");
    let left = client.ask::<String>(&get).await;
    ensure!(
        matches!(left, Err(Failure::Left(_))),
        "asked again at once: {left:?}"
    );

    server.restart().await?;
    let found = until(
        "the restarted server",
        Duration::from_secs(10),
        async || Ok(client.ask::<String>(&get).await.ok()),
    );
    ensure!(found.await? == "1");
    Ok(())
}

/// Who may speak to a server over TLS, by what the document says.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked_on_both_sides() -> Result<()> {
    let server = redis::Redis::start().await?;
    let folder = tempfile::tempdir()?;
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let file = |name: &str, text: String| -> Result<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    };
    let cert = file("cert.pem", made.cert.pem())?;
    let key = file("key.pem", made.signing_key.serialize_pem())?;
    let [port] = tests::ports::free()?;
    let port = port.to_string();
    let settings = [
        ("tls-cert-file", &cert),
        ("tls-key-file", &key),
        ("tls-ca-cert-file", &cert),
        ("tls-port", &port),
    ];
    let settings = settings
        .iter()
        .flat_map(|(name, value)| [*name, value.as_str()]);
    let words: Vec<&str> = ["CONFIG", "SET"].into_iter().chain(settings).collect();
    ensure!(server.ask(&words)?.starts_with("+OK"), "no TLS");

    let trusting_nobody = RedisStore {
        address: format!("127.0.0.1:{port}"),
        use_tls: true,
        ..RedisStore::default()
    };
    let trusting = RedisStore {
        tls_ca_path: cert.clone(),
        ..trusting_nobody.clone()
    };
    let careless = RedisStore {
        tls_skip_verify: true,
        ..trusting_nobody.clone()
    };
    let known = RedisStore {
        tls_cert_path: cert.clone(),
        tls_key_path: key.clone(),
        ..trusting.clone()
    };
    let cleartext = RedisStore {
        use_tls: false,
        ..trusting.clone()
    };
    for (asks_clients, settings, is_served) in [
        ("no", &trusting, true),
        ("no", &careless, true),
        ("no", &trusting_nobody, false),
        ("no", &cleartext, false),
        ("yes", &trusting, false),
        ("yes", &known, true),
    ] {
        let set = ["CONFIG", "SET", "tls-auth-clients", asks_clients];
        ensure!(server.ask(&set)?.starts_with("+OK"));
        let client = Redis::new(settings, "t:", Duration::from_secs(2))?;
        let said = client.ask::<String>(&::redis::cmd("PING")).await;
        ensure!(
            said.is_ok() == is_served,
            "{asks_clients} {settings:?}: {said:?}"
        );
    }
    Ok(())
}

/// A store on a server, and its writer, which runs until it is dropped.
fn store(server: &redis::Redis) -> Result<(RedisShared, JoinSet<()>)> {
    let settings = RedisStore {
        address: server.address(),
        ..RedisStore::default()
    };
    let client = Redis::new(&settings, "t:", Duration::from_secs(2))?;
    let (store, writer) = RedisShared::new(Arc::new(client));
    let mut writers = JoinSet::new();
    writers.spawn(writer.run());
    Ok((store, writers))
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(2)
}

/// A conversation's record at a time, as a store keeps it.
fn entry(at: u64, model: &str) -> Entry {
    let record = Record {
        model: model.into(),
        at: Timestamp(at),
        ..Record::default()
    };
    Entry {
        key: "conversation".to_owned(),
        value: record.encode(),
        at: record.at,
        keep: Duration::from_secs(60),
    }
}

async fn kept(store: &RedisShared) -> Result<Option<String>> {
    let found = store.load("conversation", deadline()).await?;
    let record = found.map(|value| Record::decode(&value)).transpose()?;
    Ok(record.map(|record| record.model.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_younger_value_stays_unless_a_request_writes_it() -> Result<()> {
    let server = redis::Redis::start().await?;
    let (store, _writers) = store(&server)?;
    ensure!(kept(&store).await?.is_none());
    store.save(&[entry(2_500, "first")], deadline()).await?;
    store.save(&[entry(2_499, "older")], deadline()).await?;
    ensure!(kept(&store).await?.as_deref() == Some("first"));
    store.save(&[entry(2_501, "younger")], deadline()).await?;
    ensure!(kept(&store).await?.as_deref() == Some("younger"));
    // Clocks of replicas differ: the replica with the conversation's last request writes it.
    store.save_soon(entry(1_000, "last"));
    let limit = Duration::from_secs(5);
    let written = until("the value to be written", limit, async || {
        Ok((kept(&store).await?.as_deref() == Some("last")).then_some(()))
    });
    written.await
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_add_up_and_groups_know_their_members() -> Result<()> {
    let server = redis::Redis::start().await?;
    let (store, _writers) = store(&server)?;
    let keep = Duration::from_secs(60);
    let changes = [
        Change {
            name: "count".to_owned(),
            by: ChangeBy::Adding(2),
        },
        Change {
            name: "average".to_owned(),
            by: ChangeBy::Setting(0.5),
        },
    ];
    let mut numbers = Vec::new();
    for _ in 0..2 {
        numbers = store
            .exchange("numbers", &changes, keep, deadline())
            .await?;
    }
    numbers.sort_by(|one, other| one.0.cmp(&other.0));
    ensure!(numbers == [("average".to_owned(), 0.5), ("count".to_owned(), 4.0)]);

    let publish =
        |member: &'static str, keep| store.publish("pool", member, member.into(), keep, deadline());
    ensure!(publish("one", Duration::from_millis(1)).await?.is_empty());
    publish("two", keep).await?;
    let left = until("the first member's end", keep, async || {
        Ok((publish("three", keep).await? == [b"two"]).then_some(()))
    });
    left.await?;
    ensure!(
        server.ask(&["SCARD", "t:pool:replicas"])?.starts_with(":2"),
        "a member that is gone is forgotten"
    );
    Ok(())
}

/// Two replicas that share sessions and pools; a tool loop would go to `small`, but for the
/// session.
fn shared_policy(address: &str) -> String {
    format!(
        r#"version: v0.3
providers:
  defaults: {{default_model: small}}
  models:
    - {{name: small, backend_refs: [{{endpoint: "127.0.0.1:8000"}}]}}
    - {{name: large, backend_refs: [{{endpoint: "127.0.0.1:8001"}}]}}
routing:
  modelCards: [{{name: small}}, {{name: large}}]
  signals:
    conversation:
      - {{name: results, feature: {{type: count, source: {{type: message, role: tool}}}}, predicate: {{gte: 1}}}}
  decisions:
    - name: steps
      priority: 100
      rules: {{type: conversation, name: results}}
      modelRefs: [{{model: small}}, {{model: large}}]
    - {{name: work, priority: 50, modelRefs: [{{model: large}}, {{model: small}}]}}
global:
  server:
    debug_principals: ["*"]
    pool: {{access_log: true, redis: {{address: "{address}"}}, share_interval_ms: 100}}
  router:
    auto_model_names: [auto]
    sessions: {{redis: {{address: "{address}"}}, store_timeout_ms: 100}}
"#
    )
}

/// Replicas know each other's sessions only by one secret.
async fn replica(address: &str) -> Result<Merit> {
    let environment = vec![(
        "MERIT_SECRET".to_owned(),
        "a secret that both replicas have".to_owned(),
    )];
    Merit::with(&Settings {
        document: shared_policy(address),
        environment,
        ..Settings::default()
    })
    .await
}

/// The model that a request of a session goes to, and what is degraded.
async fn ask(merit: &Merit, session: &str, messages: Value) -> Result<(String, String)> {
    let Address::Tcp(address) = merit.address() else {
        bail!("merit listens on TCP here")
    };
    let body = json!({"model": "auto", "messages": messages}).to_string();
    let request = FakeRequest::post(CHAT, body)
        .header("x-session-id", session)
        .header("x-vsr-debug", "true");
    let Outcome::Forwarded(forwarded) = FakeEnvoy::connect(address).await?.exchange(request).await
    else {
        bail!("not forwarded")
    };
    let degraded = forwarded
        .metadata
        .get("merit")
        .and_then(|all| all.get("x-merit-degraded"))
        .and_then(Value::as_str);
    let model = forwarded
        .header("x-selected-model")
        .context("no model was chosen")?;
    Ok((model.to_owned(), degraded.unwrap_or_default().to_owned()))
}

fn turn() -> Value {
    json!([{"role": "user", "content": "Find the fault."}])
}

fn step() -> Value {
    json!([
        {"role": "user", "content": "Find the fault."},
        {"role": "assistant", "content": null,
         "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "read", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "nothing"}
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_agree_on_sessions_and_pools() -> Result<()> {
    let server = redis::Redis::start().await?;
    let (one, other) = (
        replica(&server.address()).await?,
        replica(&server.address()).await?,
    );
    ensure!(ask(&one, "s", turn()).await? == ("large".to_owned(), String::new()));
    // Records are written behind the answer.
    let limit = Duration::from_secs(5);
    let stayed = until("the session at the other replica", limit, async || {
        let asked = ask(&other, "s", step()).await?;
        ensure!(asked.1.is_empty(), "degraded: {asked:?}");
        Ok((asked.0 == "large").then_some(()))
    });
    stayed.await?;
    ensure!(
        ask(&other, "never seen", step()).await?.0 == "small",
        "the policy sends steps to small"
    );
    // The access log that would tell the ends of these requests says nothing, so they are in flight
    // at both.
    let seen = until("each other's requests", limit, async || {
        let here = one.sample("merit_pool_in_flight{model=\"large\"}").await?;
        let there = other
            .sample("merit_pool_in_flight{model=\"large\"}")
            .await?;
        Ok((here == there && here >= 2.0).then_some(()))
    });
    seen.await
}

/// The text of a bulk answer.
fn bulk(answer: &str) -> Option<&str> {
    answer.split("\r\n").nth(1)
}

/// Replicas that are upgraded one after the other: what an earlier version wrote is read, what a
/// later one wrote counts as no session, and shows.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_of_several_versions_live_together() -> Result<()> {
    let server = redis::Redis::start().await?;
    let (one, other) = (
        replica(&server.address()).await?,
        replica(&server.address()).await?,
    );
    for (session, rewrite, expected) in [
        ("same", "", ("large", "")),
        ("earlier", "old", ("large", "")),
        (
            "later",
            "future",
            ("small", "session=unknown_record_version"),
        ),
    ] {
        server.ask(&["FLUSHALL"])?;
        ensure!(ask(&one, session, turn()).await? == ("large".to_owned(), String::new()));
        let limit = Duration::from_secs(5);
        let key = until("the record", limit, async || {
            let keys = server.ask(&["KEYS", "merit:session:*"])?;
            Ok(keys
                .split("\r\n")
                .find(|line| line.starts_with("merit:session:"))
                .map(str::to_owned))
        });
        let key = key.await?;
        let answer = server.ask(&["GET", &key])?;
        let mut record: Value = serde_json::from_str(bulk(&answer).context("no record")?)?;
        ensure!(record["version"] == 1, "{record}");
        let members = record.as_object_mut().context("no object")?;
        match rewrite {
            "old" => members.retain(|name, _| !["version", "millis"].contains(&name.as_str())),
            "future" => {
                members.insert("version".to_owned(), json!(2));
                members.insert("at".to_owned(), json!({"moved": true}));
            }
            _ => {}
        }
        server.ask(&["SET", &key, &record.to_string()])?;
        let (model, degraded) = ask(&other, session, step()).await?;
        ensure!(
            (model.as_str(), degraded.as_str()) == expected,
            "{session}: {model} {degraded}"
        );
    }
    // The later replica's record was read as none: this one's own took its place.
    ensure!(
        other.metric("merit_degraded_total").await? > 0.0,
        "the unknown version is not counted"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_dies_under_load_is_missed_visibly_and_comes_back() -> Result<()> {
    let mut server = redis::Redis::start().await?;
    let (one, other) = (
        replica(&server.address()).await?,
        replica(&server.address()).await?,
    );
    ensure!(ask(&one, "kept", turn()).await?.0 == "large");
    let mut load = JoinSet::new();
    let stop = Arc::new(AtomicBool::new(false));
    for client in 0..4 {
        let (stop, Address::Tcp(address)) = (Arc::clone(&stop), one.address()) else {
            bail!("merit listens on TCP here")
        };
        load.spawn(async move {
            let envoy = FakeEnvoy::connect(address).await?;
            let mut asked = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let body = json!({"model": "auto", "messages": turn()}).to_string();
                let request = FakeRequest::post(CHAT, body)
                    .header("x-session-id", &format!("{client}-{asked}"));
                let outcome = envoy.exchange(request).await;
                ensure!(
                    matches!(outcome, Outcome::Forwarded(_)),
                    "request {asked} was lost: {outcome:?}"
                );
                asked += 1;
            }
            Ok(asked)
        });
    }
    let limit = Duration::from_secs(10);
    server.kill();
    let missed = until("a visible loss", limit, async || {
        let (model, degraded) = ask(&one, "kept", step()).await?;
        ensure!(
            model == "large",
            "this replica knows its own sessions: {model}"
        );
        Ok((degraded == "session=store_unavailable").then_some(()))
    });
    missed.await?;
    ensure!(
        one.metric("merit_store_failures_total").await? > 0.0
            && one.metric("merit_store_away").await? > 0.0
    );
    ensure!(
        one.metric("merit_degraded_total").await? > 0.0,
        "the loss is not counted"
    );
    server.restart().await?;
    let back = until("the session at the other replica", limit, async || {
        // The first replica writes the session again with its next request.
        let (_, degraded) = ask(&one, "kept", turn()).await?;
        let (model, _) = ask(&other, "kept", step()).await?;
        Ok((degraded.is_empty() && model == "large").then_some(()))
    });
    back.await?;
    stop.store(true, Ordering::Relaxed);
    let mut asked = 0;
    while let Some(client) = load.join_next().await {
        asked += client??;
    }
    ensure!(asked > 0, "there was no load");
    Ok(())
}
