//! Types of the archive's C ABI.

use crate::archive::{Reader, StepReport, Writer};
use crate::ffi::pointers::Versioned;
use std::ffi::c_char;

/// In place of a variable's number: the archive itself.
pub const FIELDPRESS_ARCHIVE_ITSELF: u32 = u32::MAX;

/// Bytes of a variable's name, with the terminating zero.
pub const FIELDPRESS_VARIABLE_NAME_BYTES: usize = 256;

/// An archive that is written, one of all ranks' handles. Opaque. One thread at a time may use it.
pub struct fieldpress_archive {
    pub(super) writer: Writer,
}

impl fieldpress_archive {
    /// The handle of a writer, for the crate that opens archives over MPI; `fieldpress_archive_close` takes it back.
    #[doc(hidden)]
    pub fn new(writer: Writer) -> *mut Self {
        Box::into_raw(Box::new(Self { writer }))
    }
}

/// An archive opened for reading. Opaque. Several threads may use it at the same time.
pub struct fieldpress_reader {
    pub(super) reader: Reader,
}

impl fieldpress_reader {
    /// The handle of a reader; `fieldpress_reader_close` takes it back.
    #[doc(hidden)]
    pub fn new(reader: Reader) -> *mut Self {
        Box::into_raw(Box::new(Self { reader }))
    }

    /// What the handle stands for.
    #[doc(hidden)]
    pub fn get(&self) -> &Reader {
        &self.reader
    }
}

const _: () = {
    const fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<fieldpress_reader>();
};

/// What ending a step did.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct fieldpress_step_report {
    /// sizeof(fieldpress_step_report), set by the caller before the call.
    pub size: usize,
    /// Steps that were committed; 0 while a window of steps fills.
    pub steps: u64,
    /// This rank's chunks.
    pub chunks: u64,
    /// Bytes of this rank's uncompressed values.
    pub input_bytes: u64,
    /// Bytes of this rank's streams.
    pub stream_bytes: u64,
    /// Bytes of the index; on rank 0, elsewhere 0.
    pub index_bytes: u64,
    /// Seconds that this rank worked alone: copies, statistics and compression.
    pub local_seconds: f64,
    /// Seconds of waiting for the slowest rank.
    pub wait_seconds: f64,
    /// Seconds of everything else: reductions, offsets, writing, the index.
    pub collective_seconds: f64,
    /// How many values of this rank's boxes were found to mark points without data (option "sentinels").
    pub sentinel_count: u64,
    /// The first of them, in order; 0 beyond sentinel_count.
    pub sentinels: [f64; super::super::FIELDPRESS_MAX_SENTINELS],
}

// SAFETY: repr(C); usize, then u64 and f64 only; see `fieldpress_report`.
unsafe impl Versioned for fieldpress_step_report {
    const FIRST_SIZE: usize = size_of::<Self>();
}

impl From<&StepReport> for fieldpress_step_report {
    fn from(report: &StepReport) -> Self {
        Self {
            size: size_of::<Self>(),
            steps: report.steps,
            chunks: report.chunks,
            input_bytes: report.input_bytes,
            stream_bytes: report.stream_bytes,
            index_bytes: report.index_bytes,
            local_seconds: report.local_seconds,
            wait_seconds: report.wait_seconds,
            collective_seconds: report.collective_seconds,
            sentinel_count: report.sentinels.len() as u64,
            sentinels: super::super::types::sentinels_of(&report.sentinels),
        }
    }
}

/// A variable of an archive.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct fieldpress_variable {
    /// sizeof(fieldpress_variable), set by the caller before the call.
    pub size: usize,
    /// Type of the values: a fieldpress_dtype.
    pub dtype: i32,
    /// Number of dimensions of the global domain.
    pub ndim: u32,
    /// Sizes of the global domain, slowest first; 1 beyond ndim.
    pub dims: [usize; super::super::FIELDPRESS_MAX_DIMS],
    /// Its name.
    pub name: [c_char; FIELDPRESS_VARIABLE_NAME_BYTES],
}

// SAFETY: repr(C); usize, 2 × 4 bytes, arrays of usize and of characters: integers only, no padding.
unsafe impl Versioned for fieldpress_variable {
    const FIRST_SIZE: usize = size_of::<Self>();
}
