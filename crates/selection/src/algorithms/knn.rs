//! `knn`: a vote of the most similar requests that were recorded.
//!
//! Each of the `k` nearest votes for its model with nine tenths of the quality that the model
//! reached there and one tenth of its speed. The artifact is the records themselves.
//!
//! ```json
//! { "algorithm": "knn", "trained": true, "k": 5, "embeddings": [[0.1, 0.2]], "labels": ["small"], "qualities": [0.9], "latencies": [1200000] }
//! ```

use super::learned::{Artifact, ArtifactCheck, ArtifactError, Fitted, squared_distance};
use super::method::Building;
use super::process::MlSelection;
use super::ranking::{Range, highest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Neighbours where neither artifact nor document says how many.
const NEIGHBOURS: usize = 5;
/// Of a record that has none.
const QUALITY: f64 = 0.5;

/// Nearest neighbours.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Knn")]
pub struct KnnConfig {
    /// Neighbours.
    pub k: u32,
    /// Artifact.
    pub pretrained_path: String,
}

/// The artifact, as it is in a file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct File {
    /// `knn`.
    #[serde(default)]
    pub algorithm: String,
    /// It was fitted.
    #[serde(default)]
    pub trained: bool,
    /// Neighbours; 0 leaves it to the document.
    #[serde(default)]
    pub k: usize,
    /// Of each record, vector and category.
    pub embeddings: Vec<Vec<f64>>,
    /// Its model.
    pub labels: Vec<String>,
    /// What the model's answer was worth, 0 to 1.
    #[serde(default)]
    pub qualities: Vec<f64>,
    /// How long it took, nanoseconds.
    #[serde(default)]
    pub latencies: Vec<f64>,
}

/// Records to compare with.
#[derive(Debug)]
pub struct Knn {
    k: usize,
    dimension: usize,
    records: Vec<Record>,
    /// Models in the order of their first record.
    models: Vec<String>,
}

#[derive(Debug)]
struct Record {
    vector: Vec<f64>,
    model: usize,
    vote: f64,
}

impl Knn {
    /// Reads an artifact; `k` is the document's, for one that has none.
    ///
    /// # Errors
    /// It is something else, its lists differ in length, or it holds numbers that are not finite.
    pub fn read(json: &str, k: usize) -> Result<Self, ArtifactError> {
        let checking = ArtifactCheck { algorithm: "knn" };
        Self::new(checking.read::<File>(json)?, k)
    }

    /// As [`read`](Self::read), of an artifact in memory.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn new(file: File, k: usize) -> Result<Self, ArtifactError> {
        let checking = ArtifactCheck { algorithm: "knn" };
        let dimension = checking.rows("embeddings", &file.embeddings)?;
        let count = file.embeddings.len();
        checking.ensure(
            file.labels.len() == count,
            "`labels` and `embeddings` differ in length",
        )?;
        checking.finite("qualities", &file.qualities)?;
        checking.finite("latencies", &file.latencies)?;
        let latency = Range::of(file.latencies.iter().copied());
        let mut models: Vec<String> = Vec::new();
        let mut record = |(index, (vector, label)): (usize, (Vec<f64>, String))| {
            let model = models
                .iter()
                .position(|model| *model == label)
                .unwrap_or_else(|| {
                    models.push(label);
                    models.len() - 1
                });
            let quality = file
                .qualities
                .get(index)
                .copied()
                .unwrap_or(QUALITY)
                .max(0.01);
            let vote =
                0.9 * quality + 0.1 * (1.0 - slowness(file.latencies.get(index).copied(), latency));
            Record {
                vector,
                model,
                vote,
            }
        };
        let records = file
            .embeddings
            .into_iter()
            .zip(file.labels)
            .enumerate()
            .map(&mut record)
            .collect();
        let k = if file.k > 0 { file.k } else { k };
        Ok(Self {
            k: if k > 0 { k } else { NEIGHBOURS },
            dimension,
            records,
            models,
        })
    }
}

/// Returns the place among all latencies; in the middle where it is missing.
fn slowness(latency: Option<f64>, range: Option<Range>) -> f64 {
    match (latency, range) {
        (Some(latency), Some(range)) => (latency - range.low) / (range.high - range.low).max(1.0),
        _ => 0.5,
    }
}

impl Fitted for Knn {
    const NAME: &'static str = "knn";

    fn path(ml: &MlSelection) -> Option<&str> {
        Some(&ml.knn.as_ref()?.pretrained_path)
    }

    fn load(json: &str, building: &mut Building<'_>) -> Result<Self, ArtifactError> {
        let config = building
            .process
            .and_then(|process| process.ml.as_ref()?.knn.as_ref());
        Self::read(json, config.map_or(0, |config| config.k as usize))
    }
}

impl Artifact for Knn {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn choose<'a>(&'a self, features: &[f64], may: &dyn Fn(&str) -> bool) -> Option<&'a str> {
        let allowed: Vec<bool> = self.models.iter().map(|model| may(model)).collect();
        let records = self
            .records
            .iter()
            .filter(|record| allowed.get(record.model) == Some(&true));
        let mut near: Vec<(f64, &Record)> = records
            .map(|record| (squared_distance(features, &record.vector), record))
            .collect();
        let k = self.k.min(near.len());
        if k == 0 {
            return None;
        }
        near.select_nth_unstable_by(k - 1, |left, right| left.0.total_cmp(&right.0));
        let mut votes = vec![0.0; self.models.len()];
        for (_, record) in near.iter().take(k) {
            votes[record.model] += record.vote;
        }
        let voted = votes
            .into_iter()
            .enumerate()
            .filter(|(_, votes)| *votes > 0.0);
        self.models.get(highest(voted)?.0).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> File {
        File {
            algorithm: "knn".into(),
            trained: true,
            k: 3,
            embeddings: vec![
                vec![0.0, 0.0],
                vec![0.1, 0.0],
                vec![0.2, 0.0],
                vec![5.0, 0.0],
            ],
            labels: ["a", "b", "b", "c"].map(String::from).into(),
            qualities: vec![0.9, 0.5, 0.3, 1.0],
            latencies: vec![],
        }
    }

    #[track_caller]
    fn check(file: File, at: f64, dropped: &str, expected: Option<&str>) {
        let knn = Knn::new(file, 0).unwrap();
        assert_eq!(knn.choose(&[at, 0.0], &|name| name != dropped), expected);
    }

    #[test]
    fn near_records_vote_by_quality_and_speed() {
        // a: .9·.9 + .05 = .86; b: .9·.5 + .05 + .9·.3 + .05 = .82.
        check(file(), 0.0, "", Some("a"));
        // The fast half of the vote turns it: a is the slowest of all, b the fastest.
        check(
            File {
                latencies: vec![900.0, 0.0, 0.0, 450.0],
                ..file()
            },
            0.0,
            "",
            Some("b"),
        );
        check(File { k: 1, ..file() }, 4.0, "", Some("c"));
        check(File { k: 99, ..file() }, 0.0, "", Some("c"));
        check(file(), 0.0, "a", Some("c"));
        check(
            File {
                qualities: vec![],
                ..file()
            },
            0.0,
            "",
            Some("b"),
        );
        check(
            File {
                k: 2,
                qualities: vec![0.0; 4],
                ..file()
            },
            0.0,
            "",
            Some("a"),
        );
    }

    #[test]
    fn what_is_no_artifact_is_refused() {
        #[track_caller]
        fn check(json: &str, problem: &str) {
            let error = Knn::read(json, 0).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let written = serde_json::to_string(&file()).unwrap();
        assert!(Knn::read(&written, 0).is_ok());
        check("", "is no artifact of `knn`");
        check("[1]", "is no artifact of `knn`");
        check(
            &written.replace("\"knn\"", "\"svm\""),
            "its `algorithm` is `svm`",
        );
        check(
            &written.replace("\"trained\":true", "\"trained\":false"),
            "its `trained` is false",
        );
        check(
            &written.replace("[5.0,0.0]", "[5.0]"),
            "rows of `embeddings` differ in length",
        );
        check(
            &written.replace("\"c\"]", "\"c\",\"d\"]"),
            "differ in length",
        );
        check(
            &written.replace("[5.0,0.0]", "[1e999,0.0]"),
            "is no artifact",
        );
        check(
            &written.replace("[5.0,0.0]", "[null,0.0]"),
            "is no artifact",
        );
        check(
            r#"{"embeddings": [], "labels": []}"#,
            "`embeddings` is empty",
        );
    }

    #[test]
    fn the_documents_k_counts_where_the_artifact_has_none() {
        assert_eq!(Knn::new(File { k: 0, ..file() }, 2).unwrap().k, 2);
        assert_eq!(Knn::new(File { k: 0, ..file() }, 0).unwrap().k, 5);
        assert_eq!(Knn::new(file(), 2).unwrap().k, 3);
    }
}
