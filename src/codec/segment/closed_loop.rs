//! Segments of closed-loop prediction: values in the caller's type to bytes, and back.

use super::context::FieldContext;
use super::decode::{DecodedWindow, Part};
use crate::closed_loop::{Account, Parameters, Subject, Window, WindowDecoder, WindowEncoder, window_frames};
use crate::codec::report::StageSeconds;
use crate::entropy::{Decoder, Encoder};
use crate::error::{Error, Result};
use crate::field::{Element, MaskModel};
use crate::stream::ClosedLoopBytes;
use crate::window::{Placement, Segment, Source};
use std::time::Instant;

/// A segment in the caller's memory, to be predicted in closed loop.
pub(crate) struct Closed<'a, T> {
    pub(crate) source: &'a Source<'a, T>,
    pub(crate) context: &'a FieldContext<'a>,
    /// The largest error of a value, in the field's units.
    pub(crate) bound: f64,
}

impl<T: Element> Closed<'_, T> {
    /// The classes of values, where the field has special patterns.
    fn classes(&self, values: &[T]) -> Option<Vec<u8>> {
        let specials = self.context.specials;
        let class = |v: &T| specials.class_of(v.to_bits_u64()).unwrap_or(0);
        (!specials.is_empty()).then(|| values.iter().map(class).collect())
    }

    /// The section of the segment, and what its errors add up to; `account` says how closely they are to cancel, where
    /// parameters ask for that.
    ///
    /// # Errors
    /// `Internal` where sizes contradict each other.
    pub(crate) fn encode(&self, parameters: &Parameters, account: Account) -> Result<(Vec<u8>, Account)> {
        let segment = self.source.segment;
        let (h, w) = (segment.h, segment.w);
        let kinds = self.context.specials.patterns().len() as u8;
        let mut encoder = WindowEncoder::new(parameters, account);
        let (mut masks, mut mask_coder) = (MaskModel::new(), Encoder::new(Vec::new()));
        let mut values = Vec::new();
        for (first, count) in windows(segment) {
            self.source.starting_at(first).original(count, &mut values);
            let mut classes = self.classes(&values);
            if let Some(classes) = &mut classes {
                masks.code(&mut mask_coder, classes, [count, h, w], kinds)?;
            }
            let mask = classes.as_deref().and_then(holes);
            let (range, bound) = (self.range(), self.bound);
            encoder.window(&Window { values: &values, dims: [count, h, w], mask: mask.as_deref(), range, bound })?;
            if let Some(progress) = self.context.progress {
                progress.add(values.len());
            }
        }
        let mask = if kinds > 0 { mask_coder.finish() } else { Vec::new() };
        let (code, account) = encoder.finish();
        Ok((ClosedLoopBytes { parameters: *parameters, mask, code }.write::<T>(), account))
    }
}

impl<T: Element> Subject<T> for Closed<'_, T> {
    /// Of all frames, or of one where they are volumes: each of these is a window of its own.
    fn dims(&self) -> [usize; 3] {
        let segment = self.source.segment;
        [if segment.depth > 1 { segment.depth } else { segment.count }, segment.h, segment.w]
    }

    fn piece(&self, origin: [usize; 3], dims: [usize; 3]) -> (Vec<T>, Option<Vec<bool>>) {
        let Placement { start, strides: [st, sz, sy, sx], .. } = self.source.placement;
        let [first, y, x] = origin;
        let [frames, depth, ..] = self.source.segment.sizes();
        // The middle one of volumes speaks for all.
        let along = if depth > 1 { frames / 2 * st + first * sz } else { first * st };
        let placement = Placement { start: start + along + y * sy + x * sx, ..self.source.placement };
        let [count, h, w] = dims;
        let piece = Segment { count, h, w, ..*self.source.segment };
        let mut values = Vec::new();
        Source { segment: &piece, placement, ..*self.source }.original(count, &mut values);
        let mask = self.classes(&values).as_deref().and_then(holes);
        (values, mask)
    }

    fn range(&self) -> (f64, f64) {
        (self.context.normalisation.min, self.context.normalisation.max)
    }

    fn bound(&self) -> f64 {
        self.bound
    }
}

/// First planes of a segment's windows, and how many they have: those of one frame, where frames are volumes.
pub(crate) fn windows(segment: &Segment) -> impl ExactSizeIterator<Item = (usize, usize)> {
    let count = segment.count;
    let planes = if segment.depth > 1 { segment.depth } else { window_frames(count, segment.h * segment.w) };
    (0..count).step_by(planes).map(move |first| (first, planes.min(count - first)))
}

/// Which points are not data; `None` where all are.
fn holes(classes: &[u8]) -> Option<Vec<bool>> {
    classes.iter().any(|&class| class != 0).then(|| classes.iter().map(|&class| class != 0).collect())
}

/// Decodes the windows of a segment up to the one that holds the part's last frame, and hands those that hold frames of
/// the part to `sink`: at reduced scales, means over blocks of points.
///
/// # Errors
/// `Corrupt`, or what `sink` says.
pub(crate) fn decode<T: Element>(
    bytes: &[u8],
    segment: &Segment,
    context: FieldContext<'_>,
    part: Part,
    stages: &mut StageSeconds,
    mut sink: impl FnMut(DecodedWindow<'_, T>) -> Result<()>,
) -> Result<()> {
    let begin = Instant::now();
    let parts = ClosedLoopBytes::read::<T>(bytes)?;
    let kinds = context.specials.patterns().len() as u8;
    if kinds == 0 && !parts.mask.is_empty() {
        return Err(Error::corrupt("a segment has a mask where the field has no special patterns"));
    }
    let (h, w) = (segment.h, segment.w);
    let range = (context.normalisation.min, context.normalisation.max);
    let mut decoder = WindowDecoder::new(parts.parameters, parts.code);
    let mut mask = Decoder::new(parts.mask);
    let mut masks = (kinds > 0).then(MaskModel::new);
    let (mut values, mut classes) = (Vec::new(), Vec::new());
    for (first, count) in windows(segment) {
        if first >= part.until {
            break;
        }
        if let Some(masks) = &mut masks {
            classes.resize(count * h * w, 0);
            masks.code(&mut mask, &mut classes, [count, h, w], kinds)?;
        }
        values.clear();
        values.resize(count * h * w, T::from_bits_u64(0));
        decoder.window([count, h, w], holes(&classes).as_deref(), range, &mut values)?;
        if first + count > part.from {
            restore_specials(&mut values, &classes, &context)?;
            if part.halvings == 0 {
                sink(DecodedWindow { first, count, h, w, values: &values })?;
            } else {
                let factor = 1 << part.halvings;
                let along_planes = if segment.depth > 1 { factor } else { 1 };
                let ([count, h, w], means) = means(&values, &classes, [count, h, w], [along_planes, factor, factor]);
                sink(DecodedWindow { first, count, h, w, values: &means })?;
            }
        }
        if let Some(progress) = context.progress {
            progress.add(values.len());
        }
    }
    if part.until >= segment.count {
        decoder.finish()?;
        mask.finish()?;
    }
    stages.entropy += begin.elapsed().as_secs_f64();
    Ok(())
}

fn restore_specials<T: Element>(values: &mut [T], classes: &[u8], context: &FieldContext<'_>) -> Result<()> {
    for (slot, &class) in values.iter_mut().zip(classes).filter(|(_, class)| **class != 0) {
        let missing = || Error::corrupt("a masked point has a class that the field does not have");
        *slot = T::from_bits_u64(context.specials.bits(class).ok_or_else(missing)?);
    }
    Ok(())
}

/// Means over blocks of `factors` planes, rows and columns of values `dims`, of the points with data; where a block has
/// none, its first point. The sizes that are left, and the means.
fn means<T: Element>(values: &[T], classes: &[u8], dims: [usize; 3], factors: [usize; 3]) -> ([usize; 3], Vec<T>) {
    let [n, h, w] = dims;
    let small: [usize; 3] = std::array::from_fn(|axis| dims[axis].div_ceil(factors[axis]));
    let mut out = Vec::with_capacity(small.iter().product());
    for block in 0..small.iter().product() {
        let [z, y, x] = [block / (small[1] * small[2]), block / small[2] % small[1], block % small[2]];
        let [z, y, x] = [z * factors[0], y * factors[1], x * factors[2]];
        let (columns, rows) = (x..w.min(x + factors[2]), y..h.min(y + factors[1]));
        let lines = (z..n.min(z + factors[0])).flat_map(|plane| rows.clone().map(move |row| (plane * h + row) * w));
        let points = lines.flat_map(|line| columns.clone().map(move |column| line + column));
        let data = points.filter(|&at| classes.get(at).is_none_or(|&class| class == 0));
        let count = data.clone().count() as f64;
        // Divided first: sums of large values leave the range of f64.
        let mean = data.map(|at| values[at].to_f64() / count).sum::<f64>();
        out.push(if count > 0.0 { T::from_f64(mean) } else { values[(z * h + y) * w + x] });
    }
    (small, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_of_points_with_data() {
        let values: Vec<f32> = (0..15).map(|i| i as f32).collect();
        let of_two = |classes: &[u8]| means(&values, classes, [1, 3, 5], [1, 2, 2]);
        assert_eq!(of_two(&[]), ([1, 2, 3], vec![3.0, 5.0, 6.5, 10.5, 12.5, 14.0]));
        let mut classes = vec![0; 15];
        classes[0] = 1;
        classes[14] = 2;
        assert_eq!(of_two(&classes).1, [4.0, 5.0, 6.5, 10.5, 12.5, 14.0]);
        classes[1..].fill(1);
        assert_eq!(means(&values, &classes, [1, 3, 5], [1, 4, 4]).1, [0.0, 4.0]);
        assert_eq!(means(&values, &[], [3, 1, 5], [2, 1, 2]), ([2, 1, 3], vec![3.0, 5.0, 6.5, 10.5, 12.5, 14.0]));
    }
}
