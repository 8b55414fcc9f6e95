//! The frames of a segment's windows in working units.

use super::context::FieldContext;
use crate::field::{Element, fill_holes};
use crate::residual::kernels::Kernel;
use crate::window::Source;

/// One frame in so many speaks for all; a number that meets every layer of a hierarchy.
pub(crate) const PART: usize = 3;

/// A window's frames in working units, holes filled, and its mask.
#[derive(Default)]
pub(crate) struct Frames<R> {
    pub(crate) frames: Vec<R>,
    pub(crate) classes: Vec<u8>,
    pub(crate) masked: bool,
    /// The smallest and the largest value of the output.
    pub(crate) limits: [R; 2],
}

impl<R: Kernel> Frames<R> {
    /// Gathers `count` frames from frame `first` on.
    pub(crate) fn load<T: Element>(
        &mut self,
        source: &Source<'_, T>,
        context: &FieldContext<'_>,
        first: usize,
        count: usize,
    ) {
        let _span = tracing::debug_span!("gather").entered();
        let norm = context.normalisation;
        let (frames, classes) = (&mut self.frames, &mut self.classes);
        self.masked = source.starting_at(first).normalised(count, norm, context.specials, frames, classes);
        self.limits = [norm.min, norm.max].map(|v| R::from_f64((v - norm.mean) / norm.scale()));
        if self.masked {
            fill_holes(&mut self.frames, &self.classes, count, source.segment.h, source.segment.w);
        }
    }

    /// The share of its points that are valid.
    pub(crate) fn valid_share(&self) -> f64 {
        if !self.masked {
            return 1.0;
        }
        self.classes.iter().filter(|&&class| class == 0).count() as f64 / self.classes.len() as f64
    }

    /// Squared error of `decoded` over valid points, clamped to the field's range as a decoder's output is.
    pub(crate) fn squared_error(&self, decoded: &[R]) -> f64 {
        let classes = if self.masked { self.classes.as_slice() } else { &[] };
        squared_error(&self.frames, decoded, classes, self.limits)
    }
}

/// Squared error of `decoded`, clamped to `limits`, over the points whose class is 0; over all where no classes are
/// given.
pub(crate) fn squared_error<R: Kernel>(frames: &[R], decoded: &[R], classes: &[u8], limits: [R; 2]) -> f64 {
    if classes.is_empty() {
        return R::squared_error(frames, decoded, limits);
    }
    let points = frames.iter().zip(decoded).zip(classes);
    let [low, high] = limits.map(R::to_f64);
    points
        .map(|((a, b), &class)| if class == 0 { (a.to_f64() - b.to_f64().clamp(low, high)).powi(2) } else { 0.0 })
        .sum()
}

/// Limits that clamp nothing.
pub(crate) fn unlimited<R: Kernel>() -> [R; 2] {
    [f64::NEG_INFINITY, f64::INFINITY].map(R::from_f64)
}
