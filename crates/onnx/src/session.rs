//! A graph that is open: windows to tensors, tensors to numbers.

use inference::backend::{Encoded, RunError, Session};
use inference::vector::normalise;
use ndarray::{Array2, ArrayView2, ArrayView3, Axis};
use ort::session::{
    HasSelectedOutputs, OutputSelector, RunOptions, SessionInputValue, SessionOutputs,
};
use ort::value::{TensorRef, ValueType};
use std::borrow::Cow;

/// An open graph of a sentence encoder or a classifier.
pub(crate) struct Graph {
    session: ort::session::Session,
    token_types: bool,
    outputs: Outputs,
    pooled_only: RunOptions<HasSelectedOutputs>,
    with_states: RunOptions<HasSelectedOutputs>,
}

/// Which output is what.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outputs {
    /// A vector of the sentence beside token states.
    Both { pooled: String, states: String },
    /// Token states alone: their mean is the sentence's vector.
    States(String),
    /// Logits of a sequence.
    Sequence(String),
    /// Logits of tokens.
    Tokens(String),
}

impl Graph {
    pub(crate) fn new(session: ort::session::Session) -> Result<Self, ort::Error> {
        let known = ["input_ids", "attention_mask", "token_type_ids"];
        if let Some(input) = session
            .inputs()
            .iter()
            .find(|input| !known.contains(&input.name()))
        {
            return Err(ort::Error::new(format!(
                "the graph wants an input `{}`; {known:?} are known",
                input.name()
            )));
        }
        let token_types = session
            .inputs()
            .iter()
            .any(|input| input.name() == "token_type_ids");
        let ranks: Vec<_> = session
            .outputs()
            .iter()
            .map(|output| (output.name(), rank(output.dtype())))
            .collect();
        let outputs = Outputs::of(&ranks)?;
        let (few, all) = outputs.names();
        let select = |names: &[&str]| {
            let selected = names
                .iter()
                .fold(OutputSelector::no_default(), |chosen, name| {
                    chosen.with(*name)
                });
            Ok::<_, ort::Error>(RunOptions::new()?.with_outputs(selected))
        };
        let (pooled_only, with_states) = (select(&few)?, select(&all)?);
        Ok(Self {
            token_types,
            pooled_only,
            with_states,
            outputs,
            session,
        })
    }

    fn run_batch(
        &mut self,
        windows: &[&[u32]],
        want_states: bool,
    ) -> Result<Vec<Encoded>, ort::Error> {
        let longest = windows.iter().map(|window| window.len()).max().unwrap_or(0);
        let mut ids = Array2::<i64>::zeros((windows.len(), longest));
        let mut mask = Array2::<i64>::zeros((windows.len(), longest));
        for (row, window) in windows.iter().enumerate() {
            for (column, id) in window.iter().enumerate() {
                ids[[row, column]] = i64::from(*id);
                mask[[row, column]] = 1;
            }
        }
        let types = self
            .token_types
            .then(|| Array2::<i64>::zeros((windows.len(), longest)));
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = vec![
            ("input_ids".into(), TensorRef::from_array_view(&ids)?.into()),
            (
                "attention_mask".into(),
                TensorRef::from_array_view(&mask)?.into(),
            ),
        ];
        if let Some(types) = &types {
            inputs.push((
                "token_type_ids".into(),
                TensorRef::from_array_view(types)?.into(),
            ));
        }
        let options = if want_states {
            &self.with_states
        } else {
            &self.pooled_only
        };
        let outputs = self.session.run_with_options(inputs, options)?;
        let lengths = windows.iter().map(|window| window.len());
        lengths
            .enumerate()
            .map(|(row, length)| self.outputs.read(&outputs, row, length, want_states))
            .collect()
    }
}

impl Session for Graph {
    fn run(&mut self, windows: &[&[u32]], want_states: bool) -> Result<Vec<Encoded>, RunError> {
        self.run_batch(windows, want_states)
            .map_err(|error| RunError(error.to_string().into()))
    }
}

impl Outputs {
    fn of(ranks: &[(&str, usize)]) -> Result<Self, ort::Error> {
        let rank = |name: &str| {
            ranks
                .iter()
                .find(|(other, _)| *other == name)
                .map(|(_, rank)| *rank)
        };
        let (states, pooled) = (
            "last_hidden_state".to_owned(),
            "sentence_embedding".to_owned(),
        );
        match (rank("logits"), rank(&states), rank(&pooled)) {
            (Some(2), ..) => Ok(Self::Sequence("logits".to_owned())),
            (Some(3), ..) => Ok(Self::Tokens("logits".to_owned())),
            (None, Some(3), Some(2)) => Ok(Self::Both { pooled, states }),
            (None, Some(3), _) => Ok(Self::States(states)),
            _ => Err(ort::Error::new(format!(
                "the graph gives {:?}; `last_hidden_state` or `logits` is needed",
                ranks.iter().map(|(name, _)| name).collect::<Vec<_>>()
            ))),
        }
    }

    /// Outputs to fetch without and with token states.
    fn names(&self) -> (Vec<&str>, Vec<&str>) {
        match self {
            Self::Both { pooled, states } => (vec![pooled], vec![pooled, states]),
            Self::States(name) | Self::Sequence(name) | Self::Tokens(name) => {
                (vec![name], vec![name])
            }
        }
    }

    fn read(
        &self,
        outputs: &SessionOutputs<'_>,
        row: usize,
        length: usize,
        want_states: bool,
    ) -> Result<Encoded, ort::Error> {
        Ok(match self {
            Self::Both { pooled, states } => Encoded {
                pooled: matrix(outputs, pooled)?.row(row).to_vec(),
                states: if want_states {
                    Some(tokens(outputs, states, row, length)?)
                } else {
                    None
                },
            },
            Self::States(states) => {
                let states = tokens(outputs, states, row, length)?;
                let mut pooled = states
                    .mean_axis(Axis(0))
                    .map(|mean| mean.to_vec())
                    .unwrap_or_default();
                normalise(&mut pooled);
                Encoded {
                    pooled,
                    states: want_states.then_some(states),
                }
            }
            Self::Sequence(logits) => Encoded {
                pooled: matrix(outputs, logits)?.row(row).to_vec(),
                states: None,
            },
            Self::Tokens(logits) => Encoded {
                pooled: Vec::new(),
                states: Some(tokens(outputs, logits, row, length)?),
            },
        })
    }
}

fn rank(value: &ValueType) -> usize {
    match value {
        ValueType::Tensor { shape, .. } => shape.len(),
        _ => 0,
    }
}

fn matrix<'a>(
    outputs: &'a SessionOutputs<'_>,
    name: &str,
) -> Result<ArrayView2<'a, f32>, ort::Error> {
    let output = outputs
        .get(name)
        .ok_or_else(|| ort::Error::new(format!("the run gave no `{name}`")))?;
    let view = output.try_extract_array::<f32>()?;
    view.into_dimensionality()
        .map_err(|error| ort::Error::new(error.to_string()))
}

fn tokens(
    outputs: &SessionOutputs<'_>,
    name: &str,
    row: usize,
    length: usize,
) -> Result<Array2<f32>, ort::Error> {
    let output = outputs
        .get(name)
        .ok_or_else(|| ort::Error::new(format!("the run gave no `{name}`")))?;
    let view = output.try_extract_array::<f32>()?;
    let view: ArrayView3<'_, f32> = view
        .into_dimensionality()
        .map_err(|error| ort::Error::new(error.to_string()))?;
    Ok(view
        .index_axis_move(Axis(0), row)
        .slice_axis(Axis(0), (0..length).into())
        .to_owned())
}
