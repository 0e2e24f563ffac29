//! ONNX Runtime behind the backend of `inference`: the library, execution providers, sessions, tensors.
