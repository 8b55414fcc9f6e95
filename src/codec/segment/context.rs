//! What all segments of a field share, on both sides.

use super::reference::{Reference, drift_of_grid};
use crate::bound::Bound;
use crate::bound::check::{BLOCK, POINT_DRIFT, product_below};
use crate::codec::progress::Progress;
use crate::error::{Error, Result};
use crate::field::{DType, Element, Normalisation, Specials};
use crate::model::Model as Package;
use crate::options::FmMode;
use crate::predict::hierarchical::ModelUse;
use crate::predict::{Step, fm};
use crate::residual::real::Real;
use crate::stream::{PredictionMode, SegmentHeader};
use crate::window::Segment;

/// Device drift of enhanced frames over that of the frames before enhancement, less 1; the enhancer's own drift comes
/// on top.
const ENHANCER_DRIFT: f64 = 0.25;

/// What all segments of a field share, when they are encoded and when they are decoded.
#[derive(Clone, Copy)]
pub(crate) struct FieldContext<'a> {
    pub(crate) normalisation: &'a Normalisation,
    pub(crate) specials: &'a Specials,
    /// Whether values are within the field's range after corrections, too.
    pub(crate) clamped: bool,
    pub(crate) bound: Bound,
    pub(crate) range: f64,
    pub(crate) package: Option<&'a Package>,
    /// The frame before the field, where the stream follows another.
    pub(crate) reference: Option<&'a Reference>,
    /// Where the call's progress is counted.
    pub(crate) progress: Option<&'a Progress>,
    /// The model's corrections of the segment when it was encoded, if this is its check.
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

    /// The error that a point may have, in the field's units: not above the bound, as the product that sets
    /// [`FieldContext::pointwise`] may be.
    pub(crate) fn allowance(&self, pointwise: f64) -> f64 {
        match self.bound {
            Bound::Rel(epsilon) => product_below(epsilon, self.range),
            _ => pointwise,
        }
    }

    /// The range that corrected points are clamped to.
    pub(crate) fn limits(&self) -> (f64, f64) {
        if self.clamped { (self.normalisation.min, self.normalisation.max) } else { (f64::NEG_INFINITY, f64::INFINITY) }
    }

    /// The norm that blocks of a segment coded so are corrected to: the bound, less what rounding to the caller's type and
    /// device drift may add to a block.
    pub(crate) fn block_target<T: Element>(&self, tau: f64, header: &SegmentHeader) -> f64 {
        let rounding = match T::DTYPE {
            DType::F32 => 2f64.powi(-24),
            DType::F64 => 2f64.powi(-53),
        };
        let largest = self.normalisation.min.abs().max(self.normalisation.max.abs());
        // Only enhanced blocks have any, and no version before them leaves room for it. No reference frame has.
        let drift = if header.enhance.is_some() { POINT_DRIFT * self.drift_after(0.0, header) } else { 0.0 };
        tau - (BLOCK.pow(3) as f64).sqrt() * (largest * rounding + drift)
    }

    /// The model's autoencoder for frames of these rows and columns, in a segment whose first step is `step`.
    ///
    /// # Errors
    /// `Internal` without a model.
    pub(crate) fn autoencoder(&self, size: [usize; 2], step: Step) -> Result<fm::Autoencoder<'_>> {
        let model = self.package.ok_or_else(|| Error::internal("latents without a model"))?;
        Ok(fm::Autoencoder { model, size, normalisation: self.normalisation, grid: fm::grid(step) })
    }

    /// The reference frame before a segment, in working units, where the stream follows another and the segment is at
    /// its start.
    pub(crate) fn reference_frame<R: Real>(&self, segment: &Segment) -> Option<Vec<R>> {
        self.reference.and_then(|reference| reference.frame(segment, self.normalisation))
    }

    /// Root mean square error that device drift of the reference frame may add, in the field's units.
    pub(crate) fn inherited_drift(&self) -> f64 {
        self.reference.map_or(0.0, |reference| reference.drift)
    }

    /// Root mean square error that device drift may add to a segment coded so, in the field's units.
    pub(crate) fn drift(&self, header: &SegmentHeader) -> f64 {
        self.drift_after(self.inherited_drift(), header)
    }

    /// The same, of a reference frame that has `inherited`.
    fn drift_after(&self, inherited: f64, header: &SegmentHeader) -> f64 {
        let grid = fm::grid(header.step);
        let own = if header.uses_model { drift_of_grid(grid) } else { 0.0 };
        let before = own * self.normalisation.scale() + inherited;
        if header.enhance.is_none() {
            return before;
        }
        (1.0 + ENHANCER_DRIFT) * before + f64::from(grid) * self.normalisation.scale()
    }

    /// Whether points or blocks that miss the bound are corrected.
    pub(crate) fn corrects(&self) -> bool {
        self.pointwise().is_some() || self.block_bound()
    }

    /// Whether the bound is one on blocks, which windows and tiles must not cut.
    pub(crate) fn block_bound(&self) -> bool {
        matches!(self.bound, Bound::BlockL2(_))
    }
}

/// Calls `f` with the use that coding frames of `[h][w]` makes of a package; the interpolator's corrections that are in
/// `memo` are not computed again.
///
/// # Errors
/// Those of `f`.
pub(crate) fn with_interpolator<O>(
    header: &SegmentHeader,
    package: Option<&Package>,
    [h, w]: [usize; 2],
    fm_mode: FmMode,
    memo: Option<&fm::Memo>,
    f: impl FnOnce(ModelUse<'_>) -> Result<O>,
) -> Result<O> {
    let Some(package) = package.filter(|_| header.uses_model && header.mode == PredictionMode::Hierarchical) else {
        return f(ModelUse::Off);
    };
    let interpolator = fm::interpolator(package, h, w, fm::grid(header.step), memo);
    f(ModelUse::of(fm_mode, &*interpolator))
}
