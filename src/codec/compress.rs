//! Compressing a field: what kind of content it gets, and the stream of that.

use super::before::Reference;
use super::decoder::Shared;
use super::job::{Job, Target};
use super::predicted::{self, Predicted};
use super::progress::Progress;
use super::report::StageSeconds;
use super::{Tools, flat, lossless};
use crate::bound::Bound;
use crate::bound::check::BLOCK;
use crate::closed_loop::Runs;
use crate::error::{Error, Result};
use crate::field::{Element, FieldStats, FieldView, Normalisation, Specials, f32_suffices};
use crate::model::STREAM_HASH_BYTES;
use crate::options::{Effort, FmMode, Options};
use crate::stream::{Content, Header, LOSSLESS_CHUNK, ModelName, assemble};
use crate::window::{Cut, SEGMENT_FRAMES};
use std::time::Instant;

/// A compressed field and what was found on the way.
pub(crate) struct Compressed {
    pub(crate) bytes: Vec<u8>,
    /// What other devices' floats may add to the root mean square error, in the field's units.
    pub(crate) flips: f64,
    pub(crate) stages: StageSeconds,
}

/// What the model has to leave of a stream's bytes, as samples tell, to be taken at its word at normal effort. Fields
/// that it gains less on are coded without it, too, as are those with holes or bounds on points, those of a few bytes,
/// and at the highest effort all: the smaller stream counts.
const SURE_GAIN: f64 = 0.96;
/// Streams of so few bytes are doubted, whatever samples tell: little of them is typical.
const FEW_BYTES: usize = 8192;
/// Points that both segments and closed-loop prediction are tried on, where a bound holds at each point.
const TRIAL: usize = 1 << 17;
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
    let header = Header {
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
        let header = Header { content: Content::Constant(bits), ..header };
        return Ok(Compressed { bytes: assemble(&header, &[]), flips: 0.0, stages });
    }
    // Every value is encoded and checked.
    let progress = Progress::new(2 * field.shape().len());
    let asked = Asked { field, values, header, stats: &stats, cut: &cut, reference, progress: Some(&progress) };
    let without_model = |stages: &mut StageSeconds| {
        let options = Options { fm: FmMode::Off, ..tools.options.clone() };
        asked.segments(&Tools { options: &options, package: None, workers: tools.workers }, stages)
    };
    let closed = asked.closed_loop(tools, &mut stages)?;
    let instead = closed.as_ref().is_some_and(|closed| closed.sure);
    let mut best = match asked.segments_unless(instead, tools, &mut stages) {
        // As on a GPU whose memory the simulation has taken.
        Err(error) if tools.options.fm.goes_without(&error) => {
            tracing::warn!(reason = error.message(), "fm=auto: the model fails, the field is coded without it");
            without_model(&mut stages)?
        }
        found => found?,
    };
    if let Some(found) = best.as_mut().filter(|found| asked.is_doubtful(found, tools.options)) {
        let _span = tracing::debug_span!("without_model").entered();
        if let Some(other) = without_model(&mut stages)?.filter(|other| other.bytes.len() < found.bytes.len()) {
            *found = other;
        }
    }
    if let Some(closed) = closed
        && best.as_ref().is_none_or(|best| closed.bytes.len() < best.bytes.len())
    {
        best = Some(Segments { bytes: closed.bytes, flips: 0.0, model: None });
    }
    let mut header = asked.header;
    let (mut flips, mut best) = best.map_or((0.0, None), |found| (found.flips, Some(found.bytes)));
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

/// What is to be compressed, and what is known of it.
struct Asked<'a, T> {
    field: &'a FieldView<'a>,
    values: &'a [T],
    /// The header, but for the content and the errors.
    header: Header,
    stats: &'a FieldStats,
    cut: &'a Cut,
    reference: Option<&'a Reference>,
    progress: Option<&'a Progress>,
}

/// A stream of closed-loop prediction, and whether a trial said that segments need not be made, too.
struct ClosedLoop {
    bytes: Vec<u8>,
    sure: bool,
}

/// A stream of segments.
struct Segments {
    bytes: Vec<u8>,
    flips: f64,
    /// Bytes of its sections, and what they would be without the model, as samples tell; `None` where it is not used.
    model: Option<(usize, f64)>,
}

impl<T: Element> Asked<'_, T> {
    /// Whether the model may have made a stream larger than it would be without: samples err, and know nothing of
    /// corrections of points and of holes.
    fn is_doubtful(&self, found: &Segments, options: &Options) -> bool {
        let sampled = self.stats.valid == self.field.shape().len()
            && matches!(self.header.bound, Bound::Nrmse(_) | Bound::Psnr(_));
        let sure = |(with, without): (usize, f64)| sampled && with > FEW_BYTES && with as f64 <= SURE_GAIN * without;
        let thorough = options.effort == Effort::High;
        options.fm == FmMode::Auto && found.model.is_some_and(|model| thorough || !sure(model))
    }

    /// The largest error of a point, where the bound asks for one that closed-loop prediction serves: not where
    /// segments are asked for, the model, or a frame before.
    fn pointwise(&self, options: &Options) -> Option<f64> {
        let bound = match self.header.bound {
            Bound::Abs(epsilon) => epsilon,
            Bound::Rel(epsilon) => epsilon * self.header.range,
            _ => return None,
        };
        let plain = options.fm != FmMode::On && options.segment.is_none() && self.reference.is_none();
        (plain && self.stats.valid > 0 && bound > 0.0 && bound.is_finite()).then_some(bound)
    }

    /// The stream of closed-loop prediction; `None` where the bound is of another kind or segments are smaller on a
    /// sample.
    fn closed_loop(&self, tools: &Tools<'_>, stages: &mut StageSeconds) -> Result<Option<ClosedLoop>> {
        let (Some(bound), Some(specials)) = (self.pointwise(tools.options), &self.stats.specials) else {
            return Ok(None);
        };
        let _span = tracing::debug_span!("closed_loop").entered();
        let begin = Instant::now();
        let small = self.field.shape().len() <= TRIAL;
        if !small && !self.trial(bound, specials, tools, stages)? {
            return Ok(None);
        }
        let found =
            self.predict(self.field, self.values, specials, bound, &Runs::of(self.field.shape().dims()), tools)?;
        let header = Header {
            nrmse: if self.header.range > 0.0 { found.errors.nrmse(self.header.range) } else { 0.0 },
            max_abs_error: found.errors.largest,
            content: Content::Predicted(specials.clone()),
            ..self.header.clone()
        };
        stages.entropy += begin.elapsed().as_secs_f64();
        Ok(Some(ClosedLoop { bytes: assemble(&header, &found.sections), sure: !small }))
    }

    fn predict(
        &self,
        field: &FieldView<'_>,
        values: &[T],
        specials: &Specials,
        bound: f64,
        runs: &Runs,
        tools: &Tools<'_>,
    ) -> Result<Predicted> {
        let unit = Normalisation::of(self.stats).map_or(1.0, |normalisation| normalisation.scale());
        predicted::encode(field, values, specials, bound, unit, runs, tools)
    }

    /// Whether closed-loop prediction is smaller than segments on a box in the field's middle.
    fn trial(&self, bound: f64, specials: &Specials, tools: &Tools<'_>, stages: &mut StageSeconds) -> Result<bool> {
        let _span = tracing::debug_span!("trial").entered();
        let mut dims = self.field.shape().dims().to_vec();
        while dims.iter().product::<usize>() > TRIAL {
            let longest = (0..dims.len()).max_by_key(|&axis| dims[axis]).unwrap_or(0);
            dims[longest] = dims[longest].div_ceil(2);
        }
        let first: usize = dims
            .iter()
            .zip(self.field.shape().dims())
            .zip(&self.field.strides)
            .map(|((&cut, &whole), &stride)| (whole - cut) / 2 * stride)
            .sum();
        let values = &self.values[first..];
        let strides = &self.field.strides[..dims.len()];
        let field = FieldView::strided(values, &dims, strides)?;
        let stats = FieldStats::of(&field, tools.options.fill_value);
        if stats.uniform.is_some() || stats.valid == 0 {
            return Ok(true);
        }
        let header = Header { shape: *field.shape(), bound: Bound::Abs(bound), ..self.header.clone() };
        let cut = Cut::new(field.shape(), tools.options.axes, None)?;
        let part = Asked { field: &field, values, header, stats: &stats, cut: &cut, reference: None, progress: None };
        let Ok(Some(segments)) = part.segments(tools, stages) else { return Ok(true) };
        let closed = {
            // Cut as the whole field will be, also where that is within frames.
            let runs = Runs::along(&dims, Runs::axis(self.field.shape().dims()));
            part.predict(&field, values, specials, bound, &runs, tools)?
        };
        Ok(closed.len() < segments.bytes.len())
    }

    fn segments_unless(&self, not: bool, tools: &Tools<'_>, stages: &mut StageSeconds) -> Result<Option<Segments>> {
        if not { Ok(None) } else { self.segments(tools, stages) }
    }

    /// The stream of segments that meets the bound; `None` where there is none.
    fn segments(&self, tools: &Tools<'_>, stages: &mut StageSeconds) -> Result<Option<Segments>> {
        let (field, stats, bound, range) = (self.field, self.stats, self.header.bound, self.header.range);
        let target = Target::new(bound, stats, tools.options.range.unwrap_or(stats.range()));
        let (Some(target), Some(normalisation), Some(specials)) = (target, Normalisation::of(stats), &stats.specials)
        else {
            return Ok(None);
        };
        // Corrections of blocks leave no room for other devices' floats.
        let reference =
            self.reference.filter(|reference| reference.flips == 0.0 || !matches!(bound, Bound::BlockL2(_)));
        let shared = Shared {
            normalisation: &normalisation,
            specials,
            bound,
            range,
            package: tools.package,
            reference,
            progress: self.progress,
            memo: None,
        };
        let job = Job { field, values: self.values, cut: self.cut, shared, target, valid: stats.valid, tools };
        let mut done = None;
        if f32_suffices(stats.range(), target.size()) {
            done = job.run::<f32>(stages)?;
        }
        let double = done.is_none();
        if double {
            done = job.run::<f64>(stages)?;
        }
        let Some(done) = done else { return Ok(None) };
        let model = tools.package.filter(|_| done.uses_model).map(|package| ModelName {
            name: package.name().to_owned(),
            hash: package.hash()[..STREAM_HASH_BYTES].try_into().expect("a hash has 32 bytes"),
        });
        let content = Content::Segments {
            normalisation,
            specials: specials.clone(),
            double,
            follows: reference.map(Reference::name),
            segment: tools.options.segment.filter(|frames| frames.get() != SEGMENT_FRAMES),
            model,
        };
        let header = Header {
            nrmse: if range > 0.0 { done.errors.nrmse(range) } else { 0.0 },
            max_abs_error: done.errors.largest,
            content,
            ..self.header.clone()
        };
        let sizes = (done.sections.iter().map(Vec::len).sum(), done.without_model);
        let bytes = assemble(&header, &done.sections);
        Ok(Some(Segments { bytes, flips: done.flips, model: done.uses_model.then_some(sizes) }))
    }
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
