//! Decoding one segment: bytes to values in the caller's type, window by window.

use super::context::FieldContext;
use super::low_resolution::LowResolution;
use super::state::{Buffers, SegmentState};
use crate::bound::{Bound, block, pointwise::PointwiseModel};
use crate::codec::report::StageSeconds;
use crate::enhance::{Enhanced, Enhancer, Queue};
use crate::entropy::Decoder;
use crate::error::{Error, Result};
use crate::field::{Element, MaskModel, Specials};
use crate::predict::fm;
use crate::predict::hierarchical::ModelUse;
use crate::residual::kernels::Kernel;
use crate::residual::layout::Layout;
use crate::stream::{PredictionMode, SegmentBytes};
use crate::window::Segment;
use std::time::Instant;

/// A decoded window: `values [count][h][w]` at the scale that was asked for.
pub(crate) struct DecodedWindow<'a, T> {
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
    pub(crate) values: &'a [T],
}

/// Decodes the windows of a segment up to the one that holds frame `until − 1`, and hands those that hold frames from
/// `from` on to `sink`. `low` halvings of rows and columns.
///
/// # Errors
/// `Corrupt`, what the model says, or what `sink` says.
pub(crate) fn decode<T: Element, R: Kernel>(
    bytes: &[u8],
    segment: &Segment,
    shared: FieldContext<'_>,
    from: usize,
    until: usize,
    low: usize,
    stages: &mut StageSeconds,
    buffers: &mut Buffers<R>,
    mut sink: impl FnMut(DecodedWindow<'_, T>) -> Result<()>,
) -> Result<()> {
    let (mut header, parts) = SegmentBytes::read(bytes)?;
    let before = shared.before(segment);
    header.follows = before.is_some();
    if header.needs_model() && shared.package.is_none() {
        return Err(Error::corrupt("a segment uses a model that the header does not name"));
    }
    let (h, w) = (segment.h, segment.w);
    if header.needs_model() && !fm::takes(h, w) {
        return Err(Error::corrupt(format!(
            "a segment uses a model on frames of {h} × {w}, which are too small for one"
        )));
    }
    let layout = Layout::new(h, w);
    let n = layout.len();
    let grid = fm::grid(header.step);
    let package = shared.package.filter(|_| header.uses_model);
    let interpolator = package.map(|package| fm::interpolator(package, h, w, grid, shared.memo));
    let model = match &interpolator {
        Some(interpolator) => ModelUse::Always(interpolator),
        None => ModelUse::Off,
    };
    let mut coded = std::mem::take(&mut buffers.coded);
    let mut state =
        SegmentState::<R>::new(&layout, &header, model)?.within(std::mem::take(buffers)).after(before.as_deref());
    let mut side = Decoder::new(parts.side);
    let mut coefficients = Decoder::new(parts.coefficients);
    let mut mask = Decoder::new(parts.mask);
    let mut corrections = Decoder::new(parts.corrections);
    let mut latents = fm::LatentReader::new(parts.latents);
    let kinds = shared.specials.patterns().len() as u8;
    // Made where they are needed: segments can be many and small.
    let mut masks: Option<MaskModel> = None;
    let mut pointwise: Option<PointwiseModel> = None;
    let mut values: Vec<T> = Vec::new();
    let mut classes = Vec::new();
    let mut sum: Vec<R> = Vec::new();
    // Corrections run through all windows, and reduced scales have no use for them.
    let corrected = low == 0 && !parts.corrections.is_empty();
    if header.enhance.is_some() && !parts.corrections.is_empty() {
        return Err(Error::corrupt("a segment is both enhanced and corrected"));
    }
    let mut queue = match (header.enhance, shared.package) {
        (Some(how), Some(package)) if low == 0 => {
            let enhancer = Enhancer::new(package, h, w, how, grid)?.with(shared.memo);
            Some(Queue::new(enhancer, segment.count, n, from))
        }
        _ => None,
    };
    // Enhanced frames depend on some before and after them.
    let context = queue.as_ref().map_or(0, Queue::context);
    let mut first = 0;
    for count in header.windows(segment.count) {
        if first >= until + context {
            break;
        }
        let begin = Instant::now();
        if kinds > 0 {
            classes.resize(count * n, 0);
            masks.get_or_insert_with(MaskModel::new).code(&mut mask, &mut classes, count, h, w, kinds)?;
        }
        coded.count = count;
        coded.indices.clear();
        coded.indices.resize(count * n, R::Index::default());
        state.code(&mut side, &mut coefficients, &mut coded, 1)?;
        if coefficients.exhausted() {
            return Err(Error::corrupt("a segment's coefficients end early"));
        }
        stages.entropy += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let wanted = first + count + context > from;
        let reduced = LowResolution::new(&layout, low);
        let decoded = state.reconstruct(&coded, wanted && reduced.needs_frames() || corrected)?;
        let used = wanted || corrected;
        let copied = used && (low > 0 || header.mode == PredictionMode::Latents);
        match low {
            _ if !copied => {}
            0 => sum.clone_from(&decoded.frames),
            _ => reduced.frames(&state, &decoded, &mut sum),
        }
        stages.transform += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        if header.mode == PredictionMode::Latents {
            let package = shared.package.ok_or_else(|| Error::internal("latents without a model"))?;
            if used {
                latents.add(package, &mut sum, count, h, w, low, shared.normalisation, grid)?;
            } else {
                latents.skip(package, h, w)?;
            }
        }
        let output = if copied { &sum } else { &decoded.frames };
        stages.model += begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        if wanted && low > 0 {
            let classes = reduced.classes(&classes, count);
            finish(output, &classes, shared, &mut values);
            sink(DecodedWindow { first, count, h: reduced.h, w: reduced.w, values: &values })?;
        } else if let Some(queue) = &mut queue {
            if wanted {
                queue.push(output, &classes);
            } else {
                queue.skip(count);
            }
            let start = Instant::now();
            let enhanced = queue.pop(until)?;
            let model = start.elapsed().as_secs_f64();
            stages.model += model;
            stages.field -= model;
            if let Some(Enhanced { first, count, frames, classes }) = enhanced {
                finish::<T, R>(&frames, classes, shared, &mut values);
                sink(DecodedWindow { first, count, h, w, values: &values })?;
            }
        } else if wanted || corrected {
            if let Bound::BlockL2(tau) = shared.bound {
                let scale = shared.normalisation.scale();
                let mut exact: Vec<f64> =
                    output.iter().map(|v| shared.normalisation.restore(v.to_f64(), scale)).collect();
                if corrected {
                    let target = shared.block_target::<T>(tau);
                    if target.is_nan() || target <= 0.0 {
                        return Err(Error::corrupt("blocks are corrected to a bound that their values cannot meet"));
                    }
                    block::decode(&mut corrections, &mut exact, [count, h, w], target)?;
                }
                finish_exact(&exact, &classes, shared, &mut values);
            } else {
                finish(output, &classes, shared, &mut values);
                if let (Some(epsilon), true) = (shared.pointwise(), corrected) {
                    let pointwise = pointwise.get_or_insert_with(|| PointwiseModel::new(h, w));
                    pointwise.decode(&mut corrections, &mut values, count, epsilon)?;
                }
            }
            if wanted {
                sink(DecodedWindow { first, count, h, w, values: &values })?;
            }
        }
        stages.field += begin.elapsed().as_secs_f64();
        state.advance(decoded);
        first += count;
        if let Some(progress) = shared.progress {
            progress.add(count * n);
        }
    }
    if until >= segment.count {
        for decoder in [side, coefficients, mask] {
            decoder.finish()?;
        }
        // LowResolution scales have no use for corrections.
        if low == 0 {
            corrections.finish()?;
        }
        latents.finish()?;
    }
    *buffers = state.into_buffers(coded);
    Ok(())
}

/// Working frames to values in the caller's type: units restored, clamped to the field's range, masked points put back.
pub(crate) fn finish<T: Element, R: Kernel>(frames: &[R], classes: &[u8], shared: FieldContext<'_>, out: &mut Vec<T>) {
    let _span = tracing::debug_span!("restore units").entered();
    let scale = shared.normalisation.scale();
    out.clear();
    out.extend(frames.iter().map(|v| T::from_f64(shared.normalisation.restore(v.to_f64(), scale))));
    put_back(classes, shared.specials, out);
}

/// As [`finish`], from values already in the field's units.
pub(crate) fn finish_exact<T: Element>(values: &[f64], classes: &[u8], shared: FieldContext<'_>, out: &mut Vec<T>) {
    out.clear();
    out.extend(values.iter().map(|v| T::from_f64(v.clamp(shared.normalisation.min, shared.normalisation.max))));
    put_back(classes, shared.specials, out);
}

fn put_back<T: Element>(classes: &[u8], specials: &Specials, out: &mut [T]) {
    for (slot, &class) in out.iter_mut().zip(classes) {
        if class != 0
            && let Some(bits) = specials.bits(class)
        {
            *slot = T::from_bits_u64(bits);
        }
    }
}
