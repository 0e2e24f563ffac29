//! Fitting weights: multinomial logistic regression, or one hidden layer, by AdamW on mini-batches.
//!
//! Ready-made logistic regressions know neither weights of examples nor a hidden layer, so this is
//! our own. Mixing pairs of examples and dropping hidden units keep a head of a thousand inputs
//! from learning its texts by heart.

use fastrand::Rng;
use inference::head::{Layer, Layers};
use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};

/// How to fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Units of the hidden layer; 0 for none.
    pub hidden: usize,
    /// Times that each example is seen.
    pub epochs: usize,
    /// Greatest step, reached at the start; falls to 0 along a cosine.
    pub rate: f32,
    /// Share of hidden units that a step leaves out.
    pub drop: f32,
    /// Share of inputs that a step leaves out.
    pub drop_input: f32,
    /// Whether examples are mixed in pairs.
    pub mix: bool,
    /// Whether each feature is brought to a mean of 0 and one spread before fitting: some encoders' vectors
    /// lie so close together that little but their common part would be seen.
    pub centre: bool,
    /// Fixes all that is random.
    pub seed: u64,
}

/// Rows with classes.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Rows × features.
    pub features: Array2<f32>,
    /// Class of each row.
    pub labels: Vec<usize>,
    /// How much each row counts.
    pub weights: Vec<f32>,
    /// Number of classes.
    pub classes: usize,
}

impl Rows {
    /// Scales weights so that all classes count the same together, and rows 1 on average.
    pub fn balance(&mut self) {
        let mut sums = vec![0.0_f32; self.classes];
        self.labels
            .iter()
            .zip(&self.weights)
            .for_each(|(label, weight)| sums[*label] += weight);
        let share = self.labels.len() as f32 / self.classes.max(1) as f32;
        for (label, weight) in self.labels.iter().zip(&mut self.weights) {
            *weight *= share / sums[*label];
        }
    }
}

/// Unit vectors of hundreds of numbers are small numbers: they are scaled up for fitting, and the
/// scale folded in after.
const SCALE: f32 = 8.0;
/// Spread of a centred feature: that of a unit vector's numbers, scaled.
const SPREAD: f32 = 0.4;
const BATCH: usize = 256;
const DECAY: f32 = 0.1;

/// How features are moved and scaled for fitting.
struct Scaling {
    mean: Array1<f32>,
    factor: Array1<f32>,
}

impl Scaling {
    fn of(features: &Array2<f32>, how: &Fit) -> Self {
        let width = features.ncols();
        let plain = Self {
            mean: Array1::zeros(width),
            factor: Array1::from_elem(width, SCALE),
        };
        if !how.centre {
            return plain;
        }
        match features.mean_axis(Axis(0)) {
            None => plain,
            Some(mean) => Self {
                mean,
                factor: features
                    .std_axis(Axis(0), 0.0)
                    .mapv(|spread| SPREAD / spread.max(1e-6)),
            },
        }
    }

    fn apply(&self, input: &mut Array2<f32>) {
        *input -= &self.mean;
        *input *= &self.factor;
    }
}

/// Fits a head. The same rows give the same weights.
#[must_use]
pub fn fit(rows: &Rows, how: &Fit) -> Layers {
    let scaling = Scaling::of(&rows.features, how);
    let mut net = Net::new(rows.features.ncols(), rows.classes, how);
    let count = rows.labels.len();
    let steps = (how.epochs * count.div_ceil(BATCH)).max(1);
    let mut random = Rng::with_seed(how.seed);
    let mut order: Vec<usize> = (0..count).collect();
    let mut step = 0;
    for _ in 0..how.epochs {
        random.shuffle(&mut order);
        for chosen in order.chunks(BATCH) {
            let (input, target) = batch(rows, &scaling, chosen, how, &mut random);
            step += 1;
            let rate =
                how.rate * 0.5 * (1.0 + (std::f32::consts::PI * step as f32 / steps as f32).cos());
            net.step(&input, &target, Moment { rate, step }, &mut random);
        }
    }
    net.layers(&scaling)
}

/// Inputs, and targets that sum up to the example's weight.
fn batch(
    rows: &Rows,
    scaling: &Scaling,
    chosen: &[usize],
    how: &Fit,
    random: &mut Rng,
) -> (Array2<f32>, Array2<f32>) {
    let mut input = rows.features.select(Axis(0), chosen);
    scaling.apply(&mut input);
    let mut target = Array2::zeros((chosen.len(), rows.classes));
    for (mut row, at) in target.outer_iter_mut().zip(chosen) {
        row[rows.labels[*at]] = rows.weights[*at];
    }
    if how.mix {
        // The share of the partner: near 0 or near 1 more often than in the middle, as of a Beta(½,
        // ½).
        let share = (std::f32::consts::FRAC_PI_2 * random.f32()).sin().powi(2);
        let mut partners: Vec<usize> = (0..chosen.len()).collect();
        random.shuffle(&mut partners);
        let (others, targets) = (
            input.select(Axis(0), &partners),
            target.select(Axis(0), &partners),
        );
        input.zip_mut_with(&others, |own, other| *own += share * (other - *own));
        target.zip_mut_with(&targets, |own, other| *own += share * (other - *own));
    }
    if how.drop_input > 0.0 {
        let keep = 1.0 / (1.0 - how.drop_input);
        input.mapv_inplace(|value| {
            if random.f32() < how.drop_input {
                0.0
            } else {
                value * keep
            }
        });
    }
    (input, target)
}

/// Where a run stands.
#[derive(Clone, Copy)]
struct Moment {
    rate: f32,
    /// From 1.
    step: i32,
}

impl Moment {
    fn adam(self) -> Adam {
        Adam {
            rate: self.rate,
            first: 1.0 - 0.9_f32.powi(self.step),
            second: 1.0 - 0.999_f32.powi(self.step),
        }
    }
}

struct Net {
    hidden: Option<Dense>,
    output: Dense,
    drop: f32,
}

impl Net {
    fn new(inputs: usize, classes: usize, how: &Fit) -> Self {
        let mut random = Rng::with_seed(how.seed ^ 0x9e37_79b9);
        let hidden = (how.hidden > 0).then(|| {
            Dense::new(
                inputs,
                how.hidden,
                (0.5 / inputs as f32).sqrt(),
                &mut random,
            )
        });
        let width = if how.hidden > 0 { how.hidden } else { inputs };
        let spread = if how.hidden > 0 {
            (1.0 / width as f32).sqrt()
        } else {
            0.0
        };
        Self {
            hidden,
            output: Dense::new(width, classes, spread, &mut random),
            drop: how.drop,
        }
    }

    fn step(&mut self, input: &Array2<f32>, target: &Array2<f32>, now: Moment, random: &mut Rng) {
        let Some(hidden) = &mut self.hidden else {
            let slope = slope(self.output.apply(input.view()), target);
            self.output.step(input, &slope, now);
            return;
        };
        let mut inner = hidden.apply(input.view());
        let keep = 1.0 / (1.0 - self.drop);
        // What is let through of each unit, for the way forth and back.
        let gate = inner.mapv(|value| {
            if value > 0.0 && random.f32() >= self.drop {
                keep
            } else {
                0.0
            }
        });
        inner *= &gate;
        let slope = slope(self.output.apply(inner.view()), target);
        let back = slope.dot(&self.output.weight.t()) * &gate;
        self.output.step(&inner, &slope, now);
        hidden.step(input, &back, now);
    }

    fn layers(self, scaling: &Scaling) -> Layers {
        match self.hidden {
            None => Layers {
                hidden: None,
                output: self.output.layer(Some(scaling)),
            },
            Some(hidden) => Layers {
                hidden: Some(hidden.layer(Some(scaling))),
                output: self.output.layer(None),
            },
        }
    }
}

/// Slope of the weighted cross-entropy by the logits.
fn slope(mut logits: Array2<f32>, target: &Array2<f32>) -> Array2<f32> {
    let count = logits.nrows() as f32;
    for (mut row, wanted) in logits.outer_iter_mut().zip(target.outer_iter()) {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.mapv_inplace(|logit| (logit - most).exp());
        let weight = wanted.sum();
        let sum = row.sum();
        Zip::from(&mut row)
            .and(&wanted)
            .for_each(|value, wanted| *value = (*value / sum * weight - wanted) / count);
    }
    logits
}

/// A layer with what Adam remembers of it. Weights are inputs × outputs.
struct Dense {
    weight: Array2<f32>,
    bias: Array1<f32>,
    weight_moments: (Array2<f32>, Array2<f32>),
    bias_moments: (Array1<f32>, Array1<f32>),
}

impl Dense {
    fn new(inputs: usize, outputs: usize, spread: f32, random: &mut Rng) -> Self {
        // A sum of uniform numbers is as good as a normal one here; its variance is 1.
        let mut normal = || (0..12).map(|_| random.f32()).sum::<f32>() - 6.0;
        Self {
            weight: Array2::from_shape_simple_fn((inputs, outputs), || normal() * spread),
            bias: Array1::zeros(outputs),
            weight_moments: (
                Array2::zeros((inputs, outputs)),
                Array2::zeros((inputs, outputs)),
            ),
            bias_moments: (Array1::zeros(outputs), Array1::zeros(outputs)),
        }
    }

    fn apply(&self, input: ArrayView2<'_, f32>) -> Array2<f32> {
        input.dot(&self.weight) + &self.bias
    }

    fn step(&mut self, input: &Array2<f32>, slope: &Array2<f32>, now: Moment) {
        let (rate, adam) = (now.rate, now.adam());
        let by_weight = input.t().dot(slope);
        let (mean, square) = &mut self.weight_moments;
        Zip::from(&mut self.weight)
            .and(mean)
            .and(square)
            .and(&by_weight)
            .for_each(|weight, mean, square, slope| {
                *weight -= adam.change(mean, square, *slope) + rate * DECAY * *weight;
            });
        let (mean, square) = &mut self.bias_moments;
        Zip::from(&mut self.bias)
            .and(mean)
            .and(square)
            .and(&slope.sum_axis(Axis(0)))
            .for_each(|bias, mean, square, slope| {
                *bias -= adam.change(mean, square, *slope);
            });
    }

    /// The layer with its inputs' scaling folded in.
    fn layer(mut self, scaling: Option<&Scaling>) -> Layer {
        if let Some(scaling) = scaling {
            let factor = scaling.factor.view().insert_axis(Axis(1));
            self.weight *= &factor;
            self.bias -= &scaling.mean.dot(&self.weight);
        }
        Layer {
            weight: self.weight.t().iter().copied().collect(),
            bias: self.bias.to_vec(),
        }
    }
}

struct Adam {
    rate: f32,
    first: f32,
    second: f32,
}

impl Adam {
    fn change(&self, mean: &mut f32, square: &mut f32, slope: f32) -> f32 {
        *mean = 0.9 * *mean + 0.1 * slope;
        *square = 0.999 * *square + 0.001 * slope * slope;
        self.rate * (*mean / self.first) / ((*square / self.second).sqrt() + 1e-8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Fit = Fit {
        centre: false,
        hidden: 0,
        epochs: 200,
        rate: 0.01,
        drop: 0.0,
        drop_input: 0.0,
        mix: false,
        seed: 1,
    };

    fn rows(points: &[([f32; 2], usize)]) -> Rows {
        let flat: Vec<f32> = points.iter().flat_map(|(point, _)| *point).collect();
        Rows {
            features: Array2::from_shape_vec((points.len(), 2), flat).unwrap(),
            labels: points.iter().map(|(_, label)| *label).collect(),
            weights: vec![1.0; points.len()],
            classes: 2,
        }
    }

    /// A class inside a ring of the other: no line parts them.
    fn ring() -> Rows {
        let on = |radius: f32, turn: usize| {
            let angle = turn as f32 * 0.17;
            [radius * angle.cos(), radius * angle.sin()]
        };
        rows(
            &(0..200)
                .map(|turn| (on(if turn % 2 == 0 { 0.2 } else { 1.0 }, turn), turn % 2))
                .collect::<Vec<_>>(),
        )
    }

    fn line() -> Rows {
        let point = |number: usize| [number as f32 / 100.0 - 0.5, (number % 7) as f32 / 7.0];
        rows(
            &(0..100)
                .map(|number| (point(number), usize::from(number >= 50)))
                .collect::<Vec<_>>(),
        )
    }

    fn accuracy(rows: &Rows, how: &Fit) -> f64 {
        let layers = fit(rows, how);
        let right = rows
            .features
            .outer_iter()
            .zip(&rows.labels)
            .filter(|(row, label)| {
                let logits = layers.logits(row.as_slice().unwrap(), &[]);
                (logits[1] > logits[0]) == (**label == 1)
            });
        right.count() as f64 / rows.labels.len() as f64
    }

    #[test]
    fn parts_by_a_line() {
        let found = accuracy(&line(), &PLAIN);
        assert!(found > 0.97, "{found}");
    }

    #[test]
    fn needs_a_hidden_layer_for_a_ring() {
        let plain = accuracy(&ring(), &PLAIN);
        assert!(plain < 0.8, "{plain}");
        let deep = accuracy(
            &ring(),
            &Fit {
                hidden: 16,
                drop: 0.1,
                mix: true,
                ..PLAIN
            },
        );
        assert!(deep > 0.97, "{deep}");
    }

    #[test]
    fn is_the_same_twice_and_another_with_another_seed() {
        let how = Fit {
            hidden: 8,
            epochs: 3,
            drop: 0.2,
            drop_input: 0.1,
            mix: true,
            ..PLAIN
        };
        assert_eq!(fit(&ring(), &how), fit(&ring(), &how));
        assert_ne!(fit(&ring(), &how), fit(&ring(), &Fit { seed: 2, ..how }));
    }

    #[test]
    fn balances_classes() {
        let mut rows = rows(&[
            ([0.0, 0.0], 0),
            ([0.0, 0.0], 0),
            ([0.0, 0.0], 0),
            ([0.0, 0.0], 1),
        ]);
        rows.balance();
        assert!((rows.weights[0] - 2.0 / 3.0).abs() < 1e-6 && (rows.weights[3] - 2.0).abs() < 1e-6);
    }

    /// The layers of a centred fit take the vectors as they are.
    #[test]
    fn vectors_that_lie_close_together_are_centred() {
        let mut rows = line();
        rows.features.mapv_inplace(|value| 50.0 + value * 0.1);
        let as_they_are = accuracy(&rows, &PLAIN);
        assert!(as_they_are < 0.9, "{as_they_are}");
        let how = Fit {
            centre: true,
            ..PLAIN
        };
        let centred = accuracy(&rows, &how);
        assert!(centred > 0.97, "{centred}");
    }
}
