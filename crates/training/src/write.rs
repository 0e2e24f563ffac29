//! Heads as files.

use crate::data::hex;
use half::f16;
use inference::head::{HeadCard, Layer, Layers};
use safetensors::tensor::{Dtype, TensorView, View};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Name of the weights' file in a head's folder.
pub const WEIGHTS: &str = "head.safetensors";
/// Name of the card in a head's folder.
pub const CARD: &str = "card.json";

/// Weights as a safetensors file of 16-bit floats, and their digest.
///
/// # Errors
/// A layer's numbers do not make up a matrix.
pub fn weights(layers: &Layers) -> Result<(Vec<u8>, String), safetensors::SafeTensorError> {
    let named = layers
        .hidden
        .iter()
        .map(|layer| ("hidden", layer))
        .chain([("output", &layers.output)]);
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = named
        .flat_map(|(name, Layer { weight, bias })| {
            let shape = vec![bias.len(), weight.len() / bias.len().max(1)];
            [
                (format!("{name}.weight"), shape, packed(weight)),
                (format!("{name}.bias"), vec![bias.len()], packed(bias)),
            ]
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, shape, data)| {
            Ok((
                name.as_str(),
                TensorView::new(Dtype::F16, shape.clone(), data)?,
            ))
        })
        .collect::<Result<Vec<(&str, TensorView<'_>)>, safetensors::SafeTensorError>>()?;
    debug_assert!(views.iter().all(|(_, view)| view.data_len() > 0));
    let file = safetensors::serialize(views, None)?;
    let digest = hex(&Sha256::digest(&file));
    Ok((file, digest))
}

/// The card as it is written: indented, with an end of line.
///
/// # Errors
/// A number is not finite.
pub fn card(card: &HeadCard) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = serde_json::to_vec_pretty(card)?;
    text.push(b'\n');
    Ok(text)
}

/// Puts weights and card into a folder.
///
/// # Errors
/// The folder cannot be written.
pub fn files(folder: &Path, weights: &[u8], card: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(WEIGHTS), weights)?;
    std::fs::write(folder.join(CARD), card)
}

fn packed(numbers: &[f32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| f16::from_f32(*number).to_le_bytes())
        .collect()
}
