//! Decompressing a stream, or a part of it.

use super::lossless::field::{self, Averaged};
use super::output::{Output, Place};
use super::progress::Progress;
use super::report::StageSeconds;
use super::request::Request;
use super::segment::closed_loop;
use super::segment::context::FieldContext;
use super::segment::decode::{DecodedWindow, Part, Work, decode};
use super::segment::reference::Reference;
use super::segment::state::Buffers;
use super::tools::Tools;
use crate::error::{Error, Result};
use crate::field::{Element, Region, for_each_run};
use crate::stream::{Content, Stream, is_closed_loop};
use crate::window::Cut;
use std::sync::Mutex;

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
            for_each_run(&shape, &out.strides, 0, shape.len(), |_, start, count, stride| {
                for i in 0..count {
                    out.values[start + i * stride] = value;
                }
            });
            Ok(StageSeconds::default())
        }
        Content::Lossless(masked) | Content::Repeats(masked) | Content::Raw(masked) => {
            let begin = std::time::Instant::now();
            let mut masked = masked.clone();
            if let Some(fill) = tools.options.fill_value {
                // Streams of versions before 4 do not say it.
                masked.add(T::from_f64(fill).to_bits_u64());
            }
            let averaged = Averaged { axes: cut_axes, factor, masked: &masked };
            field::decompress(stream, &region, averaged, out)?;
            Ok(StageSeconds { entropy: begin.elapsed().as_secs_f64(), ..Default::default() })
        }
        Content::Segments { .. } => decompress_segments(stream, &region, request.scale.factor(), reference, out, tools),
        Content::Logarithms(_) => Err(Error::internal("a stream of logarithms is no field of its own")),
    }
}

/// Decompresses a region from a stream's segments, at 1/`factor` of its rows and columns.
fn decompress_segments<T: Element>(
    stream: &Stream<'_>,
    region: &Region,
    factor: usize,
    reference: Option<&Reference>,
    out: Output<'_, T>,
    tools: &Tools<'_>,
) -> Result<StageSeconds> {
    let header = &stream.header;
    let Content::Segments { normalisation, specials, double, follows, segment, model, kinds, clamped } =
        &header.content
    else {
        return Err(Error::internal("a stream without segments has none to decode"));
    };
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
    let context = FieldContext {
        normalisation,
        specials,
        clamped: *clamped,
        bound: header.bound,
        range: header.range,
        package: tools.package,
        reference: reference.filter(|_| follows.is_some()),
        progress: Some(&progress),
        memo: None,
    };
    let cut = Cut::new(&header.shape, header.axes, *segment).map_err(|e| Error::corrupt(e.message()))?;
    let place = Place { cut: &cut, region, factor, strides: out.strides };
    let target = Mutex::new(out.values);
    let stages = tools.map(0..cut.segments.len(), |k| {
        let segment = &cut.segments[k];
        let mut stages = StageSeconds::default();
        let Some((from, until)) = cut.touched(segment, region) else {
            return Ok(stages);
        };
        let bytes = stream.section(k)?;
        kinds.check(bytes)?;
        let part = Part { from, until, halvings: factor.trailing_zeros() as usize };
        let put = |window: DecodedWindow<'_, T>| {
            let _span = tracing::debug_span!("put in place").entered();
            place.put(segment, &window, &target);
            Ok(())
        };
        if is_closed_loop(bytes) {
            closed_loop::decode::<T>(bytes, segment, context, part, &mut stages, put)?;
        } else if *double {
            let work = Work { stages: &mut stages, buffers: &mut Buffers::default() };
            decode::<T, f64>(bytes, segment, context, part, work, put)?;
        } else {
            let work = Work { stages: &mut stages, buffers: &mut Buffers::default() };
            decode::<T, f32>(bytes, segment, context, part, work, put)?;
        }
        Ok(stages)
    })?;
    let mut sum = StageSeconds::default();
    stages.iter().for_each(|s| sum.add(s));
    Ok(sum)
}
