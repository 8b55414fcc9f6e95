//! What an encoder knows of its own output, so that the check makes nothing twice: the errors of the values that it
//! reconstructed, and a fingerprint of what each window was reconstructed from. A decoder that reads the same from the
//! bytes makes the same values of it, by the same functions.

use super::context::FieldContext;
use super::fingerprint::{Checked, fingerprint};
use super::frames::Frames;
use super::units::finish;
use crate::bound::{Bound, check::Errors};
use crate::error::Result;
use crate::field::Element;
use crate::predict::CodedWindow;
use crate::residual::kernels::Kernel;
use crate::stream::{PredictionMode, SegmentHeader};
use crate::window::Source;
use std::time::Instant;

/// Gathers what is checked, window by window.
pub(super) struct Checker<'a, T> {
    source: &'a Source<'a, T>,
    context: FieldContext<'a>,
    errors: Errors,
    windows: Vec<u64>,
    exact: Vec<T>,
    values: Vec<T>,
}

impl<'a, T: Element> Checker<'a, T> {
    /// `None` where something is made of a window's frames that the encoder does not have: corrections, enhancement; and
    /// where a model takes part, or frames depend on each other.
    pub(super) fn new(source: &'a Source<'a, T>, context: FieldContext<'a>, header: &SegmentHeader) -> Option<Self> {
        let alone = matches!(header.mode, PredictionMode::Transform | PredictionMode::Previous);
        let uncorrected = context.pointwise().is_none() && !matches!(context.bound, Bound::BlockL2(_));
        (alone && uncorrected && !header.needs_model()).then(|| Self {
            source,
            context,
            errors: Errors::new(context.normalisation.scale()),
            windows: Vec::new(),
            exact: Vec::new(),
            values: Vec::new(),
        })
    }

    /// Takes in a window before it is written (what writing made of it would be read back, too): what it was
    /// reconstructed from, and its frames, `first` being the first one. Gives the seconds that this took.
    ///
    /// # Errors
    /// `Internal` where a masked point is not bit-exact.
    pub(super) fn add<R: Kernel>(
        &mut self,
        coded: &CodedWindow<R>,
        decoded: &[R],
        frames: &Frames<R>,
        first: usize,
    ) -> Result<f64> {
        let begin = Instant::now();
        let _span = tracing::debug_span!("compare").entered();
        let segment = self.source.segment;
        finish(decoded, &frames.classes, self.context, &mut self.values);
        self.source.starting_at(first).original(coded.count, &mut self.exact);
        let dims = [coded.count, segment.h, segment.w];
        self.errors.add(&self.exact, &self.values, dims, self.context.specials, false)?;
        let masked = !self.context.specials.is_empty();
        self.windows.push(fingerprint(coded, if masked { &frames.classes } else { &[] }));
        Ok(begin.elapsed().as_secs_f64())
    }

    /// What is known once all windows are there, of a segment of this header.
    pub(super) fn finish(self, header: SegmentHeader) -> Checked {
        Checked { errors: self.errors, windows: self.windows, header }
    }
}
