//! How far a call is, told by tracing events of the target `fieldpress::progress` with the fields `done` and `total`,
//! both in values of the field. A program that wants a progress bar subscribes to them; nobody else pays for them.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a call has done so far, counted by all of its threads.
#[derive(Debug)]
pub(crate) struct Progress {
    done: AtomicU64,
    total: u64,
}

impl Progress {
    /// Nothing done of `total`.
    pub(crate) fn new(total: usize) -> Self {
        Self { done: AtomicU64::new(0), total: total as u64 }
    }

    /// Begins anew: another pass over the field is needed.
    pub(crate) fn restart(&self) {
        self.done.store(0, Ordering::Relaxed);
    }

    /// `count` more.
    pub(crate) fn add(&self, count: usize) {
        let done = self.done.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        tracing::trace!(target: "fieldpress::progress", done, total = self.total);
    }
}
