//! Copying windows between the caller's memory and working arrays.

use super::Segment;
use crate::field::{Element, MAX_DIMS, Normalisation, Specials};
use crate::residual::real::Real;

/// Where a segment's window lies in an array: the offset of its first element, and the strides along frames, rows,
/// columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    pub(crate) start: usize,
    pub(crate) strides: [usize; 3],
}

impl Segment {
    /// Where frame `t0` of the segment lies in an array with `strides` along the field's axes and `along` along frames,
    /// rows and columns.
    pub(crate) fn place(&self, strides: &[usize; MAX_DIMS], along: [usize; 3], t0: usize) -> Placement {
        let start = self.origin.iter().zip(strides).map(|(o, s)| o * s).sum::<usize>() + t0 * along[0];
        Placement { start, strides: along }
    }
}

/// Calls `f(index of the row's first element in the window, the row's first element in the array)` for every row.
fn rows(segment: &Segment, count: usize, placement: &Placement, mut f: impl FnMut(usize, usize)) {
    let [st, sy, _] = placement.strides;
    for t in 0..count {
        for y in 0..segment.h {
            f((t * segment.h + y) * segment.w, placement.start + t * st + y * sy);
        }
    }
}

/// Copies `count` frames into `frames` in working units, and their masks' classes into `classes` where there are
/// `specials` (masked points get 0). True where a point is masked.
pub(crate) fn gather<T: Element, R: Real>(
    values: &[T],
    segment: &Segment,
    placement: &Placement,
    count: usize,
    normalisation: &Normalisation,
    specials: &Specials,
    frames: &mut Vec<R>,
    classes: &mut Vec<u8>,
) -> bool {
    let n = count * segment.h * segment.w;
    frames.resize(n, R::default());
    let inverse = 1.0 / normalisation.scale();
    let mean = normalisation.mean;
    let stride = placement.strides[2];
    rows(segment, count, placement, |at, start| {
        let out = &mut frames[at..at + segment.w];
        if stride == 1 {
            for (o, v) in out.iter_mut().zip(&values[start..start + segment.w]) {
                *o = R::from_f64((v.to_f64() - mean) * inverse);
            }
        } else {
            for (x, o) in out.iter_mut().enumerate() {
                *o = R::from_f64((values[start + x * stride].to_f64() - mean) * inverse);
            }
        }
    });
    if specials.is_empty() {
        classes.clear();
        return false;
    }
    classes.resize(n, 0);
    let mut any = false;
    rows(segment, count, placement, |at, start| {
        for x in 0..segment.w {
            let class = specials.class_of(values[start + x * stride].to_bits_u64()).unwrap_or(0);
            classes[at + x] = class;
            if class != 0 {
                any = true;
                frames[at + x] = R::default();
            }
        }
    });
    any
}

/// Copies `count` frames of the original as f64, in the field's units.
pub(crate) fn original<T: Element>(
    values: &[T],
    segment: &Segment,
    placement: &Placement,
    count: usize,
    out: &mut Vec<T>,
) {
    out.clear();
    out.reserve(count * segment.h * segment.w);
    let stride = placement.strides[2];
    rows(segment, count, placement, |_, start| {
        if stride == 1 {
            out.extend_from_slice(&values[start..start + segment.w]);
        } else {
            out.extend((0..segment.w).map(|x| values[start + x * stride]));
        }
    });
}

/// Copies a part of a decoded window, `[count][h][w]` values, into the caller's array: for each point of the output box
/// the value at `from`. All in units of the (scaled) window's points.
pub(crate) fn scatter<T: Element>(
    decoded: &[T],
    dims: [usize; 3],
    from: [usize; 3],
    size: [usize; 3],
    out: &mut [T],
    start: usize,
    strides: [usize; 3],
) {
    for t in 0..size[0] {
        for y in 0..size[1] {
            let source = ((from[0] + t) * dims[1] + from[1] + y) * dims[2] + from[2];
            let source = &decoded[source..source + size[2]];
            let target = start + t * strides[0] + y * strides[1];
            if strides[2] == 1 {
                out[target..target + size[2]].copy_from_slice(source);
            } else {
                for (x, &v) in source.iter().enumerate() {
                    out[target + x * strides[2]] = v;
                }
            }
        }
    }
}
