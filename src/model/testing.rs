//! What tests of the model share.

use super::{Model, RuntimeStatus, status};
use crate::options::Options;
use std::sync::Arc;

/// The model that `options` name; fails the test with what to do where ONNX Runtime is missing.
pub(crate) fn model(options: &Options) -> Arc<Model> {
    runtime();
    Model::open(options).unwrap_or_else(|error| panic!("the model does not open: {error}"))
}

/// Fails the test with what to do where ONNX Runtime is missing.
pub(crate) fn runtime() {
    match status() {
        RuntimeStatus::Loaded { .. } => {}
        RuntimeStatus::Missing(message) => {
            panic!("this test needs ONNX Runtime, which the README's test command installs: {message}")
        }
        RuntimeStatus::NotBuilt => panic!("this test needs the Cargo feature 'onnx'"),
    }
}
