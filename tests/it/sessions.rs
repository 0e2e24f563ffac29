//! Agents' sessions in the shapes that they really have: a tool loop stays on the model that began
//! it, on all three wires.

use anyhow::{Context, Result, bail, ensure};
use extproc::{BodyMode, FakeEnvoy, FakeRequest, FakeResponse, Forwarded, Outcome};
use serde_json::{Value, json};
use tests::listener::Address;
use tests::merit::Merit;
use tests::prompt::{CHAT, MESSAGES, RESPONSES};

/// A user's turn goes to `large`, and what looks like a tool loop would go to `small`: but for the
/// session.
const POLICY: &str = r#"version: v0.3
providers:
  defaults: {default_model: small}
  models:
    - {name: small, backend_refs: [{endpoint: "127.0.0.1:8000"}], pricing: {currency: USD, prompt_per_1m: 0.1, cached_input_per_1m: 0.01, completion_per_1m: 0.4}}
    - {name: large, backend_refs: [{endpoint: "127.0.0.1:8001"}], pricing: {currency: USD, prompt_per_1m: 3, cached_input_per_1m: 0.3, completion_per_1m: 15}}
routing:
  modelCards: [{name: small}, {name: large}]
  signals:
    conversation:
      - {name: results, feature: {type: count, source: {type: message, role: tool}}, predicate: {gte: 1}}
      - {name: agent, feature: {type: count, source: {type: tool_definition}}, predicate: {gte: 1}}
  decisions:
    - name: cheap_steps
      priority: 100
      rules: {type: conversation, name: results}
      modelRefs: [{model: small}, {model: large}]
    - name: work
      priority: 50
      rules: {type: conversation, name: agent}
      modelRefs: [{model: large}, {model: small}]
global:
  server: {debug_principals: ["*"]}
  router: {auto_model_names: [auto, vllm-sr/auto], sessions: {mode: apply}}
"#;

const CLAUDE: &str = include_str!("../../crates/dialects/src/golden/claude_code.json");
const CODEX: &str = include_str!("../../crates/dialects/src/golden/codex.json");
const ELEPHANT: &str = include_str!("../../crates/dialects/src/golden/elephant_tool_loop.json");
const INFEROA: &str = include_str!("../../crates/dialects/src/golden/inferoa_tool_loop.json");
const COMPACTION: &str = include_str!("../../crates/dialects/src/golden/inferoa_compaction.json");
const OPENCODE: &str = include_str!("../../crates/dialects/src/golden/opencode.json");
const TITLE: &str = include_str!("../../crates/dialects/src/golden/opencode_title.json");

struct Agent {
    envoy: FakeEnvoy,
    path: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl Agent {
    async fn new(
        merit: &Merit,
        path: &'static str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self> {
        let Address::Tcp(address) = merit.address() else {
            bail!("merit listens on TCP here")
        };
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        Ok(Self {
            envoy: FakeEnvoy::connect(address).await?,
            path,
            headers,
        })
    }

    async fn send(&self, body: &Value) -> Result<Sent> {
        let request = FakeRequest::post(self.path, body.to_string()).header("x-vsr-debug", "true");
        let request = self.headers.iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        match self.envoy.exchange(request).await {
            Outcome::Forwarded(forwarded) => Sent::of(&forwarded),
            other => bail!("not forwarded: {other:?}"),
        }
    }
}

/// Where a request went, and what its reply will say.
#[derive(Debug)]
struct Sent {
    model: String,
    phase: String,
    session: String,
    turn_state: Option<String>,
    degraded: String,
}

impl Sent {
    fn of(forwarded: &Forwarded) -> Result<Self> {
        let shown = |name: &str| {
            forwarded
                .metadata
                .get("merit")
                .and_then(|all| all.get(name))
                .and_then(Value::as_str)
        };
        let text = |name: &str| shown(name).unwrap_or_default().to_owned();
        Ok(Self {
            model: forwarded
                .header("x-selected-model")
                .context("no model was chosen")?
                .to_owned(),
            phase: text("x-vsr-session-phase"),
            session: text("x-merit-session"),
            turn_state: shown("x-codex-turn-state").map(str::to_owned),
            degraded: text("x-merit-degraded"),
        })
    }

    fn check(&self, model: &str, phase: &str, session: &str) -> Result<()> {
        ensure!(
            self.model == model && self.phase == phase && self.session.starts_with(session),
            "{self:?}"
        );
        ensure!(self.degraded.is_empty(), "{self:?}");
        Ok(())
    }
}

/// A request as it was before the assistant's first word.
fn opening(whole: &Value) -> Value {
    let mut request = whole.clone();
    for list in ["messages", "input"] {
        if let Some(items) = request.get_mut(list).and_then(Value::as_array_mut) {
            let answers = |item: &Value| {
                item["role"] == "assistant"
                    || item["type"] == "reasoning"
                    || item["type"] == "function_call"
            };
            let until = items.iter().position(answers).unwrap_or(items.len());
            items.truncate(until);
        }
    }
    request
}

async fn stays(
    merit: &Merit,
    path: &'static str,
    headers: &[(&'static str, &str)],
    shape: &str,
) -> Result<Agent> {
    let agent = Agent::new(merit, path, headers).await?;
    let step: Value = serde_json::from_str(shape)?;
    agent
        .send(&opening(&step))
        .await?
        .check("large", "user_turn", "new")?;
    for _ in 0..3 {
        agent
            .send(&step)
            .await?
            .check("large", "tool_loop", "hold=tool_loop;proposed=small")?;
    }
    Ok(agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn tool_loops_stay_on_their_model() -> Result<()> {
    let merit = Merit::start(POLICY).await?;
    let inferoa = [
        ("x-session-id", "s_1"),
        ("x-inferoa-session-id", "s_1"),
        ("x-inferoa-request-class", "interactive"),
    ];
    stays(&merit, CHAT, &inferoa, INFEROA)
        .await
        .context("Inferoa")?;
    stays(&merit, CHAT, &[("x-session-id", "86493292e35c")], ELEPHANT)
        .await
        .context("Elephant Agent")?;
    stays(
        &merit,
        MESSAGES,
        &[("x-claude-code-session-id", "6f2c")],
        CLAUDE,
    )
    .await
    .context("Claude Code")?;
    stays(
        &merit,
        RESPONSES,
        &[("session-id", "0191"), ("thread-id", "0191")],
        CODEX,
    )
    .await
    .context("Codex")?;
    ensure!(
        merit.metric("merit_session_total").await? > 0.0,
        "sessions are not counted"
    );
    ensure!(
        merit.metric("merit_session_entries").await? == 4.0,
        "four sessions"
    );
    Ok(())
}

/// Neither header nor mark: what begins alike is one session, but in tool loops only.
#[tokio::test(flavor = "multi_thread")]
async fn without_an_id_only_tool_loops_stay() -> Result<()> {
    let merit = Merit::start(POLICY).await?;
    let agent = stays(&merit, CHAT, &[], ELEPHANT).await?;
    let mut next: Value = serde_json::from_str(ELEPHANT)?;
    let messages = next["messages"].as_array_mut().context("messages")?;
    messages.push(json!({"role": "assistant", "content": "Done."}));
    messages.push(json!({"role": "user", "content": "Thanks, and the next one?"}));
    agent
        .send(&next)
        .await?
        .check("small", "user_turn", "new=unnamed")
}

/// OpenCode asks for a title beside the conversation, under the same session id.
#[tokio::test(flavor = "multi_thread")]
async fn a_helper_request_moves_nothing() -> Result<()> {
    let merit = Merit::start(POLICY).await?;
    let agent = Agent::new(
        &merit,
        CHAT,
        &[("x-session-affinity", "ses_1"), ("x-session-id", "ses_1")],
    )
    .await?;
    let title: Value = serde_json::from_str(TITLE)?;
    let mut work: Value = serde_json::from_str(OPENCODE)?;
    agent
        .send(&title)
        .await?
        .check("small", "helper", "helper")?;
    agent
        .send(&work)
        .await?
        .check("large", "user_turn", "new")?;
    agent.send(&title).await?;
    let messages = work["messages"].as_array_mut().context("messages")?;
    let call =
        json!({"id": "c", "type": "function", "function": {"name": "bash", "arguments": "{}"}});
    messages.push(json!({"role": "assistant", "content": "", "tool_calls": [call]}));
    messages.push(json!({"role": "tool", "tool_call_id": "c", "content": "ok"}));
    agent
        .send(&work)
        .await?
        .check("large", "tool_loop", "hold=tool_loop")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_keeps_its_model() -> Result<()> {
    let merit = Merit::start(POLICY).await?;
    let headers = [
        ("x-session-id", "s_2"),
        ("x-inferoa-request-class", "compaction"),
    ];
    stays(&merit, CHAT, &[("x-session-id", "s_2")], INFEROA).await?;
    let agent = Agent::new(&merit, CHAT, &headers).await?;
    let compaction: Value = serde_json::from_str(COMPACTION)?;
    let sent = agent.send(&compaction).await?;
    ensure!(
        sent.model == "large" && sent.phase == "compaction",
        "{sent:?}"
    );
    Ok(())
}

/// Codex repeats what it was given: another replica, which remembers nothing, keeps to the turn's
/// model.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_state_carries_the_model() -> Result<()> {
    let merit = Merit::start(POLICY).await?;
    let agent = Agent::new(
        &merit,
        RESPONSES,
        &[("session-id", "a"), ("authorization", "Bearer 1")],
    )
    .await?;
    let step: Value = serde_json::from_str(CODEX)?;
    let state = agent
        .send(&opening(&step))
        .await?
        .turn_state
        .context("no turn state was minted")?;
    let with = |session: &'static str, key: &'static str, state: String| {
        let headers = vec![
            ("session-id", session.to_owned()),
            ("authorization", key.to_owned()),
            ("x-codex-turn-state", state),
        ];
        Agent {
            envoy: agent.envoy.clone(),
            path: RESPONSES,
            headers,
        }
    };
    // A session id that nobody has seen stands for a process that has not.
    let sent = with("b", "Bearer 1", state.clone()).send(&step).await?;
    sent.check("large", "tool_loop", "hold=turn_state")?;
    for (session, key, state) in [
        ("c", "Bearer 2", state.clone()),
        ("d", "Bearer 1", format!("{state}A")),
        ("e", "Bearer 1", "ts_1".to_owned()),
    ] {
        let sent = with(session, key, state).send(&step).await?;
        ensure!(
            sent.model == "small",
            "a void turn state was obeyed: {sent:?}"
        );
        ensure!(
            sent.degraded.contains("provider_state_of_unknown_model"),
            "{sent:?}"
        );
    }
    ensure!(
        merit.metric("merit_turn_state_void_total").await? > 0.0,
        "void turn states are not counted"
    );
    Ok(())
}

/// The provider keeps the conversation: the client names the response that it goes on from, and
/// nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_responses_is_one_session() -> Result<()> {
    let merit = Merit::start(POLICY).await?;
    let Address::Tcp(address) = merit.address() else {
        bail!("merit listens on TCP here")
    };
    let envoy = FakeEnvoy::connect(address).await?;
    let tools = json!([{"type": "function", "name": "f", "parameters": {}}]);
    let first = json!({"model": "auto", "input": "List the open ports", "tools": tools});
    let request = FakeRequest {
        response_mode: BodyMode::Streamed,
        response: Some(FakeResponse::ok([
            r#"{"id":"resp_1","model":"large","status":"completed","output":[],"#,
            r#""usage":{"input_tokens":9,"output_tokens":2}}"#,
        ])),
        ..FakeRequest::post(RESPONSES, first.to_string())
    };
    let Outcome::Forwarded(forwarded) = envoy
        .exchange(request.header("authorization", "Bearer 1"))
        .await
    else {
        bail!("not forwarded");
    };
    ensure!(forwarded.header("x-selected-model") == Some("large"));
    let result = json!({"type": "function_call_output", "call_id": "c", "output": "1"});
    let next = json!({"model": "auto", "previous_response_id": "resp_1", "input": [result], "tools": tools});
    let mine = Agent::new(&merit, RESPONSES, &[("authorization", "Bearer 1")]).await?;
    let theirs = Agent::new(&merit, RESPONSES, &[("authorization", "Bearer 2")]).await?;
    // The response's end is noted when its stream ends, which the first exchange does not wait for.
    tests::process::until(
        "the end of the response",
        std::time::Duration::from_secs(5),
        async || Ok((merit.metric("merit_session_entries").await? == 2.0).then_some(())),
    )
    .await?;
    mine.send(&next)
        .await?
        .check("large", "tool_loop", "hold=tool_loop")?;
    let stranger = theirs.send(&next).await?;
    ensure!(
        stranger.model == "small" && !stranger.degraded.is_empty(),
        "{stranger:?}"
    );
    Ok(())
}
