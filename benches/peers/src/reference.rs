//! The original field, its mask and the error of a reconstruction.
//!
//! NRMSE here is the root mean square of `x − x̂` over the valid points, divided by max − min over the valid points.

use crate::sample::Sample;
use std::borrow::Cow;

/// A field to compress, and to measure reconstructions against.
pub struct Reference<'a, T: Sample> {
    /// What results call it.
    pub name: String,
    /// Sizes of its axes, slowest first.
    pub dims: Vec<usize>,
    /// The values as they are, holes included.
    pub values: &'a [T],
    /// The values with holes filled smoothly; the peers, which know no holes, get these.
    pub filled: Cow<'a, [T]>,
    /// The value that marks holes besides NaN and ±Inf, where it occurs.
    pub fill: Option<f64>,
    /// max − min over the valid points.
    pub range: f64,
    valid: Option<Vec<bool>>,
}

/// How far a reconstruction is off.
#[derive(Clone, Copy, Debug)]
pub struct ErrorMeasures {
    /// Root mean square error over the range.
    pub nrmse: f64,
    /// Largest absolute error, in the field's units.
    pub max_abs: f64,
}

impl<'a, T: Sample> Reference<'a, T> {
    /// A field of `dims`; points that are not finite or equal `fill` are holes.
    pub fn new(name: String, dims: Vec<usize>, values: &'a [T], fill: Option<f64>) -> Self {
        let fill_value = fill.map(T::from_f64);
        let is_valid = |x: &T| x.to_f64().is_finite() && Some(*x) != fill_value;
        let holes = values.iter().any(|x| !is_valid(x));
        let valid: Option<Vec<bool>> = holes.then(|| values.iter().map(is_valid).collect());
        let (min, max) = values
            .iter()
            .filter(|x| is_valid(x))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), x| (min.min(x.to_f64()), max.max(x.to_f64())));
        let fill = fill.filter(|_| fill_value.is_some_and(|fill| values.contains(&fill)));
        let filled = match &valid {
            None => Cow::Borrowed(values),
            Some(valid) => Cow::Owned(fill_smoothly(values, valid, &dims)),
        };
        Self { name, dims, values, filled, fill, range: (max - min).max(0.0), valid }
    }

    /// Bytes of the uncompressed field.
    pub fn bytes(&self) -> usize {
        std::mem::size_of_val(self.values)
    }

    /// The error of `decoded` over the valid points.
    pub fn error(&self, decoded: &[T]) -> ErrorMeasures {
        let mut sum = 0.0;
        let mut max_abs = 0.0f64;
        let mut points = 0usize;
        for (i, (x, y)) in self.values.iter().zip(decoded).enumerate() {
            if self.valid.as_ref().is_some_and(|valid| !valid[i]) {
                continue;
            }
            let error = (x.to_f64() - y.to_f64()).abs();
            sum += error * error;
            max_abs = max_abs.max(error);
            points += 1;
        }
        ErrorMeasures { nrmse: (sum / points.max(1) as f64).sqrt() / self.range, max_abs }
    }
}

/// Fills holes frame by frame: averages of ever larger neighbourhoods, as many as it takes to reach a valid point
/// (push–pull).
fn fill_smoothly<T: Sample>(values: &[T], valid: &[bool], dims: &[usize]) -> Vec<T> {
    let columns = *dims.last().unwrap_or(&1);
    let rows = dims.len().checked_sub(2).map_or(1, |axis| dims[axis]);
    let mut out = values.to_vec();
    for (frame, valid) in out.chunks_mut(rows * columns).zip(valid.chunks(rows * columns)) {
        let mut grid: Vec<f64> = frame.iter().zip(valid).map(|(x, &ok)| if ok { x.to_f64() } else { 0.0 }).collect();
        let weights: Vec<f64> = valid.iter().map(|&ok| f64::from(u8::from(ok))).collect();
        pull(&mut grid, &weights, rows, columns);
        for ((x, &ok), value) in frame.iter_mut().zip(valid).zip(grid) {
            if !ok {
                *x = T::from_f64(value);
            }
        }
    }
    out
}

/// Gives every point of weight 0 a value interpolated from a grid of half the size, recursively.
fn pull(grid: &mut [f64], weights: &[f64], rows: usize, columns: usize) {
    if weights.iter().all(|&w| w > 0.0) || rows * columns == 1 {
        return;
    }
    let (half_rows, half_columns) = (rows.div_ceil(2), columns.div_ceil(2));
    let mut coarse = vec![0.0; half_rows * half_columns];
    let mut coarse_weights = vec![0.0; half_rows * half_columns];
    for row in 0..rows {
        for column in 0..columns {
            let (from, to) = (row * columns + column, row / 2 * half_columns + column / 2);
            coarse[to] += grid[from] * weights[from];
            coarse_weights[to] += weights[from];
        }
    }
    for (value, &weight) in coarse.iter_mut().zip(&coarse_weights) {
        *value /= if weight > 0.0 { weight } else { 1.0 };
    }
    pull(
        &mut coarse,
        &coarse_weights.iter().map(|&w| f64::from(u8::from(w > 0.0))).collect::<Vec<_>>(),
        half_rows,
        half_columns,
    );
    // bilinear between the centres of the coarse cells
    let at = |row: usize, column: usize| coarse[row.min(half_rows - 1) * half_columns + column.min(half_columns - 1)];
    let split = |i: usize| {
        i.div_ceil(2).checked_sub(1).map_or((0, 0.0), |low| (low, if i.is_multiple_of(2) { 0.75 } else { 0.25 }))
    };
    for row in 0..rows {
        let (low_row, row_part) = split(row);
        for column in 0..columns {
            if weights[row * columns + column] > 0.0 {
                continue;
            }
            let (low_column, column_part) = split(column);
            let mix = |row| at(row, low_column) * (1.0 - column_part) + at(row, low_column + 1) * column_part;
            grid[row * columns + column] = mix(low_row) * (1.0 - row_part) + mix(low_row + 1) * row_part;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_take_values_between_their_neighbours() {
        let dims = vec![2, 9, 13];
        let values: Vec<f32> =
            (0..2 * 9 * 13).map(|i| if i % 13 > 4 && i % 13 < 9 { f32::NAN } else { (i % 13) as f32 }).collect();
        let reference = Reference::new("ramp".into(), dims, &values, None);
        assert!(reference.filled.iter().all(|x| (0.0..=12.0).contains(x)));
        assert_eq!(reference.range, 12.0);
        assert_eq!(reference.error(&reference.filled).nrmse, 0.0);
    }
}
