//! A writer's progress: phases as they begin, and the cost of a step.

use crate::error::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// The phase of its work that a writer begins; see [`Writer::on_phase`](super::Writer::on_phase).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Take a box.
    Put,
    /// Compress this rank's boxes.
    Compress,
    /// Write data, together.
    Data,
    /// Write a commit's index, on rank 0.
    Index,
    /// Name the index in the superblock, on rank 0: the commit.
    Commit,
    /// Close the file, together.
    Close,
}

/// The work of ending a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepReport {
    /// Steps that were committed: none while a window fills.
    pub steps: u64,
    /// This rank's chunks, the bytes of their fields and of their streams.
    pub chunks: u64,
    /// Bytes of this rank's values.
    pub input_bytes: u64,
    /// Bytes of this rank's streams.
    pub stream_bytes: u64,
    /// Bytes of the commit's index, definitions among them; on rank 0.
    pub index_bytes: u64,
    /// Seconds that this rank worked alone: copies, statistics and compression.
    pub local_seconds: f64,
    /// Seconds in the reductions that follow this rank's own work: waiting for the rank that comes last.
    pub wait_seconds: f64,
    /// Seconds of everything else: further reductions, offsets, writing, the index.
    pub collective_seconds: f64,
    /// Values of this rank's boxes that were found to mark points without data, although nobody had named them
    /// ([`crate::Options::sentinels`]), in order: those points are kept bit for bit.
    pub sentinels: Vec<f64>,
}

impl StepReport {
    pub(super) fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.chunks += other.chunks;
        self.input_bytes += other.input_bytes;
        self.stream_bytes += other.stream_bytes;
        self.index_bytes += other.index_bytes;
        self.local_seconds += other.local_seconds;
        self.wait_seconds += other.wait_seconds;
        self.collective_seconds += other.collective_seconds;
        self.sentinels.extend(&other.sentinels);
        self.sentinels.sort_by(f64::total_cmp);
        self.sentinels.dedup();
    }
}

/// Told of every phase.
pub(super) type Observer = Option<Box<dyn FnMut(Phase)>>;

pub(super) fn enter(observer: &mut Observer, phase: Phase) {
    if let Some(observer) = observer {
        observer(phase);
    }
}

/// The result of `work`, or an error where it panicked: a panic on one rank must not leave the others waiting.
pub(super) fn unpanicked<O>(work: impl FnOnce() -> Result<O>) -> Result<O> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::internal("compression panicked")))
}

/// Seconds of a commit that were this rank's own work, and that it waited; the rest of it is collective.
#[derive(Default)]
pub(super) struct Clock {
    pub(super) local: f64,
    pub(super) wait: f64,
}

impl Clock {
    /// Does this rank's own work.
    pub(super) fn work<O>(&mut self, work: impl FnOnce() -> O) -> O {
        let begin = Instant::now();
        let out = work();
        self.local += begin.elapsed().as_secs_f64();
        out
    }

    /// Does the reduction that follows this rank's own work: nearly all of its time is waiting for the rank that comes
    /// last.
    pub(super) fn wait<O>(&mut self, rank: usize, reduction: impl FnOnce() -> O) -> O {
        let _span = tracing::info_span!("archive.wait", rank).entered();
        let begin = Instant::now();
        let out = reduction();
        self.wait += begin.elapsed().as_secs_f64();
        out
    }
}
