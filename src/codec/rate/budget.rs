//! What a bound asks of a field, and a segment's share of it.

use super::forecast::Forecast;
use crate::bound::{Bound, check::psnr_to_nrmse};
use crate::field::FieldStats;

/// What a bound asks of errors, in the field's units.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// A root mean square error.
    Rms(f64),
    /// A half-width at every point.
    Pointwise(f64),
    /// An ℓ2 norm for each block.
    Block(f64),
}

impl Target {
    /// `None` where only lossless coding will do.
    pub(crate) fn new(bound: Bound, stats: &FieldStats, range: f64) -> Option<Self> {
        if stats.valid == 0 || !range.is_finite() {
            return None;
        }
        let target = match bound {
            Bound::Abs(epsilon) => Self::Pointwise(epsilon),
            Bound::Rel(epsilon) => Self::Pointwise(epsilon * range),
            Bound::Nrmse(epsilon) => Self::Rms(epsilon * range),
            Bound::Psnr(decibels) => Self::Rms(psnr_to_nrmse(decibels) * range),
            Bound::BlockL2(tau) => Self::Block(tau),
            Bound::Lossless => return None,
        };
        Some(target).filter(|target| target.size() > 0.0 && target.size().is_finite())
    }

    /// A typical error at one point.
    pub(crate) fn size(self) -> f64 {
        match self {
            Self::Rms(rms) => rms,
            Self::Pointwise(epsilon) => epsilon,
            // A block's budget spread evenly, most blocks staying below it.
            Self::Block(tau) => 0.8 * tau / 512f64.sqrt(),
        }
    }
}

/// What a segment's encoder aims at.
#[derive(Debug)]
pub(crate) struct Goal<'a> {
    /// The step, in working units.
    pub(crate) step: f64,
    /// What the segment must stay under and use up; `None`: keep to the step. In errors before frames are enhanced.
    pub(crate) budget: Option<Budget<'a>>,
    /// What enhancement is expected to leave of the squared error; 1 where frames are not enhanced.
    pub(crate) enhanced: f64,
    /// Whether the budget is used up as far as can be, whatever the time.
    pub(crate) thorough: bool,
}

/// An error budget for a segment.
#[derive(Debug)]
pub(crate) struct Budget<'a> {
    /// The sum of squared errors over valid points, in working units.
    pub(crate) squared_error: f64,
    /// What its windows are expected to spend of it.
    pub(crate) forecast: &'a Forecast,
    /// Whether it must not be exceeded, and the last window is coded so; else it is what the step is steered by.
    pub(crate) settle: bool,
}
