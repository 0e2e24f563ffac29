//! What choosing is worth on requests that nothing was fitted on.

use super::fit::first_of_most;
use super::records::Records;

/// Resamples of the held-out requests.
const RESAMPLES: usize = 2_000;
const SEED: u64 = 11;

/// Mean scores on held-out requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// How many they are.
    pub requests: usize,
    /// Models to choose from.
    pub models: usize,
    /// The model that was best where things were fitted.
    pub best_model: String,
    /// Always that one.
    pub best_single: f64,
    /// Any model.
    pub random: f64,
    /// The model that was chosen.
    pub routed: f64,
    /// The best model of each request.
    pub oracle: f64,
    /// A coin between two models, at the cost of the chosen ones; `None` where records have no
    /// cost.
    pub mixing_line: Option<f64>,
    /// Routed less best single.
    pub gain: Gain,
}

/// A difference with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain {
    /// As it is.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

pub(super) fn compare(
    records: &Records,
    fit: &[usize],
    test: &[usize],
    choose: impl Fn(usize) -> usize,
) -> Comparison {
    let best = first_of_most(records.means(fit));
    let chosen: Vec<usize> = test.iter().map(|&at| choose(at)).collect();
    let score = |at: usize, model: usize| records.rows[at].outcomes[model].score;
    let mean = |of: &dyn Fn(usize) -> f64| (0..test.len()).map(of).sum::<f64>() / test.len() as f64;
    let most = |at: usize| {
        records.rows[at]
            .outcomes
            .iter()
            .map(|outcome| outcome.score)
            .fold(f64::MIN, f64::max)
    };
    let differences: Vec<f64> = test
        .iter()
        .zip(&chosen)
        .map(|(&at, &model)| score(at, model) - score(at, best))
        .collect();
    let means = records.means(test);
    Comparison {
        requests: test.len(),
        models: records.models.len(),
        best_model: records.models[best].clone(),
        best_single: means[best],
        random: means.iter().sum::<f64>() / means.len() as f64,
        routed: mean(&|place| score(test[place], chosen[place])),
        oracle: mean(&|place| most(test[place])),
        mixing_line: mixing_line(records, test, &chosen, &means),
        gain: interval(&differences),
    }
}

/// The highest mean score that a coin between two models, or one of them, reaches at the mean cost
/// of the chosen models.
fn mixing_line(records: &Records, test: &[usize], chosen: &[usize], scores: &[f64]) -> Option<f64> {
    let cost = |at: usize, model: usize| records.rows[at].outcomes[model].cost;
    let sum = |costs: &mut dyn Iterator<Item = Option<f64>>| costs.sum::<Option<f64>>();
    let count = test.len() as f64;
    let spent = sum(&mut test.iter().zip(chosen).map(|(&at, &model)| cost(at, model)))? / count;
    let models = 0..records.models.len();
    let costs = models.map(|model| Some(sum(&mut test.iter().map(|&at| cost(at, model)))? / count));
    let points: Vec<(f64, f64)> = costs
        .collect::<Option<Vec<f64>>>()?
        .into_iter()
        .zip(scores.iter().copied())
        .collect();
    let within = points
        .iter()
        .filter(|(cost, _)| *cost <= spent)
        .map(|(_, score)| *score);
    let between = points.iter().flat_map(|&(low, worse)| {
        points
            .iter()
            .filter(move |(high, _)| low <= spent && *high > spent)
            .map(move |&(high, better)| worse + (better - worse) * (spent - low) / (high - low))
    });
    within.chain(between).reduce(f64::max)
}

fn interval(differences: &[f64]) -> Gain {
    let count = differences.len();
    let mean = differences.iter().sum::<f64>() / count as f64;
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut resample = || {
        (0..count)
            .map(|_| differences[random.usize(..count)])
            .sum::<f64>()
            / count as f64
    };
    let mut means: Vec<f64> = (0..RESAMPLES).map(|_| resample()).collect();
    means.sort_by(f64::total_cmp);
    Gain {
        mean,
        low: means[RESAMPLES / 40],
        high: means[RESAMPLES - 1 - RESAMPLES / 40],
    }
}
