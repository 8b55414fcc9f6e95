//! What a dataset's variable and its decoded copy have between them, box by box.

use super::nc::{Box, Result, Values, Variable};
use crate::measure::Errors;
use crate::source::is_masked;
use fieldpress::{Element, SentinelSearch, Sentinels};

/// What of a variable's values is data.
#[derive(Clone, Debug)]
pub struct Known {
    /// Values that stand for points without data: those that were found or given, those of its attributes, and NetCDF's
    /// own.
    pub fills: Vec<f64>,
    /// Those that were found.
    pub sentinels: Vec<f64>,
    /// The largest of the other values less the smallest; 0 where there is none.
    pub range: f64,
}

impl Known {
    /// What a variable says of itself, before anyone has looked at its values.
    pub fn named(variable: &Variable<'_>) -> Self {
        Self { fills: fills(variable), sentinels: Vec::new(), range: 0.0 }
    }

    /// Looks at all values, box by box: sentinels are those of the whole variable, which its chunks need not show.
    ///
    /// # Errors
    /// What libnetcdf says.
    pub fn of(variable: &Variable<'_>, boxes: &[Box], asked: &Sentinels) -> Result<Self> {
        let mut known = Self::named(variable);
        if let Sentinels::Given(values) = asked {
            known.fills.splice(0..0, values.iter().copied());
        }
        let mut search = None;
        for part in boxes {
            let values = variable.read(part)?;
            let search = search.get_or_insert_with(|| Search::new(&values, &known.fills));
            search.add(&values);
        }
        if let Some(search) = search {
            (known.sentinels, known.range) = search.finish(*asked == Sentinels::Auto);
        }
        known.fills.splice(0..0, known.sentinels.iter().copied());
        Ok(known)
    }
}

/// A search for sentinels among values of either type.
enum Search {
    F32(SentinelSearch<f32>),
    F64(SentinelSearch<f64>),
}

impl Search {
    fn new(values: &Values, named: &[f64]) -> Self {
        match values {
            Values::F32(_) => Self::F32(SentinelSearch::new(&named.iter().map(|&v| v as f32).collect::<Vec<_>>())),
            _ => Self::F64(SentinelSearch::new(named)),
        }
    }

    fn add(&mut self, values: &Values) {
        match (self, values) {
            (Self::F32(search), Values::F32(values)) => search.add(values),
            (Self::F64(search), Values::F64(values)) => search.add(values),
            _ => {}
        }
    }

    /// The sentinels, where they are wanted, and the range of the other values.
    fn finish(self, find: bool) -> (Vec<f64>, f64) {
        fn of<T: Element>(mut search: SentinelSearch<T>, find: bool) -> (Vec<f64>, f64) {
            let found = if find { search.take_sentinels() } else { Vec::new() };
            let range = search.range().map_or(0.0, |(low, high)| high.to_f64() - low.to_f64());
            (found.into_iter().map(T::to_f64).collect(), range)
        }
        match self {
            Self::F32(search) => of(search, find),
            Self::F64(search) => of(search, find),
        }
    }
}

/// Values that stand for points without data: those that a variable's attributes name, and NetCDF's own.
fn fills(variable: &Variable<'_>) -> Vec<f64> {
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

    /// Takes in values of the original.
    fn look(&mut self, values: &Values) {
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
