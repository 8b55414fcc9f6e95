//! The ways `transform` and `previous`: eigenframes along a temporal basis, each a plane of wavelet coefficients. With a
//! previous window, the first eigenframes are predicted from its mean and its last frame, band by band.

use super::weights::{apply, fit};
use super::{CodedWindow, Contexts, Reconstruction, Step, squared_error};
use crate::residual::basis::Basis;
use crate::residual::contexts::{PlaneContext, Resembles};
use crate::residual::kernels::{Kernel, change_basis};
use crate::residual::layout::Layout;
use crate::residual::quantise::{ROUNDING, centroids, fit as fit_centroids};
use crate::residual::wavelet::{forward, inverse};

/// Eigenframes that are predicted from the previous window.
pub(crate) const PREDICTED: usize = 2;

/// The planes of a window before quantisation.
#[derive(Debug)]
pub(crate) struct Analysed<R> {
    count: usize,
    weights: Vec<[i8; 2]>,
    residual: Vec<R>,
}

/// How many planes of a window of `count` frames are predicted.
pub(crate) fn predicted_planes(count: usize, has_previous: bool) -> usize {
    if has_previous { count.min(PREDICTED) } else { 0 }
}

/// Contexts of the planes: each resembles the one before it and the same one of the previous window.
pub(crate) fn contexts(count: usize, previous: usize) -> Contexts {
    (0..count)
        .map(|k| {
            let same = if k < previous { Resembles::Previous(k) } else { Resembles::None };
            match k {
                0 => PlaneContext { near: same, far: Resembles::None, class: 0 },
                _ => PlaneContext { near: Resembles::Current(k - 1), far: same, class: k },
            }
        })
        .collect()
}

/// The predictors from the previous window: its mean and its last frame, scaled like a first eigenframe of `count` frames.
fn predictors<R: Kernel>(previous: &Reconstruction<R>, basis: &Basis, count: usize, layout: &Layout) -> [Vec<R>; 2] {
    let n = layout.len();
    let size = previous.count;
    let combine = |weights: &dyn Fn(usize) -> f64| {
        let mut out = vec![R::default(); n];
        for k in 0..size {
            let weight = weights(k) * (count as f64).sqrt();
            if weight.abs() > 1e-6 {
                R::axpy(R::from_f64(weight), &previous.planes[k * n..][..n], &mut out);
            }
        }
        out
    };
    let mean = combine(&|k| basis.row(k).iter().sum::<f64>() / size as f64);
    let last = combine(&|k| basis.row(k)[size - 1]);
    [last, mean]
}

/// Eigenframes of `frames [count][h][w]`, wavelet-analysed.
pub(crate) fn analyse<R: Kernel>(
    frames: &[R],
    count: usize,
    basis: &Basis,
    previous: Option<(&Reconstruction<R>, &Basis)>,
    layout: &Layout,
    scratch: &mut Vec<R>,
) -> Analysed<R> {
    let n = layout.len();
    let mut planes = vec![R::default(); count * n];
    change_basis(|k, t| basis.row(k)[t], frames, count, n, &mut planes);
    for plane in planes.chunks_exact_mut(n) {
        forward(plane, layout.h, layout.w, layout.levels, scratch);
    }
    let mut weights = Vec::new();
    if let Some((previous, previous_basis)) = previous {
        let [last, mean] = predictors(previous, previous_basis, count, layout);
        for plane in planes.chunks_exact_mut(n).take(PREDICTED) {
            let fitted = fit(plane, &last, Some(&mean), layout);
            apply(plane, -1.0, &fitted, &last, Some(&mean), layout);
            weights.extend(fitted);
        }
    }
    Analysed { count, weights, residual: planes }
}

/// Quantises a window's planes at `step`. `None` where an index would be too large.
pub(crate) fn quantise<R: Kernel>(analysed: &Analysed<R>, step: Step) -> Option<CodedWindow<R>> {
    let value = step.value();
    let mut indices = vec![R::Index::default(); analysed.residual.len()];
    if !R::quantise(&analysed.residual, R::from_f64(value), R::from_f64(ROUNDING), &mut indices) {
        return None;
    }
    let mut sums = Default::default();
    centroids(&analysed.residual, &indices, value, &mut sums);
    Some(CodedWindow {
        count: analysed.count,
        step,
        centroids: fit_centroids(&sums),
        weights: analysed.weights.clone(),
        fm: Vec::new(),
        indices,
    })
}

/// Decodes a window. `low` > 0 stops the synthesis at the low-pass corner after that many splits.
pub(crate) fn reconstruct<R: Kernel>(
    coded: &CodedWindow<R>,
    basis: &Basis,
    previous: Option<(&Reconstruction<R>, &Basis)>,
    layout: &Layout,
    low: usize,
    scratch: &mut Vec<R>,
    out: &mut Reconstruction<R>,
) {
    let n = layout.len();
    let count = coded.count;
    dequantise(coded, out, n);
    add_prediction(coded, previous, layout, out);
    let mut synthesised = out.planes.clone();
    for plane in synthesised.chunks_exact_mut(n) {
        inverse(plane, layout.h, layout.w, layout.levels, low, scratch);
    }
    out.frames.resize(count * n, R::default());
    change_basis(|t, k| basis.row(k)[t], &synthesised, count, n, &mut out.frames);
}

/// Quantises a window's planes at `step` without decoding its frames: leaves the decoded planes in `out`, for the next
/// window's prediction, and gives the squared error of the coefficients, which is near that of the frames because basis and
/// wavelet are (nearly) orthonormal. `None` where an index would be too large.
pub(crate) fn dry_run<R: Kernel>(
    analysed: &Analysed<R>,
    step: Step,
    previous: Option<(&Reconstruction<R>, &Basis)>,
    layout: &Layout,
    out: &mut Reconstruction<R>,
) -> Option<f64> {
    let coded = quantise(analysed, step)?;
    dequantise(&coded, out, layout.len());
    let error = squared_error(&analysed.residual, &out.planes);
    add_prediction(&coded, previous, layout, out);
    out.frames.clear();
    Some(error)
}

fn dequantise<R: Kernel>(coded: &CodedWindow<R>, out: &mut Reconstruction<R>, n: usize) {
    out.count = coded.count;
    out.planes.clear();
    out.planes.resize(coded.count * n, R::default());
    R::add_dequantised(&coded.indices, R::from_f64(coded.step.value()), coded.centroids, &mut out.planes);
}

fn add_prediction<R: Kernel>(
    coded: &CodedWindow<R>,
    previous: Option<(&Reconstruction<R>, &Basis)>,
    layout: &Layout,
    out: &mut Reconstruction<R>,
) {
    let Some((previous, previous_basis)) = previous else { return };
    let [last, mean] = predictors(previous, previous_basis, coded.count, layout);
    let planes = out.planes.chunks_exact_mut(layout.len()).take(PREDICTED);
    for (plane, weights) in planes.zip(coded.weights.chunks_exact(layout.bands.len())) {
        apply(plane, 1.0, weights, &last, Some(&mean), layout);
    }
}
