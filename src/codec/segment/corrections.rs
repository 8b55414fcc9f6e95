//! Coding what a segment's points or blocks need beyond their reconstruction to meet their bound.
//!
//! In: a window's reconstruction, as a reader makes it, and the original. Out: the byte string of the segment's
//! corrections.

use super::context::FieldContext;
use super::units::finish;
use crate::bound::{
    block,
    check::POINT_DRIFT,
    pointwise::{HalfWidth, PointwiseModel},
};
use crate::entropy::Encoder;
use crate::error::Result;
use crate::field::Element;
use crate::residual::kernels::Kernel;
use crate::stream::SegmentHeader;
use crate::window::Source;
use std::ops::Range;

/// The corrections of a segment's windows, one after another.
pub(super) struct Corrections<'a, T> {
    source: Source<'a, T>,
    context: FieldContext<'a>,
    coder: Encoder,
    /// Whether there are any.
    needed: bool,
    pointwise: PointwiseModel,
    exact: Vec<T>,
    values: Vec<T>,
}

impl<'a, T: Element> Corrections<'a, T> {
    pub(super) fn new(source: &Source<'a, T>, context: FieldContext<'a>) -> Self {
        Self {
            source: *source,
            context,
            coder: Encoder::new(Vec::new()),
            needed: false,
            pointwise: PointwiseModel::new(source.segment.h, source.segment.w),
            exact: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Codes what a window's points need beyond `frames` to have no error above `epsilon`.
    ///
    /// # Errors
    /// `Internal` where sizes contradict each other.
    pub(super) fn points<R: Kernel>(
        &mut self,
        frames: &[R],
        classes: &[u8],
        window: Range<usize>,
        epsilon: f64,
        header: &SegmentHeader,
    ) -> Result<()> {
        let context = self.context;
        self.source.starting_at(window.start).original(window.len(), &mut self.exact);
        finish(frames, classes, context, &mut self.values);
        // Room for device drift (see Errors::hold).
        let allowed = context.allowance(epsilon) - POINT_DRIFT * context.drift(header);
        let width = HalfWidth { epsilon, allowed, limits: context.limits() };
        let (exact, values) = (&self.exact, &mut self.values);
        self.needed |= self.pointwise.encode(&mut self.coder, exact, values, classes, width)?;
        Ok(())
    }

    /// Corrects a window's blocks, in the field's units, until their errors have norms of at most `tau`, and codes that;
    /// false where nothing will do. `classes` is empty where no point is masked.
    ///
    /// # Errors
    /// `Internal` where sizes contradict each other.
    pub(super) fn blocks(
        &mut self,
        decoded: &mut [f64],
        classes: &[u8],
        window: Range<usize>,
        tau: f64,
    ) -> Result<bool> {
        let target = self.context.block_target::<T>(tau);
        if target.is_nan() || target <= 0.0 {
            return Ok(false);
        }
        self.source.starting_at(window.start).original(window.len(), &mut self.exact);
        let exact: Vec<f64> = self.exact.iter().map(|v| v.to_f64()).collect();
        let dims = [window.len(), self.source.segment.h, self.source.segment.w];
        let classes = Some(classes).filter(|classes| classes.iter().any(|&class| class != 0));
        let stats = block::encode(&mut self.coder, &exact, decoded, classes, dims, target)?;
        self.needed |= stats.corrected > 0;
        Ok(true)
    }

    /// The byte string: empty where nothing needs correction.
    pub(super) fn finish(self) -> Vec<u8> {
        if !self.needed {
            return Vec::new();
        }
        let mut bytes = self.coder.finish();
        // An empty byte string would mean that there are no corrections.
        if bytes.is_empty() {
            bytes.push(0);
        }
        bytes
    }
}
