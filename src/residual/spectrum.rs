//! The sizes of a window's coefficients: enough to tell the error of quantising them at any step, without
//! quantising them again and again.

use super::quantise::{ROUNDING, Tally};
use super::real::Real;
use std::ops::Range;
use std::sync::LazyLock;

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

/// Bins an octave, and octaves around a step in which bins are looked at one by one: from half a step, below which all
/// is zero, to [`UNIFORM_FROM`] steps.
const OCTAVE: usize = 1 << MANTISSA_BITS;
const NEAR: usize = 4 * OCTAVE;
/// The bin of a magnitude of 1.
const ONE: usize = 127 << MANTISSA_BITS;

/// Tallies of one value in each of the bins near a step of 1.
static TALLIES: LazyLock<[Tally; NEAR]> = LazyLock::new(|| {
    std::array::from_fn(|bin| {
        let mut tally = Tally::default();
        add(&mut tally, edges(ONE - OCTAVE + bin, 1.0), 1.0);
        tally
    })
});

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
            let edges = edges(bin, step);
            if edges[0] >= UNIFORM_FROM {
                uniform += f64::from(count) / 12.0;
            } else {
                add(&mut tally, edges, f64::from(count));
            }
        }
        (tally.error(tally.centroids()) + uniform) * step * step
    }

    /// [`Spectrum::error`] at the steps 2^k for `octaves`, all of them together for little more work than one.
    pub(crate) fn errors_at_octaves(&self, octaves: Range<i32>) -> Vec<f64> {
        let first = self.counts.iter().position(|&count| count > 0).unwrap_or(0);
        let last = self.counts.iter().rposition(|&count| count > 0).map_or(first, |last| last + 1);
        // Energies of the bins before each, and numbers of values.
        let (mut energies, mut numbers) = (vec![0.0], vec![0.0]);
        for bin in first..last {
            let count = f64::from(self.counts[bin]);
            let [from, until] = edges(bin, 1.0);
            energies.push(energies[bin - first] + count * (from * from + from * until + until * until) / 3.0);
            numbers.push(numbers[bin - first] + count);
        }
        let place = |bin: i32| (bin.clamp(first as i32, last as i32) - first as i32) as usize;
        octaves
            .map(|octave| {
                let near = (ONE - OCTAVE) as i32 + octave * OCTAVE as i32;
                let (below, beyond) = (place(near), place(near + NEAR as i32));
                let square = f64::powi(2.0, 2 * octave);
                let mut tally = Tally { zeros: energies[below] / square, ..Default::default() };
                for at in below..beyond {
                    let one = &TALLIES[(at as i32 + first as i32 - near) as usize];
                    let count = f64::from(self.counts[first + at]);
                    tally.zeros += count * one.zeros;
                    for class in 0..3 {
                        tally.counts[class] += count * one.counts[class];
                        tally.sums[class] += count * one.sums[class];
                        tally.squares[class] += count * one.squares[class];
                    }
                }
                let uniform = (numbers[last - first] - numbers[beyond]) / 12.0;
                (tally.error(tally.centroids()) + uniform) * square
            })
            .collect()
    }
}

/// The edges of a bin, over a step.
fn edges(bin: usize, step: f64) -> [f64; 2] {
    [bin, bin + 1].map(|bin| f64::from(f32::from_bits((bin as u32) << SHIFT)) / step)
}

/// Adds `count` values that are spread evenly between `from` and `until`, in steps, to a tally.
fn add(tally: &mut Tally, [from, until]: [f64; 2], count: f64) {
    let weight = count / POINTS as f64;
    for point in 0..POINTS {
        let value = from + (until - from) * (point as f64 + 0.5) / POINTS as f64;
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
        for (octave, told) in (-14..4).zip(spectrum.errors_at_octaves(-14..4)) {
            let one = spectrum.error(f64::powi(2.0, octave));
            assert!((told / one - 1.0).abs() < 0.002, "step 2^{octave}: {told}, alone {one}");
        }
    }

    #[test]
    fn nothing_has_no_error() {
        let nothing = Spectrum::of::<f32>(&[]);
        assert_eq!((nothing.error(1.0), nothing.errors_at_octaves(-2..0)), (0.0, vec![0.0; 2]));
    }
}
