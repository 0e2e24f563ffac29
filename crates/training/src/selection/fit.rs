//! The two algorithms, fitted: records to compare with, or groups with their models.

use super::records::Records;
use serde_json::json;

/// What is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// The records themselves vote.
    Knn,
    /// Each group of requests has one model.
    KMeans,
}

/// How it is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// What.
    pub algorithm: Algorithm,
    /// Requests that vote.
    pub neighbours: usize,
    /// Groups.
    pub clusters: usize,
}

/// Rounds of moving centres, at most.
const ROUNDS: usize = 30;
/// Records by which a group's own means are drawn to those of all: small groups would follow
/// chance.
const PRIOR: f64 = 20.0;
const SEED: u64 = 7;

/// A fitted algorithm.
pub(super) enum Fitted {
    Knn {
        rows: Vec<(Vec<f64>, Vec<f64>)>,
        neighbours: usize,
    },
    KMeans {
        centroids: Vec<Vec<f64>>,
        models: Vec<usize>,
    },
}

impl Fitted {
    pub(super) fn new(
        records: &Records,
        features: &[Vec<f64>],
        rows: &[usize],
        settings: Settings,
    ) -> Self {
        match settings.algorithm {
            Algorithm::Knn => {
                let scores = |at: usize| {
                    records.rows[at]
                        .outcomes
                        .iter()
                        .map(|outcome| outcome.score)
                        .collect()
                };
                let rows = rows
                    .iter()
                    .map(|&at| (features[at].clone(), scores(at)))
                    .collect();
                Self::Knn {
                    rows,
                    neighbours: settings.neighbours.max(1),
                }
            }
            Algorithm::KMeans => {
                let points: Vec<&[f64]> = rows.iter().map(|&at| features[at].as_slice()).collect();
                let (centroids, owners) = group(&points, settings.clusters.clamp(1, rows.len()));
                let overall = records.means(rows);
                let model = |cluster: usize| {
                    let members = rows
                        .iter()
                        .zip(&owners)
                        .filter(|(_, owner)| **owner == cluster)
                        .map(|(at, _)| *at);
                    let members: Vec<usize> = members.collect();
                    let own = records.means(&members);
                    let weight = members.len() as f64;
                    let drawn = own
                        .iter()
                        .zip(&overall)
                        .map(|(own, all)| (own * weight + all * PRIOR) / (weight + PRIOR));
                    first_of_most(drawn)
                };
                let models = (0..centroids.len()).map(model).collect();
                Self::KMeans { centroids, models }
            }
        }
    }

    /// The model, by its place.
    pub(super) fn choose(&self, features: &[f64]) -> usize {
        match self {
            Self::Knn { rows, neighbours } => {
                let mut near: Vec<(f64, &[f64])> = rows
                    .iter()
                    .map(|(vector, scores)| (distance(features, vector), scores.as_slice()))
                    .collect();
                let count = (*neighbours).min(near.len());
                if count == 0 {
                    return 0;
                }
                near.select_nth_unstable_by(count - 1, |left, right| left.0.total_cmp(&right.0));
                let models = near[0].1.len();
                let vote = |model: usize| {
                    near.iter()
                        .take(count)
                        .map(|(_, scores)| scores[model].max(0.01))
                        .sum::<f64>()
                };
                first_of_most((0..models).map(vote))
            }
            Self::KMeans { centroids, models } => models[nearest(centroids, features)],
        }
    }

    /// As the router reads it. Of `knn` every record stands once for each model, so that the vote
    /// is the mean of scores.
    pub(super) fn artifact(&self, records: &Records) -> String {
        let rounded = |vector: &[f64]| {
            vector
                .iter()
                .map(|number| (number * 1e5).round() / 1e5)
                .collect::<Vec<f64>>()
        };
        let name = |model: usize| records.models[model].as_str();
        let value = match self {
            Self::Knn { rows, neighbours } => {
                let models = records.models.len();
                let each = || {
                    rows.iter()
                        .flat_map(|row| (0..models).map(move |model| (row, model)))
                };
                json!({
                    "algorithm": "knn",
                    "trained": true,
                    "k": neighbours * models,
                    "embeddings": each().map(|(row, _)| rounded(&row.0)).collect::<Vec<_>>(),
                    "labels": each().map(|(_, model)| name(model)).collect::<Vec<_>>(),
                    "qualities": each().map(|(row, model)| row.1[model]).collect::<Vec<_>>(),
                    "latencies": [],
                })
            }
            Self::KMeans { centroids, models } => json!({
                "algorithm": "kmeans",
                "trained": true,
                "num_clusters": centroids.len(),
                "centroids": centroids.iter().map(|centre| rounded(centre)).collect::<Vec<_>>(),
                "cluster_models": models.iter().map(|model| name(*model)).collect::<Vec<_>>(),
            }),
        };
        value.to_string()
    }
}

/// Centres, and the one that each point belongs to. Centres start far from each other, by chance
/// from a fixed seed.
fn group(points: &[&[f64]], count: usize) -> (Vec<Vec<f64>>, Vec<usize>) {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut centroids: Vec<Vec<f64>> = vec![points[random.usize(..points.len())].to_vec()];
    let mut away: Vec<f64> = points
        .iter()
        .map(|point| distance(point, &centroids[0]))
        .collect();
    while centroids.len() < count {
        let mut rest = random.f64() * away.iter().sum::<f64>();
        let drawn = away.iter().position(|distance| {
            rest -= distance;
            rest < 0.0
        });
        let centre = points[drawn.unwrap_or_else(|| random.usize(..points.len()))].to_vec();
        away.iter_mut()
            .zip(points)
            .for_each(|(away, point)| *away = away.min(distance(point, &centre)));
        centroids.push(centre);
    }
    let mut owners: Vec<usize> = Vec::new();
    for _ in 0..ROUNDS {
        let next: Vec<usize> = points
            .iter()
            .map(|point| nearest(&centroids, point))
            .collect();
        if next == owners {
            break;
        }
        owners = next;
        for (cluster, centre) in centroids.iter_mut().enumerate() {
            let members: Vec<&&[f64]> = points
                .iter()
                .zip(&owners)
                .filter(|(_, owner)| **owner == cluster)
                .map(|(point, _)| point)
                .collect();
            if members.is_empty() {
                continue;
            }
            for (place, number) in centre.iter_mut().enumerate() {
                *number =
                    members.iter().map(|point| point[place]).sum::<f64>() / members.len() as f64;
            }
        }
    }
    (centroids, owners)
}

fn nearest(centroids: &[Vec<f64>], point: &[f64]) -> usize {
    first_of_most(centroids.iter().map(|centre| -distance(centre, point)))
}

fn distance(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| (left - right) * (left - right))
        .sum()
}

/// Place of the first of the highest; 0 if there is none.
pub(super) fn first_of_most(numbers: impl IntoIterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (at, number) in numbers.into_iter().enumerate() {
        if number > best.1 {
            best = (at, number);
        }
    }
    best.0
}
