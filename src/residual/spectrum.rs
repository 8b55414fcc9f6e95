//! The sizes of a window's coefficients: enough to tell the error of quantising them at any step, without
//! quantising them again and again.

use super::quantise::{ROUNDING, Tally};
use super::real::Real;

/// Bits of an f32's mantissa that tell bins apart: eight bins an octave.
const MANTISSA_BITS: u32 = 3;
/// Bits of an f32 below them.
const SHIFT: u32 = 23 - MANTISSA_BITS;
/// Bins: all exponents.
const BINS: usize = 256 << MANTISSA_BITS;
/// From this many steps on, a bin is wider than a quantiser cell, and errors are uniform.
const UNIFORM_FROM: f64 = 8.0;
/// Points at which a narrower bin is looked at.
const POINTS: usize = 4;

/// Counts of coefficients by magnitude.
#[derive(Clone, Debug)]
pub(crate) struct Spectrum {
    counts: Vec<u32>,
}

impl Spectrum {
    /// The spectrum of some coefficients.
    pub(crate) fn of<R: Real>(values: &[R]) -> Self {
        // Two tables, so that equal neighbours do not wait for each other.
        let mut tables = [[0u32; BINS]; 2];
        let bin = |v: R| ((v.to_f64() as f32).to_bits() >> SHIFT) as usize & (BINS - 1);
        let (pairs, rest) = values.as_chunks::<2>();
        for &[a, b] in pairs {
            tables[0][bin(a)] += 1;
            tables[1][bin(b)] += 1;
        }
        for &v in rest {
            tables[0][bin(v)] += 1;
        }
        Self { counts: tables[0].iter().zip(&tables[1]).map(|(a, b)| a + b).collect() }
    }

    /// The squared error that quantising them at `step` leaves, about.
    pub(crate) fn error(&self, step: f64) -> f64 {
        let mut tally = Tally::default();
        let mut uniform = 0.0;
        for (bin, &count) in self.counts.iter().enumerate() {
            if count == 0 {
                continue;
            }
            let edge = |bin: usize| f64::from(f32::from_bits((bin as u32) << SHIFT)) / step;
            let (from, until) = (edge(bin), edge(bin + 1));
            if from >= UNIFORM_FROM {
                uniform += f64::from(count) / 12.0;
                continue;
            }
            for point in 0..POINTS {
                let value = from + (until - from) * (point as f64 + 0.5) / POINTS as f64;
                let weight = f64::from(count) / POINTS as f64;
                let index = (value + ROUNDING).floor();
                let error = index - value;
                if index < 1.0 {
                    tally.zeros += weight * value * value;
                } else {
                    let class = (index as usize).min(3) - 1;
                    tally.counts[class] += weight;
                    tally.sums[class] += weight * error;
                    tally.squares[class] += weight * error * error;
                }
            }
        }
        (tally.error(tally.centroids()) + uniform) * step * step
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::residual::kernels::Kernel;

    #[test]
    fn tells_the_error_of_any_step() {
        // Cubes of evenly spread values: many small, few large, as coefficients are.
        let values: Vec<f32> = (0..200_000)
            .map(|i: u32| (i.wrapping_mul(0x9e37_79b9) >> 8) as f32 / (1 << 23) as f32 - 1.0)
            .map(|v| v.powi(5))
            .collect();
        let spectrum = Spectrum::of(&values);
        let mut indices = vec![0; values.len()];
        for step in [1e-3, 1e-2, 0.05, 0.3] {
            let tally = f32::quantise(&values, step, ROUNDING as f32, &mut indices).unwrap();
            let step = f64::from(step);
            let exact = tally.error(tally.centroids()) * step * step;
            let told = spectrum.error(step);
            assert!((told / exact - 1.0).abs() < 0.02, "step {step}: {told}, exact {exact}");
        }
    }
}
