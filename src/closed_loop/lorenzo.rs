//! Prediction in C order by Lorenzo's predictor: the polynomial through the corner of points behind, along some of the
//! axes.

use super::causal::Fitted;
use super::indices::{Around, Model, Symbol, scale, side};
use super::levels::{AXES, Grid, INNER};
use super::offset::Next;
use super::quantise::Quantiser;
use super::section::{Parameters, Predictor};
use super::work::{BATCH, Flags, Work};
use crate::entropy::BitCoder;
use crate::error::{Error, Result};
use crate::field::Element;
use std::ops::Range;

/// Stretches of points with an offset of their own, at most.
const STRETCHES: usize = 32;
/// How many points a stretch has at least, where there are as many.
const LEAST_STRETCH: usize = 1024;

/// The points behind and their weights, for how many points there are behind along each axis.
struct Corner {
    taps: Vec<(usize, f64)>,
    /// Points one behind along each axis that has one, innermost first.
    behind: Vec<usize>,
}

/// Weights of a corner: the product over its axes of `1 − B` or `(1 − B)²`, less the point itself.
fn corner(grid: &Grid, axes: u8, order: u8, depth: [usize; AXES]) -> Corner {
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
    (0..27usize).map(|k| corner(grid, axes, order, [k / 9, k / 3 % 3, k % 3])).collect()
}

/// Codes a whole window in C order.
pub(super) fn code<T: Element, C: BitCoder, const MIXING: bool>(
    coder: &mut C,
    model: &mut Model,
    work: &mut Work<'_, T>,
    parameters: &Parameters,
    range: (f64, f64),
) -> Result<()> {
    let grid = work.grid;
    let lattice = parameters.lattice.then_some(parameters.origin);
    let quantiser = Quantiser::new(parameters.bin, work.bound, range, lattice);
    let (axes, order) = match parameters.predictor {
        Predictor::Levels { .. } => return Err(Error::internal("levels are not predicted in C order")),
        Predictor::Lorenzo { axes, order } => (axes, order),
        Predictor::Fitted { axes } => (axes, 2),
    };
    let fitted = match parameters.predictor {
        Predictor::Fitted { .. } => Fitted::code(coder, model, work, &quantiser)?,
        _ => None,
    };
    let mut run = Run { corners: corners(&grid, axes, order), fitted, quantiser, origin: parameters.origin };
    let (mut flags, mut walk) = (Flags::new(), Walk::new(&grid));
    let mut pieces = Vec::new();
    let mut from = 0;
    while from < grid.len() {
        let end = if parameters.balanced { grid.len().min(from + stretch(grid.len())) } else { grid.len() };
        if parameters.balanced {
            run.balance(coder, model, work, (from..end, &walk))?;
        }
        for first in (from..end).step_by(BATCH) {
            pieces.clear();
            walk.pieces(run.fitted.as_ref(), first..end.min(first + BATCH), &mut pieces);
            run.batch::<T, C, MIXING>(coder, model, work, &mut flags, &pieces)?;
        }
        if parameters.balanced {
            run.unshift(work, from..end);
        }
        from = end;
    }
    Ok(())
}

/// How many of so many points share an offset: a whole number of batches.
fn stretch(points: usize) -> usize {
    points.div_ceil(STRETCHES).max(LEAST_STRETCH).next_multiple_of(BATCH)
}

/// Successive points with the same points behind.
struct Piece {
    from: usize,
    until: usize,
    corner: usize,
    /// Whether the fitted predictor reaches all that it sees.
    fitted: bool,
}

/// What the points of a window are predicted with.
struct Run {
    corners: Vec<Corner>,
    fitted: Option<Fitted>,
    quantiser: Quantiser,
    origin: f64,
}

impl Run {
    /// Codes the points of a batch.
    fn batch<T: Element, C: BitCoder, const MIXING: bool>(
        &self,
        coder: &mut C,
        model: &mut Model,
        work: &mut Work<'_, T>,
        flags: &mut Flags,
        pieces: &[Piece],
    ) -> Result<()> {
        let (from, until) = (pieces[0].from, pieces[pieces.len() - 1].until);
        let mut symbols = [Symbol::Index(0); BATCH];
        let mut predictions = [0.0; BATCH];
        let any = C::ENCODES && self.quantise(work, pieces, &mut symbols, &mut predictions);
        let any = flags.code(model, coder, any, [0, scale(busy(work, from, until)), 0]);
        if C::ENCODES && !any {
            return Ok(());
        }
        for piece in pieces {
            let (corner, taps) = (&self.corners[piece.corner], self.taps(piece));
            for at in piece.from..piece.until {
                let prediction = if C::ENCODES { predictions[at - from] } else { self.predict(work.known, taps, at) };
                if !any || work.is_masked(at) {
                    work.known[at] = self.quantiser.restore(prediction, 0);
                    continue;
                }
                let around = self.around(work, corner, at, prediction);
                let symbol = model.code::<C, MIXING>(coder, symbols[at - from], &around)?;
                work.keep(coder, symbol, &self.quantiser, (at, prediction));
            }
        }
        Ok(())
    }

    /// Predicts and quantises a batch when encoding; whether it has an index other than 0.
    #[inline(always)]
    fn quantise<T: Element>(
        &self,
        work: &mut Work<'_, T>,
        pieces: &[Piece],
        symbols: &mut [Symbol; BATCH],
        predictions: &mut [f64; BATCH],
    ) -> bool {
        let from = pieces[0].from;
        let mut any = false;
        for piece in pieces {
            let taps = self.taps(piece);
            for at in piece.from..piece.until {
                let prediction = self.predict(work.known, taps, at);
                let symbol = work.quantise(&self.quantiser, at, prediction);
                any |= symbol != Symbol::Index(0);
                (symbols[at - from], predictions[at - from]) = (symbol, prediction);
            }
        }
        any
    }

    /// Chooses what the values of a stretch of points are shifted by when encoding, and codes it. A walk has come to the
    /// stretch's first point.
    ///
    /// Not an offset of each prediction: that of the point before would be part of the next one's.
    fn balance<T: Element, C: BitCoder>(
        &mut self,
        coder: &mut C,
        model: &mut Model,
        work: &mut Work<'_, T>,
        (stretch, walk): (Range<usize>, &Walk<'_>),
    ) -> Result<()> {
        let last = stretch.end == work.grid.len();
        let next = Next { points: stretch.len(), last, bin: self.quantiser.bin };
        let mut number = 0;
        if C::ENCODES {
            let account = work.account;
            (number, work.account) = account.choose(next, |shift| {
                self.quantiser = self.quantiser.shifted(shift);
                self.errors(work, walk.clone(), stretch.clone())
            });
        }
        self.quantiser = self.quantiser.shifted(next.code(coder, model, number)?);
        Ok(())
    }

    /// What the errors of a stretch of points add up to.
    fn errors<T: Element>(&self, work: &mut Work<'_, T>, mut walk: Walk<'_>, stretch: Range<usize>) -> f64 {
        let (mut symbols, mut predictions) = ([Symbol::Index(0); BATCH], [0.0; BATCH]);
        let (mut pieces, mut all) = (Vec::new(), Vec::with_capacity(stretch.len()));
        for from in stretch.clone().step_by(BATCH) {
            let until = stretch.end.min(from + BATCH);
            pieces.clear();
            walk.pieces(self.fitted.as_ref(), from..until, &mut pieces);
            self.quantise(work, &pieces, &mut symbols, &mut predictions);
            all.extend_from_slice(&symbols[..until - from]);
        }
        self.unshift(work, stretch.clone());
        stretch.zip(all).map(|(at, symbol)| work.error(at, symbol)).sum()
    }

    /// Takes back by what the values of a stretch are shifted.
    fn unshift<T: Element>(&self, work: &mut Work<'_, T>, stretch: Range<usize>) {
        work.known[stretch].iter_mut().for_each(|value| *value = self.quantiser.unshift(*value));
    }

    fn taps(&self, piece: &Piece) -> &[(usize, f64)] {
        match &self.fitted {
            Some(fitted) if piece.fitted => &fitted.taps,
            _ => &self.corners[piece.corner].taps,
        }
    }

    #[inline(always)]
    fn predict<T: Element>(&self, known: &[T], taps: &[(usize, f64)], at: usize) -> f64 {
        if taps.is_empty() {
            return self.quantiser.settle(self.origin);
        }
        self.quantiser
            .settle(taps.iter().fold(0.0, |sum, &(distance, weight)| sum + known[at - distance].to_f64() * weight))
    }

    /// What is known about a point.
    #[inline(always)]
    fn around<T: Element>(&self, work: &Work<'_, T>, corner: &Corner, at: usize, prediction: f64) -> Around {
        let quantiser = &self.quantiser;
        let behind = &corner.behind;
        let mark = |k: usize| behind.get(k).map_or(0, |&offset| work.mark(at - offset));
        let (w, n, a) = (mark(0), mark(1), mark(2));
        let sides = behind.len().min(3) as u32;
        let mut same = w.unsigned_abs() + n.unsigned_abs() + a.unsigned_abs();
        let mut near = 0;
        let (mut other, mut axes, mut span) = (0.0, 0.0, 0.0f64);
        let value = |offset: usize| work.value(at - offset);
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
        let beside = |k: usize| behind.get(k).map_or(4, |&offset| side(quantiser.quarters(value(offset) - prediction)));
        Around {
            same,
            near,
            span: quantiser.quarters(span).unsigned_abs(),
            other: quantiser.quarters(other),
            axes: quantiser.quarters(axes),
            west: w,
            north: n,
            above: a,
            value: quantiser.quarters(prediction - self.origin).unsigned_abs(),
            sides: [beside(0), beside(1), beside(2)],
            lean: w.signum() + n.signum() + a.signum(),
            class: behind.len(),
        }
    }
}

/// Indices other than 0 one behind along the innermost of the outer axes whose rows are no shorter than a batch.
fn busy<T>(work: &Work<'_, T>, from: usize, until: usize) -> u32 {
    let grid = &work.grid;
    let Some(axis) = (0..INNER).rev().find(|&axis| grid.dims[axis] > 1 && grid.strides[axis] >= BATCH) else {
        return 0;
    };
    let stride = grid.strides[axis];
    if from < stride {
        return 0;
    }
    work.marks[from - stride..until - stride].iter().filter(|&&mark| mark != 0).count() as u32
}

/// A walk over a grid in C order.
#[derive(Clone)]
struct Walk<'a> {
    grid: &'a Grid,
    at: [usize; AXES],
}

impl<'a> Walk<'a> {
    fn new(grid: &'a Grid) -> Self {
        Self { grid, at: [0; AXES] }
    }

    /// Appends the pieces of the next points, which are `range` in C order.
    fn pieces(&mut self, fitted: Option<&Fitted>, range: Range<usize>, out: &mut Vec<Piece>) {
        let width = self.grid.dims[INNER];
        let mut from = range.start;
        while from < range.end {
            let x = self.at[INNER];
            let reached = fitted.filter(|fitted| fitted.reaches(self.grid, &self.at));
            // Where what is behind, or within the fitted predictor's reach, changes along the row.
            let end = match (x < 2, reached, fitted) {
                (true, ..) => x + 1,
                (_, Some(fitted), _) => fitted.reaches_until(self.grid),
                (_, None, Some(fitted)) if fitted.reaches_from() > x => fitted.reaches_from(),
                _ => width,
            };
            let len = (end.min(width) - x).min(range.end - from);
            let corner = self.at.iter().fold(0, |depth, &at| depth * 3 + at.min(2));
            out.push(Piece { from, until: from + len, corner, fitted: reached.is_some() });
            from += len;
            self.at[INNER] += len;
            for axis in (1..AXES).rev() {
                if self.at[axis] == self.grid.dims[axis] {
                    self.at[axis] = 0;
                    self.at[axis - 1] += 1;
                }
            }
        }
    }
}
