//! The check of decoded values against the original, in the caller's type: what a bound's promise rests on.

use super::Bound;
use crate::error::{Error, Result};
use crate::field::{Element, Specials};

/// Side of the blocks of the `block_l2` bound.
pub(crate) const BLOCK: usize = 8;

/// What another device's floats may add at one point, over what they may add in root mean square.
pub(crate) const POINT_FLIPS: f64 = 4.0;

/// Errors of a field's valid points so far, in the field's units.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Errors {
    pub(crate) squared: f64,
    pub(crate) largest: f64,
    /// The largest error of any segment together with what other devices' floats may add at one of its points.
    pub(crate) guarded: f64,
    /// The largest ℓ2 norm of a block; only where the bound asks for it.
    pub(crate) block: f64,
    pub(crate) points: usize,
}

impl Errors {
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
        let masks = !specials.is_empty();
        let mut norms = Vec::new();
        let across = [h.div_ceil(BLOCK), w.div_ceil(BLOCK)];
        if blocks {
            norms.resize(dims[0].div_ceil(BLOCK) * across[0] * across[1], 0.0);
        }
        if !masks && !blocks {
            // The usual case, eight sums at a time.
            let (mut squared, mut largest) = ([0.0f64; 8], [0.0f64; 8]);
            for (a, b) in original.chunks(8).zip(decoded.chunks(8)) {
                for (k, (a, b)) in a.iter().zip(b).enumerate() {
                    let error = a.to_f64() - b.to_f64();
                    squared[k] += error * error;
                    // False for NaN, which then shows in the sum.
                    if error.abs() > largest[k] {
                        largest[k] = error.abs();
                    }
                }
            }
            self.squared += squared.iter().sum::<f64>();
            self.largest = largest.iter().copied().fold(self.largest, f64::max);
            self.points += original.len();
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
            self.squared += error * error;
            self.largest = self.largest.max(error.abs());
            self.points += 1;
            if blocks {
                let (t, y, x) = (i / (h * w), i / w % h, i % w);
                norms[(t / BLOCK * across[0] + y / BLOCK) * across[1] + x / BLOCK] += error * error;
            }
        }
        self.block = norms.into_iter().fold(self.block, |most: f64, norm: f64| most.max(norm.sqrt()));
        Ok(())
    }

    /// Counts in what other devices' floats may add to the root mean square error of these points, of one segment.
    pub(crate) fn guard(&mut self, flips: f64) {
        self.guarded = self.largest + POINT_FLIPS * flips;
    }

    /// Both together.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.squared += other.squared;
        self.largest = self.largest.max(other.largest);
        self.guarded = self.guarded.max(other.guarded);
        self.block = self.block.max(other.block);
        self.points += other.points;
    }

    /// Root mean square error.
    pub(crate) fn rms(&self) -> f64 {
        if self.points == 0 { 0.0 } else { (self.squared / self.points as f64).sqrt() }
    }

    /// Whether `bound` holds, with ranges meaning `range`: in root mean square and over blocks with `flips` to spare for what
    /// another device's floats may add, and at each point with what its segment was guarded by.
    pub(crate) fn hold(&self, bound: Bound, range: f64, flips: f64) -> bool {
        match bound {
            Bound::Abs(epsilon) => self.guarded <= epsilon,
            Bound::Rel(epsilon) => self.guarded <= epsilon * range,
            Bound::Nrmse(epsilon) => self.rms() + flips <= epsilon * range,
            Bound::Psnr(decibels) => self.rms() + flips <= range * psnr_to_nrmse(decibels),
            Bound::BlockL2(tau) => self.block + POINT_FLIPS * flips * (BLOCK as f64).powf(1.5) <= tau,
            Bound::Lossless => false,
        }
    }
}

/// The NRMSE of a PSNR: 10^(−dB / 20).
pub(crate) fn psnr_to_nrmse(decibels: f64) -> f64 {
    libm::pow(10.0, -decibels / 20.0)
}
