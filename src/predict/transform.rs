//! The modes `transform` and `previous`: eigenframes along a temporal basis, each a plane of wavelet coefficients. With
//! a previous window, the first eigenframes are predicted from its mean and its last frame, band by band.

use super::weights::{apply, fit};
use super::{CodedWindow, Contexts, Output, Reconstruction, Step, Synthesis};
use crate::residual::bands::{PlaneContext, Resembles};
use crate::residual::basis::Basis;
use crate::residual::kernels::Kernel;
use crate::residual::layout::Layout;
use crate::residual::quantise::ROUNDING;
use crate::residual::wavelet::{forward, inverse};

/// Eigenframes that are predicted from the previous window.
pub(crate) const PREDICTED: usize = 2;

/// The planes of a window before quantisation.
#[derive(Debug, Default)]
pub(crate) struct Analysed<R> {
    count: usize,
    weights: Vec<[i8; 2]>,
    residual: Vec<R>,
}

impl<R: Kernel> Analysed<R> {
    /// The planes' coefficients, less their predictions.
    pub(crate) fn residual(&self) -> &[R] {
        &self.residual
    }
}

/// How many planes of a window of `count` frames are predicted.
pub(crate) fn predicted_planes(count: usize, has_previous: bool) -> usize {
    if has_previous { count.min(PREDICTED) } else { 0 }
}

/// Contexts of the planes of frames of `depth` each: an eigenframe resembles the one before it and the same one of the
/// previous window; a plane of a volume the one before it and the same one of the eigenframe before.
pub(crate) fn contexts(count: usize, previous: usize, depth: usize) -> Contexts {
    (0..count)
        .map(|k| {
            let same = if k < previous { Resembles::Previous(k) } else { Resembles::None };
            let (frame, plane) = (k / depth, k % depth);
            let (near, far) = match (frame, plane) {
                (0, 0) => (same, Resembles::None),
                (0, _) => (Resembles::Current(k - 1), same),
                (_, 0) => (Resembles::Current(k - depth), same),
                _ => (Resembles::Current(k - 1), Resembles::Current(k - depth)),
            };
            PlaneContext { near, far, class: frame + plane }
        })
        .collect()
}

/// The predictors of a window's first eigenframes from the window before it: its last frame and its mean, as planes of
/// wavelet coefficients, scaled like a first eigenframe.
#[derive(Debug, Default)]
pub(crate) struct Predictors<R> {
    last: Vec<R>,
    mean: Vec<R>,
}

impl<R: Kernel> Predictors<R> {
    /// From a decoded window with its basis, for a window of `count` frames.
    pub(crate) fn of_decoded(&mut self, previous: &Reconstruction<R>, basis: &Basis, count: usize, n: usize) {
        let size = previous.count;
        let combine = |out: &mut Vec<R>, weights: &dyn Fn(usize) -> f64| {
            out.clear();
            out.resize(n, R::default());
            for k in 0..size {
                let weight = weights(k) * (count as f64).sqrt();
                if weight.abs() > 1e-6 {
                    R::axpy(R::from_f64(weight), &previous.planes[k * n..][..n], out);
                }
            }
        };
        combine(&mut self.mean, &|k| basis.row(k).iter().sum::<f64>() / size as f64);
        combine(&mut self.last, &|k| basis.row(k)[size - 1]);
    }
}

/// Eigenframes of `frames [count][h][w]`, wavelet-analysed, less the predictions of the first ones.
pub(crate) fn analyse<R: Kernel>(
    frames: &[R],
    basis: &Basis,
    predictors: Option<&Predictors<R>>,
    layout: &Layout,
    scratch: &mut Vec<R>,
    out: &mut Analysed<R>,
) {
    let _span = tracing::debug_span!("analyse").entered();
    let n = layout.len();
    let count = frames.len() / n;
    out.count = count;
    out.residual.resize(count * n, R::default());
    basis.analyse(frames, n, &mut out.residual);
    for plane in out.residual.chunks_exact_mut(n) {
        forward(plane, layout.h, layout.w, layout.levels, scratch);
    }
    out.weights.clear();
    if let Some(Predictors { last, mean }) = predictors {
        for plane in out.residual.chunks_exact_mut(n).take(PREDICTED) {
            let fitted = fit(plane, last, Some(mean), layout);
            apply(plane, -1.0, &fitted, last, Some(mean), layout);
            out.weights.extend(fitted);
        }
    }
}

/// Quantises a window's planes at `step` into `coded`. `None` where an index would be too large; else the squared error
/// of the coefficients, which is near that of the frames because basis and wavelet are (nearly) orthonormal.
pub(crate) fn quantise<R: Kernel>(
    analysed: &Analysed<R>,
    step: Step,
    layout: &Layout,
    coded: &mut CodedWindow<R>,
) -> Option<f64> {
    let _span = tracing::debug_span!("quantise").entered();
    let value = step.value();
    let n = layout.len();
    coded.indices.resize(analysed.residual.len(), R::Index::default());
    let mut tally = R::quantise(&analysed.residual, R::from_f64(value), R::from_f64(ROUNDING), &mut coded.indices)?;
    for (plane, indices) in analysed.residual.chunks_exact(n).zip(coded.indices.chunks_exact_mut(n)) {
        R::refine(plane, R::from_f64(value), layout, indices, &mut tally);
    }
    coded.count = analysed.count;
    coded.step = step;
    coded.centroids = tally.centroids();
    coded.weights.clone_from(&analysed.weights);
    coded.fm.clear();
    Some(tally.error(coded.centroids) * value * value)
}

/// Decodes a window's planes, and its frames where `synthesis` asks for them.
pub(crate) fn reconstruct<R: Kernel>(
    coded: &CodedWindow<R>,
    basis: &Basis,
    predictors: Option<&Predictors<R>>,
    layout: &Layout,
    synthesis: Synthesis,
    output: Output<'_, R>,
) {
    let _span = tracing::debug_span!("synthesise").entered();
    let Output { scratch, decoded: out } = output;
    let n = layout.len();
    let count = coded.count;
    out.count = count;
    out.planes.resize(count * n, R::default());
    R::dequantise(&coded.indices, R::from_f64(coded.step.value()), coded.centroids, &mut out.planes);
    if let Some(Predictors { last, mean }) = predictors {
        let planes = out.planes.chunks_exact_mut(n).take(PREDICTED);
        for (plane, weights) in planes.zip(coded.weights.chunks_exact(layout.bands.len())) {
            apply(plane, 1.0, weights, last, Some(mean), layout);
        }
    }
    out.frames.clear();
    if synthesis == Synthesis::Planes {
        return;
    }
    scratch.planes.clone_from(&out.planes);
    for plane in scratch.planes.chunks_exact_mut(n) {
        inverse(plane, layout.h, layout.w, layout.levels, &mut scratch.lines);
    }
    out.frames.resize(count * n, R::default());
    basis.synthesise(&scratch.planes, n, &mut out.frames);
}
