//! The linear quantiser in the loop: bins of twice the half-width around a prediction.

use crate::field::Element;

/// Indices lie within this limit; a value beyond is kept exactly.
pub(super) const MAX_INDEX: i64 = 1 << 28;

/// How predictions are settled and values quantised in one pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quantiser {
    /// The width of a bin.
    pub(super) bin: f64,
    inverse: f64,
    /// The largest error of a value.
    pub(super) bound: f64,
    lowest: f64,
    highest: f64,
    /// The lattice's origin, where all values lie on one.
    lattice: Option<f64>,
}

impl Quantiser {
    /// A quantiser of bins of `bin` whose predictions are kept within `range`; `lattice`: and on that origin's
    /// multiples.
    pub(super) fn new(bin: f64, bound: f64, range: (f64, f64), lattice: Option<f64>) -> Self {
        let inverse = (1.0 / bin).min(f64::MAX);
        Self { bin, inverse, bound, lowest: range.0, highest: range.1, lattice }
    }

    /// A number of bins.
    #[inline(always)]
    pub(super) fn bins(&self, difference: f64) -> f64 {
        difference * self.inverse
    }

    /// A prediction as it is used: within the range, finite, on the lattice.
    #[inline(always)]
    pub(super) fn settle(&self, prediction: f64) -> f64 {
        // `max` and `min` take the other operand where one is not a number.
        let p = prediction.max(self.lowest).min(self.highest);
        match self.lattice {
            Some(origin) => origin + ((p - origin) * self.inverse).round() * self.bin,
            None => p,
        }
    }

    /// The value of an index.
    #[inline(always)]
    pub(super) fn restore<T: Element>(&self, prediction: f64, index: i64) -> T {
        T::from_f64(prediction + index as f64 * self.bin)
    }

    /// The index of a value and what it is restored to; `None` where that misses the bound.
    #[inline(always)]
    pub(super) fn quantise<T: Element>(&self, value: T, prediction: f64) -> Option<(i64, T)> {
        let x = value.to_f64();
        let q = ((x - prediction) * self.inverse).round();
        if !(q.abs() < MAX_INDEX as f64 && x >= self.lowest && x <= self.highest) {
            return None;
        }
        let restored: T = self.restore(prediction, q as i64);
        ((restored.to_f64() - x).abs() <= self.bound).then_some((q as i64, restored))
    }
}
