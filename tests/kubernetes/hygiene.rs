//! Good conduct of everything that runs: restricted security, probes, resources, images, budgets of
//! a shutdown, and that selectors select. What is left out on purpose is argued for in
//! `values.yaml` (no CPU limit).

use crate::helm::{helm, name_of, value_sets};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use tests::merit::binary;

/// A pod as a template describes it.
struct Pod<'a> {
    name: String,
    spec: &'a Value,
    /// It runs as long as it may: a Deployment's, or a sidecar.
    is_service: bool,
    /// Its pod is another's: only its container is judged.
    is_guest: bool,
}

fn pods(object: &Value) -> Vec<Pod<'_>> {
    let (pointer, is_service, is_guest) = match object["kind"].as_str().unwrap_or_default() {
        "Deployment" => ("/spec/template/spec", true, false),
        "Job" => ("/spec/template/spec", false, false),
        "Pod" => ("/spec", false, false),
        "EnvoyProxy" => (
            "/spec/provider/kubernetes/envoyDeployment/patch/value/spec/template/spec",
            true,
            true,
        ),
        _ => return Vec::new(),
    };
    let spec = object.pointer(pointer);
    spec.map(|spec| Pod {
        name: name_of(object),
        spec,
        is_service,
        is_guest,
    })
    .into_iter()
    .collect()
}

/// Ours: in a sidecar's patch Envoy's own container stands beside them.
fn containers<'a>(pod: &Pod<'a>) -> Vec<(&'a Value, bool)> {
    let list = |key: &str| pod.spec[key].as_array().into_iter().flatten();
    let lasting = list("containers").map(|container| (container, pod.is_service));
    let first =
        list("initContainers").map(|container| (container, container["restartPolicy"] == "Always"));
    lasting
        .chain(first)
        .filter(|(container, _)| container["name"] != "envoy")
        .collect()
}

fn faults_of_pod(pod: &Pod) -> Vec<String> {
    let spec = pod.spec;
    let mut faults = Vec::new();
    let mut wants = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("{}: {what}", pod.name));
        }
    };
    if !pod.is_guest {
        wants(
            spec["automountServiceAccountToken"] == false,
            "a token of the API is mounted",
        );
        wants(
            spec["securityContext"]["runAsNonRoot"] == true,
            "may run as root",
        );
        wants(
            spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault",
            "no seccomp profile",
        );
    }
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        wants(spec.get(key).is_none(), key);
    }
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        wants(volume.get("hostPath").is_none(), "a volume of the node");
        let is_empty = volume.get("emptyDir");
        wants(
            is_empty.is_none_or(|empty| empty.get("sizeLimit").is_some()),
            "an emptyDir without limit",
        );
    }
    for (container, is_lasting) in containers(pod) {
        let name = container["name"].as_str().unwrap_or_default();
        faults.extend(
            faults_of_container(container, is_lasting)
                .iter()
                .map(|it| format!("{} {name}: {it}", pod.name)),
        );
    }
    faults
}

fn faults_of_container(container: &Value, is_lasting: bool) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let mut wants = |holds: bool, what: &'static str| {
        if !holds {
            faults.push(what);
        }
    };
    let image = container["image"].as_str().unwrap_or_default();
    let (_, tag) = image.rsplit_once([':', '@']).unwrap_or_default();
    wants(
        !tag.is_empty() && tag != "latest" && !tag.contains('/'),
        "an image without a version",
    );
    let security = &container["securityContext"];
    wants(
        security["allowPrivilegeEscalation"] == false,
        "privileges may grow",
    );
    wants(
        security["readOnlyRootFilesystem"] == true,
        "the root file system can be written",
    );
    wants(security["runAsNonRoot"] == true, "may run as root");
    wants(
        security["capabilities"] == json!({"drop": ["ALL"]}),
        "has capabilities",
    );
    wants(security.get("privileged").is_none(), "privileged");
    let resources = &container["resources"];
    for key in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
        wants(
            resources.pointer(key).is_some(),
            "resources are not bounded",
        );
    }
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        wants(
            !is_lasting || container.get(probe).is_some(),
            "a probe is missing",
        );
    }
    wants(
        container["livenessProbe"].is_null()
            || container["livenessProbe"] != container["readinessProbe"],
        "draining kills",
    );
    for mount in container["volumeMounts"].as_array().into_iter().flatten() {
        wants(
            mount.get("subPath").is_none(),
            "a mount by subPath, which never changes",
        );
    }
    faults
}

#[test]
fn nothing_is_found() -> Result<()> {
    let Some(helm) = helm() else { return Ok(()) };
    let mut faults = Vec::new();
    let mut count = 0;
    for set in value_sets()? {
        for object in &set.objects(&helm)? {
            for pod in pods(object) {
                count += containers(&pod).len();
                faults.extend(
                    faults_of_pod(&pod)
                        .into_iter()
                        .map(|fault| format!("{}: {fault}", set.name)),
                );
            }
            if object["kind"] == "Secret" {
                faults.push(format!(
                    "{}: a Secret in the chart would be a secret in the release",
                    set.name
                ));
            }
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    ensure!(count > 20, "only {count} containers were looked at");
    Ok(())
}

/// The checks find what they look for.
#[test]
fn bad_conduct_is_found() {
    let good = json!({
        "name": "a", "image": "b:1",
        "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true,
            "capabilities": {"drop": ["ALL"]}},
        "resources": {"requests": {"cpu": "1", "memory": "1Mi"}, "limits": {"memory": "1Mi"}},
        "startupProbe": {}, "readinessProbe": {"grpc": {"port": 1}}, "livenessProbe": {},
    });
    assert_eq!(faults_of_container(&good, true), Vec::<&str>::new());
    for (pointer, value) in [
        ("/image", json!("b:latest")),
        ("/image", json!("registry:5000/b")),
        ("/securityContext/runAsNonRoot", json!(false)),
        (
            "/securityContext/capabilities",
            json!({"add": ["NET_ADMIN"]}),
        ),
        ("/resources/limits", json!({})),
        ("/livenessProbe", json!({"grpc": {"port": 1}})),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert_eq!(faults_of_container(&bad, true).len(), 1, "{pointer}");
    }
    let pod = json!({"kind": "Pod", "spec": {"hostNetwork": true, "volumes": [{"hostPath": {}}, {"emptyDir": {}}]}});
    assert_eq!(faults_of_pod(&pods(&pod)[0]).len(), 6);
}

/// The command line that is rendered is one that Merit takes, and its times fit into each other.
#[test]
fn merit_takes_its_arguments() -> Result<()> {
    let Some(helm) = helm() else { return Ok(()) };
    let merit = binary()?;
    for set in value_sets()? {
        for pod in set.objects(&helm)?.iter().flat_map(pods) {
            check_arguments(&merit, &pod).with_context(|| set.name.clone())?;
        }
    }
    Ok(())
}

fn check_arguments(merit: &Path, pod: &Pod) -> Result<()> {
    for (container, _) in containers(pod) {
        let Some(arguments) = container["args"].as_array() else {
            continue;
        };
        let words: Vec<&str> = arguments.iter().filter_map(Value::as_str).collect();
        let ran = Command::new(merit).args(&words).arg("--help").output()?;
        let said = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success(), "{}: {words:?}: {said}", pod.name);
        check_times(pod, &words)?;
    }
    Ok(())
}

fn check_times(pod: &Pod, words: &[&str]) -> Result<()> {
    let seconds = |flag: &str| {
        words
            .iter()
            .find_map(|word| word.strip_prefix(flag)?.parse::<u64>().ok())
    };
    let (Some(settle), Some(drain)) = (seconds("--settle-seconds="), seconds("--drain-seconds="))
    else {
        return Ok(());
    };
    ensure!(
        settle + 4 < drain,
        "settling for {settle} s leaves nothing of {drain} s"
    );
    let Some(grace) = pod.spec["terminationGracePeriodSeconds"].as_u64() else {
        return Ok(());
    };
    ensure!(
        drain < grace,
        "the kubelet kills after {grace} s what wants {drain} s"
    );
    Ok(())
}

/// Services, budgets, policies and monitors mean the pods of the Deployment, and ports by name
/// exist.
#[test]
fn selectors_select() -> Result<()> {
    let Some(helm) = helm() else { return Ok(()) };
    for set in value_sets()? {
        let objects = set.objects(&helm)?;
        let Some(deployment) = objects.iter().find(|object| object["kind"] == "Deployment") else {
            continue;
        };
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        let service = objects
            .iter()
            .find(|object| object["kind"] == "Service")
            .context("no Service")?;
        for object in &objects {
            let (pointer, meant) = match object["kind"].as_str().unwrap_or_default() {
                "Service" => ("/spec/selector", labels),
                "Deployment" | "PodDisruptionBudget" => ("/spec/selector/matchLabels", labels),
                "NetworkPolicy" => ("/spec/podSelector/matchLabels", labels),
                "ServiceMonitor" => ("/spec/selector/matchLabels", &service["metadata"]["labels"]),
                _ => continue,
            };
            let selector = object
                .pointer(pointer)
                .and_then(Value::as_object)
                .context(pointer)?;
            let selects =
                !selector.is_empty() && selector.iter().all(|(name, value)| &meant[name] == value);
            ensure!(selects, "{}: {} selects nothing", set.name, name_of(object));
        }
        let ports = deployment
            .pointer("/spec/template/spec/containers/0/ports")
            .context("no ports")?;
        let names: Vec<&Value> = ports
            .as_array()
            .into_iter()
            .flatten()
            .map(|port| &port["name"])
            .collect();
        for port in service["spec"]["ports"].as_array().context("no ports")? {
            ensure!(
                names.contains(&&port["targetPort"]),
                "{}: no port {}",
                set.name,
                port["targetPort"]
            );
        }
    }
    Ok(())
}
