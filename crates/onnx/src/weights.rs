//! Weights that all sessions of a graph share: read once from the file, given to every session
//! instead of its own copy.

use ort::session::builder::SessionBuilder;
use ort::value::{DynValue, Tensor};
use prost::Message;
use std::sync::Arc;

/// The large initializers of a graph, by name.
#[derive(Default)]
pub(crate) struct Weights(Vec<(String, Arc<DynValue>)>);

/// Tables of embeddings are as large. Matrices are smaller, and each session packs them in its own
/// way: shared, they would be kept twice.
const LARGE: usize = 4 << 20;

impl Weights {
    /// Finds them in an ONNX file. A file that cannot be read here shares nothing; the runtime has
    /// the last word on it.
    pub(crate) fn of(file: &[u8]) -> Self {
        let Ok(model) = Model::decode(file) else {
            return Self::default();
        };
        let large = model
            .graph
            .map(|graph| graph.initializers)
            .unwrap_or_default()
            .into_iter();
        let large = large.filter(|tensor| tensor.raw.len() >= LARGE);
        Self(
            large
                .filter_map(|tensor| Some((tensor.name.clone(), Arc::new(tensor.value()?))))
                .collect(),
        )
    }

    /// Gives them to a session that is about to open.
    pub(crate) fn give(&self, builder: SessionBuilder) -> Result<SessionBuilder, ort::Error> {
        let mut builder = builder;
        for (name, value) in &self.0 {
            builder = builder.with_initializer(name, Arc::clone(value))?;
        }
        Ok(builder)
    }
}

/// The parts of the ONNX format that lead to weights.
#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "5")]
    initializers: Vec<Initializer>,
}

#[derive(Clone, PartialEq, Message)]
struct Initializer {
    #[prost(int64, repeated, tag = "1")]
    dimensions: Vec<i64>,
    #[prost(int32, tag = "2")]
    kind: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw: Vec<u8>,
}

impl Initializer {
    fn value(self) -> Option<DynValue> {
        let shape = self.dimensions;
        match self.kind {
            1 => {
                let floats = self
                    .raw
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                Some(
                    Tensor::from_array((shape, floats.collect::<Vec<_>>()))
                        .ok()?
                        .into_dyn(),
                )
            }
            2 => Some(Tensor::from_array((shape, self.raw)).ok()?.into_dyn()),
            3 => {
                let bytes = self.raw.into_iter().map(u8::cast_signed);
                Some(
                    Tensor::from_array((shape, bytes.collect::<Vec<_>>()))
                        .ok()?
                        .into_dyn(),
                )
            }
            _ => None,
        }
    }
}
