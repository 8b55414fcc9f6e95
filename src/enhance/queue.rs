//! Decoded frames on their way to the enhancer, which needs a few frames after the one that it corrects.

use super::Enhancer;
use crate::error::Result;
use crate::residual::real::Real;
use std::ops::Range;

/// A segment's frames from the first that is still needed, and their masks' classes.
#[derive(Clone)]
pub(crate) struct Queue<'a> {
    enhancer: Enhancer<'a>,
    /// Frames of the segment.
    total: usize,
    /// Points of a frame.
    points: usize,
    /// The segment's frame that the first one held is.
    first: usize,
    frames: Vec<f32>,
    /// Classes of the held frames; none where there are no masks.
    classes: Vec<u8>,
    /// The next frame to come out.
    next: usize,
    corrections: Vec<f32>,
}

/// Frames that have come out.
pub(crate) struct Enhanced<'q, R> {
    /// The segment's frame that the first of them is.
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) frames: Vec<R>,
    pub(crate) classes: &'q [u8],
}

impl<'a> Queue<'a> {
    /// A queue for a segment of `total` frames of `points` points, of which those from frame `from` on shall come out.
    pub(crate) fn new(enhancer: Enhancer<'a>, total: usize, points: usize, from: usize) -> Self {
        let (frames, classes, corrections) = Default::default();
        Self { enhancer, total, points, first: 0, frames, classes, next: from, corrections }
    }

    /// How many frames before and after a frame are needed for it; planes of volumes, which come as whole ones, need none
    /// of others.
    pub(crate) fn context(&self) -> usize {
        if self.enhancer.depth == 1 { self.enhancer.context() } else { 0 }
    }

    /// Leaves out `count` frames that come next, none of which is needed.
    pub(crate) fn skip(&mut self, count: usize) {
        self.first += count;
    }

    /// Takes in the frames that come next.
    pub(crate) fn push<R: Real>(&mut self, frames: &[R], classes: &[u8]) {
        self.frames.extend(frames.iter().map(|v| v.to_f64() as f32));
        self.classes.extend_from_slice(classes);
    }

    /// Whether the frames before the segment's frame `end` can be enhanced by now.
    pub(crate) fn reaches(&self, end: usize) -> bool {
        let held = self.first + self.frames.len() / self.points;
        held == self.total || end + self.context() <= held
    }

    /// Gives out the frames before `until` that can be enhanced by now, if any.
    ///
    /// # Errors
    /// Those of the model.
    pub(crate) fn pop<R: Real>(&mut self, until: usize) -> Result<Option<Enhanced<'_, R>>> {
        let n = self.points;
        // What no frame to come needs.
        let old = (self.next.saturating_sub(self.context()).max(self.first) - self.first).min(self.frames.len() / n);
        self.frames.drain(..old * n);
        self.classes.drain(..(old * n).min(self.classes.len()));
        self.first += old;
        let end = self.first + self.frames.len() / n;
        let ready = if end == self.total { end } else { end.saturating_sub(self.context()) }.min(until);
        if ready <= self.next {
            return Ok(None);
        }
        let first = std::mem::replace(&mut self.next, ready);
        let frames = self.enhanced(first..ready)?;
        Ok(Some(Enhanced { first, count: ready - first, frames, classes: self.classes(first..ready) }))
    }

    /// The frames `wanted` of the segment, enhanced; they and the frames that they depend on must be held.
    ///
    /// # Errors
    /// Those of the model.
    pub(crate) fn enhanced<R: Real>(&mut self, wanted: impl ExactSizeIterator<Item = usize> + Clone) -> Result<Vec<R>> {
        let (n, first) = (self.points, self.first);
        let held = wanted.map(|frame| frame - first);
        self.enhancer.corrections(&self.frames, first, held.clone(), &mut self.corrections)?;
        let values = held.flat_map(|frame| &self.frames[frame * n..][..n]).zip(&self.corrections);
        Ok(values.map(|(v, c)| R::from_f64(f64::from(v + c))).collect())
    }

    /// Classes of the frames `range` of the segment, which must be held; none where there are no masks.
    pub(crate) fn classes(&self, range: Range<usize>) -> &[u8] {
        let (n, first) = (self.points, self.first);
        if self.classes.is_empty() { &[] } else { &self.classes[(range.start - first) * n..(range.end - first) * n] }
    }
}
