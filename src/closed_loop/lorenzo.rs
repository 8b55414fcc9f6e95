//! Prediction in C order by Lorenzo's predictor: the polynomial through the corner of points behind, along some of the
//! axes.

use super::causal::Fitted;
use super::indices::{Around, Model, Symbol, scale, side};
use super::levels::{AXES, Grid, INNER};
use super::quantise::Quantiser;
use super::section::Parameters;
use super::work::{BATCH, Done, Flags, Work, quarters};
use crate::entropy::BitCoder;
use crate::field::Element;

/// The order that stands for a fitted predictor.
pub(super) const FITTED: u8 = 3;

/// The points behind and their weights, for how many points there are behind along each axis.
struct Corner {
    taps: Vec<(usize, f64)>,
    /// Points one behind along each axis that has one, innermost first.
    behind: Vec<usize>,
}

/// Weights of a corner: the product over its axes of `1 − B` or `(1 − B)²`, less the point itself.
fn corner(grid: &Grid, axes: u8, order: u8, depth: &[usize; AXES]) -> Corner {
    let mut taps: Vec<(usize, f64)> = vec![(0, 1.0)];
    for axis in (0..AXES).rev() {
        if axes >> axis & 1 == 0 || depth[axis] == 0 {
            continue;
        }
        for _ in 0..usize::from(order).min(depth[axis]) {
            let stride = grid.strides[axis];
            let moved: Vec<_> = taps.iter().map(|&(offset, weight)| (offset + stride, -weight)).collect();
            for (offset, weight) in moved {
                match taps.iter_mut().find(|tap| tap.0 == offset) {
                    Some(tap) => tap.1 += weight,
                    None => taps.push((offset, weight)),
                }
            }
        }
    }
    let behind: Vec<usize> = (0..AXES).rev().filter(|&axis| depth[axis] > 0).map(|axis| grid.strides[axis]).collect();
    let mut taps: Vec<(usize, f64)> =
        taps.into_iter().filter(|tap| tap.0 > 0 && tap.1 != 0.0).map(|(offset, weight)| (offset, -weight)).collect();
    if taps.is_empty() && axes != 0 {
        taps.extend(behind.first().map(|&offset| (offset, 1.0)));
    }
    Corner { taps, behind }
}

/// All corners of a grid, by the depth along each axis up to 2.
fn corners(grid: &Grid, axes: u8, order: u8) -> Vec<Corner> {
    (0..81usize).map(|k| corner(grid, axes, order, &[k / 27, k / 9 % 3, k / 3 % 3, k % 3])).collect()
}

/// Codes a whole field in C order.
pub(super) fn code<T: Element, C: BitCoder, const MIXING: bool>(
    coder: &mut C,
    model: &mut Model,
    work: &mut Work<'_, T>,
    parameters: &Parameters,
    axes: u8,
    order: u8,
    bound: f64,
) -> Done {
    let grid = work.grid;
    let quantiser =
        Quantiser::new(parameters.bin, bound, parameters.range, parameters.lattice.then_some(parameters.origin));
    let fitted = match order {
        FITTED => Some(Fitted::code(coder, model, work, &quantiser)?),
        _ => None,
    };
    let corners = corners(&grid, axes, order.min(2));
    let mut flags = Flags::new();
    let total = grid.len();
    let mut symbols = [Symbol::Index(0); BATCH];
    let mut from = 0;
    while from < total {
        let until = (from + BATCH).min(total);
        let start = grid.coordinates(from);
        let mut any = false;
        if C::ENCODES {
            let mut walk = Walk::new(&grid, start);
            for at in from..until {
                let corner = &corners[walk.depth()];
                let prediction =
                    quantiser.settle(predict(work.known, corner, walk.fitted(fitted.as_ref()), at, parameters.origin));
                symbols[at - from] = work.quantise(&quantiser, at, prediction);
                any |= symbols[at - from] != Symbol::Index(0);
                walk.step();
            }
        }
        let busy = busy(work, &grid, from, until);
        any = flags.code(model, coder, any, scale(busy), 0, 0);
        let mut walk = Walk::new(&grid, start);
        for at in from..until {
            if C::ENCODES && !any {
                break;
            }
            let corner = &corners[walk.depth()];
            let prediction =
                quantiser.settle(predict(work.known, corner, walk.fitted(fitted.as_ref()), at, parameters.origin));
            walk.step();
            if !any || work.is_masked(at) {
                work.known[at] = T::from_f64(prediction);
                continue;
            }
            let around = around(work, corner, &quantiser, at, prediction, parameters.origin);
            let symbol = model.code::<C, MIXING>(coder, symbols[at - from], &around)?;
            work.keep(coder, symbol, &quantiser, at, prediction);
        }
        from = until;
    }
    Ok(())
}

/// Indices other than 0 one behind along the outer axes.
fn busy<T: Element>(work: &Work<'_, T>, grid: &Grid, from: usize, until: usize) -> u32 {
    let Some(axis) = (0..INNER).rev().find(|&axis| grid.dims[axis] > 1 && grid.strides[axis] >= BATCH) else {
        return 0;
    };
    let stride = grid.strides[axis];
    if from < stride {
        return 0;
    }
    work.marks[from - stride..until - stride].iter().filter(|&&mark| mark != 0).count() as u32
}

#[inline(always)]
fn predict<T: Element>(known: &[T], corner: &Corner, fitted: Option<&Fitted>, at: usize, origin: f64) -> f64 {
    if let Some(fitted) = fitted {
        return fitted.taps.iter().fold(0.0, |sum, &(distance, weight)| sum + known[at - distance].to_f64() * weight);
    }
    if corner.taps.is_empty() {
        return origin;
    }
    corner.taps.iter().fold(0.0, |sum, &(offset, weight)| sum + known[at - offset].to_f64() * weight)
}

#[inline(always)]
fn around<T: Element>(
    work: &Work<'_, T>,
    corner: &Corner,
    quantiser: &Quantiser,
    at: usize,
    prediction: f64,
    origin: f64,
) -> Around {
    let behind = &corner.behind;
    let mark = |k: usize| behind.get(k).map_or(0, |&offset| work.mark(at - offset));
    let (w, n, a) = (mark(0), mark(1), mark(2));
    let sides = behind.len().min(3) as u32;
    let mut same = w.unsigned_abs() + n.unsigned_abs() + a.unsigned_abs();
    let mut near = 0;
    let (mut other, mut axes, mut span) = (0.0, 0.0, 0.0f64);
    let value = |offset: usize| work.known[at - offset].to_f64();
    match behind[..] {
        [] => {}
        [x] => {
            if at >= 2 * x {
                near = 4 * work.mark(at - 2 * x).unsigned_abs();
                other = 2.0 * value(x) - value(2 * x) - prediction;
                axes = if at >= 3 * x { value(2 * x) - value(3 * x) } else { 0.0 };
                span = (value(x) - value(2 * x)).abs();
            }
        }
        [x, y, ..] => {
            near = 2 * (work.mark(at - x - y).unsigned_abs() + work.mark(at + x - y).unsigned_abs());
            let (v, u) = (value(x), value(y));
            axes = v - u;
            let third = behind.get(2).map_or(v, |&z| value(z));
            other = (v + u + third) / 3.0 - prediction;
            let corner = value(x + y);
            span = (v - corner).abs().max((u - corner).abs()).max((third - v).abs());
        }
    }
    same = same * 4 / sides.max(1);
    let beside = |k: usize| behind.get(k).map_or(4, |&offset| side(quarters(quantiser, value(offset) - prediction)));
    Around {
        same,
        near,
        span: quarters(quantiser, span).unsigned_abs(),
        other: quarters(quantiser, other),
        axes: quarters(quantiser, axes),
        west: w,
        north: n,
        above: a,
        value: quarters(quantiser, prediction - origin).unsigned_abs(),
        sides: [beside(0), beside(1), beside(2)],
        lean: w.signum() + n.signum() + a.signum(),
        class: behind.len(),
    }
}

/// Coordinates of successive points, and how many points are behind along each axis.
struct Walk<'a> {
    grid: &'a Grid,
    at: [usize; AXES],
}

impl<'a> Walk<'a> {
    fn new(grid: &'a Grid, at: [usize; AXES]) -> Self {
        Self { grid, at }
    }

    #[inline(always)]
    fn depth(&self) -> usize {
        self.at.iter().fold(0, |depth, &at| depth * 3 + at.min(2))
    }

    /// The fitted predictor, where all of its points exist.
    #[inline(always)]
    fn fitted<'b>(&self, fitted: Option<&'b Fitted>) -> Option<&'b Fitted> {
        fitted.filter(|fitted| fitted.reaches(self.grid, &self.at))
    }

    #[inline(always)]
    fn step(&mut self) {
        for axis in (0..AXES).rev() {
            self.at[axis] += 1;
            if self.at[axis] < self.grid.dims[axis] {
                return;
            }
            self.at[axis] = 0;
        }
    }
}
