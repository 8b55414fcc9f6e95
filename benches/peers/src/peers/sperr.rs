//! SPERR: the whole volume as one chunk, each of its modes whose quality is not a rate.

use super::{Method, Search, merged_dims};
use crate::reference::Reference;
use crate::sample::Sample;
use anyhow::Result;
use ndarray::{ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3};
use sperr::CompressionMode;
use std::borrow::Cow;

/// A mode of SPERR.
#[derive(Clone, Copy)]
pub enum SperrMode {
    /// A step for all wavelet coefficients.
    Step,
    /// A peak signal-to-noise ratio, from which SPERR computes the step.
    Psnr,
    /// A largest error at every point: a step, then corrections where it is missed.
    Pointwise,
}

impl SperrMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Step, Self::Psnr, Self::Pointwise];
}

/// SPERR in one mode.
pub struct Sperr(pub SperrMode);

/// Axes of the volume: 2 for a single frame, else 3, the leading ones merged.
fn volume(dims: &[usize]) -> (usize, usize, usize) {
    match merged_dims(dims, 3)[..] {
        [n] => (1, 1, n),
        [n, m] => (1, n, m),
        [l, n, m] => (l, n, m),
        _ => unreachable!("merged to at most three axes"),
    }
}

impl<T: Sample> Method<T> for Sperr {
    fn codec(&self) -> &'static str {
        "SPERR"
    }

    fn mode(&self) -> &'static str {
        match self.0 {
            SperrMode::Step => "quantisation-step",
            SperrMode::Psnr => "psnr",
            SperrMode::Pointwise => "pointwise-error",
        }
    }

    fn search(&self, field: &Reference<'_, T>, target: f64) -> Search {
        let start = match self.0 {
            SperrMode::Psnr => target,
            SperrMode::Step | SperrMode::Pointwise => 3.0 * target * field.range,
        };
        Search::Bisect { start }
    }

    fn prepare<'a>(&self, field: &'a Reference<'_, T>, _parameter: f64) -> Cow<'a, [T]> {
        Cow::Borrowed(&field.filled)
    }

    fn compress(&self, field: &Reference<'_, T>, values: &[T], parameter: f64) -> Result<Vec<u8>> {
        let mode = match self.0 {
            SperrMode::Step => CompressionMode::QuantisationStep { q: parameter },
            SperrMode::Psnr => CompressionMode::PeakSignalToNoiseRatio { psnr: -20.0 * parameter.log10() },
            SperrMode::Pointwise => CompressionMode::PointwiseError { pwe: parameter },
        };
        let (frames, rows, columns) = volume(&field.dims);
        Ok(if frames == 1 {
            sperr::compress_2d(ArrayView2::from_shape((rows, columns), values)?, mode)?
        } else {
            let dims = (frames, rows, columns);
            sperr::compress_3d(ArrayView3::from_shape(dims, values)?, mode, dims)?
        })
    }

    fn decompress(&self, field: &Reference<'_, T>, stream: &[u8], out: &mut [T]) -> Result<()> {
        let (frames, rows, columns) = volume(&field.dims);
        if frames == 1 {
            sperr::decompress_into_2d(stream, ArrayViewMut2::from_shape((rows, columns), out)?)?;
        } else {
            sperr::decompress_into_3d(stream, ArrayViewMut3::from_shape((frames, rows, columns), out)?)?;
        }
        Ok(())
    }
}
