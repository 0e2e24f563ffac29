//! Where the tools are that demo, suites and benches run.

use std::path::{Path, PathBuf};

/// The programs and folders that `setup` provides.
pub(crate) struct Toolbox {
    /// The Python of the project's own environment.
    pub(crate) python: PathBuf,
    /// The Envoy binary.
    pub(crate) envoy: PathBuf,
    /// The folder of the language model.
    pub(crate) assets: PathBuf,
    /// The folder of the encoders and of ONNX Runtime.
    pub(crate) models: PathBuf,
}

impl Toolbox {
    /// Returns the environment variables by which tests and demo find the tools.
    pub(crate) fn variables(&self) -> [(&'static str, &Path); 4] {
        [
            ("MERIT_PYTHON", &self.python),
            ("MERIT_ENVOY", &self.envoy),
            ("MERIT_ASSETS", &self.assets),
            ("MERIT_MODELS", &self.models),
        ]
    }

    /// Returns the same tools with another Envoy.
    pub(crate) fn with_envoy(self, envoy: PathBuf) -> Self {
        Self { envoy, ..self }
    }
}
