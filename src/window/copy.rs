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

/// A segment in the caller's memory.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) segment: &'a Segment,
    /// Where its first frame lies.
    pub(crate) placement: Placement,
}

impl<T: Element> Source<'_, T> {
    /// The same from frame `t` on.
    pub(crate) fn starting_at(&self, t: usize) -> Self {
        let strides = self.placement.strides;
        Self { placement: Placement { start: self.placement.start + t * strides[0], strides }, ..*self }
    }

    /// Calls `f(index of the row's first element in the window, the row's first element in the array)` for every row of
    /// the first `count` frames.
    fn rows(&self, count: usize, mut f: impl FnMut(usize, usize)) {
        let (segment, [st, sy, _]) = (self.segment, self.placement.strides);
        for t in 0..count {
            for y in 0..segment.h {
                f((t * segment.h + y) * segment.w, self.placement.start + t * st + y * sy);
            }
        }
    }

    /// Copies the first `count` frames into `frames` in working units, and their masks' classes into `classes` where
    /// there are `specials` (masked points get 0). True where a point is masked.
    pub(crate) fn normalised<R: Real>(
        &self,
        count: usize,
        normalisation: &Normalisation,
        specials: &Specials,
        frames: &mut Vec<R>,
        classes: &mut Vec<u8>,
    ) -> bool {
        let &Self { values, segment, placement } = self;
        let n = count * segment.h * segment.w;
        frames.resize(n, R::default());
        let inverse = 1.0 / normalisation.scale();
        let mean = normalisation.mean;
        let stride = placement.strides[2];
        self.rows(count, |at, start| {
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
        self.rows(count, |at, start| {
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

    /// Copies the first `count` frames as they are.
    pub(crate) fn original(&self, count: usize, out: &mut Vec<T>) {
        let &Self { values, segment, placement } = self;
        out.clear();
        out.reserve(count * segment.h * segment.w);
        let stride = placement.strides[2];
        self.rows(count, |_, start| {
            if stride == 1 {
                out.extend_from_slice(&values[start..start + segment.w]);
            } else {
                out.extend((0..segment.w).map(|x| values[start + x * stride]));
            }
        });
    }
}

/// A box of a decoded window: the window's frames, rows and columns, and the box's first and how many. All in units of
/// the (scaled) window's points.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowBox {
    pub(crate) dims: [usize; 3],
    pub(crate) from: [usize; 3],
    pub(crate) size: [usize; 3],
}

/// Copies a box of a decoded window, `[count][h][w]` values, to its place in the caller's array.
pub(crate) fn scatter<T: Element>(decoded: &[T], part: WindowBox, out: &mut [T], place: Placement) {
    let WindowBox { dims, from, size } = part;
    let strides = place.strides;
    for t in 0..size[0] {
        for y in 0..size[1] {
            let source = ((from[0] + t) * dims[1] + from[1] + y) * dims[2] + from[2];
            let source = &decoded[source..source + size[2]];
            let target = place.start + t * strides[0] + y * strides[1];
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
