//! Probe files in the reference's form, `schema_version: v1`: groups by expected decision, each with
//! variants of a request.

use super::{Acceptance, Expected, MOST_BYTES, Names, Probe, Probes};
use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use router::plugins;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// A file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(rename = "schema_version")]
    _schema_version: Option<String>,
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(rename = "description")]
    _description: Option<String>,
    #[serde(rename = "routing_assets")]
    _routing_assets: Option<Value>,
    /// Another server's; probes are evaluated here.
    #[serde(rename = "router_eval_endpoint")]
    _router_eval_endpoint: Option<String>,
    #[serde(rename = "evaluation")]
    _evaluation: Option<Value>,
    #[serde(default)]
    acceptance: Rates,
    #[serde(default)]
    coverage: Coverage,
    #[serde(default)]
    fixtures: Fixtures,
    decisions: Vec<Group>,
}

/// Percentages that must pass.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rates {
    min_probe_pass_rate: Option<f64>,
    min_decision_pass_rate: Option<f64>,
}

/// What the file must hold; shares of what it asserts are its author's matter.
#[derive(Debug, Default, Deserialize)]
struct Coverage {
    #[serde(default)]
    min_tag_counts: BTreeMap<String, usize>,
    #[serde(default)]
    min_tag_pass_rate: BTreeMap<String, f64>,
}

/// Media that messages name.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixtures {
    #[serde(default)]
    images: BTreeMap<String, Image>,
}

/// An image.
#[derive(Debug, Deserialize)]
struct Image {
    media_type: String,
    data_base64: String,
    sha256: String,
}

/// The probes of one decision.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(default)]
    id: String,
    #[serde(default)]
    expected_decision: String,
    model: Option<String>,
    expected_recipe: Option<String>,
    expected_algorithm: Option<String>,
    expected_selection_status: Option<String>,
    #[serde(default)]
    expected_plugins: Vec<String>,
    #[serde(default)]
    forbidden_plugins: Vec<String>,
    #[serde(default)]
    plugin_match: Match,
    expected_alias: Option<String>,
    #[serde(default)]
    expected_signals: Signals,
    #[serde(default)]
    expected_signal_values: BTreeMap<String, Bounds>,
    #[serde(default)]
    forbidden_signals: Signals,
    #[serde(default)]
    signal_match: Match,
    #[serde(default)]
    robustness: Robustness,
    #[serde(rename = "objective")]
    _objective: Option<String>,
    #[serde(rename = "notes")]
    _notes: Option<String>,
    variants: Vec<Variant>,
}

/// Names of signals by family.
type Signals = BTreeMap<String, Vec<String>>;

/// How a list is compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Match {
    /// It holds what is expected.
    #[default]
    Contains,
    /// It holds nothing else.
    Exact,
}

/// Bounds of a signal's value, both included.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    gte: Option<f64>,
    lte: Option<f64>,
}

/// How many variants must pass, percent.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Robustness {
    min_pass_rate: Option<f64>,
}

/// One request. What it expects itself replaces what its group expects.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    id: Option<String>,
    expected_selection_status: Option<String>,
    query: Option<String>,
    messages: Option<Vec<Map<String, Value>>>,
    tools: Option<Value>,
    tool_choice: Option<Value>,
    repeat: Option<usize>,
    padding: Option<Padding>,
    generated_text: Option<Generated>,
    #[serde(default)]
    tags: Vec<String>,
    expected_signals: Option<Signals>,
    expected_signal_values: Option<BTreeMap<String, Bounds>>,
    #[serde(rename = "display_prompt")]
    _display_prompt: Option<String>,
    #[serde(rename = "playground")]
    _playground: Option<Value>,
    #[serde(rename = "notes")]
    _notes: Option<String>,
}

/// Lines around the query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Padding {
    text: String,
    repeat: Option<usize>,
    #[serde(default)]
    placement: Placement,
}

/// Where the lines go.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Placement {
    /// Before the query.
    #[default]
    Before,
    /// Behind it.
    After,
    /// Half of them before it.
    Around,
}

/// A part that fills a message up to a size.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Generated {
    message_index: usize,
    content_index: usize,
    target_text_bytes: usize,
    character: Option<String>,
    text: Option<String>,
}

/// Reads a file.
pub(super) fn read(text: &str) -> anyhow::Result<Probes> {
    let manifest: Manifest = serde_saphyr::from_str(text).context("not a file of probes")?;
    let images: BTreeMap<&str, String> = manifest
        .fixtures
        .images
        .iter()
        .map(|(name, image)| Ok((name.as_str(), image.url().with_context(|| name.clone())?)))
        .collect::<anyhow::Result<_>>()?;
    let mut acceptance = Acceptance {
        probes: manifest.acceptance.min_probe_pass_rate.unwrap_or(100.0),
        decisions: manifest.acceptance.min_decision_pass_rate.unwrap_or(100.0),
        tag_counts: manifest.coverage.min_tag_counts.clone(),
        tag_rates: manifest.coverage.min_tag_pass_rate.clone(),
        ..Acceptance::default()
    };

    let mut probes = Vec::new();
    for group in &manifest.decisions {
        let id = group.id();
        ensure!(!id.is_empty(), "a group of probes has no id");
        if let Some(rate) = group.robustness.min_pass_rate {
            acceptance.robustness.insert(id.to_owned(), rate);
        }
        for (index, variant) in group.variants.iter().enumerate() {
            let variant_id = variant.id.clone();
            let name = format!(
                "{id}:{}",
                variant_id.unwrap_or_else(|| format!("v{}", index + 1))
            );
            let request = variant.request(group.model.as_deref(), &images);
            probes.push(Probe {
                request: request.with_context(|| name.clone())?,
                expected: group.expected(variant),
                group: Some(id.to_owned()),
                tags: variant.tags.clone(),
                name,
            });
        }
    }
    Ok(Probes { probes, acceptance })
}

impl Group {
    fn id(&self) -> &str {
        if self.id.is_empty() {
            &self.expected_decision
        } else {
            &self.id
        }
    }

    fn expected(&self, variant: &Variant) -> Vec<Expected> {
        let text = |what, pointer, wanted: Option<&str>| {
            wanted.map(|wanted| Expected::Text {
                what,
                pointer,
                wanted: wanted.to_owned(),
            })
        };
        let decision = match self.expected_decision.as_str() {
            "" => self.id(),
            decision => decision,
        };
        let signals = variant.expected_signals.as_ref();
        let values = variant.expected_signal_values.as_ref();
        let status = variant.expected_selection_status.as_ref();
        let status = status.or(self.expected_selection_status.as_ref());
        let named = |names: &[String]| names.iter().map(|name| plugin(name)).collect();
        let mut expected: Vec<Expected> = [
            text("decision", "/decision_result/decision_name", Some(decision)),
            text("recipe", "/recipe", self.expected_recipe.as_deref()),
            text(
                "algorithm",
                "/decision_result/algorithm",
                self.expected_algorithm.as_deref(),
            ),
            self.expected_alias.clone().map(Expected::Alias),
            status.cloned().map(Expected::Status),
        ]
        .into_iter()
        .flatten()
        .collect();
        expected.push(Expected::Plugins(Names {
            wanted: named(&self.expected_plugins),
            forbidden: named(&self.forbidden_plugins),
            exact: self.plugin_match == Match::Exact,
        }));
        expected.push(Expected::Signals(Names {
            wanted: pairs(signals.unwrap_or(&self.expected_signals)),
            forbidden: pairs(&self.forbidden_signals),
            exact: self.signal_match == Match::Exact,
        }));
        let values = values.unwrap_or(&self.expected_signal_values);
        expected.extend(values.iter().map(|(signal, bounds)| Expected::Value {
            signal: signal.clone(),
            gte: bounds.gte,
            lte: bounds.lte,
        }));
        expected
    }
}

/// Returns the one name of a plugin that may have several spellings.
fn plugin(written: &str) -> String {
    plugins::named(written)
        .map_or(written, |plugin| plugin.name)
        .to_owned()
}

fn pairs(signals: &Signals) -> Vec<String> {
    let pairs = signals
        .iter()
        .flat_map(|(family, names)| names.iter().map(move |name| format!("{family}:{name}")));
    pairs.collect()
}

impl Variant {
    fn request(
        &self,
        model: Option<&str>,
        images: &BTreeMap<&str, String>,
    ) -> anyhow::Result<Map<String, Value>> {
        let mut body = Map::new();
        body.extend(model.map(|model| ("model".to_owned(), json!(model))));
        match (&self.query, &self.messages) {
            (Some(query), None) => {
                body.insert("text".to_owned(), json!(self.text(query)?));
            }
            (None, Some(messages)) => {
                body.insert(
                    "messages".to_owned(),
                    json!(self.messages(messages, images)?),
                );
            }
            _ => bail!("a probe has either query or messages"),
        }
        body.extend(self.tools.clone().map(|tools| ("tools".to_owned(), tools)));
        let choice = self.tool_choice.clone();
        body.extend(choice.map(|choice| ("tool_choice".to_owned(), choice)));
        Ok(body)
    }

    /// Returns the query as often as it is said, with the lines around it.
    fn text(&self, query: &str) -> anyhow::Result<String> {
        let query = query.trim();
        let repeat = self.repeat.unwrap_or(1);
        ensure!(
            query.len().saturating_mul(repeat) <= MOST_BYTES,
            "the query, repeated, has more than {MOST_BYTES} bytes"
        );
        let query = vec![query; repeat].join("\n");
        let Some(padding) = &self.padding else {
            return Ok(query);
        };
        let (line, repeat) = (padding.text.trim(), padding.repeat.unwrap_or(1));
        ensure!(
            line.len().saturating_mul(repeat) <= MOST_BYTES,
            "the padding has more than {MOST_BYTES} bytes"
        );
        let before = match padding.placement {
            Placement::Before => repeat,
            Placement::After => 0,
            Placement::Around => repeat / 2,
        };
        let mut lines = vec![line; repeat];
        lines.insert(before, &query);
        lines.retain(|line| !line.is_empty());
        Ok(lines.join("\n"))
    }

    fn messages(
        &self,
        messages: &[Map<String, Value>],
        images: &BTreeMap<&str, String>,
    ) -> anyhow::Result<Vec<Map<String, Value>>> {
        let mut messages = messages.to_vec();
        if let Some(generated) = &self.generated_text {
            generated.fill(&mut messages)?;
        }
        let parts = messages
            .iter_mut()
            .filter_map(|message| message.get_mut("content")?.as_array_mut())
            .flatten();
        for part in parts.filter(|part| part["type"] == "image_fixture") {
            let name = part["fixture"].as_str().unwrap_or_default();
            let url = images.get(name);
            let url = url.with_context(|| format!("no fixture is called {name:?}"))?;
            *part = json!({"type": "image_url", "image_url": {"url": url}});
        }
        Ok(messages)
    }
}

impl Generated {
    /// Adds a part of text to a message, so that its texts have the size that is asked for.
    fn fill(&self, messages: &mut [Map<String, Value>]) -> anyhow::Result<()> {
        ensure!(
            self.target_text_bytes <= MOST_BYTES,
            "generated_text has more than {MOST_BYTES} bytes"
        );
        let message = messages.get_mut(self.message_index);
        let parts = message.and_then(|message| message.get_mut("content")?.as_array_mut());
        let parts = parts.context("generated_text names no message with a list of parts")?;
        let is_text = |part: &&Value| {
            let kind = part["type"].as_str().unwrap_or_default();
            matches!(kind, "" | "text" | "input_text" | "output_text")
        };
        let texts = parts.iter().filter(is_text);
        let written: usize = texts
            .map(|part| part["text"].as_str().map_or(0, str::len))
            .sum();
        let bytes = self.target_text_bytes.checked_sub(written);
        let bytes = bytes.context("generated_text asks for less than the message has")?;
        ensure!(
            self.content_index <= parts.len(),
            "generated_text: no such content_index"
        );

        let pattern = self.text.as_deref().or(self.character.as_deref());
        let pattern = pattern.filter(|it| !it.is_empty()).unwrap_or("x");
        ensure!(pattern.is_ascii(), "generated_text takes ASCII characters");
        let mut text = pattern.repeat(bytes.div_ceil(pattern.len()));
        text.truncate(bytes);
        parts.insert(self.content_index, json!({"type": "text", "text": text}));
        Ok(())
    }
}

impl Image {
    /// Returns the image as a URL that holds it.
    fn url(&self) -> anyhow::Result<String> {
        let data: String = self.data_base64.split_whitespace().collect();
        let bytes = STANDARD
            .decode(&data)
            .context("data_base64 is not base64")?;
        let digest = Sha256::digest(&bytes);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        ensure!(
            self.sha256.trim() == format!("sha256:{digest}"),
            "sha256 is that of another image"
        );
        Ok(format!("data:{};base64,{data}", self.media_type))
    }
}
