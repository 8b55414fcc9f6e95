//! Prediction by levels: each pass is predicted from the points known before it, a batch at a time.

use super::fit;
use super::indices::{Around, Model, Symbol, scale, side};
use super::levels::{AXES, INNER, Pass, passes};
use super::offset::Next;
use super::quantise::Quantiser;
use super::section::Parameters;
use super::taps::{Degree, Taps, Template};
use super::work::{BATCH, Flags, Work};
use crate::entropy::BitCoder;
use crate::error::{Error, Result};
use crate::field::Element;
use std::convert::Infallible;

/// Points of a row that share a template.
#[derive(Clone, Copy, Debug)]
struct Piece {
    at: usize,
    len: usize,
    template: usize,
    /// Whether a point of the same row stands before.
    follows: bool,
}

/// Points that share a flag, and what is known of each before its index is.
struct Batch {
    pieces: Vec<Piece>,
    points: usize,
    predictions: Vec<f64>,
    symbols: Vec<Symbol>,
    near: Vec<u32>,
    span: Vec<u32>,
    flags: Flags,
}

impl Batch {
    fn new() -> Self {
        Self {
            pieces: Vec::new(),
            points: 0,
            predictions: vec![0.0; BATCH],
            symbols: vec![Symbol::Index(0); BATCH],
            near: Vec::with_capacity(BATCH),
            span: Vec::with_capacity(BATCH),
            flags: Flags::new(),
        }
    }

    /// Makes room for the next points.
    fn clear(&mut self) {
        self.pieces.clear();
        self.points = 0;
    }
}

/// Codes a whole window by levels.
pub(super) fn code<T: Element, C: BitCoder, const MIXING: bool>(
    coder: &mut C,
    model: &mut Model,
    work: &mut Work<'_, T>,
    parameters: &Parameters,
    (frozen, range): (u8, (f64, f64)),
) -> Result<()> {
    let grid = work.grid;
    for pass in passes(&grid, frozen & grid.axes()) {
        let bin = parameters.bin_at(pass.level);
        let limit = if parameters.lattice { work.bound } else { work.bound.min(bin) };
        let quantiser = Quantiser::new(bin, limit, range, parameters.lattice.then_some(parameters.origin));
        let taps = Taps::new(&grid, &pass);
        let (origin, balanced) = (parameters.origin, parameters.balanced);
        let mut run = Run { pass: &pass, taps, quantiser, origin, balanced, model, work };
        if pass.odd == 0 {
            run.anchors::<C, MIXING>(coder)?;
        } else {
            run.weigh(coder)?;
            if balanced {
                run.balance(coder)?;
            }
            run.code::<C, MIXING>(coder)?;
        }
    }
    Ok(())
}

/// A pass on its way.
struct Run<'a, 'w, T> {
    pass: &'a Pass,
    taps: Taps<'a>,
    quantiser: Quantiser,
    origin: f64,
    balanced: bool,
    model: &'a mut Model,
    work: &'a mut Work<'w, T>,
}

impl<T: Element> Run<'_, '_, T> {
    /// Chooses the pass's weights when encoding, and codes them.
    fn weigh<C: BitCoder>(&mut self, coder: &mut C) -> Result<()> {
        let (mut kind, mut weights) = (0, Vec::new());
        let (taps, model) = (&mut self.taps, &mut *self.model);
        if C::ENCODES {
            (kind, weights) = fit::choose(taps, self.pass, self.work, &self.quantiser);
        }
        let kinds = fit::kinds(taps);
        let class = usize::from(taps.odd_axes() > 1);
        kind = model.number(coder, kind as i32, class)? as usize;
        if kind < kinds {
            weights = fit::fixed(taps, kind);
        } else if kind == kinds {
            let start = taps.interpolation(Degree::Cubic);
            weights.resize(start.len(), 0);
            for (k, (weight, start)) in weights.iter_mut().zip(start).enumerate() {
                *weight = start.wrapping_add(model.number(coder, weight.wrapping_sub(start), 2 + k.min(13))?);
            }
        } else {
            return Err(Error::corrupt(format!("a pass is predicted in way {kind}, of {kinds}")));
        }
        taps.set(&weights);
        Ok(())
    }

    /// Codes the anchors: each predicted from the one before along the innermost axis that has one.
    fn anchors<C: BitCoder, const MIXING: bool>(&mut self, coder: &mut C) -> Result<()> {
        let (pass, quantiser, strides) = (self.pass, self.quantiser, self.work.grid.strides);
        for row in 0..pass.rows() {
            let mut coordinates = pass.row(row);
            for k in 0..pass.count[INNER] {
                coordinates[INNER] = k;
                let at: usize = (0..AXES).map(|axis| coordinates[axis] * strides[axis]).sum();
                let before = (0..AXES).rev().find(|&axis| coordinates[axis] > 0).map(|axis| at - strides[axis]);
                let prediction = quantiser.settle(before.map_or(self.origin, |before| self.work.value(before)));
                let west = before.map_or(0, |before| self.work.mark(before));
                let (same, class) = (4 * west.unsigned_abs(), pass.class());
                let around = Around { same, west, sides: [4; 3], class, ..Around::default() };
                let symbol = if C::ENCODES { self.work.quantise(&quantiser, at, prediction) } else { Symbol::Index(0) };
                if self.work.is_masked(at) {
                    self.work.known[at] = quantiser.restore(prediction, 0);
                    continue;
                }
                let symbol = self.model.code::<C, MIXING>(coder, symbol, &around)?;
                self.work.keep(coder, symbol, &quantiser, (at, prediction));
                if C::ENCODES && self.balanced {
                    self.work.account.sum += self.work.error(at, symbol);
                }
            }
        }
        Ok(())
    }

    /// Codes the points of a pass that is predicted from others.
    fn code<C: BitCoder, const MIXING: bool>(&mut self, coder: &mut C) -> Result<()> {
        self.batches(|run, batch| run.batch::<C, MIXING>(coder, batch))
    }

    /// Chooses the offset of the pass's predictions when encoding, and codes it.
    fn balance<C: BitCoder>(&mut self, coder: &mut C) -> Result<()> {
        let next = Next { points: self.pass.len(), last: self.pass.is_last(), bin: self.quantiser.bin };
        let mut number = 0;
        if C::ENCODES {
            let account = self.work.account;
            (number, self.work.account) = account.choose(next, |offset| self.errors(offset));
        }
        self.quantiser.offset = next.code(coder, self.model, number)?;
        Ok(())
    }

    /// What the errors of the pass's points add up to where predictions are offset by so much.
    fn errors(&mut self, offset: f64) -> f64 {
        self.quantiser.offset = offset;
        let mut sum = 0.0;
        let Ok(()) = self.batches(|run, batch| {
            run.quantise(batch);
            sum += run.error(batch);
            Ok::<(), Infallible>(())
        });
        sum
    }

    /// What the errors of a batch add up to.
    fn error(&self, batch: &Batch) -> f64 {
        let stride = self.pass.stride[INNER];
        let points = batch.pieces.iter().flat_map(|piece| (0..piece.len).map(move |k| piece.at + k * stride));
        points.zip(&batch.symbols).map(|(at, &symbol)| self.work.error(at, symbol)).sum()
    }

    /// Hands the points of the pass to `each`, a batch at a time.
    fn batches<E>(
        &mut self,
        mut each: impl FnMut(&mut Self, &mut Batch) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut batch = Batch::new();
        let (n, stride) = (self.pass.count[INNER], self.pass.stride[INNER]);
        for row in 0..self.pass.rows() {
            let mut at = self.pass.row(row);
            let start = at[INNER];
            let first: usize = (0..AXES).map(|axis| at[axis] * self.work.grid.strides[axis]).sum();
            let mut k = 0;
            while k < n {
                at[INNER] = start + k * stride;
                let template = self.taps.template(&at);
                let until = self.taps.same_until(k).min(k + BATCH - batch.points);
                batch.pieces.push(Piece { at: first + k * stride, len: until - k, template, follows: k > 0 });
                batch.points += until - k;
                k = until;
                if batch.points == BATCH {
                    each(self, &mut batch)?;
                    batch.clear();
                }
            }
        }
        if batch.points > 0 {
            each(self, &mut batch)?;
        }
        Ok(())
    }

    fn batch<C: BitCoder, const MIXING: bool>(&mut self, coder: &mut C, batch: &mut Batch) -> Result<()> {
        let stride = self.pass.stride[INNER];
        let (busy, widest) = self.look(batch);
        let mut any = C::ENCODES && self.quantise(batch);
        let level = self.pass.level.min(7) as usize;
        any = batch.flags.code(self.model, coder, any, [level, busy.div_ceil(2), widest / 2]);
        let mut i = 0;
        for piece in &batch.pieces {
            let predictions = &mut batch.predictions[i..i + piece.len];
            if !C::ENCODES {
                predict(self.work.known, self.taps.get(piece.template), &self.quantiser, (piece, stride), predictions);
            }
            for (k, &mut prediction) in predictions.iter_mut().enumerate() {
                let at = piece.at + k * stride;
                if !any || self.work.is_masked(at) {
                    if !C::ENCODES {
                        self.work.known[at] = self.quantiser.restore(prediction, 0);
                    }
                    continue;
                }
                let seen = Seen { near: batch.near[i + k], span: batch.span[i + k], follows: piece.follows || k > 0 };
                let around = self.around(self.taps.get(piece.template), at, prediction, seen);
                let symbol = self.model.code::<C, MIXING>(coder, batch.symbols[i + k], &around)?;
                self.work.keep(coder, symbol, &self.quantiser, (at, prediction));
            }
            i += piece.len;
        }
        Ok(())
    }

    /// Predicts and quantises a batch when encoding; whether it has an index other than 0.
    fn quantise(&mut self, batch: &mut Batch) -> bool {
        let stride = self.pass.stride[INNER];
        let (mut i, mut any) = (0, false);
        for piece in &batch.pieces {
            let out = &mut batch.predictions[i..i + piece.len];
            predict(self.work.known, self.taps.get(piece.template), &self.quantiser, (piece, stride), out);
            for (k, &prediction) in out.iter().enumerate() {
                let symbol = self.work.quantise(&self.quantiser, piece.at + k * stride, prediction);
                any |= symbol != Symbol::Index(0);
                batch.symbols[i + k] = symbol;
            }
            i += piece.len;
        }
        any
    }

    /// Magnitudes of neighbours' indices, and how far apart the neighbours lie: of each point, and of the batch.
    fn look(&self, batch: &mut Batch) -> (usize, usize) {
        let (work, stride) = (&*self.work, self.pass.stride[INNER]);
        batch.near.clear();
        batch.span.clear();
        let (mut busy, mut widest) = (0, 0);
        for piece in &batch.pieces {
            let near = &self.taps.get(piece.template).near;
            for k in 0..piece.len {
                let at = piece.at + k * stride;
                let (mut sum, mut span) = (0, 0.0f64);
                for &(low, high) in near {
                    let (low, high) = (at.wrapping_add_signed(low), at.wrapping_add_signed(high));
                    sum += work.mark(low).unsigned_abs() + work.mark(high).unsigned_abs();
                    span = span.max((work.value(high) - work.value(low)).abs());
                }
                let span = self.quantiser.quarters(span).unsigned_abs();
                busy += u32::from(sum > 0);
                widest = widest.max(span);
                batch.near.push(sum * 2 / near.len() as u32);
                batch.span.push(span);
            }
        }
        (scale(busy), scale(widest))
    }

    /// What is known about a point.
    #[inline(always)]
    fn around(&self, template: &Template, at: usize, prediction: f64, seen: Seen) -> Around {
        let (work, quantiser) = (&*self.work, &self.quantiser);
        let middle = |at: usize, pair: (isize, isize)| {
            let (low, high) = (at.wrapping_add_signed(pair.0), at.wrapping_add_signed(pair.1));
            (work.value(low) + work.value(high)) * 0.5
        };
        let behind = |k: usize| template.behind.get(k).map(|&offset| at.wrapping_add_signed(offset));
        let west = seen.follows.then(|| at - self.pass.stride[INNER]);
        let (north, above) = (behind(0), behind(1));
        let mark = |at: Option<usize>| at.map_or(0, |at| work.mark(at));
        let (w, n, a) = (mark(west), mark(north), mark(above));
        let sides = [west, north, above].iter().flatten().count() as u32;
        let same = (w.unsigned_abs() + n.unsigned_abs() + a.unsigned_abs()) * 4 / sides.max(1);
        let near = &template.near;
        let first = middle(at, near[0]);
        let (mut mean, mut lean) = (0.0, 0);
        for &(low, high) in near {
            mean += middle(at, (low, high));
            lean += work.mark(at.wrapping_add_signed(low)).signum() + work.mark(at.wrapping_add_signed(high)).signum();
        }
        mean /= near.len() as f64;
        let last = near[near.len() - 1];
        let axes = match west.or(north) {
            _ if near.len() > 1 => first - middle(at, last),
            Some(other) => work.value(other) - middle(other, near[0]),
            None => 0.0,
        };
        let beside = |value: f64| side(quantiser.quarters(value - prediction));
        let third = match west.or(north) {
            _ if near.len() > 1 => beside(middle(at, last)),
            Some(other) => beside(work.value(other)),
            None => 4,
        };
        let [low, high] = [near[0].0, near[0].1].map(|offset| beside(work.value(at.wrapping_add_signed(offset))));
        Around {
            sides: [low, high, third],
            same,
            near: seen.near,
            span: seen.span,
            other: quantiser.quarters(mean - prediction),
            axes: quantiser.quarters(axes),
            west: w,
            north: n,
            above: a,
            value: quantiser.quarters(prediction - self.origin).unsigned_abs(),
            lean,
            class: self.pass.class(),
        }
    }
}

/// What a batch knows of a point: magnitudes of its neighbours' indices, how far apart they lie, and whether a point
/// of the same row stands before.
#[derive(Clone, Copy)]
struct Seen {
    near: u32,
    span: u32,
    follows: bool,
}

/// The predictions of a piece whose points lie `stride` apart.
fn predict<T: Element>(
    known: &[T],
    template: &Template,
    quantiser: &Quantiser,
    (piece, stride): (&Piece, usize),
    out: &mut [f64],
) {
    out.fill(0.0);
    for &(offset, weight) in &template.taps {
        let first = piece.at.wrapping_add_signed(offset);
        for (slot, value) in out.iter_mut().zip(known[first..].iter().step_by(stride)) {
            *slot += value.to_f64() * weight;
        }
    }
    for slot in out {
        *slot = quantiser.settle(*slot);
    }
}
