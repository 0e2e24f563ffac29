//! `merit test`: probes of a policy, requests with what must become of each.
//!
//! ```yaml
//! - name: a greeting stays small
//!   text: "Hello, how are you?"
//!   expect: {decision: everyday, model: small}
//! ```
//!
//! Files in the reference's form (`decisions[].variants[]`) are read, too.

mod reference;
mod report;

use crate::cli::TestArgs;
use crate::engine::Evaluator;
use crate::output;
use anyhow::Context as _;
use document::Problem;
pub use report::{Outcome, Report};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

/// Largest text of a probe, in bytes, with all its repetitions.
const MOST_BYTES: usize = 10 << 20;

/// The probes of a file.
#[derive(Debug)]
pub struct Probes {
    /// The probes.
    pub probes: Vec<Probe>,
    /// How many of them must pass.
    acceptance: Acceptance,
}

/// A request and what must become of it.
#[derive(Debug, Default)]
pub struct Probe {
    /// Name, for people.
    pub name: String,
    /// The decision that the probe belongs to, in the reference's form.
    group: Option<String>,
    tags: Vec<String>,
    /// Body of an evaluation.
    pub request: Map<String, Value>,
    expected: Vec<Expected>,
}

/// Something that an evaluation must say.
#[derive(Debug, Clone, PartialEq)]
enum Expected {
    /// The text at a pointer.
    Text {
        what: &'static str,
        pointer: &'static str,
        wanted: String,
    },
    /// The model is one of those recommended, and the only one if there is one.
    Alias(String),
    /// The status of the selection, which must hold together.
    Status(String),
    /// A list holds these, and no others if it is exact.
    Plugins(Names),
    /// Signals matched, as `family:name`.
    Signals(Names),
    /// The value of a signal lies within bounds.
    Value {
        signal: String,
        gte: Option<f64>,
        lte: Option<f64>,
    },
}

/// Names that must be there, and names that must not.
#[derive(Debug, Clone, Default, PartialEq)]
struct Names {
    wanted: Vec<String>,
    forbidden: Vec<String>,
    exact: bool,
}

/// What came otherwise than expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What was looked at.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub got: String,
}

/// How many probes must pass, percent.
#[derive(Debug, Clone)]
struct Acceptance {
    probes: f64,
    decisions: f64,
    /// By decision.
    robustness: BTreeMap<String, f64>,
    tag_counts: BTreeMap<String, usize>,
    tag_rates: BTreeMap<String, f64>,
}

impl Default for Acceptance {
    fn default() -> Self {
        Self {
            probes: 100.0,
            decisions: 100.0,
            robustness: BTreeMap::new(),
            tag_counts: BTreeMap::new(),
            tag_rates: BTreeMap::new(),
        }
    }
}

/// One probe in Merit's form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    name: String,
    /// A chat request …
    request: Option<Map<String, Value>>,
    /// … or what the user says, …
    text: Option<String>,
    /// … so many times.
    #[serde(default = "once")]
    repeat: usize,
    expect: BTreeMap<String, String>,
}

fn once() -> usize {
    1
}

/// Evaluates the probes of all files. Fails if an expectation does not hold.
///
/// # Errors
/// If a file cannot be read or understood.
pub fn run(
    arguments: &TestArgs,
    open: impl Fn(&str) -> Result<Evaluator, Vec<Problem>>,
) -> anyhow::Result<ExitCode> {
    let policy = &arguments.policy;
    let evaluator = match open(&read(policy)?) {
        Ok(evaluator) => evaluator,
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(|it| it.in_file(policy)).collect();
            output::text(&lines.join("\n"))?;
            return Ok(ExitCode::FAILURE);
        }
    };

    let mut reports = Vec::new();
    for file in &arguments.probes {
        let probes = Probes::read(&read(file)?).with_context(|| file.display().to_string())?;
        reports.push(probes.evaluate(file, |body| evaluator.answer(body, &[])));
    }
    output::text(&report::written(&reports, arguments.format)?)?;
    Ok(match reports.iter().all(Report::is_accepted) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

impl Probes {
    /// Reads a file of probes, in Merit's form or in the reference's.
    ///
    /// # Errors
    /// If it is neither.
    pub fn read(text: &str) -> anyhow::Result<Self> {
        let value: Value = serde_saphyr::from_str(text).context("not YAML")?;
        let read = if value.is_object() {
            reference::read(text)?
        } else {
            let own: Vec<Own> = serde_saphyr::from_str(text).context("not a list of probes")?;
            let probes = own.into_iter().map(Probe::try_from);
            Self {
                probes: probes.collect::<anyhow::Result<_>>()?,
                acceptance: Acceptance::default(),
            }
        };
        // A file that was cut short must not pass for one that holds.
        anyhow::ensure!(!read.probes.is_empty(), "the file has no probe");
        Ok(read)
    }

    /// Asks for each probe what becomes of it.
    pub fn evaluate(
        &self,
        file: &Path,
        answer: impl Fn(&Map<String, Value>) -> Result<Value, String>,
    ) -> Report {
        let outcomes = self.probes.iter().map(|probe| {
            let (faults, unready) = match answer(&probe.request) {
                Ok(said) => (probe.faults(&said), unready(&said)),
                Err(error) => (
                    vec![Fault::new("evaluation", "an answer", error)],
                    Vec::new(),
                ),
            };
            Outcome {
                name: probe.name.clone(),
                passed: faults.is_empty(),
                faults,
                unready,
            }
        });
        Report::new(file, self, outcomes.collect())
    }
}

/// Returns the signals that found no answer.
fn unready(said: &Value) -> Vec<String> {
    let errors = said["signal_errors"].as_object();
    errors
        .into_iter()
        .flatten()
        .map(|(signal, error)| format!("{signal}: {}", error.as_str().unwrap_or_default()))
        .collect()
}

impl TryFrom<Own> for Probe {
    type Error = anyhow::Error;

    fn try_from(own: Own) -> anyhow::Result<Self> {
        let request = match (own.request, own.text) {
            (Some(request), None) => request,
            (None, Some(text)) => {
                anyhow::ensure!(
                    text.len().saturating_mul(own.repeat) <= MOST_BYTES,
                    "{}: the text, repeated, has more than {MOST_BYTES} bytes",
                    own.name
                );
                let message = json!({"role": "user", "content": text.repeat(own.repeat)});
                Map::from_iter([
                    ("model".to_owned(), json!("auto")),
                    ("messages".to_owned(), json!([message])),
                ])
            }
            _ => anyhow::bail!("{}: a probe has either request or text", own.name),
        };
        let expected = own.expect.into_iter().map(|(key, wanted)| {
            let (what, pointer) = match key.as_str() {
                "decision" => ("decision", "/decision_result/decision_name"),
                "model" => ("model", "/selected_model"),
                "recipe" => ("recipe", "/recipe"),
                "refused" => ("refused", "/refused/by"),
                "status" => ("status", "/selection_status"),
                other => anyhow::bail!("{}: a probe cannot expect {other}", own.name),
            };
            Ok(Expected::Text {
                what,
                pointer,
                wanted,
            })
        });
        let expected: Vec<_> = expected.collect::<anyhow::Result<_>>()?;
        anyhow::ensure!(
            !expected.is_empty(),
            "{}: a probe expects something",
            own.name
        );
        Ok(Self {
            expected,
            name: own.name,
            request,
            ..Self::default()
        })
    }
}

impl Probe {
    /// Returns what an evaluation says otherwise than expected.
    #[must_use]
    pub fn faults(&self, said: &Value) -> Vec<Fault> {
        self.expected
            .iter()
            .flat_map(|expected| expected.faults(said))
            .collect()
    }
}

impl Expected {
    fn faults(&self, said: &Value) -> Vec<Fault> {
        let text = |pointer| {
            let value = said.pointer(pointer).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        match self {
            Self::Text {
                what,
                pointer,
                wanted,
            } => {
                let got = text(pointer);
                let fault = (got != *wanted).then(|| Fault::new(what, wanted, got));
                fault.into_iter().collect()
            }
            Self::Alias(wanted) => {
                let models = strings(&said["recommended_models"]);
                let fault = (!models.contains(wanted))
                    .then(|| Fault::new("model", wanted, models.join(", ")));
                fault.into_iter().collect()
            }
            Self::Status(wanted) => status(said, wanted),
            Self::Plugins(names) => {
                names.faults("plugins", &strings(&said["decision_result"]["plugins"]))
            }
            Self::Signals(names) => {
                let families = said["decision_result"]["matched_signals"].as_object();
                let matched: Vec<String> = families
                    .into_iter()
                    .flatten()
                    .flat_map(|(family, names)| {
                        let names = strings(names).into_iter();
                        names.map(move |name| format!("{family}:{name}"))
                    })
                    .collect();
                names.faults("signals", &matched)
            }
            Self::Value { signal, gte, lte } => value(said, signal, *gte, *lte),
        }
    }
}

impl Names {
    fn faults(&self, what: &str, got: &[String]) -> Vec<Fault> {
        let listed = || got.join(", ");
        let missing = self.wanted.iter().filter(|name| !got.contains(name));
        let unwanted = self.forbidden.iter().filter(|name| got.contains(name));
        let more = got
            .iter()
            .filter(|name| self.exact && !self.wanted.contains(name));
        missing
            .map(|name| Fault::new(what, name, listed()))
            .chain(unwanted.map(|name| Fault::new(what, &format!("no {name}"), listed())))
            .chain(more.map(|name| Fault::new(what, "no others", name.clone())))
            .collect()
    }
}

/// A status is expected as it is, and with what belongs to it.
fn status(said: &Value, wanted: &str) -> Vec<Fault> {
    let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
    let (got, model, method) = (
        text("selection_status"),
        text("selected_model"),
        text("selection_method"),
    );
    let mut faults = Vec::new();
    if got != wanted {
        faults.push(Fault::new("selection_status", wanted, got.clone()));
    }
    let chosen = matches!(got.as_str(), "selected" | "planned_final" | "fallback");
    if chosen == model.is_empty() && got == wanted {
        let expected = if chosen { "a model" } else { "none" };
        faults.push(Fault::new("selected_model", expected, model));
    }
    if got == "not_required" && method != "fast_response" {
        faults.push(Fault::new("selection_method", "fast_response", method));
    }
    faults
}

fn value(said: &Value, signal: &str, gte: Option<f64>, lte: Option<f64>) -> Vec<Fault> {
    let what = format!("value of {signal}");
    let bounds = match (gte, lte) {
        (Some(gte), Some(lte)) => format!("{gte} to {lte}"),
        (Some(gte), None) => format!("{gte} or more"),
        (None, Some(lte)) => format!("{lte} or less"),
        (None, None) => "a number".to_owned(),
    };
    if let Some(error) = said["signal_errors"][signal].as_str() {
        return vec![Fault::new(&what, &bounds, error.to_owned())];
    }
    let got = said["signal_values"][signal].as_f64();
    let holds =
        got.is_some_and(|got| gte.is_none_or(|gte| got >= gte) && lte.is_none_or(|lte| got <= lte));
    if holds {
        return Vec::new();
    }
    let got = got.map_or_else(|| "none".to_owned(), |got| got.to_string());
    vec![Fault::new(&what, &bounds, got)]
}

impl Fault {
    fn new(what: &str, expected: &str, got: String) -> Self {
        Self {
            what: what.to_owned(),
            expected: expected.to_owned(),
            got,
        }
    }
}

/// Returns the texts of a list.
fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
