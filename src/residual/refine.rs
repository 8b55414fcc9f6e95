//! Rate–distortion optimisation of quantiser indices: a lone ±1 among zeros costs several bits and makes its neighbours dearer, so
//! it must earn more than one in busy surroundings.

use super::layout::Layout;
use super::quantise::Tally;
use super::real::{Index, Real};

/// Below this magnitude, in steps, a ±1 becomes 0: by the sum of its eight neighbours' magnitudes, each counted up to 2. Fitted
/// to tuning flows and the Navy's meridional winds (docs/design.md).
const LEAST: [f64; 5] = [0.85, 0.76, 0.7, 0.67, 0.64];
/// Values that are looked through at once.
const PIECE: usize = 32;

/// Sets the indices of `values`, one frame's coefficients, to zero where that pays; keeps `tally` true.
#[inline(always)]
pub(crate) fn refine<R: Real>(values: &[R], step: R, layout: &Layout, indices: &mut [R::Index], tally: &mut Tally) {
    let inverse = R::from_f64(1.0 / step.to_f64());
    let least = LEAST.map(R::from_f64);
    let (zero, one) = (R::Index::default(), R::Index::from_i64(1));
    let one = [one, one.negative()];
    let limit = least[0];
    for band in &layout.bands {
        for y in 0..band.h {
            let row = (band.y0 + y) * layout.w + band.x0;
            for start in (0..band.w).step_by(PIECE) {
                let until = band.w.min(start + PIECE);
                // Candidates are few: most pieces have none.
                let mut any = false;
                for (&q, &v) in indices[row + start..row + until].iter().zip(&values[row + start..row + until]) {
                    any |= (q != zero) & (v.abs() * inverse < limit);
                }
                if !any {
                    continue;
                }
                for x in start..until {
                    let at = row + x;
                    let size = values[at].abs() * inverse;
                    if !one.contains(&indices[at]) || size >= limit {
                        continue;
                    }
                    let (from, until) = (x.saturating_sub(1), band.w.min(x + 2));
                    let mut around = 0;
                    for y in y.saturating_sub(1)..band.h.min(y + 2) {
                        for &q in &indices[(band.y0 + y) * layout.w + band.x0..][from..until] {
                            around += q.to_i64().unsigned_abs().min(2) as usize;
                        }
                    }
                    if size < least[(around - 1).min(least.len() - 1)] {
                        indices[at] = zero;
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
