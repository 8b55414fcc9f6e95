//! Rate–distortion optimisation of quantiser indices: a lone ±1 among zeros costs several bits and makes its neighbours
//! dearer, so it must earn more than one in busy surroundings.

use super::layout::Layout;
use super::quantise::Tally;
use super::real::{Index, Real};

/// Below this magnitude, in steps, a ±1 becomes 0: by the sum of its eight neighbours' magnitudes, each counted up to
/// 2. Fitted to tuning flows and the Navy's meridional winds (docs/design.md).
const LEAST: [f64; 5] = [0.85, 0.76, 0.7, 0.67, 0.64];
/// Values that are looked through at once.
const PIECE: usize = 64;

/// Sets the indices of `values`, one frame's coefficients, to zero where that pays; keeps `tally` true.
#[inline(always)]
pub(crate) fn refine<R: Real>(values: &[R], step: R, layout: &Layout, indices: &mut [R::Index], tally: &mut Tally) {
    let inverse = R::from_f64(1.0 / step.to_f64());
    let least = LEAST.map(R::from_f64);
    for band in &layout.bands {
        for y in 0..band.h {
            let row = (band.y0 + y) * layout.w + band.x0;
            for start in (0..band.w).step_by(PIECE) {
                let until = band.w.min(start + PIECE);
                let piece = row + start..row + until;
                let mut left = candidates(&values[piece.clone()], inverse, least[0], &indices[piece]);
                while left != 0 {
                    let x = start + left.trailing_zeros() as usize;
                    left &= left - 1;
                    let (from, until) = (x.saturating_sub(1), band.w.min(x + 2));
                    let mut around = 0;
                    for y in y.saturating_sub(1)..band.h.min(y + 2) {
                        for &q in &indices[(band.y0 + y) * layout.w + band.x0..][from..until] {
                            around += q.to_i64().unsigned_abs().min(2) as usize;
                        }
                    }
                    let size = values[row + x].abs() * inverse;
                    if size < least[(around - 1).min(least.len() - 1)] {
                        indices[row + x] = R::Index::default();
                        let size = size.to_f64();
                        let error = 1.0 - size;
                        tally.zeros += size * size;
                        tally.counts[0] -= 1.0;
                        tally.sums[0] -= error;
                        tally.squares[0] -= error * error;
                    }
                }
            }
        }
    }
}

/// A bit for each of up to [`PIECE`] values: whether its index is ±1 and its magnitude, in steps, below `limit`.
#[inline(always)]
fn candidates<R: Real>(values: &[R], inverse: R, limit: R, indices: &[R::Index]) -> u64 {
    let one = R::Index::from_i64(1);
    let minus_one = one.negative();
    // Bytes first, which vectorises; then each eight of them to the bits of one.
    let mut flags = [0u8; PIECE];
    for ((flag, &q), &v) in flags.iter_mut().zip(indices).zip(values) {
        *flag = u8::from(((q == one) | (q == minus_one)) & (v.abs() * inverse < limit));
    }
    let (words, _) = flags.as_chunks::<8>();
    words.iter().enumerate().fold(0, |bits, (k, &word)| {
        let gathered = u64::from_le_bytes(word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits | gathered << (8 * k)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::residual::quantise::{ROUNDING, quantise};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_tally_stays_true(h in 1usize..40, w in 1usize..150, seed in prop::collection::vec(-3f64..3.0, 97)) {
            let layout = Layout::new(h, w);
            let values: Vec<f64> = (0..h * w).map(|i| seed[i * 31 % 97] * seed[i * 17 % 89].abs()).collect();
            let mut indices = vec![0i64; values.len()];
            let mut tally = quantise(&values, 1.0, ROUNDING, &mut indices).unwrap();
            let before = indices.clone();
            refine(&values, 1.0, &layout, &mut indices, &mut tally);
            for ((&v, &old), &new) in values.iter().zip(&before).zip(&indices) {
                prop_assert!(new == old || new == 0 && old.abs() == 1 && v.abs() < LEAST[0]);
            }
            let zeros: f64 = values.iter().zip(&indices).map(|(v, &q)| if q == 0 { v * v } else { 0.0 }).sum();
            let ones = indices.iter().filter(|q| q.abs() == 1).count();
            prop_assert!((tally.zeros - zeros).abs() < 1e-9 * (1.0 + zeros));
            prop_assert_eq!(tally.counts[0], ones as f64);
            // A lone ±1 that is small goes, whatever its place in the 64 that are looked through at once.
            for (i, &q) in indices.iter().enumerate() {
                let (y, x) = (i / w, i % w);
                let band = layout.bands.iter().find(|b| {
                    (b.y0..b.y0 + b.h).contains(&y) && (b.x0..b.x0 + b.w).contains(&x)
                }).unwrap();
                let lone = (band.y0..band.y0 + band.h).all(|v| (band.x0..band.x0 + band.w).all(|u| {
                    v.abs_diff(y) > 1 || u.abs_diff(x) > 1 || (v, u) == (y, x) || before[v * w + u] == 0
                }));
                prop_assert!(!(lone && q.abs() == 1 && values[i].abs() < LEAST[0]));
            }
        }
    }
}
