//! One training run, from files to a head.

use crate::calibrate::{temperature, threshold_for};
use crate::data::{self, DataError, Example};
use crate::features::{Features, Window};
use crate::metrics::Scored;
use crate::optimise::{self, Rows};
use crate::part::{Part, parts};
use crate::recipe::{Limit, Recipe, TRIGGERS, Windows};
use crate::report::{Figures, Report, metrics};
use crate::write;
use inference::ask::Failure;
use inference::catalog::{LoadError, Task};
use inference::head::{Activation, Block, HeadCard, Layers, SequenceHead, softmax};
use ndarray::Array2;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

/// What to train on, and where to put the head.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// What the head decides.
    pub task: Task,
    /// Name on the card; that of the task without it.
    pub name: Option<String>,
    /// Folder of the data sets; for an operator's own head a file or folder of `{"text", "label"}`
    /// lines.
    pub data: PathBuf,
    /// Folder of the texts that are written for this repository.
    pub corpus: PathBuf,
    /// Folder for the head; nothing is written without it.
    pub out: Option<PathBuf>,
    /// Whether the head reads the encoder's vector alone.
    pub encoder_only: bool,
    /// Whether the encoder reads other languages than English, so that texts in them are fitted on.
    pub languages: bool,
    /// Whether the head is also fitted without each source of attacks in turn.
    pub leave_one_out: bool,
    /// File of turns that nothing was chosen by, for figures only.
    pub evaluation: Option<PathBuf>,
    /// What to type to get this head again, for the card.
    pub command: String,
}

/// Why there is no head.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The texts.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The models that read them.
    #[error("reading texts: {0}")]
    Models(#[from] Failure),
    /// The head that was made does not load.
    #[error(transparent)]
    Head(#[from] LoadError),
    /// Its files.
    #[error("writing the head: {0}")]
    Write(#[from] std::io::Error),
    /// Its weights.
    #[error("writing the weights: {0}")]
    Weights(#[from] safetensors::SafeTensorError),
    /// Its card.
    #[error("writing the card: {0}")]
    Card(#[from] serde_json::Error),
}

/// Fits, calibrates and evaluates a head, and writes it. Says on `log` what it does.
///
/// # Errors
/// Texts or models are not there or do not fit, or the head cannot be written.
pub fn train(
    options: &TrainOptions,
    features: &mut dyn Features,
    log: &mut dyn Write,
) -> Result<Report, TrainError> {
    let mut recipe = Recipe::of(options.task, &options.data, &options.corpus)?;
    if options.languages {
        recipe.turn_to_languages(options.task, &options.corpus)?;
    }
    let parts = parts(&recipe.examples, |source| recipe.shares(source));
    writeln!(
        log,
        "{}: {} texts",
        options.task.as_str(),
        recipe.examples.len()
    )?;
    let bench = Bench::new(recipe, parts, options.encoder_only, features)?;
    let head = bench.fit_and_calibrate(options, features.blocks(), log)?;
    let mut figures = bench.test_figures(&head.model);
    if let Some(file) = &options.evaluation {
        figures.push(bench.evaluate(&head.model, file, features)?);
    }
    if options.leave_one_out {
        figures.extend(bench.left_out(&head.model));
    }
    let card = HeadCard {
        metrics: metrics(&figures),
        ..head.card
    };
    if let Some(folder) = &options.out {
        write::files(folder, &head.weights, &write::card(&card)?)?;
    }
    let report = Report { card, figures };
    report.print(log)?;
    Ok(report)
}

/// All that a run works with.
struct Bench {
    recipe: Recipe,
    parts: Vec<Part>,
    /// Windows of each example.
    windows: Vec<Vec<Window>>,
    /// Windows of each example in its other dress; none where it has no other.
    dressed: Vec<Vec<Window>>,
    width: usize,
}

/// Weights with what turns their logits into decisions.
struct Model {
    layers: Layers,
    temperature: f32,
    threshold: f32,
}

struct Head {
    model: Model,
    card: HeadCard,
    weights: Vec<u8>,
}

impl Bench {
    fn new(
        recipe: Recipe,
        parts: Vec<Part>,
        encoder_only: bool,
        features: &mut dyn Features,
    ) -> Result<Self, TrainError> {
        let texts: Vec<String> = recipe
            .examples
            .iter()
            .map(|example| example.text.clone())
            .collect();
        let windows = features.read(&texts)?;
        let mut dressed = vec![Vec::new(); texts.len()];
        if recipe.dresses {
            let others: Vec<String> = texts.iter().map(|text| dress(text)).collect();
            dressed = features.read(&others)?;
        }
        let blocks = features.blocks();
        let width = blocks
            .iter()
            .take(if encoder_only { 1 } else { blocks.len() })
            .map(|block| block.dimension)
            .sum();
        Ok(Self {
            recipe,
            parts,
            windows,
            dressed,
            width,
        })
    }

    fn fit_and_calibrate(
        &self,
        options: &TrainOptions,
        blocks: Vec<Block>,
        log: &mut dyn Write,
    ) -> Result<Head, TrainError> {
        let first = self.fit(|_, part| part == Part::Fit);
        let tune = self.chosen(|_, part| part == Part::Tune);
        let labels: Vec<usize> = tune
            .iter()
            .map(|at| self.recipe.examples[*at].label)
            .collect();
        let temperature = temperature(&labels, |temperature| {
            tune.iter()
                .map(|at| self.row(&first, temperature, &self.windows[*at]))
                .collect()
        });
        let thresholds = self
            .recipe
            .limits
            .iter()
            .map(|limit| self.threshold(&first, temperature, limit));
        let threshold = thresholds.reduce(f32::max).unwrap_or(0.5);
        writeln!(
            log,
            "temperature {temperature:.3}, threshold {threshold:.3}, by {} texts",
            tune.len()
        )?;
        let layers = self.fit(|_, part| part != Part::Test);
        let (weights, weights_sha256) = write::weights(&layers)?;
        let activation = if layers.hidden.is_some() {
            Activation::Relu
        } else {
            Activation::None
        };
        let name = options
            .name
            .clone()
            .unwrap_or_else(|| options.task.as_str().to_owned());
        let blocks = if options.encoder_only {
            blocks.into_iter().take(1).collect()
        } else {
            blocks
        };
        let card = HeadCard {
            name,
            task: options.task.as_str().to_owned(),
            labels: self.recipe.labels.clone(),
            features: blocks,
            activation,
            temperature,
            threshold: Some(threshold),
            data: self.recipe.files.clone(),
            command: options.command.clone(),
            metrics: BTreeMap::new(),
            notes: Vec::new(),
            weights_sha256,
        };
        // Figures are those of the weights as they are written, so they are read back.
        let layers = SequenceHead::read(&weights, &write::card(&card)?)?
            .layers()
            .clone();
        Ok(Head {
            model: Model {
                layers,
                temperature,
                threshold,
            },
            card,
            weights,
        })
    }

    fn chosen(&self, take: impl Fn(&Example, Part) -> bool) -> Vec<usize> {
        let all = self.recipe.examples.iter().zip(&self.parts).enumerate();
        all.filter(|(_, (example, part))| take(example, **part))
            .map(|(at, _)| at)
            .collect()
    }

    fn fit(&self, take: impl Fn(&Example, Part) -> bool) -> Layers {
        let mut rows = (Vec::new(), Vec::new(), Vec::new());
        for at in self.chosen(take) {
            let example = &self.recipe.examples[at];
            let weight = self.recipe.weight(&example.source);
            let dresses = [&self.windows[at], &self.dressed[at]];
            let count = dresses.iter().filter(|windows| !windows.is_empty()).count();
            for windows in dresses {
                // Of an attack any window may be the harmless one, of a harmless text none may be
                // an attack.
                let each = self.recipe.over == Windows::Most && example.label == 0;
                let share = if each { 1.0 } else { windows.len() as f32 };
                for window in windows {
                    rows.0.extend_from_slice(&window.row[..self.width]);
                    rows.1.push(example.label);
                    rows.2.push(weight / share / count as f32);
                }
            }
        }
        let (flat, labels, weights) = rows;
        let features = Array2::from_shape_fn((labels.len(), self.width), |(row, column)| {
            flat[row * self.width + column]
        });
        let mut rows = Rows {
            features,
            labels,
            weights,
            classes: self.recipe.labels.len(),
        };
        rows.balance();
        optimise::fit(&rows, &self.recipe.fit)
    }

    /// Probabilities of a text; none for a blank one.
    fn row(&self, layers: &Layers, temperature: f32, windows: &[Window]) -> Vec<f32> {
        let of =
            |window: &Window| softmax(layers.logits(&window.row[..self.width], &[]), temperature);
        match self.recipe.over {
            Windows::Most => windows
                .iter()
                .map(of)
                .max_by(|left, right| left[1].total_cmp(&right[1]))
                .unwrap_or_default(),
            Windows::Mean => {
                let rows: Vec<_> = windows
                    .iter()
                    .map(|window| (of(window), window.tokens as f32))
                    .collect();
                inference::vector::weighted_mean(
                    rows.iter().map(|(row, tokens)| (row.as_slice(), *tokens)),
                )
            }
        }
    }

    fn scored(&self, layers: &Layers, temperature: f32, chosen: &[usize]) -> Scored {
        Scored {
            rows: chosen
                .iter()
                .map(|at| self.row(layers, temperature, &self.windows[*at]))
                .collect(),
            labels: chosen
                .iter()
                .map(|at| self.recipe.examples[*at].label)
                .collect(),
        }
    }

    fn threshold(&self, layers: &Layers, temperature: f32, limit: &Limit) -> f32 {
        let of = |example: &Example, part| {
            part == Part::Tune && limit.sources.contains(&example.source.as_str())
        };
        threshold_for(
            &self.scored(layers, temperature, &self.chosen(of)),
            1,
            limit.most,
        )
    }

    fn test_figures(&self, model: &Model) -> Vec<Figures> {
        let of = |name: &str, take: &dyn Fn(&Example) -> bool| {
            let chosen = self.chosen(|example, part| part == Part::Test && take(example));
            let scored = self.scored(&model.layers, model.temperature, &chosen);
            Figures::of(name, &scored, self.recipe.labels.len(), model.threshold)
        };
        let mut figures = vec![of("test", &|_| true)];
        let sources: BTreeSet<&str> = self
            .recipe
            .examples
            .iter()
            .map(|example| example.source.as_str())
            .collect();
        if sources.len() > 1 {
            figures.extend(sources.iter().map(|source| {
                of(&format!("test_{source}"), &|example| {
                    example.source == *source
                })
            }));
        }
        if sources.contains("notinject") {
            figures.push(of("test_trigger_words", &|example| {
                TRIGGERS.contains(&example.source.as_str())
            }));
        }
        figures.retain(|set| set.texts > 0);
        figures
    }

    fn evaluate(
        &self,
        model: &Model,
        file: &std::path::Path,
        features: &mut dyn Features,
    ) -> Result<Figures, TrainError> {
        let file = data::read(file)?;
        let texts: Vec<String> = file.rows.iter().map(|row| row.text.clone()).collect();
        let label = |row: &data::Row| {
            let unknown = || DataError::Label {
                file: file.name.clone(),
                label: row.label.clone(),
                expected: self.recipe.labels.clone(),
            };
            self.recipe
                .labels
                .iter()
                .position(|label| *label == row.label)
                .ok_or_else(unknown)
        };
        let labels = file.rows.iter().map(label).collect::<Result<_, _>>()?;
        let windows = features.read(&texts)?;
        let rows = windows
            .iter()
            .map(|windows| self.row(&model.layers, model.temperature, windows))
            .collect();
        Ok(Figures::of(
            "evaluation",
            &Scored { rows, labels },
            self.recipe.labels.len(),
            model.threshold,
        ))
    }

    /// Figures on each source by a head that was fitted without it, at the head's own threshold.
    fn left_out(&self, model: &Model) -> Vec<Figures> {
        let without = |source: &String| {
            let layers = self.fit(|example, part| part != Part::Test && example.source != *source);
            let own = self.chosen(|example, _| example.source == *source);
            let has_benign = own.iter().any(|at| self.recipe.examples[*at].label == 0);
            let hard = |example: &Example, part| {
                part == Part::Test && TRIGGERS.contains(&example.source.as_str())
            };
            let others = if has_benign {
                Vec::new()
            } else {
                self.chosen(hard)
            };
            let chosen: Vec<usize> = own.into_iter().chain(others).collect();
            let scored = self.scored(&layers, model.temperature, &chosen);
            Figures::of(
                &format!("left_out_{source}"),
                &scored,
                self.recipe.labels.len(),
                model.threshold,
            )
        };
        self.recipe.leave_out.iter().map(without).collect()
    }
}

/// The text in another dress: without capitals and closing mark if it has one of them, else with
/// both. A head that goes by such marks instead of words is fooled by the next user.
fn dress(text: &str) -> String {
    let plain = text.trim_end_matches(['.', '?', '!']).to_lowercase();
    if plain != text {
        return plain;
    }
    let mut scalars = plain.chars();
    let capital: String = scalars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    let first = plain.split_whitespace().next().unwrap_or_default();
    const ASKING: [&str; 18] = [
        "what", "who", "when", "where", "why", "how", "which", "whose", "is", "are", "do", "does",
        "did", "can", "was", "were", "has", "will",
    ];
    let mark = if ASKING.contains(&first) { "?" } else { "." };
    format!("{capital}{}{mark}", scalars.as_str())
}

#[cfg(test)]
mod tests;
