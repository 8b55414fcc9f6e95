//! Loops over whole frames, compiled for the processor's vector width. Elementwise and in one fixed order: the same
//! bits on every machine.

use super::layout::Layout;
use super::quantise::{Centroids, Tally, dequantise, quantise};
use super::real::Real;
use super::refine::refine;
use super::wavelet::Wave;
use multiversion::multiversion;

/// [`Wave`] types with compiled loops over frames.
pub(crate) trait Kernel: Wave {
    /// `out += weight · input`.
    fn axpy(weight: Self, input: &[Self], out: &mut [Self]);
    /// `out += Σ weights[k] · inputs[k]`, the terms added in order.
    fn axpy4(weights: [Self; 4], inputs: [&[Self]; 4], out: &mut [Self]);
    /// See [`quantise`].
    fn quantise(values: &[Self], step: Self, rounding: Self, indices: &mut [Self::Index]) -> Option<Tally>;
    /// See [`refine`].
    fn refine(values: &[Self], step: Self, layout: &Layout, indices: &mut [Self::Index], tally: &mut Tally);
    /// See [`dequantise`].
    fn dequantise(indices: &[Self::Index], step: Self, centroids: Centroids, out: &mut [Self]);
    /// About how many bits `values` cost at a step, `inverse` being one over it: Σ log2(1 + (v · inverse)²), each by a
    /// straight line between powers of two; only comparisons depend on it.
    fn bits(values: &[Self], inverse: Self) -> f64;
    /// Σ (a − b)², `b` clamped to `limits`. Sums of strips are taken in the working precision, so that the result is
    /// good to about a millionth in f32.
    fn squared_error(a: &[Self], b: &[Self], limits: [Self; 2]) -> f64;
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
fn axpy4<R: Real>([wa, wb, wc, wd]: [R; 4], [a, b, c, d]: [&[R]; 4], out: &mut [R]) {
    let n = out.len();
    let (a, b, c, d) = (&a[..n], &b[..n], &c[..n], &d[..n]);
    for i in 0..n {
        out[i] = out[i] + wa * a[i] + wb * b[i] + wc * c[i] + wd * d[i];
    }
}

/// `out[k] = Σ_t rows(k)[t] · inputs[t]` for matrices `[count][n]`: a change of basis, in strips that stay in cache
/// while every input contributes to every output.
pub(crate) fn change_basis<R: Kernel>(
    rows: impl Fn(usize, usize) -> f64,
    inputs: &[R],
    count: usize,
    n: usize,
    out: &mut [R],
) {
    const STRIP: usize = 512;
    let weights: Vec<R> = (0..count * count).map(|i| R::from_f64(rows(i / count, i % count))).collect();
    out.fill(R::default());
    for start in (0..n).step_by(STRIP) {
        let len = STRIP.min(n - start);
        let input = |t: usize| &inputs[t * n + start..][..len];
        for (k, weights) in weights.chunks_exact(count).enumerate() {
            let out = &mut out[k * n + start..][..len];
            let mut t = 0;
            while t + 4 <= count {
                let w = [weights[t], weights[t + 1], weights[t + 2], weights[t + 3]];
                R::axpy4(w, [input(t), input(t + 1), input(t + 2), input(t + 3)], out);
                t += 4;
            }
            while t < count {
                R::axpy(weights[t], input(t), out);
                t += 1;
            }
        }
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

#[inline(always)]
fn bits<R: Real>(values: &[R], inverse: R) -> f64 {
    let one = R::from_f64(1.0);
    // Bit patterns of f32 are, but for their bias, logarithms in units of 2^-23.
    let pattern = |v: R| {
        let scaled = v * inverse;
        (((scaled * scaled + one).to_f64() as f32).to_bits() - 1f32.to_bits()) >> 7
    };
    // In strips, whose sums stay below 2^32.
    values.chunks(256).map(|strip| f64::from(strip.iter().map(|&v| pattern(v)).sum::<u32>())).sum::<f64>() / 65536.0
}

#[inline(always)]
fn squared_error<R: Real>(a: &[R], b: &[R], [low, high]: [R; 2]) -> f64 {
    const LANES: usize = 16;
    let mut total = 0.0;
    for (a, b) in a.chunks(1024).zip(b.chunks(1024)) {
        let mut sums = [R::default(); LANES];
        let (pieces_a, rest_a) = a.as_chunks::<LANES>();
        let (pieces_b, rest_b) = b.as_chunks::<LANES>();
        let mut add = |a: &[R], b: &[R]| {
            for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
                let b = if b < low { low } else { b };
                let b = if b > high { high } else { b };
                let error = a - b;
                *sum += error * error;
            }
        };
        for (a, b) in pieces_a.iter().zip(pieces_b) {
            add(a, b);
        }
        add(rest_a, rest_b);
        total += sums.iter().map(|v| v.to_f64()).sum::<f64>();
    }
    total
}

macro_rules! kernels {
    ($float:ty, $int:ty, $axpy:ident, $axpy4:ident, $quantise:ident, $refine:ident, $dequantise:ident, $bits:ident, $squared_error:ident, $dot:ident) => {
        #[multiversion(targets("x86_64+avx2"))]
        fn $axpy(weight: $float, input: &[$float], out: &mut [$float]) {
            axpy(weight, input, out)
        }
        #[multiversion(targets("x86_64+avx2"))]
        fn $axpy4(weights: [$float; 4], inputs: [&[$float]; 4], out: &mut [$float]) {
            axpy4(weights, inputs, out)
        }
        #[multiversion(targets("x86_64+avx2"))]
        fn $quantise(values: &[$float], step: $float, rounding: $float, indices: &mut [$int]) -> Option<Tally> {
            quantise(values, step, rounding, indices)
        }
        #[multiversion(targets("x86_64+avx2"))]
        fn $refine(values: &[$float], step: $float, layout: &Layout, indices: &mut [$int], tally: &mut Tally) {
            refine(values, step, layout, indices, tally)
        }
        #[multiversion(targets("x86_64+avx2"))]
        fn $dequantise(indices: &[$int], step: $float, centroids: Centroids, out: &mut [$float]) {
            dequantise(indices, step, centroids, out)
        }
        #[multiversion(targets("x86_64+avx2"))]
        fn $bits(values: &[$float], inverse: $float) -> f64 {
            bits(values, inverse)
        }
        #[multiversion(targets("x86_64+avx2"))]
        fn $squared_error(a: &[$float], b: &[$float], limits: [$float; 2]) -> f64 {
            squared_error(a, b, limits)
        }
        #[multiversion(targets("x86_64+avx2"))]
        fn $dot(a: &[$float], b: &[$float]) -> f64 {
            dot(a, b)
        }
        impl Kernel for $float {
            fn axpy(weight: Self, input: &[Self], out: &mut [Self]) {
                $axpy(weight, input, out)
            }
            fn axpy4(weights: [Self; 4], inputs: [&[Self]; 4], out: &mut [Self]) {
                $axpy4(weights, inputs, out)
            }
            fn quantise(values: &[Self], step: Self, rounding: Self, indices: &mut [Self::Index]) -> Option<Tally> {
                $quantise(values, step, rounding, indices)
            }
            fn refine(values: &[Self], step: Self, layout: &Layout, indices: &mut [Self::Index], tally: &mut Tally) {
                $refine(values, step, layout, indices, tally)
            }
            fn dequantise(indices: &[Self::Index], step: Self, centroids: Centroids, out: &mut [Self]) {
                $dequantise(indices, step, centroids, out)
            }
            fn bits(values: &[Self], inverse: Self) -> f64 {
                $bits(values, inverse)
            }
            fn squared_error(a: &[Self], b: &[Self], limits: [Self; 2]) -> f64 {
                $squared_error(a, b, limits)
            }
            fn dot(a: &[Self], b: &[Self]) -> f64 {
                $dot(a, b)
            }
        }
    };
}
kernels!(f32, i32, axpy_f32, axpy4_f32, quantise_f32, refine_f32, dequantise_f32, bits_f32, squared_error_f32, dot_f32);
kernels!(f64, i64, axpy_f64, axpy4_f64, quantise_f64, refine_f64, dequantise_f64, bits_f64, squared_error_f64, dot_f64);
