//! Pointwise repair: points that miss an absolute bound are moved by a multiple of nearly twice the bound; where
//! rounding in the caller's type defeats that, they are stored as they are.

use crate::entropy::{BitCoder, Decoder, Encoder};
use crate::error::{Error, Result};
use crate::field::Element;
use crate::residual::bands::{PlaneContext, Planes, Resembles};
use crate::residual::contexts::{ContextModel, Mixing};
use crate::residual::layout::{Layout, Magnitudes};

/// The unit of corrections over the bound: just under 2, so that rounding to a multiple leaves less than the bound.
const UNIT: f64 = 1.9;

/// What a pointwise bound leaves to its points.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HalfWidth {
    /// The bound, which sets the unit of corrections.
    pub(crate) epsilon: f64,
    /// What decoded points may miss by: the bound less the room that other devices' floats take.
    pub(crate) allowed: f64,
    /// Smallest and largest value that corrected points may have.
    pub(crate) limits: (f64, f64),
}

/// A value moved by a multiple of the unit of corrections, within limits that are values of its type.
fn moved<T: Element>(value: T, by: f64, (min, max): (f64, f64)) -> T {
    let moved = T::from_f64(value.to_f64() + by);
    // What is equal to a limit stays as it is, a zero of either sign included.
    if moved.to_f64() < min {
        T::from_f64(min)
    } else if moved.to_f64() > max {
        T::from_f64(max)
    } else {
        moved
    }
}

/// The adaptive state of a segment's corrections.
#[derive(Debug)]
pub(crate) struct PointwiseModel {
    layout: Layout,
    contexts: ContextModel,
    magnitudes: [Magnitudes; 2],
    windows: usize,
}

impl PointwiseModel {
    /// For frames of `[h][w]`.
    pub(crate) fn new(h: usize, w: usize) -> Self {
        Self {
            layout: Layout::flat(h, w),
            contexts: ContextModel::new(Mixing::Off),
            magnitudes: Default::default(),
            windows: 0,
        }
    }

    fn code<C: BitCoder>(&mut self, coder: &mut C, multiples: &mut [i64]) -> Result<()> {
        let contexts: Vec<PlaneContext> = (0..multiples.len() / self.layout.len())
            .map(|k| {
                let near = if k > 0 { Resembles::Current(k - 1) } else { Resembles::None };
                PlaneContext { near, far: Resembles::None, class: usize::from(k > 0) }
            })
            .collect();
        let [last, next] = &mut self.magnitudes;
        let last = (self.windows > 0).then_some(&*last);
        let planes = Planes { layout: &self.layout, contexts: &contexts, previous: last, finest: 1 };
        self.contexts.code(coder, multiples, &planes, next)?;
        self.magnitudes.swap(0, 1);
        self.windows += 1;
        Ok(())
    }

    /// Moves the points of `decoded [count][h][w]` that miss what is allowed, and codes the corrections for the
    /// decoder. Points with a class other than 0 are left alone. True where any point was moved.
    ///
    /// # Errors
    /// `Internal` where a value cannot be corrected.
    pub(crate) fn encode<T: Element>(
        &mut self,
        coder: &mut Encoder,
        original: &[T],
        decoded: &mut [T],
        classes: &[u8],
        HalfWidth { epsilon, allowed, limits }: HalfWidth,
    ) -> Result<bool> {
        let unit = UNIT * epsilon;
        let mut multiples = vec![0i64; decoded.len()];
        let mut stored: Vec<(usize, u64)> = Vec::new();
        for (i, (&x, slot)) in original.iter().zip(decoded.iter_mut()).enumerate() {
            if classes.get(i).is_some_and(|&class| class != 0) {
                continue;
            }
            let error = x.to_f64() - slot.to_f64();
            if error.abs() <= allowed {
                continue;
            }
            let multiple = (error / unit).round();
            let moved = moved(*slot, multiple * unit, limits);
            if multiple.abs() < (1u64 << 40) as f64 && (x.to_f64() - moved.to_f64()).abs() <= allowed {
                multiples[i] = multiple as i64;
                *slot = moved;
            } else {
                stored.push((i, x.to_bits_u64()));
                *slot = x;
            }
        }
        let any = multiples.iter().any(|&m| m != 0) || !stored.is_empty();
        coder.bit(any, 1 << 12);
        if !any {
            return Ok(false);
        }
        self.code(coder, &mut multiples)?;
        coder.raw(stored.len() as u64, 40);
        for (i, bits) in stored {
            coder.raw(i as u64, 40);
            coder.raw(bits, 64);
        }
        Ok(true)
    }

    /// The inverse of [`PointwiseModel::encode`].
    ///
    /// # Errors
    /// `Corrupt`.
    pub(crate) fn decode<T: Element>(
        &mut self,
        coder: &mut Decoder<'_>,
        decoded: &mut [T],
        epsilon: f64,
        limits: (f64, f64),
    ) -> Result<()> {
        if !coder.bit(false, 1 << 12) {
            return Ok(());
        }
        let unit = UNIT * epsilon;
        let mut multiples = vec![0i64; decoded.len()];
        self.code(coder, &mut multiples)?;
        for (&multiple, slot) in multiples.iter().zip(decoded.iter_mut()) {
            if multiple != 0 {
                *slot = moved(*slot, multiple as f64 * unit, limits);
            }
        }
        let stored = coder.raw(0, 40) as usize;
        if stored > decoded.len() {
            return Err(Error::corrupt("more points are stored than a window has"));
        }
        for _ in 0..stored {
            let index = coder.raw(0, 40) as usize;
            let bits = coder.raw(0, 64);
            *decoded.get_mut(index).ok_or_else(|| Error::corrupt("a stored point lies outside its window"))? =
                T::from_bits_u64(bits);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Corrects values within limits; gives back those that a decoder has.
    fn corrected(values: &[f32], decoded: &[f32], epsilon: f64, limits: (f64, f64)) -> (Vec<f32>, Vec<f32>) {
        let mut encoder = Encoder::new(Vec::new());
        let mut encoded = decoded.to_vec();
        let width = HalfWidth { epsilon, allowed: epsilon, limits };
        PointwiseModel::new(5, 7).encode(&mut encoder, values, &mut encoded, &[], width).unwrap();
        let bytes = encoder.finish();
        let mut again = decoded.to_vec();
        PointwiseModel::new(5, 7).decode(&mut Decoder::new(&bytes), &mut again, epsilon, limits).unwrap();
        (encoded, again)
    }

    proptest! {
        #[test]
        fn every_point_meets_the_bound_within_its_range(
            values in prop::collection::vec(-1e3f32..1e3, 3 * 5 * 7),
            errors in prop::collection::vec(-30f32..30.0, 3 * 5 * 7),
            epsilon in 1e-6f64..20.0,
        ) {
            let range = values.iter().fold((f32::MAX, f32::MIN), |(low, high), &v| (low.min(v), high.max(v)));
            let decoded: Vec<f32> = values.iter().zip(&errors).map(|(v, e)| (v + e).clamp(range.0, range.1)).collect();
            let limits = (f64::from(range.0), f64::from(range.1));
            let (encoded, again) = corrected(&values, &decoded, epsilon, limits);
            for (a, b) in values.iter().zip(&encoded) {
                prop_assert!((f64::from(*a) - f64::from(*b)).abs() <= epsilon);
                prop_assert!((range.0..=range.1).contains(b));
            }
            prop_assert_eq!(again, encoded);
        }
    }

    /// As in streams of versions before 4, which are not clamped after corrections.
    #[test]
    fn without_limits_corrections_may_leave_the_range() {
        let mut values = vec![0.0f32; 35];
        values[3] = 10.0;
        let mut decoded = values.clone();
        decoded[7] = 1.1;
        let (encoded, again) = corrected(&values, &decoded, 1.0, (f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!((encoded[7], again[7]), (1.1 - 1.9, 1.1 - 1.9));
        let (encoded, again) = corrected(&values, &decoded, 1.0, (0.0, 10.0));
        assert_eq!((encoded[7], again[7]), (0.0, 0.0));
    }
}
