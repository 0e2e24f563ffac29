//! `kmeans`: the model of the nearest group of recorded requests.
//!
//! ```json
//! { "algorithm": "kmeans", "trained": true, "num_clusters": 1, "centroids": [[0.1, 0.2]], "cluster_models": ["small"] }
//! ```

use super::learned::{Artifact, ArtifactCheck, ArtifactError, FITTED, Fitted, squared_distance};
use super::method::{Building, warn_unread};
use super::process::MlSelection;
use super::ranking::lowest;
use document::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Centroids.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "KMeans")]
pub struct KMeansConfig {
    /// Clusters.
    pub num_clusters: u32,
    /// Weight of efficiency in training.
    pub efficiency_weight: f64,
    /// Artifact.
    pub pretrained_path: String,
}

impl KMeansConfig {
    /// Reports what is wrong with the block.
    pub(super) fn check(&self, path: &str, findings: &mut Findings) {
        let parameters = [
            ("num_clusters", self.num_clusters != 0),
            ("efficiency_weight", self.efficiency_weight != 0.0),
        ];
        warn_unread(path, &parameters, FITTED, findings);
    }
}

/// The artifact, as it is in a file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct File {
    /// `kmeans`.
    #[serde(default)]
    pub algorithm: String,
    /// It was fitted.
    #[serde(default)]
    pub trained: bool,
    /// As many as there are centroids.
    #[serde(default)]
    pub num_clusters: usize,
    /// Centres of the groups.
    pub centroids: Vec<Vec<f64>>,
    /// The model of each group.
    pub cluster_models: Vec<String>,
}

/// Groups with their models.
#[derive(Debug)]
pub struct KMeans {
    centroids: Vec<Vec<f64>>,
    models: Vec<String>,
    dimension: usize,
}

impl KMeans {
    /// Reads an artifact.
    ///
    /// # Errors
    /// It is something else, its lists differ in length, or it holds numbers that are not finite.
    pub fn read(json: &str) -> Result<Self, ArtifactError> {
        Self::new(
            ArtifactCheck {
                algorithm: "kmeans",
            }
            .read::<File>(json)?,
        )
    }

    /// As [`read`](Self::read), of an artifact in memory.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn new(file: File) -> Result<Self, ArtifactError> {
        let checking = ArtifactCheck {
            algorithm: "kmeans",
        };
        let dimension = checking.rows("centroids", &file.centroids)?;
        let same = file.cluster_models.len() == file.centroids.len();
        checking.ensure(same, "`cluster_models` and `centroids` differ in length")?;
        Ok(Self {
            centroids: file.centroids,
            models: file.cluster_models,
            dimension,
        })
    }
}

impl Fitted for KMeans {
    const NAME: &'static str = "kmeans";

    fn path(ml: &MlSelection) -> Option<&str> {
        Some(&ml.kmeans.as_ref()?.pretrained_path)
    }

    fn load(json: &str, _building: &mut Building<'_>) -> Result<Self, ArtifactError> {
        Self::read(json)
    }
}

impl Artifact for KMeans {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn choose<'a>(&'a self, features: &[f64], may: &dyn Fn(&str) -> bool) -> Option<&'a str> {
        let groups = self
            .centroids
            .iter()
            .zip(&self.models)
            .enumerate()
            .filter(|(_, (_, model))| may(model));
        let distances =
            groups.map(|(index, (centroid, _))| (index, squared_distance(features, centroid)));
        self.models.get(lowest(distances)?.0).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> File {
        File {
            algorithm: "kmeans".into(),
            trained: true,
            num_clusters: 3,
            centroids: vec![vec![0.0, 0.0], vec![1.0, 0.0], vec![2.0, 0.0]],
            cluster_models: ["a", "b", "a"].map(String::from).into(),
        }
    }

    #[test]
    fn the_nearest_group_counts() {
        let kmeans = KMeans::new(file()).unwrap();
        let check = |at: f64, dropped: &str, expected| {
            assert_eq!(
                kmeans.choose(&[at, 0.0], &|name| name != dropped),
                expected,
                "{at}"
            );
        };
        check(0.4, "", Some("a"));
        check(0.6, "", Some("b"));
        check(0.5, "", Some("a"));
        check(7.0, "", Some("a"));
        check(0.6, "b", Some("a"));
        check(f64::NAN, "", None);
        assert_eq!(kmeans.choose(&[0.0, 0.0], &|_| false), None);
    }

    #[test]
    fn what_is_no_artifact_is_refused() {
        #[track_caller]
        fn check(json: &str, problem: &str) {
            let error = KMeans::read(json).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let written = serde_json::to_string(&file()).unwrap();
        assert!(KMeans::read(&written).is_ok());
        check("{}", "missing field `centroids`");
        check(&written.replace("[2.0,0.0]", "[2.0]"), "differ in length");
        check(
            &written.replace(",\"a\"]", "]"),
            "`cluster_models` and `centroids` differ",
        );
    }
}
