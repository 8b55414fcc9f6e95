//! What is stored of how a segment is coded, in both directions.

use crate::enhance::Enhancement;
use crate::error::Result;
use crate::model::Model;
use crate::options::FmMode;
use crate::predict::hierarchical::ModelUse;
use crate::predict::{Step, fm};
use crate::residual::basis::Basis;

/// The way windows of a segment are predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PredictionMode {
    /// Eigenframes of each window by itself.
    Transform = 0,
    /// Eigenframes, the first ones predicted from the previous window.
    Previous = 1,
    /// Key frames and middles.
    Hierarchical = 2,
    /// The autoencoder's reconstruction, corrected by eigenframes of what it leaves.
    Latents = 3,
}

impl PredictionMode {
    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Previous => "previous",
            Self::Hierarchical => "hierarchical",
            Self::Latents => "latents",
        }
    }
}

/// Everything a segment's decoder must know before its first window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SegmentHeader {
    pub(crate) mode: PredictionMode,
    /// Frames of a full window.
    pub(crate) window: usize,
    /// Entries of a PCA basis of `window` frames; `None`: the cosine basis.
    pub(crate) basis: Option<Vec<i16>>,
    /// Whether contexts are mixed.
    pub(crate) mixing: bool,
    /// Whether any window needs the foundation model.
    pub(crate) uses_model: bool,
    /// The hierarchical way's factor from layer to layer, in 1/32 above 1.
    pub(crate) layer_factor: u8,
    /// The step that the first window's is coded against.
    pub(crate) step: Step,
    /// Where decoded frames are enhanced: how.
    pub(crate) enhance: Option<Enhancement>,
    /// Whether the segment starts from a frame before it: no part of the segment's bytes, but of what is known before them.
    pub(crate) follows: bool,
}

impl SegmentHeader {
    /// Whether the model takes part, before or after the residual.
    pub(crate) fn needs_model(&self) -> bool {
        self.uses_model || self.enhance.is_some() || self.mode == PredictionMode::Latents
    }

    /// Calls `f` with what coding frames of `[h][w]` makes of a package in a mode; the interpolator's corrections that are in `memo` are
    /// not computed again.
    ///
    /// # Errors
    /// What `f` says.
    pub(crate) fn with_model<O>(
        &self,
        package: Option<&Model>,
        [h, w]: [usize; 2],
        mode: FmMode,
        memo: Option<&fm::Memo>,
        f: impl FnOnce(ModelUse<'_>) -> Result<O>,
    ) -> Result<O> {
        let Some(package) = package.filter(|_| self.uses_model && self.mode == PredictionMode::Hierarchical) else {
            return f(ModelUse::Off);
        };
        let interpolator = fm::interpolator(package, h, w, fm::grid(self.step), memo);
        f(ModelUse::of(mode, &*interpolator))
    }

    /// The counts of frames of the windows that `frames` frames are cut into.
    pub(crate) fn windows(&self, frames: usize) -> Vec<usize> {
        let mut out = Vec::new();
        let mut left = frames;
        // The hierarchical way's first window has its key frame besides.
        if self.mode == PredictionMode::Hierarchical && !self.follows && left > 0 {
            let first = (self.window + 1).min(left);
            out.push(first);
            left -= first;
        }
        while left > 0 {
            out.push(self.window.min(left));
            left -= self.window.min(left);
        }
        out
    }

    /// The basis of a full window.
    ///
    /// # Errors
    /// `Corrupt` where the stored one is none.
    pub(crate) fn full_basis(&self) -> Result<Basis> {
        match &self.basis {
            Some(stored) => Basis::from_stored(stored, self.window),
            None => Ok(Basis::cosine(self.window)),
        }
    }

    /// The hierarchical way's factor from layer to layer.
    pub(crate) fn layer_factor(&self) -> f64 {
        1.0 + f64::from(self.layer_factor) / 32.0
    }
}
