//! What the chart says about Merit is true: headers, metrics, and that the manifests of `examples/`
//! are what it renders.

use crate::helm::{chart, helm, run, sorted, value_sets};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use tests::envoy::root;
use tests::python::python;

fn read(path: &str) -> Result<String> {
    let path = root().join(path);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn yaml(path: &str) -> Result<Value> {
    Ok(serde_saphyr::from_str(&read(path)?)?)
}

fn strings(list: &Value) -> BTreeSet<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// A header that one list removes and another forgets is a hole.
#[test]
fn headers_are_those_of_the_bootstraps() -> Result<()> {
    let bootstrap = yaml("envoy/route.yaml")?;
    let manager =
        bootstrap.pointer("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config");
    let manager = manager.context("no connection manager")?;
    let mutations = manager
        .pointer("/early_header_mutation_extensions/0/typed_config/mutations")
        .context("none")?;
    let each = |pointer: &str| {
        let found = mutations
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|mutation| mutation.pointer(pointer));
        found
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    let owned = yaml("charts/merit/files/owned-headers.yaml")?;
    assert_eq!(strings(&owned["exact"]), each("/remove"));
    assert_eq!(
        strings(&owned["prefixes"]),
        each("/remove_on_match/key_matcher/prefix")
    );

    let replies = manager
        .pointer("/route_config/response_headers_to_add")
        .and_then(Value::as_array)
        .context("none")?;
    let replies: BTreeSet<_> = replies
        .iter()
        .filter_map(|it| it.pointer("/header/key")?.as_str())
        .collect();
    let listed = strings(&yaml("charts/merit/files/reply-headers.yaml")?);
    assert_eq!(
        listed.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        replies
    );
    Ok(())
}

/// The names in the server's sources; a counter's gets `_total` and an info's `_info` from the
/// library.
fn metrics() -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut folders = vec![root().join("crates/server/src")];
    while let Some(folder) = folders.pop() {
        for path in sorted(&folder)? {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                names.extend(
                    metrics_in(&fs::read_to_string(&path)?)
                        .filter(|name| name.matches('_').count() > 0),
                );
            }
        }
    }
    Ok(names)
}

/// Words that begin like a metric of ours.
fn metrics_in(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let ours = words.filter(|word| word.starts_with("merit_") || word.starts_with("llm_"));
    ours.map(str::to_owned)
}

/// Every expression of the alerts and of the dashboard.
fn expressions() -> Result<Vec<String>> {
    let alerts = yaml("charts/merit/files/alerts.yaml")?;
    let alerts = alerts
        .as_array()
        .context("no alerts")?
        .iter()
        .map(|alert| &alert["expr"]);
    let dashboard: Value = serde_json::from_str(&read("charts/merit/files/dashboard.json")?)?;
    let panels = dashboard["panels"].as_array().context("no panels")?.iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let texts = alerts
        .chain(targets.map(|target| &target["expr"]))
        .filter_map(Value::as_str)
        .map(str::to_owned);
    let texts: Vec<String> = texts.collect();
    ensure!(texts.len() > 35, "only {} expressions", texts.len());
    Ok(texts)
}

#[test]
fn alerts_and_dashboard_name_metrics_that_exist() -> Result<()> {
    let known = metrics()?;
    for expression in expressions()? {
        for name in metrics_in(&expression) {
            let endings = ["", "_total", "_bucket", "_info"];
            let is_known = endings
                .iter()
                .filter_map(|ending| name.strip_suffix(ending))
                .any(|it| known.contains(it));
            ensure!(is_known, "no metric {name}, in {expression}");
        }
    }
    Ok(())
}

#[test]
fn alerts_and_dashboard_are_promql() -> Result<()> {
    if run(Command::new(python()).args(["-c", "import promql_parser"])).is_err() {
        eprintln!("SKIPPED: no promql-parser (cargo xtask setup installs it)");
        return Ok(());
    }
    let texts = expressions()?.into_iter().map(|text| {
        text.replace("@JOB@", "job=\"a\"")
            .replace("$__rate_interval", "1m")
    });
    let script = "import promql_parser, sys; [promql_parser.parse(text) for text in sys.argv[1:]]";
    let parse = |texts: Vec<String>| run(Command::new(python()).args(["-c", script]).args(texts));
    ensure!(
        parse(vec!["sum(rate(a[5m])".to_owned()]).is_err(),
        "nonsense is accepted"
    );
    parse(texts.collect()).map(drop)
}

/// Run with `MERIT_BLESS=1` to write them.
#[test]
fn examples_are_what_the_chart_renders() -> Result<()> {
    let Some(helm) = helm() else { return Ok(()) };
    let bless = std::env::var_os("MERIT_BLESS").is_some();
    for set in value_sets()?.into_iter().filter(|set| set.config.is_some()) {
        let folder = set.files[0].parent().context("no folder")?;
        let base = folder.file_name().context("no name")?.to_string_lossy();
        let variant = set.name.strip_prefix(&*base).unwrap_or_default();
        let file = folder.join(format!("manifests{variant}.yaml"));
        let rendered = set.text(&helm)?;
        if bless {
            fs::write(&file, &rendered)?;
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        ensure!(
            kept == rendered,
            "{} is not what the chart renders: MERIT_BLESS=1 writes it",
            file.display()
        );
    }
    Ok(())
}

/// A value that no template reads would be a promise.
#[test]
fn every_value_is_read() -> Result<()> {
    let mut text = String::new();
    for folder in ["templates", "templates/gateway", "templates/tests"] {
        for file in sorted(&chart().join(folder))?
            .into_iter()
            .filter(|file| file.is_file())
        {
            text.push_str(&fs::read_to_string(file)?);
        }
    }
    let values: Value = serde_saphyr::from_str(&fs::read_to_string(chart().join("values.yaml"))?)?;
    let mut unread = Vec::new();
    for (name, value) in values.as_object().context("no values")? {
        let is_read = |key: &str| text.contains(&format!(".{key}"));
        if !is_read(name) {
            unread.push(name.clone());
        }
        // Whole parts are copied: what is in them is Kubernetes'.
        let is_copied = ["rollingUpdate", "resources", "config"].contains(&name.as_str());
        for key in value
            .as_object()
            .into_iter()
            .flat_map(|part| part.keys())
            .filter(|_| !is_copied)
        {
            if !is_read(key) {
                unread.push(format!("{name}.{key}"));
            }
        }
    }
    ensure!(unread.is_empty(), "no template reads {unread:?}");
    Ok(())
}
