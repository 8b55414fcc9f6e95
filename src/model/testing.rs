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
        RuntimeStatus::NotBuilt => {}
    }
}

/// Seconds that this thread takes for one of `runs` runs, as the kernel counts them: other programs on the machine do
/// not matter, and its ticks of milliseconds matter little over many runs.
pub(crate) fn thread_seconds(runs: usize, mut run: impl FnMut()) -> f64 {
    let nanoseconds = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        text.split(' ').next().and_then(|number| number.parse::<f64>().ok()).unwrap_or(f64::NAN)
    };
    let start = nanoseconds();
    (0..runs).for_each(|_| run());
    (nanoseconds() - start) * 1e-9 / runs as f64
}
