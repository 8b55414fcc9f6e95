//! Whether ONNX Runtime is there, and how its sessions are made: known with and without it.

use std::path::PathBuf;

/// Whether ONNX Runtime is there.
#[derive(Clone, Debug)]
pub enum RuntimeStatus {
    /// Loaded.
    Loaded {
        /// The file; a bare name where the system's loader found it.
        path: PathBuf,
        /// Its own description: branch, commit, flags.
        build: String,
    },
    /// Not loaded: the message names the places looked at, and why a library found there did not load.
    Missing(String),
    /// This library was built without it.
    NotBuilt,
}

/// The device of sessions.
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
    /// Graph optimisations, 0 (none) to 3 (all).
    pub optimization: u8,
}
