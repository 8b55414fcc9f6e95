//! Decompressing a stream, or a part of it, and inspecting one.

use super::before::Reference;
use super::decoder::{DecodedWindow, Shared, decode};
use super::progress::Progress;
use super::report::{SectionBytes, StageSeconds, StreamInfo};
use super::segment::Buffers;
use super::{Request, Tools, flat, predicted};
use crate::error::{Error, Result};
use crate::field::{Element, Region};
use crate::stream::{Content, SegmentBytes, Stream};
use crate::window::{Cut, Segment, scatter};
use std::sync::Mutex;

/// An output array in the caller's memory.
pub(crate) struct Output<'a, T> {
    pub(crate) values: &'a mut [T],
    pub(crate) strides: [usize; crate::field::MAX_DIMS],
}

/// Decompresses what `request` names into `out`, whose shape the caller has checked.
pub(crate) fn decompress<T: Element>(
    stream: &Stream<'_>,
    request: &Request,
    reference: Option<&Reference>,
    out: Output<'_, T>,
    tools: &Tools<'_>,
) -> Result<StageSeconds> {
    let header = &stream.header;
    let region = request.region.clone().unwrap_or_else(|| Region::whole(&header.shape));
    let cut_axes = Cut::axes(&header.shape, header.axes)?;
    let factor = request.scale.factor();
    match &header.content {
        Content::Constant(bits) => {
            let value = T::from_bits_u64(*bits);
            let dims = request.scaled(&header.shape, header.axes)?;
            let shape = crate::field::Shape::new(&dims)?;
            flat::for_each_run(&shape, &out.strides, 0, shape.len(), |_, start, count, stride| {
                for i in 0..count {
                    out.values[start + i * stride] = value;
                }
            });
            Ok(StageSeconds::default())
        }
        Content::Lossless | Content::Raw | Content::Predicted(_) => {
            let begin = std::time::Instant::now();
            flat::decompress(stream, &region, factor, cut_axes, tools.options.fill_value, out)?;
            Ok(StageSeconds { entropy: begin.elapsed().as_secs_f64(), ..Default::default() })
        }
        Content::Segments { normalisation, specials, double, follows, segment, model } => {
            match (follows, reference) {
                (Some(_), None) => {
                    return Err(Error::invalid(
                        "the stream follows another in time: it needs the last frame decoded from that one",
                    ));
                }
                (Some(name), Some(reference)) => reference.check(*name)?,
                _ => {}
            }
            if model.is_some() && tools.package.is_none() {
                return Err(Error::internal("a stream's model was not opened"));
            }
            let progress = Progress::new(region.count.iter().product());
            let shared = Shared {
                normalisation,
                specials,
                bound: header.bound,
                range: header.range,
                package: tools.package,
                reference: reference.filter(|_| follows.is_some()),
                progress: Some(&progress),
                memo: None,
            };
            let cut = Cut::new(&header.shape, header.axes, *segment).map_err(|e| Error::corrupt(e.message()))?;
            let place = Place { cut: &cut, region: &region, factor, strides: out.strides };
            let target = Mutex::new(out.values);
            let stages = tools.map(0..cut.segments.len(), |k| {
                let segment = &cut.segments[k];
                let mut stages = StageSeconds::default();
                let Some((from, until)) = cut.touched(segment, &region) else {
                    return Ok(stages);
                };
                let bytes = stream.section(k)?;
                let low = factor.trailing_zeros() as usize;
                let put = |window: DecodedWindow<'_, T>| {
                    let _span = tracing::debug_span!("put in place").entered();
                    place.put(segment, &window, &target);
                    Ok(())
                };
                if *double {
                    let buffers = &mut Buffers::default();
                    decode::<T, f64>(bytes, segment, shared, from, until, low, &mut stages, buffers, put)?;
                } else {
                    let buffers = &mut Buffers::default();
                    decode::<T, f32>(bytes, segment, shared, from, until, low, &mut stages, buffers, put)?;
                }
                Ok(stages)
            })?;
            let mut sum = StageSeconds::default();
            stages.iter().for_each(|s| sum.add(s));
            Ok(sum)
        }
    }
}

/// Where decoded windows go.
struct Place<'a> {
    cut: &'a Cut,
    region: &'a Region,
    factor: usize,
    strides: [usize; crate::field::MAX_DIMS],
}

impl Place<'_> {
    /// Copies what the region wants of a window.
    fn put<T: Element>(&self, segment: &Segment, window: &DecodedWindow<'_, T>, out: &Mutex<&mut [T]>) {
        let dims = [window.count, window.h, window.w];
        let factors = [1, self.factor, self.factor];
        let (mut from, mut size, mut strides) = ([0; 3], [1; 3], [0; 3]);
        let mut start = 0;
        for (axis, (&first, &count)) in self.region.start.iter().zip(&self.region.count).enumerate() {
            let role = self.cut.axes.iter().position(|&a| a == Some(axis));
            let Some(role) = role else {
                start += (segment.origin[axis] - first) * self.strides[axis];
                continue;
            };
            let factor = factors[role];
            let origin = (segment.origin[axis] + if role == 0 { window.first } else { 0 }) / factor;
            let (region_from, region_until) = (first / factor, (first + count).div_ceil(factor));
            let (a, b) = (origin.max(region_from), (origin + dims[role]).min(region_until));
            if a >= b {
                return;
            }
            from[role] = a - origin;
            size[role] = b - a;
            strides[role] = self.strides[axis];
            start += (a - region_from) * self.strides[axis];
        }
        let mut out = out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        scatter(window.values, dims, from, size, &mut out, start, strides);
    }
}

/// What a stream's header, its table and the heads of its sections say, of those sections that `region` touches; of all where none
/// is given. Tests no section's checksum, and so reads little of each.
pub(crate) fn inspect(stream: &Stream<'_>, region: Option<&Region>) -> Result<StreamInfo> {
    let header = &stream.header;
    let whole = Region::whole(&header.shape);
    let region = region.unwrap_or(&whole);
    let mut sections = SectionBytes { header: stream.header_bytes as u64, ..Default::default() };
    let mut ways: Vec<(String, u64)> = Vec::new();
    let (mut windows, mut with_model) = (0u64, 0u64);
    let (mut model, mut follows) = (None, false);
    match &header.content {
        Content::Constant(_) => ways.push(("constant".to_owned(), 1)),
        Content::Lossless | Content::Raw => {
            for k in 0..stream.len() {
                sections.lossless += stream.untested(k).len() as u64;
            }
            ways.push(("lossless".to_owned(), stream.len() as u64));
        }
        Content::Predicted(specials) => {
            for k in 0..stream.len() {
                let mask = predicted::mask_bytes(stream.untested(k), specials)?;
                sections.mask += mask as u64;
                sections.coefficients += (stream.untested(k).len() - mask) as u64;
            }
            ways.push(("closed-loop".to_owned(), stream.len() as u64));
        }
        Content::Segments { model: named, follows: before, segment, .. } => {
            follows = before.is_some();
            model = named.as_ref().map(|m| (m.name.clone(), crate::model::hex(&m.hash)));
            let cut = Cut::new(&header.shape, header.axes, *segment).map_err(|e| Error::corrupt(e.message()))?;
            for (k, segment) in cut.segments.iter().enumerate().filter(|(_, s)| cut.touched(s, region).is_some()) {
                let bytes = stream.untested(k);
                let (mut method, parts) = SegmentBytes::read(bytes)?;
                method.follows = follows && cut.axes[0].is_none_or(|axis| segment.origin[axis] == 0);
                let named = [parts.mask, parts.latents, parts.coefficients, parts.corrections].map(|p| p.len() as u64);
                sections.mask += named[0];
                sections.latents += named[1];
                sections.coefficients += named[2];
                sections.corrections += named[3];
                sections.side += bytes.len() as u64 - named.iter().sum::<u64>();
                let count = method.windows(segment.count).len() as u64;
                windows += count;
                with_model += if method.needs_model() { count } else { 0 };
                let name = format!("{}:{}", method.way.name(), method.window);
                match ways.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, n)) => *n += count,
                    None => ways.push((name, count)),
                }
            }
        }
    }
    Ok(StreamInfo {
        version: header.version(),
        shape: header.shape,
        dtype: header.dtype,
        axes: header.axes,
        bound: header.bound,
        nrmse: header.nrmse,
        max_abs_error: header.max_abs_error,
        range: header.range,
        follows,
        model,
        sections,
        fm_share: if windows == 0 { 0.0 } else { with_model as f64 / windows as f64 },
        ways,
    })
}
