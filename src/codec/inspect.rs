//! What a stream says of itself without being decoded.

use super::report::{SectionBytes, StreamInfo};
use super::segment::closed_loop;
use crate::bytes::Reader;
use crate::error::{Error, Result};
use crate::field::{DType, Element, Region};
use crate::stream::{ClosedLoopBytes, Content, Logarithms, SegmentBytes, Stream, is_closed_loop};
use crate::window::{Cut, Segment};

/// What a stream's header, its table and the heads of its sections say, of those sections that `region` touches; of all
/// where none is given. Tests no section's checksum, and so reads little of each.
pub(crate) fn inspect(stream: &Stream<'_>, region: Option<&Region>) -> Result<StreamInfo> {
    let header = &stream.header;
    if let Content::Logarithms(held) = &header.content {
        return of_logarithms(stream, held, region);
    }
    let whole = Region::whole(&header.shape);
    let region = region.unwrap_or(&whole);
    let mut sections = SectionBytes { header: stream.header_bytes as u64, ..Default::default() };
    let mut modes: Vec<(String, u64)> = Vec::new();
    let (mut windows, mut with_model) = (0u64, 0u64);
    let (mut model, mut follows, mut masked) = (None, false, Vec::new());
    match &header.content {
        Content::Constant(_) => modes.push(("constant".to_owned(), 1)),
        Content::Lossless(values) | Content::Repeats(values) | Content::Raw(values) => {
            masked = finite(header.dtype, values.patterns());
            for k in 0..stream.len() {
                sections.lossless += stream.untested(k).len() as u64;
            }
            modes.push(("lossless".to_owned(), stream.len() as u64));
        }
        Content::Logarithms(_) => {}
        Content::Segments { model: named, follows: before, segment, specials, .. } => {
            masked = finite(header.dtype, specials.patterns());
            follows = before.is_some();
            model = named.as_ref().map(|m| (m.name.clone(), crate::model::hex(&m.hash)));
            let cut = Cut::new(&header.shape, header.axes, *segment).map_err(|e| Error::corrupt(e.message()))?;
            for (k, segment) in cut.segments.iter().enumerate().filter(|(_, s)| cut.touched(s, region).is_some()) {
                let after = follows && cut.axes[0].is_none_or(|axis| segment.origin[axis] == 0);
                let said = match header.dtype {
                    DType::F32 => SegmentInfo::of::<f32>(stream.untested(k), segment, after),
                    DType::F64 => SegmentInfo::of::<f64>(stream.untested(k), segment, after),
                }?;
                sections.add(&said.sections);
                windows += said.windows;
                with_model += if said.needs_model { said.windows } else { 0 };
                match modes.iter_mut().find(|(known, _)| *known == said.mode) {
                    Some((_, n)) => *n += said.windows,
                    None => modes.push((said.mode, said.windows)),
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
        masked,
        follows,
        model,
        sections,
        fm_share: if windows == 0 { 0.0 } else { with_model as f64 / windows as f64 },
        modes,
    })
}

/// What a stream of logarithms says: what they say, and what stands beside them.
fn of_logarithms(stream: &Stream<'_>, held: &Logarithms, region: Option<&Region>) -> Result<StreamInfo> {
    let header = &stream.header;
    let of_logarithms = stream.logarithms(held);
    let mut info = inspect(&of_logarithms, region)?;
    info.sections.header += stream.header_bytes as u64;
    for k in 0..stream.len() - of_logarithms.len() {
        let section = Reader::new(stream.untested(k));
        let signs = section.clone().length().unwrap_or(0) as u64;
        info.sections.mask += signs;
        info.sections.corrections += section.remaining() as u64 - signs;
    }
    Ok(StreamInfo {
        version: header.version(),
        dtype: header.dtype,
        bound: header.bound,
        nrmse: header.nrmse,
        max_abs_error: header.max_abs_error,
        range: header.range,
        masked: finite(header.dtype, held.data_less()),
        ..info
    })
}

/// The finite ones of a field's masked values.
fn finite(dtype: DType, masked: &[u64]) -> Vec<f64> {
    let value = |&bits: &u64| match dtype {
        DType::F32 => f32::from_bits_u64(bits).to_f64(),
        DType::F64 => f64::from_bits_u64(bits),
    };
    masked.iter().map(value).filter(|value| value.is_finite()).collect()
}

/// What a segment's section says of itself.
struct SegmentInfo {
    sections: SectionBytes,
    /// How it is predicted, as text.
    mode: String,
    windows: u64,
    needs_model: bool,
}

impl SegmentInfo {
    /// What the section of a segment of values of type `T` says; `after`: a frame lies before the segment.
    fn of<T: Element>(bytes: &[u8], segment: &Segment, after: bool) -> Result<Self> {
        if is_closed_loop(bytes) {
            let parts = ClosedLoopBytes::read::<T>(bytes)?;
            let [mask, coefficients] = [parts.mask, parts.code].map(|part| part.len() as u64);
            let side = bytes.len() as u64 - mask - coefficients;
            return Ok(Self {
                sections: SectionBytes { side_info: side, mask, coefficients, ..Default::default() },
                mode: format!("closed-loop:{}", parts.parameters.predictor.name()),
                windows: closed_loop::windows(segment).len() as u64,
                needs_model: false,
            });
        }
        let (header, parts) = SegmentBytes::read(bytes)?;
        let [mask, latents, coefficients, corrections] =
            [parts.mask, parts.latents, parts.coefficients, parts.corrections].map(|part| part.len() as u64);
        let side = bytes.len() as u64 - mask - latents - coefficients - corrections;
        Ok(Self {
            sections: SectionBytes { side_info: side, mask, latents, coefficients, corrections, ..Default::default() },
            mode: format!("{}:{}", header.mode.name(), header.window),
            windows: header.windows(segment.count, segment.depth, after).len() as u64,
            needs_model: header.needs_model(),
        })
    }
}
