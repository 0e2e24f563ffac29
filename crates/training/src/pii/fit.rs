//! Fitting the network: Adam on cross-entropy over words, batches of whole texts.

use super::Page;
use super::values::Random;
use half::bf16;
use inference::token_head::KINDS;
use inference::token_head::network::{CLASSES, NEAR, Network, beside};
use inference::token_head::sheet::{COLUMNS, LISTED, Sheet};
use ndarray::{Array, Array1, Array2, Axis, Dimension, Slice, Zip, concatenate};

/// Width of the projection of a state.
const WIDTH: usize = 64;
/// Hidden units.
const HIDDEN: usize = 96;
/// Words of a batch, about.
const BATCH: usize = 512;
const RATE: f32 = 2e-3;
const DECAY: f32 = 1e-4;
/// Share of the target that is spread over all classes.
const SMOOTHING: f32 = 0.02;
/// How often a word is shown as if no list held it, so that unlisted names are learned too.
const UNLISTED: f32 = 0.3;
/// How often an input and a hidden unit are left out.
const DROP_INPUT: f32 = 0.1;
const DROP_HIDDEN: f32 = 0.2;

/// Texts to train on, their states as 16-bit numbers.
#[derive(Default)]
pub(super) struct Set {
    texts: Vec<Text>,
    dimension: usize,
}

struct Text {
    states: Vec<bf16>,
    sheet: Sheet,
    /// Class of each word; `None` counts for nothing.
    classes: Vec<Option<usize>>,
}

impl Set {
    pub(super) fn add(&mut self, page: &Page) {
        let mut classes = vec![Some(0); page.sheet.words.len()];
        for (word, class) in page.sheet.words.iter().zip(&mut classes) {
            if page
                .example
                .ignored
                .iter()
                .any(|(start, end)| word.start < *end && *start < word.end)
            {
                *class = None;
            }
            let within = page
                .example
                .spans
                .iter()
                .find(|(start, end, _)| *start <= word.start && word.start < *end);
            if let Some((start, _, kind)) = within.filter(|(_, _, kind)| *kind < KINDS.len()) {
                *class = Some(2 * kind + if word.start == *start { 1 } else { 2 });
            }
        }
        if !classes.is_empty() {
            self.dimension = page.states.ncols();
            let states = page
                .states
                .iter()
                .map(|value| bf16::from_f32(*value))
                .collect();
            self.texts.push(Text {
                states,
                sheet: page.sheet.clone(),
                classes,
            });
        }
    }
}

/// Fits a network by so many passes over the set.
pub(super) fn fit(set: &Set, passes: usize, random: &mut Random) -> Network {
    let mut network = start(set.dimension, random);
    let mut moments = Moments::default();
    let words: usize = set.texts.iter().map(|text| text.classes.len()).sum();
    let steps = (passes * words).div_ceil(BATCH).max(1);
    let mut order: Vec<usize> = (0..set.texts.len()).collect();
    let mut step = 0;
    for _ in 0..passes {
        random.shuffle(&mut order);
        let mut batch: Vec<&Text> = Vec::new();
        for text in order.iter().filter_map(|at| set.texts.get(*at)) {
            batch.push(text);
            if batch.iter().map(|text| text.classes.len()).sum::<usize>() >= BATCH {
                let gradient = gradient(&network, &batch, set.dimension, random);
                step += 1;
                let rate = RATE
                    * (1.0 - step as f32 / steps as f32).max(0.02)
                    * (step as f32 / 100.0).min(1.0);
                moments.step(&mut network, &gradient, rate, step);
                batch.clear();
            }
        }
    }
    network
}

/// Small random weights.
fn start(dimension: usize, random: &mut Random) -> Network {
    let inputs = NEAR * WIDTH + COLUMNS;
    let mut normal = |rows: usize, columns: usize, scale: f32| {
        // The sum of twelve uniform numbers is nearly normal.
        let one = |_| (0..12).map(|_| random.unit()).sum::<f32>() - 6.0;
        Array2::from_shape_fn((rows, columns), one) * scale
    };
    Network {
        project: normal(dimension, WIDTH, 2.0 / (dimension.max(1) as f32).sqrt()),
        hidden: normal(inputs, HIDDEN, (2.0 / inputs as f32).sqrt()),
        hidden_bias: Array1::zeros(HIDDEN),
        output: normal(HIDDEN, CLASSES, 1.0 / (HIDDEN as f32).sqrt()),
        output_bias: Array1::zeros(CLASSES),
    }
}

/// The mean gradient over a batch, in the shape of a network.
fn gradient(network: &Network, batch: &[&Text], dimension: usize, random: &mut Random) -> Network {
    let states = stacked(batch, dimension);
    let projected = states.dot(&network.project);
    let mut wide = by_text(&projected, batch, beside);
    let kept = dropped(wide.nrows(), wide.ncols(), DROP_INPUT, random);
    wide *= &kept;
    let active = active(batch, random);
    let near = Slice::from(..NEAR * WIDTH);
    let mut hidden = wide.dot(&network.hidden.slice_axis(Axis(0), near)) + &network.hidden_bias;
    for (mut row, columns) in hidden.rows_mut().into_iter().zip(&active) {
        for column in columns {
            row.scaled_add(
                1.0 / (1.0 - DROP_INPUT),
                &network.hidden.row(NEAR * WIDTH + column),
            );
        }
    }
    let mut gate = dropped(hidden.nrows(), hidden.ncols(), DROP_HIDDEN, random);
    Zip::from(&mut gate)
        .and(&hidden)
        .for_each(|gate, value| *gate *= f32::from(*value > 0.0));
    hidden *= &gate;
    let at_output = at_output(hidden.dot(&network.output) + &network.output_bias, batch);
    let at_hidden = at_output.dot(&network.output.t()) * &gate;
    let mut of_hidden = Array2::zeros(network.hidden.dim());
    of_hidden
        .slice_axis_mut(Axis(0), near)
        .assign(&wide.t().dot(&at_hidden));
    for (row, columns) in at_hidden.rows().into_iter().zip(&active) {
        for column in columns {
            of_hidden
                .row_mut(NEAR * WIDTH + column)
                .scaled_add(1.0 / (1.0 - DROP_INPUT), &row);
        }
    }
    let at_wide = at_hidden.dot(&network.hidden.slice_axis(Axis(0), near).t()) * &kept;
    Network {
        project: states.t().dot(&by_text(&at_wide, batch, folded)),
        hidden: of_hidden,
        hidden_bias: at_hidden.sum_axis(Axis(0)),
        output: hidden.t().dot(&at_output),
        output_bias: at_output.sum_axis(Axis(0)),
    }
}

fn stacked(batch: &[&Text], dimension: usize) -> Array2<f32> {
    let numbers: Vec<f32> = batch
        .iter()
        .flat_map(|text| text.states.iter().map(|number| number.to_f32()))
        .collect();
    let rows = numbers.len() / dimension.max(1);
    Array2::from_shape_vec((rows, dimension), numbers).unwrap_or_default()
}

/// Changes the rows of each text by themselves.
fn by_text(
    rows: &Array2<f32>,
    batch: &[&Text],
    change: impl Fn(&Array2<f32>) -> Array2<f32>,
) -> Array2<f32> {
    let mut from = 0;
    let parts: Vec<Array2<f32>> = batch
        .iter()
        .map(|text| {
            let to = from + text.classes.len();
            let part = change(&rows.slice_axis(Axis(0), Slice::from(from..to)).to_owned());
            from = to;
            part
        })
        .collect();
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    concatenate(Axis(0), &views).unwrap_or_default()
}

/// The reverse of [`beside`] for gradients: each block goes back to the row it came from.
fn folded(wide: &Array2<f32>) -> Array2<f32> {
    let (count, columns) = wide.dim();
    let width = columns / NEAR;
    let mut rows = Array2::zeros((count, width));
    for (at, row) in wide.rows().into_iter().enumerate() {
        for near in 0..NEAR {
            if let Some(from) = (at + near).checked_sub(1).filter(|from| *from < count) {
                let mut target = rows.row_mut(from);
                target += &row.slice_axis(Axis(0), Slice::from(near * width..(near + 1) * width));
            }
        }
    }
    rows
}

/// Zeros so often, else what makes up for them.
fn dropped(rows: usize, columns: usize, share: f32, random: &mut Random) -> Array2<f32> {
    Array2::from_shape_fn((rows, columns), |_| {
        if random.chance(share) {
            0.0
        } else {
            1.0 / (1.0 - share)
        }
    })
}

/// Active columns of each word, some left out.
fn active(batch: &[&Text], random: &mut Random) -> Vec<Vec<usize>> {
    let mut active = Vec::new();
    for text in batch {
        let mut sheet = text.sheet.clone();
        for marks in &mut sheet.marks {
            if random.chance(UNLISTED) {
                *marks &= !LISTED;
            }
        }
        active.extend((0..sheet.words.len()).map(|at| {
            sheet
                .active(at)
                .filter(|_| !random.chance(DROP_INPUT))
                .collect()
        }));
    }
    active
}

/// Gradient of the loss at the outputs.
fn at_output(mut output: Array2<f32>, batch: &[&Text]) -> Array2<f32> {
    let count = output.nrows().max(1) as f32;
    let classes = batch.iter().flat_map(|text| text.classes.iter());
    for (mut row, class) in output.rows_mut().into_iter().zip(classes) {
        let top = row.fold(f32::MIN, |top, value| top.max(*value));
        row.mapv_inplace(|value| (value - top).exp());
        let sum = row.sum();
        let Some(class) = class else {
            row.fill(0.0);
            continue;
        };
        for (at, value) in row.iter_mut().enumerate() {
            let target =
                SMOOTHING / CLASSES as f32 + if at == *class { 1.0 - SMOOTHING } else { 0.0 };
            *value = (*value / sum - target) / count;
        }
    }
    output
}

/// Means of gradients and of their squares.
#[derive(Default)]
struct Moments(Option<(Network, Network)>);

impl Moments {
    fn step(&mut self, network: &mut Network, gradient: &Network, rate: f32, step: usize) {
        let (mean, square) = self
            .0
            .get_or_insert_with(|| (zeros(gradient), zeros(gradient)));
        let turn = |power: f32| 1.0 - power.powi(i32::try_from(step).unwrap_or(i32::MAX));
        let scale = Scale {
            rate,
            mean: turn(0.9),
            square: turn(0.999),
        };
        scale.adam(
            &mut network.project,
            &mut mean.project,
            &mut square.project,
            &gradient.project,
        );
        scale.adam(
            &mut network.hidden,
            &mut mean.hidden,
            &mut square.hidden,
            &gradient.hidden,
        );
        scale.adam(
            &mut network.output,
            &mut mean.output,
            &mut square.output,
            &gradient.output,
        );
        scale.adam(
            &mut network.hidden_bias,
            &mut mean.hidden_bias,
            &mut square.hidden_bias,
            &gradient.hidden_bias,
        );
        scale.adam(
            &mut network.output_bias,
            &mut mean.output_bias,
            &mut square.output_bias,
            &gradient.output_bias,
        );
    }
}

fn zeros(like: &Network) -> Network {
    Network {
        project: Array2::zeros(like.project.dim()),
        hidden: Array2::zeros(like.hidden.dim()),
        hidden_bias: Array1::zeros(like.hidden_bias.dim()),
        output: Array2::zeros(like.output.dim()),
        output_bias: Array1::zeros(like.output_bias.dim()),
    }
}

struct Scale {
    rate: f32,
    mean: f32,
    square: f32,
}

impl Scale {
    fn adam<D: Dimension>(
        &self,
        weights: &mut Array<f32, D>,
        mean: &mut Array<f32, D>,
        square: &mut Array<f32, D>,
        gradient: &Array<f32, D>,
    ) {
        Zip::from(weights)
            .and(mean)
            .and(square)
            .and(gradient)
            .for_each(|weight, mean, square, gradient| {
                *mean += 0.1 * (gradient - *mean);
                *square += 0.001 * (gradient * gradient - *square);
                let step = (*mean / self.mean) / ((*square / self.square).sqrt() + 1e-8);
                *weight -= self.rate * (step + DECAY * *weight);
            });
    }
}
