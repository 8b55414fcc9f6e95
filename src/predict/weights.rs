//! Prediction in the wavelet domain: each band of a plane is predicted as a weighted sum of up to two predictors.
//!
//! Coarse bands are often predicted well and fine bands not at all, so each band has its own weights, in sixteenths,
//! fitted by least squares. A wrong prediction then costs nothing more than a weight of zero.

use crate::residual::kernels::Kernel;
use crate::residual::layout::{Band, Layout};

/// Units of a weight.
const UNITS: f64 = 16.0;
/// The largest magnitude of a stored weight.
pub(crate) const MAX_WEIGHT: i8 = 32;

fn rows<'a, R>(plane: &'a [R], layout: &Layout, band: &Band) -> impl Iterator<Item = &'a [R]> + use<'a, R> {
    let (w, y0, x0, width) = (layout.w, band.y0, band.x0, band.w);
    (0..band.h).map(move |y| &plane[(y0 + y) * w + x0..][..width])
}

fn band_dot<R: Kernel>(a: &[R], b: &[R], layout: &Layout, band: &Band) -> f64 {
    rows(a, layout, band).zip(rows(b, layout, band)).map(|(a, b)| R::dot(a, b)).sum()
}

/// Weights for each band of `target` over one or two predictors.
pub(crate) fn fit<R: Kernel>(target: &[R], first: &[R], second: Option<&[R]>, layout: &Layout) -> Vec<[i8; 2]> {
    layout
        .bands
        .iter()
        .map(|band| {
            let aa = band_dot(first, first, layout, band);
            let ax = band_dot(first, target, layout, band);
            let Some(second) = second else {
                return [stored(ax / aa), 0];
            };
            let bb = band_dot(second, second, layout, band);
            let ab = band_dot(first, second, layout, band);
            let bx = band_dot(second, target, layout, band);
            let determinant = aa * bb - ab * ab;
            // Nearly parallel predictors: the first alone.
            if determinant <= 1e-6 * aa * bb {
                return [stored(ax / aa), 0];
            }
            let beta = stored((aa * bx - ab * ax) / determinant);
            // The first weight again, given the rounded second.
            [stored((ax - f64::from(beta) / UNITS * ab) / aa), beta]
        })
        .collect()
}

fn stored(weight: f64) -> i8 {
    if weight.is_finite() {
        (weight * UNITS).round().clamp(-f64::from(MAX_WEIGHT), f64::from(MAX_WEIGHT)) as i8
    } else {
        0
    }
}

/// `plane += sign · Σ weight · predictor`, band by band; `sign` is −1 to leave the residual and 1 to undo that.
pub(crate) fn apply<R: Kernel>(
    plane: &mut [R],
    sign: f64,
    weights: &[[i8; 2]],
    first: &[R],
    second: Option<&[R]>,
    layout: &Layout,
) {
    for (band, weights) in layout.bands.iter().zip(weights) {
        for (weight, predictor) in weights.iter().zip([Some(first), second]) {
            let (Some(predictor), true) = (predictor, *weight != 0) else { continue };
            let weight = R::from_f64(sign * f64::from(*weight) / UNITS);
            for y in 0..band.h {
                let at = (band.y0 + y) * layout.w + band.x0;
                R::axpy(weight, &predictor[at..][..band.w], &mut plane[at..][..band.w]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_a_mixture_and_removes_it() {
        let layout = Layout::new(24, 40);
        let n = layout.len();
        let a: Vec<f64> = (0..n).map(|i| ((i * 7919) % 101) as f64 - 50.0).collect();
        let b: Vec<f64> = (0..n).map(|i| ((i * 104_729) % 97) as f64 - 48.0).collect();
        let target: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 0.75 * a - 0.5 * b).collect();
        let weights = fit(&target, &a, Some(&b), &layout);
        assert!(weights.iter().all(|w| *w == [12, -8]), "{weights:?}");
        let mut residual = target.clone();
        apply(&mut residual, -1.0, &weights, &a, Some(&b), &layout);
        assert!(residual.iter().all(|v| v.abs() < 1e-9));
        apply(&mut residual, 1.0, &weights, &a, Some(&b), &layout);
        assert!(residual.iter().zip(&target).all(|(x, y)| (x - y).abs() < 1e-9));
    }
}
