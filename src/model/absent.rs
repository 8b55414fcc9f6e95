//! The stand-in for ONNX Runtime in a build without it: everything compiles, and running a graph is an error.

use super::FileBytes;
use super::graph::{Feed, Port};
use super::setup::{Provider, RuntimeStatus, Setup};
use crate::error::{Error, ErrorKind, Result};
use crate::options::Device;
use std::convert::Infallible;

/// Always [`RuntimeStatus::NotBuilt`].
pub fn status() -> RuntimeStatus {
    RuntimeStatus::NotBuilt
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
