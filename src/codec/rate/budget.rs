//! What a bound asks of a field, and a segment's share of it.

use super::forecast::Forecast;
use super::step::Spent;
use crate::bound::Bound;
use crate::bound::check::{BLOCK, psnr_to_nrmse};
use crate::codec::effort::EffortKnobs;
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
        // No value is further from its own than the field's range, whose multiples may have no squares.
        let most = stats.range();
        let target = match bound {
            Bound::Abs(epsilon) => Self::Pointwise(epsilon),
            Bound::Rel(epsilon) => Self::Pointwise(epsilon * range),
            Bound::Nrmse(epsilon) => Self::Rms((epsilon * range).min(most)),
            Bound::Psnr(decibels) => Self::Rms((psnr_to_nrmse(decibels) * range).min(most)),
            Bound::BlockL2(tau) => Self::Block(tau.min(most * (BLOCK.pow(3) as f64).sqrt())),
            Bound::Lossless | Bound::PwRel(_) => return None,
        };
        Some(target).filter(|target| target.size() > 0.0 && target.size().is_finite())
    }

    /// A typical error at one point.
    pub(crate) fn size(self) -> f64 {
        match self {
            Self::Rms(rms) => rms,
            Self::Pointwise(epsilon) => epsilon,
            // A block's budget spread evenly, most blocks staying below it.
            Self::Block(tau) => 0.8 * tau / (BLOCK.pow(3) as f64).sqrt(),
        }
    }
}

/// What a segment's encoder aims at.
#[derive(Debug)]
pub(crate) struct Goal<'a> {
    /// The step, in working units.
    pub(crate) step: f64,
    /// What the segment must stay under and use up; `None`: keep to the step.
    pub(crate) budget: Option<Budget<'a>>,
    pub(crate) knobs: &'static EffortKnobs,
}

/// An error budget for a segment.
#[derive(Debug)]
pub(crate) struct Budget<'a> {
    /// The sum of squared errors over valid points that a reader may get, in working units: after enhancement, where
    /// there is one.
    pub(crate) squared_error: f64,
    /// What its windows are expected to spend of it.
    pub(crate) forecast: &'a Forecast,
    pub(crate) role: Role,
}

impl Budget<'_> {
    /// The sum of squared errors that coding may make, before enhancement.
    pub(crate) fn before_enhancement(&self) -> f64 {
        self.squared_error / self.forecast.enhancement_ratio()
    }
}

/// What a budget means to a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The step is steered by it.
    Steers,
    /// It must not be exceeded, and the last window is coded so.
    Settles,
}

/// What became of an attempt to stay within an error budget.
#[derive(Debug)]
pub(crate) enum Attempt<T> {
    Done(T),
    /// What was coded first left too little of the budget for the rest; what those windows came to.
    Overspent(Vec<Spent>),
    /// No step reaches the bound in this working precision.
    Unreachable,
}
