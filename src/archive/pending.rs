//! A put on its way: values kept until their window is full, then a stream.

use super::buffer::Buffer;
use super::chain::{self, Chains, Link};
use super::coded::Coded;
use crate::bound::Bound;
use crate::codec::{Codec, error_curve};
use crate::error::Result;
use crate::field::{Axes, FieldStats, FieldView, Region};
use crate::options::{Options, Sentinels};

/// A box of a variable over some steps of the window.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) variable: usize,
    pub(super) region: Region,
    pub(super) bound: Bound,
    /// The value of points without data.
    pub(super) fill: Option<f64>,
    /// Of the window.
    pub(super) first: usize,
    pub(super) steps: usize,
    values: Buffer,
    /// Of all its steps, once [`Pending::look`] has seen them.
    stats: Statistics,
}

/// Which windows a window may follow in time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Following<'a> {
    /// The newest committed window of each box.
    pub(super) chains: &'a Chains,
    /// The window's first step.
    pub(super) first_step: u64,
    /// Every so many windows of a box one follows none.
    pub(super) keyframe: usize,
}

/// Number and range of a box's valid values, and what marks the others beside its fill value.
#[derive(Clone, Debug, Default)]
pub(super) struct Statistics {
    pub(super) valid: usize,
    pub(super) min: f64,
    pub(super) max: f64,
    /// Sentinels that were found here, or in the variable's other boxes.
    pub(super) sentinels: Vec<f64>,
}

/// Values of boxes that were found to mark points without data, in order.
pub(super) fn found(pending: &[Pending], sentinels: &Sentinels) -> Vec<f64> {
    let mut found: Vec<f64> = match sentinels {
        Sentinels::Auto => pending.iter().flat_map(|put| &put.stats.sentinels).copied().collect(),
        Sentinels::Off | Sentinels::Given(_) => Vec::new(),
    };
    found.sort_by(f64::total_cmp);
    found.dedup();
    found
}

impl Pending {
    pub(super) fn new(variable: usize, region: Region, bound: Bound, first: usize, field: &FieldView<'_>) -> Self {
        let mut values = Buffer::new(field.dtype());
        values.push(field);
        Self { variable, region, bound, fill: None, first, steps: 1, values, stats: Statistics::default() }
    }

    /// Adds the step after its last one.
    pub(super) fn push(&mut self, field: &FieldView<'_>) {
        self.values.push(field);
        self.steps += 1;
    }

    /// Forgets the window's steps from `end` on.
    pub(super) fn truncate(&mut self, end: usize) {
        if self.first + self.steps > end {
            self.steps = end.saturating_sub(self.first);
            self.values.truncate(self.steps * self.points());
        }
    }

    /// Tells what is data in all its steps: what the codec will. With `others`, sentinels of the variable's other boxes
    /// are such here, too, which this box may not show: it may hold nothing else.
    ///
    /// # Errors
    /// `Internal`.
    pub(super) fn look(&mut self, sentinels: &Sentinels, others: &[f64]) -> Result<()> {
        let mut known = self.stats.sentinels.clone();
        known.extend(others.iter().filter(|other| !self.stats.sentinels.contains(other)));
        if !known.is_empty() && known.len() == self.stats.sentinels.len() {
            return Ok(());
        }
        let asked = if known.is_empty() { sentinels.clone() } else { Sentinels::Given(known) };
        let found = FieldStats::of(&self.values.view(&self.dims())?, self.fill, &asked);
        let sentinels = if let Sentinels::Given(known) = asked { known } else { found.sentinels };
        self.stats = Statistics { valid: found.valid, min: found.min, max: found.max, sentinels };
        Ok(())
    }

    /// Of all its steps, after [`Pending::look`].
    pub(super) fn stats(&self) -> &Statistics {
        &self.stats
    }

    /// The codec's options for this box: its fill value, and no other sentinels than it has.
    fn options(&self, codec: &Codec) -> Options {
        Options {
            fill_value: self.fill,
            sentinels: Sentinels::Given(self.stats.sentinels.clone()),
            axes: self.axes(codec.options().axes),
            ..codec.options().clone()
        }
    }

    fn points(&self) -> usize {
        self.region.count.iter().product()
    }

    fn dims(&self) -> Vec<usize> {
        let steps = (self.steps > 1).then_some(self.steps);
        steps.into_iter().chain(self.region.count.iter().copied()).collect()
    }

    /// The axes that are frames, rows and columns, where the default is not meant.
    fn axes(&self, given: Option<Axes>) -> Option<Axes> {
        chain::axes(self.steps, self.region.count.len(), given)
    }

    /// Estimated sums of squared errors at quantiser steps, both over the (squared) `range`.
    pub(super) fn error_curve(&self, codec: &Codec, range: f64, steps: &[f64]) -> Result<Vec<f64>> {
        let own = Codec::new(self.options(codec))?;
        error_curve(&self.values.view(&self.dims())?, &own, own.options().axes, range, steps)
    }

    /// The stream of this box, after the window before it where there is one, and what the next window may follow.
    /// `range` is that of the variable, where it is not 0.
    pub(super) fn compress(
        &self,
        codec: &Codec,
        bound: Bound,
        range: Option<f64>,
        following: &Following<'_>,
    ) -> Result<(Coded, Option<Link>)> {
        let &Following { chains, first_step, keyframe } = following;
        let field = self.values.view(&self.dims())?;
        let count = &self.region.count;
        let own = self.options(codec);
        let axes = own.axes;
        let in_time = keyframe > 1 && chain::is_in_time(self.steps, count.len(), axes);
        let key = chain::key(self.variable, &self.region);
        let begins = |link: &&Link| link.end == first_step + self.first as u64 && (link.depth as usize) + 1 < keyframe;
        let link = chains.get(&key).filter(|_| in_time).filter(begins);
        let dims = chain::frame_dims(count);
        let before = link.map(|link| link.before(&dims)).transpose()?;
        // What follows a window has the axes that windows in time have. Blocks lie along those that are documented.
        let open = link.is_none() && chain::is_open(self.steps, count.len(), codec.options().axes);
        let open = open && !matches!(bound, Bound::BlockL2(_));
        let options = Options { range, axes: if open { None } else { axes }, ..own };
        let (bytes, report) = codec.compress_with(&options, &field, bound, before.as_ref())?;
        // Streams without segments, such as constant ones, follow none.
        let link = link.filter(|_| report.info.follows);
        let depth = link.map_or(0, |link| link.depth + 1);
        let end = first_step + (self.first + self.steps) as u64;
        let followed = in_time && report.info.axes == axes && (depth as usize) + 1 < keyframe;
        let decoded = followed.then(|| Link::decode(codec, &bytes, field.dtype(), self.steps, count, link));
        let next = match decoded.transpose() {
            Ok(frame) => frame.map(|frame| Link { end, depth, drift: report.drift, frame }),
            // The stream has been checked; the model has failed since. The next window begins anew, with a model or
            // without.
            Err(error) if options.fm.goes_without(&error) => {
                tracing::warn!(reason = error.message(), "fm=auto: the model fails, the next window follows none");
                None
            }
            Err(error) => return Err(error),
        };
        let coded = Coded {
            variable: self.variable,
            region: self.region.clone(),
            first: self.first as u64,
            steps: self.steps as u64,
            depth,
            squared_error: report.info.nrmse * report.info.nrmse * self.stats().valid as f64,
            input_bytes: field.byte_len() as u64,
            crc: crc32fast::hash(&bytes),
            bytes,
        };
        Ok((coded, next))
    }
}
