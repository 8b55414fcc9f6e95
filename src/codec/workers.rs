//! The threads that codecs work with.

use crate::error::{Error, ErrorKind, Result};
use crate::fork_lock::ForkLock;
use std::sync::{Arc, Weak};

/// A pool of threads, shared by all codecs of the process that want as many: a codec may be made for every call, as
/// where the range that bounds refer to changes from step to step, and starts no threads then.
pub(crate) struct Workers {
    pub(super) pool: Arc<rayon::ThreadPool>,
    /// The process that started them.
    process: u32,
}

/// By process and number of threads.
type Known = Vec<(u32, usize, Weak<rayon::ThreadPool>)>;

impl Workers {
    /// # Errors
    /// `Runtime` where threads cannot be started, or in a child that was forked while others were.
    pub(super) fn of(threads: usize) -> Result<Self> {
        static KNOWN: ForkLock<Known> = ForkLock::new(Vec::new());
        let process = std::process::id();
        let mut known = KNOWN.lock()?;
        known.retain(|(_, _, pool)| pool.strong_count() > 0);
        let mut alike = known.iter().filter(|&&(p, n, _)| (p, n) == (process, threads));
        if let Some(pool) = alike.find_map(|(_, _, pool)| pool.upgrade()) {
            return Ok(Self { pool, process });
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|k| format!("fieldpress-{k}"))
            .build()
            .map_err(|error| Error::new(ErrorKind::Runtime, format!("{threads} threads cannot be started: {error}")))?;
        let pool = Arc::new(pool);
        known.push((process, threads, Arc::downgrade(&pool)));
        Ok(Self { pool, process })
    }

    /// Whether this process is a child of the one that started them: threads do not survive a fork, and waiting for
    /// them would have no end.
    pub(super) fn are_gone(&self) -> bool {
        std::process::id() != self.process
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_share_threads() {
        let (a, b, c) = (Workers::of(3).unwrap(), Workers::of(3).unwrap(), Workers::of(2).unwrap());
        assert!(Arc::ptr_eq(&a.pool, &b.pool) && !Arc::ptr_eq(&a.pool, &c.pool));
        assert!(!a.are_gone());
    }
}
