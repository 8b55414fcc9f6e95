//! What a stream says of itself without being decoded.

use super::report::{SectionBytes, StreamInfo};
use crate::error::{Error, Result};
use crate::field::Region;
use crate::stream::{Content, SegmentBytes, Stream, VERSION};
use crate::window::Cut;

/// What a stream's header, its table and the heads of its sections say, of those sections that `region` touches; of all
/// where none is given. Tests no section's checksum, and so reads little of each.
pub(crate) fn inspect(stream: &Stream<'_>, region: Option<&Region>) -> Result<StreamInfo> {
    let header = &stream.header;
    let whole = Region::whole(&header.shape);
    let region = region.unwrap_or(&whole);
    let mut sections = SectionBytes { header: stream.header_bytes as u64, ..Default::default() };
    let mut modes: Vec<(String, u64)> = Vec::new();
    let (mut windows, mut with_model) = (0u64, 0u64);
    let (mut model, mut follows) = (None, false);
    match &header.content {
        Content::Constant(_) => modes.push(("constant".to_owned(), 1)),
        Content::Lossless | Content::Raw => {
            for k in 0..stream.len() {
                sections.lossless += stream.untested(k).len() as u64;
            }
            modes.push(("lossless".to_owned(), stream.len() as u64));
        }
        Content::Segments { model: named, follows: before, segment, .. } => {
            follows = before.is_some();
            model = named.as_ref().map(|m| (m.name.clone(), crate::model::hex(&m.hash)));
            let cut = Cut::new(&header.shape, header.axes, *segment).map_err(|e| Error::corrupt(e.message()))?;
            for (k, segment) in cut.segments.iter().enumerate().filter(|(_, s)| cut.touched(s, region).is_some()) {
                let bytes = stream.untested(k);
                let (segment_header, parts) = SegmentBytes::read(bytes)?;
                let named = [parts.mask, parts.latents, parts.coefficients, parts.corrections].map(|p| p.len() as u64);
                sections.mask += named[0];
                sections.latents += named[1];
                sections.coefficients += named[2];
                sections.corrections += named[3];
                sections.side_info += bytes.len() as u64 - named.iter().sum::<u64>();
                let first = cut.axes[0].is_none_or(|axis| segment.origin[axis] == 0);
                let count = segment_header.windows(segment.count, follows && first).len() as u64;
                windows += count;
                with_model += if segment_header.needs_model() { count } else { 0 };
                let name = format!("{}:{}", segment_header.mode.name(), segment_header.window);
                match modes.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, n)) => *n += count,
                    None => modes.push((name, count)),
                }
            }
        }
    }
    Ok(StreamInfo {
        version: VERSION,
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
        modes,
    })
}
