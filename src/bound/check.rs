//! The check of decoded values against the original, in the caller's type, on which a bound's promise rests.

use super::Bound;
use crate::error::{Error, Result};
use crate::field::{Element, Specials};

/// Side of the blocks of the `block_l2` bound.
pub(crate) const BLOCK: usize = 8;

/// Largest difference between devices at one point, over their root mean square difference.
pub(crate) const POINT_DRIFT: f64 = 4.0;

/// Errors of a field's valid points so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errors {
    /// The unit of squares: a power of two near the field's range, in the field's units. Squares of the errors
    /// themselves leave the range of f64 where a field's values are below 1e-150 or above 1e150, and a bound would hold
    /// or fail for nothing.
    unit: f64,
    /// The sum of decoded less original values, in units.
    sum: f64,
    /// The sum of squared errors, in squared units.
    pub(crate) squared: f64,
    /// The largest error, in the field's units.
    pub(crate) largest: f64,
    /// The largest error of any segment together with the margin at one of its points for floating-point differences
    /// between devices.
    pub(crate) guarded: f64,
    /// The largest ℓ2 norm of a block, in units; only where the bound asks for it.
    pub(crate) block: f64,
    pub(crate) points: usize,
}

impl Errors {
    /// No errors so far; `unit` is a power of two in the field's units, between 2^-1020 and 2^1020.
    pub(crate) fn new(unit: f64) -> Self {
        Self { unit, sum: 0.0, squared: 0.0, largest: 0.0, guarded: 0.0, block: 0.0, points: 0 }
    }

    /// Adds the errors of a window `[count][h][w]`, whose origin is the origin of a block.
    ///
    /// # Errors
    /// `Internal` where a masked point is not bit-exact.
    pub(crate) fn add<T: Element>(
        &mut self,
        original: &[T],
        decoded: &[T],
        dims: [usize; 3],
        specials: &Specials,
        blocks: bool,
    ) -> Result<()> {
        let [_, h, w] = dims;
        let inverse = 1.0 / self.unit;
        let masks = !specials.is_empty();
        let mut norms = Vec::new();
        let across = [h.div_ceil(BLOCK), w.div_ceil(BLOCK)];
        if blocks {
            norms.resize(dims[0].div_ceil(BLOCK) * across[0] * across[1], 0.0);
        }
        if !masks && !blocks {
            // The usual case, eight sums at a time.
            let (mut sums, mut squared, mut largest) = ([0.0f64; 8], [0.0f64; 8], [0.0f64; 8]);
            for (a, b) in original.chunks(8).zip(decoded.chunks(8)) {
                for (k, (a, b)) in a.iter().zip(b).enumerate() {
                    let error = a.to_f64() - b.to_f64();
                    sums[k] -= error * inverse;
                    squared[k] += (error * inverse).powi(2);
                    // False for NaN, which then shows in the sum.
                    if error.abs() > largest[k] {
                        largest[k] = error.abs();
                    }
                }
            }
            self.sum += sums.iter().sum::<f64>();
            self.squared += squared.iter().sum::<f64>();
            self.largest = largest.iter().copied().fold(self.largest, f64::max);
            self.points += original.len();
            self.count_nans();
            return Ok(());
        }
        for (i, (a, b)) in original.iter().zip(decoded).enumerate() {
            if masks && specials.class_of(a.to_bits_u64()).is_some() {
                if a.to_bits_u64() != b.to_bits_u64() {
                    return Err(Error::internal("a masked point is not bit-exact"));
                }
                continue;
            }
            let error = a.to_f64() - b.to_f64();
            let square = (error * inverse).powi(2);
            self.sum -= error * inverse;
            self.squared += square;
            self.largest = self.largest.max(error.abs());
            self.points += 1;
            if blocks {
                let (t, y, x) = (i / (h * w), i / w % h, i % w);
                norms[(t / BLOCK * across[0] + y / BLOCK) * across[1] + x / BLOCK] += square;
            }
        }
        self.block = norms.into_iter().fold(self.block, |most: f64, norm: f64| most.max(norm.sqrt()));
        self.count_nans();
        Ok(())
    }

    /// A decoded NaN is no error that comparisons see: it counts as an infinite one.
    fn count_nans(&mut self) {
        if self.squared.is_nan() {
            (self.largest, self.block) = (f64::INFINITY, f64::INFINITY);
        }
    }

    /// Counts in the RMSE margin for floating-point differences between devices, of these points of one segment.
    pub(crate) fn guard(&mut self, drift: f64) {
        self.guarded = self.largest + POINT_DRIFT * drift;
    }

    /// Both together; they have the same unit.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.squared += other.squared;
        self.largest = self.largest.max(other.largest);
        self.guarded = self.guarded.max(other.guarded);
        self.block = self.block.max(other.block);
        self.points += other.points;
    }

    /// The mean of the decoded less that of the original values, in the field's units.
    pub(crate) fn mean(&self) -> f64 {
        if self.points == 0 { 0.0 } else { self.sum / self.points as f64 * self.unit }
    }

    /// Root mean square error over `range`.
    pub(crate) fn nrmse(&self, range: f64) -> f64 {
        self.rms() / (range / self.unit)
    }

    /// Root mean square error, in units.
    pub(crate) fn rms(&self) -> f64 {
        if self.points == 0 { 0.0 } else { (self.squared / self.points as f64).sqrt() }
    }

    /// Whether `bound` holds, with ranges meaning `range`: in root mean square and over blocks with `drift` to spare
    /// for what another device's floats may add, and at each point with what its segment was guarded by.
    pub(crate) fn hold(&self, bound: Bound, range: f64, drift: f64) -> bool {
        let (drift_of_unit, range_of_unit) = (drift / self.unit, range / self.unit);
        match bound {
            Bound::Abs(epsilon) => self.guarded <= epsilon,
            Bound::Rel(epsilon) => self.guarded <= product_below(epsilon, range),
            Bound::Nrmse(epsilon) => self.rms() + drift_of_unit <= epsilon * range_of_unit,
            Bound::Psnr(decibels) => self.rms() + drift_of_unit <= range_of_unit * psnr_to_nrmse(decibels),
            Bound::BlockL2(tau) => {
                self.block + POINT_DRIFT * drift_of_unit * (BLOCK as f64).powf(1.5) <= tau / self.unit
            }
            // Each point is compared with itself.
            Bound::Lossless | Bound::PwRel(_) => false,
        }
    }
}

/// The largest f64 that is not above the product of two numbers that are not negative: rounded to nearest, the product
/// of subnormal numbers may be twice as large as it is.
pub(crate) fn product_below(a: f64, b: f64) -> f64 {
    let product = a * b;
    // Exact but for its own rounding, which keeps the sign, also of what is rounded to zero.
    if a.mul_add(b, -product).is_sign_negative() { product.next_down() } else { product }
}

/// Whether a decoded value is within a share of its own size of the original.
pub(crate) fn is_within_relative(original: f64, decoded: f64, epsilon: f64) -> bool {
    // A difference of values that are no more than twice as large as the other is exact; that of others is rounded up.
    let difference = (original - decoded).abs();
    let is_exact = decoded.abs() <= 2.0 * original.abs() && original.abs() <= 2.0 * decoded.abs();
    let difference = if is_exact { difference } else { difference.next_up() };
    let same_sign = original == 0.0 || (original < 0.0) == (decoded < 0.0);
    same_sign && difference <= product_below(epsilon, original.abs())
}

/// The NRMSE of a PSNR: 10^(−dB / 20).
pub(crate) fn psnr_to_nrmse(decibels: f64) -> f64 {
    libm::pow(10.0, -decibels / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_rounded_down() {
        let tiny = f64::from_bits(1);
        assert_eq!(product_below(tiny, 0.6), 0.0);
        assert_eq!(product_below(3.0 * tiny, 0.5), tiny);
        assert_eq!(product_below(4.0 * tiny, 0.5), 2.0 * tiny);
        assert_eq!(product_below(0.0, 0.5), 0.0);
        assert_eq!((product_below(0.5, 3.0), product_below(1e-3, 1024.0) <= 1.024), (1.5, true));
        // Rounded to nearest it is 0.30000000000000004.
        assert_eq!(product_below(0.1, 3.0), 0.3);
        assert_eq!(product_below(1e300, 1e300), f64::MAX);
    }

    #[test]
    fn a_decoded_nan_is_an_infinite_error() {
        for masked in [false, true] {
            let mut specials = Specials::default();
            if masked {
                specials.add(7.5f64.to_bits());
            }
            let original: Vec<f64> = (0..64).map(f64::from).collect();
            let mut decoded = original.clone();
            decoded[13] = f64::NAN;
            for blocks in [false, true] {
                let mut errors = Errors::new(1.0);
                errors.add(&original, &decoded, [1, 8, 8], &specials, blocks).unwrap();
                errors.guard(0.0);
                let whole = errors;
                let mut all = Errors::new(1.0);
                all.merge(&whole);
                for bound in
                    [Bound::Abs(1e300), Bound::Rel(1.0), Bound::Nrmse(1.0), Bound::Psnr(1.0), Bound::BlockL2(1e300)]
                {
                    assert!(!all.hold(bound, 63.0, 0.0), "{bound}");
                }
                assert_eq!(all.largest, f64::INFINITY);
            }
        }
    }

    /// Whether bounds hold does not depend on the field's units, nor on whether squares of its errors are f64 numbers.
    #[test]
    fn bounds_are_checked_at_any_magnitude() {
        for exponent in [-1020, -600, -520, 0, 520, 600, 1020] {
            let unit = libm::ldexp(1.0, exponent);
            let original: Vec<f64> = (0..64).map(|i| f64::from(i % 8) / 8.0 * unit).collect();
            let decoded: Vec<f64> = original.iter().map(|v| v + 0.125 * unit).collect();
            for blocks in [false, true] {
                let mut errors = Errors::new(unit);
                errors.add(&original, &decoded, [1, 8, 8], &Specials::default(), blocks).unwrap();
                errors.guard(0.0);
                assert_eq!(errors.nrmse(unit), 0.125);
                let hold = |bound| errors.hold(bound, unit, 0.0);
                assert!(hold(Bound::Nrmse(0.125)) && !hold(Bound::Nrmse(0.1249)), "2^{exponent}");
                assert!(hold(Bound::Psnr(18.0)) && !hold(Bound::Psnr(18.1)), "2^{exponent}");
                assert!(hold(Bound::Rel(0.125)) && !hold(Bound::Rel(0.1249)), "2^{exponent}");
                assert!(!errors.hold(Bound::Nrmse(0.125), unit, 0.01 * unit), "2^{exponent}");
                if blocks {
                    assert!(hold(Bound::BlockL2(unit)) && !hold(Bound::BlockL2(0.999 * unit)), "2^{exponent}");
                }
            }
        }
    }
}
