//! Lossless streams: the field in C order, in runs of [`LOSSLESS_CHUNK`] values, or of [`REPEATS_CHUNK`] where values
//! repeat.

use super::outlook::{gather, near};
use super::repeats::Repeats;
use super::{chunk, repeats};
use crate::codec::output::Output;
use crate::codec::tools::Tools;
use crate::error::{Error, Result};
use crate::field::{Element, FieldView, MAX_DIMS, Region, Shape, Specials, for_each_run};
use crate::stream::{Content, LOSSLESS_CHUNK, REPEATS_CHUNK, Stream};
use std::collections::HashMap;

/// How values are averaged at reduced scales.
#[derive(Clone, Copy)]
pub(crate) struct Averaged<'a> {
    /// The axes of frames, planes, rows and columns, of which all but the first are reduced.
    pub(crate) axes: [Option<usize>; 4],
    /// By how much.
    pub(crate) factor: usize,
    /// What marks points without data, beside values that are not finite.
    pub(crate) masked: &'a Specials,
}

/// The points of a box, averaged over blocks of planes, rows and columns: over those with data, or else as the first.
pub(crate) struct Averages<'a, T> {
    shape: Shape,
    averaged: Averaged<'a>,
    /// By how much each axis is reduced, and the first of its scaled points that is wanted and the end of those.
    factors: Vec<usize>,
    scaled: Vec<(usize, usize)>,
    /// Strides of the output.
    strides: [usize; MAX_DIMS],
    /// Sums, counts and first points of the scaled points.
    sums: HashMap<usize, (f64, usize, T)>,
}

impl<'a, T: Element> Averages<'a, T> {
    /// None yet, of a box of a field.
    pub(crate) fn new(shape: &Shape, region: &Region, averaged: Averaged<'a>, strides: [usize; MAX_DIMS]) -> Self {
        let factor = |axis| if averaged.axes[1..].contains(&Some(axis)) { averaged.factor } else { 1 };
        let factors: Vec<usize> = (0..shape.ndim()).map(factor).collect();
        let bounds = |axis: usize| {
            let (first, f) = (region.start[axis], factors[axis]);
            (first / f, (first + region.count[axis]).div_ceil(f))
        };
        let scaled = (0..shape.ndim()).map(bounds).collect();
        Self { shape: *shape, averaged, factors, scaled, strides, sums: HashMap::new() }
    }

    /// The points that the averages are made of: they reach to the ends of their blocks.
    pub(crate) fn reach(&self) -> Region {
        let from = |axis: usize| self.scaled[axis].0 * self.factors[axis];
        let until = |axis: usize| (self.scaled[axis].1 * self.factors[axis]).min(self.shape.dims()[axis]);
        let axes = 0..self.shape.ndim();
        Region { start: axes.clone().map(from).collect(), count: axes.map(|axis| until(axis) - from(axis)).collect() }
    }

    /// Where the point of this C-order index goes; `None` where it is not wanted.
    fn target(&self, index: usize) -> Option<usize> {
        let (mut rest, mut target) = (index, 0);
        for axis in (0..self.shape.ndim()).rev() {
            let at = rest % self.shape.dims()[axis] / self.factors[axis];
            rest /= self.shape.dims()[axis];
            let (from, until) = self.scaled[axis];
            if at < from || at >= until {
                return None;
            }
            target += (at - from) * self.strides[axis];
        }
        Some(target)
    }

    /// Adds the point of this C-order index, if it is wanted.
    pub(crate) fn add(&mut self, index: usize, value: T) {
        let Some(target) = self.target(index) else { return };
        let slot = self.sums.entry(target).or_insert((0.0, 0, value));
        if value.to_f64().is_finite() && self.averaged.masked.class_of(value.to_bits_u64()).is_none() {
            slot.0 += value.to_f64();
            slot.1 += 1;
        }
    }

    /// Puts the averages in place.
    pub(crate) fn put(self, out: &mut [T]) {
        for (target, (sum, count, first)) in self.sums {
            out[target] = if count > 0 { T::from_f64(sum / count as f64) } else { first };
        }
    }
}

/// Decodes the part of a lossless stream that lies in `region`, averaged over blocks of planes, rows and columns.
///
/// # Errors
/// `Corrupt`.
pub(crate) fn decompress<T: Element>(
    stream: &Stream<'_>,
    region: &Region,
    averaged: Averaged<'_>,
    out: Output<'_, T>,
) -> Result<()> {
    let shape = &stream.header.shape;
    let total = shape.len();
    let strides = shape.contiguous_strides();
    let mut averages = Averages::new(shape, region, averaged, out.strides);
    let size = if matches!(stream.header.content, Content::Repeats(_)) { REPEATS_CHUNK } else { LOSSLESS_CHUNK };
    let mut chunk = vec![T::from_bits_u64(0); size.min(total)];
    // C-order indices of the first and the last point wanted; chunks outside are not decoded.
    let reach = averages.reach();
    let (first, last) = (0..shape.ndim()).fold((0, 0), |(first, last), axis| {
        let (start, count) = (reach.start[axis], reach.count[axis]);
        (first + start * strides[axis], last + (start + count - 1) * strides[axis])
    });
    let raw = match stream.header.content {
        Content::Raw(_) => Some(stored_raw::<T>(stream, total)?),
        _ => None,
    };
    for k in 0..total.div_ceil(size) {
        let (from, until) = (k * size, total.min((k + 1) * size));
        if until <= first || from > last {
            continue;
        }
        let chunk = &mut chunk[..until - from];
        match raw {
            Some(bytes) => copy_raw(&bytes[from * T::DTYPE.size()..], chunk),
            None if size == REPEATS_CHUNK => repeats::decode(stream.section(k)?, chunk)?,
            None => chunk::decode(stream.section(k)?, chunk)?,
        }
        for (index, &value) in (from..until).zip(chunk.iter()) {
            if averaged.factor > 1 {
                averages.add(index, value);
            } else if let Some(target) = averages.target(index) {
                out.values[target] = value;
            }
        }
    }
    averages.put(out.values);
    Ok(())
}

/// The bytes of a raw stream's only section, which must be as many as its values have.
fn stored_raw<'a, T: Element>(stream: &Stream<'a>, total: usize) -> Result<&'a [u8]> {
    let bytes = stream.section(0)?;
    if bytes.len() != total * T::DTYPE.size() {
        let wanted = total * T::DTYPE.size();
        return Err(Error::corrupt(format!("a raw field of {wanted} bytes has a section of {}", bytes.len())));
    }
    Ok(bytes)
}

/// Values from their little-endian bits.
fn copy_raw<T: Element>(bytes: &[u8], out: &mut [T]) {
    for (slot, bits) in out.iter_mut().zip(bytes.chunks_exact(T::DTYPE.size())) {
        let mut wide = [0; 8];
        wide[..bits.len()].copy_from_slice(bits);
        *slot = T::from_bits_u64(u64::from_le_bytes(wide));
    }
}

/// The section of a raw stream.
pub(crate) fn raw_section<T: Element>(field: &FieldView<'_>, values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.byte_len());
    for_each_run(field.shape(), &field.strides, 0, field.shape().len(), |_, start, count, stride| {
        for i in 0..count {
            let bits = values[start + i * stride].to_bits_u64();
            bytes.extend_from_slice(&bits.to_le_bytes()[..T::DTYPE.size()]);
        }
    });
    bytes
}

/// The sections of a lossless stream.
///
/// # Errors
/// `Internal` where the check of the own output fails.
pub(crate) fn lossless_sections<T: Element>(
    field: &FieldView<'_>,
    values: &[T],
    tools: &Tools<'_>,
) -> Result<Vec<Vec<u8>>> {
    sections(field, values, tools, LOSSLESS_CHUNK, chunk::encode, chunk::decode)
}

/// The sections of a lossless stream of values that repeat.
///
/// # Errors
/// As [`lossless_sections`].
pub(crate) fn repeats_sections<T: Element>(
    field: &FieldView<'_>,
    values: &[T],
    tools: &Tools<'_>,
) -> Result<Vec<Vec<u8>>> {
    let near = near(field.shape().dims());
    let encode = move |run: &[T]| repeats::encode(run, &Repeats::find(run, near, 1));
    sections(field, values, tools, REPEATS_CHUNK, encode, repeats::decode)
}

/// Sections of `size` values of C order each, each compared with the original once it is decoded.
fn sections<T: Element>(
    field: &FieldView<'_>,
    values: &[T],
    tools: &Tools<'_>,
    size: usize,
    encode: impl Fn(&[T]) -> Vec<u8> + Sync + Send,
    decode: fn(&[u8], &mut [T]) -> Result<()>,
) -> Result<Vec<Vec<u8>>> {
    let total = field.shape().len();
    tools.map(0..total.div_ceil(size), |k| {
        let mut run = Vec::new();
        gather(field, values, k * size, total.min((k + 1) * size), &mut run);
        let bytes = encode(&run);
        let mut again = vec![T::from_bits_u64(0); run.len()];
        decode(&bytes, &mut again)?;
        if run.iter().zip(&again).any(|(a, b)| a.to_bits_u64() != b.to_bits_u64()) {
            return Err(Error::internal("the check of the own lossless output failed"));
        }
        Ok(bytes)
    })
}
