//! Compressing a field by its logarithms.

use super::first_nan;
use super::power::{LogScale, holds, restore};
use super::side::{Around, Side};
use crate::bound::Bound;
use crate::bound::check::Errors;
use crate::codec::axes;
use crate::codec::compress::{Beside, Compressed, compress as compress_field};
use crate::codec::decompress::decompress as decompress_field;
use crate::codec::lossless::outlook::gather;
use crate::codec::output::Output;
use crate::codec::request::Request;
use crate::codec::tools::Tools;
use crate::error::{Error, Result};
use crate::field::{Axes, DType, Element, FieldStats, FieldView, Specials, zeros};
use crate::options::{FmMode, Options, Sentinels};
use crate::stream::{Content, Header, Logarithms, SIGNS_CHUNK, Stream, assemble};
use std::sync::Mutex;
use std::time::Instant;

/// Compresses a field under a bound relative at each point, by its logarithms; with the axes that those were given.
/// `None` where the rounding of logarithms leaves nothing of the bound, or there is nothing to take a logarithm of.
///
/// # Errors
/// As compressing.
pub(in crate::codec) fn compress<T: Element>(
    field: &FieldView<'_>,
    values: &[T],
    stats: &FieldStats,
    epsilon: f64,
    tools: &Tools<'_>,
) -> Result<Option<(Compressed, Option<Axes>)>> {
    let _span = tracing::debug_span!("logarithms").entered();
    let Some(specials) = &stats.specials else { return Ok(None) };
    // Zeros have no logarithm.
    let mut patterns = specials.clone();
    let has_room = [0.0, -0.0].iter().all(|&zero| patterns.add(T::from_f64(zero).to_bits_u64()));
    if !has_room || stats.uniform.is_some() {
        return Ok(None);
    }
    let source = Source { field, values, stats, patterns, epsilon, tools };
    let Some(extent) = source.extent()? else { return Ok(None) };
    let Some(scale) = LogScale::new::<T>(epsilon, extent) else { return Ok(None) };
    match scale.dtype {
        DType::F32 => source.compress::<f32>(scale),
        DType::F64 => source.compress::<f64>(scale),
    }
    .map(Some)
}

/// What is compressed.
struct Source<'a, T> {
    field: &'a FieldView<'a>,
    values: &'a [T],
    stats: &'a FieldStats,
    /// Patterns without a logarithm: of points without data, and zeros.
    patterns: Specials,
    epsilon: f64,
    tools: &'a Tools<'a>,
}

impl<T: Element> Source<'_, T> {
    fn len(&self) -> usize {
        self.field.shape().len()
    }

    /// `f` of every run of [`SIGNS_CHUNK`] values: its first index, and its values.
    fn map<O: Send>(&self, f: impl Fn(usize, &[T]) -> Result<O> + Sync + Send) -> Result<Vec<O>> {
        self.tools.map(0..self.len().div_ceil(SIGNS_CHUNK), |k| {
            let (from, until) = (k * SIGNS_CHUNK, self.len().min((k + 1) * SIGNS_CHUNK));
            let mut run = Vec::with_capacity(until - from);
            gather(self.field, self.values, from, until, &mut run);
            f(from, &run)
        })
    }

    /// The smallest and the largest magnitude that has a logarithm.
    fn extent(&self) -> Result<Option<(f64, f64)>> {
        let extents = self.map(|_, run| {
            let sizes = run.iter().filter(|value| self.patterns.class_of(value.to_bits_u64()).is_none());
            Ok(sizes
                .map(|value| value.to_f64().abs())
                .fold((f64::INFINITY, 0.0), |(least, most): (f64, f64), size| (least.min(size), most.max(size))))
        })?;
        let extent = extents.into_iter().fold((f64::INFINITY, 0.0), |a: (f64, f64), b| (a.0.min(b.0), a.1.max(b.1)));
        Ok(Some(extent).filter(|extent| extent.0 <= extent.1))
    }

    /// The logarithms, in C order.
    fn logarithms<L: Element>(&self, scale: LogScale) -> Result<Vec<L>> {
        let mut out = zeros::<L>(self.field.shape())?.into_raw_vec_and_offset().0;
        let parts: Vec<Mutex<&mut [L]>> = out.chunks_mut(SIGNS_CHUNK).map(Mutex::new).collect();
        self.map(|from, run| {
            let mut part = parts[from / SIGNS_CHUNK].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for (slot, value) in part.iter_mut().zip(run) {
                *slot = match self.patterns.class_of(value.to_bits_u64()) {
                    Some(class) => L::from_bits_u64(first_nan::<L>() + u64::from(class - 1)),
                    None => L::from_f64(scale.logarithm(value.to_f64())),
                };
            }
            Ok(())
        })?;
        drop(parts);
        Ok(out)
    }

    fn compress<L: Element>(&self, scale: LogScale) -> Result<(Compressed, Option<Axes>)> {
        let begin = Instant::now();
        let mut logarithms = self.logarithms::<L>(scale)?;
        let seconds = begin.elapsed().as_secs_f64();
        let mut done = self.compress_logarithms(&logarithms, scale)?;
        done.stages.field += seconds;
        let begin = Instant::now();
        let stream = Stream::parse(&done.bytes)?;
        self.decode_logarithms(&stream, &mut logarithms)?;
        let (sections, errors): (Vec<_>, Vec<_>) =
            self.map(|from, run| self.section(run, &logarithms[from..from + run.len()]))?.into_iter().unzip();
        let mut sum = self.no_errors();
        errors.iter().for_each(|errors| sum.merge(errors));
        let axes = stream.header.axes;
        let range = self.tools.options.range.unwrap_or(self.stats.range());
        let range = if range.is_finite() { range } else { 0.0 };
        let header = Header {
            dtype: T::DTYPE,
            shape: *self.field.shape(),
            axes,
            bound: Bound::PwRel(self.epsilon),
            nrmse: if range > 0.0 { sum.nrmse(range) } else { 0.0 },
            max_abs_error: sum.largest,
            range,
            content: Content::Logarithms(Box::new(Logarithms {
                patterns: self.patterns.clone(),
                without_data: self.stats.specials.as_ref().map_or(0, |specials| specials.patterns().len()) as u8,
                field: stream.header.clone(),
            })),
        };
        let own = (0..stream.len()).map(|k| stream.untested(k).to_vec());
        let sections: Vec<Vec<u8>> = sections.into_iter().chain(own).collect();
        done.stages.check += begin.elapsed().as_secs_f64();
        let stages = done.stages;
        let bytes = assemble(&header, &sections);
        let sentinels = self.stats.sentinels.clone();
        Ok((Compressed { bytes, drift: 0.0, sentinels, mean_error: sum.mean(), stages }, axes))
    }

    /// The stream of the logarithms.
    fn compress_logarithms<L: Element>(&self, logarithms: &[L], scale: LogScale) -> Result<Compressed> {
        let field = FieldView::new(logarithms, self.field.shape().dims())?;
        // The model's floats differ between devices, and the bound has no room for that.
        let (fm, fill_value, sentinels) = (FmMode::Off, None, Sentinels::Off);
        let options = Options { fm, fill_value, sentinels, range: None, ..self.tools.options.clone() };
        let stats = FieldStats::of(&field, None, &options.sentinels);
        let tools = Tools { options: &options, package: None, ..*self.tools };
        let bound = Bound::Abs(scale.bound);
        let axes = match options.axes {
            Some(axes) => Some(axes),
            None => axes::choose(&field, &stats, bound, &tools)?,
        };
        let options = Options { axes, ..options.clone() };
        let tools = Tools { options: &options, ..tools };
        compress_field(&field, logarithms, stats, bound, Beside::default(), &tools)
    }

    fn decode_logarithms<L: Element>(&self, stream: &Stream<'_>, out: &mut [L]) -> Result<()> {
        let strides = self.field.shape().contiguous_strides();
        let tools = Tools { package: None, ..*self.tools };
        decompress_field(stream, &Request::default(), None, Output { values: out, strides }, &tools).map(drop)
    }

    fn no_errors(&self) -> Errors {
        let range = self.stats.range();
        let exponent = if range.is_finite() && range > 0.0 { libm::ilogb(range).clamp(-1020, 1020) } else { 1020 };
        Errors::new(libm::ldexp(1.0, exponent))
    }

    /// The section beside a run of values whose logarithms decode to these, and the errors of what decodes to.
    ///
    /// # Errors
    /// `Internal` where the check of the own output fails.
    fn section<L: Element>(&self, run: &[T], logarithms: &[L]) -> Result<(Vec<u8>, Errors)> {
        let around = Around::of(self.field.shape());
        let mut side = Side { signs: Vec::with_capacity(run.len()), kept: Vec::new() };
        let mut before = 0;
        for value in run {
            // Where there is no sign, the one before is the cheapest.
            if self.patterns.class_of(value.to_bits_u64()).is_none() {
                before = u8::from(value.to_f64() < 0.0);
            }
            side.signs.push(before);
        }
        let mut decoded = run.to_vec();
        restore(logarithms, &side.signs, &self.patterns, &mut decoded)?;
        let misses = run.iter().zip(&decoded).enumerate().filter(|(_, (a, b))| !holds(**a, **b, self.epsilon));
        side.kept = misses.map(|(place, (original, _))| (place, original.to_bits_u64())).collect();
        let bytes = side.write::<T>(&around);
        let again = Side::read::<T>(&bytes, run.len(), &around)?;
        restore(logarithms, &again.signs, &self.patterns, &mut decoded)?;
        again.put_kept(0, &mut decoded);
        if run.iter().zip(&decoded).any(|(a, b)| !holds(*a, *b, self.epsilon)) {
            return Err(Error::internal("the check of the own output by logarithms failed"));
        }
        let none = Specials::new();
        let mut errors = self.no_errors();
        let specials = self.stats.specials.as_ref().unwrap_or(&none);
        errors.add(run, &decoded, [1, 1, run.len()], specials, false)?;
        Ok((bytes, errors))
    }
}
