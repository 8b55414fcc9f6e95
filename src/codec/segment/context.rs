//! What all segments of a field share, on both sides.

use super::reference::{Reference, drift_of_grid};
use crate::bound::{Bound, check::BLOCK};
use crate::codec::progress::Progress;
use crate::field::{DType, Element, Normalisation, Specials};
use crate::model::Model as Package;
use crate::predict::fm;
use crate::residual::real::Real;
use crate::stream::SegmentHeader;
use crate::window::Segment;

/// How much larger than that of its input the difference between two devices' corrections by the enhancer can be, beside what
/// their own floats add.
const ENHANCER_DRIFT: f64 = 0.25;

/// What all segments of a field share when they are decoded.
#[derive(Clone, Copy)]
pub(crate) struct FieldContext<'a> {
    pub(crate) normalisation: &'a Normalisation,
    pub(crate) specials: &'a Specials,
    pub(crate) bound: Bound,
    pub(crate) range: f64,
    pub(crate) package: Option<&'a Package>,
    /// The frame before the field, where the stream follows another.
    pub(crate) reference: Option<&'a Reference>,
    /// Where how far the call is gets told.
    pub(crate) progress: Option<&'a Progress>,
    /// What the model made of the segment when it was encoded, if this is its check.
    pub(crate) memo: Option<&'a fm::Memo>,
}

impl FieldContext<'_> {
    /// The half-width that pointwise corrections are coded for, in the field's units.
    pub(crate) fn pointwise(&self) -> Option<f64> {
        match self.bound {
            Bound::Abs(epsilon) => Some(epsilon),
            Bound::Rel(epsilon) => Some(epsilon * self.range),
            _ => None,
        }
    }

    /// The norm that blocks are corrected to: the bound, less what rounding to the caller's type may add to a block.
    pub(crate) fn block_target<T: Element>(&self, tau: f64) -> f64 {
        let rounding = match T::DTYPE {
            DType::F32 => 2f64.powi(-24),
            DType::F64 => 2f64.powi(-53),
        };
        let largest = self.normalisation.min.abs().max(self.normalisation.max.abs());
        tau - (BLOCK.pow(3) as f64).sqrt() * largest * rounding
    }

    /// The frame before a segment, in working units, where the stream follows another and the segment is at its start.
    pub(crate) fn before<R: Real>(&self, segment: &Segment) -> Option<Vec<R>> {
        self.reference.and_then(|reference| reference.frame(segment, self.normalisation))
    }

    /// What other devices' floats may add to the root mean square error through the frame before, in the field's units.
    pub(crate) fn inherited_drift(&self) -> f64 {
        self.reference.map_or(0.0, |reference| reference.drift)
    }

    /// What other devices' floats may add to the root mean square error of a segment, in the field's units.
    pub(crate) fn drift(&self, header: &SegmentHeader) -> f64 {
        let grid = fm::grid(header.step);
        let own = if header.uses_model { drift_of_grid(grid) } else { 0.0 };
        let before = own * self.normalisation.scale() + self.inherited_drift();
        if header.enhance.is_none() {
            return before;
        }
        (1.0 + ENHANCER_DRIFT) * before + f64::from(grid) * self.normalisation.scale()
    }

    /// Whether the bound is one on blocks, which windows and tiles must not cut.
    pub(crate) fn block_bound(&self) -> bool {
        matches!(self.bound, Bound::BlockL2(_))
    }
}
