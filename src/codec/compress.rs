//! Compressing a field: what kind of content it gets, and the stream of that.

use super::before::Reference;
use super::decoder::Shared;
use super::job::{Job, Target};
use super::progress::Progress;
use super::report::StageSeconds;
use super::{Tools, flat, lossless};
use crate::bound::Bound;
use crate::bound::check::BLOCK;
use crate::error::{Error, Result};
use crate::field::{Element, FieldStats, FieldView, Normalisation, f32_suffices};
use crate::model::STREAM_HASH_BYTES;
use crate::stream::{Content, Header, LOSSLESS_CHUNK, ModelName, assemble};
use crate::window::Cut;
use std::time::Instant;

/// A compressed field and what was found on the way.
pub(crate) struct Compressed {
    pub(crate) bytes: Vec<u8>,
    /// What other devices' floats may add to the root mean square error, in the field's units.
    pub(crate) flips: f64,
    pub(crate) stages: StageSeconds,
}

/// Streams longer than this share of the field are compared with lossless coding.
const LOSSLESS_FROM: f64 = 0.4;

/// Compresses a field of type `T`.
pub(crate) fn compress<T: Element>(
    field: &FieldView<'_>,
    values: &[T],
    bound: Bound,
    reference: Option<&Reference>,
    tools: &Tools<'_>,
) -> Result<Compressed> {
    let begin = Instant::now();
    let stats = tracing::debug_span!("statistics").in_scope(|| FieldStats::of(field, tools.options.fill_value));
    let mut stages = StageSeconds { field: begin.elapsed().as_secs_f64(), ..Default::default() };
    let range = tools.options.range.unwrap_or(stats.range());
    let mut header = Header {
        dtype: T::DTYPE,
        shape: *field.shape(),
        axes: tools.options.axes,
        bound,
        nrmse: 0.0,
        max_abs_error: 0.0,
        range: if range.is_finite() { range } else { 0.0 },
        content: Content::Lossless,
    };
    let segment = tools.options.segment;
    if let (Bound::BlockL2(_), Some(frames)) = (bound, segment)
        && usize::from(frames.get()) % BLOCK != 0
    {
        return Err(Error::invalid(format!(
            "segment={frames} would cut the blocks of {BLOCK} frames that block_l2 bounds; give a multiple of {BLOCK}"
        )));
    }
    let cut = Cut::new(field.shape(), tools.options.axes, segment)?;
    if let Some(bits) = stats.uniform {
        header.content = Content::Constant(bits);
        return Ok(Compressed { bytes: assemble(&header, &[]), flips: 0.0, stages });
    }
    let target = Target::new(bound, &stats, range);
    // Corrections of blocks leave no room for other devices' floats.
    let reference = reference.filter(|reference| reference.flips == 0.0 || !matches!(bound, Bound::BlockL2(_)));
    let mut flips = 0.0;
    let mut best: Option<Vec<u8>> = None;
    if let (Some(target), Some(normalisation), Some(specials)) = (target, Normalisation::of(&stats), &stats.specials) {
        let (range, package) = (header.range, tools.package);
        // Every value is encoded and checked.
        let progress = Progress::new(2 * field.shape().len());
        let shared = Shared {
            normalisation: &normalisation,
            specials,
            bound,
            range,
            package,
            reference,
            progress: Some(&progress),
            memo: None,
        };
        let job = Job { field, values, cut: &cut, shared, target, valid: stats.valid, tools };
        let narrow = f32_suffices(stats.range(), target.size());
        let mut done = None;
        if narrow {
            done = job.run::<f32>(&mut stages)?;
        }
        let double = done.is_none();
        if double {
            done = job.run::<f64>(&mut stages)?;
        }
        if let Some(done) = done {
            header.nrmse = if range > 0.0 { done.errors.nrmse(range) } else { 0.0 };
            header.max_abs_error = done.errors.largest;
            let model = tools.package.filter(|_| done.uses_model).map(|package| ModelName {
                name: package.name().to_owned(),
                hash: package.hash()[..STREAM_HASH_BYTES].try_into().expect("a hash has 32 bytes"),
            });
            flips = done.flips;
            let follows = reference.map(Reference::name);
            let specials = specials.clone();
            header.content = Content::Segments { normalisation, specials, double, follows, segment, model };
            best = Some(assemble(&header, &done.sections));
        }
    }
    let raw = field.byte_len();
    if best.as_ref().is_none_or(|best| best.len() as f64 > LOSSLESS_FROM * raw as f64) {
        let _span = tracing::debug_span!("lossless").entered();
        let begin = Instant::now();
        header.content = Content::Lossless;
        (header.nrmse, header.max_abs_error) = (0.0, 0.0);
        let mut sections = lossless_sections(field, values, tools)?;
        if sections.iter().map(Vec::len).sum::<usize>() >= raw {
            header.content = Content::Raw;
            sections = vec![raw_section(field, values)];
        }
        let bytes = assemble(&header, &sections);
        if best.as_ref().is_none_or(|best| bytes.len() < best.len()) {
            best = Some(bytes);
            flips = 0.0;
        }
        stages.entropy += begin.elapsed().as_secs_f64();
    }
    Ok(Compressed { bytes: best.expect("lossless coding gives bytes for every field"), flips, stages })
}

/// The section of a raw stream.
fn raw_section<T: Element>(field: &FieldView<'_>, values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.byte_len());
    flat::for_each_run(field.shape(), &field.strides, 0, field.shape().len(), |_, start, count, stride| {
        for i in 0..count {
            let bits = values[start + i * stride].to_bits_u64();
            bytes.extend_from_slice(&bits.to_le_bytes()[..T::DTYPE.size()]);
        }
    });
    bytes
}

/// The sections of a lossless stream.
fn lossless_sections<T: Element>(field: &FieldView<'_>, values: &[T], tools: &Tools<'_>) -> Result<Vec<Vec<u8>>> {
    let total = field.shape().len();
    let chunks = total.div_ceil(LOSSLESS_CHUNK);
    tools.map(0..chunks, |k| {
        let (from, until) = (k * LOSSLESS_CHUNK, total.min((k + 1) * LOSSLESS_CHUNK));
        let mut chunk = Vec::with_capacity(until - from);
        flat::for_each_run(field.shape(), &field.strides, from, until, |_, start, count, stride| {
            chunk.extend((0..count).map(|i| values[start + i * stride]));
        });
        let bytes = lossless::encode(&chunk);
        let mut again = vec![T::from_bits_u64(0); chunk.len()];
        lossless::decode(&bytes, &mut again)?;
        if chunk.iter().zip(&again).any(|(a, b)| a.to_bits_u64() != b.to_bits_u64()) {
            return Err(Error::internal("the check of the own lossless output failed"));
        }
        Ok(bytes)
    })
}
