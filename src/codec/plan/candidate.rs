//! Candidates: how a segment may be coded.

use crate::options::Effort;
use crate::predict::Step;
use crate::stream::{PredictionMode, SegmentHeader};

/// A way that costs this many times the best so far is not pursued with other window lengths.
pub(super) const HOPELESS: f64 = 1.25;

/// How a segment will be coded.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) header: SegmentHeader,
    /// The autoencoder's gain, for the way `latents`.
    pub(crate) gain: usize,
    /// What the squared error is over that of the coefficients that a forecast counts, without the model, at the same step.
    pub(crate) over_forecast: f64,
    /// What the squared error of enhanced frames is over that before; 1 where they are not.
    pub(crate) enhanced: f64,
    /// What the model leaves of the bits that the best way without it takes, as a sample tells; 1 where it is not used.
    pub(crate) model_leaves: f64,
}

impl Candidate {
    /// The choice of a method that uses no model.
    pub(crate) fn plain(header: SegmentHeader) -> Self {
        Self { header, gain: 0, over_forecast: 1.0, enhanced: 1.0, model_leaves: 1.0 }
    }

    pub(super) fn same_but_enhanced(&self, other: &Self) -> bool {
        let plain = |header: &SegmentHeader| SegmentHeader { enhance: None, ..header.clone() };
        plain(&self.header) == plain(&other.header)
    }
}

/// A method without trials: what `effort=0` uses, and the first step is estimated with.
pub(crate) fn plain(count: usize, effort: Effort, follows: bool) -> SegmentHeader {
    SegmentHeader {
        mode: PredictionMode::Previous,
        window: count.min(8),
        basis: None,
        mixing: effort > Effort::Fast,
        uses_model: false,
        enhance: None,
        layer_factor: 0,
        step: Step::at_most(1.0),
        follows,
    }
}

/// An error over that of a forecast, as far as it is credible.
pub(super) fn over(error: f64, forecast: f64) -> f64 {
    if forecast > 0.0 { (error / forecast).clamp(0.5, 2.0) } else { 1.0 }
}
