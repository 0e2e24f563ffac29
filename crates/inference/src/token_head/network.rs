//! The classifier's numbers: a projection of states, one hidden layer, and how they are kept in a
//! file.
//!
//! Weights are kept as bytes with one scale a column.

use super::KINDS;
use super::lexicon::{LISTS, Lexicon, NAMES};
use super::sheet::{COLUMNS, Sheet};
use ndarray::{Array1, Array2, ArrayView2, Axis, Slice};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};

/// Classes: none, and begin and inside of each type.
pub const CLASSES: usize = 1 + 2 * KINDS.len();
/// Words whose states count: the one before, the word, the one after.
pub const NEAR: usize = 3;

/// Weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Dimension × width of the projection.
    pub project: Array2<f32>,
    /// (Three widths and the columns of the sheet) × hidden units.
    pub hidden: Array2<f32>,
    /// Hidden units.
    pub hidden_bias: Array1<f32>,
    /// Hidden units × classes.
    pub output: Array2<f32>,
    /// Classes.
    pub output_bias: Array1<f32>,
}

/// A file that holds no head.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// It is no safetensors file, or lacks a tensor.
    #[error(transparent)]
    Format(#[from] SafeTensorError),
    /// A tensor of another shape or type.
    #[error("tensor `{0}` has a wrong shape or type")]
    Shape(String),
}

impl Network {
    /// Probabilities of the classes for each word; `states` has a row for each token.
    #[must_use]
    pub fn probabilities(&self, sheet: &Sheet, states: ArrayView2<'_, f32>) -> Array2<f32> {
        let rows: Vec<usize> = sheet
            .words
            .iter()
            .map(|word| word.token.min(states.nrows().saturating_sub(1)))
            .collect();
        let projected = states.select(Axis(0), &rows).dot(&self.project);
        let mut hidden = self.hidden_input(sheet, &projected);
        hidden.mapv_inplace(|value| value.max(0.0));
        let mut output = hidden.dot(&self.output) + &self.output_bias;
        for mut row in output.rows_mut() {
            let top = row.fold(f32::MIN, |top, value| top.max(*value));
            row.mapv_inplace(|value| (value - top).exp());
            let sum = row.sum();
            row.mapv_inplace(|value| value / sum);
        }
        output
    }

    /// What reaches the hidden units, from projected states of the words.
    fn hidden_input(&self, sheet: &Sheet, projected: &Array2<f32>) -> Array2<f32> {
        let width = NEAR * projected.ncols();
        let mut hidden =
            beside(projected).dot(&self.hidden.slice_axis(Axis(0), Slice::from(..width)));
        for (at, mut row) in hidden.rows_mut().into_iter().enumerate() {
            row += &self.hidden_bias;
            for column in sheet.active(at) {
                row += &self.hidden.row(width + column);
            }
        }
        hidden
    }

    /// The file of this network and a lexicon.
    ///
    /// # Errors
    /// None that a network with weights could cause.
    pub fn to_bytes(&self, lexicon: &Lexicon) -> Result<Vec<u8>, WeightsError> {
        let mut kept: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, weights) in [
            ("project", &self.project),
            ("hidden", &self.hidden),
            ("output", &self.output),
        ] {
            let (bytes, scales) = packed(weights);
            kept.push((name.into(), Dtype::I8, weights.shape().to_vec(), bytes));
            kept.push((
                format!("{name}.scale"),
                Dtype::F32,
                vec![weights.ncols()],
                numbers(scales.iter()),
            ));
        }
        for (name, bias) in [
            ("hidden.bias", &self.hidden_bias),
            ("output.bias", &self.output_bias),
        ] {
            kept.push((
                name.into(),
                Dtype::F32,
                vec![bias.len()],
                numbers(bias.iter()),
            ));
        }
        for (name, filter) in NAMES.iter().zip(&lexicon.filters) {
            kept.push((
                format!("lexicon.{name}"),
                Dtype::U8,
                vec![filter.len()],
                filter.clone(),
            ));
        }
        let views = kept.iter().map(|(name, dtype, shape, bytes)| {
            Ok((
                name.as_str(),
                TensorView::new(*dtype, shape.clone(), bytes)?,
            ))
        });
        let views: Vec<_> = views.collect::<Result<_, SafeTensorError>>()?;
        Ok(safetensors::serialize(views, None)?)
    }
}

/// Each row with the one before and the one after beside it; zeros beyond the ends.
#[must_use]
pub fn beside(rows: &Array2<f32>) -> Array2<f32> {
    let (count, width) = rows.dim();
    let mut wide = Array2::zeros((count, NEAR * width));
    for (at, mut row) in wide.rows_mut().into_iter().enumerate() {
        for near in 0..NEAR {
            if let Some(beside) = (at + near).checked_sub(1).filter(|beside| *beside < count) {
                row.slice_axis_mut(Axis(0), Slice::from(near * width..(near + 1) * width))
                    .assign(&rows.row(beside));
            }
        }
    }
    wide
}

/// Reads a file of a head for states of `dimension` numbers.
///
/// # Errors
/// It is damaged, or of another version.
pub fn read(bytes: &[u8], dimension: usize) -> Result<(Network, Lexicon), WeightsError> {
    let file = SafeTensors::deserialize(bytes)?;
    let project = unpacked(&file, "project")?;
    let hidden = unpacked(&file, "hidden")?;
    let output = unpacked(&file, "output")?;
    let network = Network {
        hidden_bias: vector(&file, "hidden.bias")?,
        output_bias: vector(&file, "output.bias")?,
        project,
        hidden,
        output,
    };
    let fits = [
        ("project", network.project.nrows() == dimension),
        (
            "hidden",
            network.hidden.nrows() == NEAR * network.project.ncols() + COLUMNS,
        ),
        (
            "hidden.bias",
            network.hidden_bias.len() == network.hidden.ncols(),
        ),
        (
            "output",
            network.output.dim() == (network.hidden.ncols(), CLASSES),
        ),
        ("output.bias", network.output_bias.len() == CLASSES),
    ];
    if let Some((name, _)) = fits.iter().find(|(_, fits)| !fits) {
        return Err(WeightsError::Shape((*name).into()));
    }
    let mut filters: [Vec<u8>; LISTS] = Default::default();
    for (filter, name) in filters.iter_mut().zip(NAMES) {
        let tensor = file.tensor(&format!("lexicon.{name}"))?;
        if tensor.dtype() != Dtype::U8 {
            return Err(WeightsError::Shape(format!("lexicon.{name}")));
        }
        *filter = tensor.data().to_vec();
    }
    Ok((network, Lexicon { filters }))
}

/// Weights as bytes, and the scale of each column.
fn packed(weights: &Array2<f32>) -> (Vec<u8>, Array1<f32>) {
    let top = |column: ndarray::ArrayView1<'_, f32>| {
        column.fold(0.0_f32, |top, weight| top.max(weight.abs()))
    };
    let scales = weights.map_axis(Axis(0), |column| {
        (top(column) / 127.0).max(f32::MIN_POSITIVE)
    });
    let bytes = weights.indexed_iter().map(|((_, column), weight)| {
        let scaled = (weight / scales[column]).round().clamp(-127.0, 127.0) as i8;
        scaled.cast_unsigned()
    });
    (bytes.collect(), scales)
}

fn unpacked(file: &SafeTensors<'_>, name: &str) -> Result<Array2<f32>, WeightsError> {
    let wrong = || WeightsError::Shape(name.to_owned());
    let tensor = file.tensor(name)?;
    let scales = vector(file, &format!("{name}.scale"))?;
    let (Dtype::I8, &[rows, columns]) = (tensor.dtype(), tensor.shape()) else {
        return Err(wrong());
    };
    let weights = tensor
        .data()
        .iter()
        .map(|byte| f32::from(byte.cast_signed()))
        .collect();
    let weights = Array2::from_shape_vec((rows, columns), weights).map_err(|_| wrong())?;
    if columns == scales.len() {
        Ok(weights * &scales)
    } else {
        Err(wrong())
    }
}

fn vector(file: &SafeTensors<'_>, name: &str) -> Result<Array1<f32>, WeightsError> {
    let tensor = file.tensor(name)?;
    if tensor.dtype() != Dtype::F32 || tensor.shape().len() != 1 {
        return Err(WeightsError::Shape(name.to_owned()));
    }
    let (numbers, _) = tensor.data().as_chunks::<4>();
    Ok(numbers
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect())
}

fn numbers<'a>(values: impl Iterator<Item = &'a f32>) -> Vec<u8> {
    values.flat_map(|value| value.to_le_bytes()).collect()
}
