//! Loops over whole frames, compiled for the processor's vector width. Elementwise and in one fixed order: the same bits on
//! every machine.

use super::quantise::{Centroids, add_dequantised, quantise};
use super::real::Real;
use super::wavelet::Wave;
use multiversion::multiversion;

/// [`Wave`] types with compiled loops over frames.
pub(crate) trait Kernel: Wave {
    /// `out += weight · input`.
    fn axpy(weight: Self, input: &[Self], out: &mut [Self]);
    /// See [`quantise`].
    fn quantise(values: &[Self], step: Self, rounding: Self, indices: &mut [Self::Index]) -> bool;
    /// See [`add_dequantised`].
    fn add_dequantised(indices: &[Self::Index], step: Self, centroids: Centroids, out: &mut [Self]);
    /// Σ a·b in f64, eight partial sums.
    fn dot(a: &[Self], b: &[Self]) -> f64;
}

#[inline(always)]
fn axpy<R: Real>(weight: R, input: &[R], out: &mut [R]) {
    for (o, &v) in out.iter_mut().zip(input) {
        *o += weight * v;
    }
}

#[inline(always)]
fn dot<R: Real>(a: &[R], b: &[R]) -> f64 {
    let mut sums = [0.0f64; 8];
    let (chunks_a, chunks_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = chunks_a.remainder().iter().zip(chunks_b.remainder()).map(|(x, y)| x.to_f64() * y.to_f64()).sum();
    for (x, y) in chunks_a.zip(chunks_b) {
        for k in 0..8 {
            sums[k] += x[k].to_f64() * y[k].to_f64();
        }
    }
    sums.iter().sum::<f64>() + tail
}

macro_rules! kernels {
    ($float:ty, $int:ty, $axpy:ident, $quantise:ident, $add:ident, $dot:ident) => {
        #[multiversion(targets("x86_64+avx2"))]
        fn $axpy(weight: $float, input: &[$float], out: &mut [$float]) {
            axpy(weight, input, out)
        }
        #[multiversion(targets("x86_64+avx2"))]
        fn $quantise(values: &[$float], step: $float, rounding: $float, indices: &mut [$int]) -> bool {
            quantise(values, step, rounding, indices)
        }
        #[multiversion(targets("x86_64+avx2"))]
        fn $add(indices: &[$int], step: $float, centroids: Centroids, out: &mut [$float]) {
            add_dequantised(indices, step, centroids, out)
        }
        #[multiversion(targets("x86_64+avx2"))]
        fn $dot(a: &[$float], b: &[$float]) -> f64 {
            dot(a, b)
        }
        impl Kernel for $float {
            fn axpy(weight: Self, input: &[Self], out: &mut [Self]) {
                $axpy(weight, input, out)
            }
            fn quantise(values: &[Self], step: Self, rounding: Self, indices: &mut [Self::Index]) -> bool {
                $quantise(values, step, rounding, indices)
            }
            fn add_dequantised(indices: &[Self::Index], step: Self, centroids: Centroids, out: &mut [Self]) {
                $add(indices, step, centroids, out)
            }
            fn dot(a: &[Self], b: &[Self]) -> f64 {
                $dot(a, b)
            }
        }
    };
}
kernels!(f32, i32, axpy_f32, quantise_f32, add_dequantised_f32, dot_f32);
kernels!(f64, i64, axpy_f64, quantise_f64, add_dequantised_f64, dot_f64);
