//! The encoder's choice of parameters: ranges and lattices from all values, the predictor by trial on a sample.

use super::causal::Fitted;
use super::estimate;
use super::levels::{AXES, Grid};
use super::lorenzo::FITTED;
use super::section::{Parameters, Predictor};
use crate::field::{DType, Element};

/// Points of a field that are tried whole, and of each box of a larger one's sample.
const WHOLE: usize = 1 << 16;
const BOX: usize = 1 << 15;
/// Points of a box where ways are close.
const LARGE_BOX: usize = 3 << 15;
/// What makes them so.
const CLOSE: f64 = 1.1;
/// Boxes of a sample.
const BOXES: usize = 2;
/// Values that ranges and lattices are guessed from.
const GUESSED: usize = 4096;
/// Values further from the middle than so many times the spread of all but a few are kept exactly.
const ABSURD: f64 = 1e5;
/// Finalists, tried on larger boxes as they will be coded.
const FINALISTS: usize = 3;
/// How much finer coarser levels are quantised, tried besides not at all.
const GROWTHS: [(u8, u8); 2] = [(1, 4), (2, 8)];

/// Parameters that hold whatever the predictor is: the range, the lattice, the bin.
pub(crate) fn analyse<T: Element>(values: &[T], mask: Option<&[bool]>, bound: f64, mixing: bool) -> Parameters {
    let data = |i: usize| !mask.is_some_and(|mask| mask[i]);
    let step = values.len().div_ceil(GUESSED).max(1);
    let mut sorted: Vec<f64> = (0..values.len())
        .step_by(step)
        .filter(|&i| data(i))
        .map(|i| values[i].to_f64())
        .filter(|v| v.is_finite())
        .collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted.get((sorted.len() as f64 * share) as usize).copied().unwrap_or(0.0);
    let (middle, spread) = (at(0.5), at(0.995) - at(0.005));
    let reach = if spread > 0.0 { (spread * ABSURD).max(bound) } else { f64::INFINITY };
    let mut range = (middle, middle);
    for (_, v) in values.iter().enumerate().filter(|(i, _)| data(*i)) {
        let v = v.to_f64();
        if (v - middle).abs() <= reach && v.is_finite() {
            range = (range.0.min(v), range.1.max(v));
        }
    }
    // What rounding to the caller's type may add.
    let unit = if T::DTYPE == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    let rounding = range.0.abs().max(range.1.abs()) * unit / 2.0;
    let half = if rounding < bound / 2.0 { bound - rounding } else { bound };
    let mut parameters = Parameters {
        predictor: Predictor::Levels { frozen: 0 },
        mixing,
        bin: (2.0 * half * (1.0 - 1e-9)).min(f64::MAX),
        growth: 0,
        most: 0,
        lattice: false,
        origin: middle,
        range,
    };
    if let Some(quantum) = quantum(&mut sorted, bound, range) {
        let on = |v: f64| (v - middle - ((v - middle) / quantum).round() * quantum).abs() <= bound;
        if values.iter().enumerate().filter(|(i, _)| data(*i)).all(|(_, v)| on(v.to_f64())) {
            (parameters.lattice, parameters.bin) = (true, quantum);
        }
    }
    parameters
}

/// What all of these values are apart by multiples of, where that is more than a bin.
fn quantum(sorted: &mut Vec<f64>, bound: f64, range: (f64, f64)) -> Option<f64> {
    sorted.dedup();
    let mut quantum = 0.0f64;
    let slack = 2.0 * bound;
    for pair in sorted.windows(2) {
        let (mut a, mut b) = (pair[1] - pair[0], quantum);
        // Euclid's algorithm, to within twice the bound.
        while b > slack {
            (a, b) = (b, (a - (a / b).round() * b).abs());
        }
        quantum = a;
        if quantum <= slack {
            return None;
        }
    }
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    let steps = ((last - first) / quantum).round();
    // Over the whole range, the quantum's own rounding matters least.
    (steps >= 1.0 && (range.1 - range.0) / quantum < 1e9).then(|| (last - first) / steps)
}

/// Boxes of a field: their values, shapes and masks.
struct Sample<T> {
    boxes: Vec<(Vec<T>, [usize; AXES], Option<Vec<bool>>)>,
}

impl<T: Element> Sample<T> {
    fn new(values: &[T], grid: &Grid, mask: Option<&[bool]>, size: usize) -> Self {
        let (count, mut shape) = (if grid.len() <= WHOLE { 1 } else { BOXES }, grid.dims);
        if grid.len() > WHOLE {
            while shape.iter().product::<usize>() > size {
                // Halves the longest axis.
                let longest = (0..AXES).max_by_key(|&axis| shape[axis]).unwrap_or(0);
                shape[longest] = shape[longest].div_ceil(2);
            }
        }
        let boxes = (0..count).map(|k| {
            let from: [usize; AXES] = std::array::from_fn(|axis| {
                // A third and two thirds of the way along each axis, the second box in the other order of axes.
                let room = grid.dims[axis] - shape[axis];
                room * if (k + axis) % 2 == 0 { 1 } else { 2 } / 3
            });
            let n: usize = shape.iter().product();
            let cut = Grid::of(shape);
            let indices = (0..n).map(|i| {
                let at = cut.coordinates(i);
                (0..AXES).map(|axis| (from[axis] + at[axis]) * grid.strides[axis]).sum::<usize>()
            });
            let indices: Vec<usize> = indices.collect();
            let cut_mask = mask.map(|mask| indices.iter().map(|&i| mask[i]).collect());
            (indices.iter().map(|&i| values[i]).collect(), shape, cut_mask)
        });
        Self { boxes: boxes.collect() }
    }

    fn cost(&self, parameters: &Parameters, bound: f64) -> f64 {
        self.boxes.iter().map(|(values, shape, mask)| estimate(values, shape, mask.as_deref(), parameters, bound)).sum()
    }
}

/// Parameters tried, and what they cost on a sample.
struct Trials<'a, T> {
    sample: &'a Sample<T>,
    bound: f64,
    tried: Vec<(f64, Parameters)>,
}

impl<T: Element> Trials<'_, T> {
    /// What parameters cost, with contexts that are not mixed.
    fn cost(&mut self, next: Parameters) -> f64 {
        if let Some(found) = self.tried.iter().find(|tried| tried.1 == next) {
            return found.0;
        }
        let cost = self.sample.cost(&Parameters { mixing: false, ..next }, self.bound);
        self.tried.push((cost, next));
        cost
    }

    /// The best of some changes, one axis at a time while it pays.
    fn greedy(
        &mut self,
        start: Parameters,
        axes: &[u8],
        change: impl Fn(&Parameters, u8) -> Option<Parameters>,
    ) -> Parameters {
        let mut best = (self.cost(start), start);
        loop {
            let from = best.1;
            for &axis in axes {
                let Some(next) = change(&from, axis) else { continue };
                let cost = self.cost(next);
                if cost < best.0 {
                    best = (cost, next);
                }
            }
            if best.1 == from {
                return best.1;
            }
        }
    }
}

/// The parameters with the least bytes on a sample.
pub(crate) fn choose<T: Element>(
    values: &[T],
    shape: &[usize],
    mask: Option<&[bool]>,
    bound: f64,
    mixing: bool,
) -> Parameters {
    let grid = Grid::new(shape);
    let whole = analyse(values, mask, bound, mixing);
    let axes: Vec<u8> = (0..AXES).filter(|axis| grid.axes() >> axis & 1 == 1).map(|axis| 1u8 << axis).collect();
    let sample = Sample::new(values, &grid, mask, BOX);
    let mut trials = Trials { sample: &sample, bound, tried: Vec::new() };
    let levels = trials.greedy(whole, &axes, |p, axis| match p.predictor {
        Predictor::Levels { frozen } if frozen & axis == 0 && (frozen | axis) != grid.axes() => {
            Some(Parameters { predictor: Predictor::Levels { frozen: frozen | axis }, ..*p })
        }
        _ => None,
    });
    if !whole.lattice {
        for (growth, most) in GROWTHS {
            trials.cost(Parameters { growth, most, ..levels });
        }
    }
    let raster = |axes: u8, order: u8| Parameters { predictor: Predictor::Raster { axes, order }, ..whole };
    let behind = trials.greedy(raster(grid.axes(), 1), &axes, |p, axis| match p.predictor {
        Predictor::Raster { axes, order } if axes & axis != 0 => Some(raster(axes & !axis, order)),
        _ => None,
    });
    if let Predictor::Raster { axes, .. } = behind.predictor {
        trials.cost(raster(axes, 2));
    }
    trials.cost(raster(0, 1));
    if Fitted::fits(&grid) {
        trials.cost(raster(grid.axes(), FITTED));
    }
    let mut tried = trials.tried;
    tried.sort_by(|a, b| a.0.total_cmp(&b.0));
    tried.retain({
        let least = tried[0].0;
        move |tried| tried.0 <= least * CLOSE
    });
    tried.truncate(FINALISTS);
    if tried.len() > 1 && (grid.len() > WHOLE || mixing) {
        // Contexts of levels take longer to learn than a small sample is, and gain more from mixing.
        let sample = Sample::new(values, &grid, mask, LARGE_BOX);
        for finalist in &mut tried {
            finalist.0 = sample.cost(&finalist.1, bound);
        }
        tried.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    tried[0].1
}
