//! What every call of a codec works with.

use super::effort::EffortKnobs;
use super::workers::Workers;
use crate::error::Result;
use crate::model::Model;
use crate::options::Options;
use rayon::prelude::*;
use std::ops::Range;

/// What a call works with.
pub(crate) struct Tools<'a> {
    pub(super) options: &'a Options,
    pub(super) package: Option<&'a Model>,
    pub(super) workers: &'a Workers,
    /// Whether a field's mean is to be kept closely, as where more than a size is asked.
    pub(super) keeps_mean: bool,
}

impl Tools<'_> {
    /// The knobs of its effort.
    pub(super) fn knobs(&self) -> &'static EffortKnobs {
        EffortKnobs::of(self.options.effort)
    }

    /// `f` of every index, on the codec's threads, in order; the first error in order wins.
    pub(super) fn map<O: Send>(
        &self,
        range: Range<usize>,
        f: impl Fn(usize) -> Result<O> + Sync + Send,
    ) -> Result<Vec<O>> {
        let pool = &self.workers.pool;
        if range.len() < 2 || pool.current_num_threads() == 1 || self.workers.are_gone() {
            return range.map(f).collect();
        }
        let results: Vec<Result<O>> = pool.install(|| range.into_par_iter().map(f).collect());
        results.into_iter().collect()
    }
}
