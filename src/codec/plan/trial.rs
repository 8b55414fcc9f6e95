//! Samples of a segment, on which candidates are tried.

use crate::codec::effort::SampleSize;
use crate::codec::segment::context::FieldContext;
use crate::codec::segment::frames::{Frames, unlimited};
use crate::codec::segment::state::{Prepared, SegmentState};
use crate::entropy::Cost;
use crate::error::Result;
use crate::field::Element;
use crate::predict::hierarchical::ModelUse;
use crate::predict::{CodedWindow, Step};
use crate::residual::kernels::Kernel;
use crate::residual::layout::Layout;
use crate::stream::SegmentHeader;
use crate::window::Source;

/// Frames of a sample: a key frame and the longest window. Segments of fewer than twice as many are sampled whole along
/// their frames, which are often a volume's levels and not alike.
const SAMPLE_FRAMES: usize = 33;
/// A sample of at least this many values is always taken (or the segment, where that is smaller).
const SAMPLE_VALUES: usize = 1 << 17;
/// A sample on which the model is tried has frames of at least this many points (or the tile's, where that is smaller):
/// on smaller ones it sees too much of the padding, and the adaptive coder has learnt too little to tell.
const MODEL_AREA: usize = 128 * 128;
/// The share of a segment that a sample takes at normal effort.
const SAMPLE_SHARE: usize = 8;
/// About how many bits an entry of a stored basis takes.
const BASIS_BITS: f64 = 16.0;

/// A piece of a segment, in working units.
pub(crate) struct Sample<R> {
    /// `[count][h][w]`.
    pub(crate) frames: Vec<R>,
    pub(crate) count: usize,
    pub(crate) layout: Layout,
    /// What of a frame before the segment lies before the sample.
    pub(crate) reference: Option<Vec<R>>,
    /// What it is of its segment.
    pub(crate) share: f64,
}

impl<R: Kernel> Sample<R> {
    /// A piece of a segment from its middle: about [`SAMPLE_FRAMES`] frames, and as much of each as the effort allows.
    pub(crate) fn take<T: Element>(source: &Source<'_, T>, context: &FieldContext<'_>, size: SampleSize) -> Self {
        let segment = source.segment;
        let total = segment.points();
        if size == SampleSize::Whole {
            return Self::piece(source, context, segment.count, segment.h * segment.w);
        }
        let frames = segment.count / segment.depth;
        let count = if frames < 2 * SAMPLE_FRAMES { segment.count } else { SAMPLE_FRAMES * segment.depth };
        let limit = (total / SAMPLE_SHARE).max(SAMPLE_VALUES);
        Self::piece(source, context, count, (limit / count).max(1024))
    }

    /// A larger one, where [`Sample::take`]'s is too small for the model.
    pub(crate) fn wider<T: Element>(&self, source: &Source<'_, T>, context: &FieldContext<'_>) -> Option<Self> {
        let enough = self.layout.len() >= MODEL_AREA.min(source.segment.h * source.segment.w);
        (!enough).then(|| Self::piece(source, context, self.count, MODEL_AREA))
    }

    /// `count` planes from a segment's middle, those of whole frames, of about `area` points (all, where there are fewer) from the tile's
    /// middle.
    fn piece<T: Element>(source: &Source<'_, T>, context: &FieldContext<'_>, count: usize, area: usize) -> Self {
        let segment = source.segment;
        let area = area.min(segment.h * segment.w);
        // The same shape as the tile, smaller.
        let shrink = (area as f64 / (segment.h * segment.w) as f64).sqrt();
        let side = |n: usize| ((n as f64 * shrink).round() as usize).clamp(n.min(32), n);
        let (h, w) = (side(segment.h), side(segment.w));
        let (y0, x0) = ((segment.h - h) / 2, (segment.w - w) / 2);
        let first = (segment.count - count) / 2 / segment.depth * segment.depth;
        let mut piece = *segment;
        (piece.h, piece.w, piece.count) = (h, w, count);
        let mut placement = source.starting_at(first).placement;
        placement.start += y0 * placement.strides[2] + x0 * placement.strides[3];
        let piece = Source { values: source.values, segment: &piece, placement };
        let mut frames = Frames::default();
        frames.load(&piece, context, 0, count);
        let reference = context.reference_frame(segment).filter(|_| first == 0).map(|frame: Vec<R>| {
            frame.chunks_exact(segment.w).skip(y0).take(h).flat_map(|row| row[x0..x0 + w].to_vec()).collect()
        });
        let share = (count * h * w) as f64 / segment.points() as f64;
        Self { frames: frames.frames, count, layout: Layout::of_volumes(segment.depth, h, w), reference, share }
    }

    /// What it comes to with a header at a step; `None` where an index would be too large.
    ///
    /// # Errors
    /// What the model says.
    pub(crate) fn try_out(
        &self,
        header: &SegmentHeader,
        step: f64,
        model: ModelUse<'_>,
    ) -> Result<Option<TrialOutcome>> {
        self.try_and_see(header, step, model, |_| ())
    }

    /// As [`Sample::try_out`], and shows each window that a decoder gets to `see`.
    ///
    /// # Errors
    /// What the model says.
    pub(crate) fn try_and_see(
        &self,
        header: &SegmentHeader,
        step: f64,
        model: ModelUse<'_>,
        mut see: impl FnMut(&[R]),
    ) -> Result<Option<TrialOutcome>> {
        let _span = tracing::debug_span!("trial").entered();
        let (mut side, mut indices) = (Cost::default(), Cost::default());
        let (mut error, mut coefficients) = (0.0, 0.0);
        let done = self.code(header, step, model, |state, window, coded, near, decoded| {
            error += R::squared_error(window, decoded, unlimited());
            coefficients += near;
            see(decoded);
            state.code_side(&mut side, coded)?;
            state.code(&mut indices, coded)
        })?;
        // A basis serves the whole segment.
        let basis = header.basis.as_ref().map_or(0.0, |basis| BASIS_BITS * basis.len() as f64 * self.share);
        Ok(done.map(|()| TrialOutcome { bits: side.bits() + indices.bits() + basis, error, coefficients }))
    }

    /// What a decoder gets of it, coded with a header at a step; `None` where an index would be too large.
    ///
    /// # Errors
    /// What the model says.
    pub(crate) fn decoded(&self, header: &SegmentHeader, step: f64, model: ModelUse<'_>) -> Result<Option<Vec<R>>> {
        let mut out = Vec::with_capacity(self.frames.len());
        let done = self.code(header, step, model, |_, _, _, _, decoded| {
            out.extend_from_slice(decoded);
            Ok(())
        })?;
        Ok(done.map(|()| out))
    }

    /// Codes it with a header at a step, and shows each window to `see`: the state before the next one, the window,
    /// what is written of it, its squared error before synthesis, and what its decoder gets. `None` where an index
    /// would be too large.
    ///
    /// # Errors
    /// What the model or `see` says.
    fn code(
        &self,
        header: &SegmentHeader,
        step: f64,
        model: ModelUse<'_>,
        mut see: impl FnMut(&mut SegmentState<'_, R>, &[R], &mut CodedWindow<R>, f64, &[R]) -> Result<()>,
    ) -> Result<Option<()>> {
        let n = self.layout.len();
        let mut state = SegmentState::<R>::new(&self.layout, header, model)?.after(self.reference.as_deref());
        let (mut prepared, mut coded) = (Prepared::default(), CodedWindow::default());
        let mut first = 0;
        for count in state.windows(self.count) {
            let window = &self.frames[first * n..][..count * n];
            prepared = state.prepare(window, count, prepared);
            let Some((near, decoded)) = state.encode(window, &prepared, count, Step::at_most(step), &mut coded)? else {
                return Ok(None);
            };
            see(&mut state, window, &mut coded, near, &decoded.frames)?;
            state.advance(decoded);
            first += count;
        }
        Ok(Some(()))
    }
}

/// What a sample came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrialOutcome {
    pub(crate) bits: f64,
    /// Squared error.
    pub(crate) error: f64,
    /// Squared error of the coefficients, which the wavelet, not quite orthonormal, enlarges by what depends on the
    /// field.
    pub(crate) coefficients: f64,
}
