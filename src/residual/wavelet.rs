//! The 2-D CDF 9/7 wavelet (Cohen, Daubechies, Feauveau 1992) by lifting (Daubechies, Sweldens 1998), scaled to be nearly
//! orthonormal, on frames of any size.
//!
//! Every operation has one fixed order and none is contracted, so that the same bytes synthesise to the same bits on every
//! machine.

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
    scratch.resize(h * w + 2 * w.max(h) + 8, T::default());
    for level in 0..levels {
        T::analyse(frame, w, low_size(h, level), low_size(w, level), scratch);
    }
}

/// The inverse of [`forward`], down to the low-pass corner after `stop` splits (0: the frame itself).
pub(crate) fn inverse<T: Wave>(frame: &mut [T], h: usize, w: usize, levels: usize, stop: usize, scratch: &mut Vec<T>) {
    scratch.resize(h * w + 2 * w.max(h) + 8, T::default());
    for level in (stop..levels).rev() {
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
fn add_rows<T: Real>(target: &mut [T], a: &[T], b: &[T], c: T) {
    for ((t, &a), &b) in target.iter_mut().zip(a).zip(b) {
        *t += c * (a + b);
    }
}

/// One vertical lifting step on rows of `w` values: low rows first, high rows after them.
#[inline(always)]
fn lift_rows<T: Real>(rows: &mut [T], h: usize, w: usize, c: T, update_high: bool) {
    let n_low = h.div_ceil(2);
    let n_high = h - n_low;
    let (low, high) = rows[..h * w].split_at_mut(n_low * w);
    if update_high {
        for i in 0..n_high {
            let next = if i + 1 < n_low { i + 1 } else { i };
            add_rows(&mut high[i * w..][..w], &low[i * w..][..w], &low[next * w..][..w], c);
        }
    } else {
        for i in 0..n_low {
            let before = if i > 0 { i - 1 } else { 0 };
            let after = if i < n_high { i } else { n_high - 1 };
            add_rows(&mut low[i * w..][..w], &high[before * w..][..w], &high[after * w..][..w], c);
        }
    }
}

#[inline(always)]
fn scale<T: Real>(values: &mut [T], factor: T) {
    for v in values {
        *v = *v * factor;
    }
}

#[inline(always)]
fn analyse_level<T: Real>(frame: &mut [T], stride: usize, h: usize, w: usize, scratch: &mut [T]) {
    let [alpha, beta, gamma, delta, kappa] = [ALPHA, BETA, GAMMA, DELTA, KAPPA].map(T::from_f64);
    let inverse_kappa = T::from_f64(1.0 / KAPPA);
    let (rows, line) = scratch.split_at_mut(h * w);
    let n_low = h.div_ceil(2);
    // Rows: each into its low and its high half, moved to where the vertical step wants it (even rows first).
    let half = w.div_ceil(2);
    let line = &mut line[..w];
    for y in 0..h {
        let source = &mut frame[y * stride..][..w];
        if w > 1 {
            let (low, high) = line.split_at_mut(half);
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
            scale(low, kappa);
            scale(high, inverse_kappa);
        } else {
            line[0] = source[0];
        }
        let target = if y % 2 == 0 { y / 2 } else { n_low + y / 2 };
        rows[target * w..][..w].copy_from_slice(line);
    }
    if h > 1 {
        lift_rows(rows, h, w, alpha, true);
        lift_rows(rows, h, w, beta, false);
        lift_rows(rows, h, w, gamma, true);
        lift_rows(rows, h, w, delta, false);
        scale(&mut rows[..n_low * w], kappa);
        scale(&mut rows[n_low * w..], inverse_kappa);
    }
    for y in 0..h {
        frame[y * stride..][..w].copy_from_slice(&rows[y * w..][..w]);
    }
}

#[inline(always)]
fn synthesise_level<T: Real>(frame: &mut [T], stride: usize, h: usize, w: usize, scratch: &mut [T]) {
    let [alpha, beta, gamma, delta] = [-ALPHA, -BETA, -GAMMA, -DELTA].map(T::from_f64);
    let kappa = T::from_f64(KAPPA);
    let inverse_kappa = T::from_f64(1.0 / KAPPA);
    let (rows, line) = scratch.split_at_mut(h * w);
    let n_low = h.div_ceil(2);
    for y in 0..h {
        rows[y * w..][..w].copy_from_slice(&frame[y * stride..][..w]);
    }
    if h > 1 {
        scale(&mut rows[..n_low * w], inverse_kappa);
        scale(&mut rows[n_low * w..], kappa);
        lift_rows(rows, h, w, delta, false);
        lift_rows(rows, h, w, gamma, true);
        lift_rows(rows, h, w, beta, false);
        lift_rows(rows, h, w, alpha, true);
    }
    let half = w.div_ceil(2);
    let line = &mut line[..w];
    for y in 0..h {
        let from = if y % 2 == 0 { y / 2 } else { n_low + y / 2 };
        line.copy_from_slice(&rows[from * w..][..w]);
        let target = &mut frame[y * stride..][..w];
        if w > 1 {
            let (low, high) = line.split_at_mut(half);
            scale(low, inverse_kappa);
            scale(high, kappa);
            lift_low(low, high, delta);
            lift_high(high, low, gamma);
            lift_low(low, high, beta);
            lift_high(high, low, alpha);
            for ((pair, &s), &d) in target.chunks_exact_mut(2).zip(low.iter()).zip(high.iter()) {
                pair[0] = s;
                pair[1] = d;
            }
            if w % 2 == 1 {
                target[w - 1] = low[half - 1];
            }
        } else {
            target[0] = line[0];
        }
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
            inverse(&mut frame, h, w, n, 0, &mut scratch);
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
