//! Values that would fail later, or break silently, are refused when the chart is rendered, with
//! the reason.

use crate::helm::{NAMESPACE, chart, helm};
use anyhow::{Result, ensure};
use std::process::Command;

/// Settings, and a word of the refusal; no word: they are accepted.
const CASES: &[(&str, &str)] = &[
    ("replicaCount=3", ""),
    ("replicasCount=3", "replicasCount"),
    ("image.tag=latest", "image"),
    ("replicaCount=two", "replicaCount"),
    ("shutdown.settleSeconds=60", "nothing is left to drain"),
    ("insecureListen=true", ""),
    (
        "insecureListen=true,networkPolicy.enabled=false",
        "needs networkPolicy.enabled",
    ),
    ("insecureListen=true,tls.secretName=a", "plaintext is meant"),
    ("tls.verifyClients=true", "needs tls.secretName"),
    (
        "tls.secretName=a,gateway.kind=envoy-gateway",
        "gateway.tlsCaConfigMap",
    ),
    (
        "tls.secretName=a,gateway.kind=ai-gateway-before",
        "gateway.tlsCaPem",
    ),
    (
        "tls.secretName=a,gateway.kind=envoy-gateway,gateway.tlsCaConfigMap=b",
        "",
    ),
    (
        "tls.secretName=a,tls.verifyClients=true,gateway.kind=envoy-gateway,gateway.tlsCaConfigMap=b",
        "gateway.clientCertificateSecret",
    ),
    (
        "gateway.kind=envoy-gateway,gateway.models[0].name=a,gateway.models[0].backendRef.name=b",
        "gateway.defaultModel",
    ),
    (
        "gateway.kind=envoy-gateway,gateway.defaultModel=small,gateway.models[0].name=small,gateway.models[0].backendRef.name=b",
        "sends to large would get 503",
    ),
    (
        "gateway.kind=envoy-gateway,gateway.defaultModel=small,gateway.models[0].name=small,gateway.models[0].backendRef.name=b,\
         gateway.models[1].name=large,gateway.models[1].backendRef.name=b",
        "",
    ),
    // A document that says nothing of models, or cannot be read, is Merit's to report.
    (
        "gateway.kind=envoy-gateway,gateway.defaultModel=small,gateway.models[0].name=small,gateway.models[0].backendRef.name=b,\
         config=providers:",
        "",
    ),
    ("gateway.kind=istio", "gateway"),
    ("mode=sidecar", "mode sidecar"),
    ("assets.source=initContainer", "assets.initContainer.image"),
    ("assets.source=hub", "source"),
    ("config=type: session_aware", "signingSecret.name"),
    ("config=type: session_aware,replicaCount=1", ""),
    ("config=type: session_aware,signingSecret.name=a", ""),
    (
        "config=type: confidence,autoscaling.enabled=true,replicaCount=1",
        "signingSecret.name",
    ),
];

#[test]
fn what_cannot_work_is_refused() -> Result<()> {
    let Some(helm) = helm() else { return Ok(()) };
    for (settings, word) in CASES {
        let mut command = Command::new(&helm);
        command.args(["template", "merit"]).arg(chart()).args([
            "--namespace",
            NAMESPACE,
            "--set",
            settings,
        ]);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success() == word.is_empty(),
            "{settings}: {said}"
        );
        ensure!(
            said.contains(word),
            "{settings}: does not say {word}: {said}"
        );
    }
    Ok(())
}
