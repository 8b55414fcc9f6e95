//! Prediction by levels: each pass is predicted from the points known before it, a batch at a time.

use super::fit;
use super::indices::{Around, Model, Symbol, scale, side};
use super::levels::{AXES, INNER, Pass, passes};
use super::quantise::Quantiser;
use super::section::Parameters;
use super::taps::{Taps, Template};
use super::work::{BATCH, Done, Flags, Work, quarters};
use crate::entropy::BitCoder;
use crate::error::{Error, Result};
use crate::field::Element;

/// Points of a row that share a template.
#[derive(Clone, Copy, Debug)]
struct Piece {
    at: usize,
    len: usize,
    template: usize,
    /// Whether a point of the same row stands before.
    follows: bool,
}

/// Buffers of a batch.
#[derive(Default)]
struct Batch {
    pieces: Vec<Piece>,
    points: usize,
    predictions: Vec<f64>,
    symbols: Vec<Symbol>,
    near: Vec<u32>,
    span: Vec<u32>,
}

/// Codes a whole field by levels.
pub(super) fn code<T: Element, C: BitCoder, const MIXING: bool>(
    coder: &mut C,
    model: &mut Model,
    work: &mut Work<'_, T>,
    parameters: &Parameters,
    frozen: u8,
    bound: f64,
) -> Done {
    let grid = work.grid;
    for pass in passes(&grid, frozen & grid.axes()) {
        let bin = parameters.bin_at(pass.level);
        let limit = if parameters.lattice { bound } else { bound.min(bin) };
        let quantiser = Quantiser::new(bin, limit, parameters.range, parameters.lattice.then_some(parameters.origin));
        if pass.odd == 0 {
            anchors::<T, C, MIXING>(coder, model, work, &pass, &quantiser, parameters.origin)?;
            continue;
        }
        let mut taps = Taps::new(&grid, &pass);
        weigh(coder, model, work, &mut taps, &pass, &quantiser)?;
        code_pass::<T, C, MIXING>(coder, model, work, &mut taps, &pass, &quantiser, parameters.origin)?;
    }
    Ok(())
}

/// Chooses a pass's weights when encoding, and codes them.
fn weigh<T: Element, C: BitCoder>(
    coder: &mut C,
    model: &mut Model,
    work: &Work<'_, T>,
    taps: &mut Taps<'_>,
    pass: &Pass,
    quantiser: &Quantiser,
) -> Result<()> {
    let (mut kind, mut weights) = (0, Vec::new());
    if C::ENCODES {
        (kind, weights) = fit::choose(taps, &work.grid, pass, work.source, work.known, work.mask, quantiser);
    }
    let kinds = fit::kinds(taps);
    let class = usize::from(taps.odd_axes() > 1);
    kind = model.number(coder, kind as i32, class)? as usize;
    if kind < kinds {
        weights = fit::fixed(taps, kind);
    } else if kind == kinds {
        let start = taps.interpolation(true);
        weights.resize(start.len(), 0);
        for (k, (weight, start)) in weights.iter_mut().zip(start).enumerate() {
            *weight = start + model.number(coder, *weight - start, 2 + k.min(13))?;
        }
    } else {
        return Err(Error::corrupt(format!("a pass is predicted in way {kind}, of {kinds}")));
    }
    taps.set(&weights);
    Ok(())
}

fn code_pass<T: Element, C: BitCoder, const MIXING: bool>(
    coder: &mut C,
    model: &mut Model,
    work: &mut Work<'_, T>,
    taps: &mut Taps<'_>,
    pass: &Pass,
    quantiser: &Quantiser,
    origin: f64,
) -> Result<()> {
    let mut batch = Batch::default();
    let mut flags = Flags::new();
    let (n, stride) = (pass.count[INNER], pass.stride[INNER]);
    for row in 0..pass.rows() {
        let mut at = pass.row(row);
        let start = at[INNER];
        let first: usize = (0..AXES).map(|axis| at[axis] * work.grid.strides[axis]).sum();
        let mut k = 0;
        while k < n {
            at[INNER] = start + k * stride;
            let template = taps.template(&at);
            let until = taps.same_until(k).min(k + BATCH - batch.points);
            batch.pieces.push(Piece { at: first + k * stride, len: until - k, template, follows: k > 0 });
            batch.points += until - k;
            k = until;
            if batch.points == BATCH {
                code_batch::<T, C, MIXING>(coder, model, work, taps, pass, quantiser, origin, &mut batch, &mut flags)?;
            }
        }
    }
    if batch.points > 0 {
        code_batch::<T, C, MIXING>(coder, model, work, taps, pass, quantiser, origin, &mut batch, &mut flags)?;
    }
    Ok(())
}

fn predict<T: Element>(
    known: &[T],
    template: &Template,
    quantiser: &Quantiser,
    piece: &Piece,
    stride: usize,
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

/// Magnitudes of neighbours' indices, and how far apart the neighbours lie.
fn look<T: Element>(
    work: &Work<'_, T>,
    taps: &Taps<'_>,
    quantiser: &Quantiser,
    batch: &mut Batch,
    stride: usize,
) -> (usize, usize) {
    batch.near.clear();
    batch.span.clear();
    let (mut busy, mut widest) = (0, 0);
    for piece in &batch.pieces {
        let near = &taps.get(piece.template).near;
        for k in 0..piece.len {
            let at = piece.at + k * stride;
            let (mut sum, mut span) = (0, 0.0f64);
            for &(low, high) in near {
                let (low, high) = (at.wrapping_add_signed(low), at.wrapping_add_signed(high));
                sum += work.mark(low).unsigned_abs() + work.mark(high).unsigned_abs();
                span = span.max((work.known[high].to_f64() - work.known[low].to_f64()).abs());
            }
            let span = quarters(quantiser, span).unsigned_abs();
            busy += u32::from(sum > 0);
            widest = widest.max(span);
            batch.near.push(sum * 2 / near.len() as u32);
            batch.span.push(span);
        }
    }
    (scale(busy), scale(widest))
}

fn code_batch<T: Element, C: BitCoder, const MIXING: bool>(
    coder: &mut C,
    model: &mut Model,
    work: &mut Work<'_, T>,
    taps: &Taps<'_>,
    pass: &Pass,
    quantiser: &Quantiser,
    origin: f64,
    batch: &mut Batch,
    flags: &mut Flags,
) -> Result<()> {
    let stride = pass.stride[INNER];
    let (busy, widest) = look(work, taps, quantiser, batch, stride);
    batch.predictions.clear();
    batch.predictions.resize(batch.points, 0.0);
    batch.symbols.clear();
    batch.symbols.resize(batch.points, Symbol::Index(0));
    let mut any = false;
    if C::ENCODES {
        let mut i = 0;
        for piece in &batch.pieces {
            let out = &mut batch.predictions[i..i + piece.len];
            predict(work.known, taps.get(piece.template), quantiser, piece, stride, out);
            for (k, &prediction) in out.iter().enumerate() {
                let symbol = work.quantise(quantiser, piece.at + k * stride, prediction);
                any |= symbol != Symbol::Index(0);
                batch.symbols[i + k] = symbol;
            }
            i += piece.len;
        }
    }
    any = flags.code(model, coder, any, busy.div_ceil(2), widest / 2, pass.level.min(7) as usize);
    let mut i = 0;
    for piece in &batch.pieces {
        let template = taps.get(piece.template);
        if !C::ENCODES {
            let out = &mut batch.predictions[i..i + piece.len];
            predict(work.known, template, quantiser, piece, stride, out);
        }
        for k in 0..piece.len {
            let at = piece.at + k * stride;
            let prediction = batch.predictions[i + k];
            if !any || work.is_masked(at) {
                if !C::ENCODES {
                    work.known[at] = T::from_f64(prediction);
                }
                continue;
            }
            let follows = piece.follows || k > 0;
            let seen = (batch.near[i + k], batch.span[i + k]);
            let around = around(work, template, quantiser, pass, at, prediction, follows, seen, origin);
            let symbol = model.code::<C, MIXING>(coder, batch.symbols[i + k], &around)?;
            work.keep(coder, symbol, quantiser, at, prediction);
        }
        i += piece.len;
    }
    batch.pieces.clear();
    batch.points = 0;
    Ok(())
}

#[inline(always)]
fn around<T: Element>(
    work: &Work<'_, T>,
    template: &Template,
    quantiser: &Quantiser,
    pass: &Pass,
    at: usize,
    prediction: f64,
    follows: bool,
    seen: (u32, u32),
    origin: f64,
) -> Around {
    let stride = pass.stride[INNER];
    let middle = |at: usize, pair: (isize, isize)| {
        let (low, high) = (at.wrapping_add_signed(pair.0), at.wrapping_add_signed(pair.1));
        (work.known[low].to_f64() + work.known[high].to_f64()) * 0.5
    };
    let behind = |k: usize| template.behind.get(k).map(|&offset| at.wrapping_add_signed(offset));
    let west = follows.then(|| at - stride);
    let mark = |at: Option<usize>| at.map_or(0, |at| work.mark(at));
    let (w, n, a) = (mark(west), mark(behind(0)), mark(behind(1)));
    let sides = [west, behind(0), behind(1)].iter().flatten().count() as u32;
    let same = (w.unsigned_abs() + n.unsigned_abs() + a.unsigned_abs()) * 4 / sides.max(1);
    let near = &template.near;
    let first = middle(at, near[0]);
    let (mut mean, mut lean) = (0.0, 0);
    for &(low, high) in near {
        mean += middle(at, (low, high));
        lean += work.mark(at.wrapping_add_signed(low)).signum() + work.mark(at.wrapping_add_signed(high)).signum();
    }
    mean /= near.len() as f64;
    let axes = if near.len() > 1 {
        first - middle(at, near[near.len() - 1])
    } else {
        match west.or(behind(0)) {
            Some(other) => work.known[other].to_f64() - middle(other, near[0]),
            None => 0.0,
        }
    };
    let beside = |at: usize| side(quarters(quantiser, work.known[at].to_f64() - prediction));
    let pair = near[near.len() - 1];
    let third = match (near.len(), west.or(behind(0))) {
        (1, Some(west)) => beside(west),
        (1, None) => 4,
        _ => side(quarters(quantiser, middle(at, pair) - prediction)),
    };
    Around {
        sides: [beside(at.wrapping_add_signed(near[0].0)), beside(at.wrapping_add_signed(near[0].1)), third],
        same,
        near: seen.0,
        span: seen.1,
        other: quarters(quantiser, mean - prediction),
        axes: quarters(quantiser, axes),
        west: w,
        north: n,
        above: a,
        value: quarters(quantiser, prediction - origin).unsigned_abs(),
        lean,
        class: pass.class(),
    }
}

/// Codes the anchors: each predicted from the one before along the innermost axis that has one.
fn anchors<T: Element, C: BitCoder, const MIXING: bool>(
    coder: &mut C,
    model: &mut Model,
    work: &mut Work<'_, T>,
    pass: &Pass,
    quantiser: &Quantiser,
    origin: f64,
) -> Result<()> {
    for row in 0..pass.rows() {
        let mut coordinates = pass.row(row);
        for k in 0..pass.count[INNER] {
            coordinates[INNER] = k;
            let strides = &work.grid.strides;
            let at: usize = (0..AXES).map(|axis| coordinates[axis] * strides[axis]).sum();
            let before = (0..AXES).rev().find(|&axis| coordinates[axis] > 0).map(|axis| at - strides[axis]);
            let prediction = quantiser.settle(before.map_or(origin, |before| work.known[before].to_f64()));
            let west = before.map_or(0, |before| work.mark(before));
            let around = Around {
                same: 4 * west.unsigned_abs(),
                near: 0,
                west,
                sides: [4; 3],
                class: pass.class(),
                ..Around::default()
            };
            let symbol = if C::ENCODES { work.quantise(quantiser, at, prediction) } else { Symbol::Index(0) };
            if work.is_masked(at) {
                work.known[at] = T::from_f64(prediction);
                continue;
            }
            let symbol = model.code::<C, MIXING>(coder, symbol, &around)?;
            work.keep(coder, symbol, quantiser, at, prediction);
        }
    }
    Ok(())
}
