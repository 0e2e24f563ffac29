//! `mlp`: a small network that names a model.
//!
//! ```json
//! { "algorithm": "mlp", "trained": true, "model_names": ["a", "b"], "feature_dim": 2, "n_classes": 2, "hidden_sizes": [],
//!   "layers": [{ "type": "linear", "in_features": 2, "out_features": 2, "weight": [[1, 0], [0, 1]], "bias": [0, 0] }] }
//! ```
//!
//! Layers are `linear`, `relu`, `batch_norm` (with the statistics of training) and `dropout`, which
//! does nothing here.

use super::learned::{Artifact, ArtifactCheck, ArtifactError, FITTED, Fitted};
use super::method::{Building, warn_unread};
use super::process::MlSelection;
use super::ranking::highest;
use document::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A small network.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Mlp")]
pub struct MlpConfig {
    /// Device.
    pub device: String,
    /// Artifact.
    pub pretrained_path: String,
}

impl MlpConfig {
    /// Reports what is wrong with the block.
    pub(super) fn check(&self, path: &str, findings: &mut Findings) {
        let parameters = [("device", !self.device.is_empty())];
        warn_unread(path, &parameters, FITTED, findings);
    }
}

#[derive(Debug, Clone, Deserialize)]
struct File {
    model_names: Vec<String>,
    #[serde(default)]
    feature_dim: usize,
    #[serde(default)]
    n_classes: usize,
    layers: Vec<LayerFile>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct LayerFile {
    #[serde(rename = "type")]
    kind: String,
    in_features: usize,
    out_features: usize,
    num_features: usize,
    weight: Weight,
    bias: Vec<f64>,
    running_mean: Vec<f64>,
    running_var: Vec<f64>,
    eps: f64,
}

/// Of a linear layer one row an output, of a normalisation one number a feature.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Weight {
    Rows(Vec<Vec<f64>>),
    Row(Vec<f64>),
}

impl Default for Weight {
    fn default() -> Self {
        Self::Row(Vec::new())
    }
}

/// The network.
#[derive(Debug)]
pub struct Mlp {
    dimension: usize,
    models: Vec<String>,
    layers: Vec<Layer>,
}

#[derive(Debug)]
enum Layer {
    Linear {
        rows: Vec<Vec<f64>>,
        bias: Vec<f64>,
    },
    Relu,
    /// Normalisation, folded: every number times the one plus the other.
    Scale {
        factor: Vec<f64>,
        shift: Vec<f64>,
    },
}

/// What normalisation adds to a variance that states nothing.
const EPSILON: f64 = 1e-5;

impl Mlp {
    /// Reads an artifact.
    ///
    /// # Errors
    /// It is something else, layers do not fit together, or it holds numbers that are not finite.
    pub fn read(json: &str) -> Result<Self, ArtifactError> {
        let checking = ArtifactCheck { algorithm: "mlp" };
        let file: File = checking.read(json)?;
        let (mut layers, mut width) = (Vec::new(), None);
        let mut dimension = 0;
        for (index, layer) in file.layers.into_iter().enumerate() {
            let Some(layer) = Layer::read(&checking, index, layer)? else {
                continue;
            };
            if let Some((takes, gives)) = layer.widths() {
                let fits = width.is_none_or(|width| width == takes);
                checking.ensure(
                    fits,
                    format!("layers[{index}] takes {takes} numbers and gets others"),
                )?;
                dimension = if width.is_none() { takes } else { dimension };
                width = Some(gives);
            }
            layers.push(layer);
        }
        let classes = file.model_names.len();
        checking.ensure(classes > 0, "it names no model")?;
        checking.ensure(
            width == Some(classes),
            "its last layer does not give one number for each model",
        )?;
        checking.ensure(
            file.n_classes == 0 || file.n_classes == classes,
            "`n_classes` is not the number of models",
        )?;
        let stated = file.feature_dim == 0 || file.feature_dim == dimension;
        checking.ensure(stated, "`feature_dim` is not what the first layer takes")?;
        Ok(Self {
            dimension,
            models: file.model_names,
            layers,
        })
    }
}

impl Layer {
    /// Reads a layer; `None` for one that does nothing.
    fn read(
        checking: &ArtifactCheck,
        index: usize,
        file: LayerFile,
    ) -> Result<Option<Self>, ArtifactError> {
        match (file.kind.as_str(), file.weight) {
            ("relu", _) => Ok(Some(Self::Relu)),
            ("dropout", _) => Ok(None),
            ("linear", weight) => {
                let rows = rows(weight, file.in_features);
                let takes = checking.rows(&format!("layers[{index}].weight"), &rows)?;
                checking.finite("bias", &file.bias)?;
                let bias = if file.bias.is_empty() {
                    vec![0.0; rows.len()]
                } else {
                    file.bias
                };
                let stated = |stated: usize, found: usize| stated == 0 || stated == found;
                let fits = stated(file.in_features, takes) && stated(file.out_features, rows.len());
                checking.ensure(
                    fits && bias.len() == rows.len(),
                    format!("layers[{index}] has not the stated size"),
                )?;
                Ok(Some(Self::Linear { rows, bias }))
            }
            ("batch_norm", Weight::Row(weight)) => {
                let lists = [&weight, &file.bias, &file.running_mean, &file.running_var];
                let count = if file.num_features == 0 {
                    weight.len()
                } else {
                    file.num_features
                };
                let fits = count > 0 && lists.iter().all(|list| list.len() == count);
                checking.ensure(fits, format!("layers[{index}] has not the stated size"))?;
                let eps = if file.eps > 0.0 { file.eps } else { EPSILON };
                let factor: Vec<f64> = weight
                    .iter()
                    .zip(&file.running_var)
                    .map(|(weight, var)| weight / (var + eps).sqrt())
                    .collect();
                let moved = factor
                    .iter()
                    .zip(&file.running_mean)
                    .map(|(factor, mean)| factor * mean);
                let shift: Vec<f64> = file
                    .bias
                    .iter()
                    .zip(moved)
                    .map(|(bias, moved)| bias - moved)
                    .collect();
                checking.finite("batch_norm", &factor)?;
                checking.finite("batch_norm", &shift)?;
                Ok(Some(Self::Scale { factor, shift }))
            }
            (kind, _) => {
                Err(checking.error(format!("layers[{index}]: `{kind}` is no known layer")))
            }
        }
    }

    fn widths(&self) -> Option<(usize, usize)> {
        match self {
            Self::Linear { rows, bias } => Some((rows.first().map_or(0, Vec::len), bias.len())),
            Self::Scale { factor, .. } => Some((factor.len(), factor.len())),
            Self::Relu => None,
        }
    }

    fn forward(&self, mut numbers: Vec<f64>) -> Vec<f64> {
        match self {
            Self::Linear { rows, bias } => {
                let sum = |row: &Vec<f64>| {
                    row.iter()
                        .zip(&numbers)
                        .map(|(weight, it)| weight * it)
                        .sum::<f64>()
                };
                rows.iter()
                    .zip(bias)
                    .map(|(row, bias)| sum(row) + bias)
                    .collect()
            }
            Self::Relu => {
                numbers
                    .iter_mut()
                    .for_each(|number| *number = number.max(0.0));
                numbers
            }
            Self::Scale { factor, shift } => {
                let scale = factor.iter().zip(shift);
                numbers
                    .iter_mut()
                    .zip(scale)
                    .for_each(|(number, (factor, shift))| *number = *number * factor + shift);
                numbers
            }
        }
    }
}

/// Reads one row an output, also where the file has them one after the other.
fn rows(weight: Weight, takes: usize) -> Vec<Vec<f64>> {
    match weight {
        Weight::Rows(rows) => rows,
        Weight::Row(flat) => flat.chunks(takes.max(1)).map(<[f64]>::to_vec).collect(),
    }
}

impl Fitted for Mlp {
    const NAME: &'static str = "mlp";

    fn path(ml: &MlSelection) -> Option<&str> {
        Some(&ml.mlp.as_ref()?.pretrained_path)
    }

    fn load(json: &str, _building: &mut Building<'_>) -> Result<Self, ArtifactError> {
        Self::read(json)
    }
}

impl Artifact for Mlp {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn choose<'a>(&'a self, features: &[f64], may: &dyn Fn(&str) -> bool) -> Option<&'a str> {
        let logits = self
            .layers
            .iter()
            .fold(features.to_vec(), |numbers, layer| layer.forward(numbers));
        let logits = logits
            .into_iter()
            .zip(&self.models)
            .enumerate()
            .filter(|(_, (_, model))| may(model));
        self.models
            .get(highest(logits.map(|(index, (logit, _))| (index, logit)))?.0)
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two inputs, two hidden units that are normalised, two models.
    const FILE: &str = r#"{"algorithm": "mlp", "trained": true, "model_names": ["a", "b"], "feature_dim": 2, "n_classes": 2,
        "hidden_sizes": [2], "dropout": 0.1, "layers": [
        {"type": "linear", "in_features": 2, "out_features": 2, "weight": [[1, 0], [0, 1]], "bias": [0, -1]},
        {"type": "batch_norm", "num_features": 2, "weight": [1, 1], "bias": [0, 0], "running_mean": [0, 0], "running_var": [1, 4], "eps": 1e-9},
        {"type": "relu"}, {"type": "dropout", "p": 0.1},
        {"type": "linear", "in_features": 2, "out_features": 2, "weight": [[1, 0], [0, 1]], "bias": [0, 0.1]}]}"#;

    #[track_caller]
    fn check(features: [f64; 2], dropped: &str, expected: Option<&str>) {
        let mlp = Mlp::read(FILE).unwrap();
        assert_eq!(
            mlp.choose(&features, &|name| name != dropped),
            expected,
            "{features:?}"
        );
    }

    #[test]
    fn forward() {
        // Hidden: relu(x) and relu((y − 1)/2); outputs: that, and that plus .1.
        check([1.0, 2.0], "", Some("a"));
        check([0.5, 2.0], "", Some("b"));
        check([-5.0, -5.0], "", Some("b"));
        check([-5.0, -5.0], "b", Some("a"));
        check([f64::INFINITY, 0.0], "", None);
    }

    #[test]
    fn weights_may_lie_one_after_the_other() {
        let flat = FILE.replace("[[1, 0], [0, 1]]", "[1, 0, 0, 1]");
        assert_eq!(
            Mlp::read(&flat).unwrap().choose(&[1.0, 2.0], &|_| true),
            Some("a")
        );
    }

    #[test]
    fn what_is_no_artifact_is_refused() {
        #[track_caller]
        fn check(from: &str, to: &str, problem: &str) {
            assert!(FILE.contains(from));
            let error = Mlp::read(&FILE.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        check("\"relu\"", "\"gelu\"", "`gelu` is no known layer");
        check(
            "\"bias\": [0, -1]",
            "\"bias\": [0]",
            "layers[0] has not the stated size",
        );
        check("[\"a\", \"b\"]", "[\"a\"]", "one number for each model");
        check("\"feature_dim\": 2", "\"feature_dim\": 3", "`feature_dim`");
        check(
            "\"running_var\": [1, 4]",
            "\"running_var\": [1]",
            "layers[1] has not the stated size",
        );
        check(
            "\"running_var\": [1, 4]",
            "\"running_var\": [1, -4]",
            "holds a number that is none",
        );
        check(
            "[[1, 0], [0, 1]], \"bias\": [0, 0.1]",
            "[[1], [0]], \"bias\": [0, 0.1]",
            "layers[4]",
        );
        check("\"layers\"", "\"layer\"", "missing field `layers`");
    }
}
