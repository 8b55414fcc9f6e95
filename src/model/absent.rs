//! What stands in for ONNX Runtime in a build without it: everything compiles, and running a graph is an error.

use super::FileBytes;
use super::graph::{Feed, Port};
use crate::error::{Error, ErrorKind, Result};
use crate::options::Device;
use std::convert::Infallible;
use std::path::PathBuf;

/// Whether ONNX Runtime is there.
#[derive(Clone, Debug)]
pub enum RuntimeStatus {
    /// Loaded from this path; never in this build.
    Loaded {
        /// Where it was found.
        path: PathBuf,
        /// Its own description.
        build: String,
    },
    /// Not loaded; never in this build.
    Missing(String),
    /// This library was built without it.
    NotBuilt,
}

/// That it is not there.
pub fn status() -> RuntimeStatus {
    RuntimeStatus::NotBuilt
}

/// Where sessions run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Provider {
    /// The CPU.
    Cpu,
    /// CUDA, on the device of this number.
    Cuda(u32),
}

/// How a session is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// The device.
    pub provider: Provider,
    /// Threads of one run.
    pub threads: usize,
    /// Graph optimisations, 0 to 3.
    pub optimization: u8,
}

/// A graph; there is none in this build.
pub(crate) struct Graph(Infallible);

/// An error: no device runs graphs in this build.
pub(crate) fn providers(_device: Device) -> Result<(Provider, bool)> {
    Err(Error::new(ErrorKind::Runtime, "built without ONNX Runtime (Cargo feature 'onnx'): no model can run"))
}

impl Graph {
    /// An error, as [`providers`].
    pub fn new(_: &str, _: FileBytes, _: (Vec<Port>, Vec<Port>), _: Setup, _: usize) -> Result<Self> {
        providers(Device::Cpu).and_then(|_| Err(Error::internal("no graphs in this build")))
    }

    /// Never called.
    pub fn run(&self, _inputs: &[Feed<'_>], _shapes: &[&[usize]]) -> Result<Vec<Vec<f32>>> {
        match self.0 {}
    }
}
