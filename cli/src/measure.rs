//! Errors between an original and its decoded values, computed here, in f64, without the library: what `verify` says
//! must not rest on the code that it verifies.

use crate::source::{Data, Field, advance, is_masked};
use fieldpress::{Bound, Element};
use std::ops::Range;

/// Sides of the blocks of `block_l2` along frames, rows and columns.
const BLOCK: usize = 8;
/// Sums over many points may differ from the library's in their last digits, by their order.
const ROUNDING: f64 = 1e-12;

/// The errors of a decoded field.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Errors {
    /// Points with data.
    pub points: u64,
    /// Points without: NaN, infinities, fill values.
    pub masked: u64,
    /// Masked points that did not come back bit by bit.
    pub masked_changed: u64,
    /// Points of any kind that did not come back bit by bit.
    pub changed: u64,
    /// max − min of the original over points with data.
    pub range: f64,
    /// Root mean square error.
    pub rmse: f64,
    /// Largest absolute error.
    pub max_abs: f64,
    /// Largest ℓ2 norm of the error over an 8×8×8 block.
    pub max_block_l2: f64,
    /// Largest error over the size of the point's own value; infinite where a zero or a sign changed.
    pub max_pw_rel: f64,
}

impl Errors {
    /// Root mean square error over the range.
    pub fn nrmse(&self) -> f64 {
        if self.rmse == 0.0 { 0.0 } else { self.rmse / self.range }
    }

    /// `20 log10(range / RMSE)` in dB.
    pub fn psnr(&self) -> f64 {
        -20.0 * self.nrmse().log10()
    }

    /// Whether a bound holds, relative ones over `range`.
    pub fn hold(&self, bound: Bound, range: f64) -> bool {
        let within = |error: f64, limit: f64| error <= limit * (1.0 + ROUNDING);
        let values_hold = match bound {
            Bound::Abs(limit) => self.max_abs <= limit,
            Bound::Rel(limit) => within(self.max_abs, limit * range),
            Bound::Nrmse(limit) => within(self.rmse, limit * range),
            Bound::Psnr(decibels) => within(self.rmse, range * 10f64.powf(-decibels / 20.0)),
            Bound::BlockL2(limit) => within(self.max_block_l2, limit),
            Bound::Lossless => self.changed == 0,
            Bound::PwRel(limit) => within(self.max_pw_rel, limit),
            // A kind that this tool does not know cannot be said to hold.
            _ => false,
        };
        values_hold && self.masked_changed == 0
    }
}

/// Compares fields of the same shape and type, whose last three dimensions are frames, rows and columns.
pub fn errors(original: &Field, decoded: &Field, masked: &[f64]) -> Errors {
    let dims = original.shape.dims();
    match (&original.data, &decoded.data) {
        (Data::F32(x), Data::F32(y)) => errors_of(x, y, dims, masked),
        (Data::F64(x), Data::F64(y)) => errors_of(x, y, dims, masked),
        _ => unreachable!("the decoded field is made with the original's type"),
    }
}

/// Compares some of the steps that lie along the first dimension of fields of the same shape and type.
pub fn errors_of_steps(original: &Field, decoded: &Field, steps: Range<usize>, masked: &[f64]) -> Errors {
    let mut dims = original.shape.dims().to_vec();
    let size: usize = dims[1..].iter().product();
    dims[0] = steps.len();
    let part = steps.start * size..steps.end * size;
    match (&original.data, &decoded.data) {
        (Data::F32(x), Data::F32(y)) => errors_of(&x[part.clone()], &y[part], &dims, masked),
        (Data::F64(x), Data::F64(y)) => errors_of(&x[part.clone()], &y[part], &dims, masked),
        _ => unreachable!("the decoded field is made with the original's type"),
    }
}

/// The last three sizes, with ones before them where there are fewer.
fn last_three(dims: &[usize]) -> [usize; 3] {
    let mut out = [1; 3];
    for (slot, &n) in out.iter_mut().rev().zip(dims.iter().rev()) {
        *slot = n;
    }
    out
}

fn errors_of<T: Element>(original: &[T], decoded: &[T], dims: &[usize], masked: &[f64]) -> Errors {
    let [frames, rows, columns] = last_three(dims);
    let blocks_across = columns.div_ceil(BLOCK);
    let mut blocks = vec![0.0; rows.div_ceil(BLOCK) * blocks_across];
    let mut out = Errors::default();
    let (mut low, mut high, mut squares) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
    // A value lost to NaN is as wrong as can be; `max` would pass over it.
    let difference =
        |x: T, y: T| Some((x.to_f64() - y.to_f64()).abs()).filter(|d| !d.is_nan()).unwrap_or(f64::INFINITY);
    let pairs = || original.iter().zip(decoded).filter(|&(&x, _)| !is_masked(x, masked));
    let largest = pairs().map(|(&x, &y)| difference(x, y)).fold(0.0, f64::max);
    // Squares of values below 1e-150 or above 1e150 are no f64 numbers; in units of the largest difference they are.
    let unit = if largest > 0.0 && largest.is_finite() { largest } else { 1.0 };

    let close = |blocks: &mut [f64], largest: &mut f64| {
        for block in blocks {
            *largest = largest.max(std::mem::take(block).sqrt());
        }
    };
    for (number, (x_frame, y_frame)) in
        original.chunks_exact(rows * columns).zip(decoded.chunks_exact(rows * columns)).enumerate()
    {
        // Blocks end after eight frames, and with the frames of each earlier index.
        if (number % frames).is_multiple_of(BLOCK) {
            close(&mut blocks, &mut out.max_block_l2);
        }
        let mut frame_squares = 0.0;
        for (at, (&x, &y)) in x_frame.iter().zip(y_frame).enumerate() {
            let is_same = x.to_bits_u64() == y.to_bits_u64();
            out.changed += u64::from(!is_same);
            if is_masked(x, masked) {
                out.masked += 1;
                out.masked_changed += u64::from(!is_same);
                continue;
            }
            out.points += 1;
            if !is_same {
                out.max_pw_rel = out.max_pw_rel.max(relative(x.to_f64(), y.to_f64()));
            }
            (low, high) = (low.min(x.to_f64()), high.max(x.to_f64()));
            let square = (difference(x, y) / unit).powi(2);
            frame_squares += square;
            blocks[at / columns / BLOCK * blocks_across + at % columns / BLOCK] += square;
        }
        squares += frame_squares;
    }
    close(&mut blocks, &mut out.max_block_l2);
    (out.max_abs, out.max_block_l2) = (largest, out.max_block_l2 * unit);
    if out.points > 0 {
        out.range = high - low;
        out.rmse = (squares / out.points as f64).sqrt() * unit;
    }
    out
}

/// The error of a value that changed over its size: infinite where its sign or its being zero did, or it was lost.
fn relative(x: f64, y: f64) -> f64 {
    let keeps_sign = x != 0.0 && !y.is_nan() && y != 0.0 && (x < 0.0) == (y < 0.0);
    if keeps_sign { (x - y).abs() / x.abs() } else { f64::INFINITY }
}

/// Root mean square and largest error of output at a reduced scale, against the original's averages over the points
/// with data of each `factor` × `factor` cell.
pub fn reduced_errors(original: &Field, reduced: &Field, factor: usize, masked: &[f64]) -> (f64, f64) {
    let (from, to) = (original.shape.dims(), reduced.shape.dims());
    match (&original.data, &reduced.data) {
        (Data::F32(x), Data::F32(y)) => reduced_errors_of(x, y, from, to, factor, masked),
        (Data::F64(x), Data::F64(y)) => reduced_errors_of(x, y, from, to, factor, masked),
        _ => unreachable!("the reduced field is made with the original's type"),
    }
}

fn reduced_errors_of<T: Element>(
    original: &[T],
    reduced: &[T],
    from: &[usize],
    to: &[usize],
    factor: usize,
    masked: &[f64],
) -> (f64, f64) {
    // Rows and columns shrink, and planes of volumes; which dimensions they are shows in the sizes.
    let shrink: Vec<usize> = from.iter().zip(to).map(|(n, m)| if n == m { 1 } else { factor }).collect();
    let mut sums = vec![(0.0, 0u32); reduced.len()];
    let mut index = vec![0usize; from.len()];
    for &x in original {
        if !is_masked(x, masked) {
            let cell = index.iter().zip(&shrink).zip(to).fold(0, |cell, ((&i, &f), &m)| cell * m + i / f);
            sums[cell].0 += x.to_f64();
            sums[cell].1 += 1;
        }
        advance(&mut index, from);
    }
    let (mut squares, mut largest, mut cells) = (0.0, 0.0f64, 0u64);
    for (&(sum, n), &y) in sums.iter().zip(reduced) {
        if n > 0 {
            let difference = (sum / f64::from(n) - y.to_f64()).abs();
            squares += difference * difference;
            largest = largest.max(if difference.is_nan() { f64::INFINITY } else { difference });
            cells += 1;
        }
    }
    ((squares / cells.max(1) as f64).sqrt(), largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_what_they_say() {
        let original = [0.0f32, 10.0, f32::NAN, -99.0, 5.0, 5.0];
        let decoded = [1.0f32, 10.0, f32::NAN, -99.0, 5.0, 3.0];
        let errors = errors_of(&original, &decoded, &[2, 3], &[-99.0]);
        assert_eq!((errors.points, errors.masked, errors.masked_changed, errors.changed), (4, 2, 0, 2));
        assert_eq!((errors.range, errors.max_abs), (10.0, 2.0));
        assert_eq!(errors.rmse, (5.0f64 / 4.0).sqrt());
        assert_eq!(errors.max_block_l2, 5.0f64.sqrt());
        assert!(errors.hold(Bound::Abs(2.0), errors.range) && !errors.hold(Bound::Abs(1.9), errors.range));
        assert!(errors.hold(Bound::Rel(0.2), errors.range) && !errors.hold(Bound::Lossless, errors.range));
        assert_eq!(errors.max_pw_rel, f64::INFINITY, "a zero changed");
        let signs = errors_of(&[4.0f64, -2.0, 0.0], &[5.0, -1.0, 0.0], &[3], &[]);
        assert!(signs.hold(Bound::PwRel(0.5), 6.0) && !signs.hold(Bound::PwRel(0.49), 6.0));
        assert_eq!(errors_of(&[1e-9f64], &[-1e-9], &[1], &[]).max_pw_rel, f64::INFINITY);
        let lost = errors_of(&[1.0f64, 2.0], &[1.0, f64::NAN], &[2], &[]);
        assert_eq!(lost.max_abs, f64::INFINITY);
        assert!(
            !lost.hold(Bound::Nrmse(1.0), 1.0)
                && !lost.hold(Bound::Abs(1e300), 1.0)
                && !lost.hold(Bound::PwRel(1.0), 1.0)
        );
    }

    #[test]
    fn errors_are_measured_at_any_magnitude() {
        for unit in [1e-307, 1e-200, 1.0, 1e200, 1e306] {
            let errors = errors_of(&[0.0, unit, 2.0 * unit, 0.0], &[0.0, unit, unit, unit], &[2, 2], &[]);
            assert!(
                (errors.rmse / unit - 0.5f64.sqrt()).abs() < 1e-12 && (errors.nrmse() - 0.125f64.sqrt()).abs() < 1e-12
            );
            assert!((errors.max_block_l2 / unit - 2f64.sqrt()).abs() < 1e-12);
            assert!(errors.hold(Bound::Nrmse(0.36), errors.range) && !errors.hold(Bound::Nrmse(0.35), errors.range));
        }
    }

    #[test]
    fn blocks_do_not_cross_independent_axes() {
        // Two independent indices of ten frames: the ninth frame of the first and the first of the second are blocks
        // apart.
        let original = vec![0.0f64; 20];
        let mut decoded = original.clone();
        decoded[9] = 3.0;
        decoded[10] = 4.0;
        assert_eq!(errors_of(&original, &decoded, &[2, 10, 1, 1], &[]).max_block_l2, 4.0);
        assert_eq!(errors_of(&original, &decoded, &[20, 1, 1], &[]).max_block_l2, 5.0);
    }

    #[test]
    fn reduced_output_is_compared_with_averages() {
        let original = [1.0f64, 3.0, 10.0, 3.0, 5.0, 20.0];
        let reduced = [3.0, 16.0];
        assert_eq!(reduced_errors_of(&original, &reduced, &[2, 3], &[1, 2], 2, &[]), (0.5f64.sqrt(), 1.0));
    }
}
