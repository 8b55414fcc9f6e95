//! Coding what a segment's points or blocks need beyond their reconstruction to meet their bound.
//!
//! In: a window's reconstruction, as a reader makes it, and the original. Out: the byte string of the segment's
//! corrections.

use super::context::FieldContext;
use super::units::{finish, in_units};
use crate::bound::{
    Bound, block,
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

    /// Codes what a window's points or blocks need beyond `frames` to meet the bound; false where nothing will do.
    /// `classes` is empty where no point is masked.
    ///
    /// # Errors
    /// `Internal` where sizes contradict each other.
    pub(super) fn window<R: Kernel>(
        &mut self,
        frames: &[R],
        classes: &[u8],
        window: Range<usize>,
        header: &SegmentHeader,
    ) -> Result<bool> {
        let _span = tracing::debug_span!("correct").entered();
        if let Some(epsilon) = self.context.pointwise() {
            self.points(frames, classes, window, epsilon, header)?;
        } else if let Bound::BlockL2(tau) = self.context.bound {
            return self.blocks(frames, classes, window, self.context.block_target::<T>(tau, header));
        }
        Ok(true)
    }

    /// Codes what a window's points need to have no error above `epsilon`.
    fn points<R: Kernel>(
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

    /// Codes what a window's blocks need for their errors to have norms of at most `target`; false where nothing will do.
    fn blocks<R: Kernel>(&mut self, frames: &[R], classes: &[u8], window: Range<usize>, target: f64) -> Result<bool> {
        if target.is_nan() || target <= 0.0 {
            return Ok(false);
        }
        self.source.starting_at(window.start).original(window.len(), &mut self.exact);
        let exact: Vec<f64> = self.exact.iter().map(|v| v.to_f64()).collect();
        let dims = [window.len(), self.source.segment.h, self.source.segment.w];
        let classes = Some(classes).filter(|classes| classes.iter().any(|&class| class != 0));
        let mut decoded = in_units(frames, self.context);
        let stats = block::encode(&mut self.coder, &exact, &mut decoded, classes, dims, target)?;
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
