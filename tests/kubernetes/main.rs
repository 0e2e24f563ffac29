//! The Helm chart and the manifests of `examples/`, without a cluster: what the real Helm renders
//! is held against the schemas of Kubernetes, against the definitions of custom resources with
//! their CEL rules, and against rules of good conduct.
//!
//! `cargo xtask setup` installs Helm and the schemas. What is not there is said (`SKIPPED`), and
//! its checks pass.

mod contents;
mod crd;
mod helm;
mod hygiene;
mod objects;
mod refused;
