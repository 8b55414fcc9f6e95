//! Predicting a window: four modes, of which the codec takes the one with the smallest total.
//!
//! - [`transform`]: a temporal basis turns the window's frames into eigenframes; with prediction from the previous window
//!   (`previous`) or without.
//! - [`hierarchical`]: key frame, then the middle frame of every gap from both decoded sides, by polynomial interpolation
//!   or by the foundation model's.
//! - [`latents`]: the foundation model's autoencoder, whose reconstruction the transform then corrects.
//!
//! Each mode knows how to encode a window at a quantiser step and how to reconstruct it; the encoder reconstructs by
//! the decoder's code.

pub(crate) mod fm;
pub(crate) mod hierarchical;
pub(crate) mod interpolator;
pub(crate) mod latents;
pub(crate) mod tiles;
pub(crate) mod transform;
pub(crate) mod weights;

use crate::residual::bands::PlaneContext;
use crate::residual::quantise::Centroids;
use crate::residual::real::Real;

/// A quantiser step as it is stored: in 1/256 octaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step(pub(crate) i16);

impl Step {
    /// Units of an octave.
    const OCTAVE: f64 = 256.0;

    /// The largest step not above `value` (positive).
    pub(crate) fn at_most(value: f64) -> Self {
        Self((value.log2() * Self::OCTAVE).floor().clamp(-32000.0, 32000.0) as i16)
    }

    /// Its value, the same on every machine.
    pub(crate) fn value(self) -> f64 {
        libm::exp2(f64::from(self.0) / Self::OCTAVE)
    }
}

/// The contents of a coded window.
#[derive(Clone, Debug, Default)]
pub(crate) struct CodedWindow<R: Real> {
    /// Frames of the window.
    pub(crate) count: usize,
    pub(crate) step: Step,
    pub(crate) centroids: Centroids,
    /// Prediction weights in sixteenths: `[predicted planes][bands][2]`.
    pub(crate) weights: Vec<[i8; 2]>,
    /// For each plane, whether the foundation model predicts it.
    pub(crate) fm: Vec<bool>,
    /// Quantiser indices, `[planes][h][w]` in the wavelet's layout.
    pub(crate) indices: Vec<R::Index>,
}

/// A decoded window. Its buffers serve one window after another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reconstruction<R> {
    /// Frames of the window.
    pub(crate) count: usize,
    /// Wavelet coefficients of its planes, `[count][h][w]`: eigenframes, or frames for the hierarchical mode.
    pub(crate) planes: Vec<R>,
    /// Its frames, `[count][h][w]`.
    pub(crate) frames: Vec<R>,
}

/// How far a window is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Synthesis {
    /// To the wavelet coefficients of its planes.
    Planes,
    /// To its frames.
    Frames,
}

/// Where a window is decoded to, and the buffers that this takes.
pub(crate) struct Output<'a, R> {
    pub(crate) scratch: &'a mut Scratch<R>,
    pub(crate) decoded: &'a mut Reconstruction<R>,
}

/// Buffers of a window's synthesis.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch<R> {
    /// Planes on their way from coefficients to values.
    planes: Vec<R>,
    /// The wavelet's.
    pub(crate) lines: Vec<R>,
}

/// Contexts of a window's planes, in coding order.
pub(crate) type Contexts = Vec<PlaneContext>;
