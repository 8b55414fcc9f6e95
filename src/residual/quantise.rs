//! The dead-zone quantiser and the centroids that its indices are decoded to.

use super::real::{Index, Real};

/// Added to |x| / step before truncation: below one half, so that the zero bin is wider, which costs a little error and
/// saves more bits (measured: docs/design.md).
pub(crate) const ROUNDING: f64 = 0.36;
/// Centroids are coded in units of 1 / CENTROID_UNITS of a step.
pub(crate) const CENTROID_UNITS: f64 = 64.0;

/// How far towards zero, in units of the step / [`CENTROID_UNITS`], the indices ±1, ±2 and all larger ones are decoded.
/// Large ones lie almost evenly in their cells, whose middles are further from zero: their shift is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Centroids(pub(crate) [i8; 3]);

impl Centroids {
    /// The largest shift, either way: just under half a step.
    pub(crate) const MAX: i8 = 31;

    /// The values of the indices 0 to 3 at `step`; larger ones continue from the last.
    fn table<R: Real>(self, step: R) -> [R; 4] {
        let shift = |k: usize| self.0[k] as f64 / CENTROID_UNITS;
        [0.0, 1.0 - shift(0), 2.0 - shift(1), 3.0 - shift(2)].map(|v| R::from_f64(v) * step)
    }
}

/// The errors of quantised values by class of index (±1, ±2, larger), before centroids. `error` of a value is
/// |index| − |value| / step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Σ (value / step)² of the values whose index is 0.
    pub(crate) zeros: f64,
    /// How many values have an index of each class, and the sums of their errors and squared errors.
    pub(crate) counts: [f64; 3],
    pub(crate) sums: [f64; 3],
    pub(crate) squares: [f64; 3],
}

impl Tally {
    /// The centroids that leave the least error.
    pub(crate) fn centroids(&self) -> Centroids {
        Centroids(std::array::from_fn(|k| {
            let shift = if self.counts[k] > 0.0 { self.sums[k] / self.counts[k] } else { 0.0 };
            let most = f64::from(Centroids::MAX);
            (shift * CENTROID_UNITS).round().clamp(-most, most) as i8
        }))
    }

    /// The squared error that decoding with `centroids` leaves, over the step's square.
    pub(crate) fn error(&self, centroids: Centroids) -> f64 {
        let classes = (0..3).map(|k| {
            let shift = f64::from(centroids.0[k]) / CENTROID_UNITS;
            self.squares[k] - 2.0 * shift * self.sums[k] + shift * shift * self.counts[k]
        });
        (self.zeros + classes.sum::<f64>()).max(0.0)
    }
}

/// Values that are quantised side by side.
const PIECE: usize = 64;
/// Sums that are taken side by side.
const LANES: usize = 16;
/// Pieces whose sums are taken in the working precision.
const STRIP: usize = 16 * PIECE;

/// Indices of `values` at `step`, and their errors. `None` where one exceeds what the index type may hold.
#[inline(always)]
pub(crate) fn quantise<R: Real>(values: &[R], step: R, rounding: R, indices: &mut [R::Index]) -> Option<Tally> {
    let inverse = R::from_f64(1.0 / step.to_f64());
    let mut tally = Tally::default();
    let mut sound = true;
    for (values, indices) in values.chunks(STRIP).zip(indices.chunks_mut(STRIP)) {
        let mut sums = Sums::<R>::default();
        let (pieces, rest) = values.as_chunks::<PIECE>();
        let (slots, last) = indices.as_chunks_mut::<PIECE>();
        for (piece, slots) in pieces.iter().zip(slots) {
            sound &= sums.add(piece, inverse, rounding, slots);
        }
        if !rest.is_empty() {
            let mut padded = [R::default(); PIECE];
            let mut slots = [R::Index::default(); PIECE];
            padded[..rest.len()].copy_from_slice(rest);
            sound &= sums.add(&padded, inverse, rounding, &mut slots);
            last.copy_from_slice(&slots[..rest.len()]);
        }
        sums.add_to(&mut tally);
    }
    sound.then_some(tally)
}

/// A [`Tally`] in lanes.
struct Sums<R> {
    zeros: [R; LANES],
    counts: [[R; LANES]; 3],
    sums: [[R; LANES]; 3],
    squares: [[R; LANES]; 3],
}

impl<R: Real> Default for Sums<R> {
    #[inline(always)]
    fn default() -> Self {
        let none = [R::default(); LANES];
        Self { zeros: none, counts: [none; 3], sums: [none; 3], squares: [none; 3] }
    }
}

/// Adds the terms of a piece, lane by lane.
#[inline(always)]
fn add_lanes<R: Real>(lanes: &mut [R; LANES], terms: &[R; PIECE]) {
    for terms in terms.chunks_exact(LANES) {
        for (lane, &term) in lanes.iter_mut().zip(terms) {
            *lane += term;
        }
    }
}

impl<R: Real> Sums<R> {
    /// Quantises a piece; false where a value is too large, or none. Loops of one simple step each, which vectorise.
    #[inline(always)]
    fn add(&mut self, values: &[R; PIECE], inverse: R, rounding: R, indices: &mut [R::Index; PIECE]) -> bool {
        let (zero, one) = (R::default(), R::from_f64(1.0));
        let limit = R::from_f64(R::Index::LIMIT as f64);
        let (mut scaled, mut raised) = ([zero; PIECE], [zero; PIECE]);
        let mut sound = 0;
        for k in 0..PIECE {
            scaled[k] = values[k].abs() * inverse;
            let value = scaled[k] + rounding;
            // False for NaN too.
            sound += u32::from(value < limit);
            raised[k] = if value < limit { value } else { limit };
        }
        let mut magnitudes = [zero; PIECE];
        for k in 0..PIECE {
            let (index, magnitude) = raised[k].floor();
            magnitudes[k] = magnitude;
            indices[k] = if values[k] < zero { index.negative() } else { index };
        }
        let (mut errors, mut squares) = ([zero; PIECE], [zero; PIECE]);
        for k in 0..PIECE {
            errors[k] = magnitudes[k] - scaled[k];
            squares[k] = errors[k] * errors[k];
        }
        let mut terms = [zero; PIECE];
        for k in 0..PIECE {
            terms[k] = if magnitudes[k] < one { squares[k] } else { zero };
        }
        add_lanes(&mut self.zeros, &terms);
        let ranges = [(1.0, 1.0), (2.0, 2.0), (3.0, f64::INFINITY)];
        for (class, (from, until)) in ranges.into_iter().enumerate() {
            let (from, until) = (R::from_f64(from), R::from_f64(until));
            let is = |magnitude: R| magnitude >= from && magnitude <= until;
            for k in 0..PIECE {
                terms[k] = if is(magnitudes[k]) { one } else { zero };
            }
            add_lanes(&mut self.counts[class], &terms);
            for k in 0..PIECE {
                terms[k] = if is(magnitudes[k]) { errors[k] } else { zero };
            }
            add_lanes(&mut self.sums[class], &terms);
            for k in 0..PIECE {
                terms[k] = if is(magnitudes[k]) { squares[k] } else { zero };
            }
            add_lanes(&mut self.squares[class], &terms);
        }
        sound == PIECE as u32
    }

    #[inline(always)]
    fn add_to(&self, tally: &mut Tally) {
        let total = |lanes: &[R; LANES]| lanes.iter().map(|v| v.to_f64()).sum::<f64>();
        tally.zeros += total(&self.zeros);
        for class in 0..3 {
            tally.counts[class] += total(&self.counts[class]);
            tally.sums[class] += total(&self.sums[class]);
            tally.squares[class] += total(&self.squares[class]);
        }
    }
}

/// `out[i] = value(indices[i])`.
#[inline(always)]
pub(crate) fn dequantise<R: Real>(indices: &[R::Index], step: R, centroids: Centroids, out: &mut [R]) {
    let [_, one, two, three] = centroids.table(step);
    let tail = three - R::from_f64(3.0) * step;
    let (k1, k2, k3) = (R::from_f64(1.0), R::from_f64(2.0), R::from_f64(3.0));
    for (&q, slot) in indices.iter().zip(out) {
        let index = R::from_index(q);
        let magnitude = index.abs();
        let mut value = magnitude * step + tail;
        value = if magnitude == k3 { three } else { value };
        value = if magnitude == k2 { two } else { value };
        value = if magnitude == k1 { one } else { value };
        value = if index < R::default() { -value } else { value };
        *slot = if index == R::default() { R::default() } else { value };
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
            let tally = quantise(&values, step, ROUNDING, &mut indices).unwrap();
            let centroids = tally.centroids();
            let mut out = vec![0.0; values.len()];
            dequantise(&indices, step, centroids, &mut out);
            for (a, b) in values.iter().zip(&out) {
                prop_assert!((a - b).abs() <= step * 1.001);
            }
            let error: f64 = values.iter().zip(&out).map(|(a, b)| (a - b).powi(2)).sum();
            let told = tally.error(centroids) * step * step;
            prop_assert!((error - told).abs() <= 1e-9 * (error + step * step), "{error}, told {told}");
        }
    }

    #[test]
    fn refuses_what_the_index_cannot_hold() {
        let mut indices = [0i32; 1];
        assert!(quantise(&[1e30f32], 1e-3, 0.36, &mut indices).is_none());
        assert!(quantise(&[f32::NAN], 1e-3, 0.36, &mut indices).is_none());
    }
}
