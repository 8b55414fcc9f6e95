//! A frame as pictures have it: where its points lie, and the labels of scales.

use crate::described::Described;

/// About as many labels along a scale.
const TICKS: f64 = 6.0;

/// Where a frame's points lie, and what its values are.
#[derive(Default)]
pub struct Frame {
    pub rows: usize,
    pub columns: usize,
    pub units: String,
    /// Coordinates of the rows, and of the columns.
    pub places: [Option<Vec<f64>>; 2],
}

impl Frame {
    /// A frame of the last two axes of what is described; coordinates that go up and down have no place for a label.
    pub fn new(rows: usize, columns: usize, described: &Described) -> Self {
        let along = |back: usize, points: usize| {
            let values = &described.coordinate_from_last(back)?.values;
            let grows = values.windows(2).all(|pair| pair[0] < pair[1]);
            let falls = values.windows(2).all(|pair| pair[0] > pair[1]);
            (values.len() == points && points > 1 && (grows || falls)).then(|| values.clone())
        };
        Self { rows, columns, units: described.units.clone(), places: [along(1, rows), along(0, columns)] }
    }

    /// A title with the units.
    pub fn titled(&self, title: &str) -> String {
        if self.units.is_empty() { title.to_owned() } else { format!("{title} ({})", self.units) }
    }

    /// Whether the coordinate of rows, or of columns, falls with their number.
    fn falls(&self, axis: usize) -> bool {
        self.places[axis].as_ref().is_some_and(|values| values[0] > values[values.len() - 1])
    }

    /// The row (axis 0) at a place from the lowest on, or the column (axis 1) from the left.
    pub fn turned(&self, axis: usize, place: usize) -> usize {
        if self.falls(axis) { [self.rows, self.columns][axis] - 1 - place } else { place }
    }

    /// Labels along an axis: how far along it, 0 to 1, from below or the left, and what is written there.
    pub fn labels(&self, axis: usize) -> Vec<(f64, String)> {
        let Some(values) = &self.places[axis] else { return Vec::new() };
        let mut values = values.clone();
        if self.falls(axis) {
            values.reverse();
        }
        let (low, high) = (values[0], values[values.len() - 1]);
        let at = |value: f64| {
            let after = values.partition_point(|&v| v < value).clamp(1, values.len() - 1);
            let (a, b) = (values[after - 1], values[after]);
            ((after - 1) as f64 + (value - a) / (b - a) + 0.5) / values.len() as f64
        };
        ticks(low, high).into_iter().map(|(value, label)| (at(value), label)).collect()
    }
}

/// Round values between two limits, and their labels.
pub fn ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let raw = (high - low) / TICKS;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|&step| step >= raw).unwrap_or(raw);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last)
        .map(|k| k as f64 * step)
        .map(|value| (value, label(value, step, low.abs().max(high.abs()))))
        .collect()
}

/// A value with digits enough to tell it from its neighbours `step` away; `largest` is the largest beside it.
pub fn label(value: f64, step: f64, largest: f64) -> String {
    if value.abs() < 1e-6 * step {
        "0".into()
    } else if (1e-3..1e5).contains(&largest) {
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        format!("{value:.decimals$}")
    } else {
        let digits = (largest / step).log10().ceil().clamp(0.0, 9.0) as usize;
        format!("{value:.digits$e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::described::Coordinate;

    #[test]
    fn ticks_are_round_and_inside() {
        let labels = |low, high| ticks(low, high).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(0.0, 10.0), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(-0.013, 0.013), ["-0.010", "-0.005", "0", "0.005", "0.010"]);
        assert_eq!(labels(-2e-8, 2e-8), ["-2e-8", "-1e-8", "0", "1e-8", "2e-8"].map(|s| s.replace('e', ".0e")));
    }

    #[test]
    fn coordinates_grow_upwards_and_to_the_right() {
        let coordinate = |values: &[f64]| Some(Coordinate { values: values.to_vec(), units: String::new() });
        let described = Described {
            coordinates: vec![None, coordinate(&[30.0, 10.0, 0.0]), coordinate(&[0.0, 1.0, 2.0, 3.0])],
            ..Described::default()
        };
        let frame = Frame::new(3, 4, &described);
        assert_eq!((frame.turned(0, 0), frame.turned(0, 2), frame.turned(1, 0)), (2, 0, 0));
        let labels = frame.labels(0);
        assert_eq!((labels[0].1.as_str(), labels[2].1.as_str(), labels.last().unwrap().1.as_str()), ("0", "10", "30"));
        assert_eq!((labels[0].0, labels[2].0, labels.last().unwrap().0), (0.5 / 3.0, 0.5, 2.5 / 3.0));
        // What goes up and down has no labels, nor has what lies along other axes.
        let others = Described { coordinates: vec![coordinate(&[0.0, 2.0, 1.0]), None], ..Described::default() };
        assert!(Frame::new(3, 4, &others).places.iter().all(Option::is_none));
        assert!(Frame::new(4, 4, &described).places[0].is_none());
    }
}
