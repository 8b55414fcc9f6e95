//! Decompressing a field, or a part of it, from its logarithms.

use super::power::restore;
use super::side::{Around, Side};
use crate::codec::decompress::decompress as decompress_field;
use crate::codec::lossless::field::{Averaged, Averages};
use crate::codec::output::Output;
use crate::codec::report::StageSeconds;
use crate::codec::request::{Request, Scale};
use crate::codec::tools::Tools;
use crate::error::{Error, Result};
use crate::field::{DType, Element, MAX_DIMS, Region, Shape, Specials, for_each_run, zeros};
use crate::stream::{Content, Logarithms, SIGNS_CHUNK, Stream};
use crate::window::Cut;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Decompresses what `request` names of a stream of logarithms into `out`, whose shape the caller has checked.
///
/// # Errors
/// `Corrupt`; `InvalidArgument` where there is no memory for the logarithms.
pub(in crate::codec) fn decompress<T: Element>(
    stream: &Stream<'_>,
    request: &Request,
    out: Output<'_, T>,
    tools: &Tools<'_>,
) -> Result<StageSeconds> {
    let Content::Logarithms(held) = &stream.header.content else {
        return Err(Error::internal("a stream without logarithms has none to decode"));
    };
    match held.field.dtype {
        DType::F32 => from_logarithms::<T, f32>(stream, held, request, out, tools),
        DType::F64 => from_logarithms::<T, f64>(stream, held, request, out, tools),
    }
}

fn from_logarithms<T: Element, L: Element>(
    stream: &Stream<'_>,
    held: &Logarithms,
    request: &Request,
    out: Output<'_, T>,
    tools: &Tools<'_>,
) -> Result<StageSeconds> {
    let shape = &stream.header.shape;
    let region = request.region.clone().unwrap_or_else(|| Region::whole(shape));
    let mut masked = Specials::new();
    for &bits in held.data_less() {
        masked.add(bits);
    }
    let axes = Cut::axes(shape, stream.header.axes)?;
    let averaged = Averaged { axes, factor: request.scale.factor(), masked: &masked };
    // Logarithms have no averages that are of use: values are averaged.
    let averages = Averages::new(shape, &region, averaged, out.strides);
    let reach = averages.reach();
    let whole = Shape::new(&reach.count)?;
    let mut logarithms = zeros::<L>(&whole)?.into_raw_vec_and_offset().0;
    let strides = whole.contiguous_strides();
    let full = Request { scale: Scale::Full, region: Some(reach.clone()) };
    let inner = stream.logarithms(held);
    let values = Output { values: &mut logarithms[..], strides };
    let mut stages = decompress_field(&inner, &full, None, values, tools)?;
    let begin = Instant::now();
    let part = Part { stream, held, reach: &reach, logarithms: &logarithms, strides, out: out.strides };
    match request.scale {
        Scale::Full => part.put(out.values, tools)?,
        _ => part.average(averages, out.values)?,
    }
    stages.entropy += begin.elapsed().as_secs_f64();
    Ok(stages)
}

/// A box of a field, and its logarithms in C order.
struct Part<'a, L> {
    stream: &'a Stream<'a>,
    held: &'a Logarithms,
    reach: &'a Region,
    logarithms: &'a [L],
    strides: [usize; MAX_DIMS],
    /// Strides of the output.
    out: [usize; MAX_DIMS],
}

/// A run of the box's values along the last axis.
struct Run {
    /// Its first value in the field, in the box, and in the output.
    index: usize,
    place: usize,
    target: usize,
    count: usize,
}

impl<L: Element> Part<'_, L> {
    fn chunks(&self) -> usize {
        self.stream.header.shape.len().div_ceil(SIGNS_CHUNK)
    }

    /// What the box has of a chunk.
    fn runs(&self, from: usize, until: usize) -> Vec<Run> {
        let shape = &self.stream.header.shape;
        let (dims, Region { start, count: counts }) = (shape.dims(), self.reach);
        let last = dims.len() - 1;
        let mut runs = Vec::new();
        for_each_run(shape, &shape.contiguous_strides(), from, until, |index, _, count, _| {
            let (mut rest, mut place, mut target) = (index / dims[last], 0, 0);
            for axis in (0..last).rev() {
                let at = rest % dims[axis];
                rest /= dims[axis];
                if at < start[axis] || at >= start[axis] + counts[axis] {
                    return;
                }
                place += (at - start[axis]) * self.strides[axis];
                target += (at - start[axis]) * self.out[axis];
            }
            let column = index % dims[last];
            let (first, end) = (column.max(start[last]), (column + count).min(start[last] + counts[last]));
            if first < end {
                let along = first - start[last];
                runs.push(Run {
                    index: index + (first - column),
                    place: place + along,
                    target: target + along * self.out[last],
                    count: end - first,
                });
            }
        });
        runs
    }

    /// The runs of a chunk, and their values one after another; nothing is decoded where the box has none of it.
    fn values<T: Element>(&self, chunk: usize) -> Result<(Vec<Run>, Vec<T>)> {
        let (from, len) = (chunk * SIGNS_CHUNK, self.stream.header.shape.len());
        let until = len.min(from + SIGNS_CHUNK);
        let runs = self.runs(from, until);
        if runs.is_empty() {
            return Ok((runs, Vec::new()));
        }
        let around = Around::of(&self.stream.header.shape);
        let side = Side::read::<T>(self.stream.section(chunk)?, until - from, &around)?;
        let mut values = vec![T::from_f64(0.0); runs.iter().map(|run| run.count).sum()];
        let mut rest = &mut values[..];
        for run in &runs {
            let (own, others) = rest.split_at_mut(run.count);
            let first = run.index - from;
            let logarithms = &self.logarithms[run.place..][..run.count];
            restore(logarithms, &side.signs[first..first + run.count], &self.held.patterns, own)?;
            side.put_kept(first, own);
            rest = others;
        }
        Ok((runs, values))
    }

    /// Puts the box's values in place.
    fn put<T: Element>(&self, out: &mut [T], tools: &Tools<'_>) -> Result<()> {
        let out = Mutex::new(out);
        let stride = self.out[self.stream.header.shape.ndim() - 1];
        tools
            .map(0..self.chunks(), |chunk| {
                let (runs, values) = self.values::<T>(chunk)?;
                let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
                let mut rest = &values[..];
                for run in runs {
                    let (own, others) = rest.split_at(run.count);
                    if stride == 1 {
                        out[run.target..][..run.count].copy_from_slice(own);
                    } else {
                        own.iter().enumerate().for_each(|(k, value)| out[run.target + k * stride] = *value);
                    }
                    rest = others;
                }
                Ok(())
            })
            .map(drop)
    }

    /// Puts averages of the box's values in place, which are summed in the field's order.
    fn average<T: Element>(&self, mut averages: Averages<'_, T>, out: &mut [T]) -> Result<()> {
        for chunk in 0..self.chunks() {
            let (runs, values) = self.values::<T>(chunk)?;
            let indices = runs.iter().flat_map(|run| run.index..run.index + run.count);
            indices.zip(&values).for_each(|(index, value)| averages.add(index, *value));
        }
        averages.put(out);
        Ok(())
    }
}
