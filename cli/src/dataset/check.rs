//! What a dataset's variable and its decoded copy have between them, box by box.

use super::nc::{Result, Values, Variable};
use crate::measure::Errors;
use crate::source::is_masked;
use fieldpress::Element;

/// Values that stand for points without data: those that a variable's attributes name, and NetCDF's own.
pub fn fills(variable: &Variable<'_>) -> Vec<f64> {
    let mut fills = variable.numbers(c"_FillValue");
    fills.extend(variable.numbers(c"missing_value"));
    fills.push(netcdf_sys::NC_FILL_DOUBLE);
    fills
}

/// Sums over a variable's points.
#[derive(Clone, Debug)]
pub struct Sums {
    fills: Vec<f64>,
    least: f64,
    most: f64,
    squares: f64,
    errors: Errors,
}

impl Sums {
    pub fn new(fills: Vec<f64>) -> Self {
        Self { fills, least: f64::INFINITY, most: f64::NEG_INFINITY, squares: 0.0, errors: Errors::default() }
    }

    fn is_hole<T: Element>(&self, value: T) -> bool {
        is_masked(value, &self.fills)
    }

    /// Takes in values without a copy of them.
    pub fn look(&mut self, values: &Values) {
        match values {
            Values::F32(values) => values.iter().for_each(|&value| self.look_at(value)),
            Values::F64(values) => values.iter().for_each(|&value| self.look_at(value)),
            Values::Bytes(_) | Values::Texts(_) => {}
        }
    }

    fn look_at<T: Element>(&mut self, value: T) {
        if !self.is_hole(value) {
            self.errors.points += 1;
            self.least = self.least.min(value.to_f64());
            self.most = self.most.max(value.to_f64());
        }
    }

    /// Takes in values of the original and of the copy.
    pub fn compare(&mut self, original: &Values, decoded: &Values) {
        self.look(original);
        match (original, decoded) {
            (Values::F32(x), Values::F32(y)) => {
                x.iter().zip(y).for_each(|(&x, &y)| self.compare_one(x, y, x.to_bits() == y.to_bits()));
            }
            (Values::F64(x), Values::F64(y)) => {
                x.iter().zip(y).for_each(|(&x, &y)| self.compare_one(x, y, x.to_bits() == y.to_bits()));
            }
            _ => self.errors.changed += 1,
        }
    }

    fn compare_one<T: Element>(&mut self, x: T, y: T, same: bool) {
        self.errors.changed += u64::from(!same);
        if self.is_hole(x) {
            self.errors.masked += 1;
            self.errors.masked_changed += u64::from(!same);
            return;
        }
        let error = (x.to_f64() - y.to_f64()).abs();
        // A decoded NaN is no data, and an error beyond all bounds.
        let error = if error.is_nan() { f64::INFINITY } else { error };
        self.errors.max_abs = self.errors.max_abs.max(error);
        self.squares += error * error;
    }

    /// The largest value less the smallest; 0 where there is no point with data.
    pub fn range(&self) -> f64 {
        if self.errors.points > 0 { self.most - self.least } else { 0.0 }
    }

    /// The errors; the norms of blocks are left at 0, since the boxes cut blocks.
    pub fn errors(&self) -> Errors {
        let mean = self.squares / self.errors.points.max(1) as f64;
        Errors { range: self.range(), rmse: mean.sqrt(), ..self.errors }
    }
}

/// The range of a variable's points with data.
pub fn range(variable: &Variable<'_>, boxes: &[super::nc::Box]) -> Result<f64> {
    let mut sums = Sums::new(fills(variable));
    for part in boxes {
        sums.look(&variable.read(part)?);
    }
    Ok(sums.range())
}
