//! The linear quantiser in the loop: bins of twice the half-width around a prediction.

use crate::field::Element;

/// Indices lie within this limit; a value beyond is kept exactly.
pub(super) const MAX_INDEX: i64 = 1 << 28;

/// An offset that leaves even the sign of zero as it is.
const NONE: f64 = -0.0;

/// Values that are shifted back to so small a part of a bin beside a limit come to lie on it.
const NEAR: f64 = 256.0;

/// How predictions are settled and values quantised in one pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quantiser {
    /// The width of a bin.
    pub(super) bin: f64,
    inverse: f64,
    /// The largest error of a value; 0: all bits return.
    pub(super) bound: f64,
    /// Least and largest of the field's values, and of those that are less by the shift.
    range: (f64, f64),
    limits: (f64, f64),
    /// The lattice's origin, where all values lie on one.
    lattice: Option<f64>,
    /// What is added to predictions.
    pub(super) offset: f64,
    /// What values are less by while their stretch is coded, and whether stretches are.
    shift: f64,
    shifts: bool,
}

impl Quantiser {
    /// A quantiser of bins of `bin` whose predictions and values are kept within `range`; `lattice`: predictions lie on
    /// that origin's multiples of the bin.
    pub(super) fn new(bin: f64, bound: f64, range: (f64, f64), lattice: Option<f64>) -> Self {
        let inverse = (1.0 / bin).min(f64::MAX);
        Self { bin, inverse, bound, range, limits: range, lattice, offset: NONE, shift: 0.0, shifts: false }
    }

    /// The same, for values that are less by `shift` until they are [unshifted](Self::unshift).
    pub(super) fn shifted(self, shift: f64) -> Self {
        Self { shift, shifts: true, limits: (self.range.0 - shift, self.range.1 - shift), ..self }
    }

    /// The value of one that was coded less by the shift.
    #[inline(always)]
    pub(super) fn unshift<T: Element>(&self, value: T) -> T {
        if !self.shifts {
            return value;
        }
        // What lies on a limit does exactly, whatever rounding did to it.
        let (least, largest, near) = (self.range.0, self.range.1, self.bin / NEAR);
        let v = value.to_f64() + self.shift;
        let above = v > least + near;
        T::from_f64(if above { if v < largest - near { v } else { largest } } else { least })
    }

    /// A number of bins.
    #[inline(always)]
    pub(super) fn bins(&self, difference: f64) -> f64 {
        difference * self.inverse
    }

    /// A number of bins in quarters, as a context takes it.
    #[inline(always)]
    pub(super) fn quarters(&self, difference: f64) -> i32 {
        // Saturates; 0 where it is not a number.
        (self.bins(difference) * 4.0) as i32
    }

    #[inline(always)]
    fn within(&self, value: f64) -> f64 {
        within(value, self.limits)
    }

    /// A prediction as it is used: within the range, and on the lattice.
    #[inline(always)]
    pub(super) fn settle(&self, prediction: f64) -> f64 {
        let p = self.within(prediction + self.offset);
        match self.lattice {
            Some(origin) => origin + ((p - origin) * self.inverse).round() * self.bin,
            None => p,
        }
    }

    /// The value of an index.
    #[inline(always)]
    pub(super) fn restore<T: Element>(&self, prediction: f64, index: i64) -> T {
        T::from_f64(self.within(prediction + index as f64 * self.bin))
    }

    /// The index of a value and what it is restored to; `None` where that misses the bound.
    #[inline(always)]
    pub(super) fn quantise<T: Element>(&self, value: T, prediction: f64) -> Option<(i64, T)> {
        let x = value.to_f64();
        let q = ((x - self.shift - prediction) * self.inverse).round();
        // False for what is not a number.
        let near = q.abs() < MAX_INDEX as f64;
        if !near {
            return None;
        }
        let restored: T = self.restore(prediction, q as i64);
        let decoded = self.unshift(restored);
        // Without a bound all bits return, also those of zeros.
        let within = if self.bound > 0.0 {
            (decoded.to_f64() - x).abs() <= self.bound
        } else {
            decoded.to_bits_u64() == value.to_bits_u64()
        };
        within.then_some((q as i64, restored))
    }
}

/// A value kept within a range; the least one where it is not a number. Comparisons, and not `min` and `max`, whose signs
/// of zero depend on the machine.
#[inline(always)]
fn within(value: f64, (least, largest): (f64, f64)) -> f64 {
    if value >= least { if value <= largest { value } else { largest } } else { least }
}
