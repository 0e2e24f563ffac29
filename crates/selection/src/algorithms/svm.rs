//! `svm`: one support vector machine for each model; the one that is surest wins.
//!
//! ```json
//! { "algorithm": "svm", "trained": true, "model_names": ["a", "b"], "kernel_type": "linear",
//!   "linear_classifiers": [{ "model_name": "a", "weights": [0.3, -1.2], "rho": 0.1 }] }
//! ```
//!
//! `kernel_type: rbf` has `rbf_classifiers` with `alpha`, `support_vectors`, `rho` and `gamma` (the
//! artifact's own where theirs is 0). The vector is scaled to unit length first.

use super::learned::{
    Artifact, ArtifactCheck, ArtifactError, CATEGORIES, FITTED, Fitted, squared_distance,
};
use super::method::{Building, warn_unread};
use super::process::MlSelection;
use super::ranking::highest;
use document::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Support vectors.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Svm")]
pub struct SvmConfig {
    /// Kernel.
    #[schemars(extend("enum" = ["linear", "rbf"]))]
    pub kernel: String,
    /// γ of the kernel.
    pub gamma: f64,
    /// Artifact.
    pub pretrained_path: String,
}

impl SvmConfig {
    /// Reports what is wrong with the block.
    pub(super) fn check(&self, path: &str, findings: &mut Findings) {
        let parameters = [
            ("kernel", !self.kernel.is_empty()),
            ("gamma", self.gamma != 0.0),
        ];
        warn_unread(path, &parameters, FITTED, findings);
    }
}

/// The artifact, as it is in a file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct File {
    model_names: Vec<String>,
    kernel_type: String,
    gamma: f64,
    linear_classifiers: Vec<LinearFile>,
    rbf_classifiers: Vec<RbfFile>,
}

#[derive(Debug, Clone, Deserialize)]
struct LinearFile {
    model_name: String,
    weights: Vec<f64>,
    #[serde(default)]
    rho: f64,
}

#[derive(Debug, Clone, Deserialize)]
struct RbfFile {
    model_name: String,
    alpha: Vec<f64>,
    support_vectors: Vec<Vec<f64>>,
    #[serde(default)]
    rho: f64,
    #[serde(default)]
    gamma: f64,
}

/// Machines with their models.
#[derive(Debug)]
pub struct Svm {
    dimension: usize,
    models: Vec<String>,
    machines: Vec<Machine>,
}

#[derive(Debug)]
enum Machine {
    Linear {
        weights: Vec<f64>,
        rho: f64,
    },
    Rbf {
        alpha: Vec<f64>,
        support: Vec<Vec<f64>>,
        rho: f64,
        gamma: f64,
    },
    /// There are no machines at all: the first model is meant.
    Nothing,
}

impl Svm {
    /// Reads an artifact; `dimension` is that of the vectors, for one without machines.
    ///
    /// # Errors
    /// It is something else, parts differ in length, or it holds numbers that are not finite.
    pub fn read(json: &str, dimension: usize) -> Result<Self, ArtifactError> {
        let checking = ArtifactCheck { algorithm: "svm" };
        let file: File = checking.read(json)?;
        let rbf = file.kernel_type.eq_ignore_ascii_case("rbf")
            || (file.kernel_type.is_empty() && file.linear_classifiers.is_empty());
        let mut found = Self {
            dimension: 0,
            models: Vec::new(),
            machines: Vec::new(),
        };
        match rbf {
            true => file
                .rbf_classifiers
                .into_iter()
                .try_for_each(|it| found.rbf(&checking, it, file.gamma))?,
            false => file
                .linear_classifiers
                .into_iter()
                .try_for_each(|it| found.linear(&checking, it))?,
        }
        if found.machines.is_empty() {
            let first = file.model_names.into_iter().next();
            found.models = vec![first.ok_or_else(|| checking.error("it names no model"))?];
            found.machines = vec![Machine::Nothing];
            found.dimension = dimension;
        }
        Ok(found)
    }

    fn linear(&mut self, checking: &ArtifactCheck, file: LinearFile) -> Result<(), ArtifactError> {
        let LinearFile {
            model_name,
            weights,
            rho,
        } = file;
        checking.finite("rho", &[rho])?;
        let dimension = checking.rows("weights", std::slice::from_ref(&weights))?;
        self.add(
            checking,
            model_name,
            dimension,
            Machine::Linear { weights, rho },
        )
    }

    fn rbf(
        &mut self,
        checking: &ArtifactCheck,
        file: RbfFile,
        gamma: f64,
    ) -> Result<(), ArtifactError> {
        let RbfFile {
            model_name,
            alpha,
            support_vectors: support,
            rho,
            gamma: own,
        } = file;
        let gamma = if own > 0.0 { own } else { gamma };
        checking.ensure(gamma > 0.0, "`gamma` is missing")?;
        checking.finite("alpha", &alpha)?;
        checking.finite("rho", &[rho, gamma])?;
        checking.ensure(
            alpha.len() == support.len(),
            "`alpha` and `support_vectors` differ in length",
        )?;
        let dimension = checking.rows("support_vectors", &support)?;
        self.add(
            checking,
            model_name,
            dimension,
            Machine::Rbf {
                alpha,
                support,
                rho,
                gamma,
            },
        )
    }

    fn add(
        &mut self,
        checking: &ArtifactCheck,
        model: String,
        dimension: usize,
        machine: Machine,
    ) -> Result<(), ArtifactError> {
        let same = self.machines.is_empty() || dimension == self.dimension;
        checking.ensure(same, "its classifiers read vectors of different lengths")?;
        self.dimension = dimension;
        self.models.push(model);
        self.machines.push(machine);
        Ok(())
    }
}

impl Machine {
    fn value(&self, features: &[f64]) -> f64 {
        match self {
            Self::Linear { weights, rho } => dot(weights, features) - rho,
            Self::Rbf {
                alpha,
                support,
                rho,
                gamma,
            } => {
                let kernels = support
                    .iter()
                    .map(|vector| (-gamma * squared_distance(features, vector)).exp());
                alpha
                    .iter()
                    .zip(kernels)
                    .map(|(alpha, kernel)| alpha * kernel)
                    .sum::<f64>()
                    - rho
            }
            Self::Nothing => 0.0,
        }
    }
}

impl Fitted for Svm {
    const NAME: &'static str = "svm";

    fn path(ml: &MlSelection) -> Option<&str> {
        Some(&ml.svm.as_ref()?.pretrained_path)
    }

    fn load(json: &str, building: &mut Building<'_>) -> Result<Self, ArtifactError> {
        let dimension = building.encoder().dimension + CATEGORIES.len();
        Self::read(json, dimension)
    }
}

impl Artifact for Svm {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn choose<'a>(&'a self, features: &[f64], may: &dyn Fn(&str) -> bool) -> Option<&'a str> {
        let length = dot(features, features).sqrt();
        let unit: Vec<f64> = features
            .iter()
            .map(|number| {
                if length > 0.0 {
                    number / length
                } else {
                    *number
                }
            })
            .collect();
        let machines = self
            .machines
            .iter()
            .zip(&self.models)
            .enumerate()
            .filter(|(_, (_, model))| may(model));
        let values = machines.map(|(index, (machine, _))| (index, machine.value(&unit)));
        self.models.get(highest(values)?.0).map(String::as_str)
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINEAR: &str = r#"{"algorithm": "svm", "trained": true, "model_names": ["a", "b"], "kernel_type": "linear",
        "linear_classifiers": [{"model_name": "a", "weights": [1, 0], "rho": 0.5}, {"model_name": "b", "weights": [0, 1], "rho": 0.25}]}"#;
    const RBF: &str = r#"{"algorithm": "svm", "trained": true, "model_names": ["a", "b"], "kernel_type": "rbf", "gamma": 2,
        "rbf_classifiers": [{"model_name": "a", "alpha": [1], "support_vectors": [[1, 0]], "rho": 0},
        {"model_name": "b", "alpha": [0.5, 0.5], "support_vectors": [[0, 1], [0, 1]], "rho": 0, "gamma": 1}]}"#;

    #[track_caller]
    fn check(json: &str, features: [f64; 2], dropped: &str, expected: Option<&str>) {
        let svm = Svm::read(json, 2).unwrap();
        assert_eq!(
            svm.choose(&features, &|name| name != dropped),
            expected,
            "{features:?}"
        );
    }

    #[test]
    fn the_surest_machine_wins() {
        // Scaled to unit length first: (3, 4) is (.6, .8), so a gives .1 and b .55.
        check(LINEAR, [3.0, 4.0], "", Some("b"));
        check(LINEAR, [9.0, 1.0], "", Some("a"));
        check(LINEAR, [3.0, 4.0], "b", Some("a"));
        check(RBF, [2.0, 0.0], "", Some("a"));
        check(RBF, [0.0, 0.1], "", Some("b"));
        // At (.707, .707) a has e^(−2·.586) = .31, b e^(−.586) = .56.
        check(RBF, [1.0, 1.0], "", Some("b"));
        check(LINEAR, [f64::NAN, 1.0], "", None);
    }

    #[test]
    fn without_machines_the_first_model_is_meant() {
        check(
            r#"{"algorithm": "svm", "model_names": ["a", "b"]}"#,
            [0.0, 1.0],
            "",
            Some("a"),
        );
    }

    #[test]
    fn what_is_no_artifact_is_refused() {
        let check = |json: &str, problem: &str| {
            let error = Svm::read(json, 2).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        };
        check("{}", "it names no model");
        check(
            &LINEAR.replace("[0, 1]", "[0, 1, 2]"),
            "vectors of different lengths",
        );
        check(&RBF.replace("\"gamma\": 2,", ""), "`gamma` is missing");
        check(
            &RBF.replace("[0.5, 0.5]", "[0.5]"),
            "`alpha` and `support_vectors` differ",
        );
        check(&LINEAR.replace("0.25", "\"x\""), "is no artifact of `svm`");
    }
}
