//! A put that was compressed, on its way into the archive.

use crate::field::Region;

/// A put that was compressed.
#[derive(Debug)]
pub(super) struct Coded {
    pub(super) variable: usize,
    pub(super) region: Region,
    /// Of the window.
    pub(super) first: u64,
    pub(super) steps: u64,
    pub(super) depth: u32,
    pub(super) squared_error: f64,
    pub(super) input_bytes: u64,
    pub(super) bytes: Vec<u8>,
    /// Of the bytes.
    pub(super) crc: u32,
}
