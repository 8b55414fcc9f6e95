//! The dead-zone quantiser and the centroids that its indices are decoded to.

use super::real::{Index, Real};

/// Added to |x| / step before truncation: below one half, so that the zero bin is wider, which costs a little error and
/// saves more bits (measured: docs/design.md).
pub(crate) const ROUNDING: f64 = 0.36;
/// Centroids are coded in units of 1 / CENTROID_UNITS of a step.
pub(crate) const CENTROID_UNITS: f64 = 64.0;

/// How far towards zero, in units of the step / [`CENTROID_UNITS`], the indices ±1, ±2 and all larger ones are decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Centroids(pub(crate) [u8; 3]);

impl Centroids {
    /// The largest shift: just under half a step.
    pub(crate) const MAX: u8 = 31;

    /// The values of the indices 0 to 3 at `step`; larger ones continue from the last.
    fn table<R: Real>(self, step: R) -> [R; 4] {
        let shift = |k: usize| self.0[k] as f64 / CENTROID_UNITS;
        [0.0, 1.0 - shift(0), 2.0 - shift(1), 3.0 - shift(2)].map(|v| R::from_f64(v) * step)
    }
}

/// Indices of `values` at `step`; gives false where one exceeds what the index type may hold.
#[inline(always)]
pub(crate) fn quantise<R: Real>(values: &[R], step: R, rounding: R, indices: &mut [R::Index]) -> bool {
    let inverse = R::from_f64(1.0 / step.to_f64());
    let limit = R::from_f64(R::Index::LIMIT as f64);
    let mut sound = true;
    for (&v, slot) in values.iter().zip(indices) {
        let scaled = v.abs() * inverse + rounding;
        // A comparison that is false for NaN too.
        sound &= scaled < limit;
        let index = scaled.to_index();
        let signed = R::from_index(index);
        *slot = if v < R::default() { (-signed).to_index() } else { index };
    }
    sound
}

/// The centroids of the indices ±1, ±2 and larger.
pub(crate) fn centroids<R: Real>(values: &[R], indices: &[R::Index], step: f64, sums: &mut [(f64, u64); 3]) {
    for (&v, &q) in values.iter().zip(indices) {
        let q = q.to_i64();
        if q != 0 {
            let magnitude = q.unsigned_abs();
            let slot = &mut sums[(magnitude.min(3) - 1) as usize];
            slot.0 += magnitude as f64 - v.abs().to_f64() / step;
            slot.1 += 1;
        }
    }
}

/// The centroids from the sums that [`centroids`] gathered.
pub(crate) fn fit(sums: &[(f64, u64); 3]) -> Centroids {
    Centroids(std::array::from_fn(|k| {
        let (sum, count) = sums[k];
        let shift = if count == 0 { 0.0 } else { sum / count as f64 };
        (shift * CENTROID_UNITS).round().clamp(0.0, f64::from(Centroids::MAX)) as u8
    }))
}

/// `out[i] += value(indices[i])`.
#[inline(always)]
pub(crate) fn add_dequantised<R: Real>(indices: &[R::Index], step: R, centroids: Centroids, out: &mut [R]) {
    let table = centroids.table(step);
    let tail = table[3] - R::from_f64(3.0) * step;
    for (&q, slot) in indices.iter().zip(out) {
        let q = q.to_i64();
        if q == 0 {
            continue;
        }
        let magnitude = q.unsigned_abs();
        let v = if magnitude < 4 { table[magnitude as usize] } else { R::from_f64(magnitude as f64) * step + tail };
        *slot += if q < 0 { -v } else { v };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decodes_within_a_step(values in prop::collection::vec(-1e3f64..1e3, 1..200), step in 1e-3f64..10.0) {
            let mut indices = vec![0i64; values.len()];
            prop_assert!(quantise(&values, step, ROUNDING, &mut indices));
            let mut sums = Default::default();
            centroids(&values, &indices, step, &mut sums);
            let mut out = vec![0.0; values.len()];
            add_dequantised(&indices, step, fit(&sums), &mut out);
            for (a, b) in values.iter().zip(&out) {
                prop_assert!((a - b).abs() <= step * 1.001);
            }
        }
    }

    #[test]
    fn refuses_what_the_index_cannot_hold() {
        let mut indices = [0i32; 1];
        assert!(!quantise(&[1e30f32], 1e-3, 0.36, &mut indices));
        assert!(!quantise(&[f32::NAN], 1e-3, 0.36, &mut indices));
    }
}
