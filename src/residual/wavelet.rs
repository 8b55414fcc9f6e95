//! The 2-D CDF 9/7 wavelet (Cohen, Daubechies, Feauveau 1992) by lifting (Daubechies, Sweldens 1998), scaled to be
//! nearly orthonormal, on frames of any size.
//!
//! Every operation has one fixed order and none is contracted, so that the same bytes synthesise to the same bits on
//! every machine.

use super::real::Real;
use multiversion::multiversion;

const ALPHA: f64 = -1.586_134_342_059_924;
const BETA: f64 = -0.052_980_118_572_961;
const GAMMA: f64 = 0.882_911_075_530_934;
const DELTA: f64 = 0.443_506_852_043_971;
/// Scale of the low-pass half that makes the transform nearly orthonormal; its inverse scales the high-pass half.
const KAPPA: f64 = 1.149_604_398_860_241;

/// The most levels that a frame is split into.
pub(crate) const MAX_LEVELS: usize = 6;
/// Rows of scratch beside half a frame.
const LINES: usize = 8;
/// A frame is not split further where its shorter side would fall below this.
const MIN_SIDE: usize = 4;

/// The number of levels for a frame: one decision for both directions.
pub(crate) fn levels(h: usize, w: usize) -> usize {
    // A frame of one row or column is split along its other side.
    let mut side = match (h, w) {
        (1, w) => w,
        (h, 1) => h,
        (h, w) => h.min(w),
    };
    let mut levels = 0;
    while levels < MAX_LEVELS && side.div_ceil(2) >= MIN_SIDE {
        side = side.div_ceil(2);
        levels += 1;
    }
    levels
}

/// Sizes of the low-pass corner after `level` splits.
pub(crate) fn low_size(n: usize, level: usize) -> usize {
    let mut n = n;
    for _ in 0..level {
        n = n.div_ceil(2);
    }
    n
}

/// Analyses `frame [h][w]` in place into the usual corner layout: low-pass in the top left, `levels` times.
pub(crate) fn forward<T: Wave>(frame: &mut [T], h: usize, w: usize, levels: usize, scratch: &mut Vec<T>) {
    scratch.resize(h.div_ceil(2) * w + LINES * w, T::default());
    for level in 0..levels {
        T::analyse(frame, w, low_size(h, level), low_size(w, level), scratch);
    }
}

/// The inverse of [`forward`].
pub(crate) fn inverse<T: Wave>(frame: &mut [T], h: usize, w: usize, levels: usize, scratch: &mut Vec<T>) {
    scratch.resize(h.div_ceil(2) * w + LINES * w, T::default());
    for level in (0..levels).rev() {
        T::synthesise(frame, w, low_size(h, level), low_size(w, level), scratch);
    }
}

/// [`Real`] types with their compiled kernels.
pub(crate) trait Wave: Real {
    fn analyse(frame: &mut [Self], stride: usize, h: usize, w: usize, scratch: &mut [Self]);
    fn synthesise(frame: &mut [Self], stride: usize, h: usize, w: usize, scratch: &mut [Self]);
}

macro_rules! wave {
    ($float:ty, $analyse:ident, $synthesise:ident) => {
        #[multiversion(targets("x86_64+avx2"))]
        fn $analyse(frame: &mut [$float], stride: usize, h: usize, w: usize, scratch: &mut [$float]) {
            analyse_level(frame, stride, h, w, scratch)
        }
        #[multiversion(targets("x86_64+avx2"))]
        fn $synthesise(frame: &mut [$float], stride: usize, h: usize, w: usize, scratch: &mut [$float]) {
            synthesise_level(frame, stride, h, w, scratch)
        }
        impl Wave for $float {
            fn analyse(frame: &mut [Self], stride: usize, h: usize, w: usize, scratch: &mut [Self]) {
                $analyse(frame, stride, h, w, scratch)
            }
            fn synthesise(frame: &mut [Self], stride: usize, h: usize, w: usize, scratch: &mut [Self]) {
                $synthesise(frame, stride, h, w, scratch)
            }
        }
    };
}
wave!(f32, analyse_f32, synthesise_f32);
wave!(f64, analyse_f64, synthesise_f64);

/// `target[i] += c (low[i] + low[i + 1])`, mirrored at the right end: the step that updates odd samples.
#[inline(always)]
fn lift_high<T: Real>(high: &mut [T], low: &[T], c: T) {
    let n = high.len();
    let inner = n.min(low.len() - 1);
    for ((d, &s0), &s1) in high[..inner].iter_mut().zip(&low[..inner]).zip(&low[1..=inner]) {
        *d += c * (s0 + s1);
    }
    if inner < n {
        high[inner] += c * (low[inner] + low[inner]);
    }
}

/// `low[i] += c (high[i − 1] + high[i])`, mirrored at both ends: the step that updates even samples.
#[inline(always)]
fn lift_low<T: Real>(low: &mut [T], high: &[T], c: T) {
    let n = low.len();
    low[0] += c * (high[0] + high[0]);
    let inner = n.min(high.len());
    for ((s, &d0), &d1) in low[1..inner].iter_mut().zip(&high[..inner - 1]).zip(&high[1..inner]) {
        *s += c * (d0 + d1);
    }
    if inner < n {
        low[inner] += c * (high[inner - 1] + high[inner - 1]);
    }
}

#[inline(always)]
fn scale<T: Real>(values: &mut [T], factor: T) {
    for v in values {
        *v = *v * factor;
    }
}

/// Splits a row of more than one value into its low-pass half and, after it, its high-pass half.
#[inline(always)]
fn analyse_row<T: Real>(source: &[T], out: &mut [T]) {
    let [alpha, beta, gamma, delta] = [ALPHA, BETA, GAMMA, DELTA].map(T::from_f64);
    let w = source.len();
    if w == 1 {
        out[0] = source[0];
        return;
    }
    let half = w.div_ceil(2);
    let (low, high) = out.split_at_mut(half);
    for ((pair, s), d) in source.chunks_exact(2).zip(low.iter_mut()).zip(high.iter_mut()) {
        *s = pair[0];
        *d = pair[1];
    }
    if w % 2 == 1 {
        low[half - 1] = source[w - 1];
    }
    lift_high(high, low, alpha);
    lift_low(low, high, beta);
    lift_high(high, low, gamma);
    lift_low(low, high, delta);
    scale(low, T::from_f64(KAPPA));
    scale(high, T::from_f64(1.0 / KAPPA));
}

/// The inverse of [`analyse_row`]; `line` is overwritten.
#[inline(always)]
fn synthesise_row<T: Real>(line: &mut [T], out: &mut [T]) {
    let [alpha, beta, gamma, delta] = [-ALPHA, -BETA, -GAMMA, -DELTA].map(T::from_f64);
    let w = out.len();
    if w == 1 {
        out[0] = line[0];
        return;
    }
    let half = w.div_ceil(2);
    let (low, high) = line.split_at_mut(half);
    scale(low, T::from_f64(1.0 / KAPPA));
    scale(high, T::from_f64(KAPPA));
    lift_low(low, high, delta);
    lift_high(high, low, gamma);
    lift_low(low, high, beta);
    lift_high(high, low, alpha);
    for ((pair, &s), &d) in out.chunks_exact_mut(2).zip(low.iter()).zip(high.iter()) {
        pair[0] = s;
        pair[1] = d;
    }
    if w % 2 == 1 {
        out[w - 1] = low[half - 1];
    }
}

/// `out = target + c (a + b)`: one lifting step on a whole row.
#[inline(always)]
fn lift_row<T: Real>(out: &mut [T], target: &[T], a: &[T], b: &[T], c: T) {
    let n = out.len();
    let (target, a, b) = (&target[..n], &a[..n], &b[..n]);
    for i in 0..n {
        out[i] = target[i] + c * (a[i] + b[i]);
    }
}

/// `N` rows of `w` values, to be worked in.
fn lines<T, const N: usize>(buffer: &mut [T], w: usize) -> [&mut [T]; N] {
    let mut lines = buffer.chunks_exact_mut(w);
    std::array::from_fn(|_| lines.next().expect("the scratch has room for all lines"))
}

/// One level. The vertical lifting steps follow each other down the frame, each a row or two behind the one before, so
/// that all of them find their rows in the nearest cache.
#[inline(always)]
fn analyse_level<T: Real>(frame: &mut [T], stride: usize, h: usize, w: usize, scratch: &mut [T]) {
    let [alpha, beta, gamma, delta, kappa] = [ALPHA, BETA, GAMMA, DELTA, KAPPA].map(T::from_f64);
    let inverse_kappa = T::from_f64(1.0 / KAPPA);
    let n_low = h.div_ceil(2);
    let n_high = h - n_low;
    // The high rows' places still hold rows to be read.
    let (highs, buffer) = scratch.split_at_mut(n_high * w);
    let [mut even, mut odd, mut next, mut d1, mut s1, mut s1_now] = lines::<T, 6>(buffer, w);
    if h == 1 {
        analyse_row(&frame[..w], even);
        frame[..w].copy_from_slice(even);
        return;
    }
    analyse_row(&frame[..w], even);
    for i in 0..n_low {
        // d1[i] in `odd`, s1[i] in `s1_now`; d1[i − 1] and s1[i − 1] in `d1` and `s1`.
        if i < n_high {
            analyse_row(&frame[(2 * i + 1) * stride..][..w], odd);
            let last = 2 * i + 2 >= h;
            if !last {
                analyse_row(&frame[(2 * i + 2) * stride..][..w], next);
            }
            let after: &[T] = if last { &*even } else { &*next };
            for ((d, &a), &b) in odd.iter_mut().zip(even.iter()).zip(after) {
                *d += alpha * (a + b);
            }
            lift_row(s1_now, even, if i == 0 { &*odd } else { &*d1 }, odd, beta);
        } else {
            lift_row(s1_now, even, d1, d1, beta);
        }
        if i > 0 {
            finish_low(&mut frame[(i - 1) * stride..][..w], highs, i - 1, [d1, s1, s1_now], [gamma, delta, kappa]);
        }
        if i < n_high {
            std::mem::swap(&mut d1, &mut odd);
        }
        std::mem::swap(&mut s1, &mut s1_now);
        std::mem::swap(&mut even, &mut next);
    }
    if n_low == n_high {
        finish_low(&mut frame[(n_low - 1) * stride..][..w], highs, n_low - 1, [d1, s1, s1], [gamma, delta, kappa]);
    } else {
        let before = &highs[(n_high - 1) * w..][..w];
        let out = &mut frame[(n_low - 1) * stride..][..w];
        lift_row(out, s1, before, before, delta);
        scale(out, kappa);
    }
    for (i, row) in highs.chunks_exact(w).enumerate() {
        let out = &mut frame[(n_low + i) * stride..][..w];
        for (o, &v) in out.iter_mut().zip(row) {
            *o = v * inverse_kappa;
        }
    }
}

/// The last two vertical steps for row pair `i`: d2[i], not yet scaled, to `highs`, and s2[i] to `out`.
#[inline(always)]
fn finish_low<T: Real>(
    out: &mut [T],
    highs: &mut [T],
    i: usize,
    [d1, s1, s1_next]: [&[T]; 3],
    [gamma, delta, kappa]: [T; 3],
) {
    let w = out.len();
    let (done, rest) = highs.split_at_mut(i * w);
    let d2 = &mut rest[..w];
    lift_row(d2, d1, s1, s1_next, gamma);
    let before: &[T] = if i == 0 { d2 } else { &done[(i - 1) * w..][..w] };
    for x in 0..w {
        out[x] = (s1[x] + delta * (before[x] + d2[x])) * kappa;
    }
}

/// One level back; see [`analyse_level`].
#[inline(always)]
fn synthesise_level<T: Real>(frame: &mut [T], stride: usize, h: usize, w: usize, scratch: &mut [T]) {
    let [alpha, beta, gamma, delta] = [-ALPHA, -BETA, -GAMMA, -DELTA].map(T::from_f64);
    let kappa = T::from_f64(KAPPA);
    let inverse_kappa = T::from_f64(1.0 / KAPPA);
    let n_low = h.div_ceil(2);
    let n_high = h - n_low;
    // The low rows' places are written before they are all read.
    let (lows, buffer) = scratch.split_at_mut(n_low * w);
    for (i, row) in lows.chunks_exact_mut(w).enumerate() {
        row.copy_from_slice(&frame[i * stride..][..w]);
    }
    let [mut d2, mut d2_now, mut s1, mut s1_now, mut d1, mut d1_now, mut even, mut even_now] = lines::<T, 8>(buffer, w);
    if h == 1 {
        synthesise_row(lows, &mut frame[..w]);
        return;
    }
    // In turn i: s1[i], then d1[i − 1], the even row i − 1, and the odd row i − 2.
    for i in 0..n_low + 2 {
        if i < n_low {
            let s2 = &mut lows[i * w..][..w];
            scale(s2, inverse_kappa);
            if i < n_high {
                for (d, &v) in d2_now.iter_mut().zip(&frame[(n_low + i) * stride..][..w]) {
                    *d = v * kappa;
                }
                lift_row(s1_now, s2, if i == 0 { &*d2_now } else { &*d2 }, d2_now, delta);
            } else {
                lift_row(s1_now, s2, d2, d2, delta);
            }
        }
        if i > 0 && i - 1 < n_high {
            lift_row(d1_now, d2, s1, if i < n_low { &*s1_now } else { &*s1 }, gamma);
        }
        if i > 0 && i - 1 < n_low {
            let (before, after): (&[T], &[T]) = match (i > 1, i - 1 < n_high) {
                (true, true) => (&*d1, &*d1_now),
                (true, false) => (&*d1, &*d1),
                (false, _) => (&*d1_now, &*d1_now),
            };
            lift_row(even_now, s1, before, after, beta);
        }
        if i > 1 && i - 2 < n_high {
            let row = &mut frame[(2 * (i - 2) + 1) * stride..][..w];
            let after: &[T] = if i - 1 < n_low { &*even_now } else { &*even };
            for ((d, &a), &b) in d1.iter_mut().zip(even.iter()).zip(after) {
                *d += alpha * (a + b);
            }
            synthesise_row(d1, row);
        }
        if i > 1 && i - 2 < n_low {
            synthesise_row(even, &mut frame[2 * (i - 2) * stride..][..w]);
        }
        std::mem::swap(&mut d2, &mut d2_now);
        std::mem::swap(&mut s1, &mut s1_now);
        std::mem::swap(&mut d1, &mut d1_now);
        std::mem::swap(&mut even, &mut even_now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(n: usize, seed: u64) -> Vec<f64> {
        let mut state = seed | 1;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
            })
            .collect()
    }

    proptest! {
        #[test]
        fn synthesis_inverts_analysis(h in 1usize..70, w in 1usize..70, seed: u64) {
            let original = noise(h * w, seed);
            let mut frame = original.clone();
            let mut scratch = Vec::new();
            let n = levels(h, w);
            forward(&mut frame, h, w, n, &mut scratch);
            inverse(&mut frame, h, w, n, &mut scratch);
            for (a, b) in original.iter().zip(&frame) {
                prop_assert!((a - b).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn nearly_orthonormal_and_unit_gain_for_constants() {
        let (h, w) = (128, 96);
        let mut scratch = Vec::new();
        let mut frame = noise(h * w, 7);
        let before: f64 = frame.iter().map(|v| v * v).sum();
        forward(&mut frame, h, w, 4, &mut scratch);
        let after: f64 = frame.iter().map(|v| v * v).sum();
        assert!((after / before - 1.0).abs() < 0.1, "energy ratio {}", after / before);
        let mut flat = vec![1.0f64; h * w];
        forward(&mut flat, h, w, 4, &mut scratch);
        assert!((flat[0] - 16.0).abs() < 1e-9, "constant becomes {} instead of 2^levels", flat[0]);
        assert!(flat[w - 1].abs() < 1e-9);
    }
}
