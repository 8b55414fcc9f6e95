//! Candidates: how a segment may be coded.

use crate::predict::Step;
use crate::stream::{IndexCoder, PredictionMode, SegmentHeader};
use crate::window::Segment;

/// A candidate that takes this many times the bits of the best so far is not pursued with other window lengths.
pub(super) const HOPELESS: f64 = 1.25;
/// Frames of a window where nothing tells better.
const USUAL_WINDOW: usize = 8;
/// Contexts that are not mixed, for [`untried`].
pub(crate) const FAST_CONTEXTS: IndexCoder = IndexCoder::Counters;

/// A way to code a segment, and what trials told of it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) header: SegmentHeader,
    /// The autoencoder's gain, for the mode `latents`.
    pub(crate) gain: usize,
    /// The squared error over that of the coefficients that a forecast counts, without the model, at the same step.
    pub(crate) over_forecast: f64,
    /// The squared error of enhanced frames over that before; 1 where they are not enhanced.
    pub(crate) enhancement_ratio: f64,
    /// Bits over those of the best candidate without the model, as a sample tells; 1 where the model is not used.
    pub(crate) model_ratio: f64,
}

impl Candidate {
    /// The candidate with a header that uses no model, of which no trial told.
    pub(crate) fn plain(header: SegmentHeader) -> Self {
        Self { header, gain: 0, over_forecast: 1.0, enhancement_ratio: 1.0, model_ratio: 1.0 }
    }

    pub(super) fn same_but_enhanced(&self, other: &Self) -> bool {
        let plain = |header: &SegmentHeader| SegmentHeader { enhance: None, ..header.clone() };
        plain(&self.header) == plain(&other.header)
    }
}

/// The header of a segment without trials: for the lowest effort, and to estimate the first step with.
pub(crate) fn untried(segment: &Segment, coder: IndexCoder) -> SegmentHeader {
    // Frames that are volumes are not predicted from others.
    let (mode, longest) = match segment.depth {
        1 => (PredictionMode::Previous, USUAL_WINDOW),
        _ => (PredictionMode::Transform, segment.longest_window().min(USUAL_WINDOW)),
    };
    SegmentHeader {
        mode,
        window: (segment.count / segment.depth).min(longest),
        basis: None,
        coder,
        uses_model: false,
        enhance: None,
        layer_factor: 0,
        step: Step::at_most(1.0),
    }
}

/// An error over that of a forecast, as far as it is credible.
pub(super) fn over(error: f64, forecast: f64) -> f64 {
    if forecast > 0.0 { (error / forecast).clamp(0.5, 2.0) } else { 1.0 }
}
