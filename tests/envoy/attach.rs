//! The manifests of `examples/`, as Envoy Gateway would translate them, in a real Envoy with real
//! traffic; and Merit beside the filters of others: authentication, an AI gateway, endpoint
//! pickers.

use crate::stage::{Models, chat, file, head};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;
use tests::client::{self, Answer, Call};
use tests::envoy::{Envoy, root};
use tests::gateway::{Backends, Manifests, Neighbours};
use tests::listener::Address;
use tests::merit::Merit;
use tests::process::until;
use tests::prompt::CHAT;
use tests::standin::{Behaviour, Passed, StandIn};

const LISTENER: &str = "llm/llm/http";
const DEPTH: &str = "prove that it ends";

/// One example in a real Envoy.
struct Attached {
    models: Models,
    merit: Merit,
    envoy: Envoy,
}

fn read(name: &str) -> Result<String> {
    let path = root().join("examples").join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn manifests(name: &str) -> Result<Manifests> {
    let text = read(name)?;
    let parts = text
        .split("\n---")
        .map(|part| serde_saphyr::from_str(part.trim_start_matches("---")));
    Ok(Manifests::new(parts.collect::<Result<_, _>>()?))
}

/// `neighbours` is given where the models are: small, large.
async fn attach(
    name: &str,
    document: &str,
    neighbours: impl FnOnce(&Models) -> Neighbours,
    are_clusters_given: bool,
) -> Result<Attached> {
    let models = Models::start().await?;
    let merit = Merit::start(document).await?;
    let neighbours = neighbours(&models);
    let mut found = BTreeMap::new();
    if !are_clusters_given {
        found = BTreeMap::from([
            ("small", models.small.address()),
            ("large", models.large.address()),
        ]);
    }
    let backends = Backends {
        merit: &merit.address(),
        models: found,
    };
    let envoy = Envoy::start(&manifests(name)?.bootstrap(&backends, neighbours)?).await?;
    Ok(Attached {
        models,
        merit,
        envoy,
    })
}

impl Attached {
    async fn ask(&self, case: &str, text: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let call = Call::post(CHAT, chat(text)).header("x-case", case);
        let call = headers
            .iter()
            .fold(call, |call, (name, value)| call.header(name, value));
        client::call(self.envoy.listener(LISTENER)?, call).await
    }

    /// A request goes to this backend, under the name that its provider knows.
    async fn routes(&self, case: &str, text: &str, backend: &str) -> Result<Answer> {
        let spoofed = [
            ("x-selected-model", "large"),
            ("x-gateway-model-name", "large"),
            ("x-ai-eg-model", "large"),
        ];
        let answer = self.ask(case, text, &spoofed).await?;
        ensure!(
            answer.status.is_success(),
            "{case}: {} {}",
            answer.status,
            head(&answer.text())
        );
        ensure!(
            answer.header("x-backend") == backend,
            "{case}: went to {:?}",
            answer.header("x-backend")
        );
        let seen = self.models.only(case)?;
        let id = if backend == "large" {
            "qwen3-235b"
        } else {
            "qwen3-4b"
        };
        ensure!(
            seen.model() == id,
            "{case}: the backend was asked for {:?}",
            seen.model()
        );
        Ok(answer)
    }
}

fn filter(name: &str, cluster: &str, body: &str) -> Value {
    json!({
        "name": name,
        "disabled": true,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
            "grpc_service": {"envoy_grpc": {"cluster_name": cluster}},
            "message_timeout": "10s",
            "processing_mode": {
                "request_header_mode": "SEND", "request_body_mode": body,
                "request_trailer_mode": if body == "BUFFERED" { "SKIP" } else { "SEND" },
                "response_header_mode": "SKIP", "response_body_mode": "NONE",
            },
        },
    })
}

fn grpc_cluster(name: &str, address: &Address) -> Result<Value> {
    let Address::Tcp(at) = address else {
        anyhow::bail!("not a TCP address")
    };
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let socket = json!({"address": at.ip().to_string(), "port_value": at.port()});
    Ok(json!({
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "typed_extension_protocol_options": {options: {
            "@type": format!("type.googleapis.com/{options}"),
            "explicit_http_config": {"http2_protocol_options": {}},
        }},
        "load_assignment": {"cluster_name": name, "endpoints": [
            {"lb_endpoints": [{"endpoint": {"address": {"socket_address": socket}}}]},
        ]},
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_gateway_carries_traffic() -> Result<()> {
    let document = read("envoy-gateway/config.yaml")?;
    for name in [
        "envoy-gateway/manifests.yaml",
        "envoy-gateway/manifests-buffered.yaml",
    ] {
        let attached = attach(name, &document, |_| Neighbours::default(), false).await?;
        for (case, text, backend) in [
            ("short", "hello".to_owned(), "small"),
            ("deep", DEPTH.to_owned(), "large"),
            // Above the 32 KiB that Envoy Gateway buffers by itself.
            ("bulky", "prove ".repeat(20_000), "large"),
        ] {
            let answer = attached
                .routes(case, &text, backend)
                .await
                .with_context(|| name.to_owned())?;
            let said = answer.header("x-vsr-selected-model");
            ensure!(said == backend, "{name}: the reply header says {said:?}");
        }
        let exchanges = attached.merit.metric("merit_exchange_total").await?;
        ensure!(
            exchanges >= 3.0,
            "{name}: only {exchanges} exchanges reached merit"
        );
    }
    Ok(())
}

/// A model that has no rule in the manifests is served by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_choice_without_a_rule_gets_503() -> Result<()> {
    for (name, config) in [
        ("envoy-gateway/manifests.yaml", "envoy-gateway/config.yaml"),
        (
            "envoy-gateway/manifests-buffered.yaml",
            "envoy-gateway/config.yaml",
        ),
    ] {
        let vault = "  models:\n    - {name: vault, backend_refs: [{endpoint: \"v:1\"}]}\n";
        let document = read(config)?.replacen("  models:\n", vault, 1);
        let attached = attach(name, &document, |_| Neighbours::default(), false).await?;
        let sent = tests::prompt::chat("vault", "hello").to_string();
        let call = Call::post(CHAT, sent).header("x-case", name);
        let answer = client::call(attached.envoy.listener(LISTENER)?, call).await?;
        ensure!(answer.status == 503, "{name}: {}", answer.status);
        attached.models.untouched_by(name)?;
    }
    Ok(())
}

/// Tokens and the key that they are checked with.
fn fixture() -> Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(file(
        "fixtures/jwt.json",
    ))?)?)
}

/// As Envoy Gateway writes it for a SecurityPolicy: the claims lie in the metadata under the
/// provider's name.
fn jwt(fixture: &Value) -> Value {
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"staff": {
                "issuer": fixture["issuer"], "audiences": ["llm"], "forward": true, "payload_in_metadata": "staff",
                "local_jwks": {"inline_string": fixture["jwks"]},
            }},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "staff"}}],
        },
    })
}

/// The example's policy, and a role on top that sends everything of its bearers to the large model.
fn with_roles(document: &str) -> String {
    let roles = "  signals:\n    role_bindings:\n      - name: gold-members\n        role: gold\n        subjects: [{kind: Group, name: gold}]\n";
    let decision = "  decisions:\n    - name: for_gold\n      priority: 300\n      rules: {operator: AND, conditions: [{type: authz, name: gold}]}\n      modelRefs: [{model: large}]\n";
    document
        .replacen("  signals:\n", roles, 1)
        .replacen("  decisions:\n", decision, 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn merit_stands_between_authentication_and_an_ai_gateway() -> Result<()> {
    let fixture = fixture()?;
    let gateway = StandIn::start(Behaviour::NameModel).await?;
    let clusters = vec![grpc_cluster("aigateway", &gateway.address())?];
    let neighbours = |_: &Models| Neighbours {
        first: vec![jwt(&fixture)],
        last: vec![filter(
            "envoy.filters.http.ext_proc/aigateway",
            "aigateway",
            "BUFFERED",
        )],
        clusters,
    };
    let document = with_roles(&read("ai-gateway/config.yaml")?);
    let attached = attach("ai-gateway/manifests.yaml", &document, neighbours, false).await?;
    // Who calls, what they say, where it goes.
    for (who, text, backend) in [
        ("alice", "hello", "large"),
        ("bob", "hello", "small"),
        ("bob", DEPTH, "large"),
        ("alice", DEPTH, "large"),
    ] {
        let case = format!("{who} {}", text.len());
        let token = format!("Bearer {}", fixture[who].as_str().unwrap_or_default());
        let answer = attached
            .ask(
                &case,
                text,
                &[("authorization", &token), ("x-ai-eg-model", "qwen3-4b")],
            )
            .await?;
        ensure!(
            answer.status.is_success(),
            "{case}: {} {}",
            answer.status,
            answer.text()
        );
        ensure!(
            answer.header("x-backend") == backend,
            "{case}: went to {:?}",
            answer.header("x-backend")
        );
        let id = if backend == "large" {
            "qwen3-235b"
        } else {
            "qwen3-4b"
        };
        let passed = passed(&gateway, &case).await?;
        let body: Value = serde_json::from_slice(&passed.body)?;
        ensure!(
            body["model"] == id,
            "{case}: the AI gateway read {}",
            body["model"]
        );
        ensure!(
            attached.models.only(&case)?.header("x-ai-eg-model") == id,
            "{case}: another x-ai-eg-model"
        );
    }
    let exchanges = attached.merit.metric("merit_exchange_total").await?;
    let stranger = format!(
        "Bearer {}",
        fixture["stranger"].as_str().unwrap_or_default()
    );
    for headers in [vec![], vec![("authorization", stranger.as_str())]] {
        let answer = attached.ask("nobody", "hello", &headers).await?;
        ensure!(
            answer.status == 401,
            "nobody was answered {}",
            answer.status
        );
    }
    ensure!(
        attached.merit.metric("merit_exchange_total").await? == exchanges,
        "merit was asked for nobody"
    );
    attached.models.untouched_by("nobody")
}

#[tokio::test(flavor = "multi_thread")]
async fn merit_stands_behind_an_ai_gateway() -> Result<()> {
    let gateway = StandIn::start(Behaviour::NameModel).await?;
    let clusters = vec![grpc_cluster("aigateway", &gateway.address())?];
    let first = vec![filter(
        "envoy.filters.http.ext_proc/aigateway",
        "aigateway",
        "BUFFERED",
    )];
    let neighbours = |_: &Models| Neighbours {
        first,
        clusters,
        ..Neighbours::default()
    };
    let document = read("ai-gateway/config.yaml")?;
    let attached = attach(
        "ai-gateway/manifests-after.yaml",
        &document,
        neighbours,
        false,
    )
    .await?;
    for (case, text, backend) in [
        ("after short", "hello", "small"),
        ("after deep", DEPTH, "large"),
    ] {
        attached.routes(case, text, backend).await?;
        let body: Value = serde_json::from_slice(&passed(&gateway, case).await?.body)?;
        ensure!(
            body["model"] == "auto",
            "{case}: the AI gateway read {}",
            body["model"]
        );
    }
    Ok(())
}

async fn passed(filter: &StandIn, case: &str) -> Result<Passed> {
    until("the other filter", Duration::from_secs(5), async || {
        Ok(filter.passed_in(case).pop())
    })
    .await
}

/// A pool's cluster goes where its picker says.
fn pool(name: &str) -> Value {
    json!({
        "name": name, "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "1s",
        "original_dst_lb_config": {"use_http_header": true, "http_header_name": "x-gateway-destination-endpoint"},
    })
}

fn pickers(small: &StandIn, large: &StandIn) -> Result<(Vec<Value>, Vec<Value>)> {
    let of = |name: &str| {
        let mut filter = filter(
            &format!("picker/pool/{name}"),
            &format!("picker-{name}"),
            "FULL_DUPLEX_STREAMED",
        );
        filter["disabled"] = json!(false);
        filter
    };
    let clusters = vec![
        grpc_cluster("picker-small", &small.address())?,
        grpc_cluster("picker-large", &large.address())?,
        pool("small"),
        pool("large"),
    ];
    Ok((vec![of("small"), of("large")], clusters))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_picker_behind_merit_sees_the_model() -> Result<()> {
    let servers = Models::start().await?;
    let small = StandIn::start(Behaviour::Pick(servers.small.address())).await?;
    let large = StandIn::start(Behaviour::Pick(servers.large.address())).await?;
    let (last, clusters) = pickers(&small, &large)?;
    let neighbours = |_: &Models| Neighbours {
        last,
        clusters,
        ..Neighbours::default()
    };
    let document = read("inference-extension/config.yaml")?;
    let attached = attach(
        "inference-extension/manifests.yaml",
        &document,
        neighbours,
        true,
    )
    .await?;
    for (case, text, name, id) in [
        ("pool small", "hello", "small", "qwen3-4b"),
        ("pool large", DEPTH, "large", "qwen3-235b"),
    ] {
        let answer = attached.ask(case, text, &[]).await?;
        ensure!(
            answer.status.is_success(),
            "{case}: {} {}",
            answer.status,
            answer.text()
        );
        ensure!(
            answer.header("x-backend") == name,
            "{case}: went to {:?}",
            answer.header("x-backend")
        );
        let (asked, other) = if name == "small" {
            (&small, &large)
        } else {
            (&large, &small)
        };
        let passed = passed(asked, case).await?;
        let body: Value = serde_json::from_slice(&passed.body)?;
        ensure!(
            body["model"] == id,
            "{case}: the picker read {}",
            body["model"]
        );
        ensure!(
            passed.header("x-gateway-model-name") == name,
            "{case}: the picker saw {:?}",
            passed.headers
        );
        ensure!(
            other.passed_in(case).is_empty(),
            "{case}: the other pool's picker was asked"
        );
        let seen = servers.only(case)?;
        ensure!(
            seen.body == passed.body,
            "{case}: the server got another body than the picker"
        );
        ensure!(
            !seen.header("x-request-id").is_empty(),
            "{case}: x-request-id is gone"
        );
    }
    Ok(())
}

/// Why Merit comes first: a picker before it chooses a server for a request whose model is not
/// chosen yet. Merit leaves that choice alone, as the protocol of pickers demands.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_picker_before_merit_is_not_overruled() -> Result<()> {
    let servers = Models::start().await?;
    let picked: SocketAddr = servers.small.address();
    let small = StandIn::start(Behaviour::Pick(picked)).await?;
    let large = StandIn::start(Behaviour::Pick(servers.large.address())).await?;
    let (first, clusters) = pickers(&small, &large)?;
    let neighbours = |_: &Models| Neighbours {
        first,
        clusters,
        ..Neighbours::default()
    };
    let document = read("inference-extension/config.yaml")?;
    let attached = attach(
        "inference-extension/manifests.yaml",
        &document,
        neighbours,
        true,
    )
    .await?;
    let answer = attached.ask("picked", DEPTH, &[]).await?;
    ensure!(
        answer.status.is_success(),
        "{} {}",
        answer.status,
        answer.text()
    );
    let seen = servers.only("picked")?;
    ensure!(
        answer.header("x-backend") == "small",
        "went to {:?}",
        answer.header("x-backend")
    );
    ensure!(
        seen.header("x-gateway-destination-endpoint") == picked.to_string(),
        "the choice was touched"
    );
    ensure!(
        seen.model() == "qwen3-235b",
        "the server was asked for {:?}",
        seen.model()
    );
    let body: Value = serde_json::from_slice(&passed(&small, "picked").await?.body)?;
    ensure!(body["model"] == "auto", "the picker read {}", body["model"]);
    Ok(())
}
