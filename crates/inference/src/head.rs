//! Sequence heads: probabilities of labels from a window's vectors.
//!
//! A head is a linear layer, or two with an activation between them, in a safetensors file, and a
//! card that says what it is. Standardisation is folded into the weights, so a window costs one or
//! two small products.

use crate::catalog::LoadError;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A small classifier over an encoder's vector and, where its card asks for them, static embeddings
/// beside it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SequenceHead {
    card: Arc<HeadCard>,
    labels: Arc<[Arc<str>]>,
    layers: Arc<Layers>,
}

/// What a head is, what it was fitted on and how good it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadCard {
    /// Name, by default that of the task.
    pub name: String,
    /// Name of the task ([`crate::catalog::Task::as_str`]).
    pub task: String,
    /// Labels in class order.
    pub labels: Vec<String>,
    /// What it reads, in order: the encoder's vector, then static embeddings or none.
    pub features: Vec<Block>,
    /// Between the two layers; `none` for a single one.
    pub activation: Activation,
    /// Divides the logits: fitted on held-out texts, so that probabilities can be taken at their
    /// word.
    pub temperature: f32,
    /// From what probability on a label should count, if the document says nothing.
    pub threshold: Option<f32>,
    /// Texts it was fitted on.
    pub data: Vec<Source>,
    /// The command that fits it again.
    pub command: String,
    /// Figures on texts it was not fitted on, by name.
    pub metrics: BTreeMap<String, f64>,
    /// What a reader of the figures should know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// SHA-256 of the weights' file, in hexadecimal.
    pub weights_sha256: String,
}

/// A part of what a head reads. Each part has unit length, or is all zeros where a text has no
/// known token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// `encoder:` or `static:` and the model's name.
    pub name: String,
    /// How many numbers it has.
    pub dimension: usize,
}

/// Texts that a head was fitted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// File or part of a file.
    pub name: String,
    /// Where they come from.
    pub origin: String,
    /// Under what licence.
    pub license: String,
    /// How many were used.
    pub rows: usize,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// What stands between the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// There is one layer only.
    None,
    /// Negative values become zero.
    Relu,
}

/// Weights as they lie in the file: row-major, a row for each output.
#[derive(Debug, Clone, PartialEq)]
pub struct Layers {
    /// The first of two layers.
    pub hidden: Option<Layer>,
    /// The layer whose outputs are the labels' logits.
    pub output: Layer,
}

/// `weight · input + bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Outputs × inputs.
    pub weight: Vec<f32>,
    /// One an output.
    pub bias: Vec<f32>,
}

impl SequenceHead {
    /// Reads a head and checks that weights and card belong together.
    ///
    /// # Errors
    /// The digest, a shape, a label or a number is not what it should be.
    pub fn read(weights: &[u8], card: &[u8]) -> Result<Self, LoadError> {
        let card: HeadCard = serde_json::from_slice(card)
            .map_err(|error| unusable("head", &format_args!("card: {error}")))?;
        let fault = |problem: &dyn std::fmt::Display| unusable(&card.name, problem);
        card.check().map_err(|problem| fault(&problem))?;
        let found = sha256(weights);
        if !found.eq_ignore_ascii_case(&card.weights_sha256) {
            return Err(fault(&format_args!(
                "weights have digest {found}, the card says {}",
                card.weights_sha256
            )));
        }
        let layers = Layers::read(weights, &card).map_err(|problem| fault(&problem))?;
        let labels = card
            .labels
            .iter()
            .map(|label| Arc::from(label.as_str()))
            .collect();
        Ok(Self {
            card: Arc::new(card),
            labels,
            layers: Arc::new(layers),
        })
    }

    /// Probabilities in class order. `pooled` is the encoder's vector of a window; `statics` its
    /// static embeddings one after the other, not looked at by a head on the encoder alone. Empty
    /// where they have not the [card](HeadCard)'s dimensions.
    #[must_use]
    pub fn probabilities(&self, pooled: &[f32], statics: &[f32]) -> Vec<f32> {
        let statics = if self.card.statics() == 0 {
            &[]
        } else {
            statics
        };
        if pooled.len() != self.card.dimension() || statics.len() != self.card.statics() {
            return Vec::new();
        }
        softmax(self.layers.logits(pooled, statics), self.card.temperature)
    }

    /// Labels in class order.
    #[must_use]
    pub fn labels(&self) -> Arc<[Arc<str>]> {
        Arc::clone(&self.labels)
    }

    /// Its weights.
    #[must_use]
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    /// Its card.
    #[must_use]
    pub fn card(&self) -> &HeadCard {
        &self.card
    }
}

impl HeadCard {
    /// Name of the encoder whose vectors it reads.
    #[must_use]
    pub fn encoder(&self) -> &str {
        self.features
            .first()
            .and_then(|block| block.name.strip_prefix("encoder:"))
            .unwrap_or_default()
    }

    /// Length of the encoder's vectors.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.features.first().map_or(0, |block| block.dimension)
    }

    /// Length of the static embeddings together; 0 where it reads none.
    #[must_use]
    pub fn statics(&self) -> usize {
        self.features
            .iter()
            .skip(1)
            .map(|block| block.dimension)
            .sum()
    }

    fn check(&self) -> Result<(), Fault> {
        let named = |block: &Block, kind| {
            block
                .name
                .strip_prefix(kind)
                .is_some_and(|name: &str| !name.is_empty())
        };
        let Some((encoder, statics)) = self.features.split_first() else {
            return Err(Fault::Features);
        };
        if !named(encoder, "encoder:") || !statics.iter().all(|block| named(block, "static:")) {
            return Err(Fault::Features);
        }
        if self.features.iter().any(|block| block.dimension == 0) {
            return Err(Fault::Features);
        }
        let distinct: std::collections::BTreeSet<_> = self.labels.iter().collect();
        if self.labels.len() < 2 || distinct.len() != self.labels.len() {
            return Err(Fault::Labels);
        }
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(Fault::Temperature);
        }
        if self
            .threshold
            .is_some_and(|threshold| !(0.0..=1.0).contains(&threshold))
        {
            return Err(Fault::Threshold);
        }
        Ok(())
    }
}

impl Layers {
    /// Logits of the labels for an input in two parts, whose lengths must add up to the first
    /// layer's.
    #[must_use]
    pub fn logits(&self, first: &[f32], second: &[f32]) -> Vec<f32> {
        let Some(hidden) = &self.hidden else {
            return self.output.apply(first, second);
        };
        let mut inner = hidden.apply(first, second);
        inner.iter_mut().for_each(|value| *value = value.max(0.0));
        self.output.apply(&inner, &[])
    }

    fn read(file: &[u8], card: &HeadCard) -> Result<Self, Fault> {
        let tensors = SafeTensors::deserialize(file)?;
        let width = card.dimension() + card.statics();
        let known: &[&str] = match card.activation {
            Activation::None => &["output.weight", "output.bias"],
            Activation::Relu => &[
                "hidden.weight",
                "hidden.bias",
                "output.weight",
                "output.bias",
            ],
        };
        if let Some(name) = tensors
            .names()
            .into_iter()
            .find(|name| !known.contains(name))
        {
            return Err(Fault::Stray(name.to_owned()));
        }
        let hidden = match card.activation {
            Activation::None => None,
            Activation::Relu => {
                let width_within = tensors
                    .tensor("hidden.bias")?
                    .shape()
                    .first()
                    .copied()
                    .unwrap_or(0);
                Some(Layer::read(&tensors, "hidden", width_within, width)?)
            }
        };
        let inputs = hidden.as_ref().map_or(width, |hidden| hidden.bias.len());
        let output = Layer::read(&tensors, "output", card.labels.len(), inputs)?;
        Ok(Self { hidden, output })
    }
}

impl Layer {
    fn read(
        tensors: &SafeTensors<'_>,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> Result<Self, Fault> {
        let get = |part: &str, shape: &[usize]| {
            let name = format!("{name}.{part}");
            let tensor = tensors.tensor(&name)?;
            if tensor.shape() != shape || shape.contains(&0) {
                return Err(Fault::Shape {
                    name,
                    found: tensor.shape().to_vec(),
                    expected: shape.to_vec(),
                });
            }
            numbers(name, &tensor)
        };
        Ok(Self {
            weight: get("weight", &[outputs, inputs])?,
            bias: get("bias", &[outputs])?,
        })
    }

    /// Outputs for an input in two parts.
    fn apply(&self, first: &[f32], second: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks_exact(first.len() + second.len());
        let dot = |row: &[f32], input: &[f32]| {
            row.iter()
                .zip(input)
                .map(|(weight, value)| weight * value)
                .sum::<f32>()
        };
        let output = |(row, bias): (&[f32], &f32)| {
            let (left, right) = row.split_at(first.len());
            dot(left, first) + dot(right, second) + bias
        };
        rows.zip(&self.bias).map(output).collect()
    }
}

/// What is wrong with a head.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(
        "card: features must be one `encoder:` block and then `static:` blocks, each with a dimension"
    )]
    Features,
    #[error("card: needs two or more labels, each once")]
    Labels,
    #[error("card: temperature must be greater than 0")]
    Temperature,
    #[error("card: threshold must lie between 0 and 1")]
    Threshold,
    #[error("weights: {0}")]
    File(#[from] safetensors::SafeTensorError),
    #[error("weights: tensor `{0}` does not belong to a head with the card's activation")]
    Stray(String),
    #[error(
        "weights: `{name}` has shape {found:?}; features and labels of the card need {expected:?}"
    )]
    Shape {
        name: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    #[error("weights: `{0}` must be of type F16 or F32")]
    Type(String),
    #[error("weights: `{0}` has a number that is not finite")]
    NotFinite(String),
}

fn numbers(name: String, tensor: &TensorView<'_>) -> Result<Vec<f32>, Fault> {
    let data = tensor.data();
    let numbers: Vec<f32> = match tensor.dtype() {
        Dtype::F32 => data
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
        Dtype::F16 => data
            .chunks_exact(2)
            .map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect(),
        _ => return Err(Fault::Type(name)),
    };
    if numbers.iter().all(|number| number.is_finite()) {
        Ok(numbers)
    } else {
        Err(Fault::NotFinite(name))
    }
}

/// Probabilities of logits that a temperature divides.
#[must_use]
pub fn softmax(mut logits: Vec<f32>, temperature: f32) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    logits
        .iter_mut()
        .for_each(|logit| *logit = ((*logit - most) / temperature).exp());
    let sum: f32 = logits.iter().sum();
    logits.iter_mut().for_each(|value| *value /= sum);
    logits
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn unusable(name: &str, problem: &dyn std::fmt::Display) -> LoadError {
    LoadError::Unusable {
        name: name.to_owned(),
        problem: problem.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
